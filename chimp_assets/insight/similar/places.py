"""Where and when the rows of an index were filmed, which are there, and which of them a search would find.

Belongs here: groups and masks of rows. Does not belong here: the words of an address (`asked`), what a search finds
(`insight.search`).
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa

from chimp_assets.arrays import located
from chimp_assets.database import schema as t
from chimp_assets.database.connection.parameters import rows_in_parts
from chimp_assets.insight.search.columns import SearchColumns
from chimp_assets.insight.search.query import SearchQuery
from chimp_assets.insight.similar.asked import Spread
from chimp_assets.vision.embedding.search_index.scan import VectorIndex

log = logging.getLogger(__name__)

v = t.video.c
_VIDEOS = sa.select(v.video_id, v.site, v.camera, v.recorded_on, v.state)
KEPT_S = 60.0
"""Times and cameras of videos are corrected now and then: after so long all are read again, beside the answers."""
_NO_DAY = 0
_UNKNOWN = ("–/–", _NO_DAY, True)
_FEW = 5_000

Known = dict[int, tuple[str, int, bool]]
"""video_id: site/camera, the ordinal of its day, 0 where it is not known, and whether it is in the archive."""


@dataclass(frozen=True)
class _Filmed:
    """Of each video of the index camera: i32 [m], place in `cameras`; day: i64 [m], ordinal, 0 where it is not known;
    archived: bool [m]. Of each row days: i32 [n], groups; there: bool [n], False for tracks that people cut or joined,
    or another detector found anew, and for retired videos.
    """

    index: VectorIndex
    cameras: list[str]
    camera: np.ndarray
    day: np.ndarray
    archived: np.ndarray
    days: np.ndarray
    there: np.ndarray

    def known(self) -> Known:
        """What was read of each video."""
        facts = zip(self.camera.tolist(), self.day.tolist(), self.archived.tolist(), strict=True)
        of_videos = ((self.cameras[camera], day, archived) for camera, day, archived in facts)
        return dict(zip(self.index.filmed_in[0].tolist(), of_videos, strict=True))


class Places:
    """The facts of an index. What lands is read with the first question about it. Threads may ask at the same time."""

    def __init__(self, read: Callable[[], AbstractContextManager[sa.Connection]]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._made: _Filmed | None = None
        self._gone = np.zeros(0, np.int64)
        self._read_at = 0.0
        self._reading: threading.Thread | None = None
        self._searched: tuple[VectorIndex, np.ndarray, np.ndarray] | None = None

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

    def there(self, index: VectorIndex) -> np.ndarray:
        """bool [n]: the rows of tracks that were not gone when the facts were last read."""
        return self._filmed(index).there

    def found_by(self, index: VectorIndex, columns: SearchColumns, asked: SearchQuery) -> np.ndarray:
        """bool [n]: the rows of the tracks that a search finds. A track that is in no column yet is not found."""
        found = np.append(columns.matching(asked), False)
        return found[self._in_columns(index, columns.track)]

    def _in_columns(self, index: VectorIndex, track: np.ndarray) -> np.ndarray:
        """i32 [n]: the place of each row in the columns, one past the last where it has none; found once for each index
        and all columns of the same tracks. track: i64, ascending."""
        kept = self._searched
        if kept is None or kept[0] is not index or kept[1] is not track:
            there, place = located(track, index.track_id)
            kept = self._searched = index, track, np.where(there, place, len(track)).astype(np.int32)
        return kept[2]

    def _filmed(self, index: VectorIndex) -> _Filmed:
        with self._lock:
            made = self._made
            if made is None or made.index is not index:
                made = self._made = _filmed(index, self._completed(index), self._gone)
            elif time.monotonic() - self._read_at > KEPT_S and self._reading is None:
                self._reading = threading.Thread(target=self._again, args=(index,), name="places", daemon=True)
                self._reading.start()
            return made

    def _completed(self, index: VectorIndex) -> Known:
        """The facts of the videos of an index; those that are new are read, all at once where they are many."""
        known = {} if self._made is None else self._made.known()
        missing = [video for video in index.filmed_in[0].tolist() if video not in known]
        if len(missing) > _FEW or self._made is None:
            known, self._gone = self._everything()
            self._read_at = time.monotonic()
        elif missing:
            with self._read() as conn:
                known.update(_known(rows_in_parts(conn, lambda part: _VIDEOS.where(v.video_id.in_(part)), missing)))
        return known

    def _again(self, index: VectorIndex) -> None:
        try:
            known, gone = self._everything()
            made = _filmed(index, known, gone)
            with self._lock:
                if self._made is not None and self._made.index is index:
                    self._gone, self._made = gone, made
        except Exception:
            log.exception("Cameras and days of videos could not be read again; what was read before is used")
        finally:
            with self._lock:
                self._read_at, self._reading = time.monotonic(), None

    def _everything(self) -> tuple[Known, np.ndarray]:
        k = t.track.c
        with self._read() as conn:
            known = _known(conn.execute(_VIDEOS))
            # Not junk: that never had a vector.
            gone = conn.scalars(sa.select(k.track_id).where(k.state.not_in(("live", "junk")))).all()
        return known, np.array(gone, dtype=np.int64)


def _known(rows: Iterable[sa.Row[Any]]) -> Known:
    """Cameras are few: each is one text in memory."""
    return {
        row.video_id: (
            sys.intern(f"{row.site or '–'}/{row.camera or '–'}"),
            row.recorded_on.toordinal() if row.recorded_on is not None else _NO_DAY,
            row.state != "retired",
        )
        for row in rows
    }


def _filmed(index: VectorIndex, known: Known, gone: np.ndarray) -> _Filmed:
    videos, row_of = index.filmed_in
    found = [known.get(video, _UNKNOWN) for video in videos.tolist()]
    cameras = sorted({camera for camera, _, _ in found})
    place = {camera: number for number, camera in enumerate(cameras)}
    day = np.array([one for _, one, _ in found], dtype=np.int64)
    archived = np.array([one for _, _, one in found], dtype=bool)
    there = archived[row_of]
    rows = index.rows_of(gone)
    there[rows[rows >= 0]] = False
    return _Filmed(
        index,
        cameras,
        np.array([place[camera] for camera, _, _ in found], dtype=np.int32),
        day,
        archived,
        np.unique(np.where(day == _NO_DAY, -1 - videos, day), return_inverse=True)[1].astype(np.int32)[row_of],
        there,
    )
