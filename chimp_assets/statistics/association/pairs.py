"""The same counts for other pairs, or with room for more individuals.

Belongs here: making counts of two periods comparable. Does not belong here: counting (`columns`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from chimp_assets.statistics.association.unit_counts import UnitCounts


def of_pairs(counts: UnitCounts, row: np.ndarray, n: int, a: np.ndarray, b: np.ndarray) -> UnitCounts:
    """Counts of n individuals, row: i64 [counts.n], the new place of each, ascending; a < b: i64 [p], the new pairs,
    ascending, among them every pair that met. Who is not among the old ones was never seen, and is taken as alive."""
    alive = np.ones((len(counts.alive), n), bool)
    alive[:, row] = counts.alive
    met = np.searchsorted(a * n + b, row[counts.a] * n + row[counts.b])
    return replace(
        counts, n=n, alive=alive, member_who=row[counts.member_who], a=a, b=b, met_pair=met[counts.met_pair],
        alone_who=row[counts.alone_who],
    )  # fmt: skip
