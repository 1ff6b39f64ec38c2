// Belongs here: what a person does to the chosen track: name it, split it at the picture on the screen, merge it with a
// second one, flag it, take back. Does not belong here: drawing (stage, lanes), faults in words (faults).
//
// Every act is an event with an id of its own; sent again after a fault it is stored once.

import { uuid } from "../lib/net.js";
import { lookSeconds, seen } from "../lib/stopwatch.js";

const MOST_TRACKS_SHOWN = 30;

/** panel: null where the person may do nothing; then there are no actions. ask(path, options); done(about): draws anew. */
export function makeActs(panel, { stage, lanes, player, faults, ask, done, between }) {
  if (!panel) return { actions: {}, chosen: () => undefined, seconded: () => undefined };
  const part = (name) => panel.querySelector(`[data-${name}]`);
  const words = (name, values = {}) => panel.dataset[`words${name}`].replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);
  const id = panel.dataset.videoId;
  const form = panel.querySelector("form[data-name]");
  const kept = `video-acts:${panel.dataset.user}:${id}`;
  let stack = JSON.parse(sessionStorage.getItem(kept) ?? "[]");
  let candidates = null;
  let busy = false;

  const say = (text) => {
    part("done").textContent = text;
  };

  function keep(changed) {
    stack = changed;
    sessionStorage.setItem(kept, JSON.stringify(stack));
    panel.querySelector('[data-do="undo"]').disabled = stack.length === 0;
  }

  // --- what was decided, and what was seen ---

  function whatWasShown(how) {
    const shown = {
      mode: "video", input: how, video_id: Number(id), frame_no: stage.shown ? stage.frameNo : null,
      tracks: stage.tracks.slice(0, MOST_TRACKS_SHOWN), model_id: candidates?.model_id ?? null,
      candidates: (candidates?.candidates ?? []).map((one) => [one.anim_id, Math.round(one.probability * 1e4) / 1e4]),
      ui: panel.dataset.version, schema: 1,
    };
    if (!stage.shown) shown.media_missing = true;
    return shown;
  }

  /** Sends one event until the server has said something about it; true if it is stored. */
  async function send(event, retry) {
    busy = true;
    panel.toggleAttribute("data-busy", true);
    say(words("Sending"));
    try {
      const { results } = await ask("/api/events", { method: "POST", body: { user: panel.dataset.user, events: [event] } });
      faults.clear("act");
      say("");
      if (results[0].status !== "rejected") return true;
      // What cannot be taken back is so for good: the sentence says what else may help.
      keep(stack.filter((one) => one.id !== event.supersedes));
      faults.say("act", { message: results[0].reason });
    } catch (error) {
      say("");
      faults.say("act", error, retry);
    } finally {
      busy = false;
      panel.toggleAttribute("data-busy", false);
    }
    return false;
  }

  async function decide(kind, fields, how, said, stored = () => undefined) {
    const event = {
      annotation_id: uuid(), kind, track_id: lanes.chosen, shown: whatWasShown(how), seconds: Math.min(3_000, lookSeconds()),
      client_time: new Date().toISOString(), ...fields,
    };
    const attempt = async () => {
      if (busy || !(await send(event, attempt))) return;
      keep([...stack, { id: event.annotation_id, track: event.track_id }]);
      say(said);
      stored();
      await done();
    };
    await attempt();
  }

  /** Whether an act may begin: a track is chosen and nothing is being sent. */
  function ready() {
    if (busy) return false;
    if (!lanes.bar) say(words("ChooseFirst"));
    return Boolean(lanes.bar);
  }

  function name(anim_id, called, how) {
    return decide("identify", { anim_id }, how, words("DoneIdentify", { name: called }));
  }

  const actions = {
    split(how = "key") {
      if (!ready()) return undefined;
      if (player.playing) {
        player.stop();
        return say(words("PausedFirst"));
      }
      if (!stage.shown) return say(words("NoPictureNoSplit"));
      const [first, last] = [Number(lanes.bar.dataset.firstFrame) + 1, Number(lanes.bar.dataset.lastFrame)];
      const frame_no = stage.frameNo;
      if (frame_no < first || frame_no > last) return say(words("SplitWhere", { first, last }));
      return decide("split", { frame_no }, how, words("DoneSplit", { n: frame_no }));
    },
    merge(how = "key") {
      if (!ready()) return undefined;
      if (!lanes.second) return say(words("SecondFirst"));
      return decide("merge", { other_track_id: lanes.second }, how, words("DoneMerge"));
    },
    flag(how = "key") {
      if (!ready()) return undefined;
      const note = part("note").value.trim();
      const shown = { ...whatWasShown(how), flag: true };
      return decide("skip", { shown, ...(note ? { note } : {}) }, how, words("DoneSkip"), () => {
        part("note").value = "";
      });
    },
    candidate(place, how = "key") {
      const one = candidates?.candidates[place];
      return one && ready() ? name(one.anim_id, one.name ?? one.anim_id, how) : undefined;
    },
    async undo() {
      if (busy) return;
      const last = stack.at(-1);
      if (!last) return say(words("NothingToUndo"));
      const event = { annotation_id: uuid(), kind: "retract", supersedes: last.id, client_time: new Date().toISOString() };
      const attempt = async () => {
        if (busy || !(await send(event, attempt))) return;
        keep(stack.filter((one) => one.id !== last.id));
        say(words("Undone"));
        await done(last.track);
      };
      await attempt();
    },
  };

  // --- the panel ---

  const howOf = (event) => (event.pointerType === "touch" ? "touch" : event.detail ? "mouse" : "key");
  for (const button of panel.querySelectorAll("[data-do]")) {
    button.addEventListener("click", (event) => actions[button.dataset.do](howOf(event)));
  }
  part("second").addEventListener("change", (event) => lanes.setSecond(Number(event.target.value) || null));
  part("candidates").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) actions.candidate(Number(button.dataset.place), howOf(event));
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const typed = form.elements.namedItem("who").value.trim();
    const option = optionOf(typed);
    if (!option) return say(words("NobodyCalled", { word: typed }));
    if (!ready()) return undefined;
    form.reset();
    return name(option.value, option.textContent || option.value, "search");
  });

  /** A code, or the one name that is spelt so. */
  function optionOf(typed) {
    const options = [...form.querySelectorAll("option")];
    const same = (text) => text.trim().toLowerCase() === typed.toLowerCase();
    const called = options.filter((option) => same(option.value));
    const found = called.length ? called : options.filter((option) => same(option.textContent));
    return found.length === 1 ? found[0] : null;
  }

  const spanOf = (bar) => between.replace("{first}", clock(bar.dataset.first)).replace("{last}", clock(bar.dataset.last));

  function listSeconds() {
    const options = lanes.all
      .filter(([track]) => track !== lanes.chosen)
      .map(([track, bar]) => new Option(`${bar.dataset.name}, ${spanOf(bar)}`, track, false, track === lanes.second));
    part("second").replaceChildren(new Option("–", ""), ...options);
  }

  function drawCandidates() {
    const found = candidates?.candidates ?? [];
    part("candidates").hidden = !found.length;
    part("candidates").replaceChildren(...found.map((one, place) => {
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.place = place;
      const key = document.createElement("kbd");
      key.textContent = place + 1;
      key.ariaHidden = "true";
      button.append(key, ` ${one.name ?? one.anim_id} ${Math.round(one.probability * 100)} %`);
      const item = document.createElement("li");
      item.append(button);
      return item;
    }));
    const why = candidates && !found.length ? words(candidates.measures ? "Measures" : "NoCandidates") : "";
    part("candidates-why").textContent = why;
    part("candidates-why").hidden = !why;
  }

  async function fetchCandidates(track) {
    candidates = null;
    drawCandidates();
    if (!track) return;
    try {
      const found = await ask(`/api/videos/${id}/tracks/${track}/candidates`);
      faults.clear("candidates");
      if (track !== lanes.chosen) return;
      candidates = found;
      drawCandidates();
    } catch (error) {
      if (track === lanes.chosen) faults.say("candidates", error, () => fetchCandidates(track));
    }
  }

  function chosen() {
    const bar = lanes.bar;
    part("chosen").textContent = bar ? `${bar.dataset.label}, ${spanOf(bar)}` : words("ChooseFirst");
    listSeconds();
    seen();
    fetchCandidates(lanes.chosen);
  }

  keep(stack);
  listSeconds();
  return { actions, chosen, seconded: listSeconds };
}

function clock(seconds) {
  const tenths = Math.round(Number(seconds) * 10);
  return `${Math.floor(tenths / 600)}:${((tenths % 600) / 10).toFixed(1).padStart(4, "0")}`;
}
