// Belongs here: one track beside pictures of one individual: is it her? Made for a phone in one hand.
// Does not belong here: naming (label), whom this asks about and how sure anybody is (the server tells neither).

import { boot, html, recordingTime, signal, t, timeOfDay, useEffect, useLayoutEffect } from "../lib/ui.js";
import { open } from "../lib/dialogs.js";
import { startIsland, record, takeBack } from "../lib/island.js";
import { announceTab } from "../lib/locks.js";
import { advance, asFirst, claiming, fault, items, missing, putFirst, refill, startQueue, supply } from "../label/queue.js";
import { Status } from "../label/tray.js";

const SHORTEST_LOOK_MS = 80;
const SWIPE_PX = 70;
const hashOf = (url) => url.split("/").pop().split(".")[0].slice(0, 32);

const at = signal(0);
const plays = signal(false);
/** How far a finger has drawn the picture aside, in pixels. */
const drawn = signal(0);
const done = signal([]);
let shownAt = 0;
let busy = false;

async function answer(kind, how) {
  const item = items.value[0];
  if (!item || busy || performance.now() - shownAt < SHORTEST_LOOK_MS) return;
  busy = true;
  const { anim_id, references } = item.individual;
  const shown = { mode: "is_it", model_id: null, candidates: [[anim_id, null]], references: references.map((one) => hashOf(one.url)), input: how, ui: boot.version, schema: 1 };
  const event = { kind, track_id: item.track_id, item_id: item.item_id, shown, seconds: Math.round(performance.now() - shownAt) / 1000 };
  if (kind === "is_individual" || kind === "not_individual") event.anim_id = anim_id;
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
  yes: (how) => answer("is_individual", how),
  no: (how) => answer("not_individual", how),
  cannot_tell: (how) => answer("cannot_tell", how),
  skip: (how) => answer("skip", how),
  undo: () => undo(),
};
/** Signs, not places of keys: "?" lies elsewhere on every keyboard. The words of the page's language begin with one too. */
const KEYS = { y: "yes", n: "no", "?": "cannot_tell", s: "skip", Backspace: "undo", [t("is_it.yes")[0].toLowerCase()]: "yes" };

function look(item, i) {
  plays.value = false;
  at.value = (i + item.crops.length) % item.crops.length;
}

/** A finger that draws the picture to the right says yes, to the left no; up and down scroll the page. */
const swipe = {
  begin(event) {
    if (event.pointerType === "touch") swipe.from = { x: event.clientX, y: event.clientY };
  },
  move(event) {
    if (!swipe.from) return;
    const x = event.clientX - swipe.from.x;
    drawn.value = Math.abs(x) > Math.abs(event.clientY - swipe.from.y) ? x : 0;
  },
  end() {
    const far = swipe.from ? drawn.value : 0;
    swipe.cancel();
    if (Math.abs(far) >= SWIPE_PX) ACTIONS[far > 0 ? "yes" : "no"]("touch");
  },
  cancel() {
    swipe.from = null;
    drawn.value = 0;
  },
};

function Track({ item }) {
  const crop = item.crops[at.value] ?? item.crops[0] ?? (item.face && !missing.value.has(item.face) ? { url: item.face } : null);
  const says = Math.abs(drawn.value) >= SWIPE_PX ? (drawn.value > 0 ? "yes" : "no") : null;
  return html`<figure class="asked" data-says=${says} onPointerDown=${swipe.begin} onPointerMove=${swipe.move} onPointerUp=${swipe.end} onPointerCancel=${swipe.cancel}>
    ${plays.value && item.clip
      ? html`<video key=${item.clip.url} src=${item.clip.url} autoplay loop muted playsinline aria-label=${t("is_it.clip")}></video>`
      : crop
        ? html`<img key=${item.item_id} style=${{ transform: drawn.value ? `translateX(${drawn.value / 2}px)` : null }} src=${crop.url} alt=${t("is_it.picture", { n: at.value + 1, of: Math.max(1, item.crops.length) })} decoding="sync" draggable=${false} />`
        : html`<p class="gap">${item.media_reason ?? t("label.media_missing")}</p>`}
    <figcaption>
      <span>${[item.video.camera, recordingTime(item.video.recorded_at)].filter(Boolean).join(" · ")}</span>
      <span class="turn">
        ${item.crops.length > 1 &&
        html`<button type="button" aria-label=${t("is_it.before")} onClick=${() => look(item, at.value - 1)}>‹</button>
          <span aria-hidden="true">${at.value + 1}/${item.crops.length}</span>
          <button type="button" aria-label=${t("is_it.after")} onClick=${() => look(item, at.value + 1)}>›</button>`}
        ${item.clip && html`<button type="button" aria-pressed=${plays.value} aria-label=${t("is_it.clip")} onClick=${() => (plays.value = !plays.value)}>▶</button>`}
      </span>
    </figcaption>
  </figure>`;
}

