"""EfficientNet-Lite0 (Tan and Le 2019; without the operations that phones are slow at), trained on ImageNet.

Its weights (Apache 2.0) are an installed package, so that nothing is downloaded. They come from TensorFlow, whose
"same" padding is not symmetric where a convolution halves the picture.

Belongs here: the network, and its features at several depths. Does not belong here: where weights come from
(`backbones`), what is learned from the features.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from chimp_assets.vision.embedding.patches import described

STAGES = (
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)  # fmt: skip
"""Blocks, side of the kernel, stride of the first, expansion, channels."""
WIDTHS = {4: 40, 7: 80, 10: 112, 14: 192, 15: 320}
"""Blocks after which features are taken, and their channels: early ones see fur and skin, late ones the kind of
object."""
LAST = 1280
FORMER_SIDE, SIDE = 96, 160
"""Pixels that smaller pictures are enlarged to: of embedders that do not say, and of new ones. At 96 pixels the last
maps have three fields a side, at 160 five; what helps is the number of fields, not detail: crops of 96 pixels that are
enlarged do as well as crops of 160 (docs/research/models.md)."""
_EPS = 1e-3


def enlarged(maps: Tensor, side: int) -> Tensor:
    """Pictures f32 [n, c, s, s] of at least `side` pixels: smaller ones are enlarged."""
    if maps.shape[-1] >= side:
        return maps
    return functional.interpolate(maps, (side, side), mode="bilinear", align_corners=False)


class _SameConv2d(nn.Conv2d):
    """A convolution that pads as TensorFlow does: the odd column goes to the right, the odd row below."""

    def forward(self, maps: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        whole = [max((math.ceil(side / stride) - 1) * stride + kernel - side, 0) for side in maps.shape[-2:]]
        top, left = whole[0] // 2, whole[1] // 2
        maps = functional.pad(maps, (left, whole[1] - left, top, whole[0] - top))
        return functional.conv2d(maps, self.weight, self.bias, stride, 0, 1, self.groups)


class _InvertedResidual(nn.Module):
    """Attributes have the names of the weights file."""

    def __init__(self, n_in: int, n_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = n_in * expansion
        self.expands = expansion > 1
        self.adds = stride == 1 and n_in == n_out
        if self.expands:
            self._expand_conv = nn.Conv2d(n_in, wide, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(wide, eps=_EPS, momentum=0.01)
        self._depthwise_conv = _SameConv2d(wide, wide, kernel, stride, groups=wide, bias=False)
        self._bn1 = nn.BatchNorm2d(wide, eps=_EPS, momentum=0.01)
        self._project_conv = nn.Conv2d(wide, n_out, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(n_out, eps=_EPS, momentum=0.01)

    def forward(self, maps: Tensor) -> Tensor:
        found = functional.relu6(self._bn0(self._expand_conv(maps))) if self.expands else maps
        found = functional.relu6(self._bn1(self._depthwise_conv(found)))
        found = self._bn2(self._project_conv(found))
        return maps + found if self.adds else found


class Lite0(nn.Module):
    """Pictures f32 [n, 3, s, s] in 0..1 to features f32 [n, n_features]. It is not trained further.

    Mean and standard deviation of the maps after the blocks of WIDTHS, and the mean of the last; each depth has length
    one. side: pixels that smaller pictures are enlarged to.
    """

    def __init__(self, side: int = SIDE) -> None:
        super().__init__()
        self.side = side
        self._conv_stem = _SameConv2d(3, 32, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(32, eps=_EPS, momentum=0.01)
        blocks, n_in = [], 32
        for count, kernel, stride, expansion, n_out in STAGES:
            for number in range(count):
                blocks.append(_InvertedResidual(n_in, n_out, kernel, stride if number == 0 else 1, expansion))
                n_in = n_out
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = nn.Conv2d(n_in, LAST, 1, bias=False)
        self._bn1 = nn.BatchNorm2d(LAST, eps=_EPS, momentum=0.01)
        self.n_features = 2 * sum(WIDTHS.values()) + LAST
        self.requires_grad_(False)
        self.to(memory_format=torch.channels_last)
        self.eval()

    def forward(self, pictures: Tensor) -> Tensor:
        """Features of pictures."""
        # Scaled as in its training; channels last, which is a third faster on CPUs.
        maps = ((pictures * 255 - 127) / 128).contiguous(memory_format=torch.channels_last)
        maps = enlarged(maps, self.side)
        maps = functional.relu6(self._bn0(self._conv_stem(maps)))
        found = []
        for number, block in enumerate(self._blocks):
            maps = block(maps)
            if number in WIDTHS:
                found.append(torch.cat([maps.mean((2, 3)), maps.flatten(2).std(2)], 1))
        found.append(functional.relu6(self._bn1(self._conv_head(maps))).mean((2, 3)))
        return torch.cat([functional.normalize(one, dim=1) for one in found], 1)

    def describe(self, crops: np.ndarray) -> np.ndarray:
        """u8 [n, s, s, 3] RGB to f32 [n, n_features]."""
        return described(self, crops, self.n_features)
