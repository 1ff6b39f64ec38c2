// Belongs here: playing a video as a film of small pictures, with the boxes of the stored picture that each of them is.
// Does not belong here: fetching it (film), the picture and its boxes (stage), single stored pictures (stills).
//
// makePlaying(section, stage, id, asking, changed) gives a player as stills does: start(), stop() and `playing`;
// changed(playing) is called whenever that changes. After stop() the stage shows a stored picture. Each picture of the film
// is drawn with its boxes in one stroke, by the time that the browser gives for it (requestVideoFrameCallback), so that
// boxes belong to what is seen. Where there is no film, stored pictures are played one by one, and the page says so.

import { ask } from "./faults.js";
import { openFilm } from "./film.js";
import { makeStills } from "./stills.js";

// Times of pictures are rounded on their way through the browser; two pictures are never as near.
const ROUNDING_S = 0.001;

export function makePlaying(section, stage, id, asking, changed) {
  const said = section.querySelector("[data-trouble]");
  const stills = makeStills(stage, changed);
  const last = stage.frames.length - 1;
  let opened = null;
  let run = 0;
  let on = false;

  const open = async () => openFilm(id, await ask(`/api/videos/${id}/playing`), asking);

  /** A moment at which this picture is shown, as far as possible from its neighbours. */
  function middleOf(n) {
    const [here, next] = [stage.frames[n][1], stage.frames[n + 1]?.[1]];
    return next === undefined ? here + ROUNDING_S : (here + next) / 2;
  }

  async function start() {
    if (on || stills.playing) return;
    const mine = ++run;
    const from = stage.at >= last ? 0 : stage.at;
    on = true;
    changed(true);
    let film = null;
    try {
      film = await (opened ??= open());
      if (mine !== run) return;
      if (!film) throw new Error("no film");
      film.failed = () => mine === run && instead();
      const paint = (_, { mediaTime }) => {
        if (mine !== run) return;
        const n = stage.frameAt(mediaTime + ROUNDING_S);
        stage.paint(n, film.video);
        if (n >= last) stop();
        else film.video.requestVideoFrameCallback(paint);
      };
      film.video.requestVideoFrameCallback(paint);
      await film.seek(middleOf(from));
      if (mine === run) await film.video.play();
    } catch {
      if (!film) opened = null;
      if (mine === run) instead();
    }
  }

  /** Stored pictures one by one, from where the film got to. */
  function instead() {
    end();
    said.value = section.dataset.wordsNoFilm;
    stills.start();
  }

  function end() {
    run += 1;
    on = false;
    opened?.then((film) => film?.video.pause(), () => {});
  }

  function stop() {
    stills.stop();
    if (!on) return;
    end();
    changed(false);
    stage.show(stage.at);
  }

  return {
    start,
    stop,
    get playing() {
      return on || stills.playing;
    },
  };
}
