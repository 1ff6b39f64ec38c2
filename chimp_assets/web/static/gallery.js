// Belongs here: the pictures of an individual: keys, and the next ones when they are scrolled to. Does not belong here:
// what is changed (individual.js), and pictures that fail (pictures.js).

const list = document.querySelector("[data-gallery]");
const tiles = () => [...list.querySelectorAll("[data-picture]")];

const parsed = async (address) => {
  const answer = await fetch(address, { headers: { Accept: "text/html" } });
  if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
  return new DOMParser().parseFromString(await answer.text(), "text/html");
};

/** One picture as the server shows it now. */
export async function renew(tile) {
  const address = new URL(location.href);
  address.searchParams.set("before", Number(tile.dataset.picture) + 1);
  const page = await parsed(address);
  const now = page.querySelector(`[data-picture="${tile.dataset.picture}"]`);
  if (!now) return tile.remove();
  tile.replaceWith(document.adoptNode(now));
  focus(now);
}

// --- moving ---
function focus(tile) {
  if (!tile) return;
  for (const other of tiles()) other.tabIndex = other === tile ? 0 : -1;
  tile.focus();
  tile.scrollIntoView({ block: "nearest" });
}

function across() {
  const [first, ...others] = tiles().map((tile) => tile.getBoundingClientRect().top);
  const n = others.findIndex((top) => top > first + 4);
  return n < 0 ? others.length + 1 : n + 1;
}

list?.addEventListener("keydown", (event) => {
  const tile = event.target.closest("[data-picture]");
  if (!tile || event.ctrlKey || event.altKey || event.metaKey) return;
  const all = tiles();
  const n = all.indexOf(tile);
  const to = { ArrowRight: n + 1, ArrowLeft: n - 1, ArrowDown: n + across(), ArrowUp: n - across(), Home: 0, End: all.length - 1 }[event.key];
  if (to !== undefined) focus(all[to]);
  else if (event.code === "KeyL" && event.shiftKey) tile.querySelector("[data-like]").click();
  else if (event.code === "KeyX" && event.shiftKey) tile.querySelector("[data-not]")?.click();
  else if (event.code === "KeyR" && !event.shiftKey) tile.querySelector("[data-add]")?.click();
  else return;
  event.preventDefault();
});

// --- the next ones ---
const seen = new IntersectionObserver(
  (entries) => entries.some((entry) => entry.isIntersecting) && further(),
  { rootMargin: "600px" },
);
let loading = false;

/** Appends the next pictures; where that fails, the link stays and does the same. */
async function further() {
  const link = document.querySelector("[data-older]");
  if (!link || loading) return;
  loading = true;
  seen.disconnect();
  try {
    const page = await parsed(link.href);
    for (const tile of page.querySelectorAll("[data-picture]")) {
      const own = document.adoptNode(tile);
      own.tabIndex = -1;
      list.append(own);
    }
    const next = page.querySelector("[data-older]");
    if (next) link.href = next.getAttribute("href");
    else link.closest("nav").remove();
    if (next) seen.observe(link);
  } catch {
    /* the link is still there */
  }
  loading = false;
}

if (list) {
  for (const [n, tile] of tiles().entries()) tile.tabIndex = n ? -1 : 0;
  const link = document.querySelector("[data-older]");
  if (link) seen.observe(link);
}
