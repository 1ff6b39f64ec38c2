// Belongs here: which cases there are, deciding them, taking a decision back, who said what once it is decided.
// Does not belong here: how a case looks and which key does what (main).

import { batch, boot, computed, signal, t } from "../lib/ui.js";
import { record, takeBack } from "../lib/island.js";
import { get, post, Refusal } from "../lib/net.js";
import { onResult } from "../lib/outbox.js";
import { fill, filled, lacks } from "../lib/pictures.js";

/** Nobody sees a case and decides within this time. */
const SHORTEST_LOOK_MS = 80;
const REFILL_BELOW = 3;
/** Looks that follow each other without a case before a person says whether to go on. */
const LOOKS = 10;

export const QUEUES = ["names", "pairs", "missed", "provisional", "doubtful", "flags", "conflicts", "asked"];
/** Which one the address names; else the first that has cases is opened. */
const named = QUEUES.includes(boot.queue);
export const queue = signal(named ? boot.queue : QUEUES[0]);
/** queue -> cases that the newest look found; null until asked. */
export const counts = signal(null);
export const most = signal(0);
export const cases = signal([]);
/** "loading" | "ready" | "failed" */
export const loading = signal("loading");
export const fault = signal("");
/** Where an older look begins, or null. */
export const older = signal(null);
/** Decisions of this visit that stand, the newest first: {case, ids, words, authors, act}. */
export const decided = signal([]);
export const model = signal(null);
export const current = computed(() => cases.value[0] ?? null);

const gone = new Set();
let before = null;
let looks = 0;
let asking = null;
let shownAt = 0;
let busy = false;

/** The case on the screen was painted just now. */
export const seen = () => (shownAt = performance.now());
export const lookedLongEnough = () => performance.now() - shownAt >= SHORTEST_LOOK_MS;

/** What an answer says, in words. */
export function meaningOf({ kind, anim_id, name }) {
  if (kind === "identify" || kind === "new_individual") return name || anim_id;
  return t(`label.answer.${kind}`, { name: name || anim_id });
}

/** What can be chosen of a case: {label, opinion, send: fields of the event}; key n chooses the n-th. */
export function optionsOf(one) {
  if (!one) return [];
  if (one.queue === "provisional") return [{ label: t("review.confirm", { name: one.individual.name || one.individual.anim_id }), opinion: null, send: null }];
  if (one.other) {
    const said = (kind) => one.opinions.find((opinion) => opinion.kind === kind) ?? null;
    return ["same", "different", "cannot_tell"].map((kind) => ({
      label: t(`label.answer.${kind}`), opinion: said(kind), send: { kind, other_track_id: one.other.track_id },
    }));
  }
  return one.opinions.map((opinion, n) => ({
    label: opinion.box ? t("review.box_n", { letter: letterOf(n) }) : meaningOf(opinion),
    opinion,
    send: opinion.box ? boxFields(one, opinion) : { kind: opinion.kind, ...(opinion.anim_id ? { anim_id: opinion.anim_id } : {}) },
  }));
}

export const letterOf = (n) => "ABCDEFGH"[n] ?? String(n + 1);

function boxFields(one, { box: [x, y, w, h] }) {
  return { kind: "box", video_id: one.frame.video_id, frame_no: one.frame.frame_no, track_id: one.frame.track_id, x, y, w, h };
}

/** Whether somebody whose answers count more stands against anything but this answer. */
export const isOutweighed = (one, option) => one.bound !== null && one.opinions[one.bound] !== option?.opinion;

export async function start() {
  onResult((result) => {
    const line = decided.value.find((one) => one.ids.includes(result.annotation_id));
    if (line && result.status !== "rejected") reveal(line);
  });
  if (!named) {
    // An empty list is no place to begin while another has cases. Where nobody can say, the first will do.
    await count();
    const first = QUEUES.find((one) => counts.value?.[one] > 0);
    if (first) queue.value = first;
    return refill();
  }
  return Promise.all([refill(), count()]);
}

/** Whether no list has a case, as far as the newest look goes. */
export const allEmpty = computed(() => counts.value !== null && QUEUES.every((one) => !counts.value[one]));
/** The first list that has cases, other than the one that is open. */
export const another = computed(() => QUEUES.find((one) => one !== queue.value && counts.value?.[one] > 0) ?? null);

export async function count() {
  try {
    const answer = await get("/api/review/counts");
    batch(() => {
      counts.value = answer.counts;
      most.value = answer.most;
    });
  } catch (error) {
    console.warn(error);
  }
}

/** Look at another queue. */
export function open(name) {
  batch(() => {
    queue.value = name;
    cases.value = [];
    loading.value = "loading";
    older.value = null;
  });
  before = null;
  looks = 0;
  gone.clear();
  history.replaceState(null, "", `/review?queue=${name}`);
  return refill();
}

/** Look at older events of this queue. */
export function lookFurther() {
  before = older.value;
  loading.value = "loading";
  return refill();
}

export function refill() {
  asking ??= ask().finally(() => {
    asking = null;
  });
  return asking;
}

/** Pictures of the cases that came without; of the tracks beside them the best crop is enough, which is cut anyway. */
function askForPictures() {
  const lacking = cases.value.flatMap((one) => [one.item, one.other]).filter(lacks);
  fill(lacking.map((part) => part.track_id), (found) => {
    const whole = (part) => (part?.track_id === found.track_id && lacks(part) ? filled(part, found) : part);
    cases.value = cases.value.map((one) => ({ ...one, item: whole(one.item), other: whole(one.other) }));
  });
}

