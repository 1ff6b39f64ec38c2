// Belongs here: asking the server for this page, again where that may help, and the sentence when it fails: what is
// wrong and what to do. Does not belong here: what is asked.

import { ask as askOnce, NoAnswer, pause, Refusal } from "../lib/net.js";

const TRIES = 3;
const FIRST_PAUSE_MS = 400;
const PASSING = new Set([429, 502, 503, 504]);
const LONGEST_PAUSE_S = 10;

const passes = (error) => (error instanceof NoAnswer ? navigator.onLine : error instanceof Refusal && PASSING.has(error.status));

/** Asks up to three times where the fault may pass. Of a POST only what bears an id, which is stored once. */
export async function ask(path, options) {
  for (let n = 1; ; n += 1) {
    try {
      return await askOnce(path, options);
    } catch (error) {
      if (n === TRIES || !passes(error)) throw error;
      await pause(error.wait ? Math.min(LONGEST_PAUSE_S, error.wait) * 1_000 : FIRST_PAUSE_MS * 2 ** (n - 1));
    }
  }
}

/** place: the element that says it, hidden while nothing is wrong. here(): the address of this moment. */
export function makeFaults(place, here) {
  const sentence = place.querySelector("[data-sentence]");
  const button = place.querySelector("[data-again]");
  const link = place.querySelector("[data-sign-in]");
  let now = null;

  function sentenceOf(error) {
    if (error instanceof NoAnswer) return navigator.onLine ? place.dataset.wordsNoAnswer : place.dataset.wordsOffline;
    if (error instanceof Refusal && error.status === 401) return place.dataset.wordsSignedOut;
    if (error instanceof Refusal) return `${error.message} ${error.remedy}`.trim();
    return String(error.message ?? error);
  }

  function hide() {
    now = null;
    place.hidden = true;
    sentence.textContent = "";
  }

  function again() {
    const retry = now?.retry;
    hide();
    retry?.();
  }

  button.addEventListener("click", again);
  addEventListener("online", again);
  return {
    /** about: what failed, so that its success may take the sentence away. error: of `ask`, or {message}. */
    say(about, error, retry = null) {
      const signedOut = error instanceof Refusal && error.status === 401;
      // Nothing is retried that the server refuses for good.
      now = { about, retry: error instanceof Refusal && !PASSING.has(error.status) && !signedOut ? null : retry };
      sentence.textContent = sentenceOf(error);
      button.hidden = !now.retry;
      link.hidden = !signedOut;
      link.href = `/sign-in?next=${encodeURIComponent(here())}`;
      place.hidden = false;
    },
    clear(about) {
      if (now?.about === about) hide();
    },
  };
}
