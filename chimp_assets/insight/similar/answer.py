"""The answer: the tracks that look most like the examples, those that exist today and pass the filters.

Belongs here: examples to question, filters and spread to rows, what is left out and why. Does not belong here: the scan
(`vision.embedding.search_index`), words and pages (`web`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.parameters import rows_in_parts
from chimp_assets.insight.similar.asked import SimilarAsked, Spread
from chimp_assets.vision.embedding.search_index.examples import OTHERS, question_of
from chimp_assets.vision.embedding.search_index.scan import VectorIndex

_DAYS_S = 60.0
_MORE = 16
"""Asked for beyond what is shown, since some tracks may have been split or joined since they were embedded."""

Live = Callable[[Sequence[int]], Collection[int]]
"""Those of some track_ids that are live."""


@dataclass(frozen=True)
class SimilarAnswer:
    """track_id: the nearest first; alike: inner products, of one example the cosine, 1 for the same picture.

    without: examples that have no vector. more: whether there are further ones.
    """

    track_id: list[int] = field(default_factory=list)
    alike: list[float] = field(default_factory=list)
    without: list[int] = field(default_factory=list)
    more: bool = False


def similar_tracks(
    index: VectorIndex, days: Days, asked: SimilarAsked, live: Live, n: int, allowed: np.ndarray | None = None
) -> SimilarAnswer:
    """The `n` tracks most alike. allowed: bool [rows of the index], what other filters let pass.

    Examples are never in the answer, and, where tracks are spread, nor is anything of their videos or days: they stand
    for these already.
    """
    rows = index.rows_of(np.array(asked.wanted, dtype=np.int64))
    unwanted = index.rows_of(np.array(asked.unwanted, dtype=np.int64))
    named = [*zip(asked.wanted, rows.tolist(), strict=True), *zip(asked.unwanted, unwanted.tolist(), strict=True)]
    without = [track_id for track_id, row in named if row < 0]
    rows, unwanted = rows[rows >= 0], unwanted[unwanted >= 0]
    if not len(rows):
        return SimilarAnswer(without=without)
    question = question_of(index.vectors(rows), index.vectors(unwanted), index.vectors(index.some(OTHERS)))
    mask = index.alive.copy() if allowed is None else index.alive & allowed
    group = days.groups(index, asked.spread)
    if group is not None:
        taken = np.zeros(int(group.max(initial=0)) + 1, dtype=bool)
        taken[group[rows]] = True
        mask &= ~taken[group]
    mask[rows] = False
    mask[unwanted] = False
    return _living(index, question, mask, group, live, n, without)


def _living(
    index: VectorIndex,
    question: np.ndarray,
    mask: np.ndarray,
    group: np.ndarray | None,
    live: Live,
    n: int,
    without: list[int],
) -> SimilarAnswer:
    """Asks again without the tracks that are gone, until as many as wanted are found or nothing is left."""
    while True:
        rows, scores = index.nearest(question, n + _MORE, mask, group)
        ids = index.track_id[rows].tolist()
        alive = set(live(ids))
        gone = np.array([track_id not in alive for track_id in ids], dtype=bool)
        whole = len(rows) < n + _MORE
        if gone.any() and (group is not None or (not whole and (~gone).sum() <= n)):
            mask[rows[gone]] = False  # a group whose nearest is gone may have another
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


class Days:
    """Which rows of an index lie in one video or on one day. Kept for a minute, since times are corrected."""

    def __init__(self, read: Callable[[], AbstractContextManager[sa.Connection]]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._made: tuple[float, VectorIndex, np.ndarray] | None = None

    def groups(self, index: VectorIndex, spread: Spread) -> np.ndarray | None:
        """i32 [n]: a number for each row, the same within a video or a day; None where tracks are not spread.

        A video without a day is a day of its own.
        """
        if spread == "none":
            return None
        if spread == "video":
            return index.videos
        with self._lock:
            if self._made is None or self._made[1] is not index or time.monotonic() - self._made[0] > _DAYS_S:
                self._made = time.monotonic(), index, self._days(index)
            return self._made[2]

    def _days(self, index: VectorIndex) -> np.ndarray:
        v = t.video.c
        with self._read() as conn:
            rows = conn.execute(sa.select(v.video_id, v.recorded_on).where(v.recorded_on.is_not(None))).all()
        known = {row.video_id: row.recorded_on.toordinal() for row in rows}
        videos, row_of = np.unique(index.track_id // t.TRACKS_PER_VIDEO, return_inverse=True)
        day = np.array([known.get(video, -video - 1) for video in videos.tolist()], dtype=np.int64)
        return np.unique(day, return_inverse=True)[1].astype(np.int32)[row_of]
