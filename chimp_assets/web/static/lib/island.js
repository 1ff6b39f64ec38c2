// Belongs here: what every island does before it draws: the store, dialogs, the outbox, the session's watch.
// Does not belong here: what it draws.

import { boot, html, render } from "./ui.js";
import { mountDialogs } from "./dialogs.js";
import { uuid } from "./net.js";
import { flush, startOutbox, untilAnswered } from "./outbox.js";
import { watchSession } from "./signin.js";
import { keepDecision, openStore } from "./store.js";

/** Open the store, draw App into the page, send what waits. */
export async function startIsland(App) {
  mountDialogs();
  await openStore();
  watchSession();
  const place = document.getElementById("island");
  place.replaceChildren();
  render(html`<${App} />`, place);
  await startOutbox();
  document.body.dataset.started = "yes";
}

/**
 * Keep events on this device and send them; returns their ids. Waits for the server only where nothing is kept.
 * done: the item that they answer; reopened: the item that is asked again; path: where each is sent, alone (null: with
 * others, as label events).
 */
export async function record(events, { done = null, reopened = null, path = null } = {}) {
  const records = events.map((event) => {
    const id = event.annotation_id ?? uuid();
    const whole = { ...event, annotation_id: id, client_time: new Date().toISOString() };
    return { id, user: boot.user, state: "waiting", at: Date.now(), event: whole, ...(path ? { path } : {}) };
  });
  const kept = await keepDecision({ events: records, done, reopened });
  if (kept) flush();
  else for (const { id } of records) await untilAnswered(id);
  return records.map(({ id }) => id);
}

/** Take events back, the newest first. */
export const takeBack = (ids, reopened = null) =>
  record([...ids].reverse().map((id) => ({ kind: "retract", supersedes: id })), { reopened });
