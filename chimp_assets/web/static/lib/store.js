// Belongs here: what this device keeps (IndexedDB): unsent answers, own decisions, tracks that wait, settings.
// Does not belong here: when things are sent (outbox) or asked for (queue).
//
// Every write is one transaction and is awaited before the screen moves. Where the browser keeps nothing (private mode,
// full disk) `durable` is false: the same calls then work in memory, and who decides waits for the server instead.

import { openDB } from "idb";
import { signal } from "./ui.js";

const NAME = "chimp-labels";
const VERSION = 1;
const HISTORY_KEPT = 2000;

/** False where answers cannot be kept on this device. */
export const durable = signal(true);

let database = null;
const memory = { n: 0, outbox: new Map(), history: new Map(), items: new Map(), settings: new Map() };

export async function openStore(name = NAME) {
  try {
    database = await openDB(name, VERSION, {
      upgrade(db) {
        const outbox = db.createObjectStore("outbox", { keyPath: "n", autoIncrement: true });
        outbox.createIndex("id", "id", { unique: true });
        const history = db.createObjectStore("history", { keyPath: "n", autoIncrement: true });
        history.createIndex("id", "id", { unique: true });
        db.createObjectStore("items", { keyPath: "item_id" });
        db.createObjectStore("settings");
      },
      blocking() {
        database?.close();
        location.reload();
      },
      terminated() {
        durable.value = false;
        database = null;
      },
    });
    await database.put("settings", Date.now(), "opened");
  } catch (error) {
    console.warn("This browser keeps nothing:", error);
    database = null;
    durable.value = false;
  }
}

/**
 * Store a decision in one transaction: its events into the outbox, a line into the history, its item out of the queue.
 * Returns false if this device could not keep it; it is then in memory alone, and its author waits for the server.
 */
export async function keepDecision({ events, history = null, done = null, undone = null, reopened = null }) {
  if (database) {
    try {
      // strict: on the disk, not in a buffer of the system. A power cut at the station costs no answer.
      const tx = database.transaction(["outbox", "history", "items"], "readwrite", { durability: "strict" });
      const outbox = tx.objectStore("outbox");
      for (const record of events) outbox.add(record);
      if (history) tx.objectStore("history").add(history);
      if (undone) await markUndone(tx.objectStore("history"), undone);
      if (done !== null) tx.objectStore("items").delete(done);
      if (reopened) tx.objectStore("items").put(reopened);
      await tx.done;
      return true;
    } catch (error) {
      console.warn("The answer could not be kept on this device:", error);
      durable.value = false;
    }
  }
  for (const record of events) keepInMemory(memory.outbox, record);
  if (history) keepInMemory(memory.history, history);
  for (const record of memory.history.values()) if (record.id === undone) record.undone = true;
  if (done !== null) memory.items.delete(done);
  if (reopened) memory.items.set(reopened.item_id, reopened);
  return false;
}

async function markUndone(history, id) {
  const record = await history.index("id").get(id);
  if (record) history.put({ ...record, undone: true });
}

function keepInMemory(store, record) {
  memory.n += 1;
  store.set(memory.n, { ...record, n: memory.n });
}

/** Unsent answers, the oldest first. */
export async function unsent() {
  if (database) return (await database.getAll("outbox")).concat([...memory.outbox.values()]);
  return [...memory.outbox.values()];
}

/** The server named these ids, or their author let them go: they are no longer kept. */
export async function forgetSent(ids) {
  if (!ids.length) return;
  const gone = new Set(ids);
  for (const [n, record] of memory.outbox) if (gone.has(record.id)) memory.outbox.delete(n);
  if (!database) return;
  const tx = database.transaction("outbox", "readwrite");
  const index = tx.store.index("id");
  for (const id of gone) {
    const key = await index.getKey(id);
    if (key !== undefined) tx.store.delete(key);
  }
  await tx.done;
}

/** Change records of the outbox: changes is {id: fields}. */
export async function changeUnsent(changes) {
  for (const record of memory.outbox.values()) Object.assign(record, changes[record.id] ?? {});
  if (!database) return;
  const tx = database.transaction("outbox", "readwrite");
  const index = tx.store.index("id");
  for (const [id, fields] of Object.entries(changes)) {
    const record = await index.get(id);
    if (record) tx.store.put({ ...record, ...fields });
  }
  await tx.done;
}

/** Own decisions, the newest first. */
export async function ownHistory(user, limit = HISTORY_KEPT) {
  const found = [];
  for (const record of [...memory.history.values()].reverse()) if (record.user === user) found.push(record);
  if (!database) return found.slice(0, limit);
  let cursor = await database.transaction("history").store.openCursor(null, "prev");
  while (cursor && found.length < limit) {
    if (cursor.value.user === user) found.push(cursor.value);
    cursor = await cursor.continue();
  }
  return found;
}

/** Undo reaches this far back; older lines are on the server alone. */
export async function trimHistory(kept = HISTORY_KEPT) {
  if (!database) return;
  const tx = database.transaction("history", "readwrite");
  const keys = await tx.store.getAllKeys();
  for (const key of keys.slice(0, Math.max(0, keys.length - kept))) tx.store.delete(key);
  await tx.done;
}

export async function keptItems() {
  return database ? database.getAll("items") : [...memory.items.values()];
}

export async function keepItems(items) {
  for (const item of items) memory.items.set(item.item_id, item);
  if (!database) return;
  memory.items.clear();
  const tx = database.transaction("items", "readwrite");
  for (const item of items) tx.store.put(item);
  await tx.done;
}

export async function dropItems(ids) {
  for (const id of ids) memory.items.delete(id);
  if (!database || !ids.length) return;
  const tx = database.transaction("items", "readwrite");
  for (const id of ids) tx.store.delete(id);
  await tx.done;
}

export async function setting(name, otherwise = null) {
  const found = database ? await database.get("settings", name) : memory.settings.get(name);
  return found === undefined ? otherwise : found;
}

export async function keepSetting(name, value) {
  if (!database) return void memory.settings.set(name, value);
  await database.put("settings", value, name);
}

/**
 * Take a named lease in one transaction, for browsers without locks (plain http): true if it is ours until `until`.
 */
export async function takeLease(name, owner, ms) {
  if (!database) return true;
  const tx = database.transaction("settings", "readwrite");
  const key = `lease:${name}`;
  const held = await tx.store.get(key);
  const free = !held || held.owner === owner || held.until < Date.now();
  if (free) tx.store.put({ owner, until: Date.now() + ms }, key);
  await tx.done;
  return free;
}

export async function returnLease(name, owner) {
  if (!database) return;
  const tx = database.transaction("settings", "readwrite");
  const held = await tx.store.get(`lease:${name}`);
  if (held?.owner === owner) tx.store.delete(`lease:${name}`);
  await tx.done;
}

/** Which other tabs are alive, by their leases; for browsers without locks. */
export async function leaseHolders(prefix) {
  if (!database) return [];
  const tx = database.transaction("settings");
  const found = [];
  let cursor = await tx.store.openCursor(IDBKeyRange.bound(`lease:${prefix}`, `lease:${prefix}\uffff`));
  while (cursor) {
    if (cursor.value.until > Date.now()) found.push(String(cursor.key).slice(6));
    cursor = await cursor.continue();
  }
  return found;
}
