// Belongs here: J and K through the frames of those who are together, on to the next page at the end.

const frames = [...document.querySelectorAll(".occasions article")];
const typing = (element) => element.closest("input, select, textarea, dialog, [contenteditable]");

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || typing(event.target) || !frames.length) return;
  const by = { KeyJ: 1, KeyK: -1 }[event.code];
  if (!by) return;
  event.preventDefault();
  const now = frames.indexOf(document.activeElement.closest?.("article"));
  const next = now < 0 ? (by > 0 ? 0 : frames.length - 1) : now + by;
  if (next >= frames.length) document.querySelector("nav.pages a")?.click();
  else if (next >= 0) {
    frames[next].focus();
    frames[next].scrollIntoView({ block: "center" });
  }
});
