// Belongs here: keys on the pictures, and naming those that are marked. Does not belong here: which pictures there are;
// the server draws them, and without this script the links do all but naming.

const MOST = 48;
const list = document.querySelector("[data-found]");
const tiles = [...(list?.querySelectorAll("[data-track]") ?? [])];
const form = document.querySelector("[data-confirm]");
const said = document.querySelector("[data-said]");
const undo = document.querySelector("[data-undo]");
const began = performance.now();

/** Where the address is not https the browser has no randomUUID. */
function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 15) | 64;
  bytes[8] = (bytes[8] & 63) | 128;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

// --- moving ---
for (const [n, tile] of tiles.entries()) tile.tabIndex = n ? -1 : 0;

function focus(tile) {
  if (!tile) return;
  for (const other of tiles) other.tabIndex = other === tile ? 0 : -1;
  tile.focus();
  tile.scrollIntoView({ block: "nearest" });
}

/** The tile one row up or down: the nearest by its middle. */
function beside(tile, direction) {
  const { left, top, width } = tile.getBoundingClientRect();
  const rows = tiles
    .map((other) => ({ other, box: other.getBoundingClientRect() }))
    .filter(({ box }) => (direction > 0 ? box.top > top + 4 : box.top < top - 4));
  rows.sort((a, b) => Math.abs(a.box.top - top) - Math.abs(b.box.top - top) || Math.abs(a.box.left + a.box.width / 2 - left - width / 2) - Math.abs(b.box.left + b.box.width / 2 - left - width / 2));
  return rows[0]?.other;
}

list?.addEventListener("keydown", (event) => {
  const tile = event.target.closest("[data-track]");
  if (!tile || event.ctrlKey || event.altKey || event.metaKey) return;
  const n = tiles.indexOf(tile);
  const mark = tile.querySelector("[data-mark]");
  if (event.key === "ArrowRight") focus(tiles[n + 1]);
  else if (event.key === "ArrowLeft") focus(tiles[n - 1]);
  else if (event.key === "ArrowDown") focus(beside(tile, 1));
  else if (event.key === "ArrowUp") focus(beside(tile, -1));
  else if (event.key === "Home") focus(tiles[0]);
  else if (event.key === "End") focus(tiles.at(-1));
  else if (event.key === "+") tile.querySelector("[data-plus]").click();
  else if (event.key === "-") tile.querySelector("[data-minus]").click();
  else if (event.key === "L" && event.shiftKey) tile.querySelector("[data-like]").click();
  else if (event.key.toLowerCase() === "x" && mark) mark.click();
  else if (event.key === "Enter" && event.target === tile && form) form.requestSubmit();
  else return;
  event.preventDefault();
});

// --- naming what is marked ---
const marked = () => tiles.filter((tile) => tile.querySelector("[data-mark]")?.checked);
const say = (template, values = {}) => {
  said.textContent = template.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
};

list?.addEventListener("change", (event) => {
  if (!event.target.matches("[data-mark]")) return;
  if (marked().length > MOST) event.target.checked = false;
  form.querySelector("[data-count]").textContent = marked().length;
});

async function send(events) {
  const answer = await fetch("/api/events", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ user: form.dataset.user, events }),
  });
  if (answer.status === 401) location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
  const words = await answer.json();
  if (!answer.ok) throw new Error(`${words.error} ${words.remedy}`.trim());
  return words.results;
}

/** The code of what was typed: a code, or the one name that is spelt so. */
function codeOf(typed) {
  const options = [...form.querySelectorAll("option")];
  const same = (text) => text.trim().toLowerCase() === typed.toLowerCase();
  const found = options.filter((option) => option.value === typed);
  const called = found.length ? found : options.filter((option) => same(option.value) || same(option.textContent));
  return called.length === 1 ? called[0].value : null;
}

let stored = [];
// What was sent without an answer is sent again under the same ids, so that nothing is stored twice.
const ids = new Map();

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const chosen = marked();
  const code = codeOf(form.elements.who.value.trim());
  if (!chosen.length) return say(said.dataset.unmarked);
  if (!code) return say(said.dataset.nobody, { word: form.elements.who.value });
  const button = form.querySelector("[type=submit]");
  button.disabled = true;
  const seconds = (performance.now() - began) / 1000 / chosen.length;
  const events = chosen.map((tile) => {
    const key = `${tile.dataset.track} ${code}`;
    if (!ids.has(key)) ids.set(key, uuid());
    return {
      annotation_id: ids.get(key),
      kind: "identify",
      track_id: Number(tile.dataset.track),
      anim_id: code,
      shown: { mode: "search", input: "mark", query: location.search.slice(0, 1_000) },
      seconds: Math.min(3_000, seconds),
      client_time: new Date().toISOString(),
    };
  });
  try {
    const results = await send(events);
    stored = [];
    const refused = [];
    for (const [n, result] of results.entries()) {
      ids.delete(`${chosen[n].dataset.track} ${code}`);
      if (result.status === "rejected") {
        refused.push(result.reason);
        continue;
      }
      stored.push(result.annotation_id);
      const mark = chosen[n].querySelector("[data-mark]");
      mark.checked = false;
      mark.closest("label").hidden = true;
      const figure = chosen[n].querySelector("figure");
      chosen[n].dataset.was = figure.className;
      figure.className = "verified";
    }
    say(refused.length ? said.dataset.refused : said.dataset.stored, { n: stored.length, name: code, m: refused.length, why: refused[0] });
    undo.hidden = !stored.length;
  } catch (error) {
    say(error instanceof TypeError ? said.dataset.away : error.message);
  }
  button.disabled = false;
  form.querySelector("[data-count]").textContent = marked().length;
});

undo?.addEventListener("click", async () => {
  undo.disabled = true;
  try {
    const results = await send(stored.map((id) => ({ annotation_id: uuid(), kind: "retract", supersedes: id })));
    const refused = results.filter((result) => result.status === "rejected");
    for (const tile of tiles.filter((one) => one.dataset.was !== undefined)) {
      tile.querySelector("label.mark").hidden = false;
      tile.querySelector("figure").className = tile.dataset.was;
      delete tile.dataset.was;
    }
    say(said.dataset.undone, { n: results.length - refused.length });
    undo.hidden = true;
  } catch (error) {
    say(error instanceof TypeError ? said.dataset.away : error.message);
  }
  undo.disabled = false;
});
