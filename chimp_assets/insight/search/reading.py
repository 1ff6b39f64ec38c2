"""Reading the columns of search: all of them, or again what a few newer decisions have changed.

Belongs here: SQL to columns, and what columns are made of. Does not belong here: when that happens (`living`), matching
(`columns`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import numpy as np
import sqlalchemy as sa

from chimp_assets.arrays import I64Array, located
from chimp_assets.database import schema as t
from chimp_assets.database.connection.parameters import in_parts
from chimp_assets.database.footage.light import LIGHTS, light_of_video
from chimp_assets.database.tracks.families import reserved_mask
from chimp_assets.insight.individuals.decisions import flagged_tracks
from chimp_assets.insight.individuals.named_tracks import named_track
from chimp_assets.insight.search.columns import NOBODY, AgeClass, People, Person, SearchColumns, Stamp
from chimp_assets.insight.search.query import KINDS, NAMED, SOURCES

PAGE = 50_000
AGE_SCHEME = "gombe"
UNKNOWN_PLACE = "–"
_ORDINAL = 1_721_425
"""Julian day number of the day before day 1 of Python's calendar."""
_OF_A_TRACK = np.dtype([("track", "i8"), ("video", "i8"), ("quality", "f4")])
_OF_A_NAME = np.dtype([("track", "i8"), ("individual", "i8"), ("source", "i1"), ("p", "f4")])
_OF_AN_ANSWER = np.dtype([("track", "i8"), ("kind", "i1")])
_BARE = np.dtype([("track", "i8")])
_born = sa.table("v_individual_day", sa.column("individual_id", sa.BigInteger), sa.column("born_day_no", sa.Integer))


def stamp_of(conn: sa.Connection, videos_at: datetime | None = None, without: frozenset[int] = frozenset()) -> Stamp:
    """Numbers that change with what the columns are made of. videos_at, without: `videos_changed_at` and `careless`, if
    somebody has looked."""
    m, b = t.model.c, t.bundle_score.c
    head = sa.select(m.model_id).where(m.task == "head", m.state == "champion").scalar_subquery()
    # The ends of indexes. Splits are given in the order of videos; one that changes is a move.
    newest = (
        t.annotation.c.seq, t.individual_merge.c.merge_id, t.biography_log.c.log_id, t.track.c.track_id,
        t.video.c.video_id, t.bundle.c.changed_at, t.split_move.c.split_move_id, t.split_assignment.c.video_id,
    )  # fmt: skip
    # Which videos are in the archive is not said by a newest number alone.
    many = (
        sa.select(sa.func.count()).where(t.video.c.state == "retired"),
        sa.select(sa.func.count()).select_from(t.bundle_score).where(b.model_id == head),
        # A bundle that is scored anew has a newer moment.
        sa.select(sa.func.max(b.created_at)).where(b.model_id == head),
    )
    seq, merge_id, log_id, *rest, head_id = conn.execute(
        sa.select(
            *(sa.select(sa.func.max(one)).scalar_subquery() for one in newest),
            *(one.scalar_subquery() for one in many),
            head,
        )
    ).one()
    return Stamp(int(seq or 0), int(merge_id or 0), int(log_id or 0), head_id, (*rest, videos_at, without))


def videos_changed_at(conn: sa.Connection) -> datetime | None:
    """When what is known of a video last changed, its camera and day too. Reads all of them: some 50 ms of a quarter
    of a million."""
    return conn.scalar(sa.select(sa.func.max(t.video.c.updated_at)))


def read_columns(conn: sa.Connection, seed: int, share: float, stamp: Stamp) -> SearchColumns:
    """Everything. seed, share: the draw of the audit reserve. Memory: some 40 bytes a track."""
    k = t.track.c
    facts, cameras = _films(conn)
    live = sa.select(k.track_id, k.video_id, k.quality).where(k.state == "live")
    tracks = _read(conn, live.order_by(k.track_id), _OF_A_TRACK)
    there, film = located(facts[:, 0], tracks["video"])
    tracks, film = tracks[there], film[there]
    n = len(tracks)
    found = SearchColumns(
        track=np.ascontiguousarray(tracks["track"]), film=film.astype(np.int32), who=np.full(n, NOBODY, np.int32),
        kind=np.full(n, KINDS.index("unlabelled"), np.int8), source=np.full(n, NOBODY, np.int8),
        p=np.zeros(n, np.float32), quality=np.ascontiguousarray(tracks["quality"]),
        camera=facts[film, 1].astype(np.int32), day=facts[film, 2].astype(np.int32),
        hour=facts[film, 3].astype(np.int8), light=facts[film, 4].astype(np.int8), age=np.full(n, NOBODY, np.int8),
        flag=np.zeros(n, bool), measures=np.zeros(n, bool), films=np.ascontiguousarray(facts[:, 0]),
        people=read_people(conn), cameras=tuple(cameras), stamp=stamp,
    )  # fmt: skip
    measures = reserved_mask(conn, found.track, seed, share) if n else found.measures
    found = replace(found, measures=measures | _of_test_days(conn, found))
    identify(conn, found, None)
    return found


