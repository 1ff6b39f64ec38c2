"""Videos of a bundle to shards and rows: every file, damaged or not, ends in a state that says what became of it.

Belongs here: the one transaction per video, and what a bundle came to.
Does not belong here: which files exist (`discover`), the processes (`decoders`), what is in the pictures (`vision`).

Bytes before rows: a video's shards lie in the store before its rows are written, in one transaction. Names of shards
follow from their content, so that a run that was killed at any point and is started again writes the same files over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import sqlalchemy as sa

from chimp_assets.archive.catalogue.burst_files import files_are_back
from chimp_assets.archive.catalogue.burst_rows import (
    LostRaceError,
    join_burst,
    leave_burst,
    name_sources,
    waiting_clips,
)
from chimp_assets.archive.catalogue.duplicates import same_pictures, settle_same_pictures, settle_twin, twins
from chimp_assets.archive.stills.bursts import StillFile
from chimp_assets.archive.storage.archive import ArchiveError
from chimp_assets.archive.storage.shards import ShardError
from chimp_assets.archive.storage.store import BlobStore
from chimp_assets.archive.times.rows import reweigh_bundle
from chimp_assets.archive.video.clip import DecodedClip, StillEnding, UnreadablePictureError
from chimp_assets.archive.video.decoders import Decoding, decoded
from chimp_assets.archive.video.reading import DecodedVideo, DecodeJob, GoneVideoError, VideoCopy
from chimp_assets.archive.video.signals import VideoSignal
from chimp_assets.database import schema
from chimp_assets.database.connection import bulk
from chimp_assets.database.connection.counters import take_numbers
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.texts import cut_to, units_of
from chimp_assets.errors import ChimpError
from chimp_assets.settings import Settings

Progress = Callable[[str, int, int], None]

_STALE_S = 3600.0
# Frames written at once: more would make a long video's memory larger than a short one's, and nothing faster.
_ROWS = 1_000
_OVERTAKEN = "Its row changed while it was decoded; the next listing decides."
_ERROR_LENGTH = 2000


@dataclass
class BundleDecode:
    """What became of a bundle. videos: decoded now; frames and bytes: stored now; seconds: wall time.

    video_seconds: how long the decoded videos last. failed: (uri, error) of files that gave nothing or are gone;
    partial: (uri, what was lost) of files that gave less than they announce; duplicates: (uri, uri of the video with
    the same bytes) of files that were moved or copied; same_pictures: uris of files whose bytes are new and whose
    pictures are not, so that they keep frames, tracks and labels. Videos that were done before are in none. facts: keys
    of alerts about the files of a camera that were opened after it; facts_failed: why these were not compared.
    """

    videos: int = 0
    frames: int = 0
    bytes: int = 0
    seconds: float = 0.0
    video_seconds: float = 0.0
    duplicates: list[tuple[str, str]] = field(default_factory=list)
    same_pictures: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    partial: list[tuple[str, str]] = field(default_factory=list)
    facts: list[int] = field(default_factory=list)
    facts_failed: str | None = None


def decode_bundle(
    db: Database,
    archive: BlobStore,
    store: BlobStore,
    bundle_key: str,
    settings: Settings,
    progress: Progress | None = None,
) -> BundleDecode:
    """Decode every registered video of a bundle; each ends `decoded`, `failed`, or `retired` if its file is gone.

    progress(uri, done, of) is called after each video, and with `uri, 40 %` while a long one is decoded. A damaged
    file, or one that kills its process, does not stop the others. Raises ArchiveError for an unknown bundle, and
    FullDiskError, StoreError or DatabaseError when the world is at fault: videos not yet done stay registered, and
    running this again goes on.
    """
    began = time.monotonic()
    outcome = BundleDecode()
    store.sweep_partial(f"shards/{bundle_key}", _STALE_S)
    jobs = _jobs(db, archive, store, bundle_key, settings)
    alone = [
        single
        for job, result in _decoded(db, jobs, progress)
        if not _finish(db, store, job, result, outcome)
        for single in _singles(job)
    ]
    for job, result in _decoded(db, alone, progress):
        _finish(db, store, job, result, outcome)
    if outcome.videos:
        # How long a piece of a recording is says when the next one begins.
        reweigh_bundle(db, settings, bundle_key)
    outcome.seconds = time.monotonic() - began
    return outcome


def _decoded(
    db: Database, jobs: Sequence[DecodeJob], progress: Progress | None
) -> Iterator[tuple[DecodeJob, Decoding | ChimpError]]:
    """Each job with what it gave. progress is called when what is yielded has been taken."""
    done = 0

    def part_done(job: DecodeJob, parts: int, of: int) -> None:
        if progress is not None:
            progress(f"{job.uri}, {100 * parts // of} %", done, len(jobs))

    for job, result in decoded(jobs, lambda length: _twins(db, length), part_done):
        done += 1
        yield job, result
        if progress is not None:
            progress(job.uri, done, len(jobs))


def _finish(
    db: Database, store: BlobStore, job: DecodeJob, result: Decoding | ChimpError, outcome: BundleDecode
) -> bool:
    """Write what became of a job. Says no, and writes nothing, where one picture of a burst has ended its process:
    each must then be read alone."""
    if isinstance(result, DecodedVideo) and len(result.shards) > schema.SHARDS_PER_VIDEO:
        result = ShardError(
            f"{job.uri} needs {len(result.shards)} shards, more than the {schema.SHARDS_PER_VIDEO} of a video.",
            "Raise decode.shard_bytes or lower decode.fps.",
        )
    if isinstance(result, DecodedClip):
        _keep_clip(db, store, job, result, outcome)
    elif isinstance(result, DecodedVideo):
        _keep(db, store, job, result, outcome)
    elif isinstance(result, VideoCopy):
        _keep_twin(db, job, result, outcome)
    elif len(job.stills) > 1:
        return False
    else:
        _give_up(db, job, result, outcome)
    return True


def _singles(job: DecodeJob) -> list[DecodeJob]:
    return [_of_file(job, replace(file, time_s=0.0)) for file in job.stills]


def _of_file(job: DecodeJob, file: StillFile) -> DecodeJob:
    return replace(job, video_id=file.video_id, uri=file.uri, etag=file.etag, bytes=file.bytes, stills=(file,))


def _jobs(db: Database, archive: BlobStore, store: BlobStore, bundle_key: str, settings: Settings) -> list[DecodeJob]:
    video, bundle = schema.video.c, schema.bundle.c
    with db.read() as conn:
        bundle_id = conn.execute(sa.select(bundle.bundle_id).where(bundle.bundle_key == bundle_key)).scalar()
        if bundle_id is None:
            raise ArchiveError(f"There is no bundle {bundle_key}.", "List the archive first (chimp ingest).")
        rows = conn.execute(
            sa.select(video.video_id, video.uri, video.etag, video.bytes)
            .where(video.bundle_id == bundle_id, video.state == "registered")
            .order_by(video.video_id)
        ).all()
        clips = waiting_clips(conn, bundle_id, settings.pictures.burst_s)
    jobs = [
        DecodeJob(r.video_id, r.uri, r.etag, r.bytes, bundle_key, archive, store, settings.decode, {}) for r in rows
    ]
    of_burst = {file.video_id: clip for clip in clips for file in clip}
    return [
        job if (clip := of_burst.get(job.video_id)) is None else replace(_of_file(job, clip[0]), stills=tuple(clip))
        for job in jobs
        if job.video_id not in of_burst or job.video_id == min(file.video_id for file in of_burst[job.video_id])
    ]


def _twins(db: Database, length: int) -> dict[str, int]:
    with db.read() as conn:
        return twins(conn, [length]).get(length, {})


@dataclass(frozen=True)
class _Ending:
    """How the transaction of a decoded video ended. unneeded: uris of shards that no row names any more."""

    kind: Literal["decoded", "same_bytes", "same_pictures", "overtaken"]
    unneeded: list[str]
    twin_id: int | None = None


def _keep(
    db: Database,
    store: BlobStore,
    job: DecodeJob,
    decoded: DecodedVideo,
    outcome: BundleDecode,
    files: Sequence[StillEnding] = (),
) -> None:
    """Write the rows of a decoded video, all or none, then delete the shards that are not needed. files: of a clip of
    pictures, one for each frame."""
    lost = _shortened(decoded.problems)
    try:
        ending = db.transact(lambda conn: _write_video(conn, job, decoded, lost, files))
    except LostRaceError:
        ending = _Ending("overtaken", [])
    for uri in ending.unneeded:
        store.delete(uri)
    if ending.twin_id is not None:
        _keep_twin(db, job, VideoCopy(ending.twin_id, decoded.content_hash), outcome)
    elif ending.kind == "same_pictures":
        outcome.same_pictures.append(job.uri)
    elif ending.kind == "overtaken":
        outcome.failed.append((job.uri, _OVERTAKEN))
    else:
        outcome.videos += 1
        outcome.frames += len(decoded.frame_no)
        outcome.bytes += sum(s.bytes for s in decoded.shards)
        outcome.video_seconds += decoded.columns["duration_s"] or float(decoded.time_s[-1])
        if lost:
            outcome.partial.append((job.uri, lost))


def _keep_clip(db: Database, store: BlobStore, job: DecodeJob, clip: DecodedClip, outcome: BundleDecode) -> None:
    """Write the rows of a clip of pictures, all or none, and what became of the files that are not in it."""
    if clip.video is not None:
        kept = [ending for ending in clip.endings if ending.kind == "kept"]
        _keep(db, store, _of_file(job, kept[0].file), clip.video, outcome, kept)
    for ending in clip.endings:
        one = _of_file(job, ending.file)
        if ending.kind == "copy":
            _keep_twin(db, one, VideoCopy(ending.twin_id, ending.content_hash), outcome)
        elif ending.kind == "failed":
            _give_up(db, one, UnreadablePictureError(ending.error, ending.remedy), outcome)
        elif ending.kind == "gone":
            _give_up(db, one, GoneVideoError(ending.error, ending.remedy), outcome)


def _write_video(
    conn: sa.Connection, job: DecodeJob, decoded: DecodedVideo, lost: str | None, files: Sequence[StillEnding] = ()
) -> _Ending:
    """The rows of a decoded video, unless it turns out to be a copy or its row has changed meanwhile."""
    own_shards = [shard.uri for shard in decoded.shards]
    # A copy of this file may have been decoded elsewhere at the same time.
    take_numbers(conn, "discovery", 0)
    members = files[1:]
    if members and _has_copies(conn, files):
        return _Ending("overtaken", [])
    twin_id = twins(conn, [job.bytes]).get(job.bytes, {}).get(decoded.content_hash)
    if twin_id is not None and twin_id != job.video_id:
        return _Ending("same_bytes", own_shards, twin_id)
    before_id = same_pictures(conn, job.video_id, decoded.columns.get("picture_hash"), decoded.time_s)
    if before_id is not None:
        facts = {**decoded.columns, "content_hash": decoded.content_hash, "error": lost}
        settled = settle_same_pictures(conn, job.video_id, before_id, facts, decoded.pts, datetime.now(UTC))
        if settled and members:
            leave_burst(conn, before_id)
            _join(conn, before_id, members)
            files_are_back(conn, [before_id], datetime.now(UTC))
        return _Ending("same_pictures", own_shards) if settled else _Ending("overtaken", [])
    taken = _settle(
        conn,
        job,
        state="decoded",
        error=lost,
        content_hash=decoded.content_hash,
        n_frames=len(decoded.frame_no),
        frame_s=_frame_s(decoded),
        **decoded.columns,
    )
    if not taken:
        return _Ending("overtaken", [])
    before = _replace_frames(conn, job, decoded)
    if members:
        _join(conn, job.video_id, members)
    return _Ending("decoded", sorted(set(before) - set(own_shards)))


def _has_copies(conn: sa.Connection, files: Sequence[StillEnding]) -> bool:
    """Whether a picture that was to be a frame is known meanwhile: decoding the bundle again finds that."""
    known = twins(conn, {ending.file.bytes for ending in files})
    return any(
        known.get(ending.file.bytes, {}).get(ending.content_hash, ending.file.video_id) != ending.file.video_id
        for ending in files
    )


def _join(conn: sa.Connection, burst_id: int, members: Sequence[StillEnding]) -> None:
    join_burst(conn, burst_id, members, datetime.now(UTC))
    name_sources(conn, burst_id, [burst_id, *(member.file.video_id for member in members)])


def _replace_frames(conn: sa.Connection, job: DecodeJob, decoded: DecodedVideo) -> list[str]:
    """Rows of shards, frames and signals in place of an earlier decoding's, whose shards' uris are returned."""
    frame, shard = schema.frame.c, schema.frame_shard.c
    write_signal(conn, job.video_id, decoded.signal)
    before = list(conn.execute(sa.select(shard.uri).where(shard.video_id == job.video_id)).scalars())
    conn.execute(sa.delete(schema.frame).where(frame.video_id == job.video_id))
    conn.execute(sa.delete(schema.frame_shard).where(shard.video_id == job.video_id))
    bulk.insert_rows(
        conn,
        schema.frame_shard,
        {
            "shard_id": [schema.shard_id_of(job.video_id, s.part) for s in decoded.shards],
            "video_id": [job.video_id] * len(decoded.shards),
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
        _ROWS,
    )
    return before


def write_signal(conn: sa.Connection, video_id: int, signal: VideoSignal | None) -> None:
    """What a video's pictures look like, in place of what was known. conn: inside a write transaction."""
    conn.execute(sa.delete(schema.video_signal).where(schema.video_signal.c.video_id == video_id))
    if signal is not None:
        conn.execute(sa.insert(schema.video_signal).values(video_id=video_id, **signal.as_columns()))


