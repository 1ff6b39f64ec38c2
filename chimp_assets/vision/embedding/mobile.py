"""MobileNetV2 (Sandler et al. 2018), trained on ImageNet: a second packaged network beside `lite`.

Its weights (MIT) are an installed package; no code of that package runs.

Belongs here: the network, and its features at several depths. Does not belong here: where weights come from
(`backbones`), what is learned from the features.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from chimp_assets.vision.embedding.lite import SIDE, enlarged
from chimp_assets.vision.embedding.patches import described

STAGES = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip
"""Expansion, channels, blocks, stride of the first."""
WIDTHS = {6: 32, 13: 96, 17: 320}
"""Layers after which features are taken, and their channels."""
LAST = 1280
CHANNEL_MEAN, CHANNEL_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def _convolved(n_in: int, n_out: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(n_in, n_out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(n_out), nn.ReLU6()]


class _InvertedBottleneck(nn.Module):
    """Attributes have the names of the weights file."""

    def __init__(self, n_in: int, n_out: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = n_in * expansion
        self.adds = stride == 1 and n_in == n_out
        first = _convolved(n_in, wide, 1) if expansion > 1 else []
        last = [nn.Conv2d(wide, n_out, 1, bias=False), nn.BatchNorm2d(n_out)]
        self.conv = nn.Sequential(*first, *_convolved(wide, wide, 3, stride, wide), *last)

    def forward(self, maps: Tensor) -> Tensor:
        found: Tensor = self.conv(maps)
        return maps + found if self.adds else found


class MobileNetV2(nn.Module):
    """Pictures f32 [n, 3, s, s] in 0..1 to features f32 [n, n_features]. It is not trained further.

    Mean and standard deviation of the maps after the layers of WIDTHS, and the mean of the last; each depth has length
    one. side: pixels that smaller pictures are enlarged to.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, side: int = SIDE) -> None:
        super().__init__()
        self.side = side
        layers: list[nn.Module] = [nn.Sequential(*_convolved(3, 32, 3, 2))]
        n_in = 32
        for expansion, n_out, count, stride in STAGES:
            for number in range(count):
                layers.append(_InvertedBottleneck(n_in, n_out, stride if number == 0 else 1, expansion))
                n_in = n_out
        layers.append(nn.Sequential(*_convolved(n_in, LAST, 1)))
        self.features = nn.Sequential(*layers)
        self.register_buffer("mean", torch.tensor(CHANNEL_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(CHANNEL_STD).view(1, 3, 1, 1), persistent=False)
        self.n_features = 2 * sum(WIDTHS.values()) + LAST
        self.requires_grad_(False)
        self.to(memory_format=torch.channels_last)
        self.eval()

    def forward(self, pictures: Tensor) -> Tensor:
        """Features of pictures."""
        maps = ((enlarged(pictures, self.side) - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        found = []
        for number, layer in enumerate(self.features):
            maps = layer(maps)
            if number in WIDTHS:
                found.append(torch.cat([maps.mean((2, 3)), maps.flatten(2).std(2)], 1))
        found.append(maps.mean((2, 3)))
        return torch.cat([functional.normalize(one, dim=1) for one in found], 1)

    def describe(self, crops: np.ndarray) -> np.ndarray:
        """u8 [n, s, s, 3] RGB to f32 [n, n_features]."""
        return described(self, crops, self.n_features)
