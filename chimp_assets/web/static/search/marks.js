// Belongs here: marking found pictures and naming the marked ones at once, "not this one", taking that back. Does not
// belong here: which pictures there are (the server draws them, and without this script the links do all but naming), the
// second look (look.js), other keys of a page.

import { NoAnswer, Refusal, post, uuid } from "../lib/net.js";
import { look } from "./look.js";
import { focus, isOurs, toward } from "./tiles.js";

const LONGEST_S = 3_000;

/** Makes the pictures of a page markable. further(event, tile): other keys of the page; true if one was taken. */
export function startMarks(further = () => false) {
  const list = document.querySelector("[data-found]");
  if (!list) return;
  const tiles = [...list.querySelectorAll("[data-track]")];
  const form = document.querySelector("[data-confirm]");
  const naming = form && startNaming(form, list, tiles);
  for (const [n, tile] of tiles.entries()) tile.tabIndex = n ? -1 : 0;

  list.addEventListener("keydown", (event) => {
    const tile = event.target.closest("[data-track]");
    if (!tile || !isOurs(event) || event.target.matches("input[type=text]")) return;
    const next = toward(event.key, tile, tiles);
    if (next !== null) focus(next, tiles);
    else if (event.code === "KeyX" && event.shiftKey) tile.querySelector("[data-not]")?.click();
    else if (event.code === "KeyX" && naming) tile.querySelector("[data-mark]")?.click();
    else if (event.key === "Enter" && event.target === tile && naming) naming.submit("key");
    else if (!further(event, tile)) return;
    event.preventDefault();
  });
}

