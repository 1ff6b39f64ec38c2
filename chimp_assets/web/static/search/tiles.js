// Belongs here: moving over pictures with the arrows; one of them at a time is in the order of Tab. Does not belong here:
// what is done with a picture (marks.js and the page).

const GAP = 4;

/** Puts focus on one of the tiles. */
export function focus(tile, tiles) {
  if (!tile) return;
  for (const other of tiles) other.tabIndex = other === tile ? 0 : -1;
  tile.focus();
  tile.scrollIntoView({ block: "nearest" });
}

/** The tile one row up or down: the nearest by its middle. */
function beside(tile, tiles, direction) {
  const { left, top, width } = tile.getBoundingClientRect();
  const away = ({ box }) => Math.abs(box.left + box.width / 2 - left - width / 2);
  const rows = tiles
    .map((other) => ({ other, box: other.getBoundingClientRect() }))
    .filter(({ box }) => (direction > 0 ? box.top > top + GAP : box.top < top - GAP));
  rows.sort((a, b) => Math.abs(a.box.top - top) - Math.abs(b.box.top - top) || away(a) - away(b));
  return rows[0]?.other;
}

/** The tile that a key leads to; undefined where the key leads nowhere, null where it is no such key. */
export function toward(key, tile, tiles) {
  const n = tiles.indexOf(tile);
  if (key === "ArrowRight") return tiles[n + 1];
  if (key === "ArrowLeft") return tiles[n - 1];
  if (key === "ArrowDown" || key === "ArrowUp") return beside(tile, tiles, key === "ArrowDown" ? 1 : -1);
  if (key === "Home") return tiles[0];
  if (key === "End") return tiles.at(-1);
  return null;
}

/** Whether a key belongs to the page: not with another key held, not in a box to write in. */
export const isOurs = (event) => !event.defaultPrevented && !event.ctrlKey && !event.altKey && !event.metaKey;
