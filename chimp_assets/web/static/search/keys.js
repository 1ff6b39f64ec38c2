// Belongs here: keys on the page of search. Does not belong here: which pictures there are; the server draws them, and
// without this script their links do the same.

const box = document.querySelector("[data-box]");
const list = document.querySelector("[data-found]");
const tiles = [...(list?.querySelectorAll("[data-track]") ?? [])];
for (const [n, tile] of tiles.entries()) tile.tabIndex = n ? -1 : 0;

function focus(tile) {
  if (!tile) return;
  for (const other of tiles) other.tabIndex = other === tile ? 0 : -1;
  tile.focus();
  tile.scrollIntoView({ block: "nearest" });
}

/** How many pictures stand in a row. */
function across() {
  const tops = tiles.map((tile) => tile.getBoundingClientRect().top);
  const n = tops.findIndex((top) => top > tops[0] + 4);
  return n < 0 ? tiles.length : n;
}

list?.addEventListener("keydown", (event) => {
  const tile = event.target.closest("[data-track]");
  if (!tile || event.ctrlKey || event.altKey || event.metaKey) return;
  const n = tiles.indexOf(tile);
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: across(), ArrowUp: -across() };
  if (event.key in steps) focus(tiles[n + steps[event.key]]);
  else if (event.key === "Home") focus(tiles[0]);
  else if (event.key === "End") focus(tiles.at(-1));
  else if (event.key === "L" && event.shiftKey) tile.querySelector("[data-like]").click();
  else if (event.key === "O" && event.shiftKey) tile.querySelector("[data-video]").click();
  else return;
  event.preventDefault();
});

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, textarea, [contenteditable]");
  if (event.key !== "/" || typing || event.ctrlKey || event.altKey || event.metaKey) return;
  box?.focus();
  event.preventDefault();
});
