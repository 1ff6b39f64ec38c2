// Belongs here: what every page's head needs a script for: its menu, signing out and choosing a language.

import "./pictures.js";

async function send(path, body) {
  const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
}

document.querySelector("[data-sign-out]")?.addEventListener("click", async () => {
  try {
    await send("/api/sign-out", {});
  } finally {
    // The page that works without a connection shows a name: it goes when its owner goes. Unsent answers stay.
    for (const name of (await globalThis.caches?.keys()) ?? []) {
      if (name.startsWith("shell-")) await caches.delete(name);
    }
    location.assign("/sign-in");
  }
});

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
