"""Balanced multinomial logistic regression with a penalty, in one thread or in chunks of rows on every core.

A large problem (300 classes, 100,000 rows) is fitted in single precision; sums are made in the order of the chunks, so
that the bits do not depend on how many cores there are.

Belongs here: the fit of weights and biases. Does not belong here: its penalty (`cross_validation`), what the logits
mean (`calibration`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import scipy.optimize
from threadpoolctl import threadpool_limits

# Unit vectors are scaled by this before the penalty is applied, so that sensible penalties are around 1.
STRETCH = 4.0
SMALL_PROBLEM = 50_000_000  # rows times dimensions times classes: below it one thread and double precision are faster
FIT_CHUNK = 1_024  # rows of a step of a large fit: its logits stay in the cache
# A large fit ends when an iteration gains less than this share of the loss: some 25 iterations, and the accuracy on
# held-out rows no longer moves (80,000 rows, 300 classes: 0.9126 at 1e-4, 0.9124 at 1e-5).
LARGE_TOLERANCE = 1e-4


def as_input(embedding: np.ndarray, n_classes: int) -> np.ndarray:
    """Vectors [n, d] in the precision of the fit: f32 for a large problem, else f64."""
    large = embedding.size * n_classes >= SMALL_PROBLEM
    return embedding.astype(np.float32 if large else np.float64)


def fit_logistic(
    x: np.ndarray, target: np.ndarray, n_classes: int, l2: float, start: tuple[np.ndarray, np.ndarray] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Weights f64 [C, d] and biases f64 [C] that minimise the balanced cross-entropy plus l2/2 |W|^2.

    x: f64 (small problems, one thread) or f32; every class has a row. start: initial weights and biases.
    """
    n, d = x.shape
    large = x.dtype == np.float32
    # Centred rows: the first steps are not spent on the bias.
    middle = x.mean(0, dtype=np.float64)
    stretched = np.ascontiguousarray((x - middle.astype(x.dtype)) * x.dtype.type(STRETCH))
    count = np.bincount(target, minlength=n_classes)
    weight = (n / (n_classes * count))[target].astype(x.dtype)

    def part(w: np.ndarray, b: np.ndarray, rows: slice) -> tuple[float, np.ndarray, np.ndarray]:
        some, true, much = stretched[rows], target[rows], weight[rows]
        logits = some @ w.T
        logits += b
        logits -= logits.max(axis=1, keepdims=True)
        each = np.arange(len(some))
        of_true = logits[each, true]
        np.exp(logits, out=logits)
        total = logits.sum(axis=1)
        value = float((much * (np.log(total) - of_true)).sum(dtype=np.float64))
        logits *= (much / total)[:, None]
        logits[each, true] -= much
        return value, logits.T @ some, logits.sum(axis=0)

    step = FIT_CHUNK if large else n
    chunks = [slice(low, low + step) for low in range(0, n, step)]
    # Threads do not speed up small products, and slow them tenfold when other processes use the cores.
    with _each_on_its_core(part, chunks if large else []) as in_order:

        def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
            w, b = flat[: n_classes * d].reshape(n_classes, d), flat[n_classes * d :]
            # A tiny penalty on the biases: the softmax is invariant to a constant added to all of them.
            value = 0.5 * l2 * float((w**2).sum()) + 0.5e-3 * float((b**2).sum())
            gradient_w, gradient_b = l2 * w, 1e-3 * b
            for more, of_w, of_b in in_order(w.astype(x.dtype), b.astype(x.dtype), chunks):
                value += more
                gradient_w += of_w
                gradient_b += of_b
            return value, np.concatenate([gradient_w.ravel(), gradient_b])

        at = np.zeros(n_classes * (d + 1))
        if start is not None:
            at = np.concatenate([(start[0] / STRETCH).ravel(), start[1] + start[0] @ middle])
        options = {"maxiter": 60, "ftol": LARGE_TOLERANCE} if large else {"maxiter": 300}
        found = scipy.optimize.minimize(loss, at, jac=True, method="L-BFGS-B", options=options)
    w = found.x[: n_classes * d].reshape(n_classes, d) * STRETCH
    return w, found.x[n_classes * d :] - w @ middle


@contextmanager
def _each_on_its_core(
    part: Callable[[np.ndarray, np.ndarray, slice], tuple[float, np.ndarray, np.ndarray]], chunks: list[slice]
) -> Iterator[Callable[[np.ndarray, np.ndarray, list[slice]], Iterator[tuple[float, np.ndarray, np.ndarray]]]]:
    """A map of part over chunks, with results in their order; without chunks it runs in this thread."""
    with threadpool_limits(1):
        if not chunks:
            yield lambda w, b, rows: (part(w, b, some) for some in rows)
            return
        with ThreadPoolExecutor(min(len(chunks), len(os.sched_getaffinity(0)))) as pool:
            yield lambda w, b, rows: pool.map(lambda some: part(w, b, some), rows)
