"""The header of a video file: size as displayed, rotation, rate, codec, time of recording; and how to open it.

Belongs here: opening a file safely, its facts, and how a decoded picture must be turned to be seen as it was filmed.
Does not belong here: which frames are kept (`decode`), and what a file's name says (`discover`).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import av.error

from chimp_assets.archive.times.witnesses import TIME_TAGS
from chimp_assets.errors import ChimpError

# Demuxers of video files. Playlists, scripts and network formats are refused: they would read other files or hosts.
_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,avi,matroska,webm,mpeg,mpegts,asf,flv,live_flv,ogg,mxf,dv,h264,hevc,m4v,mpegvideo,vc1,"
    "ivf,obu,gif"
)
_OPEN_OPTIONS = {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}
_DISPLAY_MATRIX = "DISPLAYMATRIX"

Readable = Path | BinaryIO


class UnreadableVideoError(ChimpError):
    """A file is not a video that can be read; the sentence says why."""


class UnevenPartError(Exception):
    """A part of a video does not decode as it would in one pass: the whole must be decoded in one pass."""


@dataclass(frozen=True)
class Orientation:
    """How a decoded picture is turned for display: first transposed, then mirrored along x, then along y."""

    transposed: bool = False
    mirror_x: bool = False
    mirror_y: bool = False

    @property
    def clockwise(self) -> int:
        """Degrees clockwise (0, 90, 180, 270) that display applies, before any mirroring along x."""
        if self.transposed:
            # Transposing and then mirroring x is a quarter turn clockwise; mirroring y instead is one the other way.
            return 270 if self.mirror_y else 90
        return 180 if self.mirror_y else 0

    def applied(self, picture: Any) -> Any:
        """The picture (u8 [h, w, 3]) as displayed: a view, not a copy."""
        if self.transposed:
            picture = picture.swapaxes(0, 1)
        return picture[:: -1 if self.mirror_y else 1, :: -1 if self.mirror_x else 1]


UPRIGHT = Orientation()
QUARTER_RIGHT = Orientation(transposed=True, mirror_x=True)
UPSIDE_DOWN = Orientation(mirror_x=True, mirror_y=True)
QUARTER_LEFT = Orientation(transposed=True, mirror_y=True)


@dataclass(frozen=True)
class VideoFacts:
    """What is known of a video once its first picture was decoded.

    width and height are as displayed, in square pixels: rotation and pixel aspect applied. rotation: degrees clockwise
    that display applies. duration_s: what the container claims, seconds. time_base: seconds of one pts tick.
    color_transfer: as libavutil names it; None if the file is silent.
    """

    duration_s: float | None
    width: int
    height: int
    sar_num: int
    sar_den: int
    rotation: int
    avg_fps: float | None
    codec: str
    time_base_num: int
    time_base_den: int
    n_video_streams: int
    interlaced: bool
    color_transfer: str | None
    mirrored: bool = False


@contextmanager
def opened(source: Readable) -> Iterator[tuple[Any, Any]]:
    """The container and its video stream (PyAV), one thread. Raises UnreadableVideoError."""
    name = _name_of(source)
    try:
        container = av.open(
            str(source) if isinstance(source, Path) else source, options=_OPEN_OPTIONS, metadata_errors="replace"
        )
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise UnreadableVideoError(
            f"{name} cannot be opened as a video: {_why_not_open(source, error)}.", _REMEDY
        ) from None
    with container:
        stream = best_stream(container)
        if stream is None:
            kinds = sorted({str(s.type) for s in container.streams})
            raise UnreadableVideoError(
                f"{name} holds no video that can be decoded; it has {', '.join(kinds) or 'no streams'}.", _REMEDY
            )
        # Slices give nothing on normal files and the default can hang under concurrency; videos are the parallelism.
        stream.codec_context.thread_count = 1
        yield container, stream


_REMEDY = "Play the file to see whether it is whole; if it plays, convert it to MP4 (H.264) and put that in its place."


def best_stream(container: Any) -> Any | None:
    """The video stream that players would show, never a cover picture; None if there is none."""
    best = container.streams.best("video")
    streams = [s for s in container.streams.video if not _is_picture(s) and s.codec_context is not None]
    return best if best in streams else (streams[0] if streams else None)


def time_tags(source: Readable) -> tuple[dict[str, str], float | None]:
    """Every tag of a container that may say when it was recorded, as written, and the seconds that it claims to last.

    Nothing is decoded. Keys in small letters; the container's own before the stream's. Raises UnreadableVideoError.
    """
    with opened(source) as (container, stream):
        tags: dict[str, str] = {}
        for metadata in (container.metadata, stream.metadata):
            for key, value in metadata.items():
                if key.lower() in TIME_TAGS and value:
                    tags.setdefault(key.lower(), value)
        return tags, duration_of(container, stream)


def facts_of(container: Any, stream: Any, first: Any) -> VideoFacts:
    """Facts of an open video whose first decoded frame is given."""
    orientation = orientation_of(first)
    sar = pixel_aspect(stream)
    width, height = displayed_size(first.width, first.height, sar, orientation)
    rate = rate_of(stream)
    return VideoFacts(
        duration_s=duration_of(container, stream),
        width=width,
        height=height,
        sar_num=sar.numerator,
        sar_den=sar.denominator,
        rotation=orientation.clockwise,
        avg_fps=float(rate) if rate else None,
        codec=str(stream.codec_context.name)[:40],
        time_base_num=stream.time_base.numerator,
        time_base_den=stream.time_base.denominator,
        n_video_streams=sum(not _is_picture(s) for s in container.streams.video),
        interlaced=bool(first.interlaced_frame),
        color_transfer=_TRANSFERS.get(first.color_trc),
        mirrored=orientation.mirror_x != orientation.mirror_y
        if not orientation.transposed
        else (orientation.mirror_x == orientation.mirror_y),
    )


# Faster than cameras film: what is above is the container's clock (1,000 a second in FLV, ASF and WebM, 60,000 in DV)
# and no rate. High-speed cameras write 960 into a file that plays at 30.
FASTEST = 480


def rate_of(stream: Any) -> Fraction | None:
    """Pictures a second as the file claims them; None where it claims nothing that a camera could do."""
    for name in ("average_rate", "guessed_rate", "base_rate"):
        rate = getattr(stream, name, None)
        if rate and 0 < rate <= FASTEST:
            return Fraction(rate)
    return None


def seen_rate(claimed: float | None, n: int, seconds: float) -> float | None:
    """Pictures a second of a video of which n were shown in the seconds between the first and the last.

    What the file claims where it is about that: containers round times, and their rates are exact.
    """
    if n < 2 or seconds <= 0:
        return claimed
    seen = (n - 1) / seconds
    return claimed if claimed is not None and abs(claimed - seen) <= 0.02 * seen else seen


# AVColorTransferCharacteristic of libavutil/pixfmt.h; 2 is "unspecified".
_TRANSFERS = {
    1: "bt709", 4: "gamma22", 5: "gamma28", 6: "smpte170m", 7: "smpte240m", 8: "linear", 9: "log100", 10: "log316",
    11: "iec61966-2-4", 12: "bt1361e", 13: "iec61966-2-1", 14: "bt2020-10", 15: "bt2020-12", 16: "smpte2084",
    17: "smpte428", 18: "arib-std-b67",
}  # fmt: skip


def unreadable_pictures(name: str, losses: Losses, what: str = "picture") -> UnreadableVideoError:
    """Why a file that opens gave no picture (or no `key picture`)."""
    if losses.encrypted:
        return UnreadableVideoError(
            f"{name} is encrypted: its pictures cannot be decoded without the key.",
            "Put an unencrypted copy in its place.",
        )
    if losses.read_until_s is None and not losses.bad_packets.n:
        return UnreadableVideoError(
            f"{name} describes a video but holds no pictures.",
            "It may be the first piece of a stream, or cut off: look for another copy.",
        )
    return UnreadableVideoError(
        f"{name} has no {what} that can be decoded"
        f" ({losses.bad_packets.n} damaged packets, {losses.corrupt_pictures.n} damaged pictures).",
        "It may be encrypted, cut off at its start or damaged: look for another copy.",
    )


def refuse_longer(seconds: float | None, longest_s: float, name: str) -> None:
    """Raises UnreadableVideoError if a video lasts longer than the limit allows."""
    if seconds is not None and seconds > longest_s:
        raise UnreadableVideoError(
            f"{name} lasts {seconds / 3600:.1f} hours, longer than the limit of {longest_s / 3600:.1f}.",
            "Cut the file, or raise decode.max_duration_s if its clock is right.",
        )


def limit_pixels(stream: Any, max_pixels: int | None, name: str) -> None:
    """Refuse larger pictures before memory is taken for them: those announced now and those of a later header."""
    if max_pixels is None:
        return
    context = stream.codec_context
    refuse_larger(context.width, context.height, max_pixels, name)
    # The decoder counts the padding of its buffers too; what it lets through, `refuse_larger` looks at again.
    context.options = {**context.options, "max_pixels": str(2 * max_pixels + (1 << 20))}


def refuse_larger(width: int, height: int, max_pixels: int, name: str) -> None:
    """Raises UnreadableVideoError if pictures of this size are more than the limit allows."""
    if width * height > max_pixels:
        raise UnreadableVideoError(
            f"{name} has pictures of {width} x {height}, more than the limit of {max_pixels} pixels.",
            "If it is a real video, raise decode.max_pixels.",
        )


def duration_of(container: Any, stream: Any) -> float | None:
    """Seconds that the container claims for its pictures; None if it claims nothing."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    if container.duration:
        return float(container.duration / av.time_base)
    return None


