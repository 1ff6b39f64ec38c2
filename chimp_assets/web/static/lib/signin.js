// Belongs here: signing in again inside the page when the session has ended, so that nothing on the screen is lost.
// Does not belong here: the sign-in page, which the server draws.

import { boot, effect, html, t, useState } from "./ui.js";
import { open, show } from "./dialogs.js";
import { get, post, Refusal } from "./net.js";
import { connection, signedInAgain, waiting } from "./outbox.js";

function SignIn({ close }) {
  const [fault, setFault] = useState("");
  const [busy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    const form = new FormData(event.target);
    try {
      await post("/api/sign-in", { name: boot.user, password: form.get("password") });
      close(true);
    } catch (error) {
      setFault(error instanceof Refusal ? `${error.message} ${error.remedy}` : t("signin.no_connection"));
    }
    setBusy(false);
  };
  const elsewhere = async () => {
    try {
      const me = await get("/api/me");
      if (me.name === boot.user) close(true);
      else setFault(t("signin.other", { name: me.name, user: boot.user }));
    } catch (error) {
      setFault(error instanceof Refusal ? t("signin.not_yet") : t("signin.no_connection"));
    }
  };
  return html`<form onSubmit=${submit} class="stack">
    <h2>${t("signin.title")}</h2>
    <p>${t("signin.kept", { n: waiting.value })}</p>
    <label>${t("signin.name")}<input name="name" value=${boot.user} readonly autocomplete="username" /></label>
    <label>${t("signin.password")}
      <input name="password" type="password" required autocomplete="current-password" data-first />
    </label>
    ${fault && html`<p class="fault" role="alert">${fault}</p>`}
    <div class="row end">
      ${boot.oidc && html`<a class="button" href="/sign-in/oidc" target="_blank" rel="opener">${t("signin.oidc")}</a>`}
      <button type="button" onClick=${elsewhere}>${t("signin.done_elsewhere")}</button>
      <button type="button" onClick=${() => close(false)}>${t("signin.later")}</button>
      <button class="primary" disabled=${busy}>${t("signin.submit")}</button>
    </div>
  </form>`;
}

let asking = false;
let putOff = 0;

/** Watch for the end of the session; the dialog appears over whatever is on the screen. */
export function watchSession() {
  effect(() => {
    const ended = connection.value === "signed_out" || connection.value === "other_user";
    if (ended && !asking && Date.now() > putOff) askAgain();
  });
}

export async function askAgain() {
  if (asking) return;
  asking = true;
  const done = await show(SignIn, { label: t("signin.title") });
  asking = false;
  if (done) signedInAgain();
  else putOff = Date.now() + 60_000;
  return done;
}

export const isAsking = () => asking && open.value !== null;
