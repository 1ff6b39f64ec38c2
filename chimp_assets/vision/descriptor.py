"""What a crop looks like before anything was learned: gradient orientations, the layout of colours, how much of each.

Belongs here: one fixed, differentiable-free description of pictures in torch, the same on every device.
Does not belong here: what is learned from it (`self_supervision`, `embedder`).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

SIDE = 64  # pixels; crops are scaled to this first
CELL = 8  # pixels; a histogram is taken of each cell
BINS = 9  # orientations in half a turn
COLOUR_SIDE = 16  # the layout of colours is a picture of this side
COLOUR_WEIGHT = 0.7  # light changes colours more than edges
# The middle of the crop, where the animal is, counted by hue and saturation: what is left when two poses share no
# outline. More weight helps with animals of different coats and harms where infrared light makes colour the camera's.
TONES = 12  # bins of each of a* and b* (CIELAB)
TONE_RANGE = 30.0  # a* and b* from -30 to 30; coats and skin are not more colourful
TONE_MARGIN = 0.25  # of each side
TONE_WEIGHT = 0.3

N_GRADIENT = (SIDE // CELL - 1) ** 2 * 4 * BINS
N_FEATURES = N_GRADIENT + 3 * COLOUR_SIDE**2 + TONES**2


def describe(pictures: Tensor) -> Tensor:
    """Descriptors of crops. pictures: f32 [n, 3, s, s] in 0..1; returns f32 [n, 2676], three parts of fixed length.

    Histograms of oriented gradients in overlapping blocks of 2 x 2 cells, each block normalised (Dalal and Triggs
    2005); a 16 x 16 picture of the colours, less its mean brightness; a histogram of the tones in the middle, its root
    taken (Arandjelovic and Zisserman 2012).
    """
    gradients = functional.normalize(_gradient_blocks(_scaled(pictures, SIDE)), dim=1)
    colours = _scaled(pictures, COLOUR_SIDE).flatten(1)
    colours = functional.normalize(colours - colours.mean(1, keepdim=True), dim=1)
    return torch.cat([gradients, COLOUR_WEIGHT * colours, TONE_WEIGHT * _tone_histogram(pictures)], 1)


def _tone_histogram(pictures: Tensor) -> Tensor:
    """Root of the share of each tone in the middle, f32 [n, 144]: vectors of length 1."""
    margin = int(pictures.shape[-1] * TONE_MARGIN)
    middle = pictures[:, :, margin : pictures.shape[-2] - margin, margin : pictures.shape[-1] - margin]
    red_green, blue_yellow = _lab_tones(middle)
    bins = [
        ((tone.flatten(1) + TONE_RANGE) * (TONES / (2 * TONE_RANGE))).long().clamp(0, TONES - 1)
        for tone in (red_green, blue_yellow)
    ]
    cell = bins[0] * TONES + bins[1]
    count = torch.zeros(len(pictures), TONES**2, device=pictures.device)
    count.scatter_add_(1, cell, torch.ones_like(cell, dtype=count.dtype))  # whole numbers: the order does not matter
    return torch.sqrt(count / max(1, cell.shape[1]))


def _lab_tones(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """a* and b* of CIELAB (D65) of sRGB pictures f32 [n, 3, h, w] in 0..1; f32 [n, h, w] each."""
    linear = torch.where(pictures <= 0.04045, pictures / 12.92, ((pictures + 0.055) / 1.055) ** 2.4)
    red, green, blue = linear.unbind(1)
    x = (0.412453 * red + 0.357580 * green + 0.180423 * blue) / 0.950456
    y = 0.212671 * red + 0.715160 * green + 0.072169 * blue
    z = (0.019334 * red + 0.119193 * green + 0.950227 * blue) / 1.088754
    x, y, z = (torch.where(t > 0.008856, t.clamp(min=1e-6) ** (1 / 3), 7.787 * t + 16 / 116) for t in (x, y, z))
    return 500 * (x - y), 200 * (y - z)


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
