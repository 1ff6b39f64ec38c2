// Belongs here: the review screen: one case with the answers side by side, and what each key and button does.
// Does not belong here: which cases there are and what a decision is (cases), pictures (label/clip).

import { asPercent, boot, html, recordingTime, signal, t, useEffect, useLayoutEffect } from "../lib/ui.js";
import { open as dialog, show } from "../lib/dialogs.js";
import { startIsland } from "../lib/island.js";
import { Clip, nextView, resetClip, step, Strip, togglePlay } from "../label/clip.js";
import { keyMap, listen, loadKeys, shown } from "../label/keys.js";
import { Search } from "../label/search.js";
import { byCode, startSession } from "../label/session.js";
import { Status, Tray } from "../label/tray.js";
import {
  allEmpty, another, askAuthors, cases, counts, current, decide, decided, fault, isOutweighed, later, letterOf, loading, lookFurther, meaningOf,
  model, most, older, open, optionsOf, QUEUES, queue, refill, seen, settleIndividual, start, undo,
} from "./cases.js";

const searching = signal(null);
/** Why the last key did nothing. */
const refused = signal("");
const ASK = "Shift+KeyQ";

const isPlain = (one) => one && !one.other && !one.frame && one.item && one.queue !== "provisional";

function choose(n, how) {
  const one = current.value;
  const option = optionsOf(one)[n];
  if (!option) return;
  if (one.queue === "provisional") settleIndividual("confirm", null, option.label);
  else if (isOutweighed(one, option)) refused.value = t("review.outweighed");
  else decide(option.send, "chose", option.label, how);
}

function answer(kind, how) {
  const one = current.value;
  if (!isPlain(one)) return;
  const same = one.opinions.find((opinion) => opinion.kind === kind);
  if (isOutweighed(one, { opinion: same })) refused.value = t("review.outweighed");
  else decide({ kind }, kind, t(`label.answer.${kind}`), how);
}

function name(person, how) {
  const one = current.value;
  searching.value = null;
  if (!one) return;
  const words = person.name || person.anim_id;
  if (one.queue === "provisional") {
    if (person.anim_id !== one.individual.anim_id) settleIndividual("merge", person.anim_id, t("review.merged_words", { name: words }));
    return;
  }
  const same = one.opinions.find((opinion) => opinion.anim_id === person.anim_id);
  if (isOutweighed(one, { opinion: same })) refused.value = t("review.outweighed");
  else decide({ kind: "identify", anim_id: person.anim_id }, same ? "chose" : "other", words, how);
}

async function ask(how) {
  const one = current.value;
  const about = one?.opinions.filter((opinion) => opinion.events.some((event) => !event.mine)) ?? [];
  if (!about.length || !one.item) return;
  const written = await show((props) => html`<${Ask} ...${props} one=${one} about=${about} />`, { label: t("review.ask_title") });
  if (written) await askAuthors(written.opinion, written.note, how);
}

const ACTIONS = {
  unknown: (how) => answer("unknown", how),
  not_animal: (how) => answer("not_animal", how),
  bad_box: (how) => answer("bad_box", how),
  skip: () => later(),
  undo: () => undo(),
  play: () => current.value?.item && togglePlay(current.value.item),
  back: () => current.value?.item && step(current.value.item, -1),
  forward: () => current.value?.item && step(current.value.item, 1),
  view: () => nextView(),
  ask: (how) => ask(how),
  search: () => canName(current.value) && (searching.value = ""),
  help: () => show(Keys, { label: t("label.help"), wide: true }),
};
for (let n = 0; n < 5; n += 1) ACTIONS[`candidate${n + 1}`] = (how) => choose(n, how);

const canName = (one) => isPlain(one) || one?.queue === "provisional";

function run(action, how) {
  refused.value = "";
  fault.value = "";
  return ACTIONS[action]?.(how);
}

const howOf = (event) => (event.pointerType === "touch" ? "touch" : event.detail ? "mouse" : "key");

function Action({ action, keys, disabled, children }) {
  return html`<button type="button" class="action" data-action=${action} disabled=${disabled} onClick=${(event) => run(action, howOf(event))}>
    <kbd aria-hidden="true">${keys ?? shown(keyMap.value[action])}</kbd><span>${children ?? t(`label.action.${action}`)}</span>
  </button>`;
}

