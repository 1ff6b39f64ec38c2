// Belongs here: deciding, taking back, going back to an earlier decision; what is on the screen now.
// Does not belong here: keys, pictures and words (screen), sending (outbox).

import { afterPaint, batch, boot, computed, signal } from "../lib/ui.js";
import { get, Refusal, uuid } from "../lib/net.js";
import { flush, onResult, settle, troubled, untilAnswered, waiting } from "../lib/outbox.js";
import { lookSeconds, sinceSeen } from "../lib/stopwatch.js";
import { keepDecision, keepSetting, ownHistory, setting, trimHistory } from "../lib/store.js";
import { indexed } from "./names.js";
import { advance, asFirst, items, missing, picturesOf, putFirst, renew, serverNow } from "./queue.js";

/** Nobody sees a picture and decides within this time: a key that came so early was meant for the track before. */
const SHORTEST_LOOK_MS = 80;

/** Own decisions that stand, the newest first. */
export const decisions = signal([]);
/** An earlier decision that is looked at again, or null. */
export const revisited = signal(null);
export const current = computed(() => revisited.value?.item ?? items.value[0] ?? null);
/** A note and a flag that go with the next answer about the track on the screen. */
export const note = signal(null);
/** {text, repeat}: why an answer was not taken yet. */
export const warning = signal(null);
/** True while an answer waits for the server, because this device keeps nothing. */
export const submitting = signal(false);
/** What a blind track's author has asked to see. */
export const unblinded = signal(false);
export const individuals = signal([]);
export const index = computed(() => indexed(individuals.value));
export const byCode = computed(() => new Map(individuals.value.map((one) => [one.anim_id, one])));
/** code -> when this person last named it: whom one sees today one sees again. */
export const recency = computed(() => {
  const last = new Map();
  for (const record of decisions.value) {
    const code = record.event.anim_id;
    if (code && !last.has(code)) last.set(code, record.at);
  }
  return last;
});
export const previous = computed(() => decisions.value.find((record) => NAMING.has(record.event.kind)) ?? null);

const NAMING = new Set(["identify", "new_individual"]);
/** Decisions that make other tracks of what they are about. */
export const REWRITING = new Set(["split", "merge"]);
/** id of a decision -> what follows once the server has it. */
const afterwards = new Map();
let busy = false;
let undoing = Promise.resolve();

export async function startSession() {
  const history = await ownHistory(boot.user);
  decisions.value = history.filter((record) => !record.undone);
  trimHistory();
  individuals.value = await setting("individuals", []);
  loadIndividuals();
  onResult((result, record) => {
    const follow = afterwards.get(record.id);
    afterwards.delete(record.id);
    if (follow && result.status !== "rejected") follow();
    if (result.status !== "rejected" || record.event.kind === "retract") return;
    decisions.value = decisions.value.map((one) => (one.id === record.id ? { ...one, rejected: true } : one));
  });
}

export async function loadIndividuals() {
  try {
    const answer = await get("/api/individuals");
    const made = individuals.value.filter((one) => one.local && !answer.individuals.some((a) => a.anim_id === one.anim_id));
    individuals.value = [...answer.individuals, ...made];
    await keepSetting("individuals", individuals.value);
  } catch (error) {
    if (!(error instanceof Refusal)) setTimeout(loadIndividuals, 30_000);
  }
}

export const lookedLongEnough = () => sinceSeen() >= SHORTEST_LOOK_MS;

/** What was on the screen when it was decided, for the record. */
export function whatWasShown(item, input, mode) {
  const hidden = item.blind && !unblinded.value;
  const shown = {
    mode: mode ?? (item.blind ? "blind" : "single"),
    model_id: item.model?.head_id ?? null,
    candidates: hidden ? [] : item.candidates.map((one) => [one.anim_id, Math.round(one.probability * 1e4) / 1e4]),
    references: hidden ? [] : item.candidates.flatMap((one) => one.references.map((ref) => hashOf(ref.url))),
    input,
    ui: boot.version ?? "",
    schema: 1,
  };
  if (picturesOf(item).some((url) => missing.value.has(url))) shown.media_missing = true;
  if (note.value?.flag) shown.flag = true;
  return shown;
}

const hashOf = (url) => url.split("/").pop().split(".")[0].slice(0, 32);

/** Is this individual already in the picture, in another track? Returns words for it, or null. */
export function alreadyThere(item, code) {
  const candidate = item.candidates.find((one) => one.anim_id === code);
  if (candidate?.in_frame) return candidate.in_frame;
  const other = decisions.value.find(
    (record) =>
      record.event.anim_id === code &&
      record.item.track_id !== item.track_id &&
      record.item.video.video_id === item.video.video_id &&
      record.item.track.first_s <= item.track.last_s &&
      record.item.track.last_s >= item.track.first_s,
  );
  return other ? other.item.track_id : null;
}

/**
 * Answer the track on the screen. kind and fields as the server's event; resolves when the next track is on the screen.
 * Returns false if nothing was decided: too early, nothing there, or another decision is being kept.
 */
