"""Names of all tracks as columns that are read once and kept current.

Belongs here: reading them, and reading again what newer decisions are about. Does not belong here: which tracks were
filmed (`filmed_tracks`), what is counted (`estimates`).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa

from chimp_assets.arrays import rows_of
from chimp_assets.database.connection.parameters import rows_in_parts
from chimp_assets.insight.individuals.named_tracks import named_track
from chimp_assets.insight.living.newer_decisions import tracks_told_of
from chimp_assets.insight.living.stamps import Stamp, careless

NO_MODEL = -1


@dataclass(frozen=True)
class NameColumns:
    """Tracks that have a name, as columns [n] by ascending track. track, who: i64; model: i64, the head that gave the
    name or NO_MODEL; probability: f64; by_person: bool, whether one person's answer gave it."""

    track: np.ndarray
    who: np.ndarray
    model: np.ndarray
    probability: np.ndarray
    by_person: np.ndarray

    def counting(self, probability: float | None) -> np.ndarray:
        """Names that count, as i64 [3, m]: track, individual, model. probability: least, None: by persons only."""
        kept = self.by_person if probability is None else self.probability >= probability
        return np.stack([self.track[kept], self.who[kept], self.model[kept]])

    def replaced(self, again: Sequence[int], by: NameColumns) -> NameColumns:
        """These columns with the rows of some tracks replaced, of which `by` has those that have a name now."""
        kept = np.delete(np.arange(len(self.track)), rows_of(self.track, np.array(again, np.int64)))
        at = np.searchsorted(self.track[kept], by.track)
        return NameColumns(
            *(np.insert(one[kept], at, other) for one, other in zip(_columns(self), _columns(by), strict=True))
        )


class LiveNames:
    """Names that are read once and kept current: what newer decisions are about is read before each answer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: tuple[Stamp, frozenset[int], NameColumns] | None = None

    def current(self, conn: sa.Connection, stamp: Stamp) -> NameColumns:
        """The names of this moment. stamp: read in the same snapshot."""
        with self._lock:
            if self._kept is not None and self._kept[0] == stamp:
                return self._kept[2]
            guessing = careless(conn)
            names = None
            if self._kept is not None:
                known, guessed, kept = self._kept
                if guessed == guessing and (known.names, known.filmed) == (stamp.names, stamp.filmed):
                    again = tracks_told_of(conn, known.seq, stamp.seq) if known.seq <= stamp.seq else None
                    names = None if again is None else kept.replaced(again, name_columns(conn, again))
            names = name_columns(conn) if names is None else names
            self._kept = stamp, guessing, names
            return names


def name_columns(conn: sa.Connection, tracks: Sequence[int] | None = None) -> NameColumns:
    """Names of tracks, or of all. Memory: 33 bytes a track."""
    n = named_track.c
    person = sa.case((n.source == "person", 1), else_=0)
    asked = sa.select(n.track_id, n.individual_id, sa.func.coalesce(n.model_id, NO_MODEL), n.probability, person)
    rows: Sequence[Any] = (
        conn.execute(asked).all()
        if tracks is None
        else list(rows_in_parts(conn, lambda part: asked.where(n.track_id.in_(part)), tracks))
    )
    found = np.array(
        [tuple(row) for row in rows],
        [("t", np.int64), ("w", np.int64), ("m", np.int64), ("p", np.float64), ("b", bool)],
    )
    found = found[np.argsort(found["t"], kind="stable")]
    return NameColumns(*(np.ascontiguousarray(found[name]) for name in "twmpb"))


def _columns(names: NameColumns) -> tuple[np.ndarray, ...]:
    return names.track, names.who, names.model, names.probability, names.by_person
