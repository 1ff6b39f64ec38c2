"""What a cluster's database and the SQLite file of one machine must have in common, whatever the order of the work."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.engine import Database

# Numbers are given in the order in which hosts came, and moments are when: neither says what was found.
_NOT_COMPARED = {"discovered_at", "updated_at", "created_at", "decode_s", "etag"}
_NUMBERS = {"video_id", "bundle_id", "camera_id", "site_id", "frame_id", "shard_id", "track_id", "detection_id"}


def found_in(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Videos, shards, frames, tracks and detections, each with its video's address instead of numbers."""
    found = {}
    with database.read() as conn:
        for table in (t.video, t.frame_shard, t.frame, t.track, t.detection):
            columns = [c for c in table.columns if c.name not in _NOT_COMPARED | _NUMBERS and not c.foreign_keys]
            rows = conn.execute(sa.select(*_address(table), *columns).select_from(_joined(table))).all()
            found[table.name] = sorted(tuple(map(_text, row)) for row in rows)
    return found


def _text(value: Any) -> str:
    """Servers keep a single-precision number as one, SQLite as a double."""
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _address(table: sa.Table) -> list[Any]:
    return [] if table is t.video or "video_id" not in table.c else [t.video.c.uri]


def _joined(table: sa.Table) -> Any:
    if not _address(table):
        return table
    return table.join(t.video, t.video.c.video_id == table.c.video_id)
