"""Groups of individuals among the chosen tracks: the gambit of the group (Whitehead and Dufault 1999).

Belongs here: v_gbi and v_group for a selection, group by group in bounded memory. Does not belong here: formats, pairs
(`pairs`). Without a selection the rows are those of the views.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from typing import Literal

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.exchange.exports.footage import HandedTrack, HandedVideo, boxes, frames
from chimp_assets.exchange.exports.pieces.animals import animals, seconds_of_a_frame
from chimp_assets.exchange.exports.pieces.times import at
from chimp_assets.exchange.exports.selection import Selection

GroupRule = Literal["video", "day", "minutes", "frame"]
GROUP_RULES = ("video", "day", "minutes", "frame")
"""All in one video; at one camera on one day, or in its videos of some minutes of the clock; in one frame."""
FRAMES_OF_A_VIDEO = 4_194_304
"""group_id of a frame is video_id times this, plus frame_no, as in v_gbi."""


@dataclass(frozen=True, slots=True)
class GroupMember:
    """An individual in a group. enters, leaves: its first and last moment in it, None where the recording time is not
    known; seconds: how long it is visible; probability: mean of its tracks, weighed by boxes."""

    individual_id: int
    anim_id: str
    enters: datetime | None
    leaves: datetime | None
    seconds: float
    probability: float
    human_reviewed: int


@dataclass(frozen=True, slots=True)
class AnimalGroup:
    """A group in which somebody is known. n_unknown: chosen tracks of animals in it without a name."""

    group_id: int
    video_id: int | None
    site: str | None
    camera: str | None
    day: date | None
    starts: datetime | None
    ends: datetime | None
    members: list[GroupMember]
    n_unknown: int


@dataclass(frozen=True, slots=True)
class VideoSighting:
    """An individual in a video, as in v_sighting. tracks: its chosen tracks there."""

    individual_id: int
    anim_id: str
    first_s: float
    last_s: float
    n_frames: int
    seconds: float
    probability: float
    human_reviewed: int
    tracks: list[HandedTrack]


def sightings(film: HandedVideo, tracks: Iterable[HandedTrack]) -> list[VideoSighting]:
    """Who is seen in a video, by individual_id: the arithmetic of v_sighting on chosen tracks."""
    of: dict[int, list[HandedTrack]] = defaultdict(list)
    for track in tracks:
        if track.individual_id is not None:
            of[track.individual_id].append(track)
    return [_sighting(film, mine) for _, mine in sorted(of.items())]


def _sighting(film: HandedVideo, mine: list[HandedTrack]) -> VideoSighting:
    n_boxes = sum(one.n_detections for one in mine)
    span = max(one.last_frame_no for one in mine) - min(one.first_frame_no for one in mine) + 1
    n_frames = min(n_boxes, span)
    return VideoSighting(
        int(mine[0].individual_id or 0),
        str(mine[0].anim_id),
        min(one.first_s for one in mine),
        max(one.last_s for one in mine),
        n_frames,
        n_frames * seconds_of_a_frame(film),
        sum((one.probability or 0.0) * one.n_detections for one in mine) / n_boxes,
        int(any(one.source == "person" for one in mine)),
        mine,
    )


def groups(
    conn: sa.Connection,
    selection: Selection,
    rule: GroupRule,
    minutes: int = 0,
    left_out: Callable[[int], None] = lambda n: None,
) -> Iterator[AnimalGroup]:
    """Every group in which a chosen track has a name, by video or by day. Groups by day lack videos of which the day is
    not known, those by minutes (of the clock, UTC) videos of which the time is not known, of which left_out is told;
    their group_id is the smallest video_id in them. Memory: the groups of one video, or the parties of one day."""
    if rule == "day":
        return _parties(conn, selection)
    if rule == "minutes":
        return _parties(conn, selection, 60 * minutes, left_out)
    if rule == "frame":
        return _frames(conn, selection)
    return _videos(conn, selection)


def _videos(conn: sa.Connection, selection: Selection) -> Iterator[AnimalGroup]:
    for film, tracks in animals(conn, selection):
        members = [_member(film, one) for one in sightings(film, tracks)]
        if members:
            yield AnimalGroup(
                film.video_id, film.video_id, film.site, film.camera, film.recorded_on,
                at(film.recorded_at, min(one.first_s for one in tracks)),
                at(film.recorded_at, max(one.last_s for one in tracks)),
                members, sum(one.individual_id is None for one in tracks),
            )  # fmt: skip


def _member(film: HandedVideo, one: VideoSighting) -> GroupMember:
    enters, leaves = at(film.recorded_at, one.first_s), at(film.recorded_at, one.last_s)
    return GroupMember(one.individual_id, one.anim_id, enters, leaves, one.seconds, one.probability, one.human_reviewed)


def parties(
    conn: sa.Connection, selection: Selection
) -> Iterator[tuple[date, dict[int, list[tuple[HandedVideo, list[HandedTrack]]]]]]:
    """Each day with the videos of its parties, by party_id (the smallest video_id of a camera and day)."""
    known = (pair for pair in animals(conn, selection, "day") if pair[0].recorded_on is not None)
    for day, films in groupby(known, key=lambda pair: pair[0].recorded_on):
        party_ids = _party_ids(conn, day)
        found: dict[int, list[tuple[HandedVideo, list[HandedTrack]]]] = defaultdict(list)
        for film, tracks in films:
            found[party_ids.get((film.site, film.camera), film.video_id)].append((film, tracks))
        yield day, dict(sorted(found.items()))


def _party_ids(conn: sa.Connection, day: date) -> dict[tuple[str | None, str | None], int]:
    v = t.video.c
    rows = conn.execute(
        sa.select(v.site, v.camera, sa.func.min(v.video_id).label("party_id"))
        .where(v.recorded_on == day, v.state != "retired")
        .group_by(v.site, v.camera)
    )
    return {(row.site, row.camera): int(row.party_id) for row in rows}


def _parties(
    conn: sa.Connection, selection: Selection, seconds: int = 0, left_out: Callable[[int], None] = lambda n: None
) -> Iterator[AnimalGroup]:
    for day, whole in parties(conn, selection):
        found = whole if not seconds else _windows(whole, seconds, left_out)
        for party_id, films in found.items():
            members = _party_members(films)
            if not members:
                continue
            moments = [
                at(film.recorded_at, seconds)
                for film, tracks in films
                for one in tracks
                for seconds in (one.first_s, one.last_s)
            ]
            known = [moment for moment in moments if moment is not None]
            yield AnimalGroup(
                party_id, None, films[0][0].site, films[0][0].camera, day, min(known, default=None),
                max(known, default=None), members,
                sum(one.individual_id is None for _, tracks in films for one in tracks),
            )  # fmt: skip


def _windows(
    found: dict[int, list[tuple[HandedVideo, list[HandedTrack]]]], seconds: int, left_out: Callable[[int], None]
) -> dict[int, list[tuple[HandedVideo, list[HandedTrack]]]]:
    """Parties cut into windows of the clock, by the smallest video_id of each."""
    cut: dict[tuple[int, int], list[tuple[HandedVideo, list[HandedTrack]]]] = defaultdict(list)
    for party_id, films in found.items():
        for film, tracks in films:
            if film.recorded_at is None:
                left_out(1)
            else:
                cut[party_id, int(film.recorded_at.timestamp()) // seconds].append((film, tracks))
    return {min(film.video_id for film, _ in films): films for films in cut.values()}


def _party_members(films: list[tuple[HandedVideo, list[HandedTrack]]]) -> list[GroupMember]:
    of: dict[int, list[tuple[HandedVideo, VideoSighting]]] = defaultdict(list)
    for film, tracks in films:
        for one in sightings(film, tracks):
            of[one.individual_id].append((film, one))
    members = []
    for _, mine in sorted(of.items()):
        frames = sum(one.n_frames for _, one in mine)
        enters = [moment for film, one in mine if (moment := at(film.recorded_at, one.first_s)) is not None]
        leaves = [moment for film, one in mine if (moment := at(film.recorded_at, one.last_s)) is not None]
        members.append(
            GroupMember(
                mine[0][1].individual_id, mine[0][1].anim_id, min(enters, default=None), max(leaves, default=None),
                sum(one.seconds for _, one in mine), sum(one.probability * one.n_frames for _, one in mine) / frames,
                max(one.human_reviewed for _, one in mine),
            )
        )  # fmt: skip
    return members


def _frames(conn: sa.Connection, selection: Selection) -> Iterator[AnimalGroup]:
    for film, tracks in animals(conn, selection):
        if all(one.individual_id is None for one in tracks):
            continue
        of = {one.track_id: one for one in tracks}
        there: dict[int, list[HandedTrack]] = defaultdict(list)
        times = {one.frame_no: one.time_s for one in frames(conn, film)}
        for box in boxes(conn, film):
            if box.track_id in of:
                there[box.frame_no].append(of[box.track_id])
        for frame_no in sorted(there):
            moment = at(film.recorded_at, times[frame_no])
            members = _frame_members(film, there[frame_no], moment)
            if members:
                yield AnimalGroup(
                    film.video_id * FRAMES_OF_A_VIDEO + frame_no, film.video_id, film.site, film.camera,
                    film.recorded_on, moment, moment, members,
                    sum(one.individual_id is None for one in there[frame_no]),
                )  # fmt: skip


def _frame_members(film: HandedVideo, tracks: list[HandedTrack], moment: datetime | None) -> list[GroupMember]:
    of: dict[int, list[HandedTrack]] = defaultdict(list)
    for one in tracks:
        if one.individual_id is not None:
            of[one.individual_id].append(one)
    return [
        GroupMember(
            individual_id, str(mine[0].anim_id), moment, moment, seconds_of_a_frame(film),
            max(one.probability or 0.0 for one in mine), int(any(one.source == "person" for one in mine)),
        )
        for individual_id, mine in sorted(of.items())
    ]  # fmt: skip
