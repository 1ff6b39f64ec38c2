"""The order in which samples are read: a pure function of seed and epoch, cut into pieces that fit a budget of bytes.

Belongs here: permuting blocks, sharing them among processes, mixing, and resuming a reader.
Does not belong here: SQL, pictures, torch.

Neighbouring frames of a video are nearly identical, and reading them one by one is slow. So blocks (neighbours, read
together) are shuffled, and the samples of several blocks (a mix, as large as the budget of bytes allows) are shuffled
among each other: CorgiPile (Xu et al., SIGMOD 2022) shows that this trains as a full shuffle does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

Uneven = Literal["keep", "drop", "repeat"]
"""How shares of different length are handled. keep: every sample once, some readers end earlier; drop: all end with the
shortest; repeat: all last as long as the longest and repeat samples of their own."""

# Purposes of random numbers: streams of different purpose never coincide.
_BLOCKS, _SAMPLES = 1, 2
# Blocks whose bytes are looked up together.
_AT_ONCE = 1 << 15


@dataclass(frozen=True)
class Reader:
    """One of several that share an epoch: rank * workers + worker of world_size * workers."""

    index: int = 0
    of: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.of:
            raise ValueError(f"reader {self.index} of {self.of}")


@dataclass(frozen=True)
class Position:
    """Where a reader is: after `offset` samples of its mix number `mix`. These four integers are enough to resume."""

    seed: int
    epoch: int
    mix: int = 0
    offset: int = 0

    def __post_init__(self) -> None:
        if min(self.seed, self.epoch, self.mix, self.offset) < 0:
            raise ValueError(f"{self} has a negative number")


class EpochOrder:
    """The order of one epoch for one reader.

    samples: int [n], samples of each block; bytes_of: what given blocks (int [m]) take in memory while they are read,
    int [m]. budget: bytes of a mix; a larger block is a mix by itself. shuffle False: blocks and samples in their
    given order. Memory: four bytes for each block of this reader.
    """

    def __init__(
        self,
        samples: np.ndarray,
        bytes_of: Callable[[np.ndarray], np.ndarray],
        *,
        seed: int,
        epoch: int,
        reader: Reader = Reader(),
        budget: int,
        shuffle: bool = True,
        uneven: Uneven = "keep",
    ) -> None:
        if budget < 1:
            raise ValueError(f"a budget of {budget} bytes")
        self._seed, self._epoch, self._shuffle = seed, epoch, shuffle
        blocks = np.arange(len(samples), dtype=np.int32)
        if shuffle:
            _random(seed, epoch, _BLOCKS).shuffle(blocks)
        # A copy: a view would hold the blocks of all readers in memory.
        self.blocks = blocks if reader.of == 1 else blocks[reader.index :: reader.of].copy()
        self._samples = samples
        self.starts = _mixes(self.blocks, bytes_of, budget)
        self.n_own = int(self._samples[self.blocks].sum())
        self.quota = self.n_own
        if uneven != "keep":
            shares = [int(self._samples[blocks[i :: reader.of]].sum()) for i in range(reader.of)]
            self.quota = min(shares) if uneven == "drop" else max(shares)
            if self.quota and not self.n_own:
                raise ValueError(f"reader {reader.index} of {reader.of} has no samples to repeat: use fewer readers")

    @property
    def n_mixes(self) -> int:
        """Mixes of one pass over this reader's blocks."""
        return len(self.starts) - 1

    def mix(self, number: int) -> np.ndarray:
        """Blocks of a mix, i32 [m]. After the last one comes the first again (for `repeat`)."""
        at = number % self.n_mixes
        return self.blocks[self.starts[at] : self.starts[at + 1]]

    def within(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """The samples of a mix in their order: (which of its blocks i64 [k], which sample of that block i64 [k])."""
        counts = self._samples[self.mix(number)].astype(np.int64)
        block = np.repeat(np.arange(len(counts)), counts)
        sample = np.arange(len(block)) - np.repeat(np.cumsum(counts) - counts, counts)
        if not self._shuffle:
            return block, sample
        first = int(self.mix(number)[0]) if len(counts) else 0
        mixed = _random(self._seed, self._epoch, _SAMPLES, first).permutation(len(block))
        return block[mixed], sample[mixed]

    def done_before(self, mix: int) -> int:
        """Samples that this reader has delivered before a mix."""
        passes, rest = divmod(mix, self.n_mixes) if self.n_mixes else (0, 0)
        return passes * self.n_own + int(self._samples[self.blocks[: self.starts[rest]]].sum())

    def remaining(self, position: Position) -> Iterator[tuple[int, int, int]]:
        """(mix, first sample, end) of the rest of an epoch after a position; empty at its end."""
        mix, offset = position.mix, position.offset
        if not self.n_mixes:
            return
        done = self.done_before(mix) + offset
        while done < self.quota:
            length = int(self._samples[self.mix(mix)].sum())
            end = min(length, offset + self.quota - done)
            if end > offset:
                yield mix, offset, end
            done += end - offset
            mix, offset = mix + 1, 0


def _random(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))


def _mixes(blocks: np.ndarray, bytes_of: Callable[[np.ndarray], np.ndarray], budget: int) -> np.ndarray:
    """Bounds of the mixes, i64 [m + 1]: as many neighbouring blocks as the budget holds, at least one."""
    starts = [0]
    held = 0  # bytes of the current mix
    for at in range(0, len(blocks), _AT_ONCE):
        # The bytes before each block, counted from the start of the mix.
        ends = held + np.cumsum(bytes_of(blocks[at : at + _AT_ONCE]), dtype=np.int64)
        before = 0
        while (fitting := at + int(np.searchsorted(ends, before + budget, "right"))) < at + len(ends):
            starts.append(max(fitting, starts[-1] + 1))
            before = held if starts[-1] == at else int(ends[starts[-1] - at - 1])
        held = int(ends[-1]) - before
    if starts[-1] < len(blocks):
        starts.append(len(blocks))
    return np.array(starts, np.int64)
