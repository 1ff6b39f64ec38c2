"""Scores of a few tracks: margins, class probabilities, and the arithmetic on logits behind them.

Belongs here: numpy on at most one chunk of embeddings. Does not belong here: the pass over a whole pool (`pool_pass`),
which tracks are asked (`selectors`), fitting a head (`chimp_assets.vision.identity.head`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from chimp_assets.acquisition.pool import CHUNK_ROWS, F16Array, F32Array, I32Array, I64Array, LinearHead, TrackPool

_EXPONENT = np.int16(0x7C00)  # all ones: not finite
_SIGN_AND_MOVED = np.int32(-0x7000_2000)  # 0x8FFFE000: f32's sign, and f16's other 15 bits moved up by 13
_BIASES_APART = np.float32(2.0**112)  # 2 ** (127 - 15)

_ROUNDING = np.float32(1e-4)  # of sums of hundreds of f32, with room
_TINY = np.float32(1e-20)


class MarginScores(NamedTuple):
    """margin f32 [n] in [0, 1], top1 i32 [n] class numbers, maxlogit f32 [n] before the temperature."""

    margin: F32Array
    top1: I32Array
    maxlogit: F32Array


class TopTwo(NamedTuple):
    """Logits of n rows, and the two largest of each."""

    logits: F32Array  # [n, C], over the temperature; the largest of each row is overwritten with -inf
    total: F32Array  # sums of each row, and of squares, the largest included
    squares: F32Array
    first: F32Array
    second: F32Array
    top1: I32Array


def score(emb: F16Array, head: LinearHead) -> MarginScores:
    """Margins of calibrated class probabilities, the first choice and its logit. emb: f16 [n, D], n <= 16,384.

    A margin is the probability of the first choice minus that of the second (Scheffer 2001); a row that is not finite
    gets nan. Raises ValueError if C < 2 or n is more than one chunk: callers stream.
    For notebooks and tests: a plan computes margins in its pass.
    """
    if len(emb) > CHUNK_ROWS:
        raise ValueError(f"{len(emb)} rows at once; a chunk has at most {CHUNK_ROWS}")
    top = top_two(emb.astype(np.float32), *scaled(head))
    return MarginScores(margins(top, np.arange(len(emb))), top.top1, top.first * np.float32(head.temperature))


def class_probabilities(emb: F16Array, head: LinearHead) -> F32Array:
    """Calibrated probabilities of all classes, for a few rows. emb: f16 [n, D], n <= 16,384; returns f32 [n, C]."""
    if len(emb) > CHUNK_ROWS:
        raise ValueError(f"{len(emb)} rows at once; a chunk has at most {CHUNK_ROWS}")
    logits = (emb.astype(np.float32) @ head.weight.T + head.bias) / np.float32(head.temperature)
    logits -= logits.max(axis=1, keepdims=True)
    probability: F32Array = np.exp(logits)
    probability /= probability.sum(axis=1, keepdims=True)
    return probability


def margins_of(pool: TrackPool, head: LinearHead, rows: I64Array) -> F32Array:
    """Margins of a few rows: p1 - p2. f32 [m]."""
    found = [np.empty(0, np.float32)]
    for low in range(0, len(rows), 1024):
        two = np.partition(class_probabilities(pool.emb[rows[low : low + 1024]], head), -2, axis=1)[:, -2:]
        found.append(two[:, 1] - two[:, 0])
    return np.concatenate(found)


def as_f32(emb: F16Array) -> F32Array:
    """The same numbers, seven times as fast as numpy turns half precision into single. Any shape, in C order.

    The exponent and the fraction move to their places in f32 and the difference of the two biases is multiplied out,
    which is exact, subnormal numbers included; what is not finite goes numpy's way.
    """
    bits = np.ascontiguousarray(emb).view(np.int16)
    if bits.size and int((bits & _EXPONENT).max()) == _EXPONENT:
        return emb.astype(np.float32)
    wide = bits.astype(np.int32)
    wide <<= 13
    wide &= _SIGN_AND_MOVED
    rows = wide.view(np.float32)
    rows *= _BIASES_APART
    return rows


def scaled(head: LinearHead) -> tuple[F32Array, F32Array]:
    """Weight f32 [D, C] and bias f32 [C] over the temperature. Raises ValueError if C < 2."""
    if head.n_classes < 2:
        raise ValueError(f"a margin needs two classes; this head knows {head.n_classes}")
    temperature = np.float32(head.temperature)
    return np.ascontiguousarray((head.weight / temperature).T), head.bias / temperature


def top_two(emb: F32Array, weight: F32Array, bias: F32Array) -> TopTwo:
    """Logits of rows f32 [n, D] by what `scaled` gave, and the two largest of each row."""
    logits: F32Array = emb @ weight
    logits += bias
    total, squares = logits.sum(axis=1), np.einsum("nc,nc->n", logits, logits)
    row = np.arange(len(logits))
    top1 = logits.argmax(axis=1)
    first = logits[row, top1]
    logits[row, top1] = -np.inf
    return TopTwo(logits, total, squares, first, logits.max(axis=1), top1.astype(np.int32))


def least_margin(top: TopTwo) -> F32Array:
    """A lower bound of each margin. f32 [n]; nan where sums overflow."""
    with np.errstate(over="ignore", invalid="ignore"):
        return (1 - np.exp(top.second - top.first)) / (1 + _others_at_most(top)) * np.float32(0.9999)


def first_probability_within(top: TopTwo) -> tuple[F32Array, F32Array]:
    """Between what the probability of each row's first class lies: two f32 [n]; nan where sums overflow."""
    n_others = np.float32(top.logits.shape[1] - 1)
    with np.errstate(over="ignore", invalid="ignore"):
        # Jensen's inequality: the mean of exp is no less than exp of the mean.
        mean = (top.total - top.first) / n_others - _ROUNDING * np.sqrt(top.squares)
        others: F32Array = np.maximum(np.exp(top.second - top.first), n_others * np.exp(mean - top.first))
        least: F32Array = np.float32(0.9999) / (1 + _others_at_most(top))
        return least, np.float32(1.0001) / (1 + others)


