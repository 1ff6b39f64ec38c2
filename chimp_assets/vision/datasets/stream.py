"""The samples of a dataset as a stream: each once per epoch, shared among workers and ranks, resumable at any sample.

Belongs here: `SqlStream`, and what it needs of a dataset (`Blocks`). Does not belong here: the order itself (`order`,
which needs no torch), what samples hold (`frames`, `tracks`).
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from chimp_assets.vision.datasets.order import EpochOrder, Position, Reader, Uneven
from chimp_assets.vision.datasets.reading import DatasetError

MIX_BYTES = 64 * 1024 * 1024
"""JPEGs that a stream holds at once, in each worker: some 50 blocks of 64 frames of 20 kB."""


class Blocks(Protocol):
    """What a stream reads. samples: int [n], number of samples in each block."""

    samples: np.ndarray

    def bytes_of(self, blocks: np.ndarray) -> np.ndarray:
        """int [m], approximate bytes that these blocks (int [m]) take in memory while they are read."""
        ...

    def read(self, blocks: Sequence[int]) -> list[list[Any]]:
        """The raw samples of each block."""
        ...

    def finished(self, raw: Any) -> Any:
        """The sample made of a raw one."""
        ...


class SqlStream(IterableDataset[Any]):
    """The samples of a dataset, each once per epoch, in an order that is a function of seed and epoch alone.

    Blocks of neighbours are shuffled; the samples of as many blocks as fit into mix_bytes of JPEGs are shuffled among
    each other. Workers of a DataLoader and ranks (torch.distributed, or rank and world_size) share the blocks; `uneven`
    decides about shares of different length ("drop" or "repeat" where ranks must take equal steps).

    `state_dict` is four integers (seed, epoch, mix, offset), from which a stream resumes at any sample without reading
    those before; torchdata's StatefulDataLoader saves them for each worker. Epochs follow each other; `set_epoch`
    chooses one.
    """

    def __init__(
        self,
        blocks: Blocks,
        *,
        seed: int,
        shuffle: bool = True,
        mix_bytes: int = MIX_BYTES,
        uneven: Uneven = "keep",
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        self._blocks = blocks
        self._shuffle = shuffle
        self._mix_bytes = mix_bytes
        self._uneven: Uneven = uneven
        self._rank, self._world_size = rank, world_size
        # seed, epoch, mix, offset: a tuple, since it is written for every sample.
        self._at = (seed, 0, 0, 0)
        self._move(Position(seed, 0))

    def shared(self, rank: int, world_size: int) -> SqlStream:
        """The same stream for one of several ranks, where torch.distributed does not know them."""
        return SqlStream(
            self._blocks,
            seed=self._at[0],
            shuffle=self._shuffle,
            mix_bytes=self._mix_bytes,
            uneven=self._uneven,
            rank=rank,
            world_size=world_size,
        )

    def set_epoch(self, epoch: int) -> None:
        """Start at this epoch. A DataLoader with workers copies the stream: call this before each epoch."""
        self._move(Position(self._at[0], epoch))

    def state_dict(self) -> dict[str, int]:
        """Where this process is: seed, epoch, mix, offset."""
        seed, epoch, mix, offset = self._at
        return {"seed": seed, "epoch": epoch, "mix": mix, "offset": offset}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Resume there. Raises DatasetError if it is not the state of a stream."""
        try:
            self._move(Position(**{name: int(value) for name, value in state.items()}))
        except (TypeError, ValueError) as error:
            raise DatasetError(
                f"{state} is not the state of a stream: {error}.", "Pass what state_dict returned."
            ) from None

    def __iter__(self) -> Iterator[Any]:
        if get_worker_info() is not None and not gc.get_freeze_count():
            # A forked worker shares the memory of its parent until it writes there, and the garbage collector writes to
            # every object it looks at: 100 MB of imports, copied by each worker.
            gc.freeze()
        at = Position(*self._at)
        order = EpochOrder(
            self._blocks.samples,
            self._blocks.bytes_of,
            seed=at.seed,
            epoch=at.epoch,
            reader=self._reader(),
            budget=self._mix_bytes,
            shuffle=self._shuffle,
            uneven=self._uneven,
        )
        for mix, first, end in order.remaining(at):
            raws: list[list[Any]] = self._blocks.read(order.mix(mix).tolist())
            of_block, of_sample = (part[first:end].tolist() for part in order.within(mix))
            for offset, (block, sample) in enumerate(zip(of_block, of_sample, strict=True), first + 1):
                raw, raws[block][sample] = raws[block][sample], None
                self._at = (at.seed, at.epoch, mix, offset)
                yield self._blocks.finished(raw)
            # Before the next mix is read: two at once would be twice the budget.
            del raws, raw
        self._move(Position(at.seed, at.epoch + 1))

    def _move(self, position: Position) -> None:
        self._at = (position.seed, position.epoch, position.mix, position.offset)

    def _reader(self) -> Reader:
        rank, world_size = self._rank, self._world_size
        if rank is None or world_size is None:
            rank, world_size = 0, 1
            if torch.distributed.is_available() and torch.distributed.is_initialized():
                rank, world_size = torch.distributed.get_rank(), torch.distributed.get_world_size()
        worker = get_worker_info()
        if worker is None:
            return Reader(rank, world_size)
        return Reader(rank * worker.num_workers + worker.id, world_size * worker.num_workers)
