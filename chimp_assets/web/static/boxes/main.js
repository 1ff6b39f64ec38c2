// Belongs here: the box editor: drawing and mending boxes with pointer, keys or buttons.
// Does not belong here: what lies between keyframes and what is stored (model).

import { boot, html, signal, t, useEffect, useRef } from "../lib/ui.js";
import { open } from "../lib/dialogs.js";
import { record, startIsland } from "../lib/island.js";
import { get, NoAnswer, Refusal, uuid } from "../lib/net.js";
import { connection } from "../lib/outbox.js";
import { Status, Tray } from "../label/tray.js";
import { around, changed, moved, read, tidy, toStore } from "./model.js";

const TAP_PX = 5;
const task = signal(null);
const scene = signal({ animals: [], stored: new Map() });
const at = signal(0);
const chosen = signal(null);
/** null | "new" (drag or two taps) | "four" */
const mode = signal(null);
const points = signal([]);
const draft = signal(null);
const hidden = signal(false);
/** "loading" | "ready" | "empty" | "failed" */
const phase = signal("loading");
const said = signal("");
let past = [];
const seen = { tracks: [], videos: [] };

async function load() {
  phase.value = "loading";
  try {
    const query = new URLSearchParams();
    for (const id of seen.tracks.slice(-200)) query.append("exclude", id);
    for (const id of seen.videos.slice(-200)) query.append("skip_videos", id);
    const answer = await get(`/api/boxes/next?${query}`);
    task.value = answer.task;
    phase.value = answer.task ? "ready" : "empty";
    if (!answer.task) return;
    scene.value = read(answer.task);
    past = [];
    at.value = 0;
    mode.value = null;
    chosen.value = scene.value.animals.find((one) => one.track_id === answer.task.track_id)?.key ?? scene.value.animals[0]?.key ?? null;
  } catch (error) {
    if (error instanceof Refusal && error.status === 401) connection.value = "signed_out";
    if (error instanceof NoAnswer) connection.value = "offline";
    said.value = error instanceof Refusal ? `${error.message} ${error.remedy}`.trim() : t("label.failed");
    phase.value = "failed";
  }
}

const boxHere = () => scene.value.animals.find((one) => one.key === chosen.value)?.frames[at.value] ?? null;

function change(animals) {
  past = [...past.slice(-199), scene.value.animals];
  scene.value = { ...scene.value, animals };
}

const put = (box) => chosen.value && change(changed(scene.value.animals, chosen.value, at.value, box && { ...box, how: "key" }));

function undo() {
  if (points.value.length) {
    points.value = points.value.slice(0, -1);
    return;
  }
  const before = past.pop();
  if (before) scene.value = { ...scene.value, animals: before };
}

function add(box) {
  // An animal that the detector lost in this frame keeps its track; else it is a new one.
  const alone = scene.value.animals.find((one) => one.key === chosen.value && !one.frames[at.value]);
  const animal = alone ?? { key: `new:${uuid()}`, track_id: null, frames: task.value.frames.map(() => null) };
  const animals = alone ? scene.value.animals : [...scene.value.animals, animal];
  change(changed(animals, animal.key, at.value, { ...box, how: "key" }));
  chosen.value = animal.key;
  mode.value = null;
  points.value = [];
  draft.value = null;
}

async function save(whole) {
  const shown = { mode: "boxes", reason: task.value.reason, accepted: whole, ui: boot.version, schema: 1 };
  const { events, stored } = toStore(scene.value, task.value, at.value, whole, uuid, shown);
  scene.value = { ...scene.value, stored };
  if (events.length) await record(events);
  if (whole) said.value = t("boxes.saved_frame", { n: scene.value.animals.filter((one) => one.frames[at.value]).length });
}

async function go(by, whole = false) {
  if (phase.value !== "ready") return;
  await save(whole);
  mode.value = null;
  points.value = [];
  const next = at.value + by;
  if (next >= task.value.frames.length && whole) return finish();
  at.value = Math.min(Math.max(next, 0), task.value.frames.length - 1);
}

