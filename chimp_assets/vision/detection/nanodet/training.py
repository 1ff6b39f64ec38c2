"""NanoDet learns from drawn boxes: the loss of its scores and edges on the living classes together.

Belongs here: which cells should find which box, the losses. Does not belong here: the loop (`learning.training`), which
boxes teach (`box_training`).

The score is the largest of the living classes', and it is this largest one that learns: nothing starts from zero, and
what COCO taught about shapes stays.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import box_iou, generalized_box_iou_loss

from chimp_assets.vision.detection.nanodet.nanodet_detector import LIVING, PAD
from chimp_assets.vision.detection.nanodet.network import BINS, SIDE, NanoDet, cells_of, corners_of
from chimp_assets.vision.learning.training import Learner

CELLS = 9
"""that learn one box, as many as upstream takes of each map"""
_EDGES, _SHAPE = 2.0, 0.25
"""weights of overlap and of distributions beside the score, as upstream has them"""


class NanoDetLearner(Learner):
    """NanoDet as a `Learner`. Losses: quality focal, generalized overlap and distribution focal (Li et al. 2020)."""

    def __init__(self, network: NanoDet) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor, sizes: Tensor, boxes: Tensor, counts: Tensor, seed: Tensor) -> Any:
        shown, scales = zip(
            *(_fitted(picture, size) for picture, size in zip(pictures, sizes.tolist(), strict=True)), strict=True
        )
        logits, edges = self.network(torch.stack(shown))
        logits, edges = logits.float(), edges.float()
        likely = logits[..., list(LIVING)].amax(-1)
        centres, strides = cells_of(logits.device)
        corners = corners_of(edges, centres, strides)
        losses = [
            _loss(likely[row], edges[row], corners[row], boxes[row, :count] * scales[row], centres, strides)
            for row, count in enumerate(counts.tolist())
        ]
        return torch.stack(losses), torch.zeros(len(losses), dtype=torch.bool, device=logits.device)


def _fitted(picture: Tensor, size: list[int]) -> tuple[Tensor, float]:
    """A picture u8 [s, s, 3] RGB, of which `size` counts, as the network wants it, f32 [3, 416, 416], and its scale."""
    height, width = size
    scale = SIDE / max(height, width)
    bgr = picture[:height, :width].permute(2, 0, 1).flip(0)[None].float()
    shape = (max(1, round(height * scale)), max(1, round(width * scale)))
    small = functional.interpolate(bgr, shape, mode="bilinear", align_corners=False)[0]
    return functional.pad(small, (0, SIDE - shape[1], 0, SIDE - shape[0]), value=PAD), scale


def _loss(likely: Tensor, edges: Tensor, corners: Tensor, boxes: Tensor, centres: Tensor, strides: Tensor) -> Tensor:
    """Of one picture. likely f32 [cells]: logits; edges f32 [cells, 44]; corners, boxes: pixels."""
    cells, of_box = assigned(likely, corners, boxes, centres, strides)
    wanted = torch.zeros_like(likely)
    if not len(cells):
        return _quality_focal(likely, wanted) / CELLS
    overlap = box_iou(corners[cells].detach(), boxes).gather(1, of_box[:, None])[:, 0].clamp(0, 1)
    wanted[cells] = overlap
    weight = likely[cells].detach().sigmoid().clamp(min=0.1)
    shape = generalized_box_iou_loss(corners[cells], boxes[of_box])
    away = torch.cat([centres[cells] - boxes[of_box, :2], boxes[of_box, 2:] - centres[cells]], 1)
    away = (away / strides[cells, None]).clamp(0, BINS - 1.01)
    whole = away.long()
    log_shares = edges[cells].unflatten(-1, (4, BINS)).log_softmax(-1)
    below = log_shares.gather(-1, whole[..., None])[..., 0]
    above = log_shares.gather(-1, whole[..., None] + 1)[..., 0]
    spread = -((whole + 1 - away) * below + (away - whole) * above).mean(1)
    regression = ((_EDGES * shape + _SHAPE * spread) * weight).sum() / weight.sum()
    return _quality_focal(likely, wanted) / len(cells) + regression


def _quality_focal(logits: Tensor, wanted: Tensor) -> Tensor:
    loss = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    return (loss * (logits.sigmoid() - wanted).abs() ** 2).sum()


def assigned(likely: Tensor, corners: Tensor, boxes: Tensor, centres: Tensor, strides: Tensor) -> tuple[Tensor, Tensor]:
    """Cells that should find a box, i64 [k], and which box each, i64 [k].

    For each box those of the CELLS cells inside it that find it best already, by score and overlap (as in Feng et al.,
    TOOD, 2021); a cell that two boxes want takes the one that it overlaps more.
    """
    if not len(boxes):
        none = torch.zeros(0, dtype=torch.int64, device=likely.device)
        return none, none
    with torch.no_grad():
        away = torch.cat([centres[:, None] - boxes[None, :, :2], boxes[None, :, 2:] - centres[:, None]], -1)
        reach = away / strides[:, None, None]
        inside = (reach.amin(-1) > 0) & (reach.amax(-1) < BINS - 1)  # [cells, boxes]
        overlap = box_iou(corners, boxes)
        fit = torch.where(inside, likely.sigmoid()[:, None].sqrt() * (overlap + 1e-3) ** 3, 0)
        best = fit.topk(min(CELLS, len(fit)), 0).indices
        chosen = torch.zeros_like(inside).scatter_(0, best, True) & inside
        fit = torch.where(chosen, overlap + 1e-6, 0)
        cells = chosen.any(1).nonzero()[:, 0]
        return cells, fit[cells].argmax(1)
