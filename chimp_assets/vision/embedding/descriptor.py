"""A description of a crop that needs no learning: gradient orientations and the layout of colours.

Belongs here: one fixed description of pictures in torch, the same on every device.
Does not belong here: what is learned from it (`self_supervision`, `embedder`).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

SIDE = 64  # pixels; crops are scaled to this first
CELL = 8  # pixels; each cell has a histogram
BINS = 9  # orientations in half a turn
COLOUR_SIDE = 16  # the layout of colours is a picture of this side
COLOUR_WEIGHT = 0.7  # light changes colours more than edges

N_GRADIENT = (SIDE // CELL - 1) ** 2 * 4 * BINS
N_FEATURES = N_GRADIENT + 3 * COLOUR_SIDE**2


def describe(pictures: Tensor) -> Tensor:
    """Descriptors of crops. pictures: f32 [n, 3, s, s] in 0..1; returns f32 [n, 2532], two parts of fixed length.

    Histograms of oriented gradients in overlapping blocks of 2 x 2 cells, each block normalised (Dalal and Triggs
    2005); a 16 x 16 picture of the colours, less its mean brightness.
    """
    gradients = functional.normalize(_gradient_blocks(_scaled(pictures, SIDE)), dim=1)
    colours = _scaled(pictures, COLOUR_SIDE).flatten(1)
    colours = functional.normalize(colours - colours.mean(1, keepdim=True), dim=1)
    # A histogram of tones as well (a*, b* of CIELAB) made cows in dim light much harder to tell apart.
    return torch.cat([gradients, COLOUR_WEIGHT * colours], 1)


def _scaled(pictures: Tensor, side: int) -> Tensor:
    if pictures.shape[-1] == side:
        return pictures
    return functional.interpolate(pictures, (side, side), mode="bilinear", antialias=True, align_corners=False)


def _gradient_blocks(pictures: Tensor) -> Tensor:
    grey = functional.pad(pictures.mean(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    across = grey[:, :, 1:-1, 2:] - grey[:, :, 1:-1, :-2]
    down = grey[:, :, 2:, 1:-1] - grey[:, :, :-2, 1:-1]
    strength = torch.sqrt(across**2 + down**2)
    angle = torch.remainder(torch.atan2(down, across), math.pi) * (BINS / math.pi)
    cells = torch.cat(
        [
            functional.avg_pool2d(
                (1 - (torch.remainder(angle - b + BINS / 2, BINS) - BINS / 2).abs()).clamp(min=0) * strength, CELL
            )
            for b in range(BINS)
        ],
        1,
    )
    energy = torch.sqrt(functional.avg_pool2d((cells**2).sum(1, keepdim=True), 2, stride=1))
    n = SIDE // CELL - 1
    # 0.02: cells without texture stay small instead of becoming amplified noise.
    blocks = [(cells[:, :, y : y + n, x : x + n] / (energy + 0.02)).clamp(max=1.0) for y in (0, 1) for x in (0, 1)]
    return torch.cat(blocks, 1).flatten(1)
