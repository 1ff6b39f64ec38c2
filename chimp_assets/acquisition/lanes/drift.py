"""The drift lane: what looks different since a day, drawn at random. No model chooses: it does not know these yet."""

from __future__ import annotations

import numpy as np

from chimp_assets.acquisition.lanes.draft import Draft, LanePicks
from chimp_assets.acquisition.pool import F64Array, I64Array, rows_where

MOST_LOOKED_AT = 16_384
"""Tracks of one slice that are compared for duplicates: of more, so many are drawn first."""


def drift(draft: Draft, count: int, rng: np.random.Generator) -> LanePicks:
    """Simple random samples of the slices of open alerts, which share the count fairly; no duplicate twice.

    The propensity is that of a track without its duplicates: only the first of those may be drawn.
    """
    slice_no = draft.pool.drifted
    assert slice_no is not None  # the plan gives the lane nothing where nothing drifted
    frames: list[tuple[I64Array, float]] = []
    taken = draft.chosen
    for number in range(len(draft.pool.drift_reasons)):
        rows, kept = _frame(draft, number, taken, rng)
        frames.append((rows, kept))
        taken = np.concatenate([taken, rows])
    wanted = shared_fairly(count, np.array([len(rows) for rows, _ in frames], np.int64))
    parts = [_drawn(draft, i, *frames[i], int(k), rng) for i, k in enumerate(wanted) if k]
    if not parts:
        return LanePicks(np.empty(0, np.int64), np.empty(0), [])
    # In turns: people stop in the middle.
    turn = np.argsort(np.concatenate([(np.arange(len(p.rows)) + 0.5) / len(p.rows) for p in parts]), kind="stable")
    reasons = [one for p in parts for one in p.reasons]
    propensity: F64Array = np.concatenate([p.propensity for p in parts])[turn]
    return LanePicks(np.concatenate([p.rows for p in parts])[turn], propensity, [reasons[i] for i in turn])


def shared_fairly(count: int, sizes: I64Array) -> I64Array:
    """The count in equal parts, what one cannot take goes to the others; the first get what is left over. i64 [k]."""
    wanted = np.zeros(len(sizes), np.int64)
    left = min(count, int(sizes.sum()))
    while left:
        free = np.flatnonzero(wanted < sizes)
        each = left // len(free)
        if each == 0:
            wanted[free[:left]] += 1
            break
        more = np.minimum(sizes[free] - wanted[free], each)
        wanted[free] += more
        left -= int(more.sum())
    return wanted


def _frame(draft: Draft, number: int, taken: I64Array, rng: np.random.Generator) -> tuple[I64Array, float]:
    """Rows of a slice that may be drawn, and the share of the slice that was looked at to find them."""
    mask = draft.pool.drifted == number
    mask &= draft.open
    n = int(np.count_nonzero(mask))
    looked_at = min(n, MOST_LOOKED_AT)
    ordinals = np.arange(n) if looked_at == n else np.sort(rng.choice(n, looked_at, replace=False))
    rows = rows_where(mask, ordinals)
    rows = rows[~draft.asked.already(rows, draft.policy.duplicate_likeness, taken)]
    return rows, looked_at / max(1, n)


def _drawn(draft: Draft, number: int, rows: I64Array, kept: float, k: int, rng: np.random.Generator) -> LanePicks:
    picked = rng.choice(rows, k, replace=False)
    n = round(len(rows) / kept)
    reason = f"{draft.pool.drift_reasons[number]}: {k} of {n} such tracks, drawn at random."
    return LanePicks(picked, np.full(k, kept * k / len(rows)), [reason] * k)
