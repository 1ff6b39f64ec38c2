"""`TypicalCells`: the densest track of the largest cell that nobody has been asked about."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chimp_assets.acquisition.pool import I64Array
from chimp_assets.acquisition.selectors.candidates import NO_CHOICE, Candidates, Choice
from chimp_assets.acquisition.selectors.cell_turns import in_turns


@dataclass(frozen=True)
class TypicalCells:
    """The densest track of the largest cell that nobody has been asked about (TypiClust, arXiv 2202.02794).

    load: i64 [cells], tracks of each cell that were asked before. Cells take turns, the least asked first, then the
    largest. Nothing is drawn: the propensity is 1. score and top1 are not used.
    """

    load: I64Array

    def select(self, candidates: Candidates, b: int, rng: np.random.Generator) -> Choice:
        """See `Selector`."""
        if len(candidates) == 0:
            return NO_CHOICE
        size = np.bincount(candidates.cell, minlength=len(self.load))
        return in_turns(candidates, self.load, (-size, np.arange(len(size))), b, rng)
