"""`AnchorNeighbours`: tracks most like the few named tracks of an individual."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chimp_assets.acquisition.groups import counts_before
from chimp_assets.acquisition.pool import I32Array
from chimp_assets.acquisition.selectors.candidates import Candidates, Choice


@dataclass(frozen=True)
class AnchorNeighbours:
    """Tracks most like the few named tracks of an individual (SEALS, arXiv 2007.00077; AnchorAL, 2404.05623).

    anchor_of: i32 [m], the individual that each candidate is a neighbour of. The individuals take turns, in ascending
    order of anchor_of. Nothing is drawn: the propensity is 1. emb, cell and top1 are not used.
    """

    anchor_of: I32Array

    def select(self, candidates: Candidates, b: int, rng: np.random.Generator) -> Choice:
        """See `Selector`."""
        rows = candidates.rows
        best = np.lexsort((rows, candidates.score))
        turn = np.empty(len(rows), np.int64)
        turn[best] = counts_before(self.anchor_of[best])
        chosen = np.lexsort((rows, self.anchor_of, turn))[:b]
        return Choice(chosen, np.ones(len(chosen)))
