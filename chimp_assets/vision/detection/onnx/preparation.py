"""A picture as the input of a network, and boxes of the input as boxes of the picture.

Belongs here: letterbox and stretch, order of the channels, scale, the way back. Does not belong here: what a decoding
expects (`decodings`), running (`onnx_detector`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
Fit = Literal["centre", "corner", "stretch", "as_is"]
Colours = Literal["rgb", "bgr"]
Three = tuple[float, float, float]

PAD = 114
"""Grey of the margins, as in YOLOX, Ultralytics and NanoDet."""
IMAGENET_MEAN: Three = (123.675, 116.28, 103.53)
IMAGENET_STD: Three = (58.395, 57.12, 57.375)


@dataclass(frozen=True)
class Preparation:
    """How a picture becomes an input.

    fit: centre and corner keep the ratio and fill the rest with grey, around the picture or to its right and below;
    stretch does not; as_is takes the picture in its own size where the file leaves the size open, else in the corner.
    mean and std: of values 0 to 255, in the order of colours.
    """

    fit: Fit = "centre"
    colours: Colours = "rgb"
    mean: Three = (0.0, 0.0, 0.0)
    std: Three = (255.0, 255.0, 255.0)


@dataclass(frozen=True)
class Placement:
    """Where a picture lies in the input: pixel of the input = scale * pixel of the picture + offset; x, then y."""

    scale: tuple[float, float]
    offset: tuple[float, float]
    size: tuple[int, int]

    def fractions(self, corners: F32) -> F32:
        """Corners f32 [k, 4] in pixels of the input as fractions of the picture, clipped to it."""
        scale, offset, size = (np.array(pair * 2, np.float64) for pair in (self.scale, self.offset, self.size))
        return np.clip((corners - offset) / scale / size, 0, 1).astype(np.float32)


def prepared(
    picture: NDArray[np.uint8], height: int, width: int, preparation: Preparation
) -> tuple[NDArray[np.uint8], Placement]:
    """A picture u8 [h, w, 3] RGB as u8 [height, width, 3] in the order of colours, and where it lies in it."""
    tall, wide = picture.shape[:2]
    if preparation.colours == "bgr":
        picture = picture[..., ::-1]
    if preparation.fit == "stretch":
        stretched = _scaled(picture, height, width)
        return stretched, Placement((width / wide, height / tall), (0, 0), (wide, tall))
    ratio = min(height / tall, width / wide)
    inner_height, inner_width = max(1, round(tall * ratio)), max(1, round(wide * ratio))
    top = left = 0
    if preparation.fit == "centre":
        top, left = (height - inner_height) // 2, (width - inner_width) // 2
    canvas = np.full((height, width, 3), PAD, np.uint8)
    canvas[top : top + inner_height, left : left + inner_width] = _scaled(picture, inner_height, inner_width)
    # The sides that were drawn, not the ratio: rounding them moves a box by up to half a pixel.
    return canvas, Placement((inner_width / wide, inner_height / tall), (left, top), (wide, tall))


def _scaled(picture: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    if picture.shape[:2] == (height, width):
        return picture
    much_smaller = height < picture.shape[0] / 2
    how = cv2.INTER_AREA if much_smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(np.ascontiguousarray(picture), (width, height), interpolation=how), np.uint8)


def as_tensor(canvases: NDArray[np.uint8], preparation: Preparation, dtype: type[np.generic]) -> NDArray[np.generic]:
    """u8 [n, h, w, 3] as [n, h, w, 3] of dtype, normalised; networks that take bytes normalise themselves."""
    if dtype == np.uint8:
        return canvases
    mean, std = np.array(preparation.mean, np.float32), np.array(preparation.std, np.float32)
    return np.asarray((canvases.astype(np.float32) - mean) / std, dtype)
