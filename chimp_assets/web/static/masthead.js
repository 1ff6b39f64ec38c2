// Belongs here: what every page's head needs a script for: its menu, signing out and choosing a language.

import { forget } from "./leaving.js";
import "./pictures.js";

async function send(path, body) {
  const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
}

document.querySelector("[data-sign-out]")?.addEventListener("click", async () => {
  try {
    await send("/api/sign-out", {});
  } finally {
    await forget();
    location.assign("/sign-in");
  }
});

// Somebody else may have been here whose session ended without a word: what is theirs goes, but for unsent answers.
const user = document.querySelector("[data-user]")?.dataset.user;
if (user) forget(user);

document.querySelector("[data-language]")?.addEventListener("change", async (event) => {
  await send("/api/me", { lang: event.target.value });
  location.reload();
});

// The screens are a row where there is room, and a menu where there is not. What is not everyday work is a menu always.
const menu = document.querySelector("[data-menu]");
const screens = document.getElementById("screens");
const others = document.querySelector(".masthead .others");

function turn(on) {
  menu.setAttribute("aria-expanded", String(on));
  screens.classList.toggle("open", on);
  // One menu on a small screen, not a menu in a menu.
  others.open = on;
}

menu?.addEventListener("click", () => turn(menu.getAttribute("aria-expanded") !== "true"));
addEventListener("click", (event) => {
  if (!others || event.target.closest?.(".masthead nav, [data-menu]")) return;
  turn(false);
});
document.querySelector(".masthead")?.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !(others?.open || screens?.classList.contains("open"))) return;
  const from = menu.getAttribute("aria-expanded") === "true" ? menu : others.querySelector("summary");
  turn(false);
  from.focus();
});
