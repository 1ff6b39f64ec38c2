// Belongs here: which stored picture is on the screen, the canvas with its boxes, the words for who cannot see it.
// Does not belong here: playing (stills), who is chosen (lanes), keys.
//
// The stage alone says which picture is at: `stage.at`, a place in `frames` [[frame_no, seconds], ...], and
// `stage.frameNo`. Two calls move it, and both draw the boxes of that picture:
//   show(n)          the stored picture itself: for every decision, paused, a jump, a step
//   paint(n, image)  a picture of the same moment from elsewhere (a <video>), while it plays
// Whoever plays ends with show(stage.at), so that what is decided is decided on a stored picture; `stage.shown` says
// whether the stored picture that is at is on the screen.

import { NoAnswer, Refusal } from "../lib/net.js";

const KEPT_PICTURES = 60;
const AHEAD = 3;
const BOXES_AT_ONCE_S = 60;
const BOXES_AHEAD_S = 15;

/**
 * section: holds canvas, scrub and words. ask(path): JSON of an address. label(track), sure(track), chosen(): what the
 * lanes know. moved(): another picture is on the screen. pressed(track, event): a box was pressed. faults: says what
 * could not be had.
 */
export function makeStage(section, { id, frames, ask, label, sure, chosen, moved, pressed, faults }) {
  const canvas = section.querySelector("[data-canvas]");
  const said = section.querySelector("[data-said]");
  const scrub = section.querySelector("[data-scrub]");
  const boxes = new Map();
  const pictures = new Map();
  let at = 0;
  let turn = 0;
  let onCanvas = null;
  let shown = -1;

  /** The place of the stored picture at or before a moment. */
  function frameAt(seconds) {
    let low = 0;
    let high = frames.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (frames[middle][1] <= seconds + 1e-6) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  const addressOf = (n) => `/media/frame/${id}/${frames[n][0]}.jpg`;

  function picture(n) {
    if (!pictures.has(n)) {
      const image = new Image();
      image.src = addressOf(n);
      const here = image.decode().then(() => image, () => {
        pictures.delete(n); // asked anew when it is wanted again
        return null;
      });
      pictures.set(n, here);
      if (pictures.size > KEPT_PICTURES) pictures.delete(pictures.keys().next().value);
    }
    return pictures.get(n);
  }

  /** Boxes come a minute at a time: place in the row of minutes -> frame_no -> rows. */
  function minuteOf(n) {
    const minute = Math.floor(frames[n][1] / BOXES_AT_ONCE_S);
    if (!boxes.has(minute)) {
      const from = minute * BOXES_AT_ONCE_S;
      const entry = { rows: null };
      entry.promise = ask(`/api/videos/${id}/boxes?from=${from}&to=${from + BOXES_AT_ONCE_S}`).then(({ boxes: rows }) => {
        const of = new Map();
        for (const row of rows) of.set(row[0], [...(of.get(row[0]) ?? []), row]);
        entry.rows = of;
        faults.clear("boxes");
      }, (error) => {
        boxes.delete(minute);
        faults.say("boxes", error, () => show(at));
      });
      boxes.set(minute, entry);
    }
    return boxes.get(minute);
  }

  const rowsOf = (n) => minuteOf(n).rows?.get(frames[n][0]) ?? [];

  function moveTo(n) {
    at = Math.max(0, Math.min(frames.length - 1, n));
    turn += 1;
    scrub.value = frames[at][1];
    return turn;
  }

  /** Shows a stored picture; resolves when it is on the screen, or another is wanted. */
  async function show(n) {
    const mine = moveTo(n);
    const [image] = await Promise.all([picture(at), minuteOf(at).promise]);
    if (mine !== turn) return;
    draw(image);
    if (!image) return whyNoPicture(at);
    shown = at;
    faults.clear("picture");
    for (let ahead = 1; ahead <= AHEAD && at + ahead < frames.length; ahead += 1) picture(at + ahead);
  }

  /** The picture alone says only that it failed; asked once more, the server says why. */
  async function whyNoPicture(n) {
    const retry = () => show(at);
    const failed = section.querySelector("[data-fault]").dataset.wordsNoPicture.replace("{n}", frames[n][0]);
    try {
      const answer = await fetch(addressOf(n), { headers: { Accept: "application/json" } });
      if (answer.ok) return faults.say("picture", { message: failed }, retry);
      const { error, remedy } = await answer.json().catch(() => ({}));
      faults.say("picture", new Refusal(answer.status, { error: error ?? failed, remedy }), retry);
    } catch {
      faults.say("picture", navigator.onLine ? { message: failed } : new NoAnswer(failed), retry);
    }
  }

  /** Draws what plays elsewhere as the nth stored picture, with the boxes that are here. */
  function paint(n, image) {
    moveTo(n);
    minuteOf(frameAt(frames[at][1] + BOXES_AHEAD_S));
    draw(image);
  }

  function draw(image) {
    onCanvas = image;
    shown = -1;
    const rows = rowsOf(at);
    drawBoxes(canvas, image, rows, { label, sure, chosen: chosen() });
    said.value = section.dataset.wordsPicture.replace("{n}", frames[at][0]).replace("{time}", frames[at][1].toFixed(2));
    canvas.setAttribute("aria-label", [said.value, ...rows.map((row) => label(row[1]))].join(", "));
    document.body.dataset.frame = frames[at][0];
    moved();
  }

  /** The smallest box under a point of the screen: [.., track_id, ..], or undefined. */
  function boxAt({ clientX, clientY }) {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    const [x, y] = [(clientX - left) / width, (clientY - top) / height];
    const around = rowsOf(at).filter((row) => x >= row[2] && x <= row[2] + row[4] && y >= row[3] && y <= row[3] + row[5]);
    return around.sort((a, b) => a[4] * a[5] - b[4] * b[5])[0];
  }

  canvas.addEventListener("click", (event) => {
    const box = boxAt(event);
    if (box) pressed(box[1], event);
  });

  return {
    frames,
    frameAt,
    show,
    paint,
    addressOf,
    get at() {
      return at;
    },
    get frameNo() {
      return frames[at][0];
    },
    /** Whether the stored picture that is at is on the screen. */
    get shown() {
      return shown === at;
    },
    get seconds() {
      return frames[at][1];
    },
    /** The tracks with a box in this picture. */
    get tracks() {
      return rowsOf(at).map((row) => row[1]);
    },
    /** The same picture again: another track is chosen, or has another name. */
    redraw() {
      const before = shown;
      if (onCanvas) draw(onCanvas);
      shown = before;
    },
    /** Tracks were cut or joined: their boxes are asked anew. */
    forgetBoxes() {
      boxes.clear();
      return show(at);
    },
  };
}

/** image: of any source, or null. rows: [frame_no, track_id, x, y, w, h] as shares of the picture. */
function drawBoxes(canvas, image, rows, { label, sure, chosen }) {
  const pen = canvas.getContext("2d");
  const [width, height] = [image?.naturalWidth, image?.naturalHeight]; // a film is smaller, and fills the same canvas
  if (width && (canvas.width !== width || canvas.height !== height)) [canvas.width, canvas.height] = [width, height];
  pen.clearRect(0, 0, canvas.width, canvas.height);
  if (image) pen.drawImage(image, 0, 0, canvas.width, canvas.height);
  // As large on the glass on a phone as on a wide screen.
  const scale = canvas.width / (canvas.clientWidth || canvas.width);
  const thick = 1.5 * scale;
  pen.font = `${13 * scale}px system-ui, sans-serif`;
  const line = 18 * scale;
  const labels = [];
  // The chosen one last, over the others.
  for (const [, track, x, y, w, h] of [...rows].sort((a, b) => (a[1] === chosen) - (b[1] === chosen))) {
    pen.setLineDash(["unsure", "nobody"].includes(sure(track)) ? [thick * 4, thick * 3] : []);
    pen.lineWidth = thick * (track === chosen ? 2.5 : 1);
    pen.strokeStyle = track === chosen ? "#ffd23e" : "#7fd0a6";
    pen.strokeRect(x * canvas.width, y * canvas.height, w * canvas.width, h * canvas.height);
    labels.push({ words: label(track), x: x * canvas.width, y: Math.max(line, y * canvas.height), chosen: track === chosen });
  }
  pen.setLineDash([]);
  for (const one of labels) one.width = pen.measureText(one.words).width + 8 * scale;
  for (const one of placed(labels, line, canvas)) {
    pen.fillStyle = "rgba(0, 0, 0, .7)";
    pen.fillRect(one.x, one.y - line, one.width, line);
    pen.fillStyle = one.chosen ? "#ffd23e" : "#fff";
    pen.fillText(one.words, one.x + 4 * scale, one.y - line * 0.28);
  }
}

/** Labels moved so that each can be read: within the picture, and below those that they would cover. */
function placed(labels, line, { width, height }) {
  const done = [];
  const covers = (one, other) => Math.abs(one.y - other.y) < line && one.x < other.x + other.width && other.x < one.x + one.width;
  for (const one of labels.reverse()) {
    one.x = Math.max(0, Math.min(one.x, width - one.width));
    while (one.y + line <= height && done.some((other) => covers(one, other))) one.y += line;
    done.push(one);
  }
  return done;
}
