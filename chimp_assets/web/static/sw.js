// The service worker: the labelling page opens and goes on without a connection.
//
// Belongs here: which answers are kept and given. Pictures and versioned files are named by their content: the kept one
// is as good as the server's. Pages are asked of the server first. Nothing of /api is ever kept.

const { version, shell, pages } = self.CHIMP_SHELL;
const SHELL = `shell-${version}`;
const MEDIA = "media";
const PAGE_WAIT_MS = 4_000;

self.addEventListener("install", (event) => {
  event.waitUntil(
    (async () => {
      const cache = await caches.open(SHELL);
      await cache.addAll(shell);
      await Promise.allSettled(pages.map((page) => keepPage(cache, new Request(page, { credentials: "same-origin" }))));
      await self.skipWaiting();
    })(),
  );
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      for (const name of await caches.keys()) if (name !== SHELL && name !== MEDIA) await caches.delete(name);
      await self.clients.claim();
    })(),
  );
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== location.origin) return;
  if (url.pathname.startsWith("/media/")) event.respondWith(media(event));
  else if (url.pathname.startsWith("/static/")) event.respondWith(keptFirst(request));
  else if (request.mode === "navigate" && pages.includes(url.pathname)) event.respondWith(page(request));
});

async function keptFirst(request) {
  const kept = await (await caches.open(SHELL)).match(request);
  return kept ?? fetch(request);
}

async function media(event) {
  const { request } = event;
  const cache = await caches.open(MEDIA);
  const whole = new Request(request.url, { credentials: "same-origin" });
  let answer = await cache.match(whole);
  if (!answer) {
    answer = await fetch(whole);
    if (answer.status !== 200) return answer;
    // What is fetched for the next tracks lies in the browser's own cache. A pack for the field is worth what is kept.
    if (request.headers.has("X-Keep") && !(await cache.put(whole, answer.clone()).then(() => true, () => false)))
      return new Response(null, { status: 507 });
  }
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.get("Range") ?? "");
  return range ? slice(answer, Number(range[1]), range[2] ? Number(range[2]) : null) : answer;
}

/** Videos ask for parts, and some browsers take nothing else. */
async function slice(answer, first, last) {
  const bytes = await answer.arrayBuffer();
  const end = Math.min(last ?? bytes.byteLength - 1, bytes.byteLength - 1);
  if (first > end) return new Response(null, { status: 416, headers: { "Content-Range": `bytes */${bytes.byteLength}` } });
  return new Response(bytes.slice(first, end + 1), {
    status: 206,
    headers: {
      "Content-Type": answer.headers.get("Content-Type") ?? "application/octet-stream",
      "Content-Range": `bytes ${first}-${end}/${bytes.byteLength}`,
      "Content-Length": String(end + 1 - first),
      "Accept-Ranges": "bytes",
    },
  });
}

async function page(request) {
  const cache = await caches.open(SHELL);
  const fresh = keepPage(cache, request);
  const patience = new Promise((give) => setTimeout(give, PAGE_WAIT_MS, null));
  try {
    const answer = await Promise.race([fresh, patience]);
    if (answer) return answer;
  } catch {
    // No connection: the kept one.
  }
  return (await cache.match(new URL(request.url).pathname)) ?? fresh;
}

/** Only the page itself is kept: a redirection to the sign-in page is not it. */
async function keepPage(cache, request) {
  const answer = await fetch(request);
  if (answer.status === 200 && !answer.redirected) await cache.put(new URL(request.url).pathname, answer.clone());
  return answer;
}
