// Belongs here: which key does what on the page of a video. Does not belong here: what the actions do (main, acts).

const typing = (target) => target.closest("input:not([type=range]), select, textarea, .scroll");

const NAMES = {
  ArrowLeft: "back", ArrowRight: "forward", ArrowUp: "up", ArrowDown: "down", Home: "beginning", End: "end", "[": "before", "]": "after",
  Backspace: "undo",
};
const WITH_SHIFT = { S: "split", M: "merge", F: "flag" };

/** actions: name -> what it does; a name that lacks is no key. `candidate` gets the place, from 0. */
export function listen(actions) {
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || typing(event.target)) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const [name, ...values] = nameOf(event);
    if (!actions[name]) return;
    event.preventDefault();
    // Whoever holds an arrow goes on; a decision is made once.
    if (event.repeat && !["back", "forward"].includes(name)) return;
    actions[name](...values);
  });
}

function nameOf(event) {
  // Whoever walks by Tab presses the button or link that has the focus, as everywhere.
  if (event.key === " ") return [event.target.closest("button, a, summary") ? null : "play"];
  const digit = !event.shiftKey && /^(?:Digit|Numpad)([1-9])$/.exec(event.code);
  if (digit) return ["candidate", Number(digit[1]) - 1];
  if (event.shiftKey) return [WITH_SHIFT[letterOf(event)]];
  return [NAMES[event.key]];
}

/** As printed on the key; by its place where the keyboard writes other letters. */
const letterOf = (event) => (/^[a-z]$/i.test(event.key) ? event.key.toUpperCase() : event.code.replace(/^Key/, ""));