async function finish() {
  await save(false);
  if (task.value.track_id !== null) seen.tracks.push(task.value.track_id);
  else seen.videos.push(task.value.video.video_id);
  await load();
}

function toggleKey() {
  const box = boxHere();
  if (!box) return;
  if (box.how === "key" || box.how === "drawn") {
    const animals = scene.value.animals.map((one) => {
      if (one.key !== chosen.value) return one;
      const frames = [...one.frames];
      frames[at.value] = { ...box, how: "guessed" };
      return { ...one, frames };
    });
    change(animals.map((one) => (one.key === chosen.value ? changed([one], one.key, at.value, { ...box, how: "guessed" })[0] : one)));
  } else put(box);
}

/** The animal is not in this frame nor in the later ones of the task, up to its next keyframe. */
function leave() {
  change(
    scene.value.animals.map((one) => {
      if (one.key !== chosen.value) return one;
      const frames = [...one.frames];
      for (let i = at.value; i < frames.length; i += 1) {
        if (i > at.value && frames[i]?.how === "key") break;
        frames[i] = null;
      }
      return { ...one, frames };
    }),
  );
}

function nudge(dx, dy, dw = 0, dh = 0) {
  const box = boxHere();
  const size = picture;
  if (!box || !size) return;
  if (dw || dh) put(tidy({ ...box, w: Math.max(box.w + dw / size[0], 0.004), h: Math.max(box.h + dh / size[1], 0.004) }));
  else put(moved(box, dx / size[0], dy / size[1]));
}

let picture = [640, 360];
const begin = (which) => () => {
  mode.value = mode.value === which ? null : which;
  points.value = [];
  draft.value = null;
};
const KEYS = {
  KeyN: begin("new"), Digit4: begin("four"), KeyD: () => go(-1), KeyF: () => go(1), KeyK: toggleKey, KeyO: leave,
  KeyH: () => (hidden.value = !hidden.value), Delete: () => put(null), Backspace: () => put(null), KeyZ: undo, Enter: () => go(1, true),
  Escape: () => begin(null)(),
  ArrowLeft: (by) => nudge(-by, 0), ArrowRight: (by) => nudge(by, 0), ArrowUp: (by) => nudge(0, -by), ArrowDown: (by) => nudge(0, by),
};
const REPEATS = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "KeyD", "KeyF"];