function Keys({ close }) {
  const rows = [
    ["1 – 5", t("review.key_choose")], ["A – Z", t("review.key_name")], [shown(keyMap.value.unknown), t("label.action.unknown")],
    [shown(keyMap.value.not_animal), t("label.action.not_animal")], [shown(keyMap.value.bad_box), t("label.action.bad_box")],
    [shown(ASK), t("review.ask")], [shown(keyMap.value.skip), t("review.later")], [shown(keyMap.value.undo), t("label.action.undo")],
    [shown(keyMap.value.play), t("label.action.play")], [shown(keyMap.value.view), t("label.action.view")],
  ];
  return html`<h2>${t("label.help")}</h2>
    <p>${t("review.help")}</p>
    <table class="keys"><tbody>${rows.map(([keys, words]) => html`<tr key=${words}><th scope="row">${words}</th><td><kbd>${keys}</kbd></td></tr>`)}</tbody></table>
    <div class="row end"><button class="primary" data-first onClick=${() => close()}>${t("common.close")}</button></div>`;
}

function Ask({ close, one, about }) {
  const submit = (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    const note = String(form.get("note")).trim().slice(0, 2000);
    if (note) close({ opinion: about[Number(form.get("about") ?? 0)], note });
  };
  return html`<form class="stack" onSubmit=${submit}>
    <h2>${t("review.ask_title")}</h2>
    <p>${t("review.ask_why")}</p>
    ${about.length > 1 &&
    html`<fieldset class="plain-set"><legend>${t("review.ask_whom")}</legend>
      ${about.map((opinion, n) => html`<label class="choice" key=${n}><input type="radio" name="about" value=${n} defaultChecked=${n === 0} />${letterOf(one.opinions.indexOf(opinion))} · ${meaningOf(opinion)}</label>`)}
    </fieldset>`}
    <label>${t("label.note")}<textarea name="note" rows="4" maxlength="2000" required data-first></textarea></label>
    <div class="row end">
      <button type="button" onClick=${() => close(null)}>${t("common.cancel")}</button>
      <button class="primary">${t("review.ask_send")}</button>
    </div>
  </form>`;
}

function Queues() {
  return html`<ul class="queues" aria-label=${t("review.queues")}>
    ${QUEUES.map((one) => {
      const n = counts.value?.[one];
      const words = n === undefined ? "" : n >= most.value ? `${most.value}+` : String(n);
      return html`<li key=${one}>
        <button type="button" data-queue=${one} aria-pressed=${queue.value === one} onClick=${() => open(one)}>${t(`review.queue_${one}`)} <span class="count">${words}</span></button>
      </li>`;
    })}
  </ul>`;
}

/** What one person did, without saying who. */
function Vote({ event }) {
  const saw = event.saw.map(([code, share]) => `${byCode.value.get(code)?.name || code} ${asPercent(share)}`).join(", ");
  const mode = event.mode && boot.texts[`mode.${event.mode}`] ? t(`mode.${event.mode}`) : null;
  const facts = [
    recordingTime(event.at), event.seconds === null ? t("review.not_timed") : t("review.took", { s: event.seconds.toFixed(1) }), mode,
    event.mine ? t("review.mine") : null,
    event.saw_any ? (saw ? t("review.saw", { saw }) : t("review.saw_none")) : t("review.saw_unknown"),
  ];
  return html`<li>
    <span class="facts">${facts.filter(Boolean).map((fact) => html`<span key=${fact}>${fact}</span>`)}</span>
    ${event.flag && html`<span class="badge">${t("label.flagged")}</span>`}
    ${event.note && html`<q>${event.note}</q>`}
  </li>`;
}

