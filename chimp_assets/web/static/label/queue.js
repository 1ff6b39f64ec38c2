// Belongs here: which tracks wait on this device, asking for more, and their pictures decoded ahead.
// Does not belong here: what is decided about them (session).

import { afterPaint, batch, boot, signal } from "../lib/ui.js";
import { alone, livingTabs, TAB } from "../lib/locks.js";
import { NoAnswer, pause, post, Refusal } from "../lib/net.js";
import { connection } from "../lib/outbox.js";
import { fill, filled, lacks } from "../lib/pictures.js";
import { dropItems, keepItems, keptItems, unsent } from "../lib/store.js";

const WANTED = 16; // at least 12 stay ready while a claim is under way
const CLAIM = 12;
const DECODED_AHEAD = 12;
const CLIPS_AHEAD = 3;
const NEAREST = 4;
const PICTURES_AT_ONCE = 6;
const EMPTY_PAUSE_MS = 20_000;

/** Tracks that wait, in the order in which they are asked. */
export const items = signal([]);
/** Why there are none: {waiting, held: [{by, until, n}]} of the last claim. */
export const supply = signal(null);
/** "loading" | "slow" | "ready" | "failed" */
export const claiming = signal("loading");
/** How many of the first tracks have all their pictures. */
export const ready = signal(0);
export const fault = signal(null);

let running = null;
let emptyUntil = 0;
let clockSkewMs = 0;
let lanes = null;

/** Which page asks it: each takes up only what it can show. */
const pageOf = (item) => (item.pairs ? "pairs" : item.individual ? "is_it" : "label");

/** Server time now: a device's clock may be years off. */
export const serverNow = () => Date.now() + clockSkewMs;

export async function startQueue({ onlyLanes = null, pairs = false } = {}) {
  lanes = { onlyLanes, pairs };
  const page = pairs ? "pairs" : onlyLanes?.includes("is_it") ? "is_it" : "label";
  const [kept, alive, mine] = await Promise.all([keptItems(), livingTabs(), unsent()]);
  const answered = new Set(mine.map((record) => record.event.item_id));
  const adopted = kept.filter(
    (item) =>
      item.user === boot.user && pageOf(item) === page && !answered.has(item.item_id) && (item.tab === TAB || !alive.has(item.tab)),
  );
  const usable = adopted.filter((item) => !navigator.onLine || Date.parse(item.lease_until) > serverNow() || item.offline);
  await dropItems(adopted.filter((item) => !usable.includes(item)).map((item) => item.item_id));
  usable.sort((a, b) => a.place - b.place);
  await keepItems(usable.map((item) => ({ ...item, tab: TAB })));
  items.value = usable;
  if (usable.length) claiming.value = "ready";
  prepare();
  await refill();
  setInterval(() => refill(), 1_000);
  addEventListener("online", () => {
    emptyUntil = 0;
    refused.clear();
    refill();
  });
}

/** Ask for more tracks when few are left; one claim at a time in all tabs. */
export function refill({ force = false } = {}) {
  if (running) return running;
  if (!force && (items.value.length >= WANTED || Date.now() < emptyUntil)) return Promise.resolve();
  running = claim(CLAIM).finally(() => {
    running = null;
  });
  return running;
}

async function claim(n, offline = false) {
  const slow = setTimeout(() => {
    if (!items.value.length) claiming.value = "slow";
  }, 3_000);
  try {
    await alone(`claim:${boot.user}`, async () => {
      // On any tab's screen or in the outbox: the server must not give them again.
      const known = new Set([...(await keptItems()), ...items.value].map((item) => item.item_id));
      for (const record of await unsent()) if (record.event.item_id != null) known.add(record.event.item_id);
      const answer = await post("/api/queue/claim", {
        n, exclude: [...known], pairs: lanes.pairs, offline, ...(lanes.onlyLanes ? { lanes: lanes.onlyLanes } : {}),
      });
      clockSkewMs = Date.parse(answer.server_time) - Date.now();
      const place = Date.now();
      const fresh = answer.items
        .filter((item) => !known.has(item.item_id))
        .map((item, i) => ({ ...item, user: boot.user, tab: TAB, place: place + i / 1000, pairs: lanes.pairs, offline }));
      await keepItems(fresh);
      batch(() => {
        items.value = [...items.value, ...fresh];
        supply.value = { waiting: answer.waiting, held: answer.held ?? [] };
        claiming.value = "ready";
        fault.value = null;
        if (connection.value === "offline" || connection.value === "busy") connection.value = "ok";
      });
      emptyUntil = fresh.length ? 0 : Date.now() + EMPTY_PAUSE_MS;
      prepare();
    });
  } catch (error) {
    emptyUntil = Date.now() + 2_000;
    if (error instanceof Refusal && error.status === 401) connection.value = "signed_out";
    else if (error instanceof NoAnswer) connection.value = "offline";
    if (!items.value.length) claiming.value = "failed";
    fault.value = error instanceof Refusal ? `${error.message} ${error.remedy}`.trim() : null;
  } finally {
    clearTimeout(slow);
  }
}

