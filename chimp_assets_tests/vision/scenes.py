"""Small moving scenes with known animals: textured ground, swaying foliage, a shaking camera, changing light."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

WIDTH, HEIGHT = 320, 180


@dataclass(frozen=True)
class Walker:
    """A dark ellipse with a pale face that walks from start to stop (fractions of the picture) over the whole scene."""

    start: tuple[float, float]
    stop: tuple[float, float]
    size: tuple[float, float] = (0.14, 0.2)

    def box(self, share: float) -> tuple[float, float, float, float]:
        """x, y, w, h as fractions when this share of the scene has passed."""
        x = self.start[0] + share * (self.stop[0] - self.start[0])
        y = self.start[1] + share * (self.stop[1] - self.start[1])
        return x - self.size[0] / 2, y - self.size[1] / 2, *self.size


@dataclass(frozen=True)
class Scene:
    """Pictures of a scene and the true boxes of its walkers in each of them."""

    n: int = 40
    fps: float = 5.0
    walkers: tuple[Walker, ...] = (Walker((0.1, 0.6), (0.9, 0.65)),)
    sway: float = 2.0
    shake: float = 3.0
    light: float = 12.0
    seed: int = 1

    def pictures(self) -> Iterator[tuple[int, float, np.ndarray]]:
        """(frame_no, time_s, u8 [180, 320, 3] RGB)."""
        for number in range(self.n):
            yield number, number / self.fps, self._picture(number)

    def truth(self) -> dict[int, list[tuple[float, float, float, float]]]:
        """Boxes of every frame, camera shake included."""
        return {
            number: [
                (x + self._shift(number)[0] / WIDTH, y + self._shift(number)[1] / HEIGHT, w, h)
                for x, y, w, h in (walker.box(number / max(1, self.n - 1)) for walker in self.walkers)
            ]
            for number in range(self.n)
        }

    def _shift(self, number: int) -> np.ndarray:
        return np.random.default_rng([self.seed, 5, number]).uniform(-self.shake, self.shake, 2)

    def _picture(self, number: int) -> np.ndarray:
        rng = np.random.default_rng([self.seed, 9, number])
        ground = _texture(self.seed, (112, 118, 84), 26)
        leaves = _texture(self.seed + 1, (78, 112, 52), 34)
        y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
        phase = 2 * np.pi * number / self.fps * 0.7
        bend = self.sway * np.sin(phase + x / 17 + y / 23)
        swayed = cv2.remap(leaves, x + bend, y + bend / 2, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        picture = np.where((y < HEIGHT * 0.45)[..., None], swayed, ground)
        for walker in self.walkers:
            _draw(picture, walker.box(number / max(1, self.n - 1)), number)
        dx, dy = self._shift(number)
        picture = cv2.warpAffine(picture, np.float64([[1, 0, dx], [0, 1, dy]]), (WIDTH, HEIGHT), borderMode=2)
        picture = picture + self.light * np.sin(number / 9) + rng.normal(0, 2, picture.shape)
        return np.clip(picture, 0, 255).astype(np.uint8)


def _texture(seed: int, colour: tuple[int, int, int], contrast: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    grain = sum(
        cv2.resize(rng.normal(0, 1, (HEIGHT // k + 2, WIDTH // k + 2)), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        for k in (3, 9, 27)
    )
    return np.clip(np.array(colour) + contrast * 0.6 * grain[..., None], 0, 255).astype(np.float32)


def _draw(picture: np.ndarray, box: tuple[float, float, float, float], number: int) -> None:
    x, y, w, h = box
    centre = (round((x + w / 2) * WIDTH), round((y + h / 2) * HEIGHT))
    axes = (round(w * WIDTH / 2), round(h * HEIGHT / 2))
    cv2.ellipse(picture, centre, axes, 0, 0, 360, (38, 32, 30), -1)
    face = (centre[0] + axes[0] // 2, centre[1] - axes[1] // 3)
    cv2.circle(picture, face, max(2, axes[1] // 4), (128, 96, 84), -1)
    leg = round(3 * np.sin(number))
    cv2.line(picture, (centre[0] + leg, centre[1]), (centre[0] - leg, centre[1] + axes[1]), (38, 32, 30), 4)


def overlap(one: np.ndarray | tuple, other: np.ndarray | tuple) -> float:
    """Intersection over union of two x, y, w, h boxes."""
    low = np.maximum(one[:2], other[:2])
    high = np.minimum(np.add(one[:2], one[2:4]), np.add(other[:2], other[2:4]))
    shared = float(np.clip(high - low, 0, None).prod())
    return shared / (float(np.prod(one[2:4]) + np.prod(other[2:4])) - shared)
