"""Random views of crops, as wildlife video would show the same animal again.

Belongs here: changes that keep the identity: framing, light, blur, noise, infrared, a branch in front of the animal.
Does not belong here: losses and loops (`metric_learning`, `self_supervision`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Strength:
    """How far views may differ.

    area: the smallest share of the crop that is shown (the largest is 1.1, with the border repeated); aspect: log of
    the stretch; rotation: radians; colour: share by which saturation, contrast and brightness change; tint: of each
    channel; gamma: log of the exponent; grey, blur, noise, hidden: probability of each.
    """

    area: float
    aspect: float
    rotation: float
    colour: float
    tint: float
    gamma: float
    grey: float
    blur: float
    noise: float
    hidden: float


LABELLED = Strength(0.7, 0.1, 0.1, 0.2, 0.07, 0.2, grey=0.15, blur=0.2, noise=0.2, hidden=0.1)
"""For learning from names. Views twice as hard (half the area, twice the change of light) were learned more slowly and,
in the minutes that a CPU has, worse: 0.48 against 0.56 top-1 on two splits of chimpanzee faces."""

UNLABELLED = Strength(0.35, 0.25, 0.26, 0.4, 0.1, 0.0, grey=0.15, blur=0.3, noise=0.0, hidden=0.4)
"""For learning without names, where framing and colour must not match two views (SimCLR, Chen et al. 2020)."""


def augment(pictures: Tensor, side: int, generator: torch.Generator, strength: Strength = UNLABELLED) -> Tensor:
    """One random view of each picture. f32 [n, 3, s, s] in 0..1; returns f32 [n, 3, side, side] in 0..1.

    All random numbers come from the generator (CPU), so that a seed gives the same views on every device.
    """
    n, device = len(pictures), pictures.device

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand((n, *shape), generator=generator).mul(high - low).add(low).to(device)

    def sometimes(share: float) -> Tensor:
        return uniform(0, 1, 1, 1, 1) < share

    views = functional.grid_sample(
        pictures,
        functional.affine_grid(_frames(uniform, strength), [n, 3, side, side], align_corners=False),
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    )
    # Light changes over a day and between cameras; infrared pictures are grey and noisy.
    colour = strength.colour
    grey = (views * views.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    views = grey + (views - grey) * uniform(1 - 1.5 * colour, 1 + 1.5 * colour, 1, 1, 1)
    mean = views.mean((1, 2, 3), keepdim=True)
    views = (views - mean) * uniform(1 - colour, 1 + colour, 1, 1, 1) + mean * uniform(1 - colour, 1 + colour, 1, 1, 1)
    views = views * uniform(1 - strength.tint, 1 + strength.tint, 3, 1, 1)
    if strength.gamma:
        views = views.clamp(1e-3, 1) ** torch.exp(uniform(-strength.gamma, strength.gamma, 1, 1, 1))
    views = torch.where(sometimes(strength.grey), views.mean(1, keepdim=True).expand_as(views), views)
    views = torch.where(sometimes(strength.blur), _blurred(_blurred(views)), views)
    if strength.noise:
        shaken = views + 0.05 * torch.randn(views.shape, generator=generator).to(device)
        views = torch.where(sometimes(strength.noise), shaken, views)
    across, down = uniform(0, 1, 1, 1, 1), uniform(0, 1, 1, 1, 1)
    half_w, half_h = uniform(0.05, 0.25, 1, 1, 1), uniform(0.05, 0.25, 1, 1, 1)
    axis = torch.linspace(0, 1, side, device=device)
    patch = ((axis.view(1, 1, 1, side) - across).abs() < half_w) & ((axis.view(1, 1, side, 1) - down).abs() < half_h)
    views = torch.where(patch & sometimes(strength.hidden), mean.expand_as(views), views)
    return views.clamp(0, 1)


def _frames(uniform: Callable[..., Tensor], strength: Strength) -> Tensor:
    """Crop, scale, mirror and rotation as one affine map f32 [n, 2, 3] in the [-1, 1] coordinates of grid_sample."""
    area, aspect = uniform(strength.area, 1.1), torch.exp(uniform(-strength.aspect, strength.aspect))
    half_w, half_h = (area * aspect).sqrt(), (area / aspect).sqrt()
    x, y = uniform(-1, 1) * (1 - half_w).abs(), uniform(-1, 1) * (1 - half_h).abs()
    mirror = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
    angle = uniform(-strength.rotation, strength.rotation)
    cos, sin = torch.cos(angle), torch.sin(angle)
    first = torch.stack([mirror * half_w * cos, -half_h * sin, x], 1)
    second = torch.stack([mirror * half_w * sin, half_h * cos, y], 1)
    return torch.stack([first, second], 1)


def _blurred(views: Tensor) -> Tensor:
    return functional.avg_pool2d(functional.pad(views, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
