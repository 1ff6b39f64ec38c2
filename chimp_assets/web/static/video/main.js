// Belongs here: showing the stored pictures of a video with boxes, playing, jumping, naming the chosen track.
// Does not belong here: who is in it when (the server draws the lanes), pictures.
//
// What is seen is always a stored picture, so that a decision is about one frame, whatever a browser makes of a video.

const player = document.querySelector("[data-video]");
if (player) start();

async function start() {
  const id = player.dataset.video;
  const canvas = player.querySelector("[data-canvas]");
  const said = player.querySelector("[data-said]");
  const scrub = player.querySelector("[data-scrub]");
  const play = player.querySelector("[data-play]");
  const download = document.querySelector("[data-download]");
  const jumps = [...document.querySelectorAll("[data-jump]")];
  const bars = new Map(jumps.map((jump) => [Number(jump.dataset.jump), jump]));
  const facts = await json(`/api/videos/${id}/timeline`);
  const frames = facts.frames;
  const boxes = new Map();
  const pictures = new Map();
  let at = 0;
  let track = Number(player.dataset.track) || null;
  let playing = null;
  let turn = 0;

  async function json(path) {
    const answer = await fetch(path, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error((await answer.json()).error);
    return answer.json();
  }

  /** The stored picture at or before a moment. */
  function frameAt(seconds) {
    let low = 0;
    let high = frames.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (frames[middle][1] <= seconds + 1e-6) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  function picture(n) {
    if (!pictures.has(n)) {
      const image = new Image();
      image.src = `/media/frame/${id}/${frames[n][0]}.jpg`;
      pictures.set(n, image.decode().then(() => image, () => null));
      if (pictures.size > 60) pictures.delete(pictures.keys().next().value);
    }
    return pictures.get(n);
  }

  /** Boxes come a minute at a time. */
  async function boxesOf(n) {
    const minute = Math.floor(frames[n][1] / 60);
    if (!boxes.has(minute)) {
      boxes.set(minute, json(`/api/videos/${id}/boxes?from=${minute * 60}&to=${minute * 60 + 60}`).then(({ boxes: rows }) => {
        const of = new Map();
        for (const row of rows) of.set(row[0], [...(of.get(row[0]) ?? []), row]);
        return of;
      }, () => new Map()));
    }
    return (await boxes.get(minute)).get(frames[n][0]) ?? [];
  }

  async function show(n) {
    at = Math.max(0, Math.min(frames.length - 1, n));
    const mine = ++turn;
    scrub.value = frames[at][1];
    const [image, drawn] = await Promise.all([picture(at), boxesOf(at)]);
    if (mine !== turn) return;
    draw(image, drawn);
    const time = frames[at][1].toFixed(2);
    said.value = player.dataset.wordsPicture.replace("{n}", frames[at][0]).replace("{time}", time);
    canvas.setAttribute("aria-label", [said.value, ...drawn.map((row) => label(row[1]))].join(", "));
    document.body.dataset.frame = frames[at][0];
    if (download) download.href = `/media/frame/${id}/${frames[at][0]}.jpg`;
    for (let ahead = 1; ahead < 4 && at + ahead < frames.length; ahead += 1) picture(at + ahead);
  }

  const label = (key) => bars.get(key)?.dataset.label ?? player.dataset.wordsNameless;

  function draw(image, drawn) {
    const pen = canvas.getContext("2d");
    if (image) [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    pen.clearRect(0, 0, canvas.width, canvas.height);
    if (image) pen.drawImage(image, 0, 0);
    const thick = Math.max(1.5, canvas.width / 400);
    pen.font = `${Math.max(12, canvas.width / 50)}px system-ui, sans-serif`;
    for (const [, key, x, y, w, h] of drawn) {
      const chosen = key === track;
      pen.setLineDash(["unsure", "nobody"].includes(bars.get(key)?.dataset.sure) ? [thick * 4, thick * 3] : []);
      pen.lineWidth = thick * (chosen ? 2.5 : 1);
      pen.strokeStyle = chosen ? "#ffd23e" : "#7fd0a6";
      pen.strokeRect(x * canvas.width, y * canvas.height, w * canvas.width, h * canvas.height);
      pen.setLineDash([]);
      const words = label(key);
      const top = Math.max(pen.measureText("M").width + 6, y * canvas.height);
      pen.fillStyle = "rgba(0, 0, 0, .7)";
      pen.fillRect(x * canvas.width, top - pen.measureText("M").width - 6, pen.measureText(words).width + 8, pen.measureText("M").width + 6);
      pen.fillStyle = "#fff";
      pen.fillText(words, x * canvas.width + 4, top - 4);
    }
  }

  function choose(key) {
    track = key;
    for (const jump of jumps) jump.toggleAttribute("aria-current", Number(jump.dataset.jump) === key);
    history.replaceState(null, "", `/video/${id}?t=${frames[at][1].toFixed(3)}${key ? `&track=${key}` : ""}`);
  }

  function jumpTo(jump, end = false) {
    const n = frameAt(Number(end ? jump.dataset.last : jump.dataset.first));
    at = n;
    choose(Number(jump.dataset.jump));
    return show(n);
  }

  function pause() {
    cancelAnimationFrame(playing);
    playing = null;
    play.textContent = player.dataset.wordsPlay;
  }

  function toggle() {
    if (playing !== null) return pause();
    if (at >= frames.length - 1) at = 0;
    const began = performance.now();
    const from = frames[at][1];
    play.textContent = player.dataset.wordsPause;
    const step = () => {
      const n = frameAt(from + (performance.now() - began) / 1000);
      if (n !== at) show(n);
      if (n >= frames.length - 1) pause();
      else playing = requestAnimationFrame(step);
    };
    playing = requestAnimationFrame(step);
  }

  const move = (n) => {
    pause();
    return show(n);
  };

  /** The first appearance of the lane above or below that of the chosen track. */
  function lane(direction) {
    const lanes = [...document.querySelectorAll(".lane")];
    const here = lanes.findIndex((one) => one.querySelector(`[data-jump="${track}"]`));
    const there = lanes[here < 0 ? 0 : here + direction];
    if (there) jumpTo(there.querySelector("[data-jump]"));
  }

  play.addEventListener("click", toggle);
  for (const button of player.querySelectorAll("[data-step]")) button.addEventListener("click", () => move(at + Number(button.dataset.step)));
  scrub.addEventListener("input", () => move(frameAt(Number(scrub.value))));
  for (const jump of jumps) {
    jump.addEventListener("click", (event) => {
      event.preventDefault();
      pause();
      jumpTo(jump);
    });
  }
  addEventListener("keydown", (event) => {
    if (event.target.closest("input:not([type=range]), select, textarea, .scroll") || event.ctrlKey || event.metaKey || event.altKey) return;
    const go = (path) => path && location.assign(path);
    const chosen = bars.get(track);
    if (event.key === " " && !event.target.closest("button, a")) toggle();
    else if (event.key === "ArrowLeft") move(at - 1);
    else if (event.key === "ArrowRight") move(at + 1);
    else if (event.key === "ArrowUp") lane(-1);
    else if (event.key === "ArrowDown") lane(1);
    else if (event.key === "Home" && chosen) jumpTo(chosen);
    else if (event.key === "End" && chosen) jumpTo(chosen, true);
    else if (event.key === "[") go(player.dataset.before);
    else if (event.key === "]") go(player.dataset.after);
    else return;
    event.preventDefault();
  });

  const form = document.querySelector("form[data-name]");
  const named = form?.querySelector("[data-named]");
  form?.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!track) return;
    const answer = await fetch("/api/events", {
      method: "POST", headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ user: form.dataset.name, events: [{
        annotation_id: uuid(), kind: "identify", track_id: track, anim_id: form.elements.namedItem("who").value.trim().toUpperCase(),
        client_time: new Date().toISOString(), shown: { mode: "video" },
      }] }),
    });
    const words = await answer.json();
    const result = words.results?.[0];
    if (answer.ok && ["stored", "duplicate", "conflict"].includes(result?.status)) location.reload();
    else named.value = result?.reason ?? `${words.error} ${words.remedy ?? ""}`;
  });

  at = frameAt(Number(player.dataset.at));
  if (track) choose(track);
  await show(at);
}

/** Where the address is not https the browser has no randomUUID. */
function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 15) | 64;
  bytes[8] = (bytes[8] & 63) | 128;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
