// Acts of server-drawn pages: a form becomes JSON, which no form of another site can send, after a confirmation.
//
// <form data-act="/api/..." data-confirm="words"> sends its fields: a checkbox as true or false, data-number as a
// number, an empty data-optional not at all. What the server says in `password` or `words` is shown before the page
// loads again.

const dialog = document.getElementById("act");
const part = (name) => dialog.querySelector(`[data-${name}]`);

function bodyOf(form) {
  if (form.dataset.shape === "retract") {
    const event = { annotation_id: uuid(), kind: "retract", supersedes: form.elements.supersedes.value };
    return { user: form.dataset.user, events: [{ ...event, client_time: new Date().toISOString() }] };
  }
  const body = {};
  for (const field of form.elements) {
    if (!field.name) continue;
    if (field.type === "checkbox") body[field.name] = field.checked;
    else if ("number" in field.dataset) body[field.name] = Number(field.value);
    else if (field.value !== "" || !("optional" in field.dataset)) body[field.name] = field.value;
  }
  return body;
}

/** Plain http on a field network has no crypto.randomUUID. */
function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

async function send(form) {
  let answer;
  let said;
  try {
    answer = await fetch(form.dataset.act, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(bodyOf(form)),
    });
    said = await answer.json();
  } catch (error) {
    return { fault: String(error.message ?? error) };
  }
  if (!answer.ok) return { fault: said.error };
  const rejected = said.results?.find((result) => result.status === "rejected");
  return rejected ? { fault: rejected.reason } : said;
}

let waiting = null;

function show(mode, { words = "", secret = "", fault = "" } = {}) {
  if (words) part("words").textContent = words;
  part("secret").textContent = secret;
  part("secret").hidden = !secret;
  part("fault").textContent = fault;
  for (const name of ["no", "yes"]) part(name).hidden = mode === "done";
  part("done").hidden = mode !== "done";
  if (mode === "done") part("title").textContent = part("title").dataset.whenDone;
  if (!dialog.open) dialog.showModal();
  part(mode === "done" ? "done" : "no").focus();
}

document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-act]");
  if (!form) return;
  event.preventDefault();
  waiting = form;
  const value = (name) => form.elements[name]?.value ?? "";
  show("ask", { words: form.dataset.confirm.replace(/\[(\w+)\]/g, (_, name) => value(name)) });
});

part("no").addEventListener("click", () => dialog.close());

part("yes").addEventListener("click", async () => {
  part("yes").disabled = true;
  const said = await send(waiting);
  part("yes").disabled = false;
  if (said.fault) show("ask", { fault: said.fault });
  else if (said.password || said.words) show("done", { words: waiting.dataset.done ?? said.words, secret: said.password ?? "" });
  else location.reload();
});

part("done").addEventListener("click", () => location.reload());
// A password that was shown is gone when the dialog is: Escape must not leave the page as it was before.
dialog.addEventListener("cancel", (event) => {
  if (!part("done").hidden) {
    event.preventDefault();
    location.reload();
  }
});
