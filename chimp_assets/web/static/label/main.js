// Belongs here: starting the labelling screen in the right order. Does not belong here: anything else.

import { boot, effect, html, render } from "../lib/ui.js";
import { mountDialogs, open } from "../lib/dialogs.js";
import { announceTab } from "../lib/locks.js";
import { get } from "../lib/net.js";
import { startOutbox, waiting } from "../lib/outbox.js";
import { watchSession } from "../lib/signin.js";
import { openStore } from "../lib/store.js";
import { loadKeys } from "./keys.js";
import { startQueue } from "./queue.js";
import { Screen } from "./screen.js";
import { current, startSession } from "./session.js";
import { newVersion } from "./tray.js";

const LOOK_FOR_VERSION_MS = 10 * 60_000;

async function start() {
  mountDialogs();
  await openStore();
  await Promise.all([announceTab(), loadKeys(), startSession()]);
  watchSession();
  const place = document.getElementById("island");
  place.replaceChildren();
  render(html`<${Screen} />`, place);
  await startOutbox();
  startQueue();
  keepFromEviction();
  if (navigator.serviceWorker) navigator.serviceWorker.register("/sw.js").catch((error) => console.warn(error));
  setInterval(lookForVersion, LOOK_FOR_VERSION_MS);
  document.body.dataset.started = "yes";
}

/** Asked once: browsers throw away data of sites when the disk is full, unless asked to keep it. */
async function keepFromEviction() {
  if (navigator.storage?.persist && !(await navigator.storage.persisted())) navigator.storage.persist();
}

async function lookForVersion() {
  try {
    const { version } = await get("/label/version");
    if (version === boot.version) return;
    newVersion.value = true;
  } catch {
    // No connection: nothing to load either.
  }
}

// It loads between two tracks, and only when nothing waits to be sent.
let last = null;
effect(() => {
  const item = current.value?.item_id ?? null;
  const moved = item !== last;
  last = item;
  if (newVersion.value && moved && waiting.value === 0 && !open.value) location.reload();
});

start();
