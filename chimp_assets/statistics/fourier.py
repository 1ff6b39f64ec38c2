"""Whether two sets of vectors are alike, from sums of random Fourier features: one sum for each block.

Belongs here: the features, their sums by block, the distance of two sets of blocks, its p-value by permutation of
blocks. Does not belong here: the order of days and alarms (`detectors`), where vectors come from (`monitoring.blocks`).

Vectors of one clip or camera-day share light, place and company, so that single vectors may not be exchanged for one
another: permuted by track, more than half of the tests without any drift say "drift". Blocks are what is permuted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chimp_assets.arrays import BoolArray, F32Array, F64Array, I64Array

FEATURES = 256
"""Numbers of a sum. Twice as many find nothing more on crops of cows."""
WIDTHS = (0.3, 0.6, 1.2)
"""Standard deviations of the Gaussian kernels that are mixed, for vectors of length one, whose distances lie between 0
and 2. A fixed mixture needs no vectors to choose a width by: the same embedder has the same features for ever."""
SMALL_BLOCK = 4.0
"""Vectors at which a block counts half as much as one with very many: see `weights`."""
PERMUTATIONS = 999
_ROWS = 8192
_SEED = 0x5EED


@dataclass(frozen=True)
class FourierFeatures:
    """Random Fourier features of a mixture of Gaussian kernels (Rahimi and Recht 2007).

    frequencies: f32 [d, FEATURES / 2]. A vector's features are cosines and sines of its products with them, of length
    one all together, so that the product of two vectors' features is about their kernel.
    """

    frequencies: F32Array

    @classmethod
    def of(cls, embedder: int, dimensions: int, features: int = FEATURES) -> FourierFeatures:
        """The features of an embedder: its key and dimensions are the seed."""
        if dimensions < 1 or features < 2 or features % 2:
            raise ValueError(f"{dimensions} dimensions and {features} features: at least one, and an even number")
        rng = np.random.default_rng([_SEED, embedder, dimensions])
        drawn = rng.standard_normal((dimensions, features // 2))
        width = np.resize(np.array(WIDTHS), features // 2)
        return cls((drawn / width).astype(np.float32))

    @property
    def n_features(self) -> int:
        """Features of a vector."""
        return 2 * self.frequencies.shape[1]

    def of_vectors(self, vectors: F32Array) -> F32Array:
        """Features f32 [n, n_features] of vectors [n, d] of any float type."""
        angle = np.asarray(vectors, np.float32) @ self.frequencies
        found: F32Array = np.concatenate([np.cos(angle), np.sin(angle)], axis=1)
        found /= np.float32(np.sqrt(self.frequencies.shape[1]))
        return found

    def sums(self, vectors: F32Array, block: I64Array, blocks: int) -> tuple[F64Array, I64Array]:
        """Sums f64 [blocks, n_features] and numbers i64 [blocks] of the vectors of each block.

        vectors: [n, d]; block: i64 [n] in 0..blocks-1. Memory: features of some thousand vectors at once.
        """
        found = np.zeros((blocks, self.n_features))
        for start in range(0, len(block), _ROWS):
            part = block[start : start + _ROWS]
            order = np.argsort(part, kind="stable")
            features = self.of_vectors(vectors[start : start + _ROWS][order])
            there, first = np.unique(part[order], return_index=True)
            found[there] += np.add.reduceat(features, first, axis=0)
        return found, np.bincount(block, minlength=blocks)


def block_means(sums: F64Array, n: I64Array) -> F64Array:
    """Mean features f64 [b, f] of blocks: sums [b, f], n [b] vectors in each. Raises ValueError for an empty block."""
    if len(n) and n.min() < 1:
        raise ValueError("a block without vectors has no mean")
    return np.asarray(sums, np.float64) / np.asarray(n, np.float64)[:, None]


def weights(n: I64Array) -> F64Array:
    """How much each block counts, f64 [b]: more vectors say more, but those of one block say nearly the same."""
    return np.asarray(n / (n + SMALL_BLOCK), np.float64)


def block_mmd(sums: F64Array, n: I64Array, new: BoolArray) -> float:
    """Squared maximum mean discrepancy of the new blocks and the others (Gretton et al. 2012), V-statistic, 0 or more.

    sums: [b, f], n: i64 [b], new: bool [b]. Blocks are weighed by `weights`. Raises ValueError where one side is empty.
    """
    return float(_discrepancies(block_means(sums, n), weights(n), new[None, :].astype(np.float64))[0])


def block_test(
    sums: F64Array, n: I64Array, new: BoolArray, rng: np.random.Generator, permutations: int = PERMUTATIONS
) -> tuple[float, float]:
    """`block_mmd` and its p-value: how often blocks in random order are as far apart, with +1 above and below.

    Valid, exactly, where blocks can be exchanged for one another if nothing changed. Permutations that exchange whole
    blocks keep what is alike inside of them. Costs permutations x blocks x features products: 0.2 s for 999 x 6,000.
    """
    means, weight = block_means(sums, n), weights(n)
    found = _discrepancies(means, weight, new[None, :].astype(np.float64))[0]
    others = _discrepancies(means, weight, _shuffled(new, rng, permutations))
    at_least = int((others >= found * (1 - 1e-5)).sum())
    return float(found), (1 + at_least) / (1 + permutations)


def largest_test(
    values: F64Array, new: BoolArray, rng: np.random.Generator, permutations: int = PERMUTATIONS
) -> tuple[F64Array, float]:
    """How far the means of several signals lie apart, in standard errors [s], and one p-value for the largest.

    values: f64 [b, s], one row for each block; new: bool [b]. The p-value is that of the largest of the s under
    permutation of blocks: however many signals are looked at, nothing is to be corrected.
    """
    centred = values - values.mean(0)
    scale = centred.std(0)
    centred = centred / np.where(scale > 0, scale, 1.0)
    of = np.concatenate([new[None, :].astype(np.float64), _shuffled(new, rng, permutations)])
    n = new.sum()
    apart = np.abs((of @ centred) * (1 / n + 1 / (len(new) - n))) / np.sqrt(1 / n + 1 / (len(new) - n))
    largest = apart.max(1)
    return apart[0], float(1 + (largest[1:] >= largest[0] * (1 - 1e-9)).sum()) / (1 + permutations)


def _shuffled(new: BoolArray, rng: np.random.Generator, permutations: int) -> F32Array:
    """As many blocks as are new, drawn at random: f32 [permutations, b], 1 for a drawn one."""
    k, b = int(new.sum()), len(new)
    drawn = np.zeros((permutations, b), np.float32)
    keys = rng.random((permutations, b), dtype=np.float32)
    np.put_along_axis(drawn, np.argpartition(keys, k - 1, axis=1)[:, :k], np.float32(1), axis=1)
    return drawn


def _discrepancies(means: F64Array, weight: F64Array, new: F64Array | F32Array) -> F64Array:
    """Squared distances f64 [p] of the weighted means of the new and of the other blocks, for rows of new [p, b]."""
    if not new[0].any() or new[0].all():
        raise ValueError("both sides of a comparison need a block")
    weighted = (weight[:, None] * means).astype(np.float32)
    total, mass = weighted.sum(0, dtype=np.float64), weight.sum()
    inside = new.astype(np.float32) @ weighted
    share = (new @ weight.astype(new.dtype))[:, None]
    apart = inside / share - (total - inside) / (mass - share)
    return np.asarray(np.einsum("pf,pf->p", apart, apart), np.float64)
