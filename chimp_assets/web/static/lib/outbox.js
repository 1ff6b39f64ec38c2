// Belongs here: sending what was decided: batches, back-off, what the server said of each answer.
// Does not belong here: keeping it (store) and showing it (tray, status line).
//
// An answer leaves the outbox only when the server names its id as stored. A lost acknowledgement costs a second
// sending, which the server knows by the id. What it rejects stays, with the reason, until its author decides.
// An answer with a path of its own (a page of many tracks) is sent alone, in its turn.

import { batch, boot, computed, signal } from "./ui.js";
import { alone } from "./locks.js";
import { NoAnswer, pause, post, Refusal } from "./net.js";
import { changeUnsent, durable, forgetSent, unsent } from "./store.js";

const BATCH = 200;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8_000;

/** Answers of this person that wait to be sent. */
export const waiting = signal(0);
/** Answers that need a decision of their author: rejected, or in conflict with somebody's. */
export const troubled = signal([]);
/** Answers of other people who used this device and have not been sent. */
export const foreign = signal(0);
/** "ok" | "offline" | "busy" | "signed_out" | "other_user" */
export const connection = signal(navigator.onLine ? "ok" : "offline");
export const heads = signal({});
export const state = computed(() => {
  if (connection.value === "signed_out" || connection.value === "other_user") return connection.value;
  if (connection.value === "offline") return "offline";
  return waiting.value ? "waiting" : "saved";
});

let pauseMs = 0;
let timer = null;
let sending = null;
let again = false;
const listeners = new Set();

