"""Every live track as columns in memory, for search: who, where, when, how sure.

Belongs here: reading them, keeping them current, matching, counting by facet, order. Does not belong here: the words of
the address (`query`), what is shown of a track (`insight.similar.tracks`).

SQL stays the truth: columns say which tracks match, and what a page shows of them is read by their keys. What a model
says of tracks that measure it (audit reserve, test days) is not in the columns.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.parameters import rows_in_parts
from chimp_assets.database.tracks.families import reserved_mask
from chimp_assets.insight.individuals.named_tracks import named_track
from chimp_assets.insight.living.newer_decisions import tracks_told_of
from chimp_assets.insight.living.stamps import Stamp, careless, stamp_of
from chimp_assets.insight.search.query import SOURCES, SearchQuery
from chimp_assets.loop.pool import located

NOBODY = -1
FACETS = ("who", "cam", "status", "by", "sex")


@dataclass(frozen=True)
class SearchColumns:
    """Columns of n live tracks. who: i32 [n], place in `people`; source: i8 [n], place in SOURCES; both NOBODY without
    a name; p, quality: f32 [n]; camera: i32 [n], place in `cameras`; day: i32 [n], ordinal, 0 unknown; hour: i8 [n],
    NOBODY unknown; people: code, name, sex by place; stamp: what these columns are made of."""

    track: np.ndarray
    video: np.ndarray
    who: np.ndarray
    source: np.ndarray
    p: np.ndarray
    quality: np.ndarray
    camera: np.ndarray
    day: np.ndarray
    hour: np.ndarray
    measures: np.ndarray
    people: list[tuple[str, str | None, str]]
    cameras: list[str]
    stamp: Stamp

    @property
    def seq(self) -> int:
        """Number of the last decision that is in it."""
        return self.stamp.seq

    def matching(self, asked: SearchQuery, leave_out: str = "") -> np.ndarray:
        """Which tracks match: bool [n]. leave_out: a facet that does not narrow, to count its own words."""
        found = np.ones(len(self.track), bool)
        if leave_out != "who" and asked.who:
            wanted = [self._place(word) for word in asked.who if not word.startswith("!")]
            unwanted = [self._place(word[1:]) for word in asked.who if word.startswith("!")]
            found &= np.isin(self.who, wanted) if wanted else True
            found &= ~np.isin(self.who, unwanted)
        if asked.beside:
            films = np.unique(self.video[np.isin(self.who, [self._place(word) for word in asked.beside])])
            found &= np.isin(self.video, films)
        if leave_out != "cam" and asked.cameras:
            found &= np.isin(self.camera, [n for n, one in enumerate(self.cameras) if one in asked.cameras])
        if leave_out != "status" and len(asked.status) == 1:
            found &= (self.who != NOBODY) == (asked.status[0] == "named")
        if leave_out != "by" and asked.sources:
            found &= np.isin(self.source, [SOURCES.index(one) for one in asked.sources])
        if leave_out != "sex" and asked.sexes:
            found &= np.isin(self.who, [n for n, one in enumerate(self.people) if one[2] in asked.sexes])
        if asked.p is not None:
            found &= (self.who != NOBODY) & (self.p >= asked.p[0] - 1e-6) & (self.p <= asked.p[1] + 1e-6)
        if asked.quality is not None:
            found &= (self.quality >= asked.quality[0] - 1e-6) & (self.quality <= asked.quality[1] + 1e-6)
        if asked.hour is not None:
            found &= (self.hour >= asked.hour[0]) & (self.hour <= asked.hour[1])
        if asked.since is not None:
            found &= self.day >= asked.since.toordinal()
        if asked.until is not None:
            found &= (self.day > 0) & (self.day <= asked.until.toordinal())
        if asked.video is not None:
            found &= self.video == asked.video
        return found

    def facets(self, asked: SearchQuery) -> dict[str, list[tuple[str, int]]]:
        """Words of each facet with the tracks that have them, most first; a facet's own choice does not narrow it."""
        counts: dict[str, list[tuple[str, int]]] = {}
        for facet in FACETS:
            mask = self.matching(asked, facet)
            if facet == "who":
                n = np.bincount(self.who[mask & (self.who != NOBODY)], minlength=len(self.people))
                pairs = [(self.people[place][0], int(n[place])) for place in np.flatnonzero(n)]
            elif facet == "cam":
                n = np.bincount(self.camera[mask], minlength=len(self.cameras))
                pairs = [(self.cameras[place], int(n[place])) for place in np.flatnonzero(n)]
            elif facet == "status":
                named = int((mask & (self.who != NOBODY)).sum())
                pairs = [("named", named), ("unnamed", int(mask.sum()) - named)]
            elif facet == "by":
                n = np.bincount(self.source[mask & (self.source != NOBODY)], minlength=len(SOURCES))
                pairs = [(SOURCES[place], int(n[place])) for place in np.flatnonzero(n)]
            else:
                sexes: Counter[str] = Counter()
                n = np.bincount(self.who[mask & (self.who != NOBODY)], minlength=len(self.people))
                for place in np.flatnonzero(n):
                    sexes[self.people[place][2]] += int(n[place])
                pairs = list(sexes.items())
            counts[facet] = sorted(((word, k) for word, k in pairs if k), key=lambda one: (-one[1], one[0]))
        return counts

    def ordered(self, asked: SearchQuery, matching: np.ndarray) -> np.ndarray:
        """Track ids that match, in the order that is asked for."""
        return self.ranked(asked, matching)[0]

    def ranked(self, asked: SearchQuery, matching: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
        """The same, with the key of each in this order, f64 [m], and how many of them lie up to `asked.after`."""
        rows = np.flatnonzero(matching)
        track = self.track[rows]
        key: np.ndarray = {
            "new": lambda: -self.day[rows],
            "old": lambda: self.day[rows],
            "doubt": lambda: np.where(self.who[rows] == NOBODY, 2.0, self.p[rows]),
            "sure": lambda: -np.where(self.who[rows] == NOBODY, -1.0, self.p[rows]),
            "quality": lambda: -self.quality[rows],
        }[asked.sort]().astype(np.float64)
        turned = -track if asked.sort == "new" else track
        order = np.lexsort((turned, key))
        behind = 0
        if asked.after is not None:
            last, last_track = asked.after
            same = -last_track if asked.sort == "new" else last_track
            behind = int(((key < last) | ((key == last) & (turned <= same))).sum())
        return track[order], key[order], behind

    def _place(self, code: str) -> int:
        return next((n for n, one in enumerate(self.people) if one[0] == code.upper()), -2)


class LiveColumns:
    """Columns that are read once and kept current: newer decisions are read before each answer."""

    def __init__(self, seed: int, share: float) -> None:
        self._seed, self._share = seed, share
        self._lock = threading.Lock()
        self._kept: tuple[SearchColumns, frozenset[int]] | None = None

    def current(self, conn: sa.Connection) -> SearchColumns:
        """The columns of this moment."""
        stamp = stamp_of(conn)
        with self._lock:
            if self._kept is not None and self._kept[0].stamp == stamp:
                return self._kept[0]
            guessing, made = careless(conn), None
            if self._kept is not None and self._kept[1] == guessing:
                made = _with_newer(conn, self._kept[0], stamp)
            made = made or read_columns(conn, self._seed, self._share, stamp)
            self._kept = made, guessing
            return made


def read_columns(conn: sa.Connection, seed: int, share: float, stamp: Stamp) -> SearchColumns:
    """Everything. Memory: some 50 bytes a track."""
    v, k, i = t.video.c, t.track.c, t.individual.c
    films = conn.execute(
        sa.select(v.video_id, v.site, v.camera, v.recorded_on, v.recorded_at)
        .where(v.state != "retired")
        .order_by(v.video_id)
    ).all()
    cameras: dict[str, int] = {}
    facts = np.array(
        [
            (
                row.video_id, cameras.setdefault(f"{row.site or '–'}/{row.camera or '–'}", len(cameras)),
                row.recorded_on.toordinal() if row.recorded_on else 0, row.recorded_at.hour if row.recorded_at else -1,
            )
            for row in films
        ],
        np.int64,
    ).reshape(-1, 4)  # fmt: skip
    live = sa.select(k.track_id, k.video_id, sa.func.coalesce(k.quality, 0.0)).where(k.state == "live")
    rows = np.array([tuple(row) for row in conn.execute(live.order_by(k.track_id))], np.float64).reshape(-1, 3)
    track, video = rows[:, 0].astype(np.int64), rows[:, 1].astype(np.int64)
    there, place = located(facts[:, 0], video)
    track, video, place, quality = track[there], video[there], place[there], rows[there, 2].astype(np.float32)
    people = conn.execute(
        sa.select(i.individual_id, i.anim_id, i.name, i.sex).where(i.same_as_id.is_(None)).order_by(i.anim_id)
    ).all()
    measures = reserved_mask(conn, track, seed, share) if len(track) else np.zeros(0, bool)
    a = t.split_assignment.c
    tested = np.array(list(conn.scalars(sa.select(a.video_id).where(a.split == "test"))), np.int64)
    measures = measures | np.isin(video, tested)
    blank = np.full(len(track), NOBODY)
    found = SearchColumns(
        track, video, blank.astype(np.int32), blank.astype(np.int8), np.zeros(len(track), np.float32), quality,
        facts[place, 1].astype(np.int32), facts[place, 2].astype(np.int32), facts[place, 3].astype(np.int8), measures,
        [(row.anim_id, row.name, row.sex) for row in people], list(cameras), stamp,
    )  # fmt: skip
    n = named_track.c
    names = conn.execute(sa.select(n.track_id, n.anim_id, n.source, n.probability)).all()
    return _named(found, track, names)


def _with_newer(conn: sa.Connection, kept: SearchColumns, stamp: Stamp) -> SearchColumns | None:
    """The columns with the names of the tracks that newer decisions are about read again; None where everything has to
    be."""
    n = named_track.c
    if (kept.stamp.names, kept.stamp.filmed) != (stamp.names, stamp.filmed):
        return None
    again = tracks_told_of(conn, kept.seq, stamp.seq)
    if again is None:
        return None
    names = rows_in_parts(
        conn,
        lambda part: sa.select(n.track_id, n.anim_id, n.source, n.probability).where(n.track_id.in_(part)),
        again,
    )
    copied = replace(kept, who=kept.who.copy(), source=kept.source.copy(), p=kept.p.copy(), stamp=stamp)
    return _named(copied, np.array(again, np.int64), list(names))


def _named(columns: SearchColumns, again: np.ndarray, names: Any) -> SearchColumns:
    """Writes the names of some tracks into the columns, without those by a model of tracks that measure it."""
    there, places = located(columns.track, again)
    rows = places[there]
    columns.who[rows], columns.source[rows], columns.p[rows] = NOBODY, NOBODY, 0.0
    place = {one[0]: n for n, one in enumerate(columns.people)}
    for row in names:
        at = int(np.searchsorted(columns.track, row.track_id))
        if at >= len(columns.track) or columns.track[at] != row.track_id or row.anim_id not in place:
            continue
        if columns.measures[at] and row.source != "person":
            continue
        columns.who[at], columns.source[at] = place[row.anim_id], SOURCES.index(row.source)
        columns.p[at] = row.probability
    return columns
