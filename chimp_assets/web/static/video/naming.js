// Belongs here: the form that names the chosen track. Does not belong here: which track is chosen (lanes).

import { uuid } from "../lib/net.js";

/** form: null where the person may not name. chosen(): a track_id or null. */
export function listenToNames(form, chosen) {
  const said = form?.querySelector("[data-named]");
  form?.addEventListener("submit", async (event) => {
    event.preventDefault();
    const track = chosen();
    if (!track) return;
    const answer = await fetch("/api/events", {
      method: "POST", headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ user: form.dataset.name, events: [{
        annotation_id: uuid(), kind: "identify", track_id: track, anim_id: form.elements.namedItem("who").value.trim().toUpperCase(),
        client_time: new Date().toISOString(), shown: { mode: "search" },
      }] }),
    });
    const words = await answer.json();
    const result = words.results?.[0];
    if (answer.ok && ["stored", "duplicate", "conflict"].includes(result?.status)) location.reload();
    else said.value = result?.reason ?? `${words.error} ${words.remedy ?? ""}`;
  });
}
