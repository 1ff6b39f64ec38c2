"""The answer: the tracks that look most like the examples, those that exist today and pass the filters.

Belongs here: examples to question, filters and spread to rows, what is left out and why. Does not belong here: the scan
(`vision.embedding.search_index`), words and pages (`web`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.parameters import rows_in_parts
from chimp_assets.insight.similar.asked import SimilarAsked
from chimp_assets.insight.similar.places import Places
from chimp_assets.vision.embedding.search_index.examples import OTHERS, question_of
from chimp_assets.vision.embedding.search_index.scan import MOST_AT_ONCE, VectorIndex

_MORE = 16
"""Asked for beyond what is shown, since some tracks may have been split or joined since they were embedded."""

Live = Callable[[Sequence[int]], Collection[int]]
"""Those of some track_ids that are live."""


@dataclass(frozen=True)
class SimilarAnswer:
    """track_id: the nearest first; alike: inner products, of one example the cosine, 1 for the same picture.

    without: examples that are not live or have no vector. more: whether there are further ones.
    """

    track_id: list[int] = field(default_factory=list)
    alike: list[float] = field(default_factory=list)
    without: list[int] = field(default_factory=list)
    more: bool = False


def similar_tracks(
    index: VectorIndex, places: Places, asked: SimilarAsked, live: Live, n: int, allowed: np.ndarray | None = None
) -> SimilarAnswer:
    """The `n` tracks most alike. allowed: bool [rows of the index], what other filters let pass.

    Examples are never in the answer, and, where tracks are spread, nor is anything of their videos or days: they stand
    for these already.
    """
    alive = set(live([*asked.wanted, *asked.unwanted]))
    rows, unwanted = (_rows_of(index, examples, alive) for examples in (asked.wanted, asked.unwanted))
    usable = set(index.track_id[np.concatenate([rows, unwanted])].tolist())
    without = [track_id for track_id in (*asked.wanted, *asked.unwanted) if track_id not in usable]
    if not len(rows):
        return SimilarAnswer(without=without)
    question = question_of(index.vectors(rows), index.vectors(unwanted), index.vectors(index.some(OTHERS)))
    mask = index.alive.copy() if allowed is None else index.alive & allowed
    group = places.groups(index, asked.spread)
    if group is not None:
        taken = np.zeros(int(group.max(initial=0)) + 1, dtype=bool)
        taken[group[rows]] = True
        mask &= ~taken[group]
    mask[rows] = False
    mask[unwanted] = False
    return _living(index, question, mask, group, live, n, without)


def _rows_of(index: VectorIndex, examples: Sequence[int], alive: Collection[int]) -> np.ndarray:
    """Of examples that are live: until a bundle is embedded anew, its file holds vectors of tracks that were cut."""
    rows = index.rows_of(np.array([one for one in examples if one in alive], dtype=np.int64))
    return rows[rows >= 0]


def _living(
    index: VectorIndex,
    question: np.ndarray,
    mask: np.ndarray,
    group: np.ndarray | None,
    live: Live,
    n: int,
    without: list[int],
) -> SimilarAnswer:
    """Asks again without the tracks that are gone, for more each time, until enough are found or nothing is left."""
    asked = n + _MORE
    while True:
        rows, scores = index.nearest(question, asked, mask, group)
        ids = index.track_id[rows].tolist()
        alive = set(live(ids))
        gone = np.array([track_id not in alive for track_id in ids], dtype=bool)
        # Of a group whose nearest is gone another may be the nearest; else only too few are a reason to ask again.
        if gone.any() and (group is not None or (len(rows) == asked and (~gone).sum() <= n)):
            mask[rows[gone]] = False
            asked = min(4 * asked, MOST_AT_ONCE)
            continue
        rows, scores = rows[~gone], scores[~gone]
        return SimilarAnswer(
            index.track_id[rows[:n]].tolist(), [round(float(s), 4) for s in scores[:n]], without, len(rows) > n
        )


def live_among(conn: sa.Connection, track_ids: Sequence[int]) -> set[int]:
    """Those of some tracks that are live, in videos that are in the archive."""
    k, v = t.track.c, t.video.c
    rows = rows_in_parts(
        conn,
        lambda part: (
            sa.select(k.track_id)
            .join_from(t.track, t.video, v.video_id == k.video_id)
            .where(k.track_id.in_(part), k.state == "live", v.state != "retired")
        ),
        track_ids,
    )
    return {row.track_id for row in rows}