def _films(conn: sa.Connection) -> tuple[I64Array, dict[str, int]]:
    """Of each video in the archive, by video_id: video_id, place of its camera, day as an ordinal, hour, place of its
    light, i64 [m, 5]; the places of cameras. Days are few: each is read once, by way of text (as v_video_day)."""
    v, s = t.video.c, t.video_signal.c
    day = sa.cast(v.recorded_on, sa.String(10))
    wanted = (
        sa.select(
            v.video_id, v.site, v.camera, day.label("day"), sa.extract("hour", v.recorded_at).label("hour"),
            light_of_video().label("light"),
        )
        .outerjoin_from(t.video, t.video_signal, s.video_id == v.video_id)
        .where(v.state != "retired")
        .order_by(v.video_id)
    )  # fmt: skip
    cameras: dict[tuple[str | None, str | None], int] = {}
    words: dict[str, int] = {}
    days: dict[str | None, int] = {None: 0}
    light_of = {word: place for place, word in enumerate(LIGHTS)}
    parts = [np.zeros((0, 5), np.int64)]
    for rows in conn.execute(wanted, execution_options={"yield_per": PAGE}).partitions():
        found = []
        for key, site, camera, on, hour, light in rows:
            if (site, camera) not in cameras:
                cameras[site, camera] = words.setdefault(camera_word(site, camera), len(words))
            if on not in days:
                days[on] = date.fromisoformat(on).toordinal()
            found.append((key, cameras[site, camera], days[on], NOBODY if hour is None else int(hour), light_of[light]))
        parts.append(np.array(found, np.int64))
    return np.concatenate(parts), words


def camera_word(site: str | None, camera: str | None) -> str:
    """How a search names a camera."""
    return f"{site or UNKNOWN_PLACE}/{camera or UNKNOWN_PLACE}"


def read_people(conn: sa.Connection) -> People:
    """Who there is now, and the age classes of AGE_SCHEME."""
    i, a = t.individual.c, t.age_class.c
    rows = conn.execute(
        sa.select(i.individual_id, i.anim_id, i.name, i.sex, _born.c.born_day_no)
        .outerjoin_from(t.individual, _born, _born.c.individual_id == i.individual_id)
        .where(i.same_as_id.is_(None))
        .order_by(i.anim_id)
    )
    persons = tuple(
        Person(row.individual_id, row.anim_id, row.name, row.sex, max(0, (row.born_day_no or 0) - _ORDINAL))
        for row in rows
    )
    classes = conn.execute(sa.select(t.age_class).where(a.scheme == AGE_SCHEME).order_by(a.position, a.name)).all()
    words = tuple(dict.fromkeys(row.name for row in classes))
    bounds = tuple(
        AgeClass(
            row.sex, words.index(row.name), float(row.min_age_y),
            float("inf") if row.max_age_y is None else float(row.max_age_y),
        )
        for row in classes
    )  # fmt: skip
    return People(persons, words, bounds)


