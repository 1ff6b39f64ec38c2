"""Trying a detector on a picture or video of the user's, before an archive is given to it.

Belongs here: the pictures of one file, the boxes and the time they take, one picture with its boxes drawn. Does not
belong here: printing (`cli.networks`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from chimp_assets.archive.video.decode import DecodeReport, decode_frames
from chimp_assets.vision.pictures.media_file import scaled

if TYPE_CHECKING:
    from chimp_assets.settings import DecodeSettings
    from chimp_assets.vision.detection.interface import Detector, Picture

_GREEN, _YELLOW = (60, 220, 60), (240, 200, 40)


@dataclass(frozen=True)
class DetectorTrial:
    """pictures: looked at; boxes: of at least the threshold in all of them; weak: below it; ms: for each picture;
    picture: u8 [h, w, 3] RGB, the one with most animals, its boxes drawn; time_s: of it; best: its boxes f32 [k, 5]."""

    pictures: int
    boxes: int
    weak: int
    ms: float
    picture: NDArray[np.uint8]
    time_s: float
    best: NDArray[np.float32]


def pictures_of(file: Path, settings: DecodeSettings, most: int) -> Iterator[Picture]:
    """The picture of a file, or up to `most` pictures of a video, as ingesting would keep them. Raises ArchiveError."""
    if file.is_file() and cv2.haveImageReader(str(file)):
        picture = cv2.imread(str(file), cv2.IMREAD_COLOR_RGB)  # upright by its EXIF
        if picture is not None:
            yield 0, 0.0, scaled(np.asarray(picture, np.uint8), settings.longest_side / max(picture.shape[:2]))
            return
    for one in islice(decode_frames(file, settings, DecodeReport()), most):
        yield one.frame_no, one.time_s, simplejpeg.decode_jpeg(one.jpeg, colorspace="RGB")


def tried(detector: Detector, pictures: list[Picture], min_score: float) -> DetectorTrial:
    """What a detector finds in pictures, at least one. min_score: boxes below are drawn thin and count as weak."""
    began = time.perf_counter()
    found = [rows for _, rows in detector.detect(iter(pictures))]
    ms = 1000 * (time.perf_counter() - began) / len(pictures)
    sure = [int((rows[:, 4] >= min_score).sum()) for rows in found]
    which = max(range(len(found)), key=lambda i: (sure[i], float(found[i][:, 4].sum()), -i))
    return DetectorTrial(
        pictures=len(pictures),
        boxes=sum(sure),
        weak=sum(map(len, found)) - sum(sure),
        ms=ms,
        picture=drawn(pictures[which][2], found[which], min_score),
        time_s=pictures[which][1],
        best=found[which],
    )


def drawn(picture: NDArray[np.uint8], boxes: NDArray[np.float32], min_score: float) -> NDArray[np.uint8]:
    """A copy of a picture u8 [h, w, 3] with boxes f32 [k, 5] and their scores."""
    canvas = picture.copy()
    height, width = canvas.shape[:2]
    for x, y, w, h, score in boxes[::-1]:
        low = (round(float(x) * width), round(float(y) * height))
        high = (round(float(x + w) * width) - 1, round(float(y + h) * height) - 1)
        sure = score >= min_score
        cv2.rectangle(canvas, low, high, _GREEN if sure else _YELLOW, 2 if sure else 1)
        place = (low[0] + 2, max(10, low[1] - 3))
        cv2.putText(canvas, f"{score:.2f}", place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, _GREEN if sure else _YELLOW, 1)
    return canvas


def as_jpeg(picture: NDArray[np.uint8]) -> bytes:
    """A picture u8 [h, w, 3] RGB as a JPEG file."""
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(picture), quality=90, colorspace="RGB"))
