"""Vectors of the crops of a replay: learned without labels at first, later from the names that the expert gave.

Belongs here: what stands in for the product's embedders. Does not belong here: what is asked with them (`strategies`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from chimp_assets.vision.embedding.backbones import pretrained_network
from chimp_assets.vision.embedding.metric_learning import Crops, Recipe, learn
from chimp_assets.vision.embedding.patches import Patches
from chimp_assets.vision.embedding.self_supervision import fit_projection, principal_axes

DIMENSIONS = 128


class CropVectors:
    """Vectors of all crops of a seed: learned without labels, and learned again from names."""

    def __init__(self, pictures: np.ndarray, pool: np.ndarray, seed: int, from_zero: bool) -> None:
        self._pictures, self._seed, self._from_zero = pictures, seed, from_zero
        patches = Patches()
        patches.learn(pictures[pool], seed)
        self._described = patches.describe(pictures)
        if not from_zero:
            network = pretrained_network()
            assert network is not None
            self._described = np.concatenate([self._described, network.describe(pictures)], axis=1)
        centred = self._described - self._described[pool].mean(axis=0)
        axes = principal_axes(self._described[pool], 2_000)
        seen = centred @ axes.T
        # Half-way whitened: neither does the first axis drown all others nor does noise count like signal.
        scale = seen[pool].std(axis=0)
        self._plain = (seen / np.sqrt(np.maximum(scale, 1e-6)))[:, :DIMENSIONS].astype(np.float32)

    def without_labels(self) -> np.ndarray:
        """f32 [n, D]."""
        return _unit(self._plain)

    def with_names(self, rows: np.ndarray, names: np.ndarray, group: np.ndarray, views: int) -> np.ndarray:
        """Vectors of all crops that learned from some: f32 [n, D]."""
        if views:
            recipe = replace(Recipe(), epochs=0, min_views=views, pretrained=not self._from_zero)
            return learn(Crops(self._pictures[rows], names, group=group), recipe, seed=self._seed).embedder.embed(
                self._pictures
            )
        mean, weight = fit_projection(self._described[rows], names, DIMENSIONS // 2, 2_000)
        taught = _unit((self._described - mean) @ weight.T)
        return _unit(np.concatenate([_unit(self._plain[:, : DIMENSIONS // 2]), 2 * taught], axis=1))


def _unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.maximum(1e-9, np.linalg.norm(rows, axis=1, keepdims=True))).astype(np.float32)
