// Belongs here: the labelling screen: what is where, and what each key and button does.
// Does not belong here: deciding (session), sending (outbox), the parts (clip, cards, search, sheets, tray).

import { html, recordingTime, signal, t, timeOfDay, useEffect, useLayoutEffect } from "../lib/ui.js";
import { open, show } from "../lib/dialogs.js";
import { connection } from "../lib/outbox.js";
import { Cards, highlighted } from "./cards.js";
import { Clip, frameOnScreen, nextView, resetClip, step, Strip, togglePlay } from "./clip.js";
import { keyMap, listen, shown } from "./keys.js";
import { claiming, fault, items, missing, ready, refill, supply } from "./queue.js";
import { Search } from "./search.js";
import {
  byCode, current, decide, decisions, lastTaken, meaningOf, name, nameNew, note, previous, revisit, revisited,
  submitting, unblinded, undo, warning,
} from "./session.js";
import { seen } from "../lib/stopwatch.js";
import { Compare, Help, Merge, NewIndividual, Note, Settings } from "./sheets.js";
import { Status, Tray } from "./tray.js";

/** What was typed first into the open search; null while it is closed. */
const searching = signal(null);
const input = signal("key");

const hiddenNow = (item) => item.blind && !unblinded.value;

async function accept(i, how) {
  const item = current.value;
  const candidate = item && !hiddenNow(item) && item.candidates[i];
  if (candidate) await name(candidate.anim_id, how);
}

async function makeNew(how, typed = "") {
  const item = current.value;
  if (!item) return;
  searching.value = null;
  const made = await show((props) => html`<${NewIndividual} ...${props} item=${item} typed=${typed} />`, { label: t("label.new_title"), wide: true });
  if (made?.same) await name(made.same, how);
  else if (made) await nameNew(made, how);
}

/** What every action does; `how` is key, mouse or touch. */
const ACTIONS = {
  accept: (how) => accept(highlighted.value, how),
  up: () => (highlighted.value = Math.max(0, highlighted.value - 1)),
  down: () => (highlighted.value = Math.min(Math.max(0, (current.value?.candidates.length ?? 1) - 1), highlighted.value + 1)),
  unknown: (how) => decide("unknown", {}, how),
  new_individual: (how) => makeNew(how),
  not_animal: (how) => decide("not_animal", {}, how),
  bad_box: (how) => decide("bad_box", {}, how),
  fix_box: (how) => decide("bad_box", {}, how),
  same: (how) => previous.value && name(previous.value.event.anim_id, how),
  undo: () => undo(),
  play: () => current.value && togglePlay(current.value),
  back: () => current.value && step(current.value, -1),
  forward: () => current.value && step(current.value, 1),
  view: () => nextView(),
  skip: (how) => decide("skip", {}, how),
  split: async (how) => {
    const item = current.value;
    const frame = item && frameOnScreen(item);
    const { first_frame_no: first, last_frame_no: last } = item?.track ?? {};
    if (!item || first >= last) return;
    await decide("split", { frame_no: Math.min(Math.max(frame ?? first + 1, first + 1), last) }, how);
  },
  merge: async (how) => {
    const item = current.value;
    if (!item) return;
    const other = await show((props) => html`<${Merge} ...${props} item=${item} />`, { label: t("label.merge_title"), wide: true });
    if (other !== null) await decide("merge", { other_track_id: other }, how);
  },
  flag: async () => {
    const written = await show((props) => html`<${Note} ...${props} now=${note.value} />`, { label: t("label.flag_title") });
    if (written) note.value = written.text || written.flag ? written : null;
  },
  help: () => show(Help, { label: t("label.help"), wide: true }),
  settings: () => show(Settings, { label: t("label.settings"), wide: true }),
  search: () => (searching.value = ""),
};
for (let i = 0; i < 5; i += 1) {
  ACTIONS[`candidate${i + 1}`] = (how) => accept(i, how);
  ACTIONS[`compare${i + 1}`] = async (how) => {
    const item = current.value;
    if (!item || hiddenNow(item) || !item.candidates[i]) return;
    const code = await show((props) => html`<${Compare} ...${props} item=${item} at=${i} />`, { label: t("label.compare"), wide: true });
    if (code) await name(code, how);
  };
}

