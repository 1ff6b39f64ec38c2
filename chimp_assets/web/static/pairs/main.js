// Belongs here: two tracks side by side: the same animal, two, or nobody can tell.
// Does not belong here: naming (label).

import { boot, html, recordingTime, signal, t, timeOfDay, useEffect, useLayoutEffect } from "../lib/ui.js";
import { open } from "../lib/dialogs.js";
import { startIsland, record, takeBack } from "../lib/island.js";
import { announceTab } from "../lib/locks.js";
import { advance, asFirst, claiming, fault, items, missing, putFirst, refill, startQueue, supply } from "../label/queue.js";
import { Status } from "../label/tray.js";


const SHORTEST_LOOK_MS = 80;
const all = signal(false);
const at = signal([0, 0]);
const done = signal([]);
let shownAt = 0;
let busy = false;

async function answer(kind, how) {
  const item = items.value[0];
  if (!item || busy || performance.now() - shownAt < SHORTEST_LOOK_MS) return;
  busy = true;
  const shown = { mode: "pair", model_id: item.model?.head_id ?? null, candidates: [], references: [], input: how, ui: boot.version, schema: 1 };
  const event = {
    kind, track_id: item.track_id, item_id: item.item_id, lane: item.lane, shown,
    seconds: Math.round(performance.now() - shownAt) / 1000,
    other_track_id: item.other?.track_id ?? null,
  };
  const ids = await record([event], { done: item.item_id });
  done.value = [{ item, ids }, ...done.value];
  advance(item.item_id);
  busy = false;
}

async function undo() {
  const [last, ...rest] = done.value;
  if (!last || busy) return;
  busy = true;
  done.value = rest;
  const back = asFirst(last.item);
  await takeBack(last.ids, back);
  putFirst(back);
  busy = false;
}

const ACTIONS = {
  Digit1: (how) => answer("same", how),
  Digit2: (how) => answer("different", how),
  Digit3: (how) => answer("cannot_tell", how),
  Backspace: () => undo(),
  Space: () => (all.value = !all.value),
};

function Side({ part, side }) {
  const name = t(`pairs.${side ? "right" : "left"}`);
  const crop = part.crops[at.value[side]] ?? part.crops[0] ?? (part.face && !missing.value.has(part.face) ? { url: part.face } : null);
  const look = (i) => (at.value = side ? [at.value[0], i] : [i, at.value[1]]);
  return html`<figure>
    <figcaption><strong>${name}</strong> · ${[part.video.camera, recordingTime(part.video.recorded_at), part.video.file].filter(Boolean).join(" · ")}</figcaption>
    ${all.value
      ? html`<div class="tiles">${part.crops.map((one, i) => html`<img key=${one.url} src=${one.url} alt=${t("pairs.picture", { n: i + 1, side: name })} />`)}</div>`
      : crop
        ? html`<img class="big" src=${crop.url} alt=${t("pairs.picture", { n: at.value[side] + 1, side: name })} decoding="sync" />`
        : html`<p class="gap">${part.media_reason ?? t("label.media_missing")}</p>`}
    <ul class="strip">
      ${part.crops.map(
        (one, i) => html`<li key=${one.url}>
          <button type="button" class="crop" aria-pressed=${!all.value && at.value[side] === i} aria-label=${t("pairs.picture", { n: i + 1, side: name })} onClick=${() => look(i)}>
            ${missing.value.has(one.url) ? html`<span class="gap">${t("label.media_missing")}</span>` : html`<img src=${one.url} alt="" />`}
          </button>
        </li>`,
      )}
    </ul>
  </figure>`;
}

function Pairs() {
  const item = items.value.find((one) => one.other);
  useLayoutEffect(() => {
    at.value = [0, 0];
    all.value = false;
    shownAt = performance.now();
    document.body.dataset.item = item?.item_id ?? "";
  }, [item?.item_id]);
  useEffect(() => {
    const down = (event) => {
      const code = event.code.replace("Numpad", "Digit");
      const focused = event.target.closest?.("input, select, textarea, a[href], button");
      if (!ACTIONS[code] || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey || open.value) return;
      if (focused && (focused.matches("input, select, textarea") || code === "Space")) return;
      event.preventDefault();
      if (!event.repeat) ACTIONS[code]("key");
    };
    const release = (event) => event.detail > 0 && event.target.closest?.("button")?.blur();
    addEventListener("keydown", down);
    addEventListener("click", release, true);
    return () => {
      removeEventListener("keydown", down);
      removeEventListener("click", release, true);
    };
  }, []);
  const held = supply.value?.held ?? [];
  const press = (code) => (event) => ACTIONS[code](event.pointerType === "touch" ? "touch" : event.detail ? "mouse" : "key");
  return html`<div class="sheet">
    ${item
      ? html`<h2>${t("pairs.title")}</h2>
          <div class="pair"><${Side} part=${item} side=${0} /><${Side} part=${item.other} side=${1} /></div>`
      : html`<div class="empty" role="status">
          <p class="large">${claiming.value === "loading" || claiming.value === "slow" ? t("label.loading") : fault.value || (claiming.value === "failed" ? t("label.failed") : t("pairs.empty"))}</p>
          ${held.map((one) => html`<p key=${one.by}>${t("label.held", { n: one.n, by: one.by, until: timeOfDay(one.until) })}</p>`)}
          <button type="button" onClick=${() => refill({ force: true })}>${t("label.look_again")}</button>
        </div>`}
    <footer class="bar">
      <div class="actions">
        ${item &&
        html`<button type="button" class="action" onClick=${press("Digit1")}><kbd aria-hidden="true">1</kbd>${t("pairs.same")}</button>
          <button type="button" class="action" onClick=${press("Digit2")}><kbd aria-hidden="true">2</kbd>${t("pairs.different")}</button>
          <button type="button" class="action" onClick=${press("Digit3")}><kbd aria-hidden="true">3</kbd>${t("pairs.cannot_tell")}</button>
          <button type="button" class="action" aria-pressed=${all.value} onClick=${press("Space")}><kbd aria-hidden="true">␣</kbd>${t(all.value ? "pairs.one_picture" : "pairs.all_crops")}</button>`}
        <button type="button" class="action" disabled=${!done.value.length} onClick=${press("Backspace")}><kbd aria-hidden="true">⌫</kbd>${t("pairs.undo")}</button>
      </div>
      <${Status} />
    </footer>
  </div>`;
}

await startIsland(Pairs);
await announceTab();
startQueue({ pairs: true });
