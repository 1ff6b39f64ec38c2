"""`ClusterMargin`: the smallest margins, spread over cells of look-alikes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chimp_assets.acquisition.groups import counts_before
from chimp_assets.acquisition.selectors.candidates import NO_CHOICE, Candidates, Choice


@dataclass(frozen=True)
class ClusterMargin:
    """Cluster-Margin (Citovsky 2021, arXiv 2107.14263): the smallest margins, spread over cells of look-alikes.

    The `nearest` candidates with the smallest score are kept; their cells take turns, the smallest cell first. At most
    `cap` picks share a predicted class while others are left: margins alone ask about the commonest pair again and
    again. The candidates decide how many picks each stratum (the members of a cell with one predicted class) gets; its
    members are then drawn. So the propensity, picks over members of the stratum, is exact.
    """

    nearest: int
    cap: int

    def select(self, candidates: Candidates, b: int, rng: np.random.Generator) -> Choice:
        """See `Selector`."""
        if len(candidates) == 0:
            return NO_CHOICE
        cell, top1 = candidates.cell, candidates.top1
        close = np.lexsort((candidates.rows, candidates.score))[: self.nearest]
        drawn = rng.permutation(close)
        drawn = drawn[np.lexsort((top1[drawn], cell[drawn]))]  # strata together, each in random order
        stratum = np.unique(np.stack([cell[drawn], top1[drawn]]), axis=1, return_inverse=True)[1].astype(np.int32)
        member = counts_before(stratum)
        of_cell = cell[drawn]
        size = np.bincount(of_cell)
        turn = np.empty(len(drawn), np.int64)
        in_turn = np.lexsort((stratum, member, of_cell))
        turn[in_turn] = counts_before(of_cell[in_turn])
        order = np.lexsort((of_cell, size[of_cell], turn))
        of_class = counts_before(top1[drawn[order]])
        # Beyond the cap the classes take turns too, so that what exceeds it is spread as evenly as it can be.
        chosen = order[np.argsort(np.where(of_class < self.cap, 0, of_class), kind="stable")[:b]]
        members, picks = np.bincount(stratum), np.bincount(stratum[chosen], minlength=int(stratum.max()) + 1)
        return Choice(drawn[chosen], picks[stratum[chosen]] / members[stratum[chosen]])
