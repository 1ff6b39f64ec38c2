// Belongs here: which key does what on the labelling screen, the person's own changes to it, when keys are off.
// Does not belong here: what the actions do (screen).

import { signal } from "../lib/ui.js";
import { open } from "../lib/dialogs.js";
import { keepSetting, setting } from "../lib/store.js";

/** action -> code of the key ("Shift+" before it for a command). By place on the keyboard, so AZERTY digits work. */
export const DEFAULTS = {
  candidate1: "Digit1", candidate2: "Digit2", candidate3: "Digit3", candidate4: "Digit4", candidate5: "Digit5",
  accept: "Enter", up: "ArrowUp", down: "ArrowDown",
  unknown: "Digit6", new_individual: "Digit7", not_animal: "Digit8", bad_box: "Digit9", same: "Digit0",
  undo: "Backspace", play: "Space", back: "ArrowLeft", forward: "ArrowRight",
  compare1: "Shift+Digit1", compare2: "Shift+Digit2", compare3: "Shift+Digit3", compare4: "Shift+Digit4",
  compare5: "Shift+Digit5",
  split: "Shift+KeyS", merge: "Shift+KeyM", fix_box: "Shift+KeyB", flag: "Shift+KeyF", skip: "Shift+KeyK",
  view: "Shift+KeyV", help: "Shift+Slash",
};

export const keyMap = signal({ ...DEFAULTS });
/** False: no single key does anything (for people who dictate); the buttons stay. */
export const keysOn = signal(true);

export async function loadKeys() {
  keyMap.value = { ...DEFAULTS, ...(await setting("keys", {})) };
  keysOn.value = await setting("keys_on", true);
}

/** Give an action another key; returns the action that has it already, which keeps it then. */
export async function remap(action, code) {
  const holder = Object.keys(keyMap.value).find((other) => other !== action && keyMap.value[other] === code);
  if (holder) return holder;
  keyMap.value = { ...keyMap.value, [action]: code };
  await keepSetting("keys", keyMap.value);
  return null;
}

export async function restoreKeys() {
  keyMap.value = { ...DEFAULTS };
  await keepSetting("keys", {});
}

export async function turnKeys(on) {
  keysOn.value = on;
  await keepSetting("keys_on", on);
}

export const codeOf = (event) => {
  const code = event.code.replace(/^Numpad(\d)$/, "Digit$1").replace("NumpadEnter", "Enter");
  return event.shiftKey ? `Shift+${code}` : code;
};

/** A key as it is printed on a button. */
export function shown(code) {
  const names = { Backspace: "⌫", Space: "␣", Enter: "⏎", ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓" };
  if (code === "Shift+Slash") return "?";
  const parts = code.split("+");
  const key = parts.pop().replace(/^(Digit|Key|Numpad)/, "");
  return (parts.length ? "⇧" : "") + (names[key] ?? key);
}

const typing = (target) =>
  target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));

/** Is this key press the page's to act on? */
export function meant(event) {
  return !(
    event.defaultPrevented || event.isComposing || event.ctrlKey || event.altKey || event.metaKey || open.value || typing(event.target)
  );
}

/**
 * Listen: act(action, event) for a key of the map, letter(character) for another single letter.
 * A held key acts once. No button keeps the focus after a click, or Space and Enter would press it again.
 * more: actions of one screen alone, by the codes of their keys; they cannot be changed.
 */
export function listen(act, letter, more = {}) {
  const down = (event) => {
    if (!keysOn.value || !meant(event)) return;
    const action = more[codeOf(event)] ?? Object.keys(keyMap.value).find((name) => keyMap.value[name] === codeOf(event)) ??
      (event.key === "?" ? "help" : null);
    // Who walks by Tab presses the button that has the focus, as everywhere.
    const focused = event.target instanceof Element && event.target.closest("a[href], button, [tabindex='0'], summary");
    if (focused && (event.key === "Enter" || event.key === " ")) {
      if (event.repeat) event.preventDefault();
      return;
    }
    const isLetter = event.key.length === 1 && /\p{L}/u.test(event.key) && !event.shiftKey;
    if (!action && !isLetter) return;
    event.preventDefault();
    if (event.repeat) return;
    if (action) act(action, "key");
    else letter(event.key);
  };
  const release = (event) => {
    // detail is 0 for a click made by a key: there the focus must stay.
    const button = event.target instanceof Element && event.target.closest("button");
    if (button && event.detail > 0 && !open.value) button.blur();
  };
  addEventListener("keydown", down);
  addEventListener("click", release, true);
  return () => {
    removeEventListener("keydown", down);
    removeEventListener("click", release, true);
  };
}
