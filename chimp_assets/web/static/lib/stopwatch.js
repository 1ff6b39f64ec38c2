// Belongs here: how long somebody has looked at what is on the screen, without the time that it was hidden.
// Does not belong here: what is done with the seconds.

let shownAt = 0;
let hiddenMs = 0;
let hiddenSince = null;

document.addEventListener("visibilitychange", () => {
  if (document.hidden) hiddenSince = performance.now();
  else if (hiddenSince !== null) {
    hiddenMs += performance.now() - hiddenSince;
    hiddenSince = null;
  }
});

/** What is on the screen was painted just now. */
export function seen() {
  shownAt = performance.now();
  hiddenMs = 0;
  hiddenSince = document.hidden ? performance.now() : null;
}

/** Milliseconds since then, hidden or not. */
export const sinceSeen = () => performance.now() - shownAt;
/** Seconds that somebody could look. */
export const lookSeconds = () => Math.max(0, Math.round(performance.now() - shownAt - hiddenMs) / 1000);