function Option({ one, option, n }) {
  const opinion = option.opinion;
  const off = one.queue !== "provisional" && isOutweighed(one, option);
  return html`<li>
    <button type="button" class=${`opinion${off ? " off" : ""}`} data-option=${n + 1} aria-disabled=${off} onClick=${(event) => run(`candidate${n + 1}`, howOf(event))}>
      <span class="who"><kbd aria-hidden="true">${n + 1}</kbd> ${!one.other && opinion && html`<span class=${`letter letter-${n}`}>${letterOf(n)}</span>`}<strong>${option.label}</strong>
        ${opinion?.anim_id && opinion.name && html`<span class="code">${opinion.anim_id}</span>`}
        ${opinion?.stands && html`<span class="badge stands">${t("review.stands")}</span>`}
        ${opinion?.events.length > 1 && html`<span class="code">${t("review.n_people", { n: opinion.events.length })}</span>`}
        ${typeof opinion?.model === "number" && html`<span class="badge">${t("review.model_says", { p: asPercent(opinion.model), model: model.value?.head_name ?? "" })}</span>`}
      </span>
      ${opinion?.references.length > 0 &&
      html`<span class="photos">${opinion.references.map((photo) => html`<img key=${photo.url} src=${photo.url} alt=${t("label.reference_of", { name: option.label, when: recordingTime(photo.recorded_at) })} />`)}</span>`}
    </button>
    ${opinion?.events.length > 0 && html`<ul class="votes">${opinion.events.map((event) => html`<${Vote} key=${event.annotation_id} event=${event} />`)}</ul>`}
  </li>`;
}

function Pictures({ one }) {
  if (one.frame) {
    return html`<figure class="boxed">
      <div class="framed"><img src=${one.frame.url} alt=${t("review.frame", { n: one.frame.frame_no })} />
        <svg viewBox="0 0 1 1" preserveAspectRatio="none" aria-hidden="true">
          ${one.opinions.map(({ box: [x, y, w, h] }, n) => html`<rect key=${n} class=${`letter-${n}`} x=${x} y=${y} width=${w} height=${h} />`)}
        </svg>
      </div>
      <figcaption>${t("review.frame", { n: one.frame.frame_no })}, ${one.frame.video.file}</figcaption>
    </figure>`;
  }
  if (one.other) {
    return html`<div class="pair">${[one.item, one.other].map(
      (part) => html`<figure key=${part.track_id}>
        <figcaption>${wordsOf(part)}</figcaption>
        ${part.media_reason ? html`<p class="gap">${part.media_reason}</p>` : html`<img class="big" src=${part.crops[0]?.url ?? part.face} alt=${t("label.picture_of_track")} />`}
        <div class="tiles">${part.crops.slice(1, 7).map((crop) => html`<img key=${crop.url} src=${crop.url} alt="" />`)}</div>
      </figure>`,
    )}</div>`;
  }
  if (!one.item) return html`<p class="gap">${t("review.no_track")}</p>`;
  const item = { ...one.item, item_id: one.key, candidates: [] };
  return html`<${Clip} item=${item} /><${Strip} item=${item} />
    <p><a href=${`/similar?to=${one.item.track_id}`} target="_blank" rel="noopener">${t("label.similar")}</a></p>
    ${one.more.length > 0 &&
    html`<div class="tiles" aria-label=${t("review.more_tracks")} role="group">${one.more.map((part) => html`<img key=${part.track_id} src=${part.crops[0]?.url ?? part.face} alt=${wordsOf(part)} />`)}</div>`}`;
}

const wordsOf = (part) => [part.video.camera, recordingTime(part.video.recorded_at), part.video.file].filter(Boolean).join(" · ");

function Why({ one }) {
  const who = one.individual;
  const words = one.reason ?? (who ? t("review.why_provisional", { name: who.name || who.anim_id, n: who.tracks }) : t(`review.why_${one.check ?? one.queue}`));
  return html`<p class="why" lang=${one.reason_lang ?? undefined}>${words}</p>
    ${one.flags.map((flag) => html`<p class="before" key=${flag.annotation_id}>${t("review.flag_note", { when: recordingTime(flag.at) })}${flag.note && html` <q>${flag.note}</q>`}</p>`)}
    ${one.asked && html`<p class="before">${t("review.asked_at", { when: recordingTime(one.asked.at) })} <q>${one.asked.note}</q></p>`}
    ${one.bound !== null && html`<p class="warning">${t("review.outweighed")}</p>`}`;
}

