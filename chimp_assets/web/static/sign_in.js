// Signing in and choosing a password: the forms as JSON, which no form of another site can send.

import { forget } from "./leaving.js";

const form = document.querySelector("form");
const error = document.getElementById("error");

async function send(path, body, tries = 10) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const said = await answer.json();
  if (said.code === "sign_ins" && tries > 1) {
    // Many sign in at this moment: stand in line instead of telling the person to.
    const seconds = Number(answer.headers.get("Retry-After")) || 2;
    await new Promise((done) => setTimeout(done, 1000 * seconds * (0.5 + Math.random())));
    return send(path, body, tries - 1);
  }
  if (!answer.ok) throw new Error(`${said.error} ${said.remedy}`.trim());
  return said;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  error.textContent = "";
  try {
    if (form.id === "sign-in") {
      const said = await send("/api/sign-in", {
        name: form.elements.name.value,
        password: form.elements.password.value,
        keep: form.elements.keep.checked,
      });
      location.assign(said.must_change_password ? "/password" : form.dataset.next);
    } else {
      await send("/api/password", { old: form.elements.old.value, new: form.elements.new.value });
      location.assign("/");
    }
  } catch (problem) {
    error.textContent = problem.message;
    button.disabled = false;
  }
});

// A session that ended without a word leaves as much behind as one that is ended by its owner. Not where somebody is
// signed in: who signs in once more in another window keeps what the first one has.
if ("nobody" in form.dataset) forget();
