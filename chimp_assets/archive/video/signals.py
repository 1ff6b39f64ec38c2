"""What a video's pictures look like: a few numbers and a small background, from kept pictures spread in time.

Belongs here: choosing the pictures without knowing how many come, their signals, joining those of parts.
Does not belong here: which pictures are kept (`decode`), rows (`ingest`), what a change means (`monitoring`).

A picture is looked at when it is the first kept one of its two seconds. When there are more than `MOST`, stretches are
taken two by two, and so on: the pictures that remain depend on the times of the kept pictures alone. So a video that is
decoded in parts has exactly the signals of one that is decoded in one pass. Pictures that were stored and read back are
JPEGs: their numbers differ a little (`benchmarks.signals` says by how much).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

STRETCH_S = 2.0
"""Of each stretch of so many seconds one picture, at most: more would cost the decoding of small films over 3 %."""
MOST = 64
"""Pictures of a video that count, at most."""
LINES, COLUMNS = 36, 64
"""Of a background."""
NUMBERS = ("brightness", "contrast", "sharpness", "colourfulness", "infrared")
"""Signals of one picture, in this order."""
# Mean difference between the largest and the smallest of R, G and B of a small picture, below which it has no colour.
# Infrared pictures are grey or tinted faintly; 6 is what tells them from dusk on the films of camera traps.
_GREY = 6.0
# Of ITU-R BT.601.
_WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)
_SHARP_PLACES = 16


@dataclass(frozen=True)
class VideoSignal:
    """A row of `video_signal` without its video. Means over `pictures` pictures; infrared: share of those without
    colour; background u8 [36, 64]: their median luma."""

    pictures: int
    brightness: float
    contrast: float
    sharpness: float
    colourfulness: float
    infrared: float
    background: np.ndarray

    def as_columns(self) -> dict[str, Any]:
        """Values for the row."""
        return {**self.__dict__, "background": self.background.astype(np.uint8).tobytes()}


@dataclass
class PictureSample:
    """Pictures of a video spread in time, at most `MOST`, and what each looks like. level: a picture for each 2**level
    stretches. cells: the stretches; numbers f32 [5] and small u8 [36, 64] of each."""

    level: int = 0
    cells: list[int] = field(default_factory=list)
    numbers: list[np.ndarray] = field(default_factory=list)
    small: list[np.ndarray] = field(default_factory=list)

    def add(self, time_s: float, picture: np.ndarray) -> None:
        """Take the next kept picture, u8 [h, w, 3] RGB, if it is the first of its stretch of time."""
        cell = int(time_s / STRETCH_S)
        if self.cells and cell >> self.level <= self.cells[-1] >> self.level:
            return
        numbers, small = picture_signals(picture)
        self._append(cell, numbers, small)

    def join(self, after: PictureSample) -> None:
        """Take those of a later part of the video."""
        self.level = max(self.level, after.level)
        self._thin()
        for cell, numbers, small in zip(after.cells, after.numbers, after.small, strict=True):
            if not self.cells or cell >> self.level > self.cells[-1] >> self.level:
                self._append(cell, numbers, small)

    def signal(self) -> VideoSignal | None:
        """The whole; None of no picture."""
        if not self.cells:
            return None
        means: list[float] = np.stack(self.numbers).mean(0, dtype=np.float64).tolist()
        # Every picture counts here, the middle two of an even number together.
        background = np.median(np.stack(self.small), axis=0).astype(np.uint8)
        values = {name: round(value, 4) for name, value in zip(NUMBERS, means, strict=True)}
        return VideoSignal(len(self.cells), background=background, **values)

    def as_message(self) -> dict[str, Any]:
        """For another process."""
        return {
            "level": self.level,
            "cells": self.cells,
            "numbers": np.array(self.numbers, np.float32).reshape(-1, len(NUMBERS)),
            "small": np.array(self.small, np.uint8).reshape(-1, LINES, COLUMNS),
        }

    @classmethod
    def of_message(cls, message: dict[str, Any]) -> PictureSample:
        """What `as_message` gave."""
        return cls(message["level"], list(message["cells"]), list(message["numbers"]), list(message["small"]))

    def _append(self, cell: int, numbers: np.ndarray, small: np.ndarray) -> None:
        self.cells.append(cell)
        self.numbers.append(numbers)
        self.small.append(small)
        while len(self.cells) > MOST:
            self.level += 1
            self._thin()

    def _thin(self) -> None:
        """Of each stretch of the present level the first picture."""
        stretches = [cell >> self.level for cell in self.cells]
        kept = [n for n, stretch in enumerate(stretches) if n == 0 or stretch != stretches[n - 1]]
        if len(kept) < len(stretches):
            self.cells = [self.cells[n] for n in kept]
            self.numbers = [self.numbers[n] for n in kept]
            self.small = [self.small[n] for n in kept]


def chosen(time_s: np.ndarray) -> np.ndarray:
    """The places of the kept pictures that `PictureSample` would end with, i64 [m]. time_s: f64 [n], growing."""
    stretch = (time_s / STRETCH_S).astype(np.int64)
    _, places = np.unique(stretch, return_index=True)
    level = 0
    while len(places) > MOST:
        level += 1
        _, places = np.unique(stretch >> level, return_index=True)
    return places.astype(np.int64)


def signal_of(pictures: Iterable[tuple[float, np.ndarray]]) -> VideoSignal | None:
    """The signal of (time_s, picture u8 [h, w, 3] RGB) in the order of time; None of none."""
    sample = PictureSample()
    for time_s, picture in pictures:
        sample.add(time_s, picture)
    return sample.signal()


def picture_signals(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(numbers f32 [5] as `NUMBERS`, small u8 [36, 64] luma) of a picture, u8 [h, w, 3] RGB.

    Brightness and contrast are mean and standard deviation of luma, colourfulness that of Hasler and Suesstrunk 2003
    (Measuring colourfulness in natural images), all of the picture reduced to 64 x 36: noise of a sensor counts little.
    Sharpness is the variance of the Laplacian of luma on lines spread over the picture as it is stored (Pech-Pacheco
    2000). infrared is 1 for a picture without colour, else 0.
    """
    red, green, blue = _reduced(picture)
    luma = _WEIGHTS[0] * red + _WEIGHTS[1] * green + _WEIGHTS[2] * blue
    planes = np.stack([luma, red - green, (red + green) / 2 - blue]).reshape(3, -1)
    means, spreads = planes.mean(1), planes.std(1)
    colourfulness = math.hypot(*spreads[1:]) + 0.3 * math.hypot(*means[1:])
    chroma = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    is_grey = float(chroma.mean()) < _GREY
    numbers = np.array([means[0], spreads[0], _sharpness(picture), colourfulness, is_grey], np.float32)
    return numbers, (luma + 0.5).astype(np.uint8)


