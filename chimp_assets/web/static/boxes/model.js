// Belongs here: the boxes of a few neighbouring frames: keyframes, what lies between them, what was stored.
// Does not belong here: drawing, keys, sending.
//
// An animal is {key, track_id, frames: [box | null]}; a box is {x, y, w, h, how} in fractions of the picture.
// how: "predicted" (by the detector), "drawn" (stored by a person), "key" (set here), "guessed" (between two keys).

export const SMALLEST = 0.004;

const geometry = (box) => box && [box.x, box.y, box.w, box.h].map((value) => Math.round(value * 1e5) / 1e5).join();

/** The animals of a task, and by "key@frame" what the server has. */
export function read(task) {
  const animals = new Map();
  const stored = new Map();
  task.frames.forEach((frame, i) => {
    for (const box of frame.boxes) {
      const key = box.track_id === null ? `event:${box.event_id}` : `track:${box.track_id}`;
      if (!animals.has(key)) animals.set(key, { key, track_id: box.track_id, frames: task.frames.map(() => null) });
      const { x, y, w, h } = box;
      animals.get(key).frames[i] = { x, y, w, h, how: box.event_id ? "drawn" : "predicted" };
      if (box.event_id) stored.set(`${key}@${i}`, { id: box.event_id, geometry: geometry(box) });
    }
  });
  return { animals: [...animals.values()], stored };
}

/** A box that lies in the picture and is not nothing; corners in any order. */
export function tidy({ x, y, w, h }) {
  const left = Math.min(Math.max(Math.min(x, x + w), 0), 1 - SMALLEST);
  const top = Math.min(Math.max(Math.min(y, y + h), 0), 1 - SMALLEST);
  const right = Math.min(Math.max(Math.max(x, x + w), left + SMALLEST), 1);
  const bottom = Math.min(Math.max(Math.max(y, y + h), top + SMALLEST), 1);
  return { x: left, y: top, w: right - left, h: bottom - top };
}

/** The smallest box around points: two corners, or the four outermost points of an animal. */
export function around(points) {
  const xs = points.map((point) => point[0]);
  const ys = points.map((point) => point[1]);
  const [x, y] = [Math.min(...xs), Math.min(...ys)];
  return tidy({ x, y, w: Math.max(...xs) - x, h: Math.max(...ys) - y });
}

/** The same size elsewhere: stops at the edge instead of shrinking. */
export const moved = (box, dx, dy) => ({
  ...box, x: Math.min(Math.max(box.x + dx, 0), 1 - box.w), y: Math.min(Math.max(box.y + dy, 0), 1 - box.h),
});

/** Boxes of an animal with those between two keys put on the straight line between them. */
export function interpolated(frames) {
  const keys = frames.flatMap((box, i) => (box && (box.how === "key" || box.how === "drawn") ? [i] : []));
  const next = [...frames];
  for (let k = 1; k < keys.length; k += 1) {
    const [a, b] = [keys[k - 1], keys[k]];
    // Between two that were stored before, nothing was changed here: what the detector says there stays.
    if (frames[a].how === "drawn" && frames[b].how === "drawn") continue;
    for (let i = a + 1; i < b; i += 1) {
      if (frames[i]?.how === "gone") continue;
      const share = (i - a) / (b - a);
      const between = (name) => frames[a][name] + share * (frames[b][name] - frames[a][name]);
      next[i] = { x: between("x"), y: between("y"), w: between("w"), h: between("h"), how: "guessed" };
    }
  }
  return next;
}

/** The animals with one box changed at frame i; null takes it away there. */
export function changed(animals, key, i, box) {
  return animals.map((animal) => {
    if (animal.key !== key) return animal;
    const frames = [...animal.frames];
    frames[i] = box && { ...box, how: box.how ?? "key" };
    return { ...animal, frames: interpolated(frames) };
  });
}

/**
 * What the server must learn about frame i, and what it then has. `whole`: the frame is accepted, so every box that
 * is seen is said; else only those set here. Returns {events, stored}.
 */
export function toStore({ animals, stored }, task, i, whole, makeId, shown) {
  const events = [];
  const next = new Map(stored);
  for (const animal of animals) {
    const place = `${animal.key}@${i}`;
    const box = animal.frames[i];
    const before = stored.get(place);
    if (!box) {
      if (!before) continue;
      events.push({ annotation_id: makeId(), kind: "retract", supersedes: before.id });
      next.delete(place);
    } else if ((whole || box.how === "key") && geometry(box) !== before?.geometry) {
      const id = makeId();
      const { x, y, w, h } = box;
      events.push({
        annotation_id: id, kind: "box", video_id: task.video.video_id, frame_no: task.frames[i].frame_no, x, y, w, h, shown,
        ...(animal.track_id === null ? {} : { track_id: animal.track_id }),
        ...(before ? { base_event_id: before.id, supersedes: before.id } : {}),
      });
      next.set(place, { id, geometry: geometry(box) });
    }
  }
  return { events, stored: next };
}