function startNaming(form, list, tiles) {
  const said = form.querySelector("[data-said]");
  const undo = form.querySelector("[data-undo]");
  const button = form.querySelector("[type=submit]");
  const most = Number(form.dataset.most);
  const boxes = () => tiles.map((tile) => tile.querySelector("[data-mark]")).filter((box) => box && !box.disabled);
  const marked = () => tiles.filter((tile) => tile.querySelector("[data-mark]:checked:not(:disabled)"));
  let began = null;
  let how = "mouse";
  /** What can be taken back: annotation_id and tile. */
  let stored = [];
  /** The id of an answer lives until the server has said what became of it: sent again, it is stored once. */
  let sending = null;

  const say = (word, values = {}) => {
    const template = said.dataset[word] ?? word;
    said.textContent = template.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
  };
  const count = () => {
    form.querySelector("[data-count]").textContent = marked().length;
    if (marked().length) began ??= performance.now();
    else began = null;
  };
  const because = (error) => {
    if (error instanceof NoAnswer) return said.dataset.away;
    if (!(error instanceof Refusal)) throw error;
    if (error.status === 401) location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
    return `${error.message} ${error.remedy}`.trim();
  };

  list.addEventListener("change", (event) => {
    if (!event.target.matches("[data-mark]")) return;
    if (marked().length > most) {
      event.target.checked = false;
      say("full", { n: most });
    }
    count();
  });
  form.querySelector("[data-all]").addEventListener("click", () => {
    for (const box of boxes().slice(0, most)) box.checked = true;
    count();
  });
  form.querySelector("[data-none]").addEventListener("click", () => {
    for (const box of boxes()) box.checked = false;
    count();
  });

  /** The code of what was typed: a code, or the one name that is spelt so. */
  function codeOf(typed) {
    const options = [...form.querySelectorAll("option")];
    const same = (text) => text.trim().toLowerCase() === typed.toLowerCase();
    const found = options.filter((option) => option.value === typed);
    const called = found.length ? found : options.filter((option) => same(option.value) || same(option.textContent));
    return called.length === 1 ? called[0].value : null;
  }

  const idOf = (body) => {
    const what = JSON.stringify(body);
    if (sending?.what !== what) sending = { what, id: uuid() };
    return sending.id;
  };

  /** Sends the answer; null if it is stored, else the sentence to show. */
  async function send(body, chosen, taken_out) {
    const seconds = Math.min(LONGEST_S, (performance.now() - (began ?? performance.now())) / 1_000);
    const more = { taken_out, seconds, input: how, query: location.search.slice(0, 1_000), client_time: new Date().toISOString() };
    try {
      const done = await post("/api/marks/answer", { ...body, ...more });
      sending = null;
      if (done.missed) return { text: said.dataset.missed, final: true };
      settle(done, chosen);
      return null;
    } catch (error) {
      return { text: because(error), final: false };
    }
  }

  function settle(done, chosen) {
    const events = new Map([...done.named, ...done.denied].map((one) => [one.track_id, one.annotation_id]));
    const named = new Set(done.named.map((one) => one.track_id));
    stored = [];
    for (const tile of chosen) {
      const id = Number(tile.dataset.track);
      const box = tile.querySelector("[data-mark]");
      box.checked = false;
      if (events.has(id)) stored.push({ tile, annotation_id: events.get(id) });
      if (!named.has(id)) continue;
      box.disabled = true;
      const figure = tile.querySelector("figure");
      tile.dataset.was = figure.className;
      figure.className = "verified";
    }
    say(done.left_out.length ? "leftOut" : "stored", { n: named.size, name: done.name || done.anim_id, m: done.left_out.length });
    undo.hidden = !stored.length;
    count();
  }

  async function submit(by) {
    how = by;
    if (button.disabled) return;
    const chosen = marked();
    const who = form.elements.namedItem("who");
    const code = codeOf(who.value.trim());
    if (!chosen.length) return say("unmarked");
    if (!code) {
      say("nobody", { word: who.value });
      return who.focus();
    }
    const body = { anim_id: code, tracks: chosen.map((tile) => Number(tile.dataset.track)), user: form.dataset.user };
    body.answer_id = idOf(body);
    button.disabled = true;
    try {
      if (chosen.length < Number(form.dataset.many)) {
        const sentence = await send(body, chosen, []);
        if (sentence) say(sentence.text);
      } else {
        const found = await post("/api/marks", body);
        await look(document.querySelector("[data-look]"), found, (taken_out, key) => {
          how = key;
          return send(body, chosen, taken_out);
        });
      }
    } catch (error) {
      say(because(error));
    }
    button.disabled = false;
    focus(chosen[0], tiles);
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit("mouse");
  });

  // --- not this one ---
  list.addEventListener("click", async (event) => {
    const asked = event.target.closest("[data-not]");
    if (!asked) return;
    const tile = asked.closest("[data-track]");
    const code = tile.dataset.who ?? codeOf(form.elements.namedItem("who").value.trim());
    if (!code) return say("whose");
    asked.disabled = true;
    try {
      const annotation_id = await deny(Number(tile.dataset.track), code, tile.dataset.source === "person");
      stored = [{ tile, annotation_id }];
      say(tile.dataset.source === "person" ? "asked" : "denied", { n: tile.dataset.track, name: code });
      undo.hidden = false;
    } catch (error) {
      asked.disabled = false;
      say(because(error));
    }
  });

  /** Of a name that a person gave a reviewer is asked; of any other this is an answer. Returns what can be taken back. */
  async function deny(track_id, anim_id, byPerson) {
    if (byPerson) return (await post(`/api/individuals/${encodeURIComponent(anim_id)}/not-this-one`, { track_id })).annotation_id;
    const annotation_id = uuid();
    const [result] = await events([{ annotation_id, kind: "not_individual", track_id, anim_id, shown: { mode: "search" } }]);
    if (result.status === "rejected") throw new Refusal(422, { error: result.reason });
    return annotation_id;
  }

  const events = async (all) => (await post("/api/events", { user: form.dataset.user, events: all })).results;

  undo.addEventListener("click", async () => {
    undo.disabled = true;
    try {
      const results = await events(stored.map((one) => ({ annotation_id: uuid(), kind: "retract", supersedes: one.annotation_id })));
      for (const { tile } of stored) {
        const box = tile.querySelector("[data-mark]");
        if (box) box.disabled = false;
        tile.querySelector("[data-not]").disabled = false;
        if (tile.dataset.was !== undefined) tile.querySelector("figure").className = tile.dataset.was;
        delete tile.dataset.was;
      }
      say("undone", { n: results.filter((result) => result.status !== "rejected").length });
      stored = [];
      undo.hidden = true;
    } catch (error) {
      say(because(error));
    }
    undo.disabled = false;
  });

  return { submit };
}
