"""Cells of look-alikes that take turns: what `TypicalCells` and `NovelCells` share.

Belongs here: the densest track of each cell, then the next. Does not belong here: which cell comes first, cells
themselves and density (`acquisition.cells`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chimp_assets.acquisition.cells import typicality
from chimp_assets.acquisition.groups import counts_before
from chimp_assets.acquisition.pool import I64Array
from chimp_assets.acquisition.selectors.candidates import Candidates, Choice


def in_turns(
    candidates: Candidates, load: I64Array, order: Sequence[np.ndarray], b: int, rng: np.random.Generator
) -> Choice:
    """The densest track of each cell, then the next of each; the propensity is 1.

    load: i64 [cells], turns that a cell has had; order: what decides between cells that have had equally many turns,
    [cells] each, the most important first, small values first.
    """
    rows, cell = candidates.rows, candidates.cell
    dense = np.lexsort((rows, -typicality(candidates.emb, cell, rng)))
    turn = np.empty(len(rows), np.int64)
    turn[dense] = counts_before(cell[dense])
    chosen = np.lexsort((rows, *(of_cell[cell] for of_cell in reversed(order)), turn + load[cell]))[:b]
    return Choice(chosen, np.ones(len(chosen)))