def first_probability(top: TopTwo, rows: I64Array) -> F32Array:
    """The probability of the first class of some rows, from logits whose largest was overwritten with -inf. f32 [m]."""
    probability: F32Array = np.float32(1) / (1 + _others(top, rows))
    return probability


def _others_at_most(top: TopTwo) -> F32Array:
    """An upper bound of the sum of exp(logit - first) over all classes but the first. f32 [n].

    Bennett's inequality (1962): of all numbers up to b with mean m and variance v, exp is the largest on average where
    they take two values, b and m - v / (b - m). Here the numbers are the logits of all classes but the first.
    """
    n_others = np.float32(top.logits.shape[1] - 1)
    mean = (top.total - top.first) / n_others
    power = (top.squares - top.first**2) / n_others
    variance = np.maximum(power - mean**2, 0) + _ROUNDING * top.squares / n_others  # both too large: a lower bound
    below = np.maximum(top.second - mean - _ROUNDING * np.sqrt(top.squares), _TINY)
    share = variance / (variance + below**2)
    low, high = np.exp(top.second - below - variance / below - top.first), np.exp(top.second - top.first)
    most: F32Array = n_others * ((1 - share) * low + share * high)
    return most


def margins(top: TopTwo, rows: I64Array) -> F32Array:
    """(p1 - p2) of some rows, from logits whose largest was overwritten with -inf."""
    margin: F32Array = (1 - np.exp(top.second[rows] - top.first[rows])) / (1 + _others(top, rows))
    return margin


def _others(top: TopTwo, rows: I64Array) -> F32Array:
    """Sums of exp(logit - first) over all classes but the first. f32 [m]."""
    everyone = len(rows) == len(top.first)
    logits = top.logits if everyone else top.logits[rows]
    others: F32Array = np.exp(logits - top.first[rows][:, None]).sum(axis=1)
    return others
