// Belongs here: the picture of the track: its best frame, its clip with the boxes drawn over it, its crops.
// Does not belong here: candidates, keys.

import { html, signal, t, useEffect, useLayoutEffect, useRef, useState } from "../lib/ui.js";
import { get } from "../lib/net.js";
import { clipIsHere, missing } from "./queue.js";

/** "clip" (whole picture with the box), "crop" (one crop, large), "bright" (the same, brightened). */
export const view = signal("clip");
/** Which of the crops is looked at. */
export const cropAt = signal(0);
export const playing = signal(false);
/** Seconds within the clip that are on the screen; null while the best frame stands there. */
const clipTime = signal(null);

const LOOKED_MS = 600;

const boxFiles = new Map();
let video = null;

/** Back to the best frame, for another track. */
export function resetClip() {
  cropAt.value = 0;
  playing.value = false;
  clipTime.value = null;
  if (view.value !== "bright") view.value = "clip";
}

export function togglePlay(item) {
  if (!item.clip) return;
  view.value = "clip";
  playing.value = !playing.value;
}

export function nextView() {
  const order = ["clip", "crop", "bright"];
  view.value = order[(order.indexOf(view.value) + 1) % order.length];
  if (view.value !== "clip") playing.value = false;
}

export function step(item, by) {
  if (view.value === "clip" && item.clip && video && video.readyState >= 2) {
    playing.value = false;
    const at = video.currentTime + by / item.clip.fps;
    video.currentTime = Math.min(Math.max(at, 0), video.duration || at);
    return;
  }
  const n = item.crops.length;
  if (n) lookAtCrop((cropAt.value + by + n) % n);
}

export function lookAtCrop(i) {
  cropAt.value = i;
  playing.value = false;
  if (view.value === "clip") view.value = "crop";
}

/** The frame of the archive's video that is on the screen: where a split would cut. */
export function frameOnScreen(item) {
  if (view.value !== "clip" && item.crops[cropAt.value]) return item.crops[cropAt.value].frame_no;
  if (clipTime.value === null || !item.clip) return item.frame?.frame_no ?? item.crops[0]?.frame_no ?? null;
  const { first_s, last_s, first_frame_no, last_frame_no } = item.track;
  const share = last_s > first_s ? (item.clip.start_s + clipTime.value - first_s) / (last_s - first_s) : 0;
  const frame = Math.round(first_frame_no + share * (last_frame_no - first_frame_no));
  return Math.min(Math.max(frame, first_frame_no), last_frame_no);
}

async function boxesOf(clip) {
  if (!clip?.boxes_url) return null;
  if (!boxFiles.has(clip.boxes_url)) {
    if (boxFiles.size > 200) boxFiles.clear();
    boxFiles.set(clip.boxes_url, get(clip.boxes_url).catch(() => (boxFiles.delete(clip.boxes_url), null)));
  }
  return boxFiles.get(clip.boxes_url);
}

/** The box nearest in time: frames are [time_s, x, y, w, h], in order of time. None farther than half a second. */
export function boxAt(frames, time) {
  let low = 0;
  let high = frames.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (frames[middle][0] <= time) low = middle;
    else high = middle - 1;
  }
  const near = [frames[low], frames[low + 1]].filter(Boolean).sort((a, b) => Math.abs(a[0] - time) - Math.abs(b[0] - time));
  return near.length && Math.abs(near[0][0] - time) <= 0.5 ? near[0].slice(1) : null;
}

/** Where a picture of a size lies in a room that shows it whole: left, top, width, height in CSS pixels. */
export function fitted(room, size) {
  const scale = Math.min(room[0] / size[0], room[1] / size[1]);
  const [width, height] = [size[0] * scale, size[1] * scale];
  return [(room[0] - width) / 2, (room[1] - height) / 2, width, height];
}

/** room: the canvas's CSS pixels as last observed; to ask the canvas would make the browser lay out the page at once. */
function drawBoxes(canvas, room, size, boxes) {
  const dpr = devicePixelRatio || 1;
  const [w, h] = [Math.round(room[0] * dpr), Math.round(room[1] * dpr)];
  if (canvas.width !== w) canvas.width = w;
  if (canvas.height !== h) canvas.height = h;
  const pen = canvas.getContext("2d");
  pen.setTransform(dpr, 0, 0, dpr, 0, 0);
  pen.clearRect(0, 0, room[0], room[1]);
  const [left, top, width, height] = fitted(room, size);
  const stroke = ([x, y, bw, bh], colour, line, dash) => {
    pen.setLineDash(dash);
    pen.lineWidth = line;
    pen.strokeStyle = colour;
    pen.strokeRect(left + x * width, top + y * height, bw * width, bh * height);
  };
  for (const other of boxes.others) stroke(other, "rgba(255,255,255,0.75)", 1.5, [5, 4]);
  if (boxes.own) {
    // A dark line under the bright one is seen on leaves and on sky.
    stroke(boxes.own, "rgba(0,0,0,0.75)", 5, []);
    stroke(boxes.own, "#ffd23e", 2.5, []);
  }
}

