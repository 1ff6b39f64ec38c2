// Belongs here: asking for pieces and strips one at a time, since the server makes one at a time for a person.
// Does not belong here: what becomes of them (film, filmstrip).

const MOST_TRIES = 8;
const LIMIT_MS = 30_000;
const PAUSE_S = 1;

/** ask(path, first): bytes of an address; first: before all that wait and are not. Throws after MOST_TRIES. */
export function makeAsking() {
  const waiting = [];
  let busy = false;

  async function next() {
    if (busy || !waiting.length) return;
    busy = true;
    const { path, done, failed } = waiting.shift();
    try {
      done(await answerOf(path));
    } catch (error) {
      failed(error);
    }
    busy = false;
    next();
  }

  return (path, first = false) => new Promise((done, failed) => {
    const place = first ? waiting.findIndex((one) => !one.first) : -1;
    waiting.splice(place < 0 ? waiting.length : place, 0, { path, first, done, failed });
    next();
  });
}

async function answerOf(path) {
  for (let tried = 1; ; tried += 1) {
    let wait = PAUSE_S;
    try {
      const answer = await fetch(path, { signal: AbortSignal.timeout(LIMIT_MS) });
      if (answer.ok) return await answer.arrayBuffer();
      // Everybody else's pieces come first, or the process has just ended: both pass. Nothing else does.
      if (answer.status !== 503) throw new Refused(`HTTP ${answer.status}`);
      wait = Number(answer.headers.get("Retry-After")) || PAUSE_S;
    } catch (error) {
      if (error instanceof Refused) throw error;
    }
    if (tried >= MOST_TRIES) throw new Refused("too many tries");
    await new Promise((done) => setTimeout(done, 1000 * wait));
  }
}

class Refused extends Error {}