function Stage({ frame }) {
  const svg = useRef(null);
  const image = useRef(null);
  const drag = useRef(null);
  const size = signalSize.value;
  const at01 = (event) => {
    const rect = svg.current.getBoundingClientRect();
    return [Math.min(Math.max((event.clientX - rect.left) / rect.width, 0), 1), Math.min(Math.max((event.clientY - rect.top) / rect.height, 0), 1)];
  };
  const grip = (8 * size[0]) / Math.max(1, svg.current?.clientWidth || size[0]);

  const down = (event) => {
    if (event.button) return;
    event.preventDefault();
    svg.current.setPointerCapture(event.pointerId);
    const point = at01(event);
    const { key, corner } = event.target.dataset ?? {};
    const start = { point, client: [event.clientX, event.clientY], far: false };
    if (mode.value) drag.current = { ...start, kind: mode.value };
    else if (corner) {
      const box = boxHere();
      drag.current = { ...start, kind: "corner", fixed: [corner.includes("w") ? box.x + box.w : box.x, corner.includes("n") ? box.y + box.h : box.y] };
    } else if (key) {
      chosen.value = key;
      drag.current = { ...start, kind: "move", box: boxHere() };
    } else drag.current = { ...start, kind: "new" };
  };
  const move = (event) => {
    const now = drag.current;
    if (!now) return;
    const point = at01(event);
    now.far ||= Math.hypot(event.clientX - now.client[0], event.clientY - now.client[1]) > TAP_PX;
    if (!now.far) return;
    if (now.kind === "new") draft.value = around([now.point, point]);
    else if (now.kind === "corner") draft.value = around([now.fixed, point]);
    else if (now.kind === "move") draft.value = moved(now.box, point[0] - now.point[0], point[1] - now.point[1]);
  };
  const up = (event) => {
    const now = drag.current;
    drag.current = null;
    if (!now) return;
    const box = draft.value;
    draft.value = null;
    if (now.far && box && now.kind === "new") add(box);
    else if (now.far && box) put(box);
    else if (now.kind === "four") {
      points.value = [...points.value, at01(event)];
      if (points.value.length === 4) add(around(points.value));
    } else if (now.kind === "new" && mode.value === "new") {
      points.value = [...points.value, at01(event)];
      if (points.value.length === 2) add(around(points.value));
    } else if (now.kind === "new") chosen.value = null;
  };

  const rect = (box) => ({ x: box.x * size[0], y: box.y * size[1], width: box.w * size[0], height: box.h * size[1] });
  const own = draft.value && drag.current?.kind !== "new" ? draft.value : boxHere();
  return html`<div class="box-room" style=${{ "--ratio": String(size[0] / size[1]) }}><div class="box-stage">
    <img ref=${image} src=${frame.url} alt=${t("boxes.frame", { n: at.value + 1, of: task.value.frames.length })} draggable=${false} onLoad=${() => {
      picture = [image.current.naturalWidth, image.current.naturalHeight];
      signalSize.value = picture;
    }} />
    <svg ref=${svg} viewBox=${`0 0 ${size[0]} ${size[1]}`} preserveAspectRatio="none" data-mode=${mode.value ?? ""} onPointerDown=${down} onPointerMove=${move} onPointerUp=${up} onPointerCancel=${() => {
      drag.current = null;
      draft.value = null;
    }}>
      ${!hidden.value &&
      scene.value.animals.map((animal) => {
        const mine = animal.key === chosen.value;
        const box = mine ? own : animal.frames[at.value];
        return box && html`<rect key=${animal.key} data-key=${animal.key} class=${`box ${box.how ?? "key"}${mine ? " chosen" : ""}`} ...${rect(box)} />`;
      })}
      ${draft.value && (drag.current?.kind === "new") && html`<rect class="box chosen" ...${rect(draft.value)} />`}
      ${!hidden.value &&
      own &&
      !mode.value &&
      ["nw", "ne", "sw", "se"].map((corner) => html`<circle key=${corner} class="grip" data-corner=${corner} r=${grip} cx=${(own.x + (corner.includes("e") ? own.w : 0)) * size[0]} cy=${(own.y + (corner.includes("s") ? own.h : 0)) * size[1]} />`)}
      ${points.value.map(([x, y], i) => html`<circle key=${`p${i}`} class="dot4" r=${grip * 0.7} cx=${x * size[0]} cy=${y * size[1]} />`)}
    </svg>
  </div></div>`;
}
const signalSize = signal(picture);

