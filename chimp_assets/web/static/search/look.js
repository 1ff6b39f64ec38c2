// Belongs here: the second look before many are named: every marked picture once more, some of others hidden among them,
// which the server knows alone. Does not belong here: marking (marks.js), what is stored (the server).

import { focus, isOurs, toward } from "./tiles.js";

const fill = (template, values) => template.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);

/** Shows the second look. found: the server's answer; confirm(taken_out, how) stores it, and returns null or a sentence
 * that stays on the screen. Resolves when the look is over. */
export function look(dialog, found, confirm) {
  const part = (name) => dialog.querySelector(`[data-${name}]`);
  const [list, yes, problem] = [part("tiles"), part("yes"), part("problem")];
  const name = found.name || found.anim_id;
  const over = new AbortController();
  let waiting = false;

  part("title").textContent = fill(part("title").dataset.title, { name, n: found.tracks.length });
  part("references").replaceChildren(...found.references.slice(0, 5).map((src) => Object.assign(new Image(), { src, alt: "" })));
  list.replaceChildren(...found.tracks.map((one, n) => tileOf(one, n)));
  const tiles = [...list.querySelectorAll("button")];
  const out = () => tiles.filter((tile) => tile.getAttribute("aria-pressed") === "true");
  problem.hidden = true;
  yes.hidden = false;
  count();

  function tileOf(one, n) {
    const item = document.createElement("li");
    const tile = document.createElement("button");
    tile.type = "button";
    tile.className = "tile";
    tile.dataset.track = one.track_id;
    tile.setAttribute("aria-pressed", "false");
    tile.setAttribute("aria-label", fill(list.dataset.picture, { n: n + 1 }));
    tile.tabIndex = n ? -1 : 0;
    const picture = Object.assign(new Image(), { src: one.picture, alt: "", decoding: "async" });
    const cross = Object.assign(document.createElement("span"), { className: "cross", textContent: "✕" });
    cross.setAttribute("aria-hidden", "true");
    tile.append(picture, cross);
    tile.addEventListener("click", () => toggle(tile));
    item.append(tile);
    return item;
  }

  function toggle(tile) {
    if (!tile || yes.hidden) return;
    const out = tile.getAttribute("aria-pressed") !== "true";
    tile.setAttribute("aria-pressed", String(out));
    tile.setAttribute("aria-label", fill(out ? list.dataset.out : list.dataset.picture, { n: tiles.indexOf(tile) + 1 }));
    focus(tile, tiles);
    count();
  }

  function count() {
    const n = tiles.length - out().length;
    yes.textContent = fill(n ? yes.dataset.some : yes.dataset.nothing, { n, name });
  }

  async function confirmed(how) {
    if (waiting || yes.hidden) return;
    waiting = yes.disabled = true;
    const sentence = await confirm(out().map((tile) => Number(tile.dataset.track)), how);
    waiting = yes.disabled = false;
    if (sentence === null) return dialog.close();
    problem.textContent = sentence.text;
    problem.hidden = false;
    yes.hidden = sentence.final;
    problem.scrollIntoView({ block: "nearest" });
    if (sentence.final) part("no").focus();
  }

  const { signal } = over;
  yes.addEventListener("click", (event) => confirmed(event.pointerType === "touch" ? "touch" : "mouse"), { signal });
  part("no").addEventListener("click", () => dialog.close(), { signal });
  dialog.addEventListener(
    "keydown",
    (event) => {
      if (!isOurs(event) || event.repeat) return;
      const tile = event.target.closest(".tile");
      const next = tile ? toward(event.key, tile, tiles) : null;
      if (next !== null) focus(next, tiles);
      else if (tile && event.code === "KeyX") toggle(tile);
      else if (tile && event.key === "Enter") confirmed("key");
      else return;
      event.preventDefault();
    },
    { signal },
  );
  return new Promise((done) => {
    dialog.addEventListener("close", () => (over.abort(), done()), { once: true });
    dialog.showModal();
    focus(tiles[0], tiles);
  });
}
