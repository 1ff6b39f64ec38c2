"""The arithmetic of a pass in torch, for machines with a GPU.

Belongs here: `on_torch`. Does not belong here: which rows are kept (`one_pass`). Only who asks for a GPU imports this
module: torch alone would be half of a planner's memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from chimp_assets.acquisition.pool import F16Array, F32Array, I32Array, LinearHead
from chimp_assets.acquisition.pool_pass.arithmetic import (
    Arithmetic,
    ArithmeticOf,
    ChunkFindings,
    Neighbours,
    PricedChunk,
    ScoredRows,
    WorthyRows,
    no_worthy_rows,
)

CHUNK_ROWS = 1 << 18
"""Rows on the device at once: with 300 classes 600 MB of logits and probabilities, 67 MB of vectors at D = 128."""


def on_torch(device: str) -> ArithmeticOf:
    """Arithmetic on a torch device ("cuda", "cuda:1", "cpu"), in f32 throughout.

    The same rows as `on_cpu.OnCpu` but where margins differ by rounding only. Raises RuntimeError (of torch) where
    there is no such device.
    """
    place = torch.device(device)
    torch.empty(0, device=place)

    def of(head: LinearHead, anchors: F32Array) -> Arithmetic:
        return _OnTorch(head, anchors, place)

    return of


class _OnTorch:
    chunk = CHUNK_ROWS

    def __init__(self, head: LinearHead, anchors: F32Array, device: torch.device) -> None:
        if head.n_classes < 2:
            raise ValueError(f"a margin needs two classes; this head knows {head.n_classes}")
        self._device = device
        self._weight = self._moved(head.weight.T / np.float32(head.temperature))
        self._bias = self._moved(head.bias / np.float32(head.temperature))
        self._temperature = head.temperature
        self._anchors = self._moved(anchors.T)

    def look(
        self,
        emb: F16Array,
        unsure: np.float32,
        novel: np.float32,
        near: F32Array,
        priced: PricedChunk | None = None,
    ) -> ChunkFindings:
        with torch.inference_mode():
            rows = self._moved(emb).float()
            logits = torch.addmm(self._bias, rows, self._weight)
            two, classes = logits.topk(2, dim=1)
            first, second = two.unbind(dim=1)
            bad = ~first.isfinite()
            total = (logits - first[:, None]).exp_().sum(dim=1)
            margin = (1 - (second - first).exp()) / total
            maxlogit = first * self._temperature
            top1 = classes[:, 0]

            def of(which: torch.Tensor) -> ScoredRows:
                place = which.nonzero()[:, 0]
                return ScoredRows(
                    _array(place), _array(margin[place]), _array(top1[place].int()), _array(maxlogit[place])
                )

            likeness = rows @ self._anchors
            row, anchor = (likeness > self._moved(near)).nonzero().unbind(dim=1)
            return ChunkFindings(
                of((margin <= float(unsure)) & ~bad),
                of((maxlogit <= float(novel)) & ~bad),
                Neighbours(_array(anchor.int()), _array(row), _array(likeness[row, anchor])),
                _array(bad.nonzero()[:, 0]),
                no_worthy_rows() if priced is None else _worthy(_array(1 / total), _array(top1.int()), priced),
            )

    def _moved(self, array: F16Array | F32Array) -> torch.Tensor:
        # A copy: rows of a pool may be a memory map, which torch would take for writable.
        return torch.from_numpy(np.array(array, order="C")).to(self._device)


def _array(values: torch.Tensor) -> Any:
    return values.cpu().numpy()


def _worthy(probability: F32Array, top1: I32Array, priced: PricedChunk) -> WorthyRows:
    """The worth itself is numpy's: one probability a row costs nothing to move, and rounds as it does there."""
    rows = np.flatnonzero((priced.frames * priced.worth.most() >= priced.least) & np.isfinite(probability))
    worth = priced.worth.of(priced.frames[rows], probability[rows])
    kept = worth >= priced.least
    rows = rows[kept]
    return WorthyRows(rows, worth[kept], probability[rows], top1[rows])
