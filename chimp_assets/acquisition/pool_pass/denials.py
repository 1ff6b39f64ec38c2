"""What a head says of tracks once people have said whom they do not show.

Belongs here: correcting what a pass found, for the few tracks of which something was denied. Does not belong here: who
denied what (`database.labels.evidence`), the pass itself (`one_pass`).

A denied name is taken out and the others share its probability: a track that looked like A, and is not A, is as
doubtful as the rest makes it, and no reason calls it A again.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from chimp_assets.acquisition.minutes.worth import FrameWorth
from chimp_assets.acquisition.pool import BoolArray, F32Array, I64Array, LinearHead, TrackPool
from chimp_assets.acquisition.pool_pass.arithmetic import ScoredRows, WorthyRows
from chimp_assets.acquisition.pool_pass.one_pass import PassResult
from chimp_assets.acquisition.scores import class_probabilities

_AT_ONCE = 1_024
_Rows = TypeVar("_Rows", ScoredRows, WorthyRows)


def probabilities(pool: TrackPool, head: LinearHead, rows: I64Array) -> F32Array:
    """Class probabilities of a few rows without what was denied of them: f32 [m, C]; all 0 where every name was."""
    parts = [np.empty((0, head.n_classes), np.float32)]
    for low in range(0, len(rows), _AT_ONCE):
        parts.append(class_probabilities(pool.emb[rows[low : low + _AT_ONCE]], head))
    found: F32Array = np.concatenate(parts)
    if pool.denied is not None and len(pool.denied):
        place = {row: n for n, row in enumerate(rows.tolist())}
        for row, class_no in pool.denied.tolist():
            if row in place:
                found[place[row], class_no] = 0
        found /= np.maximum(found.sum(axis=1, keepdims=True), np.float32(1e-12))
    return found


def without_denied(
    found: PassResult, pool: TrackPool, head: LinearHead, eligible: BoolArray, worth: FrameWorth, m: tuple[int, int]
) -> PassResult:
    """What a pass found, with the rows of which a name was denied scored anew. m: how many unsure and how many worthy
    rows are kept; the pass kept one more for each denied row, so that none is missing."""
    if pool.denied is None or not len(pool.denied):
        return found
    rows = np.unique(pool.denied[:, 0])
    rows = rows[eligible[rows]]
    p = probabilities(pool, head, rows)
    two = np.partition(p, -2, axis=1)[:, -2:]
    top1, first = p.argmax(axis=1).astype(np.int32), two[:, 1]
    # Where every name is denied there is nothing to waver between.
    margin = np.where(first > 0, first - two[:, 0], np.float32(1))
    unsure = found.unsure.at(~np.isin(found.unsure.rows, rows))
    worthy = found.worthy.at(~np.isin(found.worthy.rows, rows))
    if m[0]:
        # What is said of how strange a track is does not change: no lane asks it of these lists.
        strange = np.zeros(len(rows), np.float32)
        unsure = _joined(unsure, ScoredRows(rows, margin, top1, strange))
        unsure = unsure.at(np.lexsort((unsure.rows, unsure.margin))[: m[0]])
    if m[1]:
        worthy = _joined(worthy, WorthyRows(rows, worth.of(pool.value[rows], first), first, top1))
        worthy = worthy.at(np.lexsort((worthy.rows, -worthy.worth))[: m[1]])
    return found._replace(unsure=unsure, worthy=worthy)


def _joined(one: _Rows, other: _Rows) -> _Rows:
    columns: list[tuple[Any, Any]] = list(zip(one, other, strict=True))
    return type(one)(*(np.concatenate(pair).astype(pair[0].dtype) for pair in columns))
