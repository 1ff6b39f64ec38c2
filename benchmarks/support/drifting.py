"""Archives and crops that drift, and those that do not, for `benchmarks.drift`: pure functions of a seed.

Belongs here: simulated streams, what weather and a broken camera do to crops, the foils. Does not belong here: the
product's detectors, and what is printed.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import scipy.signal
import scipy.stats

LIKENESS = 0.5
"""Correlation of a camera's neighbouring days."""
CLIPS = 6
TRACKS_A_CLIP = 3
RECORDED = 0.8
"""Share of days on which a camera films anything."""
CLIP_SD, TRACK_SD = 1.0, 1.0


@dataclass(frozen=True)
class Stream:
    """One signal of one camera. day: i64 [n]; value: f64 [n], of the day, with a standard deviation of about one."""

    day: np.ndarray
    value: np.ndarray


def quiet_streams(rng: np.random.Generator, streams: int, days: int, likeness: float = LIKENESS) -> list[Stream]:
    """Days that are alike (AR(1)), means of clips that share a day: nothing changes."""
    noise = rng.standard_normal((streams, days + 50))
    level = scipy.signal.lfilter([np.sqrt(1 - likeness**2)], [1, -likeness], noise, axis=1)[:, 50:]
    clips = rng.poisson(CLIPS, level.shape) + 1
    value = level + rng.standard_normal(level.shape) * CLIP_SD / np.sqrt(clips)
    there = rng.random(level.shape) < RECORDED
    return [Stream(np.flatnonzero(is_day), v[is_day] / v.std()) for is_day, v in zip(there, value, strict=True)]


def shifted(stream: Stream, since: int, size: float, until: int | None = None) -> Stream:
    """The stream with `size` standard deviations between days added from day `since` on, before `until`."""
    inside = (stream.day >= since) & (stream.day < (until or stream.day[-1] + 1))
    return Stream(stream.day, stream.value + size * inside)


def foils(rng: np.random.Generator, streams: int, days: int) -> dict[str, float]:
    """False alarms a year of what one would write first, in all streams together, a year of reference before."""
    year, alarms = 365, {"per track, p < .05": 0, "per camera-day, p < .05": 0, "Bonferroni by day": 0}
    for stream in quiet_streams(rng, streams, days + year):
        before = stream.value[stream.day < year]
        new = stream.value[stream.day >= year]
        z = (new - before.mean()) / before.std(ddof=1)
        p = 2 * scipy.stats.norm.sf(np.abs(z))
        alarms["per camera-day, p < .05"] += int((p < 0.05).sum())
        alarms["Bonferroni by day"] += int((p < 0.05 / streams).sum())
        tracks = (CLIPS + 1) * TRACKS_A_CLIP
        # Tracks are tested as if each were drawn alone: the standard error of their mean leaves out what they share.
        per_track = before.std(ddof=1) * np.sqrt(1 + CLIP_SD**2 + TRACK_SD**2)
        alarms["per track, p < .05"] += int((2 * scipy.stats.norm.sf(np.abs(new - before.mean()) / per_track
                                            * np.sqrt(tracks)) < 0.05).sum())  # fmt: skip
    years = days / 365
    return {**{name: count / years for name, count in alarms.items()}, "always alarm": streams * 365.0}


def degraded(pictures: np.ndarray, how: str, rng: np.random.Generator) -> np.ndarray:
    """Crops u8 [n, s, s, 3] RGB as another camera or weather would show them. how: a key of CHANGES."""
    return np.stack([CHANGES[how](picture, rng) for picture in pictures]) if len(pictures) else pictures


def _infrared(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    bright = np.clip(255 * (grey / 255) ** 0.8 + rng.normal(0, 6, grey.shape), 0, 255)
    return np.repeat(bright[..., None], 3, axis=2).astype(np.uint8)


def _fog(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    veiled = cv2.GaussianBlur(picture, (0, 0), 1.0).astype(np.float32) * 0.45 + 200 * 0.55
    return veiled.astype(np.uint8)


def _half(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    side = picture.shape[0]
    small = cv2.resize(picture, (side // 2, side // 2), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (side, side), interpolation=cv2.INTER_LINEAR)


def _jpeg(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    coded = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 30])[1]
    return cv2.cvtColor(cv2.imdecode(coded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def _dark(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (picture * 0.6).astype(np.uint8)


def _dim(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (picture * 0.85).astype(np.uint8)


CHANGES = {
    "infrared": _infrared,
    "fog": _fog,
    "half resolution": _half,
    "JPEG quality 30": _jpeg,
    "brightness x0.6": _dark,
    "brightness x0.85": _dim,
}


def picture_numbers(pictures: np.ndarray) -> np.ndarray:
    """Brightness, contrast, log sharpness and colourfulness of each crop, f64 [n, 4], as films have them."""
    found = []
    for picture in pictures:
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
        red, green, blue = picture.reshape(-1, 3).astype(np.float32).T
        across, along = red - green, (red + green) / 2 - blue
        colour = np.hypot(across.std(), along.std()) + 0.3 * np.hypot(across.mean(), along.mean())
        sharp = np.log(cv2.Laplacian(grey, cv2.CV_32F).var() + 1)
        found.append((grey.mean(), grey.std(), sharp, colour))
    return np.array(found, np.float64)


def by_session(values: np.ndarray, session: np.ndarray, n: int) -> np.ndarray:
    """Means f64 [n, k] of the rows of each session 0..n-1."""
    count = np.bincount(session, minlength=n)[:, None]
    return np.stack([np.bincount(session, column, n) for column in values.T], axis=1) / count
