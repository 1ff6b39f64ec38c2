// Belongs here: starting the page of a video, and what its buttons and keys do together.
// Does not belong here: the picture (stage), playing (playing, stills), the lanes (lanes), naming (naming).
//
// What is decided is always decided on a stored picture, whatever a browser makes of a video.

import { get } from "../lib/net.js";
import { makeAsking } from "./asking.js";
import { makeFilmstrip } from "./filmstrip.js";
import { listen } from "./keys.js";
import { makeLanes } from "./lanes.js";
import { listenToNames } from "./naming.js";
import { makePlaying } from "./playing.js";
import { makeStage } from "./stage.js";

const section = document.querySelector("[data-video]");
if (section) start();

async function start() {
  const id = section.dataset.video;
  const play = section.querySelector("[data-play]");
  const scrub = section.querySelector("[data-scrub]");
  const download = document.querySelector("[data-download]");
  const { frames } = await get(`/api/videos/${id}/timeline`);

  const lanes = makeLanes(document, { nameless: section.dataset.wordsNameless, picked: jumpTo });
  const stage = makeStage(section, {
    id, frames, ask: get, label: lanes.label, sure: lanes.sure, chosen: () => lanes.chosen,
    moved: () => {
      if (download) download.href = stage.addressOf(stage.at);
      strip.at(stage.seconds);
    },
  });
  const asking = makeAsking();
  const strip = makeFilmstrip(section.querySelector("[data-filmstrip]"), {
    asking, jump: (seconds) => move(stage.frameAt(seconds)),
  });
  const player = makePlaying(section, stage, id, asking, (playing) => {
    play.textContent = playing ? section.dataset.wordsPause : section.dataset.wordsPlay;
  });

  function move(n) {
    player.stop();
    return stage.show(n);
  }

  function choose(track) {
    lanes.choose(track);
    const t = stage.seconds.toFixed(3);
    history.replaceState(null, "", `/video/${id}?t=${t}${track ? `&track=${track}` : ""}`);
  }

  function jumpTo(bar, end = false) {
    if (!bar) return;
    const shown = move(stage.frameAt(Number(end ? bar.dataset.last : bar.dataset.first)));
    choose(Number(bar.dataset.jump));
    return shown;
  }

  const toggle = () => (player.playing ? player.stop() : player.start());
  const go = (path) => path && location.assign(path);
  play.addEventListener("click", toggle);
  for (const button of section.querySelectorAll("[data-step]")) {
    button.addEventListener("click", () => move(stage.at + Number(button.dataset.step)));
  }
  scrub.addEventListener("input", () => move(stage.frameAt(Number(scrub.value))));
  listen({
    play: toggle,
    back: () => move(stage.at - 1),
    forward: () => move(stage.at + 1),
    up: () => jumpTo(lanes.beside(-1)),
    down: () => jumpTo(lanes.beside(1)),
    beginning: () => jumpTo(lanes.bar),
    end: () => jumpTo(lanes.bar, true),
    before: () => go(section.dataset.before),
    after: () => go(section.dataset.after),
  });
  listenToNames(document.querySelector("form[data-name]"), () => lanes.chosen);

  await stage.show(stage.frameAt(Number(section.dataset.at)));
  if (Number(section.dataset.track)) {
    choose(Number(section.dataset.track));
    stage.redraw();
  }
}
