"""One clip of picture files decoded to shards: a still, or a burst. Work on files without a database.

Belongs here: reading the files of a clip in order, what became of each, the clip's facts.
Does not belong here: one file (`still`), which files are a clip (`stills.bursts`), rows (`catalogue.burst_rows`),
processes (`decoders`).
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from chimp_assets.archive.stills.bursts import StillFile
from chimp_assets.archive.stills.kinds import HEAD_BYTES, is_film, kind_of
from chimp_assets.archive.storage.store import MissingBlobError
from chimp_assets.archive.video.reading import (
    DecodedVideo,
    DecodeJob,
    GoneVideoError,
    LongVideo,
    Packer,
    VideoCopy,
    decode_video,
    local_file,
    now_and_then,
    outcome_as_message,
    outcome_of_message,
)
from chimp_assets.archive.video.workers import Beat
from chimp_assets.errors import ChimpError

if TYPE_CHECKING:
    from chimp_assets.archive.video.still import StillPicture


class UnreadablePictureError(ChimpError):
    """A file is not a picture that can be read; the sentence says why."""


@dataclass(frozen=True)
class StillEnding:
    """What became of one file of a clip. kept: it is a frame; copy: it has the bytes of the row twin_id; failed, gone:
    it gave nothing, and error and remedy say why."""

    file: StillFile
    kind: Literal["kept", "copy", "failed", "gone"]
    content_hash: str = ""
    twin_id: int = 0
    error: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class DecodedClip:
    """A decoded clip of pictures. endings: of every file, in order. video: None if no file was kept; its frames are
    those kept, in order."""

    endings: list[StillEnding]
    video: DecodedVideo | None

    @property
    def kept(self) -> list[StillFile]:
        """The files that are frames, in their order; the first is the clip's own row."""
        return [ending.file for ending in self.endings if ending.kind == "kept"]


def decode_clip(job: DecodeJob, beat: Beat = lambda: None) -> DecodedClip:
    """Read the pictures of a job, write their shards. Memory: one picture, and a shard.

    Raises StoreError or FullDiskError; what is wrong with a file is its ending.
    """
    from chimp_assets.archive.video.probe import UnreadableVideoError
    from chimp_assets.archive.video.still import read_still

    began = time.monotonic()
    endings: list[StillEnding] = []
    clip: _Clip | None = None
    seen: dict[str, int] = {}
    try:
        for file in job.stills:
            one = replace(job, video_id=file.video_id, uri=file.uri, etag=file.etag, bytes=file.bytes, stills=())
            beat()
            try:
                with local_file(one, beat) as (path, content_hash):
                    twin_id = {**seen, **job.twins}.get(content_hash)
                    if twin_id is not None and twin_id != file.video_id:
                        endings.append(StillEnding(file, "copy", content_hash, twin_id))
                        continue
                    still = read_still(path, job.settings.longest_side, job.settings.max_pixels)
            except GoneVideoError as error:
                endings.append(StillEnding(file, "gone", error=error.sentence, remedy=error.remedy))
                continue
            except UnreadableVideoError as error:
                endings.append(StillEnding(file, "failed", error=error.sentence, remedy=error.remedy))
                continue
            seen[content_hash] = file.video_id
            if clip is None:
                clip = _Clip(one, content_hash)
            clip.add(file, still)
            endings.append(StillEnding(file, "kept", content_hash))
        return DecodedClip(endings, None if clip is None else clip.decoded(time.monotonic() - began))
    finally:
        if clip is not None:
            clip.close()


class _Clip:
    """The frames of a clip on their way to shards. job: of its first kept file, whose row they will be."""

    def __init__(self, job: DecodeJob, content_hash: str) -> None:
        from chimp_assets.archive.video.decode import DecodeReport

        self._content_hash = content_hash
        self._quality = job.settings.jpeg_quality
        self._packer = Packer(job)
        self._report = DecodeReport()
        self._hashes: list[str | None] = []
        self._times: list[float] = []
        self._sizes: set[tuple[int, int]] = set()
        self._first_s = 0.0

    def close(self) -> None:
        self._packer.__exit__()

    def add(self, file: StillFile, still: StillPicture) -> None:
        import simplejpeg

        if not self._times:
            self._first_s = file.time_s
            self._report.facts = still.facts
        time_s = round(file.time_s - self._first_s, 6)
        self._times.append(time_s)
        self._hashes.append(still.picture_hash)
        self._sizes.add((still.facts.width, still.facts.height))
        self._report.sample.add(time_s, still.picture)
        for sentence in still.problems:
            self._report.problem(sentence)
        for sentence in still.notes:
            self._report.note(sentence)
        jpeg = simplejpeg.encode_jpeg(still.picture, quality=self._quality, colorspace="RGB", colorsubsampling="420")
        self._packer.add(round(time_s * 1000), time_s, jpeg)

    def decoded(self, seconds: float) -> DecodedVideo:
        n = len(self._times)
        step_s = self._times[-1] / (n - 1) if n > 1 else 0.0
        # A burst lasts to the end of its last picture, as a film does; a single picture lasts no time.
        length_s = self._times[-1] + step_s
        report = self._report
        assert report.facts is not None
        report.length_s = length_s
        if len(self._sizes) > 1:
            report.note(f"Its {n} pictures have {len(self._sizes)} sizes; its row has that of the first.")
        facts = replace(report.facts, duration_s=length_s)
        found = self._packer.decoded(self._content_hash, facts, report, seconds)
        return replace(found, columns={**found.columns, "duration_s": length_s, "picture_hash": self._picture_hash()})

    def _picture_hash(self) -> str | None:
        if None in self._hashes:
            return None
        if len(self._hashes) == 1:
            return self._hashes[0]
        return hashlib.blake2b("|".join(map(str, self._hashes)).encode(), digest_size=32).hexdigest()


def decode_job(job: DecodeJob, beat: Beat = lambda: None) -> DecodedVideo | VideoCopy | LongVideo | DecodedClip:
    """A video or the pictures of a clip: `decode_video` or `decode_clip`. What is inside a file decides, not its
    ending."""
    if job.stills and (len(job.stills) > 1 or not _is_film(job)):
        return decode_clip(job, now_and_then(beat))
    return decode_video(job, beat)


def _is_film(job: DecodeJob) -> bool:
    try:
        with job.archive.open_reader(job.uri) as file:
            head = file.read(HEAD_BYTES)
    except MissingBlobError:
        return False
    return kind_of(head) is None and is_film(head)


def decode_job_message(message: dict[str, Any], beat: Beat) -> dict[str, Any]:
    """`decode_job` for another process: answers what `result_of_message` reads."""
    outcome = decode_job(DecodeJob.of_message(message), beat)
    if not isinstance(outcome, DecodedClip):
        return outcome_as_message(outcome)
    endings = [{**ending.__dict__, "file": ending.file.__dict__} for ending in outcome.endings]
    return {"clip": endings, "video": None if outcome.video is None else outcome_as_message(outcome.video)}


def result_of_message(answer: dict[str, Any]) -> DecodedVideo | VideoCopy | LongVideo | DecodedClip:
    """What `decode_job_message` answered."""
    if "clip" not in answer:
        return outcome_of_message(answer)
    endings = [StillEnding(**{**one, "file": StillFile(**one["file"])}) for one in answer["clip"]]
    video = None if answer["video"] is None else outcome_of_message(answer["video"])
    assert video is None or isinstance(video, DecodedVideo)
    return DecodedClip(endings, video)
