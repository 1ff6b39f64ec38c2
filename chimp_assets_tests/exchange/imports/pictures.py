"""An archive of pictures as rows, without a file behind them. No test belongs here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.database.connection.engine import Database

NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


def add_pictures(
    db: Database, uris: Sequence[str], state: str = "tracked", frames: int = 1, bundle_id: int = 1, first: int = 1
) -> list[int]:
    """Decoded pictures (or films of so many stored ones, five a second), without tracks; returns their video_ids."""
    n = len(uris)
    ids = list(range(first, first + n))
    decoded = state in ("decoded", "tracked")
    with db.write() as conn:
        if conn.execute(sa.select(t.bundle.c.bundle_id).where(t.bundle.c.bundle_id == bundle_id)).first() is None:
            conn.execute(
                sa.insert(t.bundle).values(
                    bundle_id=bundle_id, bundle_key=f"b-{bundle_id:04d}", folder="f", created_at=NOW
                )
            )
        insert_rows(
            conn, t.video,
            {
                "video_id": ids, "bundle_id": [bundle_id] * n, "uri": list(uris), "version": [1] * n,
                "bytes": [1] * n, "etag": ["e"] * n, "state": [state] * n, "n_frames": [frames if decoded else 0] * n,
                "width": [640] * n, "height": [480] * n, "discovered_at": [NOW] * n, "updated_at": [NOW] * n,
                "site": ["pool"] * n, "camera": [uri.split("/")[-2] if "/" in uri else "cam" for uri in uris],
                "avg_fps": [25.0] * n,
            },
        )  # fmt: skip
        if decoded:
            shards = [t.shard_id_of(video_id, 0) for video_id in ids]
            insert_rows(
                conn, t.frame_shard,
                {
                    "shard_id": shards, "video_id": ids, "uri": [f"shards/{one}.tar" for one in ids],
                    "bytes": [100] * n, "content_hash": ["0" * 64] * n,
                },
            )  # fmt: skip
            pairs = [(video_id, number) for video_id in ids for number in range(frames)]
            insert_rows(
                conn, t.frame,
                {
                    "video_id": [one for one, _ in pairs], "frame_no": [number for _, number in pairs],
                    "pts": [number for _, number in pairs], "time_s": [number / 5 for _, number in pairs],
                    "shard_id": [t.shard_id_of(one, 0) for one, _ in pairs],
                    "byte_offset": [number for _, number in pairs], "byte_length": [1] * len(pairs),
                },
            )  # fmt: skip
    return ids


def everything(db: Database) -> dict[str, list[tuple[object, ...]]]:
    """All rows that an import may write, in order, without the moments of writing."""
    left_out = {"created_at", "updated_at", "server_time", "imported_at", "at", "changed_at", "made_at"}
    found = {}
    with db.read() as conn:
        for table in (
            t.video, t.track, t.detection, t.individual, t.annotation, t.standing_answer, t.import_file,
            t.imported_track, t.proposal_file, t.model, t.audit_event, t.biography_log,
        ):  # fmt: skip
            columns = [column for column in table.columns if column.name not in left_out]
            found[table.name] = sorted((tuple(row) for row in conn.execute(sa.select(*columns))), key=repr)
    return found
