// Belongs here: one dialog at a time, as a promise; the browser's own <dialog> keeps the focus inside.
// Does not belong here: what a dialog says.

import { html, render, signal, useLayoutEffect, useRef } from "./ui.js";

/** Whether a dialog is open: keys of the page are off then. */
export const open = signal(null);

let stack = [];

/** Show Content({close}) in a dialog; resolves with what close() was given, null by Esc. `fixed`: Esc does nothing. */
export function show(Content, { label, wide = false, fixed = false } = {}) {
  return new Promise((resolve) => {
    const before = document.activeElement;
    const entry = { Content, label, wide, fixed };
    entry.close = (value = null) => {
      stack = stack.filter((other) => other !== entry);
      open.value = stack.at(-1) ?? null;
      if (before instanceof HTMLElement && before.tagName !== "BUTTON") before.focus();
      resolve(value);
    };
    stack.push(entry);
    open.value = entry;
  });
}

function Dialog({ entry }) {
  const ref = useRef(null);
  useLayoutEffect(() => {
    const dialog = ref.current;
    if (!dialog.open) dialog.showModal();
    const first = dialog.querySelector("[autofocus], [data-first]");
    if (first) first.focus();
    return () => dialog.close();
  }, [entry]);
  return html`<dialog
    ref=${ref}
    class=${entry.wide ? "dialog wide" : "dialog"}
    aria-label=${entry.label}
    onCancel=${(event) => {
      event.preventDefault();
      if (!entry.fixed) entry.close(null);
    }}
    onKeyDown=${(event) => event.stopPropagation()}
  >
    <${entry.Content} close=${entry.close} />
  </dialog>`;
}

/** The place where dialogs appear; drawn once by each island. */
export function mountDialogs() {
  const place = document.createElement("div");
  document.body.append(place);
  const Host = () => (open.value ? html`<${Dialog} entry=${open.value} key=${open.value} />` : null);
  render(html`<${Host} />`, place);
}