// As in the schema: the key of a track is its video's and a number, from the middle on for those that cuts have made.
const TRACKS_PER_VIDEO = 2 ** 20;
const MADE_FROM = TRACKS_PER_VIDEO / 2;

/**
 * A split, a merge or its undoing is stored: tracks of the clip that are no more leave, new ones come before the others.
 * gone: by their track_id; those that people's cuts have made leave as well, and come back if they are still asked.
 */
export async function renew(videoId, gone) {
  await running;
  const byCut = (item) => item.video.video_id === videoId && item.track_id % TRACKS_PER_VIDEO >= MADE_FROM;
  const left = items.value.filter((item) => gone.includes(item.track_id) || byCut(item));
  await dropItems(left.map((item) => item.item_id));
  items.value = items.value.filter((item) => !left.includes(item));
  await refill({ force: true });
  const first = items.value.filter(byCut);
  if (!first.length) return;
  const place = (items.value[0]?.place ?? Date.now()) - 1;
  const placed = first.map((item, i) => ({ ...item, place: place + i / 1000 }));
  await keepItems(placed);
  items.value = [...placed, ...items.value.filter((item) => !first.includes(item))];
  prepare();
}

/** Put the first track away: it was answered. The next is on the screen at once. */
export function advance(itemId) {
  items.value = items.value.filter((item) => item.item_id !== itemId);
  afterPaint(() => {
    prepare();
    refill();
  });
}

/** A track as it will lie at the front of the queue: its answer is taken back. */
export const asFirst = (item) => ({ ...item, tab: TAB, place: (items.value[0]?.place ?? Date.now()) - 1 });

/** It lies there. */
export function putFirst(item) {
  items.value = [item, ...items.value.filter((other) => other.item_id !== item.item_id)];
  prepare();
}

/** Claim n tracks for three days and fetch all their pictures and clips; progress(done, of) as they come. */
export async function takeOffline(n, progress) {
  await running;
  running = claim(n, true).finally(() => {
    running = null;
  });
  await running;
  const urls = [...new Set(items.value.flatMap((item) => [...picturesOf(item), ...clipFilesOf(item)]))];
  let done = 0;
  let failed = 0;
  const lines = Array.from({ length: 4 }, async (_, line) => {
    for (let i = line; i < urls.length; i += 4) {
      try {
        const response = await fetch(urls[i], { headers: { "X-Keep": "yes" } });
        if (!response.ok) failed += 1;
        await response.arrayBuffer();
      } catch {
        failed += 1;
      }
      done += 1;
      progress(done, urls.length);
    }
  });
  await Promise.all(lines);
  return { tracks: items.value.length, files: urls.length, failed };
}

/** The best crops of what came without pictures: cut while the others are made. */
const facesOf = (item) => [item, item.other].filter((part) => part?.face && !part.crops.length).map((part) => part.face);

export function picturesOf(item) {
  const urls = facesOf(item);
  if (item.frame) urls.push(item.frame.url);
  for (const crop of item.crops) urls.push(crop.url);
  for (const crop of item.other?.crops ?? []) urls.push(crop.url);
  for (const one of [...item.candidates, item.individual]) for (const reference of one?.references ?? []) urls.push(reference.url);
  return urls;
}

/** What one decides by: the track itself and one photo of each candidate. */
function mainPicturesOf(item) {
  const first = item.candidates.flatMap((candidate) => candidate.references.slice(0, 1).map((photo) => photo.url));
  for (const photo of item.individual?.references ?? []) first.push(photo.url);
  return [...facesOf(item), ...(item.frame ? [item.frame.url] : []), ...[...item.crops, ...(item.other?.crops ?? [])].map((crop) => crop.url), ...first];
}

