// Belongs here: confirming two dozen tracks of one individual at once.
// Does not belong here: one track at a time (label), what the server knows about the planted ones.
//
// The answer to a page is one request: it is kept on this device first, and the server stores all of it or nothing.

import { boot, effect, html, signal, t, useEffect, useLayoutEffect, useRef } from "../lib/ui.js";
import { open } from "../lib/dialogs.js";
import { startIsland, record } from "../lib/island.js";
import { NoAnswer, get, Refusal, uuid } from "../lib/net.js";
import { connection, onResult } from "../lib/outbox.js";
import { lookSeconds, seen } from "../lib/stopwatch.js";
import { Status } from "../label/tray.js";

const PATH = "/api/grid";
/** Outside of these the server does not say soon what became of an answer. */
const REACHABLE = new Set(["ok"]);

const page = signal(null);
/** Tracks whose picture could not be had. */
const lost = signal(new Set());
const marked = signal(new Set());
const at = signal(0);
/** "loading" | "ready" | "sending" | "empty" | "missed" | "kept" | "failed" */
const phase = signal("loading");
const fault = signal("");
/** The last answer that can be taken back: {answer_id, page_id, name, named}; page and marks if it was given here. */
const last = signal(null);
const answers = new Map();
let anyPage = false;

async function load() {
  phase.value = "loading";
  try {
    const query = boot.individual ? `?anim_id=${encodeURIComponent(boot.individual)}` : anyPage ? "" : "?planned=true";
    const found = await get(`${PATH}${query}`);
    if (found.last?.answer_id !== last.value?.answer_id) last.value = found.last ?? last.value;
    show(found);
  } catch (error) {
    failed(error);
  }
}

function show(found, marks = new Set()) {
  page.value = found;
  marked.value = marks;
  at.value = 0;
  phase.value = found.tracks.length ? "ready" : "empty";
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

/** What the server says of a kept answer, or null where it cannot be asked now: the answer is then sent later, once. */
function resultOf(id) {
  return new Promise((done) => {
    const stop = onResult((result, { id: of }) => of === id && finish(result));
    const forget = effect(() => !REACHABLE.has(connection.value) && setTimeout(finish, 0, null));
    function finish(result) {
      stop();
      forget();
      done(result);
    }
  });
}

async function keep(event, path) {
  const annotation_id = uuid();
  const result = resultOf(annotation_id);
  await record([{ annotation_id, ...event }], { path });
  return { annotation_id, result: await result };
}

async function confirm(how) {
  if (phase.value !== "ready") return;
  const seconds = lookSeconds();
  phase.value = "sending";
  const given = page.value;
  const marks = marked.value;
  const { page_id, anim_id, name, tracks } = given;
  const sent = { kind: "grid_page", page_id, marked: [...marks], seconds, input: how, ui: boot.version ?? null };
  const { annotation_id, result } = await keep(sent, PATH);
  if (result?.status === "rejected") {
    fault.value = result.reason ?? "";
    phase.value = "failed";
  } else if (result?.missed?.length) {
    phase.value = "missed";
  } else {
    answers.set(annotation_id, { given, marks });
    const named = result?.named ?? tracks.length - marks.size;
    last.value = { answer_id: annotation_id, page_id, anim_id, name, named, waits: !result };
    if (result) await load();
    else phase.value = "kept";
  }
}

async function undo() {
  const { answer_id, page_id } = last.value;
  if (phase.value === "sending") return;
  phase.value = "sending";
  last.value = null;
  const { result } = await keep({ kind: "grid_undo", page_id, answer_id }, `${PATH}/undo`);
  const here = answers.get(answer_id);
  if (result?.status === "rejected") {
    fault.value = result.reason ?? "";
    phase.value = "failed";
  } else if (here) show(here.given, here.marks);
  else await load();
}

function columns(list) {
  const tops = [...(list?.children ?? [])].map((child) => child.offsetTop);
  return Math.max(1, tops.filter((top) => top === tops[0]).length);
}

function Tiles() {
  const list = useRef(null);
  useLayoutEffect(() => seen(), [page.value]);
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
      else if (event.key === "Backspace" && !event.repeat && last.value) undo();
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

/** What the last answer has done, and the way back. */
function Last() {
  const one = last.value;
  if (!one || phase.value === "sending") return null;
  const said = one.waits ? "grid.kept" : "grid.stored";
  return html`<p class="row" role="status">
    <span>${t(said, { n: one.named, name: one.name || one.anim_id })}</span>
    <button type="button" onClick=${undo}>${t("grid.undo")}</button>
  </p>`;
}

function Empty() {
  const any = () => {
    anyPage = true;
    load();
  };
  return html`<p class="large">${t(boot.individual || anyPage ? "grid.empty" : "grid.none_planned")}</p>
    <a class="button primary" href="/label">${t("grid.to_single")}</a>
    ${!boot.individual && !anyPage && html`<button type="button" onClick=${any}>${t("grid.any")}</button>`}`;
}

function progress() {
  const { planned, pages_left: pages, left } = page.value;
  if (!planned) return t("grid.left", { n: left });
  return pages === 1 ? t("grid.one_page_left") : t("grid.pages_left", { n: pages });
}

function Grid() {
  const name = page.value?.name || page.value?.anim_id || "";
  const rest = page.value ? page.value.tracks.length - marked.value.size : 0;
  const message = {
    loading: () => html`<p class="large">${t("grid.loading")}</p>`,
    sending: () => html`<p class="large" role="status">${t("grid.sending")}</p>`,
    empty: () => html`<${Empty} />`,
    missed: () => html`<p class="large" role="alert">${t("grid.missed")}</p>
      <div class="row">
        <button type="button" onClick=${load}>${t("grid.next")}</button>
        <a class="button primary" href="/label">${t("grid.to_single")}</a>
      </div>`,
    kept: () => html`<button type="button" class="primary" onClick=${load}>${t("grid.next")}</button>`,
    failed: () => html`<p class="large">${fault.value}</p><button type="button" onClick=${load}>${t("label.look_again")}</button>`,
  }[phase.value];
  return html`<div class="sheet">
    <${Last} />
    ${message
      ? html`<div class="empty">${message()}</div>`
      : html`<div class="row spread">
            <div>
              <h2>${t("grid.title", { name })}</h2>
              <p lang=${page.value.reason_lang}>${page.value.reason}</p>
              <p class="hint">${t("grid.why")} ${t("grid.hint")} ${progress()}</p>
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
