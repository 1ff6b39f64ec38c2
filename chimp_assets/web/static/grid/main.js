// Belongs here: confirming two dozen tracks of one individual at once.
// Does not belong here: one track at a time (label), what the server knows about the planted ones.

import { boot, html, signal, t, useEffect, useRef } from "../lib/ui.js";
import { open } from "../lib/dialogs.js";
import { startIsland, record, takeBack } from "../lib/island.js";
import { NoAnswer, post, get, Refusal } from "../lib/net.js";
import { connection } from "../lib/outbox.js";
import { Status } from "../label/tray.js";

const page = signal(null);
/** Tracks whose picture could not be had. */
const lost = signal(new Set());
const marked = signal(new Set());
const at = signal(0);
/** "loading" | "ready" | "empty" | "missed" | "stored" | "failed" */
const phase = signal("loading");
const fault = signal("");
const lastIds = signal([]);
let shownAt = 0;
let busy = false;

async function load() {
  phase.value = "loading";
  try {
    const query = boot.individual ? `?anim_id=${encodeURIComponent(boot.individual)}` : "";
    const found = await get(`/api/grid${query}`);
    page.value = found;
    marked.value = new Set();
    at.value = 0;
    phase.value = found.tracks.length ? "ready" : "empty";
    shownAt = performance.now();
  } catch (error) {
    failed(error);
  }
}

function failed(error) {
  if (error instanceof Refusal && error.status === 401) connection.value = "signed_out";
  fault.value = error instanceof Refusal ? `${error.message} ${error.remedy}`.trim() : t("label.failed");
  if (error instanceof NoAnswer) connection.value = "offline";
  phase.value = error instanceof Refusal && error.status === 404 ? "empty" : "failed";
}

function toggle(i) {
  const id = page.value.tracks[i]?.track_id;
  if (id === undefined) return;
  const next = new Set(marked.value);
  if (!next.delete(id)) next.add(id);
  marked.value = next;
  at.value = i;
}

async function confirm(how) {
  if (busy || phase.value !== "ready") return;
  busy = true;
  const { page_id, anim_id, tracks, model } = page.value;
  try {
    const judged = await post("/api/grid/check", { page_id, marked: [...marked.value] });
    if (!judged.passed) {
      phase.value = "missed";
      return;
    }
    const plants = new Set(judged.plants);
    const named = tracks.filter((one) => !marked.value.has(one.track_id) && !plants.has(one.track_id));
    const seconds = Math.round((performance.now() - shownAt) / Math.max(1, tracks.length)) / 1000;
    const shown = { mode: "grid", model_id: model?.head_id ?? null, page_id, candidates: [[anim_id, null]], input: how, ui: boot.version, schema: 1 };
    lastIds.value = await record(named.map((one) => ({ kind: "identify", track_id: one.track_id, anim_id, lane: "free", seconds, shown })));
    phase.value = "stored";
  } catch (error) {
    failed(error);
  } finally {
    busy = false;
  }
}

async function undo() {
  await takeBack(lastIds.value);
  lastIds.value = [];
  phase.value = "ready";
}

function columns(list) {
  const tops = [...(list?.children ?? [])].map((child) => child.offsetTop);
  return Math.max(1, tops.filter((top) => top === tops[0]).length);
}

function Tiles() {
  const list = useRef(null);
  useEffect(() => {
    const down = (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey || open.value || phase.value !== "ready") return;
      const focused = event.target.closest?.("a, button, input, select");
      if (event.key === "Enter" && focused && !focused.classList.contains("tile")) return;
      const n = page.value.tracks.length;
      const moves = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns(list.current), ArrowUp: -columns(list.current) };
      if (event.key in moves) {
        at.value = Math.min(Math.max(at.value + moves[event.key], 0), n - 1);
        list.current.children[at.value].querySelector("button").focus();
      } else if (event.code === "KeyX" && !event.repeat) toggle(at.value);
      else if (event.key === "Enter" && !event.repeat) confirm("key");
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", down);
    return () => removeEventListener("keydown", down);
  }, []);
  return html`<ul class="tiles" ref=${list}>
    ${page.value.tracks.map(
      (one, i) => html`<li key=${one.track_id}>
        <button type="button" class=${at.value === i ? "tile at" : "tile"} aria-pressed=${marked.value.has(one.track_id)} aria-label=${marked.value.has(one.track_id) ? t("grid.marked") : t("label.crop_at", { n: i + 1, s: one.track.first_s.toFixed(1) })} onClick=${() => toggle(i)}>
          ${one.crops[0] && !lost.value.has(one.track_id) ? html`<img src=${one.crops[0].url} alt="" decoding="async" onError=${() => (lost.value = new Set([...lost.value, one.track_id]))} />` : html`<span class="gap">${t("label.media_missing")}</span>`}
          <span class="cross" aria-hidden="true">✕</span>
        </button>
      </li>`,
    )}
  </ul>`;
}

function Grid() {
  const name = page.value?.name || page.value?.anim_id || "";
  const rest = page.value ? page.value.tracks.length - marked.value.size : 0;
  const message = {
    loading: () => html`<p class="large">${t("grid.loading")}</p>`,
    empty: () => html`<p class="large">${t("grid.empty")}</p><a class="button primary" href="/label">${t("grid.to_single")}</a>`,
    missed: () => html`<p class="large" role="alert">${t("grid.missed")}</p><a class="button primary" href="/label">${t("grid.to_single")}</a>`,
    stored: () => html`<p class="large" role="status">${t("grid.stored", { n: lastIds.value.length, name })}</p>
      <div class="row">
        <button type="button" onClick=${undo}>${t("grid.undo")}</button>
        <button type="button" class="primary" onClick=${load}>${t("grid.next")}</button>
      </div>`,
    failed: () => html`<p class="large">${fault.value}</p><button type="button" onClick=${load}>${t("label.look_again")}</button>`,
  }[phase.value];
  return html`<div class="sheet">
    ${message
      ? html`<div class="empty">${message()}</div>`
      : html`<div class="row spread">
            <div>
              <h2>${t("grid.title", { name })}</h2>
              <p class="hint">${t("grid.why")} ${t("grid.hint")} ${t("grid.left", { n: page.value.left })}</p>
            </div>
            <div class="faces" role="group" aria-label=${t("label.references_of", { name })}>
              ${page.value.references.slice(0, 5).map((one) => html`<img src=${one.url} alt="" key=${one.url} />`)}
            </div>
          </div>
          <${Tiles} />`}
    <footer class="bar">
      ${phase.value === "ready"
        ? html`<button type="button" class="primary action" onClick=${(event) => confirm(event.pointerType === "touch" ? "touch" : "mouse")}>
            <kbd aria-hidden="true">⏎</kbd>${rest ? t("grid.confirm", { n: rest, name }) : t("grid.confirm_none", { name })}
          </button>`
        : html`<span></span>`}
      <${Status} />
    </footer>
  </div>`;
}

await startIsland(Grid);
load();
