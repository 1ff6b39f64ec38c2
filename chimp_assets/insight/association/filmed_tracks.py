"""Tracks as columns of numbers, for counts over the whole archive.

Belongs here: reading every live track, and every track with a name. Does not belong here: what is counted of them
(`meetings`, `network`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import sqlalchemy as sa

from chimp_assets.arrays import located
from chimp_assets.database import schema as t
from chimp_assets.database.individuals.merges import as_merged, merged_ids
from chimp_assets.database.labels.kinds import NAMING_KINDS
from chimp_assets.insight.association.scope import Scope
from chimp_assets.insight.living.names import NO_MODEL, NameColumns, name_columns

UNTIMED = -(2**62)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class FilmedTracks:
    """Live tracks of videos with a known recording day, as columns i64 [n] sorted by track_id, named or not.

    day: ordinal; place: one number for each camera; first, last: frame numbers; begins, ends: microseconds since 1970,
    UNTIMED where the time of day is unknown.
    """

    track: np.ndarray
    video: np.ndarray
    day: np.ndarray
    place: np.ndarray
    first: np.ndarray
    last: np.ndarray
    begins: np.ndarray
    ends: np.ndarray


def filmed_tracks(conn: sa.Connection) -> FilmedTracks:
    """All live tracks. Memory: 64 bytes a track."""
    v, k = t.video.c, t.track.c
    videos = conn.execute(
        sa.select(v.video_id, v.recorded_on, v.site, v.camera, v.recorded_at)
        .where(v.recorded_on.is_not(None), v.state != "retired")
        .order_by(v.video_id)
    ).all()
    ordinal: dict[Any, int] = {}
    number: dict[Any, int] = {}
    for row in videos:
        if row[1] not in ordinal:
            ordinal[row[1]] = row[1].toordinal()
    there = np.array([row[0] for row in videos], np.int64)
    days = np.array([ordinal[row[1]] for row in videos], np.int64)
    places = np.array([number.setdefault((row[2], row[3]), len(number)) for row in videos], np.int64)
    at = np.array([UNTIMED if row[4] is None else (row[4] - _EPOCH) // _MICROSECOND for row in videos], np.int64)
    rows = conn.execute(
        sa.select(k.track_id, k.video_id, k.first_frame_no, k.last_frame_no, k.first_s, k.last_s)
        .where(k.state == "live")
        .order_by(k.track_id)
    ).all()
    numbers = np.array([row[:4] for row in rows], np.int64).reshape(-1, 4).T
    seconds = np.array([row[4:] for row in rows], np.float64).reshape(-1, 2).T
    known, which = located(there, numbers[1])
    (track, video, first, last), which = numbers[:, known], which[known]
    begins, ends = at[which] + np.rint(seconds[:, known] * 1e6).astype(np.int64)
    untimed = at[which] == UNTIMED
    begins[untimed] = ends[untimed] = UNTIMED
    return FilmedTracks(track, video, days[which], places[which], first, last, begins, ends)


@dataclass(frozen=True)
class NamedTracks:
    """Tracks with a name, as columns. who: row of the individual; person: whether a person named it; others: as in
    FilmedTracks."""

    who: np.ndarray
    video: np.ndarray
    day: np.ndarray
    first: np.ndarray
    last: np.ndarray
    person: np.ndarray
    place: np.ndarray
    begins: np.ndarray
    ends: np.ndarray


def named_tracks(
    conn: sa.Connection, asked: Scope, filmed: FilmedTracks, names: NameColumns | None = None
) -> tuple[list[int], NamedTracks, list[int]]:
    """Keys of individuals, ascending; their tracks in videos with a known day; keys of the heads that named some.

    names: read if None."""
    if names is not None or asked.probability is not None:
        found = (names or name_columns(conn)).counting(asked.probability)
    else:
        found = _by_persons(conn)
    known, row = located(filmed.track, found[0])
    known[known] = asked.holds(filmed.day[row[known]])
    (_, who, model), row = found[:, known], row[known]
    keys, place = np.unique(who, return_inverse=True)
    named = NamedTracks(
        place, filmed.video[row], filmed.day[row], filmed.first[row], filmed.last[row], model == NO_MODEL,
        filmed.place[row], filmed.begins[row], filmed.ends[row],
    )  # fmt: skip
    return keys.tolist(), named, np.unique(model[model != NO_MODEL]).tolist()


def _by_persons(conn: sa.Connection) -> np.ndarray:
    """Names by persons only, as `NameColumns.counting` has them. Without the view it takes a third of the time."""
    s = t.standing_answer.c
    rows = conn.execute(sa.select(s.track_id, s.individual_id).where(s.kind.in_(NAMING_KINDS)).order_by(s.track_id))
    track, who = np.array([tuple(row) for row in rows.all()], np.int64).reshape(-1, 2).T
    return np.stack([track, as_merged(who, merged_ids(conn)), np.full(len(who), NO_MODEL)])
