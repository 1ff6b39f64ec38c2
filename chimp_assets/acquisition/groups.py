"""Taking turns: how many rows of a group come before a row, and rankings that no group fills.

Belongs here: arithmetic on group numbers. Does not belong here: what the groups mean (`lanes`, `selectors`).
"""

from __future__ import annotations

import numpy as np

from chimp_assets.acquisition.pool import I32Array, I64Array


def spread(ranked: I64Array, groups: list[tuple[I32Array, int]]) -> I64Array:
    """A ranking in which no group has more than its cap until all groups have reached theirs. i64 [n], a permutation.

    ranked: i64 [n], positions, best first; groups: for each way of grouping (camera and day, video) the group of every
    position (below 0: of none, never capped) and the cap. Beyond the cap a group waits for one round for each cap full
    that is before it. Later ways of grouping count more where two cannot both be kept.
    """
    for group, cap in groups:
        here = group[ranked]
        rounds = np.where(here >= 0, counts_before(here) // max(1, cap), 0)
        ranked = ranked[np.argsort(rounds, kind="stable")]
    return ranked


def counts_before(group: I32Array) -> I64Array:
    """How many earlier rows have the same group. group: i32 [n]; returns i64 [n], 0 for the first of each group."""
    order = np.argsort(group, kind="stable")
    in_order = group[order]
    first = np.flatnonzero(np.r_[True, in_order[1:] != in_order[:-1]]) if len(group) else np.empty(0, np.int64)
    run = np.diff(np.r_[first, len(group)])
    before = np.empty(len(group), np.int64)
    before[order] = np.arange(len(group)) - np.repeat(first, run)
    return before
