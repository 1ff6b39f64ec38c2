"""The novel lane: tracks that the head finds strange and that look like nobody who was named."""

from __future__ import annotations

import numpy as np

from chimp_assets.acquisition.cells import cells_of
from chimp_assets.acquisition.lanes.draft import COVERED_SAMPLE, MOST_CELLS, Draft, LanePicks, pool_rng
from chimp_assets.acquisition.selectors import Candidates, NovelCells

NOVEL_CANDIDATES = 4_096


def novel(draft: Draft, count: int, rng: np.random.Generator) -> LanePicks:
    """The densest tracks of cells with small max-logits, those without a named track first."""
    assert draft.found is not None  # the lane needs a head, so the pass was made
    pool, own = draft.pool, pool_rng(draft.pool)
    found = draft.choosable(draft.found.novel)
    covered = np.sort(draft.asked.sample(COVERED_SAMPLE, own))
    emb = pool.emb[found.rows]
    k = min(MOST_CELLS, max(count, (len(emb) + len(covered)) // 8))
    cell = cells_of(np.concatenate([emb, pool.emb[covered]]), k, int(own.integers(1 << 31)))
    load = np.bincount(cell[len(emb) :], minlength=int(cell.max(initial=0)) + 1)
    mine = cell[: len(emb)]
    candidates = Candidates(found.rows, emb, found.maxlogit, mine, found.top1)
    choice = NovelCells(load).select(candidates, count, own)
    size = np.bincount(mine, minlength=len(load))
    reasons = [
        ("Nobody like this has been named yet" if not load[c] else "Hardly like anybody who has been named")
        + (f": {size[c]} tracks look alike." if size[c] > 1 else ".")
        for c in mine[choice.positions]
    ]
    return LanePicks(found.rows[choice.positions], choice.propensity, reasons)
