// Belongs here: the strips of small pictures above the scrub: loading those that are seen, jumping, marking the moment.
// Does not belong here: which pictures are in them (the server draws the links).

/** jump(seconds): the person wants to see this moment. */
export function makeFilmstrip(root, { asking, jump }) {
  if (!root) return { at() {} };
  const links = [...root.querySelectorAll("[data-moment]")];
  const moments = links.map((link) => Number(link.dataset.moment));
  let here = null;

  async function load(image) {
    const address = image.dataset.src;
    try {
      await asking(address);
      image.src = address; // it lies in the browser's cache
    } catch {
      image.dataset.missing = ""; // the times are there all the same
    }
  }

  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      seen.unobserve(target);
      load(target);
    }
  });
  for (const image of root.querySelectorAll("img[data-src]")) seen.observe(image);

  function mark(n) {
    if (n === here) return;
    if (here !== null) links[here].removeAttribute("aria-current");
    here = n;
    links.forEach((link, place) => (link.tabIndex = place === n ? 0 : -1));
    const link = links[n];
    link.setAttribute("aria-current", "true");
    const [left, right] = [link.getBoundingClientRect().left, link.getBoundingClientRect().right];
    const frame = root.getBoundingClientRect();
    if (left < frame.left || right > frame.right) root.scrollLeft += left - frame.left - (frame.width - link.offsetWidth) / 2;
  }

  root.addEventListener("click", (event) => {
    const link = event.target.closest("[data-moment]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    jump(Number(link.dataset.moment));
  });
  root.addEventListener("keydown", (event) => {
    const from = links.indexOf(document.activeElement);
    const to = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: links.length - 1 }[event.key];
    if (from < 0 || to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    const link = links[Math.max(0, Math.min(links.length - 1, to))];
    jump(Number(link.dataset.moment));
    link.focus({ preventScroll: true });
  });

  return {
    /** Marks the small picture at or before a moment. */
    at(seconds) {
      if (links.length) mark(Math.max(0, moments.findLastIndex((moment) => moment <= seconds + 1e-6)));
    },
  };
}