export function Clip({ item }) {
  const canvas = useRef(null);
  const room = useRef(null);
  const film = useRef(null);
  const [boxes, setBoxes] = useState(null);
  const [loaded, setLoaded] = useState(null);
  const [failed, setFailed] = useState(false);
  const [looked, setLooked] = useState(null);
  const crop = item.crops[cropAt.value];
  const whole = view.value === "clip";
  // Of this track: what was loaded for the one before must not make a player in the moment in which it changes.
  const here = loaded === item.item_id;
  // What came without pictures has one that is cut for it, until the others are there.
  const still = (whole ? (item.frame ?? crop) : crop) ?? (item.face ? { url: item.face } : null);
  // A clip on a slow link must not take the line from the pictures of the next tracks: it loads once they are here.
  // And a player costs more than the rest of the screen: it is made when the next key has not come at once.
  const wanted = !!item.clip && (playing.value || (looked === item.item_id && clipIsHere(item)) || here);

  useEffect(() => {
    setBoxes(null);
    setFailed(false);
    const later = setTimeout(() => setLooked(item.item_id), LOOKED_MS);
    return () => clearTimeout(later);
  }, [item.item_id]);
  useEffect(() => {
    let alive = true;
    if (wanted) boxesOf(item.clip).then((found) => alive && setBoxes(found));
    return () => {
      alive = false;
    };
  }, [item.item_id, wanted]);
  useEffect(() => {
    video = film.current;
    return () => {
      video = null;
    };
  });
  useEffect(() => {
    const element = film.current;
    if (!element || !wanted) return;
    if (playing.value) element.play().catch(() => (playing.value = false));
    else element.pause();
  }, [playing.value, wanted, item.item_id]);

  const draw = () => {
    if (!canvas.current || !room.current) return;
    const time = clipTime.value;
    if (!whole) return drawBoxes(canvas.current, room.current, [1, 1], { own: null, others: [] });
    if (time !== null && boxes && item.clip) {
      const others = boxes.others.map((other) => boxAt(other.frames, time)).filter(Boolean);
      return drawBoxes(canvas.current, room.current, [item.clip.width, item.clip.height], { own: boxAt(boxes.frames, time), others });
    }
    const size = item.clip ? [item.clip.width, item.clip.height] : item.frame ? [item.frame.width || 16, item.frame.height || 9] : [1, 1];
    return drawBoxes(canvas.current, room.current, size, { own: item.frame?.box ?? null, others: [] });
  };
  const latest = useRef(draw);
  latest.current = draw;
  useLayoutEffect(draw);
  useEffect(() => {
    const watcher = new ResizeObserver(([seen]) => {
      room.current = [seen.contentRect.width, seen.contentRect.height];
      latest.current();
    });
    watcher.observe(canvas.current);
    return () => watcher.disconnect();
  }, []);
  useEffect(() => {
    const element = film.current;
    if (!element) return;
    let handle = 0;
    const onFrame = (_, facts) => {
      if (playing.value || clipTime.value !== null || element.currentTime > 0) clipTime.value = facts.mediaTime;
      handle = element.requestVideoFrameCallback(onFrame);
    };
    if (element.requestVideoFrameCallback) handle = element.requestVideoFrameCallback(onFrame);
    else element.ontimeupdate = () => (clipTime.value = element.currentTime);
    return () => element.cancelVideoFrameCallback?.(handle);
  }, [item.item_id, wanted]);

  const showFilm = whole && here && clipTime.value !== null;
  return html`<div class="stage" data-view=${view.value}>
    ${still
      ? html`<img class=${view.value === "bright" ? "still bright" : "still"} src=${still.url} alt=${t("label.picture_of_track")} decoding="sync" draggable=${false} />`
      : html`<p class="gap">${item.media_reason ?? t("label.media_missing")}</p>`}
    ${still && missing.value.has(still.url) && html`<p class="gap">${item.media_reason ?? t("label.media_missing")}</p>`}
    ${wanted &&
    html`<video
      key=${item.item_id}
      ref=${film}
      class="film"
      hidden=${!showFilm}
      src=${item.clip.url}
      muted
      loop
      playsinline
      preload="auto"
      onLoadedData=${(event) => {
        setLoaded(item.item_id);
        if (!playing.value) event.target.currentTime = item.clip.best_s ?? 0;
      }}
      onError=${() => {
        setFailed(true);
        playing.value = false;
      }}
    ></video>`}
    <canvas class="boxes" ref=${canvas} aria-hidden="true"></canvas>
    ${failed && html`<p class="note">${t("label.clip_missing")}</p>`}
    <div class="stage-tools">
      ${item.clip &&
      html`<button type="button" onClick=${() => togglePlay(item)} aria-pressed=${playing.value}>
        ${playing.value ? t("label.pause") : t("label.play")}
      </button>`}
      <button type="button" onClick=${() => step(item, -1)} aria-label=${t("label.back")}>‹</button>
      <button type="button" onClick=${() => step(item, 1)} aria-label=${t("label.forward")}>›</button>
      <button type="button" onClick=${nextView}>${t(`label.view.${view.value}`)}</button>
    </div>
  </div>`;
}

export function Strip({ item }) {
  return html`<ul class="strip" aria-label=${t("label.crops")}>
    ${item.crops.map(
      (crop, i) => html`<li key=${crop.url}>
        <button
          type="button"
          class="crop"
          aria-pressed=${view.value !== "clip" && cropAt.value === i}
          onClick=${() => lookAtCrop(i)}
          aria-label=${t("label.crop_at", { n: i + 1, s: crop.time_s.toFixed(1) })}
        >
          ${missing.value.has(crop.url)
            ? html`<span class="gap">${t("label.media_missing")}</span>`
            : html`<img src=${crop.url} alt="" decoding="sync" draggable=${false} />`}
        </button>
      </li>`,
    )}
  </ul>`;
}
