"""Videos of a bundle to shards and rows: every file, damaged or not, ends in a state that says what became of it.

Belongs here: decoding one video to shards, the processes that do it side by side, and the one transaction per video.
Does not belong here: which files exist (`discover`), which pictures are kept (`decode`), what is in them (`vision`).

Bytes before rows: a video's shards lie in the store before its rows are written, in one transaction. Names of shards
follow from their content, so that a run that was killed at any point and is started again writes the same files over.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import tempfile
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from queue import SimpleQueue
from typing import Any

import numpy as np
import sqlalchemy as sa

from chimp_assets.archive.discover import ArchiveError
from chimp_assets.archive.shards import Shard, ShardWriter
from chimp_assets.archive.store import READ_BLOCK, BlobStore, MissingBlobError, StoreError
from chimp_assets.archive.workers import Beat, Worker, WorkerDied, WorkerFailed
from chimp_assets.database import bulk, schema
from chimp_assets.database.engine import Database
from chimp_assets.errors import ChimpError, FullDiskError
from chimp_assets.settings import DecodeSettings, Settings

log = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]

_BEAT_S = 1.0
_STALE_S = 3600.0
_ERROR_LENGTH = 2000


class GoneVideo(ChimpError):
    """The file that was listed is no longer there, or another lies in its place."""


@dataclass(frozen=True)
class DecodeJob:
    """One video to decode. uri, etag: as discovered; everything a child process needs."""

    video_id: int
    uri: str
    etag: str
    bundle_key: str
    archive: BlobStore
    store: BlobStore
    settings: DecodeSettings


@dataclass(frozen=True)
class DecodedVideo:
    """What decoding one video gave: facts, shards that lie in the store, one array element per kept frame.

    frame_no i32 [n], pts i64 [n], time_s f64 [n], part i32 [n], byte_offset i64 [n], byte_length i32 [n].
    columns: values for the row of `video`. problems: what was lost, in sentences.
    """

    video_id: int
    content_hash: str
    columns: dict[str, Any]
    shards: list[Shard]
    frame_no: np.ndarray
    pts: np.ndarray
    time_s: np.ndarray
    part: np.ndarray
    byte_offset: np.ndarray
    byte_length: np.ndarray
    problems: list[str]


@dataclass
class BundleDecode:
    """What became of a bundle. videos: decoded now; frames and bytes: stored now; seconds: wall time.

    failed: (uri, error) of files that gave nothing or are gone; partial: (uri, what was lost) of files that gave less
    than they announce. Videos that were done before are in neither.
    """

    videos: int = 0
    frames: int = 0
    bytes: int = 0
    seconds: float = 0.0
    failed: list[tuple[str, str]] = field(default_factory=list)
    partial: list[tuple[str, str]] = field(default_factory=list)


def decode_video(job: DecodeJob, beat: Beat = lambda: None) -> DecodedVideo:
    """Read one archive file, write its shards, return its rows. No database. Memory: one shard and a few pictures.

    Raises UnreadableVideo or ShardError (the file's fault), GoneVideo, and StoreError or FullDiskError (not its fault).
    """
    from chimp_assets.archive.decode import decode_frames
    from chimp_assets.archive.probe import probe

    problems: list[str] = []
    frame_no, part, byte_length = array("i"), array("i"), array("i")
    pts, byte_offset, time_s = array("q"), array("q"), array("d")
    with _local_file(job, beat) as (path, content_hash):
        facts = probe(path, job.settings.max_pixels)
        if facts.n_video_streams > 1:
            problems.append(f"It has {facts.n_video_streams} video streams; only the one that players show was read.")
        writer = ShardWriter(job.store, job.bundle_key, job.video_id, job.settings.shard_bytes)
        last_beat = time.monotonic()
        for kept in decode_frames(path, job.settings, problems.append):
            place = writer.add(kept.frame_no, kept.jpeg)
            frame_no.append(kept.frame_no)
            pts.append(kept.pts)
            time_s.append(kept.time_s)
            part.append(place.part)
            byte_offset.append(place.byte_offset)
            byte_length.append(place.byte_length)
            if time.monotonic() - last_beat > _BEAT_S:
                beat()
                last_beat = time.monotonic()
        _still_there(job)
        shards = writer.close()
    return DecodedVideo(
        video_id=job.video_id,
        content_hash=content_hash,
        columns={
            "duration_s": facts.duration_s,
            "width": facts.width,
            "height": facts.height,
            "sar_num": facts.sar_num,
            "sar_den": facts.sar_den,
            "rotation": facts.rotation,
            "avg_fps": facts.avg_fps,
            "codec": facts.codec,
            "time_base_num": facts.time_base_num,
            "time_base_den": facts.time_base_den,
        },
        shards=shards,
        frame_no=np.frombuffer(frame_no, np.int32),
        pts=np.frombuffer(pts, np.int64),
        time_s=np.frombuffer(time_s, np.float64),
        part=np.frombuffer(part, np.int32),
        byte_offset=np.frombuffer(byte_offset, np.int64),
        byte_length=np.frombuffer(byte_length, np.int32),
        problems=problems,
    )


def decode_bundle(
    db: Database,
    archive: BlobStore,
    store: BlobStore,
    bundle_key: str,
    settings: Settings,
    progress: Progress | None = None,
) -> BundleDecode:
    """Decode every registered video of a bundle; each ends `decoded`, `failed`, or `retired` if its file is gone.

    progress(uri, done, of) is called after each video. A damaged file, or one that kills its process, does not stop
    the others. Raises ArchiveError for an unknown bundle, and FullDiskError, StoreError or DatabaseError when the world
    is at fault: videos not yet done stay registered, and running this again goes on.
    """
    began = time.monotonic()
    outcome = BundleDecode()
    store.sweep_partial(f"shards/{bundle_key}", _STALE_S)
    jobs = _jobs(db, archive, store, bundle_key, settings)
    for done, (job, result) in enumerate(_decoded(jobs, settings.decode.workers), 1):
        if isinstance(result, DecodedVideo):
            _keep(db, store, job, result, outcome)
        else:
            _give_up(db, job, result, outcome)
        if progress is not None:
            progress(job.uri, done, len(jobs))
    outcome.seconds = time.monotonic() - began
    return outcome


def _jobs(db: Database, archive: BlobStore, store: BlobStore, bundle_key: str, settings: Settings) -> list[DecodeJob]:
    video, bundle = schema.video.c, schema.bundle.c
    with db.read() as conn:
        bundle_id = conn.execute(sa.select(bundle.bundle_id).where(bundle.bundle_key == bundle_key)).scalar()
        if bundle_id is None:
            raise ArchiveError(f"There is no bundle {bundle_key}.", "List the archive first (chimp ingest).")
        rows = conn.execute(
            sa.select(video.video_id, video.uri, video.etag)
            .where(video.bundle_id == bundle_id, video.state == "registered")
            .order_by(video.video_id)
        ).all()
    return [DecodeJob(r.video_id, r.uri, r.etag, bundle_key, archive, store, settings.decode) for r in rows]


Outcome = DecodedVideo | ChimpError


def _decoded(jobs: Sequence[DecodeJob], workers: int) -> Iterator[tuple[DecodeJob, Outcome]]:
    """Each job with what it gave, in the order in which they end. Raises what is not the video's fault."""
    n = min(workers, len(jobs))
    if n <= 1:
        for job in jobs:
            yield job, _attempt(job, decode_video)
        return
    idle: SimpleQueue[Worker] = SimpleQueue()
    children = [Worker() for _ in range(n)]
    for child in children:
        idle.put(child)

    def in_child(job: DecodeJob) -> Outcome:
        child = idle.get()
        try:
            return _attempt(job, lambda job: child.call(decode_video, job))
        finally:
            idle.put(child)

    threads = ThreadPoolExecutor(n, thread_name_prefix="decode")
    try:
        waiting = iter(jobs)
        running: dict[Future[Outcome], DecodeJob] = {}
        while True:
            # Only as many results as there are children may wait for the database.
            while len(running) < 2 * n and (following := next(waiting, None)) is not None:
                running[threads.submit(in_child, following)] = following
            if not running:
                return
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in sorted(ended, key=lambda f: running[f].video_id):
                yield running.pop(future), future.result()
    finally:
        for child in children:
            child.close()
        threads.shutdown(wait=True, cancel_futures=True)


def _attempt(job: DecodeJob, decode: Callable[[DecodeJob], DecodedVideo]) -> Outcome:
    try:
        return decode(job)
    except (StoreError, FullDiskError):
        raise
    except ChimpError as error:
        return error
    except WorkerDied as death:
        return ChimpError(
            f"Reading {job.uri} ended its process ({death.how}); nothing of it was kept.",
            "Convert the file to MP4 (H.264) and put that in its place.",
        )
    except WorkerFailed as failure:
        log.error("decoding %s failed unexpectedly\n%s", job.uri, failure.text)
        return _unexpected(job, failure.short)
    except Exception as error:
        log.exception("decoding %s failed unexpectedly", job.uri)
        return _unexpected(job, f"{type(error).__name__}: {error}")


def _unexpected(job: DecodeJob, short: str) -> ChimpError:
    return ChimpError(
        f"{job.uri} could not be decoded for a reason that this program does not know ({short}).",
        "Convert the file to MP4 (H.264), and report this with the file.",
    )


@contextmanager
def _local_file(job: DecodeJob, beat: Beat) -> Iterator[tuple[Path, str]]:
    """The video as a file of this machine, and blake2b-256 of its bytes."""
    _still_there(job)
    path = job.archive.local_path(job.uri)
    if path is not None:
        yield path, _hashed(job, lambda block: beat())
        return
    with tempfile.TemporaryDirectory(prefix="chimp-") as folder:
        path = Path(folder) / PurePosixPath(job.uri).name
        yield path, _fetched(job, path, beat)


def _fetched(job: DecodeJob, path: Path, beat: Beat) -> str:
    try:
        with path.open("wb") as target:

            def take(block: bytes) -> None:
                target.write(block)
                beat()

            return _hashed(job, take)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise FullDiskError(
                f"There is no room left in {path.parent}: {job.uri} could not be fetched.",
                "Free some space, or set TMPDIR to a larger disk, and run this again.",
            ) from error
        raise


def _hashed(job: DecodeJob, take: Callable[[bytes], None]) -> str:
    digest = hashlib.blake2b(digest_size=32)
    try:
        with job.archive.open_reader(job.uri) as source:
            while block := source.read(READ_BLOCK):
                digest.update(block)
                take(block)
    except MissingBlobError:
        raise _gone(job) from None
    return digest.hexdigest()


def _still_there(job: DecodeJob) -> None:
    found = job.archive.head(job.uri)
    if found is None:
        raise _gone(job)
    if found.etag != job.etag:
        raise GoneVideo(f"{job.uri} was changed after it was listed.", "The next listing takes the new file.")


def _gone(job: DecodeJob) -> GoneVideo:
    return GoneVideo(f"{job.uri} is no longer in the archive.", "The next listing takes it up again if it comes back.")


def _keep(db: Database, store: BlobStore, job: DecodeJob, decoded: DecodedVideo, outcome: BundleDecode) -> None:
    """Write the rows of a decoded video, all or none."""
    lost = _shortened(decoded.problems)

    def write(conn: sa.Connection) -> list[str] | None:
        frame, shard = schema.frame.c, schema.frame_shard.c
        taken = _settle(
            conn,
            job,
            state="decoded",
            error=lost,
            content_hash=decoded.content_hash,
            n_frames=len(decoded.frame_no),
            **decoded.columns,
        )
        if not taken:
            return None
        before = list(conn.execute(sa.select(shard.uri).where(shard.video_id == job.video_id)).scalars())
        conn.execute(sa.delete(schema.frame).where(frame.video_id == job.video_id))
        conn.execute(sa.delete(schema.frame_shard).where(shard.video_id == job.video_id))
        n = len(decoded.shards)
        bulk.insert_rows(
            conn,
            schema.frame_shard,
            {
                "shard_id": [schema.shard_id_of(job.video_id, s.part) for s in decoded.shards],
                "video_id": [job.video_id] * n,
                "uri": [s.uri for s in decoded.shards],
                "bytes": [s.bytes for s in decoded.shards],
                "content_hash": [s.content_hash for s in decoded.shards],
            },
        )
        bulk.insert_rows(
            conn,
            schema.frame,
            {
                "video_id": np.full(len(decoded.frame_no), job.video_id, np.int64),
                "frame_no": decoded.frame_no,
                "pts": decoded.pts,
                "time_s": decoded.time_s,
                "shard_id": schema.shard_id_of(job.video_id, 0) + decoded.part.astype(np.int64),
                "byte_offset": decoded.byte_offset,
                "byte_length": decoded.byte_length,
            },
        )
        return before

    before = db.transact(write)
    if before is None:
        outcome.failed.append((job.uri, "Its row changed while it was decoded; the next listing decides."))
        return
    for uri in set(before) - {s.uri for s in decoded.shards}:
        store.delete(uri)
    outcome.videos += 1
    outcome.frames += len(decoded.frame_no)
    outcome.bytes += sum(s.bytes for s in decoded.shards)
    if lost:
        outcome.partial.append((job.uri, lost))


def _give_up(db: Database, job: DecodeJob, error: ChimpError, outcome: BundleDecode) -> None:
    sentence = str(error)[:_ERROR_LENGTH]
    state = "retired" if isinstance(error, GoneVideo) else "failed"
    db.transact(lambda conn: _settle(conn, job, state=state, error=sentence, n_frames=0))
    outcome.failed.append((job.uri, sentence))


def _settle(conn: sa.Connection, job: DecodeJob, **values: Any) -> bool:
    """Write what became of a video, unless someone else was quicker; says whether it was written."""
    video = schema.video.c
    changed = conn.execute(
        sa.update(schema.video)
        .where(video.video_id == job.video_id, video.state == "registered")
        .values(updated_at=datetime.now(UTC), **values)
    )
    return changed.rowcount == 1


def _shortened(problems: list[str]) -> str | None:
    text = " ".join(dict.fromkeys(problems))
    if len(text) > _ERROR_LENGTH:
        text = text[: _ERROR_LENGTH - 4] + " ..."
    return text or None
