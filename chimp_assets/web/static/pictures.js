// Belongs here: pictures of pages that the server draws: asked again where many are cut at once, and the reason in words
// where there is none. Does not belong here: pictures of the screens that scripts draw (label/queue.js, lib/pictures.js).

const TRIES = 6;
const FIRST_PAUSE_MS = 1_000;

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** Why a picture is not there, and what to do: reason "" if it is there now; null if nobody can say. */
async function whyNot(url) {
  try {
    const answer = await fetch(url, { headers: { Accept: "application/json" } });
    if (answer.ok) return { reason: "", again: true };
    const { error, remedy, code } = await answer.json();
    return { reason: error, remedy, again: code === "busy" };
  } catch {
    return { reason: null, again: true };
  }
}

const asked = new WeakSet();

async function explain(element) {
  const url = element.getAttribute("src");
  if (asked.has(element) || !url?.startsWith("/media/")) return;
  asked.add(element);
  let found = { reason: null };
  for (let n = 0; n < TRIES && element.isConnected; n += 1) {
    found = await whyNot(url);
    if (found.reason === "" || !found.again) break;
    await pause(FIRST_PAUSE_MS * (n + 1));
  }
  if (found.reason === "") {
    asked.delete(element);
    // Once: what is no picture though the server sends it stays without one.
    if (element.dataset.again) return;
    element.dataset.again = "yes";
    element.src = url;
    return;
  }
  const place = document.createElement("div");
  place.className = "gap";
  place.textContent = found.reason ?? element.getAttribute("alt") ?? "";
  place.title = `${place.textContent} ${found.remedy ?? ""}`.trim();
  element.replaceWith(place);
}

const ours = (element) => element instanceof Element && element.matches("img, video") && !element.closest("#island");

addEventListener("error", (event) => ours(event.target) && explain(event.target), { capture: true });
// What failed before this script was there.
for (const image of document.images) if (image.complete && !image.naturalWidth && image.getAttribute("src") && ours(image)) explain(image);
