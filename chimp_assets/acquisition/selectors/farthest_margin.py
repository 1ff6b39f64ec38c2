"""`FarthestMargin`: the smallest margins, far from everything that was asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chimp_assets.acquisition.pool import F16Array
from chimp_assets.acquisition.selectors.candidates import Candidates, Choice

ASKED_AT_ONCE = 512
"""Asked tracks with which all candidates are compared at once: 50,000 candidates take 100 MB."""


@dataclass(frozen=True)
class FarthestMargin:
    """The smallest margins, spread by the greedy rule of Core-Set (Sener and Savarese 2018, arXiv 1708.00489).

    The `nearest` candidates with the smallest score are kept. Each pick is the candidate least like the asked track
    that it is most like; earlier picks count as asked. asked: f16 [a, D], length 1, tracks that were asked before;
    those that are not finite are left out. Nothing is drawn: the propensity is 1. cell and top1 are not used.
    Time O(nearest (a + b) D).
    """

    asked: F16Array
    nearest: int

    def select(self, candidates: Candidates, b: int, rng: np.random.Generator) -> Choice:
        """See `Selector`."""
        close = np.lexsort((candidates.rows, candidates.score))[: self.nearest]
        vectors = candidates.emb[close].astype(np.float32)
        alike = np.full(len(close), -np.inf, np.float32)  # without an asked track the smallest score comes first
        for low in range(0, len(self.asked), ASKED_AT_ONCE):
            asked = self.asked[low : low + ASKED_AT_ONCE].astype(np.float32)
            asked = asked[np.isfinite(asked).all(axis=1)]
            if len(asked):
                alike = np.maximum(alike, (vectors @ asked.T).max(axis=1))
        chosen = np.empty(min(b, len(close)), np.int64)
        for n in range(len(chosen)):
            chosen[n] = at = int(np.argmin(alike))
            alike = np.maximum(alike, vectors @ vectors[at])
            alike[at] = np.inf
        return Choice(close[chosen], np.ones(len(chosen)))
