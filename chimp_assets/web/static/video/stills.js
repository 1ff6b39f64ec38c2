// Belongs here: playing the stored pictures one by one, at their times. Does not belong here: what a picture looks like
// (stage), the button and the keys (main, keys).
//
// A player has start(), stop() and `playing`; it moves the stage and calls changed(playing) whenever that changes. After
// stop() the stage shows a stored picture.

export function makeStills(stage, changed) {
  let turn = null;

  function stop() {
    if (turn === null) return;
    cancelAnimationFrame(turn);
    turn = null;
    changed(false);
  }

  function start() {
    const last = stage.frames.length - 1;
    if (turn !== null) return;
    let at = stage.at >= last ? 0 : stage.at;
    const began = performance.now();
    const from = stage.frames[at][1];
    const step = () => {
      const n = stage.frameAt(from + (performance.now() - began) / 1000);
      if (n !== at) stage.show((at = n));
      if (n >= last) stop();
      else turn = requestAnimationFrame(step);
    };
    turn = requestAnimationFrame(step);
    changed(true);
  }

  return {
    start,
    stop,
    get playing() {
      return turn !== null;
    },
  };
}
