"""Alerts that act, and the tracks they are about: what a plan gives a share to.

Belongs here: the questions to SQL. Does not belong here: opening and closing alerts and the words (`monitoring`), the
share (`acquisition.policy`).
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.footage.cameras import place_of_video

ACTING_KINDS = ("fact", "data", "prediction", "model")
"""New labels mend these; a person who errs is not mended by them."""


def acting() -> sa.ColumnElement[bool]:
    """Of `drift_alert`: open, and about tracks. A model that errs everywhere has no slice: every plan is about it."""
    a = t.drift_alert.c
    return sa.and_(a.state == "open", a.kind.in_(ACTING_KINDS), sa.or_(a.kind != "model", a.camera != ""))


def filmed_in(camera: str, since: date, until: date | None) -> sa.ColumnElement[bool]:
    """Of `video`: filmed by the camera (`place_name`; empty: by any) on these days, `until` outside."""
    v = t.video.c
    days = [v.recorded_on >= since]
    if until is not None:
        days.append(v.recorded_on < until)
    if camera:
        days.append(place_of_video() == camera)
    return sa.and_(*days)


def tracks_filmed_in(camera: str, since: date, until: date | None) -> sa.Select[Any]:
    """Keys of the live tracks that were filmed so."""
    return (
        sa.select(t.track.c.track_id)
        .join(t.video, t.video.c.video_id == t.track.c.video_id)
        .where(t.track.c.state == "live", t.video.c.state == "tracked", filmed_in(camera, since, until))
    )


def acting_since(conn: sa.Connection, opened_after: datetime) -> list[int]:
    """Acting alerts that opened after a moment and have a live track, oldest first."""
    a = t.drift_alert.c
    query = sa.select(a.alert_id, a.camera, a.since, a.until).where(acting(), a.opened_at > opened_after)
    new = conn.execute(query.order_by(a.alert_id)).all()
    # One by one: there are few, and usually none.
    return [
        one.alert_id
        for one in new
        if conn.execute(tracks_filmed_in(one.camera, one.since, one.until).limit(1)).first() is not None
    ]
