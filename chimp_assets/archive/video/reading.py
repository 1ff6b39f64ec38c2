"""What child processes do with one archive file: decode it to shards, or a part of it, or read its recording time.

Belongs here: work on one file without a database. Light to import: a child that needs SQLAlchemy starts a second later.
Does not belong here: rows and states (`ingest`, `discover`), who does what (`decoders`), the processes (`workers`).
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from chimp_assets.archive.stills.bursts import StillFile
from chimp_assets.archive.storage.shards import Shard, ShardWriter
from chimp_assets.archive.storage.store import BlobStore, MissingBlobError
from chimp_assets.archive.video.workers import Beat
from chimp_assets.errors import ChimpError

if TYPE_CHECKING:
    import numpy as np

    from chimp_assets.archive.video.decode import DecodeReport, VideoPart
    from chimp_assets.archive.video.probe import VideoFacts
    from chimp_assets.archive.video.signals import VideoSignal
    from chimp_assets.settings import DecodeSettings

_BEAT_S = 1.0
_BLOCK = 8 * 1024 * 1024


class GoneVideoError(ChimpError):
    """The file that was listed is no longer there, or another lies in its place."""


@dataclass(frozen=True)
class DecodeJob:
    """One video to decode; everything a child process needs. uri, etag, bytes: as discovered.

    twins: content hash to video_id of videos with as many bytes: a file that turns out to be one of them is not decoded
    again. scratch: a folder for what waits on disk while a long video is decoded in parts; None: in one pass.
    stills: the picture files of a clip, the first of which the other facts are of; empty for a video.
    """

    video_id: int
    uri: str
    etag: str
    bytes: int
    bundle_key: str
    archive: BlobStore
    store: BlobStore
    settings: DecodeSettings
    twins: dict[str, int]
    scratch: Path | None = None
    stills: tuple[StillFile, ...] = ()

    @property
    def lengths(self) -> set[int]:
        """Bytes of its files."""
        return {self.bytes, *(file.bytes for file in self.stills)}

    def as_message(self) -> dict[str, Any]:
        """For another process."""
        return {
            **self.__dict__,
            "archive": self.archive.as_message(),
            "store": self.store.as_message(),
            "settings": self.settings.model_dump(),
            "scratch": None if self.scratch is None else str(self.scratch),
            "stills": [file.__dict__ for file in self.stills],
        }

    @classmethod
    def of_message(cls, message: dict[str, Any]) -> DecodeJob:
        """What `as_message` gave. Opens both stores."""
        from chimp_assets.settings import DecodeSettings

        return cls(
            **{
                **message,
                "archive": BlobStore.of_message(message["archive"]),
                "store": BlobStore.of_message(message["store"]),
                "settings": DecodeSettings(**message["settings"]),
                "scratch": None if message["scratch"] is None else Path(message["scratch"]),
                "stills": tuple(StillFile(**file) for file in message["stills"]),
            }
        )


@dataclass(frozen=True)
class DecodedVideo:
    """What decoding one video gave: facts, shards that lie in the store, one array element per kept frame.

    frame_no i32 [n], pts i64 [n], time_s f64 [n], part i32 [n], byte_offset i64 [n], byte_length i32 [n].
    columns: values for the row of `video`. problems: what was lost, in sentences. signal: what its pictures look like.
    """

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
    signal: VideoSignal | None = None


@dataclass(frozen=True)
class VideoCopy:
    """The file is a copy of another one that is known: nothing was decoded."""

    twin_id: int
    content_hash: str


@dataclass(frozen=True)
class LongVideo:
    """A video to be decoded in parts. path: where it lies on this machine. seconds: spent on finding that out."""

    content_hash: str
    facts: VideoFacts
    notes: list[str]
    path: Path
    parts: list[VideoPart]
    seconds: float


def decode_video(job: DecodeJob, beat: Beat = lambda: None) -> DecodedVideo | VideoCopy | LongVideo:
    """Read one archive file, write its shards, return its rows. No database. Memory: a few pictures.

    Raises UnreadableVideoError (the file's fault), GoneVideoError, and StoreError or FullDiskError (not its fault).
    """
    from chimp_assets.archive.video.decode import DecodeReport, frames_of
    from chimp_assets.archive.video.joined import unread_rest
    from chimp_assets.archive.video.probe import duration_of, opened
    from chimp_assets.archive.video.segments import plan_parts

    began = time.monotonic()
    gently = now_and_then(beat)
    with local_file(job, gently) as (path, content_hash):
        if content_hash in job.twins:
            return VideoCopy(job.twins[content_hash], content_hash)
        report = DecodeReport()
        rest = unread_rest(path)
        with opened(path) as (container, stream):
            if (
                job.scratch is not None
                and rest is None
                and (duration_of(container, stream) or 0.0) >= job.settings.split_s
            ):
                parts = plan_parts(path, job.settings, gently, report)
                if parts and report.facts is not None:
                    _note_streams(report, report.facts)
                    spent = time.monotonic() - began
                    return LongVideo(content_hash, report.facts, report.notes, path, parts, spent)
            with Packer(job) as packer:
                for kept in frames_of(container, stream, path.name, job.settings, report, gently):
                    packer.add(kept.pts, kept.time_s, kept.jpeg)
                assert report.facts is not None
                if rest is not None:
                    report.problem(str(rest))
                _note_streams(report, report.facts)
                return packer.decoded(content_hash, report.facts, report, time.monotonic() - began)


def _note_streams(report: DecodeReport, facts: VideoFacts) -> None:
    if facts.n_video_streams > 1:
        report.note(f"It has {facts.n_video_streams} video streams; only the one that players show was read.")


def _columns_of(facts: VideoFacts) -> dict[str, Any]:
    return {
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
        "interlaced": facts.interlaced,
        "color_transfer": facts.color_transfer,
    }


class Packer:
    """Collects the kept pictures of one video into shards and the arrays of its rows. Use as a context manager."""

    def __init__(self, job: DecodeJob) -> None:
        self._job = job
        self._writer = ShardWriter(job.store, job.bundle_key, job.video_id, job.settings.shard_bytes)
        self._part, self._byte_length = array("i"), array("i")
        self._pts, self._byte_offset, self._time_s = array("q"), array("q"), array("d")

    def __enter__(self) -> Packer:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.__exit__()

    def add(self, pts: int, time_s: float, jpeg: bytes) -> None:
        """Take the next picture. Raises FullDiskError or StoreError when a full shard cannot be put."""
        place = self._writer.add(len(self._pts), jpeg)
        self._pts.append(pts)
        self._time_s.append(time_s)
        self._part.append(place.part)
        self._byte_offset.append(place.byte_offset)
        self._byte_length.append(place.byte_length)

    def decoded(self, content_hash: str, facts: VideoFacts, report: DecodeReport, seconds: float) -> DecodedVideo:
        """Put the last shard; the whole of the video. Raises GoneVideoError if the file changed meanwhile."""
        import numpy as np

        _require_still_there(self._job)
        shards = self._writer.close()
        columns = _columns_of(facts)
        gaps = None if report.problems else report.steps.gaps()  # else the problems say it better
        notes = " ".join([*report.notes, *([gaps] if gaps else [])])
        return DecodedVideo(
            content_hash=content_hash,
            columns={
                **columns,
                "duration_s": _duration_of(columns["duration_s"], report.length_s, self._job.settings.policy),
                "note": notes[:1000] or None,
                "picture_hash": report.picture_sum.named(facts, self._job.settings.policy),
                "decode_s": seconds,
            },
            shards=shards,
            frame_no=np.arange(len(self._pts), dtype=np.int32),
            pts=np.frombuffer(self._pts, np.int64),
            time_s=np.frombuffer(self._time_s, np.float64),
            part=np.frombuffer(self._part, np.int32),
            byte_offset=np.frombuffer(self._byte_offset, np.int64),
            byte_length=np.frombuffer(self._byte_length, np.int32),
            problems=report.problems,
            signal=report.sample.signal(),
        )


# The last key picture may lie so far before the end.
_LAST_KEY_S = 20.0


def _duration_of(claimed: float | None, seen: float, policy: str) -> float:
    """Seconds of a video: what the file claims, unless its pictures end well before or after, or it claims nothing."""
    slack_s = _LAST_KEY_S if policy == "keyframe" else max(0.5, 0.02 * (claimed or 0.0))
    return seen if claimed is None or abs(seen - claimed) > slack_s else claimed


def decode_video_message(message: dict[str, Any], beat: Beat) -> dict[str, Any]:
    """`decode_video` for another process: answers what `outcome_of_message` reads."""
    return outcome_as_message(decode_video(DecodeJob.of_message(message), beat))


def outcome_as_message(outcome: DecodedVideo | VideoCopy | LongVideo) -> dict[str, Any]:
    """For another process: what `outcome_of_message` reads."""
    if isinstance(outcome, VideoCopy):
        return {"same_bytes": asdict(outcome)}
    if isinstance(outcome, LongVideo):
        parts = [asdict(part) for part in outcome.parts]
        facts = asdict(outcome.facts)
        return {"long_video": {**outcome.__dict__, "facts": facts, "path": str(outcome.path), "parts": parts}}
    shards = [asdict(shard) for shard in outcome.shards]
    signal = None if outcome.signal is None else outcome.signal.__dict__
    return {"decoded_video": {**outcome.__dict__, "shards": shards, "signal": signal}}


def outcome_of_message(answer: dict[str, Any]) -> DecodedVideo | VideoCopy | LongVideo:
    """What `outcome_as_message` gave."""
    from chimp_assets.archive.video.probe import VideoFacts
    from chimp_assets.archive.video.segments import part_of_message
    from chimp_assets.archive.video.signals import VideoSignal

    if "same_bytes" in answer:
        return VideoCopy(**answer["same_bytes"])
    if "long_video" in answer:
        found = answer["long_video"]
        parts = [part_of_message(part) for part in found["parts"]]
        facts = VideoFacts(**found["facts"])
        return LongVideo(**{**found, "facts": facts, "path": Path(found["path"]), "parts": parts})
    found = answer["decoded_video"]
    signal = None if found["signal"] is None else VideoSignal(**found["signal"])
    return DecodedVideo(**{**found, "shards": [Shard(**shard) for shard in found["shards"]], "signal": signal})


def decode_part_message(message: dict[str, Any], beat: Beat) -> dict[str, Any]:
    """One part of a long video for another process: {"part": DecodedPart} or {"uneven": why}."""
    from chimp_assets.archive.video.probe import UnevenPartError
    from chimp_assets.archive.video.segments import decode_part, part_of_message
    from chimp_assets.settings import DecodeSettings

    part, settings = part_of_message(message["part"]), DecodeSettings(**message["settings"])
    try:
        done = decode_part(Path(message["path"]), settings, part, Path(message["jpegs"]), now_and_then(beat))
    except UnevenPartError as uneven:
        return {"uneven": str(uneven)}
    return {"part": done.as_message()}


def now_and_then(beat: Beat) -> Beat:
    """Beats at most once a second, however often it is called."""
    last = time.monotonic()

    def maybe() -> None:
        nonlocal last
        now = time.monotonic()
        if now - last > _BEAT_S:
            last = now
            beat()

    return maybe


def time_tags(place: tuple[BlobStore, str], beat: Beat = lambda: None) -> tuple[dict[str, str], float | None] | None:
    """Tags of time and seconds of the container (archive, uri); None if it is no container."""
    from chimp_assets.archive.video.probe import UnreadableVideoError
    from chimp_assets.archive.video.probe import time_tags as tags_of

    archive, uri = place
    path = archive.local_path(uri)
    try:
        if path is not None:
            return tags_of(path)
        with archive.open_reader(uri) as file:
            return tags_of(file)
    except (UnreadableVideoError, MissingBlobError):
        return None


def time_tags_message(message: dict[str, Any], beat: Beat) -> list[Any] | None:
    """`time_tags` for another process: archive (as a message) and uri; answers [tags, seconds]."""
    found = time_tags((BlobStore.of_message(message["archive"]), message["uri"]), beat)
    return None if found is None else list(found)


@contextmanager
def local_file(job: DecodeJob, beat: Beat) -> Iterator[tuple[Path, str]]:
    """The file of a job on this machine, and blake2b-256 of its bytes. What lies in `scratch` goes when that goes."""
    from chimp_assets.archive.video.probe import UnreadableVideoError

    _require_still_there(job)
    path = job.archive.local_path(job.uri)
    if path is not None:
        content_hash = _hashed(job, beat)
        try:
            yield path, content_hash
        except UnreadableVideoError:
            # On a disk that was removed no file can be read: that is not the file's fault, and this says so.
            _require_still_there(job)
            raise
    elif job.scratch is not None:
        yield _fetched(job, job.scratch, beat)
    else:
        with tempfile.TemporaryDirectory(prefix="chimp-") as folder:
            yield _fetched(job, Path(folder), beat)


def _fetched(job: DecodeJob, folder: Path, beat: Beat) -> tuple[Path, str]:
    path = folder / PurePosixPath(job.uri).name  # its own name: some formats are recognised by their ending
    try:
        return path, job.archive.download(job.uri, path, beat)
    except MissingBlobError:
        raise _gone(job) from None


def _hashed(job: DecodeJob, beat: Beat) -> str:
    digest = hashlib.blake2b(digest_size=32)
    try:
        with job.archive.open_reader(job.uri) as source:
            while block := source.read(_BLOCK):
                digest.update(block)
                beat()
    except MissingBlobError:
        raise _gone(job) from None
    return digest.hexdigest()


def _require_still_there(job: DecodeJob) -> None:
    found = job.archive.head(job.uri)
    if found is None:
        raise _gone(job)
    if found.etag[:200] != job.etag:
        raise GoneVideoError(f"{job.uri} was changed after it was listed.", "The next listing takes the new file.")


def _gone(job: DecodeJob) -> GoneVideoError:
    return GoneVideoError(
        f"{job.uri} is no longer in the archive.", "The next listing takes it up again if it comes back."
    )