def pixel_aspect(stream: Any) -> Fraction:
    """Width of a pixel divided by its height; 1 where the file gives none, or an impossible one."""
    sar = stream.sample_aspect_ratio
    if not sar or not Fraction(1, 10) <= sar <= 10:
        return Fraction(1)
    return Fraction(sar)


def orientation_of(frame: Any) -> Orientation:
    """How display turns this frame, from its display matrix; the nearest quarter turn if it is something else.

    libavutil/display.h: nine 32-bit numbers a b u c d v x y w; a point (p, q) is shown at (a p + c q, b p + d q).
    """
    try:
        matrix = next((bytes(item) for item in frame.side_data if _DISPLAY_MATRIX in str(item.type)), None)
    except ValueError:
        # PyAV 18 cannot list side data of a kind it does not know (EXIF); its own reading of the angle still works.
        return {1: QUARTER_LEFT, 2: UPSIDE_DOWN, 3: QUARTER_RIGHT}.get(round(frame.rotation / 90) % 4, UPRIGHT)
    if matrix is None:
        return UPRIGHT
    a, b, _, c, d, *_ = struct.unpack("=9i", matrix[:36])
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Orientation(True, c < 0, b < 0)
    return Orientation(False, a < 0, d < 0)


def displayed_size(width: int, height: int, sar: Fraction, orientation: Orientation) -> tuple[int, int]:
    """Pixels (width, height) of the displayed picture, square pixels: the width is stretched, as players do."""
    stretched = max(1, round(width * sar))
    return (height, stretched) if orientation.transposed else (stretched, height)


