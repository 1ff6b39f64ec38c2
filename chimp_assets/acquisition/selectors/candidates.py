"""What every selector is given and what it gives back.

Belongs here: `Candidates`, `Choice` and the one signature of a selector. Does not belong here: any way of choosing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from chimp_assets.acquisition.pool import F16Array, F32Array, F64Array, I32Array, I64Array

MOST_CANDIDATES = 50_000


@dataclass(frozen=True)
class Candidates:
    """The m tracks that a selector chooses from, at most MOST_CANDIDATES, as row-aligned arrays.

    rows   i64 [m], rows of the pool; of equal candidates the lower row comes first
    emb    f16 [m, D], rows of length 1
    score  f32 [m], lower is asked sooner
    cell   i32 [m] >= 0, the cell of look-alikes that each is in
    top1   i32 [m], the class that the head predicts
    """

    rows: I64Array
    emb: F16Array
    score: F32Array
    cell: I32Array
    top1: I32Array

    @classmethod
    def of(
        cls,
        rows: I64Array,
        emb: F16Array,
        *,
        score: F32Array | None = None,
        cell: I32Array | None = None,
        top1: I32Array | None = None,
    ) -> Candidates:
        """Candidates of which a selector need not know everything: what is not given is 0 for all of them."""
        return cls(
            rows,
            emb,
            np.zeros(len(rows), np.float32) if score is None else score,
            np.zeros(len(rows), np.int32) if cell is None else cell,
            np.zeros(len(rows), np.int32) if top1 is None else top1,
        )

    def __len__(self) -> int:
        return len(self.rows)


class Choice(NamedTuple):
    """Positions i64 [<= b] into the candidates, in the order to ask them, and the chance f64 of each to be chosen."""

    positions: I64Array
    propensity: F64Array


NO_CHOICE = Choice(np.empty(0, np.int64), np.empty(0))
"""Where there are no candidates."""


class Selector(Protocol):
    """Chooses b of m candidates: no repeats, fewer if m < b, the same for the same rng."""

    def select(self, candidates: Candidates, b: int, rng: np.random.Generator) -> Choice:
        """Positions of at most b candidates, best first, and the chance of each in (0, 1]."""
        ...