def _reduced(picture: np.ndarray) -> np.ndarray:
    """Means of the areas of 36 lines and 64 columns, f32 [3, 36, 64]."""
    height, width = picture.shape[:2]
    if height < LINES or width < COLUMNS:
        rows = np.arange(LINES) * height // LINES
        columns = np.arange(COLUMNS) * width // COLUMNS
        return np.ascontiguousarray(picture[rows[:, None], columns].transpose(2, 0, 1), np.float32)
    tall, wide = height // LINES, width // COLUMNS
    # Whole areas around the middle; lines first, since those lie one after the other.
    top, left = (height - tall * LINES) // 2, (width - wide * COLUMNS) // 2
    kind = np.uint16 if tall <= 256 else np.uint32
    lines = picture[top : top + tall * LINES].reshape(LINES, tall, width * 3).sum(1, dtype=kind)
    inside = lines.reshape(LINES, width, 3)[:, left : left + wide * COLUMNS].transpose(2, 0, 1)
    areas = np.ascontiguousarray(inside, np.float32).reshape(3, LINES, COLUMNS, wide)
    means: np.ndarray = areas.sum(3) / (tall * wide)
    return means


def _sharpness(picture: np.ndarray) -> float:
    height, width = picture.shape[:2]
    if height < 6 or width < 6:
        return 0.0
    lines = picture.take(_lines_of(height), 0)[:, : width // 2 * 2]
    # Of squares of 2 x 2: what a JPEG changes is finer than that.
    luma = lines.reshape(len(lines), -1, 6).astype(np.float32) @ np.tile(_WEIGHTS, 2)
    three = (luma[0::2] + luma[1::2]).reshape(3, -1, width // 2)
    middle = three[1]
    laplacian = three[0, :, 1:-1] + three[2, :, 1:-1] + middle[:, :-2] + middle[:, 2:] - 4 * middle[:, 1:-1]
    return float(laplacian.var()) / 16


@cache
def _lines_of(height: int) -> np.ndarray:
    """Three pairs of lines, one below the other, at evenly spread places: all first pairs, all second, all third."""
    n = min(_SHARP_PLACES, height // 6)
    at = np.arange(n) * (height - 6) // max(1, n - 1)
    return np.concatenate([(at[:, None] + 2 * pair + np.arange(2)).ravel() for pair in range(3)])