class Loss:
    """Things of one kind that were lost: how many, and the seconds of the stream's own clock they lie between."""

    def __init__(self) -> None:
        self.n = 0
        self._first_s: float | None = None
        self._last_s: float | None = None

    def add(self, at_s: float | None) -> None:
        """Count one; at_s: where, if that is known."""
        self.n += 1
        if at_s is not None:
            self._first_s = at_s if self._first_s is None else min(self._first_s, at_s)
            self._last_s = at_s if self._last_s is None else max(self._last_s, at_s)

    def where(self, start_s: float) -> str:
        """` at 3.2 s` or ` between 3.2 and 4.0 s`, counted from start_s; empty if it is not known."""
        if self._first_s is None or self._last_s is None:
            return ""
        first, last = (f"{max(0.0, at - start_s):.1f}" for at in (self._first_s, self._last_s))
        return f" at {first} s" if first == last else f" between {first} and {last} s"


class Losses:
    """What was lost while a stream was read; `decode` puts it into words."""

    def __init__(self) -> None:
        self.bad_packets = Loss()
        self.corrupt_pictures = Loss()
        self.read_error: str | None = None
        # End of the last packet that could be read, seconds on the stream's own clock.
        self.read_until_s: float | None = None
        self.encrypted = False

    def forget(self) -> None:
        """Damage so far does not count: the pictures that it is about were not wanted."""
        self.bad_packets, self.corrupt_pictures = Loss(), Loss()


