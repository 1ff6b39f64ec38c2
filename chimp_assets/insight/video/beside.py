"""The videos that the same camera filmed on the same day, and who is in each when.

Belongs here: reading them. Does not belong here: the lanes of one video (`timeline`), pictures (`web.api.boxes`).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.parameters import rows_in_parts
from chimp_assets.insight.individuals.named_tracks import named_track
from chimp_assets.insight.measuring import kept_for_measuring
from chimp_assets.insight.video.timeline import sureness

MOST_NEIGHBOURS = 400
"""Videos around this one that are told of; more are counted."""


@dataclass(frozen=True)
class Presence:
    """One individual of a video, or all animals without a sure name (name None). sure: as `Appearance.sure`; spans:
    (first, last) seconds, in order, without overlap."""

    name: str | None
    sure: str
    spans: list[tuple[float, float]]


@dataclass(frozen=True)
class Neighbour:
    """A video of the same camera and day. present: names that people or a sure model gave; frame_no: a stored picture,
    with an animal if there is one; None if no picture is stored."""

    video_id: int
    uri: str
    recorded_at: datetime | None
    duration_s: float
    present: list[str]
    frame_no: int | None = None
    presence: list[Presence] = field(default_factory=list)


@dataclass(frozen=True)
class CameraDay:
    """Videos of one camera and day in the order of their times. left_out: those further away than MOST_NEIGHBOURS."""

    videos: list[Neighbour]
    left_out: int


def neighbours(conn: sa.Connection, video_id: int, seed: int, share: float, threshold: float) -> CameraDay:
    """Videos of the same camera and day, this one among them; this one alone where its day or camera is not known.
    seed, share: the draw of the audit reserve, of which only names by persons are told."""
    v = t.video.c
    every = conn.execute(
        sa.select(v.video_id, v.uri, v.recorded_at, v.duration_s)
        .where(_same_camera_and_day(conn, video_id))
        .order_by(v.recorded_at, v.video_id)
    ).all()
    here = next((n for n, film in enumerate(every) if film.video_id == video_id), 0)
    begin = max(0, min(here - MOST_NEIGHBOURS // 2, len(every) - MOST_NEIGHBOURS))
    films = every[begin : begin + MOST_NEIGHBOURS]
    keys = [film.video_id for film in films]
    names = _names(conn, keys, seed, share, threshold)
    k, f = t.track.c, t.frame.c
    tracks = rows_in_parts(
        conn,
        lambda part: (
            sa.select(k.track_id, k.video_id, k.first_s, k.last_s, k.first_frame_no)
            .where(k.video_id.in_(part), k.state == "live")
            .order_by(k.video_id, k.first_s, k.track_id)
        ),
        keys,
    )
    stored = rows_in_parts(
        conn,
        lambda part: (
            sa.select(f.video_id, sa.func.min(f.frame_no).label("first"))
            .where(f.video_id.in_(part))
            .group_by(f.video_id)
        ),
        keys,
    )
    of_video: dict[int, list[Any]] = defaultdict(list)
    for row in tracks:
        of_video[row.video_id].append(row)
    pictures = {row.video_id: int(row.first) for row in stored}
    found = []
    for film in films:
        rows = of_video[film.video_id]
        presence = _presence(rows, names)
        frame_no = pictures.get(film.video_id)
        if rows and frame_no is not None:
            longest = max(rows, key=lambda row: row.last_s - row.first_s)
            frame_no = longest.first_frame_no
        last = max((row.last_s for row in rows), default=0.0)
        found.append(
            Neighbour(
                film.video_id, film.uri, film.recorded_at, float(film.duration_s or last),
                sorted({one.name for one in presence if one.name is not None}), frame_no, presence,
            )
        )  # fmt: skip
    return CameraDay(found, len(every) - len(films))


def _same_camera_and_day(conn: sa.Connection, video_id: int) -> sa.ColumnElement[bool]:
    v = t.video.c
    me = conn.execute(sa.select(v.site, v.camera, v.recorded_on).where(v.video_id == video_id)).first()
    if me is None or me.recorded_on is None or me.camera is None:
        return v.video_id == video_id
    site = v.site.is_(None) if me.site is None else v.site == me.site
    return sa.and_(site, v.camera == me.camera, v.recorded_on == me.recorded_on, v.state != "retired")


def _names(
    conn: sa.Connection, video_ids: list[int], seed: int, share: float, threshold: float
) -> dict[int, tuple[str, str]]:
    """(name, sure) of tracks that people or a sure model named, by track_id, as far as it may be told."""
    n, i = named_track.c, t.individual.c
    rows = list(
        rows_in_parts(
            conn,
            lambda part: (
                sa.select(n.track_id, n.source, n.probability, i.anim_id, i.name)
                .join_from(named_track, t.individual, i.individual_id == n.individual_id)
                .where(n.video_id.in_(part), sa.or_(n.source.in_(("person", "volunteers")), n.probability >= threshold))
            ),
            video_ids,
        )
    )
    kept = kept_for_measuring(conn, [row.track_id for row in rows if row.source != "person"], seed, share)
    return {
        row.track_id: (row.name or row.anim_id, sureness(row.source, row.probability, threshold))
        for row in rows
        if row.source == "person" or row.track_id not in kept
    }


def _presence(rows: list[Any], names: dict[int, tuple[str, str]]) -> list[Presence]:
    """Of the tracks of one video in the order of their beginnings: those with names as they appear, the others last."""
    spans: dict[tuple[str | None, str], list[tuple[float, float]]] = {}
    for row in rows:
        of = spans.setdefault(names.get(row.track_id, (None, "nobody")), [])
        first, last = float(row.first_s), float(row.last_s)
        if of and first <= of[-1][1]:
            of[-1] = (of[-1][0], max(of[-1][1], last))
        else:
            of.append((first, last))
    ordered = sorted(spans, key=lambda who: who[0] is None)
    return [Presence(name, sure, spans[name, sure]) for name, sure in ordered]
