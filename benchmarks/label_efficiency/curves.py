"""What the curves of a replay say: labels saved, accuracy reached, with intervals; as numbers, a table, a plot.

Belongs here: reading and drawing curves. Does not belong here: making them (`replay`).
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

MEASURES = ("labels", "pool", "macro", "future", "found", "seconds")
"""Columns of a curve."""
RESAMPLED = 1_000


def reached(curve: np.ndarray, column: int, goal: float) -> float:
    """Labels at which the running maximum of a mean curve f64 [rounds, MEASURES] reaches a goal; inf if never."""
    best = np.maximum.accumulate(curve[:, column])
    if best[-1] < goal:
        return math.inf
    at = int(np.argmax(best >= goal))
    if at == 0:
        return float(curve[0, 0])
    share = (goal - best[at - 1]) / (best[at] - best[at - 1])
    return float(curve[at - 1, 0] + share * (curve[at, 0] - curve[at - 1, 0]))


def summary(curves: dict[str, np.ndarray], seed: int = 0) -> dict[str, dict[str, list[float | None]]]:
    """Measures of each strategy: [value, low, high]. curves: f64 [seeds, rounds, MEASURES], one of random-track."""
    n = len(next(iter(curves.values())))
    rng = np.random.default_rng(seed)
    draws = [np.arange(n), *(rng.integers(n, size=n) for _ in range(RESAMPLED if n > 1 else 0))]
    values: dict[str, dict[str, list[float]]] = {name: {} for name in curves}
    for draw in draws:
        means = {name: curve[draw].mean(axis=0) for name, curve in curves.items()}
        random = means["random-track"]
        for name, mean in means.items():
            found = {
                "ratio": reached(mean, 1, random[:, 1].max()) / random[-1, 0],
                "ratio_macro": reached(mean, 2, random[:, 2].max()) / random[-1, 0],
                "pool": mean[-1, 1],
                "macro": mean[-1, 2],
                "future": mean[-1, 3],
                "area": mean[:, 1].mean(),
                "found": mean[np.searchsorted(mean[:, 0], mean[-1, 0] / 2), 4],
                "seconds": mean[:, 5].mean(),
                "pool_beyond_margin": mean[-1, 1] - means.get("margin", mean)[-1, 1],
                "macro_beyond_margin": mean[-1, 2] - means.get("margin", mean)[-1, 2],
            }
            for key, value in found.items():
                values[name].setdefault(key, []).append(float(value))
    intervals: dict[str, dict[str, list[float | None]]] = {}
    for name, found_ in values.items():
        intervals[name] = {}
        for key, all_values in found_.items():
            ordered = np.sort(all_values[1:] or all_values)
            low, high = (ordered[round(q * (len(ordered) - 1))] for q in (0.025, 0.975))
            intervals[name][key] = [_rounded(all_values[0]), _rounded(low), _rounded(high)]
    return intervals


def _rounded(value: float) -> float | None:
    return round(float(value), 4) if math.isfinite(value) else None


def draw(curves: dict[str, np.ndarray], file: Path, title: str) -> None:
    """Pool and macro accuracy by labels, mean and 95 % of the mean over seeds."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    for axes, column in zip(figure.subplots(1, 2), (1, 2), strict=True):
        for name, curve in curves.items():
            mean = curve.mean(axis=0)
            half = 1.96 * curve[:, :, column].std(axis=0) / math.sqrt(len(curve))
            (line,) = axes.plot(mean[:, 0], mean[:, column], label=name, linewidth=2 if name == "product" else 1)
            axes.fill_between(
                mean[:, 0], mean[:, column] - half, mean[:, column] + half, alpha=0.15, color=line.get_color()
            )
        axes.set_xlabel("labels")
        axes.set_ylabel(f"{MEASURES[column]} accuracy")
    axes.legend(frameon=False, fontsize=8)
    figure.suptitle(title)
    figure.savefig(file)


def show(intervals: dict[str, dict[str, list[float | None]]]) -> None:
    """A table for people."""
    shown = ("pool", "macro", "future", "area")
    head = "".join(f"{name:>8}" for name in shown)
    print(f"{'':16}{'ratio':>23}{'ratio macro':>23}{head}{'found':>7}{'CPU s':>8}")
    for name, one in intervals.items():
        cells = [
            " to ".join("never" if v is None else f"{v:.2f}" for v in one[key][1:]) for key in ("ratio", "ratio_macro")
        ]
        firsts = ["never" if one[key][0] is None else f"{one[key][0]:.2f}" for key in ("ratio", "ratio_macro")]
        print(
            f"{name:16}"
            + "".join(f"{first:>7} ({cell:>14})" for first, cell in zip(firsts, cells, strict=True))
            + "".join(f"{one[key][0] or 0:8.3f}" for key in shown)
            + f"{one['found'][0] or 0:7.1f}{one['seconds'][0] or 0:8.3f}"
        )
