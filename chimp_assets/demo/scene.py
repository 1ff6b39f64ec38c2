"""A place in front of a camera: what stands behind and before the animals, how it sways, and how the light changes.

Belongs here: painting a place from its seed, wind, shake, light, noise, and laying animals into it.
Does not belong here: the animals themselves (`bodies`) and who comes when (`casting`).
Pictures are RGB; a place of the same camera looks the same on every day but for its litter.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

MARGIN = 28  # pixels around the picture that sway and shake may bring into view


@dataclass(frozen=True)
class Weather:
    """How a clip moves and shines. Lengths in pixels, light as a factor."""

    wind: float
    shake: float
    pan: float
    sun: tuple[float, float, float]
    cloud: float
    cloud_at_s: float
    noise: float
    phase: float


@dataclass(frozen=True)
class Layer:
    """An animal ready to be laid in: premultiplied f32 RGBA, where its top left corner goes, and its ground line."""

    picture: np.ndarray
    left: int
    top: int
    ground: float


@dataclass(frozen=True)
class Visibility:
    """How much of an animal a frame shows. box: (x, y, w, h) in pixels, clipped; None if all of it is outside.

    visible: share of the animal that is inside and not hidden, 0 to 1.
    """

    box: tuple[int, int, int, int] | None
    visible: float


class CameraView:
    """One camera's view on one day, with the things that hide animals in one clip.

    turned: pixels to the right by which somebody has turned the camera; what comes into view mirrors what was there.
    """

    def __init__(
        self, width: int, height: int, camera_seed: int, day_seed: int, clip_seed: int, turned: int = 0
    ) -> None:
        self.width, self.height = width, height
        size = (height + 2 * MARGIN, width + 2 * MARGIN)
        rng = np.random.default_rng([camera_seed, 1])
        self.back = _background(rng, size, np.random.default_rng([camera_seed, day_seed, 2]))
        self.fore = _occluders(np.random.default_rng([camera_seed, 3]), np.random.default_rng([clip_seed, 4]), size)
        grid_y, grid_x = np.mgrid[0:height, 0:width].astype(np.float32)
        self._grid = (grid_x + MARGIN + turned, grid_y + MARGIN)
        # Wind: every spot swings on its own phase; leaves above swing more than the ground.
        phase = _clouds(rng, (height, width), 70) * 2.2
        reach = (1.15 - grid_y / height) * (0.55 + 0.45 * np.abs(_clouds(rng, (height, width), 40)))
        self._sway = (reach * np.sin(phase)).astype(np.float32), (reach * np.cos(phase)).astype(np.float32)
        self._noise = rng.normal(0, 1, (height + 64, width + 64, 3)).astype(np.float32)

    def frame(
        self, time_s: float, index: int, weather: Weather, layers: list[Layer]
    ) -> tuple[np.ndarray, list[Visibility]]:
        """Picture u8 [height, width, 3] RGB at a time, and what it shows of each layer, in their order."""
        shift = _shift(time_s, weather)
        picture = self._moved(self.back, time_s, weather, shift, 1.0).astype(np.float32)
        *fore, cover = cv2.split(self._moved(self.fore, time_s + 0.7, weather, shift, 2.2))
        fore_alpha = cover * np.float32(1 / 255)

        order = sorted(range(len(layers)), key=lambda i: layers[i].ground)
        for i in order:
            _lay(picture, layers[i], shift)
        open_sky = 1 - fore_alpha
        picture *= cv2.merge([open_sky] * 3)
        cv2.add(picture, cv2.merge(fore), dst=picture, dtype=cv2.CV_32F)

        hidden = fore_alpha
        seen: dict[int, Visibility] = {}
        for i in reversed(order):
            seen[i] = _seen(layers[i], shift, hidden)
        cloud = 1 + weather.cloud / (1 + float(np.exp(-3 * (time_s - weather.cloud_at_s))))
        cv2.multiply(picture, (*(part * cloud for part in weather.sun), 1.0), dst=picture)
        dy, dx = (index * 37) % 64, (index * 23) % 64
        noise = self._noise[dy : dy + self.height, dx : dx + self.width]
        grainy = cv2.addWeighted(picture, 1.0, noise, weather.noise, 0.0, dtype=cv2.CV_8U)  # saturates
        return grainy, [seen[i] for i in range(len(layers))]

    def _moved(
        self, layer: np.ndarray, time_s: float, weather: Weather, shift: tuple[float, float], much: float
    ) -> np.ndarray:
        gust = 0.6 + 0.4 * np.sin(0.5 * time_s + weather.phase)
        a = float(much * weather.wind * gust * np.sin(2.6 * time_s + weather.phase))
        b = float(much * weather.wind * gust * np.cos(2.6 * time_s + weather.phase))
        sway = cv2.addWeighted(self._sway[0], a, self._sway[1], b, 0)
        map_x = cv2.addWeighted(self._grid[0], 1, sway, 1, shift[0])
        map_y = cv2.addWeighted(self._grid[1], 1, sway, 0.35, shift[1])
        return cv2.remap(layer, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def weather_of(rng: np.random.Generator, hour: float, seconds: float, handheld: bool) -> Weather:
    """Weather of a clip: cool and dim in the morning, warm towards evening, a cloud at a random moment."""
    height_of_sun = float(np.sin(np.pi * np.clip((hour - 5.5) / 13.0, 0, 1)))
    brightness = 0.62 + 0.5 * height_of_sun + float(rng.normal(0, 0.05))
    warmth = float(np.clip((hour - 12) / 6, -1, 1)) * 0.1
    return Weather(
        wind=float(rng.uniform(0.5, 2.2)),
        shake=float(rng.uniform(0.8, 1.8)) if handheld else float(rng.uniform(0.0, 0.35)),
        pan=float(rng.uniform(4, 10)) if handheld else 0.0,
        sun=(brightness * (1 + warmth), brightness, brightness * (1 - warmth)),
        cloud=float(rng.uniform(-0.3, 0.25)),
        cloud_at_s=float(rng.uniform(0.2, 0.9) * seconds),
        noise=float(rng.uniform(2.0, 6.5)),
        phase=float(rng.uniform(0, 6.28)),
    )


def _shift(time_s: float, weather: Weather) -> tuple[float, float]:
    p = weather.phase
    x = weather.shake * (np.sin(5.1 * time_s + p) + 0.6 * np.sin(11.3 * time_s + 2 * p))
    y = weather.shake * (np.sin(4.3 * time_s + 3 * p) + 0.6 * np.sin(9.7 * time_s + p))
    return float(x + weather.pan * np.sin(0.55 * time_s + p)), float(y + 0.3 * weather.pan * np.sin(0.4 * time_s))


def _corner(layer: Layer, shift: tuple[float, float]) -> tuple[int, int]:
    return round(layer.left - shift[0]), round(layer.top - shift[1])


def _lay(picture: np.ndarray, layer: Layer, shift: tuple[float, float]) -> None:
    left, top = _corner(layer, shift)
    height, width = layer.picture.shape[:2]
    y0, y1, x0, x1 = max(0, top), min(picture.shape[0], top + height), max(0, left), min(picture.shape[1], left + width)
    if y0 >= y1 or x0 >= x1:
        return
    part = layer.picture[y0 - top : y1 - top, x0 - left : x1 - left]
    below = picture[y0:y1, x0:x1]
    red, green, blue, alpha = cv2.split(part)
    below *= cv2.merge([1 - alpha] * 3)
    below += cv2.merge([red, green, blue])


def _seen(layer: Layer, shift: tuple[float, float], hidden: np.ndarray) -> Visibility:
    """Box and visible share of a layer; marks in `hidden` what it hides of those behind it."""
    left, top = _corner(layer, shift)
    alpha = layer.picture[..., 3]
    height, width = alpha.shape
    y0, y1, x0, x1 = max(0, top), min(hidden.shape[0], top + height), max(0, left), min(hidden.shape[1], left + width)
    if y0 >= y1 or x0 >= x1:
        return Visibility(None, 0.0)
    part = alpha[y0 - top : y1 - top, x0 - left : x1 - left]
    x, y, w, h = cv2.boundingRect((part > 0.5).astype(np.uint8))
    if w < 6 or h < 6:
        return Visibility(None, 0.0)
    behind = hidden[y0:y1, x0:x1]
    visible = float((part * (1 - behind)).sum() / alpha.sum())
    np.maximum(behind, part, out=behind)
    return Visibility((x0 + x, y0 + y, w, h), visible)


def _clouds(rng: np.random.Generator, size: tuple[int, int], grain: float) -> np.ndarray:
    """Smooth noise of mean 0 and deviation 1, features about `grain` pixels wide."""
    small = rng.normal(0, 1, (max(2, int(size[0] / grain) + 2), max(2, int(size[1] / grain) + 2))).astype(np.float32)
    field = cv2.resize(small, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray((field - field.mean()) / (field.std() + 1e-6))


def _background(rng: np.random.Generator, size: tuple[int, int], day: np.random.Generator) -> np.ndarray:
    height, width = size
    horizon = int(height * rng.uniform(0.34, 0.46))
    green = np.array([70, 92, 48]) + rng.normal(0, 9, 3)
    soil = np.array([122, 100, 72]) + rng.normal(0, 12, 3)
    texture = sum(_clouds(rng, size, g)[..., None] * s for g, s in ((90, 9.0), (25, 7.0), (6, 7.0), (2, 5.0)))
    blend = np.clip((np.arange(height)[:, None] - horizon + 14 * _clouds(rng, size, 60)) / 30, 0, 1)[..., None]
    picture = np.clip((1 - blend) * green * 0.62 + blend * soil + texture, 0, 255).astype(np.uint8)

    for _ in range(int(rng.integers(3, 6))):
        _trunk(rng, picture, horizon)
    for _ in range(1500):
        x, y = rng.uniform(0, width), rng.triangular(0, 0, horizon * 1.25)
        _leaf(rng, picture, x, y, green * rng.uniform(0.45, 1.5), rng.uniform(3, 11))
    for _ in range(900):
        x, y = rng.uniform(0, width), rng.uniform(horizon, height)
        colour = (green if rng.random() < 0.6 else soil) * rng.uniform(0.6, 1.35)
        tip = (int(x + rng.normal(0, 4)), int(y - rng.uniform(4, 6 + 14 * y / height)))
        cv2.line(picture, (int(x), int(y)), tip, _rgb(colour), 1, cv2.LINE_AA)
    for _ in range(int(rng.integers(3, 8))):
        _stone(rng, picture, rng.uniform(0, width), rng.uniform(horizon * 1.1, height))
    for _ in range(160):
        _leaf(day, picture, day.uniform(0, width), day.uniform(horizon, height), soil * day.uniform(0.5, 1.4), 4)
    for _ in range(int(day.integers(0, 3))):
        _stone(day, picture, day.uniform(0, width), day.uniform(horizon * 1.1, height))
    return cv2.GaussianBlur(picture, (0, 0), 0.9)


def _occluders(camera: np.random.Generator, clip: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Grass, stems and hanging branches before the animals: premultiplied u8 RGBA [h, w, 4]."""
    height, width = size
    picture = np.zeros((height, width, 4), np.uint8)
    green = np.array([64, 88, 42]) + camera.normal(0, 8, 3)
    for _ in range(int(camera.integers(1, 3))):
        x = camera.uniform(0.08, 0.92) * width
        lean = camera.normal(0, 40)
        colour = np.array([58, 46, 34]) * camera.uniform(0.7, 1.2)
        ends = (int(x), height), (int(x + lean), 0)
        cv2.line(picture, *ends, (*_rgb(colour), 255), int(camera.integers(5, 15)), cv2.LINE_AA)
    for _ in range(int(clip.integers(1, 4))):
        x, y = clip.uniform(0, width), clip.uniform(-20, 0.25 * height)
        for _ in range(int(clip.integers(25, 60))):
            spot = (x + clip.normal(0, 34), y + abs(clip.normal(0, 46)))
            _leaf(clip, picture, *spot, green * clip.uniform(0.5, 1.3), clip.uniform(5, 13))
    for _ in range(int(clip.integers(2, 5))):
        x, blades = clip.uniform(0, width), int(clip.integers(12, 30))
        for _ in range(blades):
            foot = (int(x + clip.normal(0, 22)), height)
            tip = (int(foot[0] + clip.normal(0, 16)), int(height - MARGIN - clip.uniform(10, 85)))
            cv2.line(picture, foot, tip, (*_rgb(green * clip.uniform(0.7, 1.5)), 255), 2, cv2.LINE_AA)
    return cv2.GaussianBlur(picture, (0, 0), 1.1)


