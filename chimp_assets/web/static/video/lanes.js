// Belongs here: the bars of the lanes that the server draws: which is chosen, its words, the way to the next lane.
// Does not belong here: what the picture shows (stage), what a key does (keys).

/** picked(bar, end): the person wants to see the beginning (or the end) of the track of a bar. */
export function makeLanes(root, { nameless, picked }) {
  const jumps = [...root.querySelectorAll("[data-jump]")];
  const bars = new Map(jumps.map((jump) => [Number(jump.dataset.jump), jump]));
  let chosen = null;

  for (const jump of jumps) {
    jump.addEventListener("click", (event) => {
      event.preventDefault();
      picked(jump);
    });
  }

  return {
    label: (track) => bars.get(track)?.dataset.label ?? nameless,
    sure: (track) => bars.get(track)?.dataset.sure,
    get chosen() {
      return chosen;
    },
    /** The bar of the chosen track, or undefined. */
    get bar() {
      return bars.get(chosen);
    },
    choose(track) {
      chosen = track;
      for (const jump of jumps) jump.toggleAttribute("aria-current", Number(jump.dataset.jump) === track);
    },
    /** The first bar of the lane below (1) or above (-1) that of the chosen track; undefined at either end. */
    beside(direction) {
      const lanes = [...root.querySelectorAll(".lane")];
      const here = lanes.findIndex((lane) => lane.querySelector(`[data-jump="${chosen}"]`));
      return lanes[here < 0 ? 0 : here + direction]?.querySelector("[data-jump]");
    },
  };
}
