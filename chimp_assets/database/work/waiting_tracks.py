"""Which bundles wait for a job that tracks many of them, and which for a run of their own.

Where heavy steps run on another machine (`compute.kind`) and a network finds the boxes, the run of a bundle ends with
its frames: a job with a GPU then tracks many bundles at once. Everywhere else a run tracks its own bundle.
Does not belong here: tracking (`loop.heavy`), all other questions (`due`).
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.parameters import in_parts
from chimp_assets.database.work import due
from chimp_assets.settings import Settings

FINE_TUNED = "fine-tuned"
"""Prefix of the name of a detector that was learned from drawn boxes; a champion of this name goes before settings."""


def tracked_by_jobs(conn: sa.Connection, settings: Settings) -> bool:
    """Whether bundles wait for a job that tracks many: a network finds the boxes, and heavy steps run elsewhere."""
    if not settings.compute.is_remote:
        return False
    if settings.detect.detector != "motion":
        return True
    name = conn.scalar(sa.select(t.model.c.name).where(t.model.c.task == "detector", t.model.c.state == "champion"))
    return name is not None and name.startswith(FINE_TUNED)


def bundles_for_own_runs(conn: sa.Connection, settings: Settings) -> list[str]:
    """Bundles that need a run of their own now, oldest first; without those that used up their attempts."""
    unfinished = due.unfinished_bundles(conn)
    if not unfinished or not tracked_by_jobs(conn, settings):
        return unfinished
    waiting = set(bundles_to_track(conn))
    return [key for key in unfinished if key not in waiting]


def bundles_to_track(conn: sa.Connection) -> list[str]:
    """Bundles that are decoded and not tracked, oldest first; without those that used up their attempts."""
    decoded, registered = (
        sa.exists().where(t.video.c.state == state, t.video.c.bundle_id == t.bundle.c.bundle_id)
        for state in ("decoded", "registered")
    )
    return list(
        conn.scalars(
            sa.select(t.bundle.c.bundle_key)
            .where(decoded, ~registered, t.bundle.c.attempts < due.MAX_ATTEMPTS)
            .order_by(t.bundle.c.bundle_id)
        )
    )


def frames_to_track(conn: sa.Connection, bundle_keys: Sequence[str]) -> dict[str, int]:
    """Frames of the decoded videos of each of these bundles."""
    found: dict[str, int] = {}
    for part in in_parts(bundle_keys):
        rows = conn.execute(
            sa.select(t.bundle.c.bundle_key, sa.func.coalesce(sa.func.sum(t.video.c.n_frames), 0))
            .join_from(t.bundle, t.video, t.video.c.bundle_id == t.bundle.c.bundle_id)
            .where(t.bundle.c.bundle_key.in_(part), t.video.c.state == "decoded")
            .group_by(t.bundle.c.bundle_key)
        )
        found.update((key, int(frames)) for key, frames in rows)
    return found
