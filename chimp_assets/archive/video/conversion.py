"""A decoded frame to the picture a person would see: one moment, upright, square pixels, plain colours, a set size.

Belongs here: deinterlacing, tone mapping, colour matrices, scaling, turning. Does not belong here: which frames are
wanted (`decode`), how they are compressed (`decode`) and what a file says of itself (`probe`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import av.error
import numpy as np
from av.filter import Graph
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

from chimp_assets.archive.video.probe import UPRIGHT, Orientation, displayed_size, orientation_of, refuse_larger

# AREA weighs every source pixel, so that small patterns do not alias; exact rounding, so that every machine stores the
# same bytes; colour at full width, since swscale's short cut makes every picture darker by 1 to 3 of 255.
_SCALING = Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.BITEXACT | Interpolation.FULL_CHR_H_INT
# Where a file does not say its colour matrix, players take BT.709 from this height on and BT.601 below.
_HD_HEIGHT = 720
# AVCOL_SPC_UNSPECIFIED, AVCOL_TRC_SMPTE2084 and AVCOL_TRC_ARIB_STD_B67 of libavutil/pixfmt.h.
_UNSPECIFIED_MATRIX = 2
_PQ, _HLG = 16, 18


@dataclass(frozen=True)
class Shape:
    """How the pictures of a video are stored: what its first frame was like, and the size and turn that follow.

    source: width, height and rotation of the frame as decoded; width, height: stored pixels as displayed.
    """

    source: tuple[int, int, int]
    width: int
    height: int
    orientation: Orientation


def shape_of(frame: Any, sar: Fraction, longest_side: int | None) -> Shape:
    """The shape of a video with this first frame. longest_side: scaled down to it, never up; None: as is."""
    orientation = orientation_of(frame)
    width, height = displayed_size(frame.width, frame.height, sar, orientation)
    scale = 1.0 if longest_side is None else min(1.0, longest_side / max(width, height))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return Shape((frame.width, frame.height, frame.rotation), *size, orientation)


class Converter:
    """Frames to pictures of one shape: that of the first frame, or the one given."""

    def __init__(
        self,
        sar: Fraction,
        longest_side: int | None,
        max_pixels: int,
        name: str,
        on_problem: Callable[[str], None],
        shape: Shape | None = None,
    ) -> None:
        self._sar = sar
        self._longest_side = longest_side
        self._max_pixels = max_pixels
        self._name = name
        self._on_problem = on_problem
        # One for all frames: each has megabytes of tables, and a frame that lives keeps its own.
        self._to_planes, self._to_pixels = VideoReformatter(), VideoReformatter()
        self._shape = shape
        self._source = shape.source if shape else None
        self._orientation = shape.orientation if shape else UPRIGHT

    def __call__(self, frame: Any, shown: Any | None = None) -> np.ndarray:
        """The picture of a frame, u8 [h, w, 3] RGB. shown: the deinterlaced frame to take the pixels from."""
        source = (frame.width, frame.height, frame.rotation)
        if source != self._source:
            self._turn_to(frame, source)
        assert self._shape is not None
        orientation = self._orientation
        stored = (self._shape.width, self._shape.height)
        width, height = stored[::-1] if orientation.transposed else stored
        hdr = is_hdr(frame)
        # By way of planes, which is the same to the bit and three times as fast: only that way has vector code.
        planes = self._to_planes.reformat(
            frame if shown is None else shown,
            width=width,
            height=height,
            format="gbrp16le" if hdr else "gbrp",
            src_colorspace=_matrix_of(frame),
            interpolation=_SCALING,
            threads=1,
        )
        pixels = self._to_pixels.reformat(planes, format="rgb48le" if hdr else "rgb24", threads=1)
        picture: np.ndarray = orientation.applied(pixels.to_ndarray())
        if hdr:
            picture = tone_mapped(picture, frame.color_trc)
        return picture if picture.flags.c_contiguous else picture.copy()

    def _turn_to(self, frame: Any, source: tuple[int, int, int]) -> None:
        refuse_larger(frame.width, frame.height, self._max_pixels, self._name)
        # Asked only when something changed: a frame whose side data was looked at is part of a reference cycle, and
        # megabytes of pictures would wait for the garbage collector.
        if self._shape is None:
            self._shape = shape_of(frame, self._sar, self._longest_side)
            self._orientation = self._shape.orientation
        else:
            was = self._source or self._shape.source
            self._orientation = orientation_of(frame)
            self._on_problem(
                f"Its pictures change from {was[0]} x {was[1]} to {frame.width} x {frame.height}"
                " or turn on the way; later ones were fitted to the first."
            )
        self._source = source


def is_hdr(frame: Any) -> bool:
    """Whether a frame's light is coded for a high dynamic range (PQ or HLG)."""
    return frame.color_trc in (_PQ, _HLG)


