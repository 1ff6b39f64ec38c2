// Belongs here: asking for the pictures of tracks that came without, until they are there or it is known why not.
// Does not belong here: loading and decoding them (label/queue.js), how they look.

import { get, pause, Refusal } from "./net.js";
import { t } from "./ui.js";

const AT_ONCE = 24;
const FIRST_PAUSE_MS = 400;
const LONGEST_PAUSE_MS = 8_000;
/** Answers without anything new, after which the page says so instead of waiting on. */
const PATIENCE = 40;

/** track_id -> what to call with its pictures. */
const wanted = new Map();
let running = false;

/** Whether a track came without pictures, and nobody has said yet that there are none. */
export const lacks = (part) => !!part && !part.crops.length && !part.media_reason;

/** A track with what was found of it: pictures, or the reason why there are none. */
export const filled = (part, found) => ({
  ...part,
  ...(found.state === "ready"
    ? { crops: found.crops, clip: found.clip, frame: found.frame, ...("media_missing" in part ? { media_missing: false } : {}) }
    : { media_reason: found.reason || t("label.media_missing") }),
});

/** Ask for these tracks; tell(found) is called once for each: {track_id, state, reason, crops, clip, frame}. */
export function fill(trackIds, tell) {
  for (const id of trackIds) if (!wanted.has(id)) wanted.set(id, tell);
  if (wanted.size && !running) ask();
}

async function ask() {
  running = true;
  let wait = FIRST_PAUSE_MS;
  let stood = 0;
  while (wanted.size) {
    const ids = [...wanted.keys()].slice(0, AT_ONCE);
    let moved = false;
    try {
      const answer = await get(`/api/pictures?${ids.map((id) => `track=${id}`).join("&")}`);
      for (const one of answer.tracks) {
        if (one.state === "making") continue;
        moved = true;
        settle(one);
      }
    } catch (error) {
      // Signed out, or a track that nobody may ask for: what comes next asks again.
      if (error instanceof Refusal && error.status < 500) wanted.clear();
    }
    stood = moved ? 0 : stood + 1;
    if (stood > PATIENCE) for (const id of ids) settle({ track_id: id, state: "missing", reason: t("label.media_missing") });
    if (!wanted.size) break;
    wait = moved ? FIRST_PAUSE_MS : Math.min(LONGEST_PAUSE_MS, wait * 1.5);
    await pause(wait);
  }
  running = false;
}

function settle(found) {
  const tell = wanted.get(found.track_id);
  wanted.delete(found.track_id);
  tell?.(found);
}
