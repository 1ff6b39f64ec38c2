// Belongs here: what a device forgets when somebody leaves it: tracks that were claimed, their pictures, names, the page.
// Unsent answers stay until the server has them. Plain IndexedDB: this runs on pages that load no modules by name.

const STORE = "chimp-labels";
const MEDIA = "media";

const done = (request) =>
  new Promise((give, refuse) => {
    request.onsuccess = () => give(request.result);
    request.onerror = () => refuse(request.error);
  });

/** The store, if this browser has one; it is never made here. */
async function opened() {
  if (!globalThis.indexedDB) return null;
  const request = indexedDB.open(STORE);
  request.onupgradeneeded = () => request.transaction.abort();
  return done(request).catch(() => null);
}

/**
 * Forget what people other than `user` left here; everybody, if user is null. Unsent answers stay, whosesoever they are,
 * and what was decided and can be undone stays with its author's name as long as one of its answers is unsent.
 */
export async function forget(user = null) {
  await Promise.allSettled([forgetRows(user), forgetPictures(user)]);
}

async function forgetRows(user) {
  const database = await opened();
  if (!database) return;
  const others = (record) => user === null || record.user !== user;
  try {
    const names = ["outbox", "history", "items", "settings"].filter((name) => database.objectStoreNames.contains(name));
    if (names.length < 4) return;
    const work = database.transaction(names, "readwrite");
    const ended = new Promise((give, refuse) => {
      work.oncomplete = give;
      work.onerror = work.onabort = () => refuse(work.error);
    });
    const unsent = new Set((await done(work.objectStore("outbox").getAll())).map((record) => record.id));
    for (const name of ["items", "history"]) {
      const store = work.objectStore(name);
      const keys = await done(store.getAllKeys());
      const rows = await done(store.getAll());
      rows.forEach((row, i) => {
        if (others(row) && !(name === "history" && unsent.has(row.id))) store.delete(keys[i]);
      });
    }
    // Names and photos of individuals, as the last one who was here may see them. Keys belong to the device.
    const settings = work.objectStore("settings");
    const owner = await done(settings.get("owner"));
    if (owner === undefined || owner !== user) settings.delete("individuals");
    if (user === null) settings.delete("owner");
    else settings.put(user, "owner");
    await ended;
  } finally {
    database.close();
  }
}

async function forgetPictures(user) {
  if (!globalThis.caches) return;
  const owner = await ownerOfPictures();
  // Without a mark they were kept by a version before this one: they may be a pack for the field that is needed tomorrow.
  if (user === null || (owner !== null && owner !== user)) {
    await caches.delete(MEDIA);
    for (const name of await caches.keys()) if (name.startsWith("shell-")) await forgetPages(await caches.open(name), user);
  }
  if (user !== null && owner !== user) await setOwnerOfPictures(user);
}

/** The page that works without a connection shows a name: it goes when its owner goes. The scripts of it stay. */
async function forgetPages(cache, user) {
  for (const request of await cache.keys()) {
    if (new URL(request.url).pathname.startsWith("/static/")) continue;
    const boot = user === null ? null : (await (await cache.match(request)).text()).match(/<script id="boot"[^>]*>(.*?)<\/script>/s);
    if (boot && JSON.parse(boot[1]).user === user) continue;
    await cache.delete(request);
  }
}

const OWNER = "/media/owner-of-these-pictures";

async function ownerOfPictures() {
  const kept = (await caches.has(MEDIA)) ? await (await caches.open(MEDIA)).match(OWNER) : null;
  return kept ? kept.text() : null;
}

async function setOwnerOfPictures(user) {
  await (await caches.open(MEDIA)).put(OWNER, new Response(user));
}
