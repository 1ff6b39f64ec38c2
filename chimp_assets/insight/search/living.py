"""The columns of search, kept current.

Belongs here: when they are read, and which of them answer meanwhile. Does not belong here: reading (`reading`).

Newer decisions and what is known of individuals are read before each answer. What touches all tracks (a head, a bundle,
tracks that were cut) is read by a thread beside, and the older columns answer until it has done: they say as of when.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.insight.individuals.named_tracks import named_track
from chimp_assets.insight.living.newer_decisions import newer_decisions
from chimp_assets.insight.living.stamps import careless
from chimp_assets.insight.search.columns import NOBODY, People, SearchColumns, Stamp
from chimp_assets.insight.search.reading import (
    identify,
    read_columns,
    read_people,
    stamp_of,
    videos_changed_at,
    without_what_measures,
)

log = logging.getLogger(__name__)

MOST_AGAIN = 20_000
"""Tracks whose names are read again at once: two individuals who became one may have more."""
LOOK_S = 5.0
"""How old it may be when somebody last looked whether cameras or days of videos were corrected, and whose words no
longer count."""
AGAIN_S = 30.0
"""After a fault it is tried again so much later."""
REST, LONGEST_REST_S = 2.0, 30.0


class LiveColumns:
    """Threads may ask at the same time. read: opens a read transaction; seed, share: the draw of the audit reserve;
    rest: times that a reading took before the next begins, for bundles that land one after the other."""

    def __init__(
        self, read: Callable[[], AbstractContextManager[sa.Connection]], seed: int, share: float, rest: float = REST
    ) -> None:
        self._read, self._seed, self._share, self._rest = read, seed, share, rest
        self._lock = threading.Lock()
        self._kept: SearchColumns | None = None
        self._careful: tuple[Stamp, tuple[Any, ...], SearchColumns] | None = None
        self._work: threading.Thread | None = None
        self._looked = self._not_before = -1e9
        self._slowly: tuple[datetime | None, frozenset[int]] = (None, frozenset())

    def current(self, conn: sa.Connection) -> SearchColumns:
        """Columns that answer now: of this moment, or older ones while these are read. Only the first who asks
        waits."""
        stamp = self._stamp(conn, look=self._kept is None)
        with self._lock:
            kept = self._kept
            made = self._brought_up(conn, stamp)
            if made is None and kept is None:
                made = read_columns(conn, self._seed, self._share, stamp)
            if made is not None:
                self._kept, self._careful = made, None
                return made
            assert kept is not None
            self._begin()
            if self._careful is None or self._careful[:2] != (kept.stamp, stamp.rest):
                self._careful = kept.stamp, stamp.rest, without_what_measures(conn, kept)
            return self._careful[2]

    def exact(self, conn: sa.Connection) -> SearchColumns:
        """The columns of the moment of this transaction, however long that takes."""
        stamp = self._stamp(conn, look=True)
        with self._lock:
            kept = self._kept
            if kept is None or kept.stamp.seq <= stamp.seq:
                made = self._brought_up(conn, stamp)
                if made is not None:
                    self._kept, self._careful = made, None
                    return made
        return read_columns(conn, self._seed, self._share, stamp)

    @property
    def reading(self) -> bool:
        """Whether what answers is older than what there is, and is read beside, or will be in a moment."""
        return self._careful is not None

    def settle(self) -> None:
        """Wait until nothing is being read beside."""
        work = self._work
        if work is not None:
            work.join()

    def _stamp(self, conn: sa.Connection, look: bool = False) -> Stamp:
        seen = self._slowly
        if look or time.monotonic() - self._looked >= LOOK_S:
            seen = videos_changed_at(conn), careless(conn)
            self._slowly, self._looked = seen, time.monotonic()
        return stamp_of(conn, *seen)

    def _brought_up(self, conn: sa.Connection, stamp: Stamp) -> SearchColumns | None:
        kept = self._kept
        if kept is None:
            return None
        same = kept.stamp.head == stamp.head and kept.stamp.rest == stamp.rest
        return brought_up(conn, kept, stamp) if same else None

    def _begin(self) -> None:
        """Under the lock."""
        if self._work is None and time.monotonic() >= self._not_before:
            self._work = threading.Thread(target=self._anew, name="search-columns", daemon=True)
            self._work.start()

    def _anew(self) -> None:
        began = time.monotonic()
        try:
            with self._read() as conn:
                made = read_columns(conn, self._seed, self._share, self._stamp(conn, look=True))
            with self._lock:
                self._kept, self._careful, self._work = made, None, None
                self._not_before = time.monotonic() + min(LONGEST_REST_S, self._rest * (time.monotonic() - began))
        except Exception:
            log.exception("The columns of search could not be read anew; the older ones answer")
            with self._lock:
                self._not_before, self._work = time.monotonic() + AGAIN_S, None


def brought_up(conn: sa.Connection, kept: SearchColumns, stamp: Stamp) -> SearchColumns | None:
    """The columns with what newer decisions, merges and biographies have changed; None where these cut or joined
    tracks, or changed too much. Only where stamps differ in nothing else."""
    if kept.stamp.seq >= stamp.seq and kept.stamp[1:] == stamp[1:]:  # also of a transaction that began before the last
        return kept
    newer = newer_decisions(conn, kept.stamp.seq, stamp.seq)
    if newer is None:
        return None
    again = newer.tracks
    columns = replace(
        kept, who=kept.who.copy(), source=kept.source.copy(), p=kept.p.copy(), kind=kept.kind.copy(),
        age=kept.age.copy(), flag=kept.flag.copy(), stamp=stamp,
    )  # fmt: skip
    if kept.stamp[1:3] != stamp[1:3] or "new_individual" in newer.kinds:
        more = _with_people(conn, columns, kept.stamp)
        if more is None:
            return None
        columns, affected = more
        again |= affected
    identify(conn, columns, sorted(again))
    return columns


def _with_people(conn: sa.Connection, columns: SearchColumns, before: Stamp) -> tuple[SearchColumns, set[int]] | None:
    """The columns with who there is now, and the tracks of those whose names became others'."""
    g, n = t.individual_merge.c, named_track.c
    pairs = conn.execute(sa.select(g.individual_id, g.into_individual_id).where(g.merge_id > before.merge_id)).all()
    merged = {key for row in pairs for key in row}
    people = read_people(conn)
    who = _moved(columns.people, people)[columns.who]
    were = [place for place, one in enumerate(columns.people.persons) if one.individual_id in merged]
    affected = set(columns.track[np.isin(columns.who, were)].tolist()) if were else set()
    if merged:
        theirs = sa.select(n.track_id).where(n.individual_id.in_(sorted(merged))).limit(MOST_AGAIN + 1)
        affected |= set(conn.scalars(theirs))
    if len(affected) > MOST_AGAIN:
        return None
    columns = replace(columns, who=who, people=people)
    return replace(columns, age=people.age_of(columns.who, columns.day)), affected


def _moved(old: People, new: People) -> np.ndarray:
    """Places of everybody among those that there are now, i32 [n + 1]; NOBODY for who is no more, and at last."""
    place = {one.individual_id: n for n, one in enumerate(new.persons)}
    return np.array([*(place.get(one.individual_id, NOBODY) for one in old.persons), NOBODY], np.int32)
