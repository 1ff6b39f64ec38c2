// Belongs here: who it may be: a card for each candidate with its reference photos.
// Does not belong here: the search over all individuals (search).

import { asPercent, html, recordingTime, signal, t } from "../lib/ui.js";
import { keyMap, shown } from "./keys.js";
import { missing } from "./queue.js";
import { byCode, warning } from "./session.js";

/** Which card Enter would accept. */
export const highlighted = signal(0);

export function Cards({ item, hidden, choose, reveal }) {
  if (hidden) {
    return html`<div class="cards-empty">
      <p>${t("label.blind")}</p>
      <button type="button" onClick=${reveal}>${t("label.search_button")}</button>
    </div>`;
  }
  if (!item.candidates.length) {
    return html`<div class="cards-empty">
      <p>${t("label.no_candidates")}</p>
      <button type="button" class="primary" onClick=${reveal}>${t("label.search_button")}</button>
    </div>`;
  }
  return html`<ol class="cards" aria-label=${t("label.candidates")}>
    ${item.candidates.map((candidate, i) => html`<${Card} key=${candidate.anim_id} ...${{ candidate, i, choose }} />`)}
  </ol>`;
}

function Card({ candidate, i, choose }) {
  const lit = highlighted.value === i;
  const warned = warning.value?.code === candidate.anim_id;
  const name = candidate.name || byCode.value.get(candidate.anim_id)?.name || candidate.anim_id;
  return html`<li>
    <button
      type="button"
      class=${`card${lit ? " lit" : ""}${candidate.in_frame ? " there" : ""}${warned ? " warned" : ""}`}
      onClick=${(event) => choose(i, event.pointerType === "touch" ? "touch" : event.detail ? "mouse" : "key")}
    >
      <span class="who">
        <kbd>${shown(keyMap.value[`candidate${i + 1}`])}</kbd>
        <strong>${name}</strong>
        ${name !== candidate.anim_id && html`<span class="code">${candidate.anim_id}</span>`}
        <span class="chance">${asPercent(candidate.probability)}</span>
      </span>
      <meter min="0" max="1" value=${candidate.probability} aria-hidden="true"></meter>
      <span class="photos">
        ${candidate.references.map((reference) =>
          missing.value.has(reference.url)
            ? html`<span class="gap" key=${reference.url}>${t("label.media_missing")}</span>`
            : html`<img
                key=${reference.url}
                src=${reference.url}
                alt=${t("label.reference_of", { name, when: recordingTime(reference.recorded_at) })}
                decoding="sync"
                draggable=${false}
              />`,
        )}
        ${!candidate.references.length && html`<span class="gap">${t("label.no_reference")}</span>`}
      </span>
      ${candidate.in_frame && html`<span class="badge">${t("label.in_frame")}</span>`}
    </button>
  </li>`;
}
