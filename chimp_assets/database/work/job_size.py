"""Whether what waits is worth a job on another machine, whose node takes minutes to start.

While bundles are still decoded, more comes by itself: a job is then asked for once a tenth of its budget waits, so that
its node works longer than it takes to start. When nothing more comes, whatever waits is worth it. Jobs follow each
other, so the next one takes all that has come meanwhile. On this machine nothing waits for company.
Does not belong here: what waits (`due`, `waiting_tracks`).
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.parameters import in_parts
from chimp_assets.database.work.waiting_tracks import bundles_for_own_runs, frames_to_track
from chimp_assets.settings import Settings

_SHARE = 0.1


def worth_tracking(conn: sa.Connection, settings: Settings, bundle_keys: Sequence[str]) -> bool:
    """Whether these bundles are worth a job that tracks them."""
    if not _more_will_come(conn, settings):
        return True
    return sum(frames_to_track(conn, bundle_keys).values()) >= _SHARE * settings.detect.frames_per_run


def worth_scoring(conn: sa.Connection, settings: Settings, bundle_keys: Sequence[str]) -> bool:
    """Whether these bundles are worth a job that embeds and names their tracks."""
    if not _more_will_come(conn, settings):
        return True
    enough, tracks = _SHARE * settings.score.tracks_per_run, 0
    for part in in_parts(bundle_keys):
        tracks += (
            conn.scalar(
                sa.select(sa.func.count())
                .select_from(t.track)
                .join(t.video, t.video.c.video_id == t.track.c.video_id)
                .join(t.bundle, t.bundle.c.bundle_id == t.video.c.bundle_id)
                .where(t.bundle.c.bundle_key.in_(part), t.track.c.state == "live")
            )
            or 0
        )
        if tracks >= enough:
            return True
    return False


def _more_will_come(conn: sa.Connection, settings: Settings) -> bool:
    return settings.compute.is_remote and bool(bundles_for_own_runs(conn, settings))
