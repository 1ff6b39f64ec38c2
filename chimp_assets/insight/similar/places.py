"""Where and when the rows of an index were filmed, and who of them is named: what filters and spread ask about.

Belongs here: filters and groups of rows. Does not belong here: the words of an address (`asked`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.labels.kinds import NAMING_KINDS
from chimp_assets.insight.similar.asked import AskedError, Spread, Where
from chimp_assets.vision.embedding.search_index.scan import VectorIndex

KEPT_S = 60.0
"""Times and cameras are corrected now and then; the names are read for each question."""
_NO_DAY = 0


@dataclass(frozen=True)
class _Filmed:
    """camera: i32 [n], place in `cameras`; day: i64 [n], ordinal, 0 where it is not known; days: i32 [n], groups."""

    index: VectorIndex
    cameras: list[str]
    camera: np.ndarray
    day: np.ndarray
    days: np.ndarray


class Places:
    """The facts of an index, read once a minute at most. Threads may ask at the same time."""

    def __init__(self, read: Callable[[], AbstractContextManager[sa.Connection]]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._made: tuple[float, _Filmed] | None = None

    def cameras(self, index: VectorIndex) -> list[str]:
        """Each site/camera of which there are tracks, sorted."""
        return self._filmed(index).cameras

    def groups(self, index: VectorIndex, spread: Spread) -> np.ndarray | None:
        """i32 [n]: a number for each row, the same within a video or a day; None where tracks are not spread.

        A video without a day is a day of its own.
        """
        if spread == "none":
            return None
        return index.videos if spread == "video" else self._filmed(index).days

    def allowed(self, index: VectorIndex, where: Where) -> np.ndarray | None:
        """bool [n]: the rows that pass; None if all do. Raises AskedError for a camera that filmed nothing."""
        if where == Where():
            return None
        filmed = self._filmed(index)
        mask = np.ones(len(index.track_id), dtype=bool)
        if where.cameras:
            unknown = [one for one in where.cameras if one not in filmed.cameras]
            if unknown:
                raise AskedError(
                    f"cam: there is no track of a camera {unknown[0][:200]!r}.", "Choose one of the list on the page."
                )
            mask &= np.isin(filmed.camera, [filmed.cameras.index(one) for one in where.cameras])
        if where.since is not None:
            mask &= filmed.day >= where.since.toordinal()
        if where.until is not None:
            mask &= (filmed.day <= where.until.toordinal()) & (filmed.day != _NO_DAY)
        if where.status is not None:
            named = np.zeros(len(mask), dtype=bool)
            rows = index.rows_of(self._named())
            named[rows[rows >= 0]] = True
            mask &= named if where.status == "named" else ~named
        return mask

    def _named(self) -> np.ndarray:
        """i64: tracks that a person has named, as of now."""
        e = t.standing_answer.c
        with self._read() as conn:
            return np.array(conn.scalars(sa.select(e.track_id).where(e.kind.in_(NAMING_KINDS))).all(), dtype=np.int64)

    def _filmed(self, index: VectorIndex) -> _Filmed:
        with self._lock:
            if self._made is None or self._made[1].index is not index or time.monotonic() - self._made[0] > KEPT_S:
                self._made = time.monotonic(), self._of(index)
            return self._made[1]

    def _of(self, index: VectorIndex) -> _Filmed:
        v = t.video.c
        with self._read() as conn:
            rows = conn.execute(sa.select(v.video_id, v.site, v.camera, v.recorded_on)).all()
        known = {row.video_id: (f"{row.site or '–'}/{row.camera or '–'}", row.recorded_on) for row in rows}
        videos, row_of = np.unique(index.track_id // t.TRACKS_PER_VIDEO, return_inverse=True)
        found = [known.get(video, ("–/–", None)) for video in videos.tolist()]
        cameras = sorted({camera for camera, _ in found})
        place = {camera: number for number, camera in enumerate(cameras)}
        day = np.array([one.toordinal() if one is not None else _NO_DAY for _, one in found], dtype=np.int64)
        alone = np.where(day == _NO_DAY, -1 - videos, day)
        return _Filmed(
            index,
            cameras,
            np.array([place[camera] for camera, _ in found], dtype=np.int32)[row_of],
            day[row_of],
            np.unique(alone, return_inverse=True)[1].astype(np.int32)[row_of],
        )
