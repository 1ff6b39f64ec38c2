// Belongs here: which key does what on the page of a video. Does not belong here: what the actions do (main).

const typing = (target) => target.closest("input:not([type=range]), select, textarea, .scroll");

/** actions: name -> what it does; a name that lacks is no key. */
export function listen(actions) {
  addEventListener("keydown", (event) => {
    if (typing(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
    const action = actions[nameOf(event)];
    if (!action) return;
    event.preventDefault();
    action();
  });
}

const NAMES = {
  ArrowLeft: "back", ArrowRight: "forward", ArrowUp: "up", ArrowDown: "down", Home: "beginning", End: "end", "[": "before", "]": "after",
};

function nameOf(event) {
  // Whoever walks by Tab presses the button or link that has the focus, as everywhere.
  if (event.key === " ") return event.target.closest("button, a") ? null : "play";
  return NAMES[event.key] ?? null;
}