def identify(conn: sa.Connection, columns: SearchColumns, among: list[int] | None) -> None:
    """Writes into the columns who some tracks are, without what a model or volunteers say of those that measure it.
    among: their numbers; None: all, which are blank."""
    track, people = columns.track, columns.people.persons
    if among is not None:
        there, rows = located(track, np.array(among, np.int64))
        blank = rows[there]
        columns.who[blank], columns.source[blank], columns.p[blank] = NOBODY, NOBODY, 0.0
        columns.kind[blank], columns.flag[blank] = KINDS.index("unlabelled"), False
    h, e, n = t.track_score.c, t.standing_answer.c, named_track.c
    head = columns.stamp.head
    if head is not None:
        unknown = sa.select(h.track_id).where(h.model_id == head, h.is_unknown == sa.true())
        _, rows = _placed(track, _read_among(conn, unknown, h.track_id, among, _BARE))
        columns.kind[rows[~columns.measures[rows]]] = KINDS.index("unknown")
    source = sa.case(*((n.source == word, place) for place, word in enumerate(SOURCES)))
    names = sa.select(n.track_id, n.individual_id, source.label("said_by"), n.probability)
    told, rows = _placed(track, _read_among(conn, names, n.track_id, among, _OF_A_NAME))
    order = np.argsort([one.individual_id for one in people])
    keys = np.array([one.individual_id for one in people], np.int64)[order]
    known, place = located(keys, told["individual"])
    known &= ~columns.measures[rows] | (told["source"] == SOURCES.index("person"))
    told, rows, place = told[known], rows[known], place[known]
    columns.kind[rows], columns.source[rows], columns.p[rows] = KINDS.index(NAMED), told["source"], told["p"]
    columns.who[rows] = order[place]
    kind = sa.case(*((e.kind == word, place) for place, word in enumerate(KINDS)))
    answers = sa.select(e.track_id, kind.label("told")).where(e.kind.in_(KINDS))
    said, rows = _placed(track, _read_among(conn, answers, e.track_id, among, _OF_AN_ANSWER))
    columns.kind[rows] = said["kind"]
    flagged = flagged_tracks()
    _, rows = _placed(track, _read_among(conn, flagged, t.annotation.c.track_id, among, _BARE))
    columns.flag[rows] = True
    rows = np.arange(len(columns)) if among is None else blank
    columns.age[rows] = columns.people.age_of(columns.who[rows], columns.day[rows])


def without_what_measures(conn: sa.Connection, columns: SearchColumns) -> SearchColumns:
    """Columns that are about to be read anew, without names by a model on days that have since become test days, and
    without videos that have since left the archive: these must not wait."""
    v = t.video.c
    retired = np.array(list(conn.scalars(sa.select(v.video_id).where(v.state == "retired"))), np.int64)
    left = ~np.isin(columns.films, retired)[columns.film]
    hidden = _of_test_days(conn, columns) & ~columns.measures
    by_model = hidden & (columns.source != SOURCES.index("person"))
    by_head = hidden & (columns.source == NOBODY) & (columns.kind == KINDS.index("unknown"))
    if by_head.any():  # or a person said so, which may be shown
        e = t.standing_answer.c
        keys = sa.select(e.track_id).where(e.kind == "unknown")
        _, rows = _placed(columns.track, _read_among(conn, keys, e.track_id, columns.track[by_head].tolist(), _BARE))
        by_head[rows] = False
    columns = replace(
        columns,
        who=np.where(by_model, np.int32(NOBODY), columns.who), source=np.where(by_model, NOBODY, columns.source),
        kind=np.where((by_model & (columns.kind == 0)) | by_head, KINDS.index("unlabelled"), columns.kind),
        p=np.where(by_model, np.float32(0), columns.p), age=np.where(by_model, NOBODY, columns.age),
        measures=columns.measures | hidden,
    )  # fmt: skip
    return columns if left.all() else _rows_of(columns, left)


def _rows_of(columns: SearchColumns, kept: np.ndarray) -> SearchColumns:
    changed: dict[str, Any] = {
        name: value[kept] for name, value in vars(columns).items() if isinstance(value, np.ndarray) and name != "films"
    }
    return replace(columns, **changed)


def _of_test_days(conn: sa.Connection, columns: SearchColumns) -> np.ndarray:
    a = t.split_assignment.c
    tested = np.array(list(conn.scalars(sa.select(a.video_id).where(a.split == "test"))), np.int64)
    return np.isin(columns.films, tested)[columns.film]


def _placed(track: I64Array, told: np.ndarray) -> tuple[np.ndarray, I64Array]:
    """Those of what is told that are of these tracks, with their rows."""
    there, rows = located(track, told["track"])
    return told[there], rows[there]


def _read_among(
    conn: sa.Connection,
    wanted: sa.Select[Any],
    key: sa.ColumnElement[int],
    among: list[int] | None,
    kind: np.dtype[Any],
) -> np.ndarray:
    if among is None:
        return _read(conn, wanted, kind)
    parts = [_read(conn, wanted.where(key.in_(part)), kind) for part in in_parts(among)]
    return np.concatenate([np.zeros(0, kind), *parts])


def _read(conn: sa.Connection, wanted: sa.Select[Any], kind: np.dtype[Any]) -> np.ndarray:
    """Numbers of a statement as columns, without holding their rows."""
    found = conn.execute(wanted, execution_options={"yield_per": PAGE}).partitions()
    return np.concatenate([np.zeros(0, kind), *_arrays(found, kind)])


def _arrays(partitions: Any, kind: np.dtype[Any]) -> Iterator[np.ndarray]:
    for rows in partitions:
        yield np.array([tuple(row) for row in rows], kind)
