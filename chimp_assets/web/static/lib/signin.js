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
      setFault(error instanceof Refusal ? `${error.message} ${error.remedy}` : t("sign_in.no_connection"));
    }
    setBusy(false);
  };
  const elsewhere = async () => {
    try {
      const me = await get("/api/me");
      if (me.name === boot.user) close(true);
      else setFault(t("sign_in.other", { name: me.name, user: boot.user }));
    } catch (error) {
      setFault(error instanceof Refusal ? t("sign_in.not_yet") : t("sign_in.no_connection"));
    }
  };
  return html`<form onSubmit=${submit} class="stack">
    <h2>${t("sign_in.title")}</h2>
    <p>${t("sign_in.kept", { n: waiting.value })}</p>
    <label>${t("sign_in.name")}<input name="name" value=${boot.user} readonly autocomplete="username" /></label>
    <label>${t("sign_in.password")}
      <input name="password" type="password" required autocomplete="current-password" data-first />
    </label>
    ${fault && html`<p class="fault" role="alert">${fault}</p>`}
    <div class="row end">
      ${boot.provider && html`<a class="button" href="/sign-in/oidc" target="_blank" rel="noopener">${t("sign_in.with_provider", { provider: boot.provider })}</a>`}
      <button type="button" onClick=${elsewhere}>${t("sign_in.done_elsewhere")}</button>
      <button type="button" onClick=${() => close(false)}>${t("sign_in.later")}</button>
      <button class="primary" disabled=${busy}>${t("sign_in.submit")}</button>
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
  const done = await show(SignIn, { label: t("sign_in.title") });
  asking = false;
  if (done) signedInAgain();
  else putOff = Date.now() + 60_000;
  return done;
}

export const isAsking = () => asking && open.value !== null;
