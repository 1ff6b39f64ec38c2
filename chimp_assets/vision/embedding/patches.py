"""A description of crops by small patches, with dictionaries learned from the archive without labels.

Coates and Ng (2011): patches are normalised in light and contrast and whitened; k-means finds the common ones; a crop
is described by how much of each there is in each field of a grid. From a few hundred crops this distinguishes animals
better than a network trained from zero, at a fraction of the work. Patches of several sizes capture different things:
the skin of a face, the markings of a coat.

Belongs here: the dictionaries, how they are learned, the description by them, in torch, the same on every device.
Does not belong here: learning with names (`metric_learning`), the description that needs no learning (`descriptor`).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

SCALES = ((6, 32), (10, 24), (6, 16))
"""Sides of a patch and of the crop that it is cut from, in pixels."""
ATOMS = 128
GRID = 4  # fields of a crop, each way
THRESHOLD = 0.2  # cosine below which a patch does not resemble an atom

ROUNDS = 10
SAMPLED = 60_000  # patches that a dictionary is learned from
MOST_PER_CROP = 400
CONTRAST_FLOOR = 0.02  # of patches, in 0..1: sensor noise on a dark wall is not texture
WHITENING_FLOOR = 0.1


class Patches(nn.Module):
    """Crops to descriptions: a block of `2 * atoms * GRID^2` numbers for each scale, its length is its weight."""

    weight: Tensor

    def __init__(self, atoms: int = ATOMS) -> None:
        super().__init__()
        self.atoms = atoms
        for number, (side, _) in enumerate(SCALES):
            self.register_buffer(f"mean_{number}", torch.zeros(3 * side**2))
            self.register_buffer(f"whitening_{number}", torch.zeros(3 * side**2, 3 * side**2))
            self.register_buffer(f"atoms_{number}", torch.zeros(atoms, 3 * side**2))
        self.register_buffer("weight", torch.ones(len(SCALES)))

    @property
    def block(self) -> int:
        """Numbers of one scale."""
        return 2 * self.atoms * GRID**2

    @property
    def n_features(self) -> int:
        """Numbers of a crop."""
        return len(SCALES) * self.block

    def forward(self, pictures: Tensor) -> Tensor:
        """Descriptions of crops. pictures: f32 [n, 3, s, s] in 0..1; returns f32 [n, n_features]."""
        return torch.cat([self.weight[number] * self._described(pictures, number) for number in range(len(SCALES))], 1)

    def _described(self, pictures: Tensor, number: int) -> Tensor:
        """One scale, of length one or zero. Similarity to an atom and to its negative count separately: bright on dark
        is not dark on bright."""
        mean, whitening, atoms = (getattr(self, f"{name}_{number}") for name in ("mean", "whitening", "atoms"))
        whitened = functional.normalize((_patches(pictures, *SCALES[number]) - mean) @ whitening, dim=2)
        likeness = (whitened @ atoms.T).transpose(1, 2)
        fields = math.isqrt(likeness.shape[2])
        likeness = likeness.reshape(len(pictures), -1, fields, fields)
        both = [
            functional.adaptive_avg_pool2d((sign * likeness - THRESHOLD).clamp(min=0), GRID).flatten(1)
            for sign in (1, -1)
        ]
        # The root keeps a common patch from dominating (Hellinger; Arandjelovic and Zisserman 2012).
        return functional.normalize(torch.sqrt(torch.cat(both, 1)), dim=1)

    def describe(self, crops: np.ndarray) -> np.ndarray:
        """u8 [n, s, s, 3] RGB to f32 [n, n_features]."""
        return described(self, crops, self.n_features)

    def learn(self, crops: np.ndarray, seed: int) -> None:
        """Learn the dictionaries from crops u8 [n, s, s, 3]: k-means on the sphere. Equal seeds give equal bits."""
        for number, (side, crop_side) in enumerate(SCALES):
            rng = np.random.default_rng((seed, number))
            learned = _dictionary(_sampled(crops, side, crop_side, rng), self.atoms, rng)
            for name, value in zip(("mean", "whitening", "atoms"), learned, strict=True):
                getattr(self, f"{name}_{number}").copy_(torch.from_numpy(value))


def _sampled(crops: np.ndarray, side: int, crop_side: int, rng: np.random.Generator) -> np.ndarray:
    each = min(MOST_PER_CROP, max(4, SAMPLED // max(1, len(crops))))
    parts = []
    for start in range(0, len(crops), 64):
        some = _patches(_as_tensor(crops[start : start + 64]), side, crop_side).flatten(0, 1).numpy()
        wanted = min(len(some), each * len(crops[start : start + 64]))
        parts.append(some[rng.choice(len(some), wanted, replace=False)])
    return np.concatenate(parts)


def _dictionary(
    patches: np.ndarray, n_atoms: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean f32 [v], whitening f32 [v, v], atoms f32 [k, v] (unit vectors) of patches f32 [n, v]."""
    mean = patches.mean(0, dtype=np.float64).astype(np.float32)
    centred = patches - mean
    values, vectors = np.linalg.eigh((centred.T @ centred).astype(np.float64) / len(centred))
    # Symmetric: a whitened patch is still a small picture.
    whitening = ((vectors / np.sqrt(np.maximum(values, 0) + WHITENING_FLOOR)) @ vectors.T).astype(np.float32)
    whitened = _unit(centred @ whitening)
    atoms = whitened[rng.choice(len(whitened), n_atoms, replace=len(whitened) < n_atoms)]
    for _ in range(ROUNDS):
        nearest = np.concatenate([(part @ atoms.T).argmax(1) for part in np.array_split(whitened, 16)])
        order = np.argsort(nearest, kind="stable")
        there, first = np.unique(nearest[order], return_index=True)
        # An atom that is nearest to no patch restarts at a random one.
        atoms = whitened[rng.choice(len(whitened), n_atoms)]
        atoms[there] = _unit(np.add.reduceat(whitened[order], first, axis=0))
    return mean, whitening, atoms


def _patches(pictures: Tensor, side: int, crop_side: int) -> Tensor:
    """All patches of crops, normalised in light and contrast, f32 [n, p, 3 * side^2]."""
    if pictures.shape[-1] != crop_side:
        pictures = functional.interpolate(
            pictures, (crop_side, crop_side), mode="bilinear", antialias=True, align_corners=False
        )
    found = functional.unfold(pictures, side).transpose(1, 2)
    found = found - found.mean(2, keepdim=True)
    return found / torch.sqrt((found**2).mean(2, keepdim=True) + CONTRAST_FLOOR**2)


def described(network: nn.Module, crops: np.ndarray, n_features: int) -> np.ndarray:
    """Features of crops u8 [n, s, s, 3] RGB by a network, f32 [n, n_features]; 64 crops at a time."""
    found = np.empty((len(crops), n_features), dtype=np.float32)
    with torch.inference_mode():
        for start in range(0, len(crops), 64):
            pictures = _as_tensor(crops[start : start + 64]).to(next(network.buffers()).device)
            found[start : start + 64] = network(pictures).cpu().numpy()
    return found


def _as_tensor(crops: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(crops)).permute(0, 3, 1, 2).float() / 255


def _unit(rows: np.ndarray) -> np.ndarray:
    unit: np.ndarray = rows / np.maximum(1e-9, np.linalg.norm(rows, axis=1, keepdims=True))
    return unit
