"""`NovelCells`: the densest track of each cell that the head finds strange and nobody has named."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chimp_assets.acquisition.pool import I64Array
from chimp_assets.acquisition.selectors.candidates import NO_CHOICE, Candidates, Choice
from chimp_assets.acquisition.selectors.cell_turns import in_turns


@dataclass(frozen=True)
class NovelCells:
    """The densest track of each cell that the head finds strange and nobody has named: new individuals.

    load: i64 [cells], named tracks of each cell; score: max-logit. Cells without a named track come first, then the
    larger ones: one odd picture is mostly a bad picture, several that look alike are an animal. A cell of one comes
    last. Nothing is drawn: the propensity is 1. top1 is not used.
    """

    load: I64Array

    def select(self, candidates: Candidates, b: int, rng: np.random.Generator) -> Choice:
        """See `Selector`."""
        if len(candidates) == 0:
            return NO_CHOICE
        size = np.bincount(candidates.cell, minlength=len(self.load))
        total = np.bincount(candidates.cell, weights=candidates.score, minlength=len(self.load))
        strangeness = total / np.maximum(1, size)
        return in_turns(candidates, self.load, (size == 1, -size, strangeness), b, rng)
