"""The audit lane: a simple random sample of the audit reserve, the only unbiased measure of accuracy."""

from __future__ import annotations

import numpy as np

from chimp_assets.acquisition.lanes.draft import LanePicks
from chimp_assets.acquisition.pool import TrackPool, draw_rows


def audit(pool: TrackPool, count: int, rng: np.random.Generator) -> LanePicks:
    """Draws from all tracks that wait in the reserve, whatever a model thinks of them."""
    mask = pool.may_audit()
    waiting = int(np.count_nonzero(mask))
    rows = draw_rows(mask, count, rng)
    reason = f"Drawn at random to measure accuracy: {len(rows)} of {waiting} tracks that wait in the audit reserve."
    return LanePicks(rows, np.full(len(rows), len(rows) / max(1, waiting)), [reason] * len(rows))