function Tools() {
  const button = (text, act, key, pressed) => html`<button type="button" class="action" aria-pressed=${pressed} onClick=${() => act()}>
    ${key && html`<kbd aria-hidden="true">${key}</kbd>`}${text}
  </button>`;
  const none = !boxHere();
  const small = (text, label, ...by) => html`<button type="button" class="action" disabled=${none} aria-label=${label} onClick=${() => nudge(...by)}>${text}</button>`;
  return html`<div class="box-tools">
    <section>
      <h3>${t("boxes.choose")}</h3>
      <ul class="box-list">
        ${scene.value.animals.map((animal, i) => {
          const box = animal.frames[at.value];
          return html`<li key=${animal.key}>
            <button type="button" aria-pressed=${animal.key === chosen.value} onClick=${() => (chosen.value = animal.key)}>
              ${t("boxes.box_n", { n: i + 1 })}<span class="hint">${box ? { predicted: t("boxes.predicted"), guessed: t("boxes.guessed") }[box.how] ?? t("boxes.drawn") : "–"}</span>
            </button>
          </li>`;
        })}
      </ul>
    </section>
    <section class="actions">
      ${button(t("boxes.new"), KEYS.KeyN, "N", mode.value === "new")} ${button(t("boxes.four"), KEYS.Digit4, "4", mode.value === "four")}
      ${button(t("boxes.key"), toggleKey, "K", boxHere()?.how === "key")} ${button(t("boxes.leaves"), leave, "O")}
      ${button(t("boxes.delete"), KEYS.Delete, "Del")} ${button(hidden.value ? t("boxes.show") : t("boxes.hide"), KEYS.KeyH, "H", hidden.value)} ${button(t("boxes.undo"), undo, "Z")}
    </section>
    <section>
      <h3>${t("boxes.nudge")}</h3>
      <div class="actions">
        ${small("←", t("boxes.left"), -2, 0)} ${small("↑", t("boxes.up"), 0, -2)} ${small("↓", t("boxes.down"), 0, 2)} ${small("→", t("boxes.right"), 2, 0)}
        ${small("↔ +", t("boxes.wider"), 0, 0, 4, 0)} ${small("↔ −", t("boxes.narrower"), 0, 0, -4, 0)} ${small("↕ +", t("boxes.taller"), 0, 0, 0, 4)} ${small("↕ −", t("boxes.lower"), 0, 0, 0, -4)}
      </div>
    </section>
  </div>`;
}

function Boxes() {
  useEffect(() => {
    const down = (event) => {
      const act = KEYS[event.code.replace("Numpad", "Digit")];
      if (!act || open.value || event.ctrlKey || event.altKey || event.metaKey || phase.value !== "ready") return;
      const focused = event.target.closest?.("a[href], button, input, select");
      if (focused && (event.key === "Enter" || focused.matches("input, select"))) return;
      event.preventDefault();
      if (event.repeat && !REPEATS.includes(event.code)) return;
      act(event.shiftKey ? 10 : 1);
    };
    const release = (event) => event.detail > 0 && event.target.closest?.("button")?.blur();
    addEventListener("keydown", down);
    addEventListener("click", release, true);
    return () => {
      removeEventListener("keydown", down);
      removeEventListener("click", release, true);
    };
  }, []);
  const ready = phase.value === "ready";
  const words = { loading: t("label.loading"), empty: t("boxes.empty"), failed: said.value }[phase.value];
  const frames = task.value?.frames ?? [];
  const hint = mode.value === "four" ? t("boxes.four_hint", { n: 4 - points.value.length }) : mode.value === "new" ? t("boxes.draw_hint") : said.value;
  return html`<div class="sheet boxes-sheet" data-phase=${phase.value} data-frame=${at.value}>
    ${ready
      ? html`<p class="facts"><span>${task.value.video.camera ?? ""}</span><span>${task.value.video.file}</span><span>${t("boxes.frame", { n: at.value + 1, of: frames.length })}</span><span>${t(`boxes.${task.value.reason}`)}</span></p>
          <div class="box-editor"><${Stage} frame=${frames[at.value]} /><${Tools} /></div>
          <p class="hint" role="status">${hint || " "}</p>
          ${frames[at.value + 1] && html`<img hidden src=${frames[at.value + 1].url} alt="" />`}
          <${Tray} />`
      : html`<div class="empty" role="status"><p class="large">${words}</p>${phase.value !== "loading" && html`<button type="button" onClick=${load}>${t("label.look_again")}</button>`}</div>`}
    <footer class="bar">
      <div class="actions">
        ${ready &&
        html`<button type="button" class="action" onClick=${() => go(-1)}><kbd aria-hidden="true">D</kbd>${t("boxes.previous")}</button>
          <button type="button" class="action" onClick=${() => go(1)}><kbd aria-hidden="true">F</kbd>${t("boxes.next")}</button>
          <button type="button" class="action primary" onClick=${() => go(1, true)}><kbd aria-hidden="true">⏎</kbd>${t("boxes.accept")}</button>
          <button type="button" class="action" onClick=${finish}>${t("boxes.skip")}</button>`}
      </div>
      <${Status} />
    </footer>
  </div>`;
}

await startIsland(Boxes);
load();
