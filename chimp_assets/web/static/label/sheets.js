// Belongs here: the dialogs of the labelling screen: help and keys, settings, note, new individual, merge, compare.
// Does not belong here: what the screen does with their results (screen).

import { asPercent, boot, html, recordingTime, signal, t, useEffect, useState } from "../lib/ui.js";
import { exportUnsent, foreign, waiting } from "../lib/outbox.js";
import { durable } from "../lib/store.js";
import { codeOf, DEFAULTS, keyMap, keysOn, remap, restoreKeys, shown, turnKeys } from "./keys.js";
import { search } from "./names.js";
import { items, takeOffline } from "./queue.js";
import { byCode, decisions, index, meaningOf, REWRITING } from "./session.js";

export function save(name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export const saveUnsent = async () =>
  save(`answers-${boot.user}-${new Date().toISOString().slice(0, 19).replace(/:/g, "")}.json`, await exportUnsent());

const asking = signal(null);

function KeyTable({ change }) {
  const [clash, setClash] = useState(null);
  const onKeyDown = (action) => async (event) => {
    if (["Tab", "Escape", "Shift", "Control", "Alt", "Meta"].includes(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    const holder = await remap(action, codeOf(event));
    setClash(holder ? t("label.key_taken", { action: t(`label.action.${holder}`) }) : null);
    if (!holder) asking.value = null;
  };
  return html`<table class="keys">
      <tbody>
        ${Object.keys(DEFAULTS).map(
          (action) => html`<tr key=${action}>
            <th scope="row">${t(`label.action.${action}`)}</th>
            <td>
              ${change
                ? html`<button
                    type="button"
                    class="key"
                    aria-label=${t("label.change_key", { action: t(`label.action.${action}`), key: keyMap.value[action] })}
                    onClick=${() => (asking.value = action)}
                    onKeyDown=${asking.value === action ? onKeyDown(action) : undefined}
                  >
                    ${asking.value === action ? t("label.press_key") : shown(keyMap.value[action])}
                  </button>`
                : html`<kbd>${shown(keyMap.value[action])}</kbd>`}
            </td>
          </tr>`,
        )}
        ${!change &&
        html`<tr>
          <th scope="row">${t("label.action.search")}</th>
          <td><kbd>A</kbd>–<kbd>Z</kbd></td>
        </tr>`}
      </tbody>
    </table>
    ${clash && html`<p role="alert" class="fault">${clash}</p>`}`;
}

export function Help({ close }) {
  return html`<h2>${t("label.help")}</h2>
    <p>${t("label.help_text")}</p>
    <div class="columns"><${KeyTable} /></div>
    <div class="row end"><button class="primary" data-first onClick=${() => close()}>${t("common.close")}</button></div>`;
}

export function Settings({ close }) {
  const [persisted, setPersisted] = useState(null);
  const [pack, setPack] = useState(null);
  const [wanted, setWanted] = useState(100);
  useEffect(() => {
    navigator.storage?.persisted?.().then(setPersisted);
  }, []);
  const keep = async () => setPersisted(await navigator.storage.persist());
  const take = async () => {
    setPack({ done: 0, of: 0 });
    const result = await takeOffline(wanted, (done, of) => setPack({ done, of }));
    setPack(result);
  };
  const theme = document.documentElement.dataset.theme ?? "auto";
  const setTheme = (value) => {
    document.documentElement.dataset.theme = value;
    localStorage.setItem("theme", value);
  };
  return html`<h2>${t("label.settings")}</h2>
    <section>
      <h3>${t("label.offline_pack")}</h3>
      <p>${t("label.offline_why")}</p>
      <div class="row">
        <label>${t("label.tracks")}<input type="number" min="1" max="500" value=${wanted} onInput=${(e) => setWanted(Math.min(500, Math.max(1, Number(e.target.value) || 1)))} /></label>
        <button type="button" onClick=${take} disabled=${pack && !("tracks" in pack)}>${t("label.take_offline", { n: wanted })}</button>
      </div>
      ${pack &&
      html`<p role="status">
        ${"tracks" in pack ? t("label.pack_ready", { n: pack.tracks, failed: pack.failed }) : t("label.pack_coming", { done: pack.done, of: pack.of })}
      </p>`}
      ${!navigator.serviceWorker && html`<p class="fault">${t("label.no_worker")}</p>`}
    </section>
    <section>
      <h3>${t("label.storage")}</h3>
      <p>${durable.value ? (persisted ? t("label.kept_for_sure") : t("label.kept_perhaps")) : t("label.not_durable")}</p>
      <div class="row">
        ${navigator.storage?.persist && !persisted && html`<button type="button" onClick=${keep}>${t("label.ask_keep")}</button>`}
        <button type="button" onClick=${saveUnsent}>${t("label.export", { n: waiting.value })}</button>
      </div>
      ${foreign.value > 0 && html`<p class="fault">${t("label.foreign", { n: foreign.value })}</p>`}
    </section>
    <section>
      <h3>${t("label.appearance")}</h3>
      <div class="row" role="radiogroup" aria-label=${t("label.appearance")}>
        ${["auto", "light", "dark"].map(
          (value) => html`<label class="choice"><input type="radio" name="theme" value=${value} defaultChecked=${theme === value} onChange=${() => setTheme(value)} />${t(`label.theme.${value}`)}</label>`,
        )}
      </div>
    </section>
    <section>
      <h3>${t("label.keys")}</h3>
      <label class="choice"><input type="checkbox" checked=${keysOn.value} onChange=${(e) => turnKeys(e.target.checked)} />${t("label.keys_on")}</label>
      <div class="columns"><${KeyTable} change=${true} /></div>
      <button type="button" onClick=${restoreKeys}>${t("label.restore_keys")}</button>
    </section>
    <div class="row end sticky"><button class="primary" onClick=${() => close()}>${t("common.close")}</button></div>`;
}

export function Note({ close, now }) {
  const submit = (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    close({ text: String(form.get("text")).trim().slice(0, 2000), flag: form.get("flag") === "on" });
  };
  return html`<form class="stack" onSubmit=${submit}>
    <h2>${t("label.flag_title")}</h2>
    <p>${t("label.flag_why")}</p>
    <label>${t("label.note")}<textarea name="text" rows="4" maxlength="2000" data-first defaultValue=${now?.text ?? ""}></textarea></label>
    <label class="choice"><input type="checkbox" name="flag" defaultChecked=${now?.flag ?? true} />${t("label.flag_for_review")}</label>
    <div class="row end">
      <button type="button" onClick=${() => close(null)}>${t("common.cancel")}</button>
      <button class="primary">${t("label.keep_note")}</button>
    </div>
  </form>`;
}

/** Resolves with {same: anim_id} for somebody known, or {code, callName} for a new one. */
export function NewIndividual({ close, item, typed }) {
  const [fault, setFault] = useState("");
  const alike = [...item.candidates];
  for (const one of typed ? search(index.value, typed, { limit: 3 }) : []) {
    if (!alike.some((other) => other.anim_id === one.anim_id)) {
      alike.push({ anim_id: one.anim_id, name: one.name, references: (one.references ?? []).map((url) => ({ url })) });
    }
  }
  const submit = (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    const code = String(form.get("code")).trim().toUpperCase();
    if (code && byCode.value.has(code)) return setFault(t("label.code_taken", { code, name: byCode.value.get(code).name || code }));
    return close({ code, callName: String(form.get("name")).trim() });
  };
  return html`<form onSubmit=${submit} class="stack">
    <h2>${t("label.new_title")}</h2>
    <p>${t("label.new_first")}</p>
    <div class="beside">
      <figure>
        ${(item.crops[0] || item.face) && html`<img src=${item.crops[0]?.url ?? item.face} alt=${t("label.picture_of_track")} />`}
        <figcaption>${t("label.this_track")}</figcaption>
      </figure>
      <ul class="alike">
        ${alike.map(
          (one) => html`<li key=${one.anim_id}>
            <button type="button" onClick=${() => close({ same: one.anim_id })}>
              <strong>${one.name || one.anim_id}</strong>
              <span class="photos">${one.references.slice(0, 2).map((ref) => html`<img src=${ref.url} alt="" key=${ref.url} />`)}</span>
              <span>${t("label.it_is", { name: one.name || one.anim_id })}</span>
            </button>
          </li>`,
        )}
      </ul>
    </div>
    <div class="row">
      <label>${t("label.new_name")}<input name="name" maxlength="200" defaultValue=${typed ?? ""} autocomplete="off" /></label>
      <label>${t("label.new_code")}<input name="code" maxlength="40" autocomplete="off" /></label>
    </div>
    ${fault && html`<p class="fault" role="alert">${fault}</p>`}
    <div class="row end">
      <button type="button" onClick=${() => close(null)}>${t("common.cancel")}</button>
      <button class="primary" data-first>${t("label.new_submit")}</button>
    </div>
  </form>`;
}

/** Which other track of this clip is the same animal? Resolves with a track_id. */
export function Merge({ close, item }) {
  const near = (other) => other.video.video_id === item.video.video_id;
  const others = new Map();
  for (const other of items.value) if (other.track_id !== item.track_id) others.set(other.track_id, { ...other, said: "" });
  for (const line of decisions.value.slice(0, 30)) {
    // What was split or merged is no track any more.
    if (line.item.track_id === item.track_id || REWRITING.has(line.event.kind)) continue;
    others.set(line.item.track_id, { ...line.item, said: meaningOf(line.event, t) });
  }
  const list = [...others.values()].filter(near).slice(0, 9);
  const [chosen, choose] = useState(0);
  const onKeyDown = (event) => {
    const digit = /^(?:Digit|Numpad)([1-9])$/.exec(event.code);
    if (digit && list[digit[1] - 1]) choose(digit[1] - 1);
    else if (event.key === "ArrowRight") choose(Math.min(chosen + 1, list.length - 1));
    else if (event.key === "ArrowLeft") choose(Math.max(chosen - 1, 0));
    else if (event.key === "Enter" && !event.repeat && list[chosen] && event.target.dataset.cancel === undefined) close(list[chosen].track_id);
    else return;
    event.preventDefault();
  };
  return html`<div class="stack" onKeyDown=${onKeyDown}>
    <h2>${t("label.merge_title")}</h2>
    <p>${t("label.merge_why")}</p>
    ${list.length ? null : html`<p>${t("label.merge_none")}</p>`}
    <ul class="alike" tabindex="-1" data-first>
      ${list.map(
        (other, i) => html`<li key=${other.track_id}>
          <button type="button" aria-pressed=${i === chosen} onClick=${() => choose(i)}>
            <span><kbd>${i + 1}</kbd> ${other.said}</span>
            ${(other.crops[0] || other.face) && html`<img src=${other.crops[0]?.url ?? other.face} alt="" />`}
            <span class="hint">${t("label.same_clip")}</span>
          </button>
        </li>`,
      )}
    </ul>
    <div class="row end">
      <button type="button" data-cancel onClick=${() => close(null)}>${t("common.cancel")}</button>
      <button type="button" class="primary" disabled=${!list.length} onClick=${() => close(list[chosen].track_id)}>${t("label.merge_commit")}</button>
    </div>
  </div>`;
}

/** The track large beside a candidate's photos; Enter says it is this one. */
export function Compare({ close, item, at }) {
  const [i, setI] = useState(at);
  const [mine, setMine] = useState(0);
  const [theirs, setTheirs] = useState(0);
  const candidate = item.candidates[i];
  const photos = candidate.references;
  const onKeyDown = (event) => {
    const digit = /^(?:Digit|Numpad)([1-5])$/.exec(event.code);
    if (digit && item.candidates[digit[1] - 1]) {
      setI(digit[1] - 1);
      setTheirs(0);
    } else if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      const by = event.key === "ArrowRight" ? 1 : -1;
      if (event.shiftKey) setTheirs((theirs + by + photos.length) % Math.max(1, photos.length));
      else setMine((mine + by + item.crops.length) % Math.max(1, item.crops.length));
    } else return;
    event.preventDefault();
  };
  const name = candidate.name || candidate.anim_id;
  return html`<div class="stack" onKeyDown=${onKeyDown}>
    <h2>${t("label.compare_title", { name })} <span class="chance">${asPercent(candidate.probability)}</span></h2>
    <div class="compare">
      <figure>
        ${item.crops[mine] && html`<img src=${item.crops[mine].url} alt=${t("label.picture_of_track")} />`}
        <figcaption>
          <button type="button" onClick=${() => setMine((mine + 1) % Math.max(1, item.crops.length))}>${t("label.this_track")} ${mine + 1}/${item.crops.length}</button>
        </figcaption>
      </figure>
      <figure>
        ${photos[theirs]
          ? html`<img src=${photos[theirs].url} alt=${t("label.reference_of", { name, when: recordingTime(photos[theirs].recorded_at) })} />`
          : html`<p class="gap">${t("label.no_reference")}</p>`}
        <figcaption>
          ${photos.length > 0 &&
          html`<button type="button" onClick=${() => setTheirs((theirs + 1) % photos.length)}>${name} ${theirs + 1}/${photos.length} · ${recordingTime(photos[theirs]?.recorded_at)}</button>`}
        </figcaption>
      </figure>
    </div>
    <div class="row end">
      <button type="button" onClick=${() => close(null)}>${t("common.close")}</button>
      <button type="button" class="primary" data-first onClick=${() => close(candidate.anim_id)}>${t("label.it_is", { name })}</button>
    </div>
  </div>`;
}
