"""A tiny world in the database: videos with frames and tracks, people, individuals and models, through real writes."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.individuals.biographies import upsert_individuals
from chimp_assets.database.labels.events import LabelEvent
from chimp_assets.database.people.users import add_user
from chimp_assets.database.work.queue import write_round

START = datetime(2013, 5, 6, 7, 0, tzinfo=UTC)
EMBEDDER, HEAD, DETECTOR = 1, 2, 3


def make_world(db: Database, videos: int = 2, tracks: int = 3, frames: int = 10) -> None:
    """videos 1..n of `frames` frames at 5 a second; in each, `tracks` tracks of one box in every frame, side by side.

    Users anna (expert), rita (reviewer), vera and vito (volunteers), lotte (viewer); individuals FF (Fifi), FI (Fred,
    her son), FD (Freud, her son), GM; models 1 embedder, 2 head, 3 detector, each the champion.
    """
    for name, role in (
        ("anna", "expert"),
        ("rita", "reviewer"),
        ("vera", "volunteer"),
        ("vito", "volunteer"),
        ("lotte", "viewer"),
    ):
        add_user(db, name, role)
    upsert_individuals(
        db,
        [
            {"anim_id": "FF", "name": "Fifi", "sex": "F", "birth_date": "1958-01-01"},
            {"anim_id": "FI", "name": "Fred", "sex": "M", "birth_date": "2010-03-01", "mom_id": "FF"},
            {"anim_id": "FD", "name": "Freud", "sex": "M", "birth_date": "1971-01-01", "mom_id": "FF"},
            {"anim_id": "GM", "name": "Gremlin", "sex": "F"},
        ],
    )
    with db.write() as conn:
        for key, task in ((EMBEDDER, "embedder"), (HEAD, "head"), (DETECTOR, "detector")):
            conn.execute(
                sa.insert(s.model).values(
                    model_id=key, task=task, version=1, name=task, state="champion", config="{}", created_at=START
                )
            )
        conn.execute(sa.insert(s.bundle).values(bundle_id=1, bundle_key="a-0001", folder="a", created_at=START))
        for video_id in range(1, videos + 1):
            add_video(conn, video_id, tracks, frames)


def add_video(conn: sa.Connection, video_id: int, tracks: int, frames: int, **changed: Any) -> None:
    values = {
        "video_id": video_id,
        "bundle_id": 1,
        "uri": f"a/cam{video_id % 2}/{video_id}.mp4",
        "version": 1,
        "bytes": 1000,
        "etag": "e",
        "recorded_at": START + timedelta(days=video_id - 1),
        "recorded_at_source": "container",
        "recorded_on": (START + timedelta(days=video_id - 1)).date(),
        "site": "a",
        "camera": f"cam{video_id % 2}",
        "duration_s": frames / 5,
        "frame_s": 0.2,
        "n_frames": frames,
        "state": "tracked",
        "discovered_at": START,
        "updated_at": START,
    }
    conn.execute(sa.insert(s.video).values(values | changed))
    if not frames:
        return
    shard_id = s.shard_id_of(video_id, 0)
    conn.execute(
        sa.insert(s.frame_shard).values(
            shard_id=shard_id, video_id=video_id, uri=f"shards/{video_id}.tar", bytes=1000, content_hash="0" * 64
        )
    )
    numbers = list(range(frames))
    insert_rows(
        conn,
        s.frame,
        {
            "video_id": [video_id] * frames,
            "frame_no": numbers,
            "pts": numbers,
            "time_s": [n / 5 for n in numbers],
            "shard_id": [shard_id] * frames,
            "byte_offset": [512 + 100 * n for n in numbers],
            "byte_length": [90] * frames,
        },
    )
    for ordinal in range(tracks):
        track_id = s.track_id_of(video_id, ordinal)
        conn.execute(
            sa.insert(s.track).values(
                track_id=track_id,
                video_id=video_id,
                first_frame_no=0,
                last_frame_no=frames - 1,
                first_s=0.0,
                last_s=(frames - 1) / 5,
                n_detections=frames,
                quality=0.8,
                model_id=DETECTOR,
                state="live",
            )
        )
        insert_rows(
            conn,
            s.detection,
            {
                "video_id": [video_id] * frames,
                "frame_no": numbers,
                "detection_no": [ordinal] * frames,
                "track_id": [track_id] * frames,
                "x": [0.1 * ordinal] * frames,
                "y": [0.5] * frames,
                "w": [0.25] * frames,
                "h": [0.25] * frames,
                "score": [0.9] * frames,
            },
        )


def track(video_id: int, ordinal: int = 0) -> int:
    return s.track_id_of(video_id, ordinal)


def event(kind: str = "identify", track_id: int | None = None, anim_id: str | None = None, **more: Any) -> LabelEvent:
    """An event of the expert with a fresh id."""
    more.setdefault("annotator", "anna")
    more.setdefault("annotation_id", str(uuid.uuid4()))
    return LabelEvent(kind=kind, track_id=track_id, anim_id=anim_id, **more)


def plan(db: Database, track_ids: list[int], lane: str = "typical", **more: Any) -> int:
    """A round that asks about these tracks."""
    n = len(track_ids)
    values: dict[str, Any] = {
        "policy": "{}",
        "seed": 1,
        "embedder_model_id": EMBEDDER,
        "watermark_seq": 0,
        "n_pool": n,
        "track_ids": track_ids,
        "lanes": [lane] * n,
        "other_track_ids": None,
        "propensity": [0.5] * n,
        "reasons": ["because"] * n,
    }
    return write_round(db, **(values | more))


def predict(db: Database, track_id: int, probabilities: dict[str, float], unknown: bool = False) -> None:
    """What the champion head says about a track."""
    with db.write() as conn:
        ids = {row.anim_id: row.individual_id for row in conn.execute(sa.select(s.individual))}
        ranked = sorted(probabilities.items(), key=lambda pair: -pair[1])
        for rank, (anim_id, probability) in enumerate(ranked, start=1):
            conn.execute(
                sa.insert(s.prediction).values(
                    model_id=HEAD,
                    track_id=track_id,
                    rank=rank,
                    individual_id=ids[anim_id],
                    probability=probability,
                )
            )
        conn.execute(
            sa.insert(s.track_score).values(
                model_id=HEAD,
                track_id=track_id,
                margin=0.1,
                max_logit=1.0,
                novelty=0.1,
                entropy=0.1,
                is_unknown=unknown,
            )
        )


def plan_pairs(db: Database, pairs: list[tuple[int, int]], lane: str = "pairs") -> dict[frozenset[int], int]:
    """A round that asks about these pairs; the item of each."""
    round_id = plan(db, [one for one, _ in pairs], lane, other_track_ids=[other for _, other in pairs])
    q = s.acquisition_queue.c
    with db.read() as conn:
        rows = conn.execute(sa.select(q.item_id, q.track_id, q.other_track_id).where(q.round_id == round_id))
        return {frozenset({row.track_id, row.other_track_id}): row.item_id for row in rows}


def states_of_items(db: Database, item_ids: Iterable[int]) -> list[str]:
    """State of some items of the queue."""
    q = s.acquisition_queue.c
    with db.read() as conn:
        state = {row.item_id: row.state for row in conn.execute(sa.select(q.item_id, q.state))}
    return [state[item_id] for item_id in item_ids]


def item_states(db: Database) -> dict[int, str]:
    """State of the queue by track, of the newest round."""
    q = s.acquisition_queue.c
    with db.read() as conn:
        return {
            row.track_id: row.state
            for row in conn.execute(sa.select(q.track_id, q.state).order_by(q.round_id, q.position))
        }
