"""What replays say: minutes of each policy, against random's of the same seed, beside targets.

Belongs here: medians, ratios, targets, the table. Does not belong here: replays (`replay`).
"""

from __future__ import annotations

import math

import numpy as np

from benchmarks.minutes.replay import Run

TARGETS = {
    ("cow", "ideal"): 0.62,
    ("chimpanzee", "ideal"): 0.80,
    ("cow", "promise"): 0.70,
    ("chimpanzee", "promise"): 0.90,
}
"""Largest ratio of the product's minutes to random's, by crops and end."""
RESAMPLED = 1_000
AGAINST = "random"


def ratio(minutes: np.ndarray, random: np.ndarray, seed: int = 0) -> tuple[float, float, float]:
    """Median minutes over random's median, with a 95 % bootstrap over seeds, which are the same for both."""
    rng = np.random.default_rng(seed)
    draws = rng.integers(len(minutes), size=(RESAMPLED, len(minutes)))
    found = np.median(minutes[draws], axis=1) / np.median(random[draws], axis=1)
    low, high = np.quantile(found, [0.025, 0.975])
    return float(np.median(minutes) / np.median(random)), float(low), float(high)


def summary(runs: dict[str, list[Run]]) -> dict[str, dict[str, float | list[float] | None]]:
    """Of each policy medians and means over seeds. runs: of each policy one for each seed."""
    found: dict[str, dict[str, float | list[float] | None]] = {}
    for name, own in runs.items():
        minutes = np.array([run.minutes for run in own])
        against = np.array([run.minutes for run in runs[AGAINST]])
        found[name] = {
            "minutes": _number(np.median(minutes)),
            "ratio": [round(x, 3) for x in ratio(minutes, against)]
            if np.isfinite([*minutes, *against]).all()
            else None,
            "answers": float(np.median([run.answers for run in own])),
            "pages": float(np.mean([run.pages for run in own])),
            "audits": float(np.mean([run.audits for run in own])),
            "looks": float(np.mean([run.looks for run in own])),
            "volunteer_minutes": round(float(np.median([run.volunteer_minutes for run in own])), 1),
            "error": round(float(np.mean([run.error for run in own])), 4),
            "ended": float(np.mean(np.isfinite(minutes))),
        }
    return found


def accuracy_at(run: Run, minutes: np.ndarray) -> np.ndarray:
    """Plain and macro accuracy over the pool at these minutes: f64 [m, 2]. Before the first head: 0."""
    if not len(run.curve):
        return np.zeros((len(minutes), 2))
    return np.stack([np.interp(minutes, run.curve[:, 0], run.curve[:, c], left=0.0) for c in (1, 2)], axis=1)


def beyond_margin(
    product: list[Run], margin: list[Run], shares: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0)
) -> list[list[float]]:
    """Plain and macro accuracy of the product less margin's, mean over seeds, at shares of margin's minutes."""
    rows = []
    for share in shares:
        each = [
            (accuracy_at(p, np.array([share * m.curve[-1, 0]])) - accuracy_at(m, np.array([share * m.curve[-1, 0]])))[0]
            for p, m in zip(product, margin, strict=True)
        ]
        rows.append([share, *(round(float(x), 4) for x in np.mean(each, axis=0))])
    return rows


def _heads(*names: str) -> str:
    return "".join(f"{name:>8}" for name in names)


def _number(value: float) -> float | None:
    return round(float(value), 2) if math.isfinite(value) else None


def show(found: dict[str, dict[str, float | list[float] | None]], crops: str, end: str, target: float | None) -> None:
    """A table for people; the product's ratio beside its target."""
    print(f"{crops}, end: {end}")
    print(
        f"{'':20}{'minutes':>9}{'of random':>22}{'answers':>9}" + _heads("pages", "audits", "looks", "others", "error")
    )
    for name, one in found.items():
        r = one["ratio"]
        of = f"{r[0]:.2f} ({r[1]:.2f} to {r[2]:.2f})" if isinstance(r, list) else "not all ended"
        minutes = "never" if one["minutes"] is None else f"{one['minutes']:.1f}"
        print(
            f"{name:20}{minutes:>9}{of:>22}{one['answers']:>9.0f}{one['pages']:>8.1f}{one['audits']:>8.1f}"
            f"{one['looks']:>8.1f}{one['volunteer_minutes']:>8.1f}{one['error']:>8.4f}"
        )
        if name == "product" and target is not None and isinstance(r, list):
            print(f"{'':20}target: at most {target:.2f} of random's: {'reached' if r[0] <= target else 'MISSED'}")
