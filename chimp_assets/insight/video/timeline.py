"""Who is in a video when: a lane an individual, boxes of a moment.

Belongs here: reading one video. Does not belong here: what the same camera filmed that day (`beside`), who a track may
show (`candidates`), pictures (`web.api.media`), who may see what (`web`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.insight.similar.tracks import shown_tracks

MOST_TRACKS = 2_000
"""Tracks that a page draws; more are counted."""
MOST_SECONDS = 60.0
"""Of boxes at once."""
NARROWEST = 0.006
"""Share of the video's length that a bar takes at least, so that a short track can be seen and pressed."""


@dataclass(frozen=True)
class Appearance:
    """A track in the video. sure: person, volunteers (two people asked "is this X?" agree), model (at least as probable
    as the promised threshold), unsure, or nobody. row: within its lane, so that no bar hides another; from 0."""

    track_id: int
    first_s: float
    last_s: float
    first_frame_no: int
    last_frame_no: int
    sure: str
    probability: float | None
    row: int = 0


@dataclass
class Lane:
    """An individual, or all tracks without a name (anim_id None), in the order in which they appear."""

    anim_id: str | None
    name: str | None
    appearances: list[Appearance] = field(default_factory=list)

    @property
    def label(self) -> str | None:
        """What people call it."""
        return self.name or self.anim_id

    def stack(self, duration_s: float) -> None:
        """Puts tracks that overlap into rows, each into the first that is free. duration_s: of the video; a bar is at
        least NARROWEST of it wide."""
        ends: list[float] = []
        for place, one in enumerate(self.appearances):
            row = next((n for n, end in enumerate(ends) if end <= one.first_s), len(ends))
            ends[row : row + 1] = [max(one.last_s, one.first_s + NARROWEST * duration_s)]
            self.appearances[place] = replace(one, row=row)


@dataclass(frozen=True)
class Timeline:
    """A video that was tracked, or as far as it was. frames: (frame_no, seconds) of the stored pictures; left_out:
    tracks beyond MOST_TRACKS."""

    video_id: int
    uri: str
    site: str | None
    camera: str | None
    recorded_at: datetime | None
    duration_s: float
    state: str
    frames: list[tuple[int, float]]
    lanes: list[Lane]
    left_out: int


def video_of(conn: sa.Connection, track_id: int) -> int | None:
    """The video of a live track; None if there is none."""
    k = t.track.c
    return conn.scalar(sa.select(k.video_id).where(k.track_id == track_id, k.state == "live"))


def timeline(conn: sa.Connection, video_id: int, seed: int, share: float, threshold: float) -> Timeline | None:
    """The lanes of a video; None where there is no such video. seed, share: the draw of the audit reserve, whose tracks
    show no model's name; threshold: from which a model's name counts as sure."""
    v, k, f = t.video.c, t.track.c, t.frame.c
    film = conn.execute(sa.select(t.video).where(v.video_id == video_id, v.state != "retired")).first()
    if film is None:
        return None
    frames = conn.execute(sa.select(f.frame_no, f.time_s).where(f.video_id == video_id).order_by(f.frame_no)).all()
    tracks = conn.execute(
        sa.select(k.track_id, k.first_s, k.last_s, k.first_frame_no, k.last_frame_no)
        .where(k.video_id == video_id, k.state == "live")
        .order_by(k.first_s, k.track_id)
    ).all()
    known = shown_tracks(conn, [row.track_id for row in tracks[:MOST_TRACKS]], seed, share)
    lanes: dict[str | None, Lane] = {}
    for row in tracks[:MOST_TRACKS]:
        shown = known.get(row.track_id)
        who = shown.anim_id if shown is not None else None
        lane = lanes.setdefault(who, Lane(who, shown.name if shown is not None and who else None))
        probability = shown.probability if shown is not None and who else None
        source = shown.source if shown is not None and who else None
        lane.appearances.append(
            Appearance(
                row.track_id, float(row.first_s), float(row.last_s), row.first_frame_no, row.last_frame_no,
                sureness(source, probability, threshold), probability,
            )
        )  # fmt: skip
    named = [lane for who, lane in lanes.items() if who is not None]
    nameless = [lanes[None]] if None in lanes else []
    duration_s = float(film.duration_s or max([time for _, time in frames], default=0.0))
    for lane in lanes.values():
        lane.stack(duration_s)
    return Timeline(
        film.video_id, film.uri, film.site, film.camera, film.recorded_at, duration_s, film.state,
        [(row.frame_no, float(row.time_s)) for row in frames], [*named, *nameless], max(0, len(tracks) - MOST_TRACKS),
    )  # fmt: skip


def sureness(source: str | None, probability: float | None, threshold: float) -> str:
    """How sure a name is, by who gave it (None: nobody): as `Appearance.sure`."""
    if source is None:
        return "nobody"
    if source in ("person", "volunteers"):
        return source
    return "model" if probability is not None and probability >= threshold else "unsure"


def boxes(conn: sa.Connection, video_id: int, first_s: float, last_s: float) -> list[tuple[Any, ...]]:
    """Boxes of live tracks in the stored pictures of some seconds: (frame_no, track_id, x, y, w, h), as shares of the
    picture. Raises ValueError for more than MOST_SECONDS."""
    if not 0 <= last_s - first_s <= MOST_SECONDS:
        raise ValueError(f"{last_s - first_s:g} seconds are too many")
    d, f = t.detection.c, t.frame.c
    rows = conn.execute(
        sa.select(d.frame_no, d.track_id, d.x, d.y, d.w, d.h)
        .join_from(t.detection, t.frame, sa.and_(f.video_id == d.video_id, f.frame_no == d.frame_no))
        .join(t.track, t.track.c.track_id == d.track_id)
        .where(d.video_id == video_id, f.time_s >= first_s, f.time_s <= last_s, t.track.c.state == "live")
        .order_by(d.frame_no, d.track_id)
    )
    return [tuple(row) for row in rows]
