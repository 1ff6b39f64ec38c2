// Belongs here: what people change on the page of an individual: its photos and their order, "not this one", merging.

import { renew } from "./gallery.js";

const place = document.querySelector("[data-individual]");
const problem = document.querySelector("[data-problem]");
const said = document.querySelector("[data-said]");
const base = `/api/individuals/${encodeURIComponent(place.dataset.individual)}`;

async function send(path, body) {
  const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  const words = await answer.json();
  if (answer.status === 401) location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
  if (!answer.ok) throw new Error(`${words.error} ${words.remedy}`.trim());
  return words;
}

async function act(button, work) {
  problem.hidden = true;
  if (button) button.disabled = true;
  try {
    await work();
    return true;
  } catch (error) {
    problem.textContent = error.message;
    problem.hidden = false;
    problem.scrollIntoView({ block: "nearest" });
    if (button) button.disabled = false;
    return false;
  }
}

// --- reference photos ---
const list = document.querySelector("[data-references]");
const tracks = () => [...(list?.querySelectorAll("[data-track]") ?? [])].map((photo) => Number(photo.dataset.track));

/** Moves are done at once and stored in turn; one that is refused loads what is true. */
let storing = Promise.resolve();
function store() {
  const wanted = tracks();
  storing = storing.then(async () => {
    const done = await act(null, () => send(`${base}/references`, { tracks: wanted }));
    if (done) said.textContent = wanted.map((track, i) => `${i + 1}: ${track}`).join(", ");
    else setTimeout(() => location.reload(), 3_000);
  });
}

function move(photo, by) {
  const other = by < 0 ? photo.previousElementSibling : photo.nextElementSibling;
  if (!other) return;
  if (by < 0) other.before(photo);
  else other.after(photo);
  store();
}

function takeOut(photo) {
  const next = photo.nextElementSibling ?? photo.previousElementSibling;
  photo.remove();
  next?.querySelector("button")?.focus();
  store();
}

list?.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  const photo = button?.closest("[data-track]");
  if (!photo) return;
  if (button.dataset.move) {
    move(photo, Number(button.dataset.move));
    button.focus();
  } else takeOut(photo);
});
list?.addEventListener("keydown", (event) => {
  const photo = event.target.closest("[data-track]");
  if (!photo || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
    move(photo, event.key === "ArrowLeft" ? -1 : 1);
    event.target.focus();
  } else if (event.key === "Delete") takeOut(photo);
  else return;
  event.preventDefault();
});

// --- below the pictures ---
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-add], [data-not], [data-take-back]");
  if (!button) return;
  const { add, not, takeBack } = button.dataset;
  const done = await act(button, () => {
    if (add) return send(`${base}/references`, { tracks: [...tracks(), Number(add)] });
    if (not) return send(`${base}/not-this-one`, { track_id: Number(not) });
    return send("/api/events", { events: [{ annotation_id: crypto.randomUUID?.() ?? uuid(), kind: "retract", supersedes: takeBack }] });
  });
  const tile = button.closest("[data-picture]");
  if (done && tile && !add) await renew(tile).catch(() => location.reload());
  else if (done) location.reload();
});

/** Where the address is not https the browser has no randomUUID. */
function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 15) | 64;
  bytes[8] = (bytes[8] & 63) | 128;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

// --- merging ---
const form = document.querySelector("[data-act]");
form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const why = form.elements.why.value.trim() || null;
  const { into } = form.dataset;
  const body = into ? { into, why, force: form.elements.force.checked } : { why };
  const done = await act(form.querySelector("[type=submit]"), () => send(form.dataset.act, body));
  if (done) location.assign(form.dataset.then);
  else form.querySelector("[data-force]")?.removeAttribute("hidden");
});

// --- another code ---
const other = document.querySelector("[data-rename]");
other?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { to, why, force } = other.elements;
  let named = "";
  const done = await act(other.querySelector("[type=submit]"), async () => {
    named = (await send(`${base}/rename`, { to: to.value, why: why.value.trim() || null, force: force.checked })).anim_id;
  });
  if (done) location.assign(`/individual/${encodeURIComponent(named)}`);
  else other.querySelector("[data-force]").removeAttribute("hidden");
});
