"""Rows written straight into the database, where a test is about what reads them. No test belongs here."""

from datetime import UTC, datetime
from uuid import uuid4

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.labels.events import LabelEvent, record_events
from chimp_assets.database.work.stamps import mark_changed

THEN = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


def add_bundle(db: Database, bundle_id: int, key: str | None = None) -> None:
    """A bundle."""
    with db.write() as conn:
        conn.execute(
            sa.insert(t.bundle).values(
                bundle_id=bundle_id, bundle_key=key or f"site-{bundle_id:04d}", folder=f"f{bundle_id}", created_at=THEN
            )
        )


def add_video(db: Database, video_id: int, bundle_id: int, state: str, split: str = "train") -> None:
    """A video with ten frames in one shard if it is decoded or tracked, in a split."""
    usable = state in ("decoded", "tracked")
    with db.write() as conn:
        conn.execute(
            sa.insert(t.video).values(
                video_id=video_id, bundle_id=bundle_id, uri=f"v{video_id}.mp4", version=1, bytes=10, etag="e",
                duration_s=2.0, n_frames=10 if usable else 0, state=state, discovered_at=THEN, updated_at=THEN,
                recorded_at=THEN, recorded_at_source="container", camera="cam",
            )
        )  # fmt: skip
        conn.execute(
            sa.insert(t.split_assignment).values(
                video_id=video_id, day_key=f"cam|day{video_id}", split=split, assigned_at=THEN
            )
        )
        if usable:
            shard_id = t.shard_id_of(video_id, 0)
            conn.execute(
                sa.insert(t.frame_shard).values(
                    shard_id=shard_id,
                    video_id=video_id,
                    uri=f"shards/{video_id}.tar",
                    bytes=1000,
                    content_hash="0" * 64,
                )
            )
            conn.execute(
                sa.insert(t.frame),
                [
                    {
                        "video_id": video_id, "frame_no": n, "pts": n, "time_s": n / 5, "shard_id": shard_id,
                        "byte_offset": 100 * n, "byte_length": 100,
                    }
                    for n in range(10)
                ],
            )  # fmt: skip


def add_model(db: Database, model_id: int, task: str, state: str = "champion", **values: object) -> None:
    """A model without a checkpoint."""
    with db.write() as conn:
        conn.execute(
            sa.insert(t.model).values(
                model_id=model_id, task=task, version=model_id, name=f"{task} {model_id}", state=state, config="{}",
                created_at=THEN, **values,
            )
        )  # fmt: skip


def add_track(db: Database, video_id: int, ordinal: int, state: str = "live", detector: int = 1) -> int:
    """A track with a box on each of the first four frames; returns its track_id. Its bundle has changed."""
    track_id = t.track_id_of(video_id, ordinal)
    with db.write() as conn:
        bundle_id = conn.execute(sa.select(t.video.c.bundle_id).where(t.video.c.video_id == video_id)).scalar_one()
        mark_changed(conn, bundle_id)
        conn.execute(
            sa.insert(t.track).values(
                track_id=track_id, video_id=video_id, first_frame_no=0, last_frame_no=3, first_s=0.0, last_s=0.6,
                n_detections=4, quality=0.8, model_id=detector, state=state,
            )
        )  # fmt: skip
        conn.execute(
            sa.insert(t.detection),
            [
                {
                    "video_id": video_id, "frame_no": n, "detection_no": ordinal, "track_id": track_id,
                    "x": 0.1, "y": 0.1, "w": 0.2, "h": 0.3, "score": 0.9,
                }
                for n in range(4)
            ],
        )  # fmt: skip
    return track_id


def add_embedding_file(db: Database, model_id: int, bundle_id: int, n_tracks: int, at: datetime | None = None) -> None:
    """The row of an embedding file; there are no bytes behind it."""
    with db.write() as conn:
        conn.execute(
            sa.insert(t.embedding_file).values(
                model_id=model_id, bundle_id=bundle_id, uri=f"embeddings/{model_id}/{bundle_id}",
                content_hash="0" * 64, n_tracks=n_tracks, created_at=at or datetime.now(UTC),
            )
        )  # fmt: skip


def name_tracks(db: Database, track_ids: list[int], lane: str = "typical") -> None:
    """The expert names tracks Fifi and Fred in turn, as the page will."""
    results = record_events(
        db,
        [
            LabelEvent(
                str(uuid4()), "new_individual", "expert", lane=lane, track_id=track_id, anim_id=("FF", "FI")[n % 2]
            )
            for n, track_id in enumerate(track_ids)
        ],
    )
    assert all(result.status == "stored" for result in results), results
