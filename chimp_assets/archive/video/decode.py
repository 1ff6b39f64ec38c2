"""Which pictures of a video are kept, and their JPEGs: the two sampling policies, over a whole video or a part of it.

Belongs here: sampling by time, clocks that jump, the JPEGs, and the sentences about damage.
Does not belong here: opening and probing (`probe`), what a picture looks like (`conversion`), how a video is cut into
parts (`segments`), packing (`shards`), rows and processes (`ingest`).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import simplejpeg

from chimp_assets.archive.video.conversion import Converter, Deinterlacer, Shape, is_hdr
from chimp_assets.archive.video.probe import (
    FASTEST,
    Losses,
    Readable,
    UnevenPartError,
    VideoFacts,
    decoded_pictures,
    duration_of,
    facts_of,
    limit_pixels,
    opened,
    pixel_aspect,
    rate_of,
    refuse_longer,
    seen_rate,
    unreadable_pictures,
)
from chimp_assets.archive.video.signals import PictureSample

if TYPE_CHECKING:
    from chimp_assets.archive.video.workers import Beat
    from chimp_assets.settings import DecodeSettings

_SENTENCES = 20
# Share of steps of the named rate from which a clock counts as even.
_EVEN = 0.9
_INTERLACED = "Its pictures are interlaced and were deinterlaced."
_HDR = "Its pictures have a high dynamic range and were mapped to that of ordinary screens."


@dataclass(frozen=True)
class KeptFrame:
    """One picture to store. frame_no counts from 0; pts is in the stream's time base; time_s counts from the first
    picture of the video; jpeg holds 8-bit RGB as displayed.
    """

    frame_no: int
    pts: int
    time_s: float
    jpeg: bytes


@dataclass
class Steps:
    """How evenly the pictures of a video follow each other.

    even: steps of the rate that the file names; missing: pictures that wider steps have room for, the first at first_s.
    """

    n: int = 0
    even: int = 0
    missing: int = 0
    first_s: float | None = None

    def add(self, others: Steps) -> None:
        """Count the steps of a later stretch too."""
        self.n += others.n
        self.even += others.even
        self.missing += others.missing
        self.first_s = others.first_s if self.first_s is None else self.first_s

    def gaps(self) -> str | None:
        """A sentence where an even clock leaves pictures out; a file of variable rate has no even clock."""
        if not self.missing or self.first_s is None or self.even < _EVEN * self.n:
            return None
        return f"{self.missing} pictures are missing from an even clock, the first after {self.first_s:.1f} s."


@dataclass
class PictureSum:
    """A sum over pictures in their order, which two parts of a video have together as the whole has.

    Polynomial over the prime 2**127 - 1 (Karp and Rabin 1987) of a digest of eight lines of each picture: two encodings
    that differ at all differ there too, and reading every line would cost a tenth of the decoding.
    """

    value: int = 0
    n: int = 0
    first: int | None = None
    varied: bool = False

    def add(self, frame: Any) -> None:
        """Take the next picture."""
        digest = _lines_of(frame)
        self.value = (self.value * _BASE + digest) % _PRIME
        self.n += 1
        if self.first is None:
            self.first = digest
        elif digest != self.first:
            self.varied = True

    def join(self, after: PictureSum) -> None:
        """Take the pictures of a later part."""
        self.value = (self.value * pow(_BASE, after.n, _PRIME) + after.value) % _PRIME
        self.n += after.n
        self.varied = (
            self.varied or after.varied or (None not in (self.first, after.first) and self.first != after.first)
        )
        self.first = after.first if self.first is None else self.first

    def named(self, facts: VideoFacts, policy: str) -> str | None:
        """The hash for a row of `video`; None if all pictures are alike: a black video identifies nothing."""
        if not self.varied:
            return None
        how = f"1|{policy}|{facts.width}x{facts.height}|{facts.rotation}|{facts.mirrored}|{self.n}|{self.value:x}"
        return hashlib.blake2b(how.encode(), digest_size=32).hexdigest()


_PRIME = (1 << 127) - 1
_BASE = 0x5DEECE66D1CE4E5B9BF58476D1CE4E5B
_LINES = 8


def _lines_of(frame: Any) -> int:
    plane = frame.planes[0]
    rows, stride = plane.height, plane.line_size
    width = min(frame.width, stride)
    data = memoryview(plane)
    starts = [(2 * i + 1) * rows // (2 * _LINES) * stride for i in range(_LINES)]
    lines = b"".join([data[at : at + width] for at in starts])
    return int.from_bytes(hashlib.blake2b(lines, digest_size=15).digest(), "big")


@dataclass
class DecodeReport:
    """What a decoding found beside its pictures.

    problems: what was lost, where and why. notes: how kept pictures differ from those in the file. pictures: decoded in
    all. facts: of the video, once its first picture was decoded. length_s: from the first picture to the end of the
    last; span_s: to the beginning of the last. picture_sum: of all pictures. sample: of the kept ones, what they look
    like. ends: digests of the pictures at both ends of a part, empty where there was none.
    """

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    pictures: int = 0
    facts: VideoFacts | None = None
    length_s: float = 0.0
    steps: Steps = field(default_factory=Steps)
    span_s: float = 0.0
    picture_sum: PictureSum = field(default_factory=lambda: PictureSum())
    sample: PictureSample = field(default_factory=PictureSample)
    ends: tuple[str, str] = ("", "")

    def problem(self, sentence: str) -> None:
        """Add a loss once; of very many, the first are kept."""
        if sentence not in self.problems and len(self.problems) < _SENTENCES:
            self.problems.append(sentence)

    def note(self, sentence: str) -> None:
        """As `problem`, for what is not a loss."""
        if sentence not in self.notes and len(self.notes) < _SENTENCES:
            self.notes.append(sentence)


@dataclass(frozen=True)
class VideoPart:
    """A stretch of a video between two key pictures: after start up to and with end (pts; None: of the whole video).

    first_pts: of the video's first picture, from which time counts. shape: how the video's pictures are stored.
    n_pictures: how many the stretch must give.
    """

    start: int | None
    end: int | None
    first_pts: int
    n_pictures: int
    shape: Shape


def decode_frames(
    source: Readable,
    settings: DecodeSettings,
    report: DecodeReport,
    beat: Beat = lambda: None,
    part: VideoPart | None = None,
) -> Iterator[KeptFrame]:
    """The kept pictures of a video, in the order of display. Memory: a few pictures, however long the video is.

    Policy `fps`: a picture is kept when it is the first at or after a point of the grid k / fps, counted from the first
    picture. Policy `keyframe`: every picture that decodes by itself. report is filled on the way; beat is called for
    each packet read. part: only the pictures of this part, frame_no counted from 0 in it.
    Raises UnreadableVideoError if nothing can be decoded or if a limit of the settings is passed, and UnevenPartError.
    """
    with opened(source) as (container, stream):
        name = str(getattr(source, "name", "the file"))
        yield from frames_of(container, stream, name, settings, report, beat, part)


def frames_of(
    container: Any,
    stream: Any,
    name: str,
    settings: DecodeSettings,
    report: DecodeReport,
    beat: Beat,
    part: VideoPart | None = None,
) -> Iterator[KeptFrame]:
    """`decode_frames` of a file that was just opened, of which nothing was read: opening one costs as much as decoding
    some pictures. name: for messages.
    """
    limit_pixels(stream, settings.max_pixels, name)
    claimed = duration_of(container, stream)
    refuse_longer(claimed, settings.max_duration_s, name)
    keyframes_only = settings.policy == "keyframe"
    losses = Losses()
    pictures = decoded_pictures(container, stream, losses, beat, part.start if part else None)
    if keyframes_only:
        stream.codec_context.skip_frame = "NONKEY"
    if part is not None:
        pictures = _inside(pictures, part, losses, report)
    clock = FrameClock(stream, part, settings.max_duration_s, keyframes_only)
    entered_s = clock.seconds_at(part.start) if part and part.start is not None else None
    keep = _Grid(settings.fps, float(stream.time_base) / 2, entered_s)
    render = _Renderer(stream, settings, name, report, part.shape if part else None)
    n = 0
    for before, frame, after in with_neighbours(pictures):
        if part is not None and frame.pts == part.start:  # belongs to the part before
            continue
        report.pictures += 1
        report.picture_sum.add(frame)
        if report.facts is None and part is None:
            report.facts = facts_of(container, stream, frame)
        pts, time_s = clock.read(frame)
        refuse_longer(time_s, settings.max_duration_s, name)
        wanted = frame.key_frame if keyframes_only else keep(time_s)  # some decoders cannot skip
        if wanted:
            picture = render.alone(frame) if keyframes_only else render.between(before, frame, after)
            report.sample.add(time_s, picture)
            yield KeptFrame(n, pts, time_s, render.jpeg(picture))
            n += 1
        if part is not None and frame.pts == part.end:
            break
    if not keyframes_only:
        report.steps = clock.steps
    report.length_s = clock.length_s
    report.span_s = clock.span_s
    if report.facts is not None and not keyframes_only:
        report.facts = replace(report.facts, avg_fps=seen_rate(report.facts.avg_fps, report.pictures, clock.span_s))
    to_the_end = part is None or part.end is None
    for sentence in _in_sentences(losses, clock, claimed if to_the_end else None, stream, container):
        report.problem(sentence)
    if n == 0 and part is None:
        raise unreadable_pictures(name, losses, "key picture" if report.pictures else "picture")


def with_neighbours(frames: Iterable[Any]) -> Generator[tuple[Any | None, Any, Any | None], None, None]:
    """Each frame with the one before and the one after it."""
    before = frame = None
    for after in frames:
        if frame is not None:
            yield before, frame, after
        before, frame = frame, after
    if frame is not None:
        yield before, frame, None


def _inside(frames: Iterable[Any], part: VideoPart, losses: Losses, report: DecodeReport) -> Iterator[Any]:
    """The frames of a part and one on either side, which its ends are compared and deinterlaced with.

    Raises UnevenPartError where they do not come as the packets promised.
    """
    last: int | None = None
    for frame in frames:
        if frame.pts is None or (last is not None and frame.pts <= last):
            raise UnevenPartError("its pictures do not come in the order of their times")
        if part.start is not None and last is None:
            if frame.pts < part.start:  # shown before the key picture, and needs what came before it to be decoded
                losses.forget()
                continue
            if frame.pts > part.start:
                raise UnevenPartError("it cannot be entered at its key picture")
            losses.forget()
            report.ends = (_digest(frame), "")
        elif last is None and frame.pts != part.first_pts:
            raise UnevenPartError("its first picture is another one")
        last = frame.pts
        if last == part.end:
            report.ends = (report.ends[0], _digest(frame))
        yield frame
        if part.end is not None and frame.pts > part.end:
            return


def _digest(frame: Any) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for plane in frame.planes:
        # The bytes between the lines are not part of the picture.
        lines = np.frombuffer(plane, np.uint8)[: plane.height * plane.line_size].reshape(plane.height, -1)
        digest.update(lines[:, : plane.width].tobytes())
    return digest.hexdigest()


class _Renderer:
    """Frames to pictures, and these to JPEGs."""

    def __init__(
        self, stream: Any, settings: DecodeSettings, name: str, report: DecodeReport, shape: Shape | None
    ) -> None:
        self._convert = Converter(
            pixel_aspect(stream), settings.longest_side, settings.max_pixels, name, report.problem, shape
        )
        self._deinterlace = Deinterlacer()
        self._quality = settings.jpeg_quality
        self._report = report

    def between(self, before: Any | None, frame: Any, after: Any | None) -> np.ndarray:
        """The picture of a frame whose neighbours are known, u8 [h, w, 3] RGB."""
        if not frame.interlaced_frame:
            return self._picture(frame, None)
        return self._picture(frame, self._deinterlace.between(before, frame, after))

    def alone(self, frame: Any) -> np.ndarray:
        """The picture of a frame whose neighbours were not decoded."""
        return self._picture(frame, self._deinterlace.alone(frame) if frame.interlaced_frame else None)

    def jpeg(self, picture: np.ndarray) -> bytes:
        """The picture as it is stored."""
        jpeg: bytes = simplejpeg.encode_jpeg(picture, quality=self._quality, colorspace="RGB", colorsubsampling="420")
        return jpeg

    def _picture(self, frame: Any, deinterlaced: Any | None) -> np.ndarray:
        if deinterlaced is not None:
            self._report.note(_INTERLACED)
        if is_hdr(frame):
            self._report.note(_HDR)
        return self._convert(frame, deinterlaced)


class FrameClock:
    """Reads the time of each picture. Where a file gives none, or jumps back, time goes on by one picture."""

    # Stamps that go back by less are jitter of the muxer, not a new clock.
    _JITTER_S = 0.5

    def __init__(self, stream: Any, part: VideoPart | None, longest_s: float, keys_only: bool = False) -> None:
        guessed = stream.guessed_rate
        rate = guessed if guessed and guessed <= FASTEST else rate_of(stream) or 25
        self._base = stream.time_base
        self._step = max(1, round(1 / (rate * self._base)))
        self._longest_s = longest_s
        self._first: int | None = None if part is None else part.first_pts
        self._last = (part.start if part and part.start is not None else self._first) or 0
        self._fresh = part is None or part.start is None  # no picture was read yet
        self._offset = 0  # added to the file's clock since it last jumped
        self._gap = 0
        self._keys_only = keys_only
        self.steps = Steps()
        self.jumps = 0
        self.first_jump_s = 0.0

    @property
    def length_s(self) -> float:
        """Seconds from the first picture to the end of the last one read, which lasts as long as the one before.

        Where only key pictures were read, what lies between them is not known to be there.
        """
        return self.seconds_at(self._last + (self._step if self._keys_only else max(self._step, self._gap)))

    @property
    def span_s(self) -> float:
        """Seconds from the first picture to the last one read."""
        return self.seconds_at(self._last)

    def seconds_at(self, pts: int) -> float:
        """Seconds from the first picture to this one."""
        return float((pts - (self._first or 0)) * self._base)

    def read(self, frame: Any) -> tuple[int, float]:
        """(pts as the file has it, seconds since the first picture); the seconds grow from picture to picture."""
        stamp = frame.pts if frame.pts is not None else frame.dts
        if self._fresh:
            self._fresh = False
            if self._first is None:
                self._first = stamp or 0
            self._last = self._first
            return self._first, 0.0
        at = self._last + self._step if stamp is None else stamp + self._offset
        gap_s = float((at - self._last) * self._base)
        # A clock that leaps further than any video lasts has not measured time: it was set.
        if -gap_s > self._JITTER_S or gap_s > self._longest_s:
            if not self.jumps:
                self.first_jump_s = self.seconds_at(self._last)
            self.jumps += 1
            self._offset += self._last + self._step - at
            at = self._last + self._step
        elif at <= self._last:
            at = self._last + 1
        self._gap = at - self._last
        self._count(self._gap)
        self._last = at
        return at if stamp is None else stamp, self.seconds_at(at)

    def _count(self, ticks: int) -> None:
        self.steps.n += 1
        # Stamps are rounded to ticks.
        if abs(ticks - self._step) <= 1 + 0.02 * self._step:
            self.steps.even += 1
        elif ticks > 1.8 * self._step:
            self.steps.missing += round(ticks / self._step) - 1
            if self.steps.first_s is None:
                self.steps.first_s = self.seconds_at(self._last)


class _Grid:
    """Says of each time whether it is the first at or after a point of the grid k / fps."""

    def __init__(self, fps: float, tolerance_s: float, seen_s: float | None) -> None:
        """seen_s: the last time that was asked about before, if any."""
        self._fps = fps
        # Time stamps are rounded to ticks: half a tick before the point is on the point.
        self._tolerance_s = tolerance_s
        self._passed = -1 if seen_s is None else self._point(seen_s)

    def _point(self, time_s: float) -> int:
        return math.floor((time_s + self._tolerance_s) * self._fps)

    def __call__(self, time_s: float) -> bool:
        point = self._point(time_s)
        if point <= self._passed:
            return False
        self._passed = point
        return True


def _in_sentences(
    losses: Losses, clock: FrameClock, claimed: float | None, stream: Any, container: Any
) -> Iterator[str]:
    """What was lost and where, as sentences. Seconds count from the beginning of the stream."""
    start = float(stream.start_time * stream.time_base) if stream.start_time else 0.0
    if losses.bad_packets.n:
        yield f"{losses.bad_packets.n} damaged packets could not be decoded{losses.bad_packets.where(start)}."
    if losses.corrupt_pictures.n:
        yield f"{losses.corrupt_pictures.n} damaged pictures were left out{losses.corrupt_pictures.where(start)}."
    if losses.read_error:
        until = "" if losses.read_until_s is None else f" after {max(0.0, losses.read_until_s - start):.1f} s"
        yield f"Reading met damage{until}: {losses.read_error}."
    if clock.jumps:
        yield f"Its clock jumps {clock.jumps} times, first after {clock.first_jump_s:.1f} s; time was counted on."
    # Only the stream's own duration is evidence: the container's may be that of the sound.
    alone = len(container.streams) == 1
    if claimed and losses.read_until_s is not None and (stream.duration or alone):
        # A picture that was shown was read, whatever its packet says of its time.
        seen = max(losses.read_until_s - start, clock.length_s)
        if claimed - seen > max(0.5, 0.02 * claimed):
            yield f"The file ends after {seen:.1f} s of the {claimed:.1f} s that it announces."
