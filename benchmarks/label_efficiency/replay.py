"""One expert replayed from zero labels to the budget, by each strategy, and what is measured after each round.

Belongs here: the rules of a replay, its rounds. Does not belong here: what is asked (`strategies`), what a crop looks
like to a model (`vectors`), what the curves say (`curves`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.label_efficiency.strategies import (
    NEED_TWO_CLASSES,
    STRATEGIES,
    ReplayState,
    random_tracks,
    shuffled_margins,
)
from benchmarks.support.crops import CropTable, held_out
from chimp_assets.acquisition.ridge import Ridge, fit_ridge
from chimp_assets.settings import GateSettings

if TYPE_CHECKING:
    from benchmarks.label_efficiency.vectors import CropVectors

FUTURE_SHARE, LATE_SHARE, RESERVE_SHARE = 0.25, 0.2, 0.2
GROWTH = 1.5
LEAST_TO_LEARN = 30


@dataclass(frozen=True)
class Setting:
    """One replay's rules."""

    budget: int
    query: int
    audit: float
    regime: str
    noise: float = 0.0
    duplicates: float = 0.0
    shuffled: bool = False
    views: int = 0
    from_zero: bool = False


def replay(table: CropTable, seed: int, names: tuple[str, ...], setting: Setting) -> dict[str, np.ndarray]:
    """All strategies of one seed: f64 [rounds, MEASURES] each."""
    # In the process that replays: the command itself, and its tests, need not wait for torch.
    import torch

    from benchmarks.label_efficiency.vectors import CropVectors

    torch.set_num_threads(1)
    rng = np.random.default_rng((seed, 6))
    future = held_out(table.target, table.group, rng, FUTURE_SHARE)
    pool = np.flatnonzero(~future)
    pictures, target, group = table.pictures, table.target, table.group
    if setting.duplicates:
        again = rng.choice(pool, round(setting.duplicates * len(pool)), replace=False)
        pictures = np.concatenate([pictures, pictures[again]])
        pool = np.concatenate([pool, np.arange(len(target), len(target) + len(again))])
        target, group = np.concatenate([target, target[again]]), np.concatenate([group, group[again]])
    crop_vectors = CropVectors(pictures, pool, seed, setting.from_zero)
    late = np.isin(target, rng.permutation(table.n_individuals)[: round(LATE_SHARE * table.n_individuals)])
    reserve = np.isin(pool, rng.choice(pool, round(RESERVE_SHARE * len(pool)), replace=False))
    wrong = rng.random(len(target)) < setting.noise
    said = np.where(wrong, rng.integers(0, table.n_individuals, len(target)), target)
    world = _World(target, said, group, pool, pool[reserve], np.flatnonzero(future), late)
    return {name: _one(world, crop_vectors, name, seed, setting) for name in names}


@dataclass(frozen=True)
class _World:
    target: np.ndarray
    said: np.ndarray
    group: np.ndarray
    pool: np.ndarray
    reserve: np.ndarray
    future: np.ndarray
    late: np.ndarray


def _one(world: _World, crop_vectors: CropVectors, name: str, seed: int, setting: Setting) -> np.ndarray:
    rng = np.random.default_rng((seed, 7))
    vectors = crop_vectors.without_labels()
    taught = np.empty(0, np.int64)
    audited = np.empty(0, np.int64)
    learned_from, rounds = 0, []
    teachable = np.setdiff1d(world.pool, world.reserve)
    ridge: Ridge | None = None
    while len(taught) + len(audited) < setting.budget:
        spent = len(taught) + len(audited)
        b = min(setting.query, setting.budget - spent)
        here = ~world.late if spent < setting.budget / 2 else np.ones(len(world.late), bool)
        due = round(setting.audit * (spent + b)) - len(audited)
        waiting = np.setdiff1d(world.reserve[here[world.reserve]], audited)
        audited = np.concatenate([audited, rng.permutation(waiting)[: max(0, min(due, b))]])
        b -= max(0, min(due, b, len(waiting)))
        open_rows = np.setdiff1d(teachable[here[teachable]], taught)
        if len(open_rows) == 0:
            break
        began = time.process_time()
        if b > 0:
            accuracy = None
            if ridge is not None and len(audited) >= GateSettings().min_audit_labels:
                accuracy = float((ridge.names(vectors[audited]) == world.said[audited]).mean())
            state = ReplayState(
                open_rows, vectors, taught, world.said[taught], world.group, ridge, rng, accuracy, world.target
            )
            cold = ridge is None or len(ridge.classes) < 2
            strategy = random_tracks if cold and name in NEED_TWO_CLASSES else STRATEGIES[name]
            if setting.shuffled and not cold:
                strategy = shuffled_margins
            taught = np.concatenate([taught, strategy(state, b)])
        seconds = time.process_time() - began
        names = world.said[taught]
        grown = len(taught) >= max(LEAST_TO_LEARN, GROWTH * learned_from)
        if setting.regime == "product" and grown and len(np.unique(names)) > 1:
            vectors = crop_vectors.with_names(taught, names, world.group[taught], setting.views)
            learned_from = len(taught)
        ridge = fit_ridge(vectors[taught], names)
        rounds.append((len(taught) + len(audited), *_measured(world, vectors, ridge, taught, audited), seconds))
    return np.array(rounds)


def _measured(
    world: _World, vectors: np.ndarray, ridge: Ridge, taught: np.ndarray, audited: np.ndarray
) -> tuple[float, float, float, int]:
    named = ridge.names(vectors[world.pool])
    for rows in (taught, audited):
        place = np.searchsorted(world.pool, rows)
        named[place] = world.said[rows]
    truth = world.target[world.pool]
    right = named == truth
    each = np.bincount(truth, right)[np.bincount(truth) > 0] / np.bincount(truth)[np.bincount(truth) > 0]
    future = (ridge.names(vectors[world.future]) == world.target[world.future]).mean()
    return float(right.mean()), float(each.mean()), float(future), len(np.unique(world.target[taught]))
