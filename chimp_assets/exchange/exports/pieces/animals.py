"""Videos with the animals in them, in the order of their keys, days or places.

Belongs here: orders, which tracks show an animal, names of places. Does not belong here: reading
videos, tracks and boxes (`footage`).

Keys of the videos are read first, eight bytes each; then some hundred videos at a time.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Literal

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.exchange.exports.footage import PAGE, HandedTrack, HandedVideo, videos, videos_of
from chimp_assets.exchange.exports.selection import Selection

VideoOrder = Literal["video", "day", "site"]
NO_ANIMAL = ("not_animal", "bad_box")
"""What a person said of a track that shows nobody."""


def animals(
    conn: sa.Connection, selection: Selection, order: VideoOrder = "video"
) -> Iterator[tuple[HandedVideo, list[HandedTrack]]]:
    """Every video with a wanted track of an animal, and these tracks as they begin. order: by video_id; by recording
    day first; by site and day first."""
    for video in videos(conn, selection) if order == "video" else _in_order(conn, selection, order):
        found = [one for one in video.tracks if one.status not in NO_ANIMAL]
        if found:
            yield video, sorted(found, key=lambda one: (one.first_frame_no, one.track_id))


def _in_order(conn: sa.Connection, selection: Selection, order: VideoOrder) -> Iterator[HandedVideo]:
    v, k = t.video.c, t.track.c
    first = (v.recorded_on,) if order == "day" else (v.site, v.recorded_on)
    has_tracks = sa.exists().where(k.video_id == v.video_id, k.state.in_(selection.states))
    statement = (
        sa.select(v.video_id)
        .where(v.state != "retired", has_tracks, *selection.video_conditions())
        .order_by(*first, v.video_id)
    )
    keys = array("q")
    for key in conn.execution_options(yield_per=10_000).scalars(statement):
        keys.append(key)
    for start in range(0, len(keys), PAGE):
        yield from videos_of(conn, selection, keys[start : start + PAGE].tolist())


def seconds_of_a_frame(video: HandedVideo) -> float:
    """Seconds that each kept frame stands for, as the views count them."""
    return video.frame_s if video.frame_s is not None else video.duration_s or 0.0


def place_of(site: str | None, camera: str | None) -> str:
    """Site and camera as one text, empty where neither is known: what programs compare places by."""
    return "/".join(part for part in (site, camera) if part)


def individuals_in(conn: sa.Connection, selection: Selection) -> list[tuple[int, str]]:
    """(individual_id, code) of everybody among the wanted tracks, by code."""
    wanted = selection.tracks().subquery("wanted")
    who = sa.select(wanted.c.individual_id, wanted.c.anim_id).where(wanted.c.individual_id.is_not(None)).distinct()
    return sorted(((int(row.individual_id), str(row.anim_id)) for row in conn.execute(who)), key=lambda one: one[1])