function run(action, how) {
  input.value = how;
  return ACTIONS[action]?.(how);
}

const howOf = (event) => (event.pointerType === "touch" ? "touch" : event.detail ? "mouse" : "key");

function Action({ action, children, primary }) {
  return html`<button type="button" class=${primary ? "action primary" : "action"} data-action=${action} onClick=${(event) => run(action, howOf(event))}>
    ${keyMap.value[action] && html`<kbd aria-hidden="true">${shown(keyMap.value[action])}</kbd>`}<span>${children ?? t(`label.action.${action}`)}</span>
  </button>`;
}

function Facts({ item }) {
  const { video, track } = item;
  const seconds = Math.max(0, track.last_s - track.first_s).toFixed(1);
  const facts = [
    [video.site, video.camera].filter(Boolean).join(" / "), recordingTime(video.recorded_at), video.file, t("label.length", { s: seconds, n: track.n_detections }),
    item.model && !hiddenNow(item) ? (item.compared_with ? t("label.compared", { n: item.compared_with, model: item.model.head_name }) : item.model.head_name) : t("label.no_model"),
  ];
  return html`<p class="facts">${facts.filter(Boolean).map((fact) => html`<span key=${fact}>${fact}</span>`)}
    ${item.reason && !hiddenNow(item) && html`<span lang=${item.reason_lang}>${item.reason}</span>`}
    ${!hiddenNow(item) && html`<a href=${`/similar?to=${item.track_id}`} target="_blank" rel="noopener">${t("label.similar")}</a>`}</p>`;
}

function History() {
  return html`<aside class="history" aria-label=${t("label.history")}>
    <h2>${t("label.history")}</h2>
    <ol>
      ${decisions.value.slice(0, 10).map(
        (line) => html`<li key=${line.id}>
          <button type="button" aria-pressed=${revisited.value?.id === line.id} class=${line.rejected ? "rejected" : ""} onClick=${() => revisit(line)}>
            ${line.item.crops[0] || line.item.face ? html`<img src=${line.item.crops[0]?.url ?? line.item.face} alt="" />` : html`<span class="face"></span>`}
            <span>${meaningOf(line.event, t)}</span>
          </button>
        </li>`,
      )}
    </ol>
  </aside>`;
}

/** No tracks: never without the reason. */
function Empty() {
  const held = supply.value?.held ?? [];
  const offline = connection.value === "offline";
  const words = () => {
    if (offline) return t("label.empty_offline");
    if (claiming.value === "loading") return t("label.loading");
    if (claiming.value === "slow") return t("label.slow");
    if (claiming.value === "failed") return fault.value || t("label.failed");
    return held.length ? null : t("label.all_done");
  };
  return html`<div class="empty" role="status">
    ${words() && html`<p class="large">${words()}</p>`}
    ${!offline && claiming.value === "ready" && held.map((one) => html`<p class="large" key=${one.by}>${t("label.held", { n: one.n, by: one.by, until: timeOfDay(one.until) })}</p>`)}
    ${claiming.value === "loading" || claiming.value === "slow"
      ? html`<div class="skeleton" aria-hidden="true"></div>`
      : html`<button type="button" onClick=${() => refill({ force: true })}>${t("label.look_again")}</button>`}
    ${decisions.value.length > 0 && html`<${Action} action="undo" />`}
  </div>`;
}

