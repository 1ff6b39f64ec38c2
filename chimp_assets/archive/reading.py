"""What child processes do with one archive file: decode it to shards, or ask it when it was recorded.

Belongs here: work on one file without a database. Light to import: a child that needs SQLAlchemy starts a second later.
Does not belong here: rows and states (`ingest`, `discover`), the processes themselves (`workers`).
"""

from __future__ import annotations

import errno
import hashlib
import tempfile
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from chimp_assets.archive.shards import Shard, ShardWriter
from chimp_assets.archive.store import READ_BLOCK, BlobStore, MissingBlobError
from chimp_assets.archive.workers import Beat
from chimp_assets.errors import ChimpError, FullDiskError

if TYPE_CHECKING:
    import numpy as np

    from chimp_assets.settings import DecodeSettings

_BEAT_S = 1.0
_PROBLEMS = 20


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


def decode_video(job: DecodeJob, beat: Beat = lambda: None) -> DecodedVideo:
    """Read one archive file, write its shards, return its rows. No database. Memory: one shard and a few pictures.

    Raises UnreadableVideo (the file's fault), GoneVideo, and StoreError or FullDiskError (not its fault).
    """
    import numpy as np

    from chimp_assets.archive.decode import decode_frames
    from chimp_assets.archive.probe import probe

    problems: list[str] = []

    def tell(sentence: str) -> None:
        if sentence not in problems and len(problems) < _PROBLEMS:
            problems.append(sentence)

    frame_no, part, byte_length = array("i"), array("i"), array("i")
    pts, byte_offset, time_s = array("q"), array("q"), array("d")
    with _local_file(job, beat) as (path, content_hash):
        facts = probe(path, job.settings.max_pixels)
        if facts.n_video_streams > 1:
            problems.append(f"It has {facts.n_video_streams} video streams; only the one that players show was read.")
        writer = ShardWriter(job.store, job.bundle_key, job.video_id, job.settings.shard_bytes)
        for kept in decode_frames(path, job.settings, tell, _now_and_then(beat)):
            place = writer.add(kept.frame_no, kept.jpeg)
            frame_no.append(kept.frame_no)
            pts.append(kept.pts)
            time_s.append(kept.time_s)
            part.append(place.part)
            byte_offset.append(place.byte_offset)
            byte_length.append(place.byte_length)
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


def _now_and_then(beat: Beat) -> Beat:
    """Beats at most once a second, however often it is called."""
    last = time.monotonic()

    def maybe() -> None:
        nonlocal last
        now = time.monotonic()
        if now - last > _BEAT_S:
            last = now
            beat()

    return maybe


def recorded_at(place: tuple[BlobStore, str], beat: Beat = lambda: None) -> datetime | None:
    """When the container of the file (archive, uri) says it was recorded; None if it says nothing or is none."""
    from chimp_assets.archive.probe import UnreadableVideo, created_at

    archive, uri = place
    path = archive.local_path(uri)
    try:
        if path is not None:
            return created_at(path)
        with archive.open_reader(uri) as file:
            return created_at(file)
    except (UnreadableVideo, MissingBlobError):
        return None


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