def _leaf(rng: np.random.Generator, picture: np.ndarray, x: float, y: float, colour: np.ndarray, length: float) -> None:
    axes = (max(1, int(length)), max(1, int(length * rng.uniform(0.25, 0.5))))
    paint = _rgb(colour) if picture.shape[2] == 3 else (*_rgb(colour), 255)
    cv2.ellipse(picture, (int(x), int(y)), axes, rng.uniform(0, 180), 0, 360, paint, -1, cv2.LINE_AA)


def _trunk(rng: np.random.Generator, picture: np.ndarray, horizon: int) -> None:
    x, foot = rng.uniform(0, picture.shape[1]), horizon * rng.uniform(1.0, 1.35)
    lean, thick = rng.normal(0, 25), int(rng.integers(8, 34))
    colour = np.array([74, 60, 46]) * rng.uniform(0.6, 1.25)
    cv2.line(picture, (int(x), int(foot)), (int(x + lean), 0), _rgb(colour), thick, cv2.LINE_AA)
    for _ in range(thick * 3):
        t, side = rng.uniform(0, 0.9), rng.uniform(-0.5, 0.5)
        at = (int(x + lean * t + side * thick), int(foot * (1 - t)))
        cv2.line(picture, at, (at[0], at[1] - int(rng.integers(4, 20))), _rgb(colour * rng.uniform(0.6, 1.5)), 1)


def _stone(rng: np.random.Generator, picture: np.ndarray, x: float, y: float) -> None:
    size = rng.uniform(5, 24)
    grey = np.array([118, 112, 104]) * rng.uniform(0.6, 1.2)
    cv2.ellipse(picture, (int(x), int(y)), (int(size), int(size * 0.6)), 0, 0, 360, _rgb(grey * 0.7), -1, cv2.LINE_AA)
    cv2.ellipse(
        picture, (int(x), int(y - size * 0.12)), (int(size * 0.85), int(size * 0.45)), 0, 0, 360, _rgb(grey), -1
    )


def _rgb(colour: np.ndarray) -> tuple[int, int, int]:
    r, g, b = np.clip(colour, 0, 255).astype(int)
    return int(r), int(g), int(b)