export async function decide(kind, fields = {}, input = "key") {
  const item = current.value;
  if (!item || busy || !lookedLongEnough()) return false;
  busy = true;
  performance.mark("decided");
  try {
    const id = uuid();
    const event = {
      annotation_id: id,
      kind,
      track_id: item.track_id,
      item_id: item.item_id,
      lane: item.lane,
      shown: whatWasShown(item, input),
      seconds: lookSeconds(),
      client_time: new Date(serverNow()).toISOString(),
      ...(note.value?.text ? { note: note.value.text } : {}),
      ...fields,
    };
    if (revisited.value) event.supersedes = revisited.value.id;
    if (REWRITING.has(kind)) afterwards.set(id, () => renew(item.video.video_id, [item.track_id, fields.other_track_id]));
    const record = { id, user: boot.user, state: "waiting", at: Date.now(), event };
    const line = { id, user: boot.user, at: record.at, item, event, undone: false };
    const kept = await keepDecision({ events: [record], history: line, done: item.item_id });
    if (!kept) {
      submitting.value = true;
      const fault = await untilAnswered(id);
      submitting.value = false;
      if (fault) return false;
    }
    batch(() => {
      decisions.value = [line, ...decisions.value.filter((other) => other.id !== revisited.value?.id)];
      note.value = null;
      warning.value = null;
      unblinded.value = false;
      if (revisited.value) revisited.value = null;
      else advance(item.item_id);
      if (kept) waiting.value += 1;
    });
    afterPaint(flush);
    return true;
  } finally {
    busy = false;
  }
}

/** Name the track on the screen. Says so once if that individual is already in the picture. */
export async function name(code, input = "key") {
  const item = current.value;
  if (!item || busy || !lookedLongEnough()) return false;
  const there = alreadyThere(item, code);
  const repeated = warning.value?.code === code && warning.value.item_id === item.item_id;
  if (there && !repeated) {
    warning.value = { code, item_id: item.item_id, track: there };
    return false;
  }
  return decide("identify", { anim_id: code }, input);
}

/** A new individual with the code that its finder gives, or one made from the answer's id. */
export async function nameNew({ code, callName }, input) {
  const anim_id = (code || `NEW-${uuid().slice(0, 8)}`).trim().toUpperCase();
  const done = await decide("new_individual", { anim_id, ...(callName ? { name: callName } : {}) }, input);
  if (done && !byCode.value.has(anim_id)) {
    const made = { anim_id, name: callName || null, aliases: [], provisional: true, references: [], recent: 1, local: true };
    individuals.value = [...individuals.value, made];
    await keepSetting("individuals", individuals.value);
  }
  return done;
}

/** Take back the newest decision that stands: its track comes back to the screen. Quick presses are done in turn. */
export function undo() {
  undoing = undoing.then(undoOne, undoOne);
  return undoing;
}

async function undoOne() {
  if (busy) return false;
  if (revisited.value) {
    revisited.value = null;
    return true;
  }
  const line = decisions.value[0];
  if (!line) return false;
  busy = true;
  try {
    await takeBack(line);
    return true;
  } finally {
    busy = false;
  }
}

async function takeBack(line) {
  const rejected = troubled.value.some((record) => record.id === line.id && record.state === "rejected");
  const id = uuid();
  const event = {
    annotation_id: id, kind: "retract", supersedes: line.id, lane: line.event.lane,
    client_time: new Date(serverNow()).toISOString(),
  };
  if (REWRITING.has(line.event.kind)) afterwards.set(id, () => renew(line.item.video.video_id, []));
  // What the server never took needs no taking back there.
  const events = rejected ? [] : [{ id, user: boot.user, state: "waiting", at: Date.now(), event }];
  const back = asFirst(line.item);
  const kept = await keepDecision({ events, undone: line.id, reopened: back });
  if (rejected) await settle(line.id, "drop");
  if (!kept && events.length) {
    submitting.value = true;
    await untilAnswered(id);
    submitting.value = false;
  }
  batch(() => {
    putFirst(back);
    decisions.value = decisions.value.filter((other) => other.id !== line.id);
    note.value = line.event.note ? { text: line.event.note, flag: !!line.event.shown?.flag } : null;
    warning.value = null;
    lastTaken.value = { item_id: line.item.item_id, event: line.event };
  });
  flush();
}

/** What was taken back last, so that the screen can say what it had been. */
export const lastTaken = signal(null);

/** Look at an earlier decision again; another answer replaces it, undo returns to the queue. */
export function revisit(line) {
  batch(() => {
    revisited.value = line;
    note.value = null;
    warning.value = null;
  });
}

/** What a decision says, in words. */
export function meaningOf(event, t) {
  if (NAMING.has(event.kind)) {
    const one = byCode.value.get(event.anim_id);
    return one?.name || event.name || event.anim_id;
  }
  const name = byCode.value.get(event.anim_id)?.name || event.anim_id;
  return t(`label.answer.${event.kind}`, { name });
}
