"""Many comparisons at once: p-values that may be read as if there were one.

Belongs here: adjusted p-values. Does not belong here: intervals that hold together (`blocks.simultaneous`), what is
compared.
"""

from __future__ import annotations

import numpy as np


def holm(p: np.ndarray) -> np.ndarray:
    """Adjusted p-values f64 [n] of p f64 [n] in [0, 1]: those at most a are false in any way in at most a of families.

    Holm 1979, "A simple sequentially rejective multiple test procedure"; any dependence.
    """
    p = np.asarray(p, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return _in_place(np.minimum(steps, 1), order)


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """Adjusted p-values f64 [n] of p f64 [n] in [0, 1]: of those at most a, a share of a is false on average.

    Benjamini and Hochberg 1995, "Controlling the false discovery rate"; independent or positively dependent p-values.
    """
    p = np.asarray(p, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    steps = p[order] * len(p) / np.arange(1, len(p) + 1)
    return _in_place(np.minimum(np.minimum.accumulate(steps[::-1])[::-1], 1), order)


def _in_place(adjusted: np.ndarray, order: np.ndarray) -> np.ndarray:
    found = np.empty_like(adjusted)
    found[order] = adjusted
    return found
