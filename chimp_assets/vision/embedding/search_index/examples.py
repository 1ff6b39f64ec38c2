"""Examples of what is wanted, and of what is not, as one vector to ask with.

Belongs here: folding. Does not belong here: where the vectors come from (`scan`).
"""

from __future__ import annotations

import numpy as np

OTHERS = 200
"""Tracks drawn at random that stand for the archive where examples of what is not wanted are given."""
RIDGE = 0.1
"""Small beside the weight of the wanted (1), so that what is not wanted can turn the question; with none the answer
would follow single examples."""


def question_of(wanted: np.ndarray, unwanted: np.ndarray, others: np.ndarray) -> np.ndarray:
    """f32 [d], of length 1: what the tracks that are looked for have in common.

    wanted f32 [p, d], p >= 1, unwanted f32 [n, d], others f32 [m, d]: unit vectors. One wanted is its own vector,
    several are their mean. With unwanted: the weights of a ridge regression on wanted (1) against unwanted and others
    (0), each of the three counting as much as the next; a linear score over all tracks is a scan with those weights
    (exemplar classifiers: Malisiewicz, Gupta and Efros 2011). Raises ValueError without a wanted one.
    """
    if not len(wanted):
        raise ValueError("There is no example of what is wanted.")
    if not len(unwanted):
        return _unit(wanted.mean(axis=0))
    kinds = [kind.astype(np.float64) for kind in (wanted, unwanted, others) if len(kind)]
    rows = np.concatenate(kinds)
    weight = np.concatenate([np.full(len(kind), 1 / len(kind)) for kind in kinds])
    target = np.r_[np.ones(len(wanted)), np.zeros(len(rows) - len(wanted))]
    middle = weight @ rows / weight.sum()
    centred = rows - middle
    spread = (centred * weight[:, None]).T @ centred
    pull = (centred * weight[:, None]).T @ (target - weight @ target / weight.sum())
    return _unit(np.linalg.solve(spread + RIDGE * np.eye(rows.shape[1]), pull))


def _unit(vector: np.ndarray) -> np.ndarray:
    length = float(np.linalg.norm(vector))
    return (vector / length if length else vector).astype(np.float32)