# A demuxer that fails this often in a row has nothing more to give.
_READ_ATTEMPTS = 50


def decoded_pictures(
    container: Any,
    stream: Any,
    losses: Losses | None,
    beat: Callable[[], None] = lambda: None,
    start: int | None = None,
) -> Iterator[Any]:
    """Every picture that decodes, in the order of display (PyAV VideoFrame), stepping over damage.

    beat is called for each packet read. start: begin with the key picture of this pts; pictures that are shown before
    it may come first. Raises UnevenPartError if there is none.

    Pictures that the decoder itself calls damaged are counted and left out: what it invented is not what was filmed.
    """
    losses = losses or Losses()
    packets = _packets(container, stream, losses)
    if start is not None:
        packets = _from_key_picture(container, stream, losses, start)
    for packet in packets:
        beat()
        try:
            frames = packet.decode()
        except (av.error.FFmpegError, ValueError, OSError) as error:
            if isinstance(error, av.error.EOFError):
                return
            losses.bad_packets.add(_seconds_of(packet))
            losses.encrypted = losses.encrypted or _is_encrypted(packet)
            continue
        for frame in frames:
            if frame.is_corrupt:
                losses.corrupt_pictures.add(frame.time)
            else:
                yield frame


def _packets(container: Any, stream: Any, losses: Losses) -> Iterator[Any]:
    failures = 0
    latest: float | None = None
    while failures < _READ_ATTEMPTS:
        try:
            # Ends with an empty packet that makes the decoder hand out what it still holds.
            for packet in container.demux(stream):
                failures = 0
                at = _seconds_of(packet)
                if at is not None:
                    # Many containers do not say how long the last picture lasts: as long as the one before.
                    lasts = float((packet.duration or 0) * packet.time_base)
                    if latest is not None and at > latest:
                        lasts = max(lasts, at - latest)
                    latest = at if latest is None else max(at, latest)
                    until = at + lasts
                    losses.read_until_s = max(until, losses.read_until_s or until)
                yield packet
            return
        except av.error.EOFError:
            return
        except av.error.InvalidDataError as error:
            failures += 1
            losses.read_error = _plain(error)
        except (av.error.FFmpegError, OSError) as error:
            losses.read_error = _plain(error)
            return


# Seeking by time lands where the container believes the time to be; from further back it cannot miss.
_SEEK_BACK_S = (0, 10, 120)


def seek_before(container: Any, stream: Any, pts: int) -> None:
    """Go to a key picture at or before this time. Raises UnevenPartError if the file cannot be searched by time."""
    try:
        container.seek(pts, stream=stream, backward=True)
    except (av.error.FFmpegError, OSError):
        raise UnevenPartError("it cannot be searched by time") from None


def _from_key_picture(container: Any, stream: Any, losses: Losses, start: int) -> Iterator[Any]:
    for back_s in _SEEK_BACK_S:
        seek_before(container, stream, start - int(back_s / stream.time_base))
        packets = _packets(container, stream, losses)
        for packet in packets:
            if packet.pts == start and packet.is_keyframe:
                yield packet
                yield from packets
                return
            if packet.pts is not None and packet.is_keyframe and packet.pts > start:
                break
    raise UnevenPartError("its key picture is not found by its time")


def _seconds_of(packet: Any) -> float | None:
    at = packet.pts if packet.pts is not None else packet.dts
    return None if at is None or not packet.time_base else float(at * packet.time_base)


def _is_encrypted(packet: Any) -> bool:
    try:
        return bool(packet.has_sidedata("encryption_info"))
    except (ValueError, AttributeError):
        return False


def _is_picture(stream: Any) -> bool:
    return bool(stream.disposition & type(stream.disposition).attached_pic)


def _name_of(source: Readable) -> str:
    return source.name if isinstance(source, Path) else Path(str(getattr(source, "name", "the file"))).name


def _why_not_open(source: Readable, error: Exception) -> str:
    if isinstance(source, Path) and source.is_file() and source.stat().st_size == 0:
        return "it is empty"
    if isinstance(error, av.error.InvalidDataError | av.error.ArgumentError):
        return "its content is damaged, incomplete or no video at all"
    return _plain(error)


def _plain(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).strip().rstrip(".")