export function Screen() {
  const item = current.value;

  useEffect(
    () =>
      listen(
        (action) => (searching.value === null ? run(action, "key") : undefined),
        (letter) => {
          if (!current.value) return;
          unblinded.value = true;
          searching.value = letter;
        },
      ),
    [],
  );
  useLayoutEffect(() => {
    resetClip();
    highlighted.value = 0;
    searching.value = null;
    if (lastTaken.value && lastTaken.value.item_id !== item?.item_id) lastTaken.value = null;
    document.body.dataset.item = item?.item_id ?? "";
    delete document.body.dataset.painted;
    if (!item) return undefined;
    seen();
    // Two frames on, what was drawn is on the glass.
    let alive = true;
    requestAnimationFrame(() =>
      requestAnimationFrame(() => {
        if (!alive) return;
        document.body.dataset.painted = item.item_id;
        performance.mark("painted");
      }),
    );
    return () => {
      alive = false;
    };
  }, [item?.item_id, revisited.value?.id]);

  if (!item) return html`<div class="label-screen"><${Empty} /><${Tray} /><footer class="bar"><${Status} /></footer></div>`;
  const hidden = hiddenNow(item);
  const before = revisited.value?.event ?? (lastTaken.value?.item_id === item.item_id ? lastTaken.value.event : null);
  const typed = searching.value;
  return html`<div class="label-screen" data-busy=${submitting.value || undefined} inert=${open.value ? true : undefined}>
    <div class="label-top">
      <${Facts} item=${item} />
      <span class="ready" data-items=${items.value.length} title=${t("label.ready_title")}>${t("label.ready", { n: items.value.length, pictures: ready.value })}</span>
      <button type="button" class="quiet" onClick=${() => run("help", "mouse")} aria-label=${t("label.help")}>?</button>
      <button type="button" class="quiet" onClick=${() => run("settings", "mouse")} aria-label=${t("label.settings")}>⚙</button>
    </div>
    <section class="seen" aria-label=${t("label.this_track")}>
      <${Clip} item=${item} />
      <${Strip} item=${item} />
    </section>
    <section class="who-is-it" aria-label=${t("label.candidates")}>
      ${before && html`<p class="before" role="status">${t(revisited.value ? "label.said_before" : "label.taken_back", { answer: meaningOf(before, t) })}</p>`}
      ${warning.value && html`<p class="warning" role="alert">${t("label.twice", { name: byCode.value.get(warning.value.code)?.name || warning.value.code, track: warning.value.track })}</p>`}
      ${item.evidence && !hiddenNow(item) && html`<p class="before">${item.evidence.map((one) => t(`label.people_${one.state}${one.people === 1 ? "_one" : ""}`, { n: one.people, name: one.name || one.anim_id })).join(" ")}</p>`}
      ${note.value && html`<p class="before">${t("label.note_goes", { note: note.value.text || t("label.flagged") })}</p>`}
      ${(item.media_missing || [...missing.value].some((url) => item.crops.some((crop) => crop.url === url))) && html`<p class="warning" role="status">${t("label.media_note", { key: shown(keyMap.value.skip) })}</p>`}
      ${typed !== null
        ? html`<${Search}
            first=${typed}
            choose=${(one) => {
              searching.value = null;
              name(one.anim_id, input.value === "touch" ? "touch" : "key");
            }}
            create=${(text) => makeNew("key", text)}
            close=${() => (searching.value = null)}
          />`
        : html`<${Cards}
            item=${item}
            hidden=${hidden}
            choose=${(i, how) => accept(i, how)}
            reveal=${() => {
              unblinded.value = true;
              searching.value = "";
            }}
          />`}
      <${Tray} />
    </section>
    <${History} />
    <footer class="bar">
      <div class="actions">
        <${Action} action="search">${t("label.action.search")}<//>
        <${Action} action="unknown" />
        <${Action} action="new_individual" />
        <${Action} action="not_animal" />
        <${Action} action="bad_box" />
        <${Action} action="same">${previous.value ? t("label.same_as", { name: meaningOf(previous.value.event, t) }) : t("label.action.same")}<//>
        <${Action} action="skip" />
        <${Action} action="flag" />
        <${Action} action="split" />
        <${Action} action="merge" />
        <${Action} action="undo" />
      </div>
      <${Status} />
    </footer>
  </div>`;
}
