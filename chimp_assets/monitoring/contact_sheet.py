"""What an alert is about, in pictures: moments before the change and after it.

Belongs here: choosing the moments, reading their pictures. Does not belong here: drawing a sheet
(`vision.pictures.contact_sheet`), the page that shows it (`web`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa

from chimp_assets.archive.storage.store import MissingBlobError
from chimp_assets.archive.video.pictures import PictureError, read_jpegs
from chimp_assets.database import schema as t
from chimp_assets.database.work.drifted import filmed_in
from chimp_assets.home import Home
from chimp_assets.monitoring.alerts import Alert

log = logging.getLogger(__name__)

MOMENTS = 8
"""Of each side, at most."""
_BEFORE = timedelta(days=365)

Moment = tuple[int, int]
"""(video_id, frame_no)."""


@dataclass(frozen=True)
class ContactSheet:
    """Moments before and after a change, (video_id, frame_no), each in the order of recording."""

    before: list[Moment]
    after: list[Moment]


def contact_sheet(home: Home, alert: Alert) -> ContactSheet:
    """Up to `MOMENTS` moments of the last videos before an alert's change, and of the first of it.

    Videos that the alert names come first; a video gives several moments where there are few. Of a camera whose videos
    have no frames a side is empty.
    """
    named = alert.detail
    with home.database.read() as conn:
        before = _videos(
            conn, named.get("videos_before"), filmed_in(alert.camera, alert.since - _BEFORE, alert.since), newest=True
        )
        after = _videos(conn, named.get("videos"), filmed_in(alert.camera, alert.since, _end_of(alert)), newest=False)
    return ContactSheet(_moments(before), _moments(after))


def jpegs(home: Home, moments: list[Moment]) -> dict[Moment, bytes]:
    """The pictures of moments as they are stored, JPEG. One that is gone, its video decoded again or its shard lost, is
    left out and logged. Raises StoreError if the store is away."""
    found: dict[Moment, bytes] = {}
    for video_id, frame_no in moments:
        try:
            for _, _, jpeg in read_jpegs(home.database, home.store, video_id, [frame_no]):
                found[video_id, frame_no] = jpeg
        except (PictureError, MissingBlobError) as error:
            log.warning("A picture of a contact sheet cannot be read: %s", error)
    return found


def _end_of(alert: Alert) -> date | None:
    return None if alert.until is None else max(alert.until, alert.since + timedelta(days=1))


def _videos(conn: sa.Connection, named: Any, filmed: sa.ColumnElement[bool], newest: bool) -> list[tuple[int, int]]:
    """(video_id, n_frames) of up to MOMENTS videos, in the order of recording: those that are named, then others."""
    v = t.video.c
    columns = sa.select(v.video_id, v.n_frames, v.recorded_at).where(
        v.state.in_(("decoded", "tracked")), v.n_frames > 0
    )
    keys = [one for one in named if isinstance(one, int)][:MOMENTS] if isinstance(named, list) else []
    rows = list(conn.execute(columns.where(v.video_id.in_(keys)))) if keys else []
    if len(rows) < MOMENTS:
        order = (v.recorded_at.desc(), v.video_id.desc()) if newest else (v.recorded_at, v.video_id)
        others = columns.where(filmed, v.recorded_at.is_not(None), v.video_id.not_in(keys))
        rows += conn.execute(others.order_by(*order).limit(MOMENTS - len(rows))).all()
    rows.sort(key=lambda row: (row.recorded_at is not None, row.recorded_at, row.video_id))
    return [(row.video_id, row.n_frames) for row in rows]


def _moments(videos: list[tuple[int, int]]) -> list[Moment]:
    """Middles of stretches of equal length, as many of each video as make MOMENTS of all."""
    found = []
    for place, (video_id, n_frames) in enumerate(videos):
        here = MOMENTS // len(videos) + (place < MOMENTS % len(videos))
        found += [(video_id, frame) for frame in sorted({int((k + 0.5) * n_frames / here) for k in range(here)})]
    return found
