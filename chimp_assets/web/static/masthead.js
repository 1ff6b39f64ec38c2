// Belongs here: the two things of every page's head that need a script: signing out and choosing a language.

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
