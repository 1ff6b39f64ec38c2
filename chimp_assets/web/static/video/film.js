// Belongs here: a <video> that plays the pieces of a video, which are fetched as they are needed (Media Source Extensions).
// Does not belong here: what is on the screen (playing, stage), how pieces are asked for (asking).

const KEPT_PIECES = 12;
const KEPT_BEHIND = 2;
const JOINT_S = 0.05;

/**
 * plan: of /api/videos/ID/playing. Null where this browser cannot play it.
 * A film has `video`, seek(seconds), which resolves when that picture is decoded, and `failed`, which is called when a
 * piece or the browser fails.
 */
export async function openFilm(id, plan, asking) {
  const able = globalThis.MediaSource?.isTypeSupported(plan.type) && "requestVideoFrameCallback" in HTMLVideoElement.prototype;
  if (!able || !plan.pieces.length) return null;
  const video = document.createElement("video");
  video.muted = video.playsInline = true;
  const source = new MediaSource();
  const address = URL.createObjectURL(source);
  video.src = address;
  await event(source, "sourceopen");
  URL.revokeObjectURL(address);
  const buffer = source.addSourceBuffer(plan.type);
  source.duration = plan.pieces.at(-1)[1];
  const kept = new Set();
  const coming = new Map();
  let writing = Promise.resolve();
  const film = { video, seek, failed: () => {} };

  const pieceAt = (seconds) => Math.max(0, plan.pieces.findLastIndex(([from]) => from <= seconds + 1e-6));

  /** Resolves when a piece can be decoded. */
  function need(piece) {
    if (kept.has(piece)) return Promise.resolve();
    if (!coming.has(piece)) {
      const address = `/api/videos/${id}/proxy/${plan.version}/${piece}.mp4`;
      const here = asking(address, true).then((content) => {
        writing = writing.then(() => write(piece, content));
        return writing;
      });
      coming.set(piece, here.finally(() => coming.delete(piece)));
    }
    return coming.get(piece);
  }

  async function write(piece, content) {
    await makeRoom(piece);
    buffer.timestampOffset = plan.pieces[piece][0];
    buffer.appendBuffer(content);
    await event(buffer, "updateend");
    kept.add(piece);
    // Decoders keep the last pictures back until they know that no more come.
    if (piece === plan.pieces.length - 1) source.endOfStream();
  }

  async function makeRoom(piece) {
    if (kept.size < KEPT_PIECES) return;
    for (const old of [...kept].filter((one) => one < piece - KEPT_BEHIND || one > piece + 1)) {
      const [from, to] = plan.pieces[old];
      buffer.remove(from, to);
      await event(buffer, "updateend");
      kept.delete(old);
    }
  }

  /** The piece that plays, and the one after it. */
  async function feed() {
    const piece = pieceAt(video.currentTime + JOINT_S);
    try {
      await need(piece);
      if (piece + 1 < plan.pieces.length) await need(piece + 1);
    } catch (error) {
      film.failed(error);
    }
  }

  async function seek(seconds) {
    await need(pieceAt(seconds));
    if (Math.abs(video.currentTime - seconds) < 1e-6 && !video.seeking) return;
    video.currentTime = seconds;
    await event(video, "seeked");
  }

  for (const moment of ["timeupdate", "waiting", "seeked"]) video.addEventListener(moment, feed);
  video.addEventListener("error", () => film.failed(video.error));
  return film;
}

function event(target, name) {
  return new Promise((done, failed) => {
    const over = new AbortController();
    const listen = (one, tell) => target.addEventListener(one, (told) => {
      over.abort();
      tell(told);
    }, { signal: over.signal });
    listen(name, done);
    listen("error", failed);
  });
}