async function ask() {
  const wanted = queue.value;
  try {
    const found = await get(`/api/review/cases?queue=${wanted}${before === null ? "" : `&before=${before}`}`);
    if (wanted !== queue.value) {
      asking = null;
      return refill();
    }
    const here = new Set(cases.value.map((one) => one.key));
    const fresh = found.cases.filter((one) => !gone.has(one.key) && !here.has(one.key));
    // A look ends somewhere: where it found nothing, the next one goes on, as long as somebody waits for it.
    if (!fresh.length && !cases.value.length && found.older !== null && looks < LOOKS) {
      looks += 1;
      before = found.older;
      return await ask();
    }
    looks = 0;
    batch(() => {
      cases.value = [...cases.value, ...fresh];
      older.value = found.older;
      model.value = found.model;
      loading.value = "ready";
      fault.value = "";
    });
    askForPictures();
  } catch (error) {
    batch(() => {
      loading.value = "failed";
      fault.value = error instanceof Refusal ? `${error.message} ${error.remedy}`.trim() : "";
    });
  }
  return undefined;
}

/** Put the case on the screen away. */
function advance(one) {
  gone.add(one.key);
  cases.value = cases.value.filter((other) => other.key !== one.key);
  if (counts.value) counts.value = { ...counts.value, [one.queue]: Math.max(0, counts.value[one.queue] - 1) };
  if (cases.value.length < REFILL_BELOW) refill();
}

export const later = () => current.value && advance(current.value);

function shownOf(one, reason, input) {
  const doubted = one.opinions.find((opinion) => opinion.model !== null);
  return {
    mode: "review", queue: one.queue, reason, input, ui: boot.version ?? "", schema: 1,
    opinions: one.opinions.flatMap((opinion) => opinion.events.map((event) => event.annotation_id)).slice(0, 12),
    candidates: doubted ? [[doubted.anim_id, doubted.model]] : [],
    model_id: doubted ? (model.value?.head_id ?? null) : null,
  };
}

/**
 * Decide the case on the screen. send: kind and fields of the event; reason: chose, other, unknown, not_animal, bad_box.
 * Resolves with false if nothing was decided.
 */
export async function decide(send, reason, words, input) {
  const one = current.value;
  if (!one || busy || !lookedLongEnough()) return false;
  busy = true;
  try {
    const event = {
      ...(one.item ? { track_id: one.item.track_id } : {}), ...send, lane: "free", shown: shownOf(one, reason, input),
      seconds: Math.round(performance.now() - shownAt) / 1000,
      ...(one.base_event_id ? { base_event_id: one.base_event_id, supersedes: one.base_event_id } : {}),
    };
    const ids = await record([event]);
    batch(() => {
      decided.value = [{ case: one, ids, words, authors: null }, ...decided.value];
      advance(one);
    });
    return true;
  } finally {
    busy = false;
  }
}

/** Ask the people who gave one of the answers; they see the note among their answers. */
export async function askAuthors(opinion, note, input) {
  const one = current.value;
  if (!one || busy) return;
  busy = true;
  try {
    const about = opinion.events.map((event) => event.annotation_id);
    const ids = await record(
      about.map((supersedes) => ({
        kind: "skip", track_id: one.item.track_id, ...(one.other ? { other_track_id: one.other.track_id } : {}),
        supersedes, note, lane: "free", shown: shownOf(one, "asked", input),
        seconds: Math.round(performance.now() - shownAt) / 1000,
      })),
    );
    batch(() => {
      decided.value = [{ case: one, ids, words: t("review.asked_words"), authors: null }, ...decided.value];
      advance(one);
    });
  } finally {
    busy = false;
  }
}

/** Confirm a provisional individual, or merge it into another. */
export async function settleIndividual(act, into, words) {
  const one = current.value;
  if (!one || busy || !lookedLongEnough()) return;
  busy = true;
  try {
    await post("/api/review/individual", { anim_id: one.individual.anim_id, act, ...(into ? { into } : {}) });
    batch(() => {
      decided.value = [{ case: one, ids: [], words, authors: null, act }, ...decided.value];
      advance(one);
    });
  } catch (error) {
    fault.value = error instanceof Refusal ? `${error.message} ${error.remedy}`.trim() : t("label.failed");
  } finally {
    busy = false;
  }
}

/** Take the newest decision of this visit back: its case comes back to the screen. */
export async function undo() {
  const [last, ...rest] = decided.value;
  if (!last || busy) return;
  busy = true;
  try {
    if (last.act) {
      const back = { confirm: "unconfirm", merge: "unmerge" }[last.act];
      await post("/api/review/individual", { anim_id: last.case.individual.anim_id, act: back });
    } else await takeBack(last.ids);
    gone.delete(last.case.key);
    batch(() => {
      decided.value = rest;
      if (last.case.queue === queue.value) cases.value = [last.case, ...cases.value];
      if (counts.value) counts.value = { ...counts.value, [last.case.queue]: counts.value[last.case.queue] + 1 };
    });
  } catch (error) {
    fault.value = error instanceof Refusal ? `${error.message} ${error.remedy}`.trim() : t("label.failed");
  } finally {
    busy = false;
  }
}

async function reveal(line) {
  const ids = line.case.opinions.flatMap((opinion) => opinion.events.map((event) => event.annotation_id)).slice(0, 50);
  if (!ids.length || line.authors) return;
  try {
    const { authors } = await get(`/api/review/authors?${ids.map((id) => `ids=${encodeURIComponent(id)}`).join("&")}`);
    decided.value = decided.value.map((one) => (one.ids === line.ids ? { ...one, authors } : one));
  } catch (error) {
    console.warn(error);
  }
}
