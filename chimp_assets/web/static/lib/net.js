// Belongs here: asking the server, with a time limit and errors that say what kind they are.
// Does not belong here: retrying (outbox, queue) and what to show (screens).

/** The server could not be asked: no connection, no answer in time, or an answer cut off. */
export class NoAnswer extends Error {}

/** The server answered with an error: status, code, sentence, remedy and the seconds it asks us to wait. */
export class Refusal extends Error {
  constructor(status, body, wait) {
    super(body?.error || `HTTP ${status}`);
    this.status = status;
    this.code = body?.code || "";
    this.remedy = body?.remedy || "";
    this.wait = wait;
  }
}

// A field link of 1.5 Mbit/s carries the largest answer in a few seconds; a minute without an answer is none.
const LIMIT_MS = 60_000;

export async function ask(path, { method = "GET", body, limit = LIMIT_MS, keepalive = false } = {}) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), limit);
  try {
    let response;
    let content;
    try {
      response = await fetch(path, {
        method,
        body: body === undefined ? undefined : JSON.stringify(body),
        headers: body === undefined ? { Accept: "application/json" } : { "Content-Type": "application/json" },
        credentials: "same-origin",
        cache: "no-store",
        redirect: "error",
        keepalive,
        signal: stop.signal,
      });
      content = await response.text();
    } catch (error) {
      throw new NoAnswer(String(error));
    }
    let data = null;
    try {
      data = content ? JSON.parse(content) : null;
    } catch {
      // A proxy's own page, or an answer that was cut off: nothing may be concluded from it.
      if (response.ok) throw new NoAnswer("the answer is not JSON");
    }
    if (!response.ok) throw new Refusal(response.status, data, Number(response.headers.get("Retry-After")) || 0);
    if (data === null) throw new NoAnswer("the answer is empty");
    return data;
  } finally {
    clearTimeout(timer);
  }
}

export const get = (path, options) => ask(path, options);
export const post = (path, body, options) => ask(path, { ...options, method: "POST", body });

/** A version 4 UUID; plain http on a field network has no crypto.randomUUID. */
export function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

export const pause = (ms) => new Promise((done) => setTimeout(done, ms));
