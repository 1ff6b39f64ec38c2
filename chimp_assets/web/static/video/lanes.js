// Belongs here: the bars of the lanes that the server draws: which track is chosen, which second one, the words of each,
// the way to the next lane; drawing them anew. Does not belong here: what the picture shows (stage), keys.

/**
 * root: holds what the server draws. picked(bar): a bar was pressed; with Shift it becomes the second, told by
 * seconded(track).
 */
export function makeLanes(root, { nameless, picked, seconded }) {
  let bars = new Map();
  let chosen = null;
  let second = null;

  function mark() {
    for (const [track, bar] of bars) {
      bar.toggleAttribute("aria-current", track === chosen);
      bar.toggleAttribute("data-is-second", track === second);
    }
    // A bar in a closed list is shown with its list.
    const apart = bars.get(chosen)?.closest("details");
    if (apart) apart.open = true;
  }

  function read() {
    bars = new Map([...root.querySelectorAll("[data-jump]")].map((bar) => [Number(bar.dataset.jump), bar]));
  }

  function setSecond(track) {
    second = bars.has(track) && track !== chosen ? track : null;
    mark();
    seconded(second);
  }

  root.addEventListener("click", (event) => {
    const bar = event.target.closest("[data-jump]");
    if (!bar || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    if (event.shiftKey) setSecond(Number(bar.dataset.jump));
    else picked(bar);
  });

  read();
  return {
    label: (track) => bars.get(track)?.dataset.label ?? nameless,
    sure: (track) => bars.get(track)?.dataset.sure,
    barOf: (track) => bars.get(track),
    /** [track_id, bar] of all. */
    get all() {
      return [...bars];
    },
    get chosen() {
      return chosen;
    },
    get second() {
      return second;
    },
    /** The bar of the chosen track, or undefined. */
    get bar() {
      return bars.get(chosen);
    },
    setSecond,
    /** Where the picture on the screen is: a share of the video's length. */
    moveTo(share) {
      root.style.setProperty("--now", Math.min(1, share));
    },
    choose(track) {
      chosen = bars.has(track) ? track : null;
      if (second === chosen) second = null;
      mark();
    },
    /** The first bar of the lane below (1) or above (-1) that of the chosen track; undefined at either end. */
    beside(direction) {
      const lanes = [...root.querySelectorAll(".lane")];
      const here = lanes.findIndex((lane) => lane.contains(bars.get(chosen) ?? null));
      return lanes[here < 0 ? 0 : here + direction]?.querySelector("[data-jump]");
    },
    /** The server has drawn them anew; returns the tracks that were not there before. What was open stays open. */
    renew(markup) {
      const before = bars;
      const labels = (which) => new Set([...root.querySelectorAll(which)].map((one) => one.closest(".lane").querySelector("svg").getAttribute("aria-label")));
      const open = labels(".lane details[open]");
      const focused = root.contains(document.activeElement) ? document.activeElement.dataset.jump : null;
      const drawn = new DOMParser().parseFromString(markup, "text/html");
      root.replaceChildren(...document.importNode(drawn.body, true).childNodes);
      for (const lane of root.querySelectorAll(".lane")) {
        const details = lane.querySelector("details");
        if (details) details.open = open.has(lane.querySelector("svg").getAttribute("aria-label"));
      }
      read();
      if (!bars.has(chosen)) chosen = null;
      if (!bars.has(second)) second = null;
      mark();
      if (focused) bars.get(Number(focused))?.focus({ preventScroll: true });
      return [...bars.keys()].filter((track) => !before.has(track));
    },
  };
}
