"""Prints bias and coverage of corrected indices, false changes, and power: `python -m benchmarks.association`.

Belongs here: what is measured. Does not belong here: worlds (`worlds`).
"""

from __future__ import annotations

import time

import numpy as np

from benchmarks.association.worlds import clips, clustered, confusion, counts, named
from chimp_assets.statistics.association.intervals import audit_draws, changes, estimates, sampled
from chimp_assets.statistics.association.misclassification import AuditedNames
from chimp_assets.statistics.association.pairs import of_pairs
from chimp_assets.statistics.association.unit_counts import sums

N, DAYS, A_DAY, ANSWERS, WORLDS = 30, 160, 8.0, 400, 6
PAIRS = 150


def truth(unit: str) -> np.ndarray:
    """Indices of a very long archive with true names: f64 [n, n]."""
    who, clip, day = clips(np.random.default_rng(999), N, 4000, A_DAY)
    found = counts(N, who, clip, day, unit, False)
    index = np.zeros((N, N))
    index[found.a, found.b] = found.met() / sums(found).n.sum(0)
    return index


def bias_and_coverage(unit: str, accuracy: float, index: np.ndarray) -> tuple[float, float, float]:
    """Share of true ties kept by names as they are and by the correction; how often intervals hold the truth."""
    raw, kept, covered = [], [], []
    for seed in range(WORLDS):
        rng = np.random.default_rng(seed)
        who, clip, day = clips(rng, N, DAYS, A_DAY)
        matrix = confusion(rng, N, accuracy)
        asked = who[rng.integers(len(who), size=ANSWERS)]
        audit = AuditedNames(N, asked, named(rng, asked, matrix))
        found = counts(N, named(rng, who, matrix), clip, day, unit, True)
        made = estimates(sampled(found, audit_draws(audit, seed)), None, 400, seed)
        true = index[found.a, found.b]
        ties = true > 0.05
        raw.append(made.sri[ties].sum() / true[ties].sum())
        kept.append(made.value[ties].sum() / true[ties].sum())
        covered.append(((made.low <= true) & (true <= made.high))[ties].mean())
    return float(np.mean(raw)), float(np.mean(kept)), float(np.mean(covered))


def found_changes(tie: float, then: float, alike: float, days: tuple[int, int], seed: int) -> tuple[float, float]:
    """Share of ties that are told to have changed, and the power that is shown for a halved one."""
    rng = np.random.default_rng(seed)
    size = 2 * PAIRS
    a, rows = np.arange(0, size, 2), np.arange(size)
    periods = []
    for many, chance, first in ((days[0], tie, 0), (days[1], then, days[0])):
        who, clip, day = clustered(rng, PAIRS, many, chance, 0.5, alike, first)
        periods.append(of_pairs(counts(size, who, clip, day, "day", False), rows, size, a, a + 1))
    made = changes(sampled(periods[0], None), sampled(periods[1], None), None, 1000, seed)
    return float(((made.low > 0) | (made.high < 0)).mean()), float(made.power.mean())


def main() -> None:
    """Every figure, a line each."""
    began = time.perf_counter()
    for unit in ("clip", "day"):
        index = truth(unit)
        for accuracy in (0.8, 0.9, 0.95):
            raw, kept, covered = bias_and_coverage(unit, accuracy, index)
            print(f"{unit:5} accuracy {accuracy}: as named {raw:.3f}, corrected {kept:.3f}, covered {covered:.3f}")
    for alike in (0.0, 0.3):
        false = [found_changes(0.3, 0.3, alike, (120, 40), seed)[0] for seed in range(4)]
        halved = [found_changes(0.3, 0.15, alike, (120, 40), seed) for seed in range(4)]
        hit, said = np.mean(halved, axis=0)
        print(
            f"days alike {alike}: false changes {np.mean(false):.3f}; halved tie found {hit:.3f}, power said {said:.3f}"
        )
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
