// Belongs here: starting the page of a video, and what its buttons and keys do together.
// Does not belong here: the picture (stage), playing (playing), the lanes (lanes), what is done to tracks (acts).
//
// What is decided is always decided on a stored picture, whatever a browser makes of a video.

import { makeActs } from "./acts.js";
import { makeAsking } from "./asking.js";
import { ask, makeFaults } from "./faults.js";
import { makeFilmstrip } from "./filmstrip.js";
import { listen } from "./keys.js";
import { makeLanes } from "./lanes.js";
import { makePlaying } from "./playing.js";
import { makeStage } from "./stage.js";

const section = document.querySelector("[data-video]");
if (section) start();

async function start() {
  const id = section.dataset.video;
  const play = section.querySelector("[data-play]");
  const scrub = section.querySelector("[data-scrub]");
  const download = document.querySelector("[data-download]");
  const faults = makeFaults(section.querySelector("[data-fault]"), () => (began ? address() : location.pathname + location.search));
  let began = false;
  const frames = await framesOf(id, faults);
  const lanes = makeLanes(document.querySelector("[data-lanes]"), {
    nameless: section.dataset.wordsNameless, picked: jumpTo, seconded: (track) => acts.seconded(track),
  });
  const stage = makeStage(section, {
    id, frames, ask, faults, label: lanes.label, sure: lanes.sure, chosen: () => lanes.chosen,
    moved: () => {
      lanes.moveTo(stage.seconds / Number(section.dataset.length));
      if (download) download.href = stage.addressOf(stage.at);
      filmstrip.at(stage.seconds);
    },
    pressed: (track, event) => {
      if (event.shiftKey) return lanes.setSecond(track);
      player.stop();
      choose(track);
      return stage.redraw();
    },
  });
  const asking = makeAsking();
  const filmstrip = makeFilmstrip(section.querySelector("[data-filmstrip]"), {
    asking, jump: (seconds) => move(stage.frameAt(seconds)),
  });
  const player = makePlaying(section, stage, id, asking, (playing) => {
    play.textContent = playing ? section.dataset.wordsPause : section.dataset.wordsPlay;
  });
  const acts = makeActs(document.querySelector("[data-acts]"), {
    stage, lanes, player, faults, ask, done: renew, between: section.dataset.wordsBetween,
  });

  function move(n) {
    player.stop();
    return stage.show(n);
  }

  function address() {
    return `/video/${id}?t=${stage.seconds.toFixed(3)}${lanes.chosen ? `&track=${lanes.chosen}` : ""}`;
  }

  function choose(track) {
    lanes.choose(track);
    acts.chosen();
    history.replaceState(null, "", address());
  }

  function jumpTo(bar, end = false) {
    if (!bar) return undefined;
    const shown = move(stage.frameAt(Number(end ? bar.dataset.last : bar.dataset.first)));
    choose(Number(bar.dataset.jump));
    return shown;
  }

  /** Tracks have other names, or are others: the lanes and boxes are asked anew; the place stays. wanted: a track. */
  async function renew(wanted = lanes.chosen) {
    try {
      const drawn = await ask(`/video/${id}/lanes`);
      const fresh = lanes.renew(drawn.lanes);
      faults.clear("lanes");
      const here = (track) => {
        const { firstFrame, lastFrame } = lanes.barOf(track).dataset;
        return Number(firstFrame) <= stage.frameNo && stage.frameNo <= Number(lastFrame);
      };
      choose(lanes.barOf(wanted) ? wanted : (fresh.find(here) ?? fresh[0] ?? null));
      await stage.forgetBoxes();
    } catch (error) {
      faults.say("lanes", error, () => renew(wanted));
    }
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
    ...acts.actions,
  });

  const strip = document.querySelector(".beside-videos");
  const own = strip?.querySelector("[aria-current]");
  if (own) strip.scrollLeft = own.offsetLeft - (strip.clientWidth - own.clientWidth) / 2;

  began = true;
  const shown = stage.show(stage.frameAt(Number(section.dataset.at)));
  if (Number(section.dataset.track)) choose(Number(section.dataset.track));
  await shown;
}

/** The stored pictures, as soon as the server tells them. */
function framesOf(id, faults) {
  return new Promise((found) => {
    const attempt = async () => {
      try {
        const { frames } = await ask(`/api/videos/${id}/timeline`);
        faults.clear("timeline");
        found(frames);
      } catch (error) {
        faults.say("timeline", error, attempt);
      }
    };
    attempt();
  });
}