def _frame_s(decoded: DecodedVideo) -> float | None:
    """What each kept frame stands for: the mean time between two, or the whole of a video that has but one."""
    n = len(decoded.time_s)
    if n < 2:
        duration: float | None = decoded.columns["duration_s"]
        return duration
    return float(decoded.time_s[-1] - decoded.time_s[0]) / (n - 1)


def _keep_twin(db: Database, job: DecodeJob, same: VideoCopy, outcome: BundleDecode) -> None:
    """Write that a file holds the bytes of a video that is known."""

    def write(conn: sa.Connection) -> str | None:
        video = schema.video.c
        uri = conn.scalar(sa.select(video.uri).where(video.video_id == same.twin_id))
        settled = settle_twin(conn, job.video_id, same.twin_id, same.content_hash, datetime.now(UTC))
        return uri if settled else None

    uri = db.transact(write)
    if uri is None:
        outcome.failed.append((job.uri, _OVERTAKEN))
    else:
        outcome.duplicates.append((job.uri, uri))


def _give_up(db: Database, job: DecodeJob, error: ChimpError, outcome: BundleDecode) -> None:
    sentence = cut_to(str(error), _ERROR_LENGTH)
    state = "retired" if isinstance(error, GoneVideoError) else "failed"
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
    if units_of(text) > _ERROR_LENGTH:
        text = cut_to(text, _ERROR_LENGTH - 4) + " ..."
    return text or None