def _matrix_of(frame: Any) -> Any:
    """The colour matrix to convert with, or None where the frame says it itself."""
    if frame.colorspace != _UNSPECIFIED_MATRIX or frame.format.is_rgb:
        return None
    return Colorspace.ITU709 if frame.height >= _HD_HEIGHT else Colorspace.ITU601


class Deinterlacer:
    """Frames of two woven fields as the picture of one moment.

    With its neighbours, a frame is interpolated by bwdif (libavfilter; Weston 3-field and YADIF), which keeps the full
    height where nothing moves. Frames that are not interlaced come back as they are.
    """

    def __init__(self) -> None:
        self._temporal: _Filter | None = None
        self._spatial: _Filter | None = None
        self._pushed: tuple[Any, Any] = (None, None)  # the last two frames that the temporal filter was given

    def between(self, before: Any | None, frame: Any, after: Any | None) -> Any:
        """The frame, deinterlaced from itself and its neighbours in the order of display (None at either end)."""
        if self._temporal is None or not self._temporal.fits(frame):
            self._temporal = _Filter("bwdif", "mode=send_frame:parity=auto:deint=interlaced:threads=1", frame)
            self._pushed = (None, None)
        wanted = (before or frame, frame, after or frame)
        if not all(self._temporal.fits(f) for f in wanted):
            return self.alone(frame)
        if self._pushed == wanted[:2]:
            missing: tuple[Any, ...] = wanted[2:]
        elif self._pushed[1] is wanted[0]:
            missing = wanted[1:]
        else:
            missing = wanted
        result = None
        for one in missing:
            result = self._temporal.push(one)
        self._pushed = (wanted[1], wanted[2])
        return result if result is not None else self.alone(frame)

    def alone(self, frame: Any) -> Any:
        """The frame's first field only: half the height, for frames whose neighbours are not at hand."""
        if self._spatial is None or not self._spatial.fits(frame):
            self._spatial = _Filter("field", "type=top", frame)
        return self._spatial.push(frame)


class _Filter:
    """One libavfilter filter, for frames of one size and format."""

    def __init__(self, name: str, options: str, frame: Any) -> None:
        self._kind = _kind_of(frame)
        self._graph = Graph()
        self._graph.threads = 1
        source = self._graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 1000)
        )
        inner = self._graph.add(name, options)
        sink = self._graph.add("buffersink")
        source.link_to(inner)
        inner.link_to(sink)
        self._graph.configure()

    def fits(self, frame: Any) -> bool:
        return _kind_of(frame) == self._kind

    def push(self, frame: Any) -> Any | None:
        """Hands a frame in and the next one out; None while the filter waits for more."""
        self._graph.push(frame)
        try:
            return self._graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return None


def _kind_of(frame: Any) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name


# The light of diffuse white, cd/m2 (ITU-R BT.2408).
_WHITE = 203.0
# From here on (1 is diffuse white) highlights are bent so that they do not burn out.
_KNEE = 0.7


def tone_mapped(picture: np.ndarray, transfer: int) -> np.ndarray:
    """A picture of high dynamic range for ordinary screens. u16 [h, w, 3] BT.2020 RGB in PQ or HLG; returns u8, sRGB.

    Up to _KNEE of diffuse white the light stays as it was; above it is bent smoothly. Hue is kept: all three channels
    are scaled alike. Colours outside BT.709 are clipped. ITU-R BT.2100 (PQ, HLG), BT.2087 (matrix).
    """
    light = _light_of(transfer)[picture]
    if transfer == _HLG:
        # The system gamma of a display of 1,000 cd/m2 works on luminance.
        luminance = light @ _LUMINANCE_2020
        light *= (1000.0 / _WHITE) * np.maximum(luminance, 1e-6)[..., None] ** 0.2
    light = light @ _FROM_2020_TO_709.T
    peak = light.max(axis=-1, keepdims=True)
    above = np.maximum(peak - _KNEE, 0)
    bent = np.minimum(peak, _KNEE) + (1 - _KNEE) * above / (above + 1 - _KNEE)
    light *= bent / np.maximum(peak, 1e-6)
    index = np.clip(light * 4095 + 0.5, 0, 4095).astype(np.uint16)
    mapped: np.ndarray = _srgb()[index]
    return mapped


_LUMINANCE_2020 = np.array([0.2627, 0.6780, 0.0593], np.float32)
_FROM_2020_TO_709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)


@cache
def _light_of(transfer: int) -> np.ndarray:
    """Light for each 16-bit code, f32 [65536]: PQ in diffuse whites, HLG in scene light from 0 to 1."""
    code = np.arange(65536, dtype=np.float64) / 65535
    if transfer == _PQ:
        m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
        root = code ** (1 / m2)
        return (10_000 / _WHITE * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)).astype(np.float32)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12).astype(np.float32)


@cache
def _srgb() -> np.ndarray:
    """sRGB code for each 12-bit share of full light, u8 [4096]. IEC 61966-2-1."""
    light = np.arange(4096) / 4095
    code = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return (code * 255 + 0.5).astype(np.uint8)
