"""Which pictures of a video are kept, and their JPEGs, as displayed: rotated, square pixels, scaled down.

Belongs here: the two sampling policies, the conversion of a kept picture, and the words for what damage cost.
Does not belong here: opening and probing (`probe`), packing (`shards`), rows and processes (`ingest`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import simplejpeg
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

from chimp_assets.archive.probe import (
    UPRIGHT,
    Losses,
    Orientation,
    Readable,
    UnreadableVideo,
    decoded_pictures,
    displayed_size,
    duration_of,
    limit_pixels,
    opened,
    orientation_of,
    pixel_aspect,
    refuse_larger,
)

if TYPE_CHECKING:
    from chimp_assets.settings import DecodeSettings

OnProblem = Callable[[str], None]

# AREA weighs every source pixel, so that small patterns do not alias; exact rounding, so that every machine stores the
# same bytes (4 % of the conversion).
_SCALING = Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
# Where a file does not say its colour matrix, players take BT.709 from this height on and BT.601 below.
_HD_HEIGHT = 720


@dataclass(frozen=True)
class KeptFrame:
    """One picture to store. frame_no counts from 0; pts is in the stream's time base; time_s counts from the first
    picture of the video; jpeg holds 8-bit RGB as displayed.
    """

    frame_no: int
    pts: int
    time_s: float
    jpeg: bytes


def decode_frames(
    source: Readable, settings: DecodeSettings, on_problem: OnProblem, beat: Callable[[], None] = lambda: None
) -> Iterator[KeptFrame]:
    """The kept pictures of a video, in the order of display. Memory: a few pictures, however long the video is.

    Policy `fps`: a picture is kept when it is the first at or after a point of the grid k / fps, counted from the first
    picture. Policy `keyframe`: every picture that decodes by itself. on_problem hears, as sentences, what was lost;
    beat is called for each packet read.
    Raises UnreadableVideo if nothing can be decoded or if a limit of the settings is passed.
    """
    with opened(source) as (container, stream):
        name = str(getattr(source, "name", "the file"))
        limit_pixels(stream, settings.max_pixels, name)
        claimed = duration_of(container, stream)
        _refuse_longer(claimed, settings, name)
        keyframes_only = settings.policy == "keyframe"
        if keyframes_only:
            stream.codec_context.skip_frame = "NONKEY"
        losses = Losses()
        clock = _Clock(stream)
        keep = _Grid(settings.fps, float(stream.time_base) / 2)
        picture_of = _Converter(stream, settings, name, on_problem)
        n = 0
        decoded = 0
        for frame in decoded_pictures(container, stream, losses, beat):
            decoded += 1
            pts, time_s = clock.read(frame)
            _refuse_longer(time_s, settings, name)
            if keyframes_only:
                if not frame.key_frame:  # some decoders cannot skip
                    continue
            elif not keep(time_s):
                continue
            yield KeptFrame(n, pts, time_s, picture_of(frame))
            n += 1
        if clock.jumps:
            on_problem(f"Its clock jumps back {clock.jumps} times; time was counted on.")
        for sentence in _told(losses, claimed, stream, container):
            on_problem(sentence)
        if n == 0:
            what = "no picture" if decoded == 0 else "no key picture"
            raise UnreadableVideo(
                f"{name} has {what} that can be decoded"
                f" ({losses.bad_packets} damaged packets, {losses.corrupt_pictures} damaged pictures).",
                "It may be encrypted, cut off at its start or damaged: look for another copy.",
            )


def _refuse_longer(seconds: float | None, settings: DecodeSettings, name: str) -> None:
    if seconds is not None and seconds > settings.max_duration_s:
        raise UnreadableVideo(
            f"{name} lasts {seconds / 3600:.1f} hours, longer than the limit of {settings.max_duration_s / 3600:.1f}.",
            "Cut the file, or raise decode.max_duration_s if its clock is right.",
        )


class _Clock:
    """Reads the time of each picture. Where a file gives none, or jumps back, time goes on by one picture."""

    # Stamps that go back by less are jitter of the muxer, not a new clock.
    _JITTER_S = 0.5

    def __init__(self, stream: Any) -> None:
        rate = stream.guessed_rate or stream.average_rate or 25
        self._base = stream.time_base
        self._step = max(1, round(1 / (rate * self._base)))
        self._first: int | None = None
        self._last = 0
        self._offset = 0  # added to the file's clock since it last jumped back
        self.jumps = 0

    def read(self, frame: Any) -> tuple[int, float]:
        """(pts as the file has it, seconds since the first picture); the seconds grow from picture to picture."""
        stamp = frame.pts if frame.pts is not None else frame.dts
        if self._first is None:
            self._first = self._last = stamp or 0
            return self._first, 0.0
        at = self._last + self._step if stamp is None else stamp + self._offset
        if at <= self._last:
            if float((self._last - at) * self._base) > self._JITTER_S:
                self.jumps += 1
                self._offset += self._last + self._step - at
                at = self._last + self._step
            else:
                at = self._last + 1
        self._last = at
        return at if stamp is None else stamp, float((at - self._first) * self._base)


class _Grid:
    """Says of each time whether it is the first at or after a point of the grid k / fps."""

    def __init__(self, fps: float, tolerance_s: float) -> None:
        self._fps = fps
        # Time stamps are rounded to ticks: half a tick before the point is on the point.
        self._tolerance_s = tolerance_s
        self._passed = -1

    def __call__(self, time_s: float) -> bool:
        point = math.floor((time_s + self._tolerance_s) * self._fps)
        if point <= self._passed:
            return False
        self._passed = point
        return True


class _Converter:
    """Frames to JPEGs of one size: that of the first picture as displayed, scaled down to the longest side."""

    def __init__(self, stream: Any, settings: DecodeSettings, name: str, on_problem: OnProblem) -> None:
        self._name = name
        self._sar = pixel_aspect(stream)
        self._settings = settings
        self._on_problem = on_problem
        self._reformatter = VideoReformatter()
        self._source: tuple[int, int, int] | None = None  # width, height, rotation of the last frame
        self._orientation: Orientation = UPRIGHT
        self._size = (0, 0)  # stored, as displayed

    def __call__(self, frame: Any) -> bytes:
        source = (frame.width, frame.height, frame.rotation)
        if source != self._source:
            self._turn_to(frame, source)
        orientation = self._orientation
        width, height = self._size[::-1] if orientation.transposed else self._size
        converted = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="rgb24",
            src_colorspace=_matrix_of(frame),
            interpolation=_SCALING,
            threads=1,
        )
        picture = orientation.applied(converted.to_ndarray())
        if not picture.flags.c_contiguous:
            picture = picture.copy()
        jpeg: bytes = simplejpeg.encode_jpeg(
            picture, quality=self._settings.jpeg_quality, colorspace="RGB", colorsubsampling="420"
        )
        return jpeg

    def _turn_to(self, frame: Any, source: tuple[int, int, int]) -> None:
        refuse_larger(frame.width, frame.height, self._settings.max_pixels, self._name)
        # Asked only when something changed: a frame whose side data was looked at is part of a reference cycle, and
        # megabytes of pictures would wait for the garbage collector.
        self._orientation = orientation_of(frame)
        if self._source is None:
            width, height = displayed_size(frame.width, frame.height, self._sar, self._orientation)
            scale = min(1.0, self._settings.longest_side / max(width, height))
            self._size = (max(1, round(width * scale)), max(1, round(height * scale)))
        else:
            self._on_problem(
                f"Its pictures change from {self._source[0]} x {self._source[1]} to {frame.width} x {frame.height}"
                " or turn on the way; later ones were fitted to the first."
            )
        self._source = source


def _matrix_of(frame: Any) -> Any:
    """The colour matrix to convert with, or None where the frame says it itself."""
    if frame.colorspace != _UNSPECIFIED_MATRIX or frame.format.is_rgb:
        return None
    return Colorspace.ITU709 if frame.height >= _HD_HEIGHT else Colorspace.ITU601


# AVCOL_SPC_UNSPECIFIED of libavutil/pixfmt.h.
_UNSPECIFIED_MATRIX = 2


def _told(losses: Losses, claimed: float | None, stream: Any, container: Any) -> Iterator[str]:
    """What was lost, in sentences."""
    if losses.bad_packets:
        yield f"{losses.bad_packets} damaged packets could not be decoded."
    if losses.corrupt_pictures:
        yield f"{losses.corrupt_pictures} damaged pictures were left out."
    if losses.read_error:
        yield f"Reading met damage: {losses.read_error}."
    start = float(stream.start_time * stream.time_base) if stream.start_time else 0.0
    # Only the stream's own duration is evidence: the container's may be that of the sound.
    alone = len(container.streams) == 1
    if claimed and losses.read_until_s is not None and (stream.duration or alone):
        seen = losses.read_until_s - start
        if claimed - seen > max(0.5, 0.02 * claimed):
            yield f"The file ends after {seen:.1f} s of the {claimed:.1f} s that it announces."
