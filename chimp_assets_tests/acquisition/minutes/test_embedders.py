"""A better embedder saves minutes, an equal one none, and luck is not taken for a saving."""

import numpy as np
import pytest

from chimp_assets.acquisition.minutes.embedders import MinutesSaved, RemainingWork, held_out_chances, minutes_saved
from chimp_assets.acquisition.minutes.goal import Goal
from chimp_assets.acquisition.minutes.prices import Prices

WORK = RemainingWork(Goal(), 90_000.0, 5_000.0, 5_000.0)
ANIMALS, DIMENSIONS = 12, 32


def look(noises: tuple[float, ...], seed: int, days: int = 30) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """The chances that embedders of these noises give the same eight tracks of each day; frames; days."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(ANIMALS, DIMENSIONS))
    names, truth = rng.integers(0, ANIMALS, 240), rng.integers(0, ANIMALS, 8 * days)
    names[:ANIMALS] = np.arange(ANIMALS)
    day = np.repeat(np.arange(days), 8)
    frames = np.exp(rng.normal(3, 1, len(truth)))

    def unit(x: np.ndarray) -> np.ndarray:
        return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)

    chances = []
    for noise in noises:
        taught = unit(centres[names] + noise * rng.normal(size=(len(names), DIMENSIONS)))
        # Tracks of one day share their light.
        light = rng.normal(size=(days, DIMENSIONS))[day]
        asked = unit(centres[truth] + noise * (0.8 * rng.normal(size=(len(truth), DIMENSIONS)) + 0.6 * light))
        chances.append(held_out_chances(taught, names, asked, truth, day, seed))
    return chances, frames, day


def test_a_better_embedder_leaves_fewer_minutes_beyond_noise() -> None:
    """What the whole comparison is for."""
    (poor, good), frames, day = look((1.6, 1.1), 1)
    found = minutes_saved(poor, good, frames, day, WORK, Prices(), 1)
    assert found is not None
    assert found.after < 0.8 * found.before
    assert 0 < found.low < found.before - found.after < found.high
    assert found.share == pytest.approx(1 - found.after / found.before)


def test_the_same_chances_save_nothing_and_nothing_left_says_nothing() -> None:
    """A difference out of nothing would embed the archive again."""
    (one,), frames, day = look((1.6,), 2)
    found = minutes_saved(one, one, frames, day, WORK, Prices(), 1)
    assert found is not None
    assert found.before == found.after
    assert found.low <= 0 <= found.high
    done = RemainingWork(Goal(), 0.0, 1.0, 0.0)
    assert minutes_saved(one, one, frames, day, done, Prices(), 1) is None
    assert minutes_saved(one[:0], one[:0], frames[:0], day[:0], WORK, Prices(), 1) is None
    assert MinutesSaved(0.0, 0.0, 0.0, 0.0).share == 0


def test_two_equally_good_embedders_are_seldom_told_apart() -> None:
    """One-sided at 2.5 in 100: of eight pairs, three that pass for a saving would be no accident (1 in 1,000)."""
    saves = 0
    for seed in range(8):
        (one, other), frames, day = look((1.4, 1.4), 100 + seed)
        found = minutes_saved(one, other, frames, day, WORK, Prices(), seed, draws=40)
        assert found is not None
        saves += found.low > 0
    assert saves < 3


def test_chances_are_calibrated_on_other_days_and_strangers_count_as_wrong() -> None:
    """An embedder that is sure of everything would promise that nothing is left to do."""
    rng = np.random.default_rng(3)
    (chance,), _, day = look((1.5,), 3)
    assert 0 < chance.min() < chance.max() < 1
    taught = rng.normal(size=(60, DIMENSIONS)).astype(np.float32)
    strangers = held_out_chances(taught, np.arange(60) % 3, taught[:40], np.full(40, 9), np.arange(40), 1)
    assert strangers.max() < 0.5, "none of them was right"
    assert len(chance) == len(day)