function Known({ who }) {
  return html`<section class="known">
    <h3>${t("is_it.known", { name: who.name })}</h3>
    ${who.references.length
      ? html`<ul>
          ${who.references.map((one, i) => html`<li key=${one.url}>${missing.value.has(one.url) ? html`<span class="gap">${t("label.media_missing")}</span>` : html`<img src=${one.url} alt=${t("is_it.known_picture", { n: i + 1, name: who.name })} />`}</li>`)}
        </ul>`
      : html`<p class="hint">${t("is_it.no_pictures", { name: who.name })}</p>`}
  </section>`;
}

function IsIt() {
  const item = items.value.find((one) => one.individual);
  useLayoutEffect(() => {
    at.value = 0;
    plays.value = false;
    swipe.cancel();
    shownAt = performance.now();
    document.body.dataset.item = item?.item_id ?? "";
  }, [item?.item_id]);
  useEffect(() => {
    const down = (event) => {
      const action = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
      const typing = event.target.closest?.("input, select, textarea");
      if (event.ctrlKey || event.altKey || event.metaKey || open.value || typing) return;
      if (!action && !(item?.crops.length > 1 && ["ArrowLeft", "ArrowRight"].includes(event.key))) return;
      event.preventDefault();
      if (event.repeat) return;
      if (action) ACTIONS[action]("key");
      else look(item, at.value + (event.key === "ArrowLeft" ? -1 : 1));
    };
    const release = (event) => event.detail > 0 && event.target.closest?.("button")?.blur();
    addEventListener("keydown", down);
    addEventListener("click", release, true);
    return () => {
      removeEventListener("keydown", down);
      removeEventListener("click", release, true);
    };
  }, [item?.item_id]);
  const held = supply.value?.held ?? [];
  const press = (name) => (event) => ACTIONS[name](event.pointerType === "touch" ? "touch" : event.detail ? "mouse" : "key");
  const button = (name, key, kind) => html`<button type="button" class=${`vote ${kind}`} onClick=${press(name)}><kbd aria-hidden="true">${key}</kbd>${t(`is_it.${name}`)}</button>`;
  return html`<div class="sheet is-it">
    ${item
      ? html`<div class="question">
            <h2>${t("is_it.title", { name: item.individual.name })}</h2>
            <p class="hint" lang=${item.reason_lang}>${item.reason}</p>
          </div>
          <${Track} item=${item} />
          <${Known} who=${item.individual} />`
      : html`<div class="empty" role="status">
          <p class="large">${claiming.value === "loading" || claiming.value === "slow" ? t("label.loading") : fault.value || (claiming.value === "failed" ? t("label.failed") : t("is_it.empty"))}</p>
          ${held.map((one) => html`<p key=${one.by}>${t("label.held", { n: one.n, by: one.by, until: timeOfDay(one.until) })}</p>`)}
          <button type="button" onClick=${() => refill({ force: true })}>${t("label.look_again")}</button>
        </div>`}
    <footer class="bar">
      ${item && html`<div class="votes-bar">${button("no", "N", "no")}${button("cannot_tell", "?", "")}${button("yes", "Y", "yes")}</div>`}
      <div class="row spread">
        <div class="actions">
          <button type="button" class="action" disabled=${!done.value.length} onClick=${press("undo")}><kbd aria-hidden="true">⌫</kbd>${t("is_it.undo")}</button>
          ${item && html`<button type="button" class="action" onClick=${press("skip")}><kbd aria-hidden="true">S</kbd>${t("is_it.skip")}</button>`}
        </div>
        <${Status} />
      </div>
    </footer>
  </div>`;
}

await startIsland(IsIt);
await announceTab();
startQueue({ onlyLanes: ["is_it"] });
