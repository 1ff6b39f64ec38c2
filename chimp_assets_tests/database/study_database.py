"""A field study made from a seed, and written into a database as the product itself would write it."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.files.effort_files import import_effort
from chimp_assets.database.individuals.batch import SourceRow, Terms
from chimp_assets.database.individuals.biographies import upsert_individuals
from chimp_assets.database.individuals.memberships import write_memberships
from chimp_assets.database.individuals.merges import merge_individuals
from chimp_assets.database.labels.events import record_events
from chimp_assets_tests.database.field_study import (
    CAMERAS,
    DAYS,
    DEPLOYMENTS,
    FRAME_S,
    FRAMES,
    GAPS,
    LIVES,
    MEMBERS,
    MERGED,
    Study,
    Track,
    Video,
)
from chimp_assets_tests.database.world import DETECTOR, START, event, make_world, predict


def make_study(seed: int, videos: int = 40) -> Study:
    """A study that a seed decides. Probabilities are sums of powers of two: every database keeps them exactly."""
    rng = Random(seed)
    names = [row["anim_id"] for row in LIVES]
    weights = [1 / (n + 2) ** 0.5 for n in range(len(names))]
    made, tracks = [], []
    for video_id in range(1, videos + 1):
        site, camera = rng.choice(CAMERAS)
        day = rng.choice(DAYS)
        at = datetime(day.year, day.month, day.day, 7, rng.randrange(3), rng.choice((0, 8, 30)), tzinfo=UTC)
        made.append(v := Video(video_id, site, camera, day, at.timestamp()))
        for ordinal in range(rng.randrange(5)):
            first = rng.randrange(FRAMES - 1)
            last = rng.randrange(first, FRAMES)
            frames = sorted({first, last, *(f for f in range(first, last) if rng.random() < 0.8)})
            t = Track(s.track_id_of(video_id, ordinal), v, first, last, frames)
            tracks.append(t)
            if rng.random() < 0.7:
                best, other = rng.sample(names, 2)
                p = rng.choice((0.5, 0.625, 0.75, 0.875))
                t.model, t.unknown = {best: p, other: (1 - p) / 2}, rng.random() < 0.15
            if rng.random() < 0.5:
                t.kind = rng.choices(("identify", "unknown", "not_animal", "bad_box", "cannot_tell"), (8, 1, 1, 1, 1))[
                    0
                ]
                t.lane = rng.choice(("audit", "audit", "boundary", "free"))
                if t.kind == "identify":
                    t.person = rng.choices(names, weights)[0]
                    if t.model and rng.random() < 0.6:
                        t.person = max(t.model.items(), key=lambda pair: pair[1])[0]
    return Study(made, tracks)


def write_study(db: Database, study: Study, folder: Path) -> None:
    """The study into a migrated, empty database, as the product itself would write it."""
    make_world(db, videos=0)  # people who answer, models, and four individuals that LIVES then describes or leaves
    with db.write() as conn:
        conn.execute(sa.delete(s.biography_log))
        conn.execute(sa.update(s.individual).values(mom_id=None))
        conn.execute(sa.delete(s.individual))
    upsert_individuals(db, LIVES)
    told = [
        SourceRow(n, {"anim_id": a, "community": c, "start_date": start, "end_date": end})
        for n, (a, c, start, end) in enumerate(MEMBERS, start=1)
    ]
    db.transact(lambda conn: write_memberships(conn, told, Terms()))
    for name, header, rows in (
        ("deployments", "site,camera,start_date,end_date", DEPLOYMENTS),
        ("gaps", "site,camera,start_date,end_date,reason", [(*gap, "rain") for gap in GAPS]),
    ):
        file = folder / f"{name}.csv"
        file.write_text(
            "\n".join([header, *(",".join("" if x is None else str(x) for x in row) for row in rows)]) + "\n"
        )
        import_effort(db, file)
    with db.write() as conn:
        for v in study.videos:
            _write_video(conn, v, [t for t in study.tracks if t.video is v])
    for t in study.tracks:
        if t.model is not None:
            predict(db, t.track_id, t.model, unknown=t.unknown)
    events = [
        event(t.kind, t.track_id, t.person, lane=t.lane, propensity=0.5, annotation_id=str(uuid.UUID(int=t.track_id)))
        for t in study.tracks
        if t.kind
    ]
    assert {result.status for result in record_events(db, events)} <= {"stored"}
    for gone, into in MERGED.items():
        merge_individuals(db, gone, into, why="the same scar")


def _write_video(conn: sa.Connection, v: Video, tracks: list[Track]) -> None:
    at = datetime.fromtimestamp(v.at, UTC)
    conn.execute(
        sa.insert(s.video).values(
            video_id=v.video_id, bundle_id=1, uri=f"{v.camera}/{v.video_id}.mp4", version=1, bytes=1000, etag="e",
            recorded_at=at, recorded_at_source="container", recorded_on=v.day, site=v.site, camera=v.camera,
            duration_s=v.duration, frame_s=FRAME_S, n_frames=FRAMES, state="tracked", discovered_at=START,
            updated_at=START,
        )
    )  # fmt: skip
    day_key = f"{v.day}|{v.site}|{v.camera}"
    conn.execute(
        sa.insert(s.split_assignment).values(video_id=v.video_id, day_key=day_key, split="train", assigned_at=START)
    )
    shard_id = s.shard_id_of(v.video_id, 0)
    conn.execute(
        sa.insert(s.frame_shard).values(
            shard_id=shard_id, video_id=v.video_id, uri=f"shards/{v.video_id}.tar", bytes=1000, content_hash="0" * 64
        )
    )
    numbers = list(range(FRAMES))
    insert_rows(conn, s.frame, {
        "video_id": [v.video_id] * FRAMES, "frame_no": numbers, "pts": numbers,
        "time_s": [n * FRAME_S for n in numbers], "shard_id": [shard_id] * FRAMES,
        "byte_offset": [512 + 100 * n for n in numbers], "byte_length": [90] * FRAMES,
    })  # fmt: skip
    for ordinal, t in enumerate(tracks):
        conn.execute(
            sa.insert(s.track).values(
                track_id=t.track_id, video_id=v.video_id, first_frame_no=t.first, last_frame_no=t.last,
                first_s=t.span[0], last_s=t.span[1], n_detections=t.n, quality=0.5, model_id=DETECTOR, state="live",
            )
        )  # fmt: skip
        insert_rows(conn, s.detection, {
            "video_id": [v.video_id] * t.n, "frame_no": t.frames, "detection_no": [ordinal] * t.n,
            "track_id": [t.track_id] * t.n, "x": [0.125 * ordinal] * t.n, "y": [0.5] * t.n, "w": [0.25] * t.n,
            "h": [0.25] * t.n, "score": [0.5] * t.n,
        })  # fmt: skip
