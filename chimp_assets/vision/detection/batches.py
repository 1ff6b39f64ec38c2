"""Pictures through a network a few at a time, and fewer where a GPU is full.

Belongs here: batches of an endless stream, halves of a batch. Does not belong here: networks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import torch

from chimp_assets.vision.detection.interface import DetectorError

T = TypeVar("T")
F = TypeVar("F")
log = logging.getLogger(__name__)


def batches_of(things: Iterable[T], most: int) -> Iterator[list[T]]:
    """Lists of `most`, the last one shorter."""
    batch: list[T] = []
    for one in things:
        batch.append(one)
        if len(batch) == most:
            yield batch
            batch = []
    if batch:
        yield batch


def in_halves(batch: list[T], run: Callable[[list[T]], list[F]]) -> list[F]:
    """What `run` says of a batch; in halves if the GPU runs out of memory. Raises DetectorError if one does not fit."""
    found = _tried(batch, run)
    if found is not None:
        return found
    if len(batch) == 1:
        raise DetectorError(
            "Not even one picture fits into the memory of the GPU.",
            "Close other programs that use the GPU, or set compute.device to cpu.",
        )
    log.warning("The GPU is out of memory: continuing with %d pictures at once.", len(batch) // 2)
    torch.cuda.empty_cache()
    return [one for half in (batch[: len(batch) // 2], batch[len(batch) // 2 :]) for one in in_halves(half, run)]


def _tried(batch: list[T], run: Callable[[list[T]], list[F]]) -> list[F] | None:
    """None if the GPU runs out of memory. What the error holds is released here."""
    try:
        return run(batch)
    except torch.OutOfMemoryError:
        return None