/** Hear of every result the server gives: listener(result, record). */
export function onResult(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export async function refresh() {
  const all = await unsent();
  const mine = all.filter((record) => record.user === boot.user);
  batch(() => {
    waiting.value = mine.filter((record) => record.state === "waiting").length;
    troubled.value = mine.filter((record) => record.state !== "waiting");
    foreign.value = all.length - mine.length;
  });
  return mine;
}

/** Send what waits, now or as soon as the running sending ends. Never throws. */
export function flush() {
  clearTimeout(timer);
  timer = null;
  if (sending) {
    again = true;
    return sending;
  }
  sending = sendAll().finally(() => {
    sending = null;
    if (again) {
      again = false;
      flush();
    }
  });
  return sending;
}

async function sendAll() {
  try {
    const ran = await alone(`outbox:${boot.user}`, async () => {
      for (;;) {
        const mine = (await refresh()).filter((record) => record.state === "waiting");
        if (!mine.length || connection.value === "signed_out" || connection.value === "other_user") return true;
        if (!(await sendBatch(nextOf(mine)))) return true;
      }
    });
    await refresh();
    // Another tab is sending: look again later what it left.
    if (ran === undefined && waiting.value) later(FIRST_PAUSE_MS);
  } catch (error) {
    console.error(error);
    later();
  }
}

/** The first of what waits that goes in one request: what is taken back must come after what it takes back. */
function nextOf(mine) {
  if (mine[0].path) return mine.slice(0, 1);
  const alone = mine.findIndex((record) => record.path);
  return mine.slice(0, Math.min(BATCH, alone < 0 ? BATCH : alone));
}

async function sendBatch(records) {
  let answer;
  try {
    const [{ path, event }] = records;
    answer = path
      ? await post(path, { ...event, user: boot.user })
      : await post("/api/events", { user: boot.user, events: records.map((record) => record.event) });
  } catch (error) {
    await failed(error, records);
    return false;
  }
  pauseMs = 0;
  connection.value = "ok";
  await take(answer, records);
  return true;
}

/** Act on what the server said of each id; ids it did not name stay. */
export async function take(answer, records) {
  const byId = new Map(records.map((record) => [record.id, record]));
  const gone = [];
  const changes = {};
  const rejected = new Set(troubled.value.map((record) => record.id));
  for (const result of answer.results ?? []) {
    const record = byId.get(result.annotation_id);
    if (!record) continue;
    if (result.status === "stored" || result.status === "duplicate") {
      gone.push(record.id);
      if (result.head) heads.value = { ...heads.value, [record.id]: result.head };
    } else if (result.status === "conflict") {
      // It is stored, as a second opinion; what stands is for people to settle.
      changes[record.id] = { state: "conflict", head: result.head ?? null, reason: result.reason ?? "" };
    } else if (record.event.kind === "retract" && rejected.has(record.event.supersedes)) {
      // Taken back before it was ever stored: both are gone.
      gone.push(record.id, record.event.supersedes);
    } else {
      rejected.add(record.id);
      changes[record.id] = { state: "rejected", reason: result.reason ?? "", field: result.field ?? "" };
    }
    for (const listener of listeners) listener(result, record);
  }
  await forgetSent(gone);
  await changeUnsent(changes);
  await refresh();
  // A server that names none of our ids would be asked for ever without a pause.
  if (!gone.length && !Object.keys(changes).length) later();
}

async function failed(error, records) {
  if (error instanceof Refusal && error.status === 401) {
    connection.value = "signed_out";
  } else if (error instanceof Refusal && error.status === 409 && error.code === "other_user") {
    connection.value = "other_user";
  } else if (error instanceof Refusal && [400, 413, 422].includes(error.status)) {
    await bisect(error, records);
  } else {
    connection.value = error instanceof NoAnswer ? "offline" : "busy";
    later(error instanceof Refusal ? error.wait * 1000 : 0);
  }
}

/** The server refuses a batch as a whole: halve it until the one that it cannot read stands alone. */
async function bisect(error, records) {
  if (records.length === 1) {
    await changeUnsent({ [records[0].id]: { state: "rejected", reason: error.message, field: "" } });
    await refresh();
    again = true;
    return;
  }
  const half = Math.ceil(records.length / 2);
  if (await sendBatch(records.slice(0, half))) await sendBatch(records.slice(half));
  again = connection.value === "ok";
}

function later(wanted = 0) {
  pauseMs = Math.min(LONGEST_PAUSE_MS, Math.max(FIRST_PAUSE_MS, pauseMs * 2));
  // Spread, so that a station's devices do not all come at once when the link is back.
  const wait = Math.max(wanted, pauseMs * (0.75 + Math.random() / 2));
  clearTimeout(timer);
  timer = setTimeout(flush, wait);
}

/** After signing in again: go on, as the same person. */
export function signedInAgain() {
  connection.value = "ok";
  pauseMs = 0;
  return flush();
}

/** The author answers a troubled one: "retry" as it is, or "drop" after a change or an export. */
export async function settle(id, how) {
  if (how === "drop") await forgetSent([id]);
  else await changeUnsent({ [id]: { state: "waiting", reason: "", field: "" } });
  await refresh();
  return flush();
}

/** Where nothing can be kept: try until the server has said something of this answer; returns its reason if rejected. */
export async function untilAnswered(id) {
  for (;;) {
    await flush();
    const record = (await unsent()).find((other) => other.id === id);
    if (!record) return null;
    if (record.state !== "waiting") return record.reason || record.state;
    await pause(1_000);
  }
}

/** Everything of this person that the server does not have, as a file's text. */
export async function exportUnsent() {
  const mine = (await unsent()).filter((record) => record.user === boot.user);
  return JSON.stringify({ user: boot.user, exported: new Date().toISOString(), events: mine.map((r) => r.event) }, null, 1);
}

export async function startOutbox() {
  addEventListener("online", () => {
    if (connection.value === "offline") connection.value = "ok";
    pauseMs = 0;
    flush();
  });
  addEventListener("offline", () => {
    if (connection.value !== "signed_out") connection.value = "offline";
  });
  addEventListener("pageshow", () => flush());
  document.addEventListener("visibilitychange", () => flush());
  addEventListener("beforeunload", (event) => {
    if (!durable.value && waiting.value) event.preventDefault();
  });
  await refresh();
  flush();
}
