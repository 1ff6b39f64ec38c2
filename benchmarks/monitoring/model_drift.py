"""How soon a fall of the champion's accuracy is found, and how often one is found that is none.

`python -m benchmarks.monitoring.model_drift [RUNS]`: falls from 85 % of the audit, by 10 and 20 points and by none,
with a reference that is known and with one that is the share of 100 or 400 earlier answers. Foils: Wilson's interval
looked at every 25 answers, and "always alarm".
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np

from chimp_assets.arrays import F64Array
from chimp_assets.monitoring.answers.falls import PROOF, fall_path
from chimp_assets.statistics.anytime import fall_evidence
from chimp_assets.statistics.shares import wilson

ACCURACY = 0.85
LONGEST = 1000
LOOK = 25

FirstAlarm = Callable[[F64Array, int], int]
"""Answers after the fall until the alarm, of answers f64 [n] whose first k are of before; LONGEST + 1: none."""


def known(x: F64Array, k: int) -> int:
    return _first(fall_evidence(x[k:], ACCURACY), 0)


def earlier(x: F64Array, k: int) -> int:
    return _first(fall_path(x), k)


def wilson_every_look(x: F64Array, k: int) -> int:
    for n in range(LOOK, len(x) - k + 1, LOOK):
        if wilson(int(x[k : k + n].sum()), n)[1] < ACCURACY:
            return n
    return LONGEST + 1


def always(x: F64Array, k: int) -> int:
    return 1


def delays(alarm: FirstAlarm, before: int, fall: float, runs: int, rng: np.random.Generator) -> np.ndarray:
    """Answers until the alarm, i64 [runs]; 0 or less is an alarm before the fall."""
    found = []
    for _ in range(runs):
        x = np.concatenate([rng.random(before) < ACCURACY, rng.random(LONGEST) < ACCURACY - fall]).astype(np.float64)
        found.append(alarm(x, before))
    return np.array(found)


def main(runs: int = 300) -> None:
    """Prints a line for each way of looking."""
    rng = np.random.default_rng(0)
    print(f"{'':34} {'10 points: median':>18} {'90 %':>6} {'20 points: median':>18} {'90 %':>6} {'false':>7}")
    ways: list[tuple[str, FirstAlarm, int]] = [
        ("reference known", known, 0),
        ("reference of 400 answers", earlier, 400),
        ("reference of 100 answers", earlier, 100),
        ("foil: Wilson, every 25 answers", wilson_every_look, 0),
        ("foil: always alarm", always, 0),
    ]
    for name, alarm, before in ways:
        ten, twenty, none = (delays(alarm, before, fall, runs, rng) for fall in (0.1, 0.2, 0.0))
        print(
            f"{name:34} {np.median(ten):18.0f} {np.quantile(ten, 0.9):6.0f} {np.median(twenty):18.0f}"
            f" {np.quantile(twenty, 0.9):6.0f} {np.mean(none <= LONGEST):7.1%}"
        )
    print(f"target (reference known)           {134:18} {300:6} {57:18} {'':6} {0.01:7.1%}")


def _first(evidence: F64Array, before: int) -> int:
    over = np.flatnonzero(evidence >= PROOF)
    return int(over[0]) + 1 - before if len(over) else LONGEST + 1


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:2]))
