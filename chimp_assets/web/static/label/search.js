// Belongs here: the search box over all individuals, an ARIA combobox with a list.
// Does not belong here: how names are ranked (names).

import { html, t, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../lib/ui.js";
import { search } from "./names.js";
import { index, recency } from "./session.js";

/** choose(individual), create(typed) or close(); the first match is chosen by Enter without a move. */
export function Search({ first, choose, create, close, label }) {
  const [typed, setTyped] = useState(first);
  const [at, setAt] = useState(0);
  const input = useRef(null);
  const list = useRef(null);
  const found = useMemo(() => search(index.value, typed, { recency: recency.value }), [typed, index.value, recency.value]);

  useLayoutEffect(() => {
    input.current.focus();
    input.current.setSelectionRange(typed.length, typed.length);
  }, []);
  useEffect(() => {
    list.current?.children[at]?.scrollIntoView({ block: "nearest" });
  }, [at]);

  const onKeyDown = (event) => {
    event.stopPropagation();
    if (event.isComposing) return;
    const last = found.length - 1;
    const moves = { ArrowDown: Math.min(at + 1, last), ArrowUp: Math.max(at - 1, 0) };
    if (event.key in moves) setAt(moves[event.key]);
    else if (event.key === "Enter") {
      if (event.repeat) return event.preventDefault();
      if (found[at]) choose(found[at]);
      else if (create && typed.trim()) create(typed.trim());
    } else if (event.key === "Escape" || (event.key === "Backspace" && !typed)) close();
    else return undefined;
    return event.preventDefault();
  };

  return html`<div class="search" role="search">
    <input
      ref=${input}
      role="combobox"
      type="text"
      inputmode="text"
      autocomplete="off"
      autocapitalize="off"
      spellcheck=${false}
      aria-label=${label ?? t("label.search")}
      aria-expanded="true"
      aria-controls="found"
      aria-autocomplete="list"
      aria-activedescendant=${found.length ? `found-${at}` : undefined}
      placeholder=${t("label.search_hint")}
      value=${typed}
      onInput=${(event) => {
        setTyped(event.target.value);
        setAt(0);
      }}
      onKeyDown=${onKeyDown}
    />
    <button type="button" class="quiet" onClick=${close} aria-label=${t("common.close")}>✕</button>
    <ul id="found" role="listbox" ref=${list} aria-label=${t("label.found")}>
      ${found.map(
        (one, i) => html`<li
          key=${one.anim_id}
          id=${`found-${i}`}
          role="option"
          aria-selected=${i === at}
          onPointerDown=${(event) => event.preventDefault()}
          onClick=${() => choose(one)}
        >
          ${one.references?.[0] ? html`<img src=${one.references[0]} alt="" loading="lazy" />` : html`<span class="face"></span>`}
          <span class="found-name">${one.name || one.anim_id}</span>
          <span class="code">${one.anim_id}</span>
          ${one.provisional && html`<span class="badge">${t("label.provisional")}</span>`}
          ${one.aliases?.length ? html`<span class="hint">${one.aliases.join(", ")}</span>` : null}
        </li>`,
      )}
    </ul>
    ${!found.length &&
    html`<p class="hint" role="status">
      ${t("label.nobody_found", { typed })}
      ${create && typed.trim() && html` <button type="button" onClick=${() => create(typed.trim())}>${t("label.new_named", { typed })}</button>`}
    </p>`}
  </div>`;
}