/** Who said what, of the last case. */
function Last() {
  const line = decided.value[0];
  if (!line) return null;
  const who = line.case.opinions
    .filter((opinion) => opinion.events.length)
    .map((opinion) => {
      const names = opinion.events.map((event) => line.authors?.[event.annotation_id]).filter(Boolean);
      return names.length ? `${opinion.box ? t("review.a_box") : meaningOf(opinion)}: ${names.join(", ")}` : null;
    });
  return html`<p class="last" role="status">${t("review.decided", { answer: line.words })} ${who.filter(Boolean).join(" · ")}</p>`;
}

function Empty() {
  if (loading.value === "loading") return html`<div class="empty" role="status"><p class="large">${t("review.loading")}</p></div>`;
  if (loading.value === "failed") {
    return html`<div class="empty" role="alert"><p class="large">${fault.value || t("label.failed")}</p>
      <button type="button" onClick=${() => refill()}>${t("label.look_again")}</button></div>`;
  }
  return html`<div class="empty" role="status">
    <p class="large">${t(allEmpty.value ? "review.none_at_all" : `review.none_${queue.value}`)}</p>
    ${another.value && html`<button type="button" class="primary" onClick=${() => open(another.value)}>${t("review.go_on", { queue: t(`review.queue_${another.value}`), n: counts.value[another.value] })}</button>`}
    ${older.value !== null && html`<button type="button" onClick=${() => lookFurther()}>${t("review.further")}</button>`}
  </div>`;
}

function Review() {
  const one = current.value;
  useEffect(
    () =>
      listen(
        (action) => (searching.value === null ? run(action, "key") : undefined),
        (letter) => {
          if (canName(current.value)) searching.value = letter;
        },
        { [ASK]: "ask" },
      ),
    [],
  );
  useLayoutEffect(() => {
    resetClip();
    searching.value = null;
    document.body.dataset.case = one?.key ?? "";
    if (one) seen();
  }, [one?.key]);
  return html`<div class="review-screen" inert=${dialog.value ? true : undefined}>
    <div class="review-top">
      <${Queues} />
      <button type="button" class="quiet" onClick=${() => run("help", "mouse")} aria-label=${t("label.help")}>?</button>
    </div>
    ${one
      ? html`<section class="seen" aria-label=${t("label.this_track")}>
            ${one.item && !one.other && html`<p class="facts">${html`<span>${wordsOf(one.item)}</span>`}</p>`}
            <${Pictures} one=${one} />
          </section>
          <section class="who-is-it" aria-label=${t("review.opinions")}>
            <${Why} one=${one} />
            ${refused.value && html`<p class="fault" role="alert">${refused.value}</p>`}
            ${fault.value && html`<p class="fault" role="alert">${fault.value}</p>`}
            ${searching.value !== null
              ? html`<${Search} first=${searching.value} choose=${(person) => name(person, "key")} close=${() => (searching.value = null)} />`
              : html`<ol class="opinions">${optionsOf(one).map((option, n) => html`<${Option} key=${n} ...${{ one, option, n }} />`)}</ol>`}
            <${Tray} />
          </section>`
      : html`<${Empty} />`}
    <footer class="bar">
      <div class="actions">
        ${canName(one) && html`<${Action} action="search" keys="A–Z">${one.queue === "provisional" ? t("review.merge_with") : t("review.key_name")}<//>`}
        ${isPlain(one) && html`<${Action} action="unknown" /><${Action} action="not_animal" /><${Action} action="bad_box" />`}
        ${one && one.queue !== "provisional" && html`<${Action} action="ask" keys=${shown(ASK)} disabled=${!one.item || !one.opinions.some((opinion) => opinion.events.some((event) => !event.mine))}>${t("review.ask")}<//>`}
        ${one && html`<${Action} action="skip">${t("review.later")}<//>`}
        <${Action} action="undo" disabled=${!decided.value.length} />
      </div>
      <${Last} />
      <${Status} />
    </footer>
  </div>`;
}

await Promise.all([startIsland(Review)]);
await Promise.all([loadKeys(), startSession()]);
await start();
