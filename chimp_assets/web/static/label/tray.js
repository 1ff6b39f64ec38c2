// Belongs here: how safe the answers are, in words: the status line, and the tray of those that need their author.
// Does not belong here: sending (outbox).

import { boot, html, signal, t, timeOfDay } from "../lib/ui.js";
import { uuid } from "../lib/net.js";
import { flush, foreign, settle, state, troubled, waiting } from "../lib/outbox.js";
import { askAgain } from "../lib/signin.js";
import { durable, keepDecision } from "../lib/store.js";
import { items } from "./queue.js";
import { byCode, decisions, meaningOf, revisit, submitting } from "./session.js";
import { saveUnsent } from "./sheets.js";

/** A newer version waits to be loaded. */
export const newVersion = signal(false);

export function Status() {
  const kind = state.value;
  const words = {
    saved: () => t("status.saved"),
    waiting: () => t("status.waiting", { n: waiting.value }),
    offline: () => t(items.value.length ? "status.offline" : "status.offline_empty", { n: waiting.value, ready: items.value.length }),
    signed_out: () => t("status.signed_out", { n: waiting.value }),
    other_user: () => t("status.other_user", { n: waiting.value, user: boot.user }),
  }[kind]();
  return html`<div class="status-line">
    <span class="status" role="status" data-state=${kind} data-waiting=${waiting.value}><span class="dot"></span>${words}</span>
    ${(kind === "signed_out" || kind === "other_user") && html`<button type="button" onClick=${askAgain}>${t("sign_in.title")}</button>`}
    ${submitting.value && html`<span role="status">${t("status.submitting")}</span>`}
    ${!durable.value && html`<span class="fault">${t("label.not_durable")}</span>`}
    ${newVersion.value && html`<span>${t("status.new_version")}</span>`}
    ${foreign.value > 0 && html`<span>${t("label.foreign", { n: foreign.value })}</span>`}
  </div>`;
}

export function Tray() {
  if (!troubled.value.length) return null;
  const n = troubled.value.length;
  return html`<section class="tray" aria-label=${t("tray.title", { n })}>
    <h2>${n === 1 ? t("tray.one") : t("tray.title", { n })}</h2>
    <ul>
      ${troubled.value.map((record) => (record.state === "conflict" ? html`<${Conflict} key=${record.id} record=${record} />` : html`<${Rejected} key=${record.id} record=${record} />`))}
    </ul>
  </section>`;
}

function Rejected({ record }) {
  const line = decisions.value.find((one) => one.id === record.id);
  const change = async () => {
    await settle(record.id, "drop");
    if (line) revisit(line);
  };
  return html`<li>
    <p>${t("tray.rejected", { answer: meaningOf(record.event, t), reason: record.reason })}</p>
    <div class="row">
      <button type="button" onClick=${() => settle(record.id, "retry")}>${t("tray.retry")}</button>
      ${line && html`<button type="button" onClick=${change}>${t("tray.change")}</button>`}
      <button type="button" onClick=${saveUnsent}>${t("tray.export")}</button>
    </div>
  </li>`;
}

function Conflict({ record }) {
  const head = record.head ?? {};
  const theirs = head.anim_id ? byCode.value.get(head.anim_id)?.name || head.anim_id : t("tray.another");
  const keepMine = async () => {
    // Said again on top of what stands now: it replaces that.
    const id = uuid();
    const event = { ...record.event, annotation_id: id, base_event_id: head.annotation_id ?? null, client_time: new Date().toISOString() };
    await keepDecision({ events: [{ id, user: boot.user, state: "waiting", at: Date.now(), event }] });
    await settle(record.id, "drop");
  };
  const keepTheirs = async () => {
    const id = uuid();
    const event = { annotation_id: id, kind: "retract", supersedes: record.id, client_time: new Date().toISOString() };
    await keepDecision({ events: [{ id, user: boot.user, state: "waiting", at: Date.now(), event }], undone: record.id });
    await settle(record.id, "drop");
    flush();
  };
  return html`<li>
    <p>${t("tray.conflict", { who: head.annotator ?? "?", what: theirs, when: head.server_time ? timeOfDay(head.server_time) : "?" })}</p>
    <div class="row">
      <button type="button" onClick=${keepTheirs}>${t("tray.keep_theirs", { what: theirs })}</button>
      <button type="button" onClick=${keepMine}>${t("tray.keep_mine")}</button>
    </div>
  </li>`;
}
