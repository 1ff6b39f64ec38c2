"""What one process of the measure does: all policies of one seed.

Belongs here: work that is sent to another process. Does not belong here: the command (`__main__`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.minutes.archive import Archive, archive_of
from benchmarks.minutes.replay import Run, Setting, replay
from benchmarks.minutes.vectors import teachers
from benchmarks.support.crops import CropTable


def one_seed(
    table: CropTable,
    vectors: np.ndarray,
    seed: int,
    names: tuple[str, ...],
    setting: Setting,
    sigma: float,
    regime: str,
) -> dict[str, Run]:
    """All policies of one seed."""
    archive = _archive(table, vectors, seed, sigma, regime)
    return {name: replay(archive, name, setting, seed) for name in names}


def equal_minutes(
    table: CropTable, vectors: np.ndarray, seed: int, setting: Setting, sigma: float, regime: str
) -> tuple[Run, Run]:
    """The product and margin, both for as long as margin needs to the goal."""
    archive = _archive(table, vectors, seed, sigma, regime)
    margin = replay(archive, "margin", replace(setting, end="ideal"), seed)
    minutes = margin.curve[-1, 0]
    return replay(archive, "product", replace(setting, end="time", minutes=minutes), seed), margin


def _archive(table: CropTable, vectors: np.ndarray, seed: int, sigma: float, regime: str) -> Archive:
    rows = np.arange(len(table.target)) if regime == "frozen" else np.flatnonzero(~teachers(table, seed))
    lengths = None if table.frames is None else table.frames[rows]
    return archive_of(vectors[rows], table.target[rows], table.group[rows], seed, sigma, lengths)
