"""The network NanoDet-g as its author published it (RangiLyu, Apache-2.0), with batch norm folded into convolutions.

Belongs here: layers, their names in a file of weights, from its outputs to boxes. Does not belong here: where weights
come from (`package`), pictures (`nanodet_detector`), learning (`training`).

Layers: CspNet of 416 x 416 pictures, a path aggregation network of 128 channels, a head that classes and boxes share.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

SIDE = 416
STRIDES = (8, 16, 32)
CLASSES = 80
BINS = 11
"""Distances from a cell to an edge, in strides: expectation over 0 to 10 (Li et al., Generalized Focal Loss, 2020)."""
_SLOPE = 0.1
_MEAN = (103.53, 116.28, 123.675)
_SCALE = (57.375, 57.12, 58.395)
_WIDTH = 128
_CSP = ((32, 1, 1), (64, 2, 2), (128, 2, 2), (256, 3, 2))
"""Channels, residual blocks, stride of each stage."""


class _Layer(nn.Sequential):
    """A convolution and its leaky rectifier."""

    def __init__(self, n_in: int, n_out: int, stride: int = 1) -> None:
        super().__init__(nn.Conv2d(n_in, n_out, 3, stride, 1), nn.LeakyReLU(_SLOPE, inplace=True))


class _Residual(nn.Module):
    """Half of the channels once, half twice convolved."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _Layer(channels, channels // 2)
        self.second = _Layer(channels // 2, channels // 2)

    def forward(self, maps: Tensor) -> Tensor:
        once = self.first(maps)
        return torch.cat([self.second(once), once], 1)


class _Stage(nn.Module):
    """A cross-stage partial block (Wang et al. 2020): twice the channels come out."""

    def __init__(self, channels: int, blocks: int, stride: int) -> None:
        super().__init__()
        self.first = _Layer(channels, channels, stride)
        self.blocks = nn.Sequential(*(_Residual(channels) for _ in range(blocks)))
        self.last = _Layer(channels, channels)

    def forward(self, maps: Tensor) -> Tensor:
        whole = self.first(maps)
        return torch.cat([self.last(self.blocks(whole)), whole], 1)


class NanoDet(nn.Module):
    """Pictures u8 [n, 3, 416, 416] BGR to class logits f32 [n, cells, classes] and edges f32 [n, cells, 4 x 11]."""

    mean: Tensor
    scale: Tensor

    def __init__(self, classes: int = CLASSES) -> None:
        super().__init__()
        self.classes = classes
        self.stem = _Layer(3, 32, 2)
        self.stages = nn.ModuleList(_Stage(*stage) for stage in _CSP)
        self.sides = nn.ModuleList(nn.Conv2d(2 * channels, _WIDTH, 1) for channels, _, _ in _CSP[1:])
        self.heads = nn.ModuleList(_Layer(_WIDTH, _WIDTH) for _ in STRIDES)
        self.outs = nn.ModuleList(nn.Conv2d(_WIDTH, classes + 4 * BINS, 1) for _ in STRIDES)
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(_SCALE).view(1, 3, 1, 1), persistent=False)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and distributions of distances of all cells, finest stride first, row by row."""
        maps = functional.max_pool2d(self.stem((pictures.float() - self.mean) / self.scale), 3, 2, 1)
        found = []
        for stage in self.stages:
            maps = stage(maps)
            found.append(maps)
        fine, middle, coarse = (side(one) for side, one in zip(self.sides, found[1:], strict=True))
        middle = middle + _resized(coarse, 2.0)
        fine = fine + _resized(middle, 2.0)
        middle = middle + _resized(fine, 0.5)
        coarse = coarse + _resized(middle, 0.5)
        flat = [
            out(head(one)).flatten(2).transpose(1, 2)
            for head, out, one in zip(self.heads, self.outs, (fine, middle, coarse), strict=True)
        ]
        both = torch.cat(flat, 1)
        return both[..., : self.classes], both[..., self.classes :]


def _resized(maps: Tensor, factor: float) -> Tensor:
    return functional.interpolate(maps, scale_factor=factor, mode="bilinear", align_corners=False)


def cells_of(device: torch.device | str = "cpu", side: int = SIDE) -> tuple[Tensor, Tensor]:
    """Centres f32 [cells, 2] x, y in pixels, and strides f32 [cells], in the order of the outputs."""
    centres, strides = [], []
    for stride in STRIDES:
        at = (torch.arange(side // stride, device=device) + 0.5) * stride
        y, x = torch.meshgrid(at, at, indexing="ij")
        centres.append(torch.stack([x.flatten(), y.flatten()], 1))
        strides.append(torch.full((len(centres[-1]),), float(stride), device=device))
    return torch.cat(centres), torch.cat(strides)


def corners_of(edges: Tensor, centres: Tensor, strides: Tensor) -> Tensor:
    """Corners f32 [n, cells, 4] in pixels from distributions f32 [n, cells, 44]: left, top, right, bottom."""
    shares = edges.unflatten(-1, (4, BINS)).softmax(-1)
    away = (shares * torch.arange(BINS, device=edges.device, dtype=shares.dtype)).sum(-1) * strides[:, None]
    return torch.cat([centres - away[..., :2], centres + away[..., 2:]], -1)
