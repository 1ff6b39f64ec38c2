"""The repeat lane: tracks answered before, drawn at random to measure whether people agree with themselves."""

from __future__ import annotations

import numpy as np

from chimp_assets.acquisition.lanes.draft import LanePicks
from chimp_assets.acquisition.pool import TrackPool, draw_rows


def repeat(pool: TrackPool, count: int, rng: np.random.Generator) -> LanePicks:
    """Draws from all tracks that may be asked again."""
    mask = pool.may_repeat()
    rows = draw_rows(mask, count, rng)
    # The reason does not mention the earlier answer: people would look it up, in memory or on paper.
    reason = "Drawn at random to measure how sure answers are."
    return LanePicks(rows, np.full(len(rows), len(rows) / max(1, int(np.count_nonzero(mask)))), [reason] * len(rows))