export const clipFilesOf = (item) => (item.clip ? [item.clip.url, item.clip.boxes_url].filter(Boolean) : []);

// --- pictures -----------------------------------------------------------------------------------------------------

/** url -> {picture, promise, state: "loading" | "ready" | "failed"}; dies when its track has left the queue. */
const pictures = new Map();
/** Pictures that could not be had, for the screen to say so. */
export const missing = signal(new Set());

export function picture(url) {
  let entry = pictures.get(url);
  if (!entry || entry.state === "failed") {
    const image = new Image();
    image.decoding = "async";
    image.src = url;
    entry = { image, state: "loading" };
    entry.promise = image.decode().then(
      () => {
        entry.state = "ready";
        if (missing.value.has(url)) missing.value = new Set([...missing.value].filter((other) => other !== url));
      },
      () => {
        entry.state = "failed";
        if (navigator.onLine) missing.value = new Set([...missing.value, url]);
      },
    );
    pictures.set(url, entry);
  }
  return entry;
}

/** Load and decode the pictures of the next tracks, nearest first, then the clips of the next few. */
function prepare() {
  const ahead = items.value.slice(0, DECODED_AHEAD);
  forgetOthers(ahead);
  askForPictures(ahead);
  const urls = [
    ...ahead.slice(0, NEAREST).flatMap(mainPicturesOf), ...ahead.slice(0, 1).flatMap(picturesOf),
    ...ahead.flatMap(mainPicturesOf), ...ahead.flatMap(picturesOf),
  ];
  wanted = [...new Set(urls)].filter((url) => !["ready", "loading"].includes(pictures.get(url)?.state));
  countReady(ahead);
  pump();
}

/** A claim does not wait for pictures that are not made yet: they are asked for here, the nearest first. */
function askForPictures(ahead) {
  const lacking = ahead.flatMap((item) => [item, item.other]).filter(lacks);
  fill(lacking.map((part) => part.track_id), (found) => {
    const changed = [];
    items.value = items.value.map((item) => {
      const mine = item.track_id === found.track_id && lacks(item);
      const others = item.other?.track_id === found.track_id && lacks(item.other);
      if (!mine && !others) return item;
      const whole = { ...(mine ? filled(item, found) : item), ...(others ? { other: filled(item.other, found) } : {}) };
      changed.push(whole);
      return whole;
    });
    keepItems(changed);
    prepare();
  });
}

let wanted = [];
let flying = 0;

/** As many at a time as a browser has lines to one server: each that comes makes room for the next at once. */
function pump() {
  while (flying < PICTURES_AT_ONCE && wanted.length) {
    flying += 1;
    picture(wanted.shift()).promise.then(() => {
      flying -= 1;
      countReady(items.value.slice(0, DECODED_AHEAD));
      pump();
    });
  }
  // Clips are large: they wait until the pictures of all these tracks are here.
  if (!flying && !wanted.length) fetchClip();
}

function countReady(ahead) {
  const open = ahead.findIndex((item) => picturesOf(item).some((url) => ["loading", undefined].includes(pictures.get(url)?.state)));
  ready.value = open < 0 ? ahead.length : open;
}

let fetching = false;

async function fetchClip() {
  const url = items.value.slice(0, CLIPS_AHEAD).flatMap(clipFilesOf).find((one) => !fetched.has(one) && !(refused.get(one) > 2));
  if (!url || fetching) return;
  fetching = true;
  try {
    const response = await fetch(url, { priority: "low" });
    await response.arrayBuffer();
    fetched.add(url);
  } catch {
    refused.set(url, (refused.get(url) ?? 0) + 1);
    await pause(500);
  }
  fetching = false;
  prepare();
}

/** Clips that are in the browser's cache. */
const fetched = new Set();
/** How often a clip could not be had since there was a connection. */
const refused = new Map();
export const clipIsHere = (item) => clipFilesOf(item).every((url) => fetched.has(url));

function forgetOthers(ahead) {
  const needed = new Set(ahead.flatMap(picturesOf));
  // References come back with every track that might be the same individual: a few hundred are kept.
  if (pictures.size < 600) return;
  for (const url of pictures.keys()) if (!needed.has(url)) pictures.delete(url);
}
