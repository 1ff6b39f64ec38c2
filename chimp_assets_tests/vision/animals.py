"""A small home with pictures in it: individuals with patterns of their own, filmed in videos of two tracks each."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import cv2
import numpy as np
import simplejpeg
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.database.individuals.biographies import upsert_individuals
from chimp_assets.database.labels.events import LabelEvent, record_events
from chimp_assets.database.labels.splits import audit_reserve_mask
from chimp_assets.home import Home

START = datetime(2020, 3, 1, 7, 0, tzinfo=UTC)
WIDTH, HEIGHT, SIDE, FRAMES = 160, 120, 48, 6
DETECTOR = 1
NAMES = ("AA", "BB", "CC", "DD", "EE")
SEXES = ("F", "M", "F", "M", "F")


def make_animals(home: Home, videos: int = 20, bundles: int = 2, test_every: int = 5, seed: int = 3) -> dict[int, str]:
    """Videos 1..n of two tracks, each of another individual; every fifth video is of a test day. Track to anim_id.

    Pictures, rows and shard bytes are real; detections cover the animal, which moves, changes size and light.
    """
    db, rng = home.database, np.random.default_rng(seed)
    patterns = [_pattern(np.random.default_rng([seed, i])) for i in range(len(NAMES))]
    upsert_individuals(db, [{"anim_id": n, "name": n.lower(), "sex": x} for n, x in zip(NAMES, SEXES, strict=True)])
    truth: dict[int, str] = {}
    with db.write() as conn:
        conn.execute(
            sa.insert(s.model).values(
                model_id=DETECTOR, task="detector", version=1, name="d", state="champion", config="{}", created_at=START
            )
        )
        for bundle_id in range(1, bundles + 1):
            conn.execute(
                sa.insert(s.bundle).values(
                    bundle_id=bundle_id,
                    bundle_key=f"site-{bundle_id:04d}",
                    folder=f"f{bundle_id}",
                    created_at=START,
                    changed_at=START,
                )
            )
        for video_id in range(1, videos + 1):
            who = rng.choice(len(NAMES), 2, replace=False)
            split = "test" if video_id % test_every == 0 else "train"
            _film(conn, home, video_id, 1 + (video_id - 1) % bundles, split, [patterns[i] for i in who], rng)
            truth |= {s.track_id_of(video_id, ordinal): NAMES[i] for ordinal, i in enumerate(who)}
    return truth


def answer(
    home: Home, truth: dict[int, str], lane: str, tracks: list[int] | None = None, kind: str = "identify"
) -> None:
    """The expert answers tracks truthfully through a lane."""
    events = [
        LabelEvent(
            str(uuid.uuid5(uuid.NAMESPACE_OID, f"{track_id} {lane} {kind}")), kind, "expert", lane=lane,
            track_id=track_id, anim_id=truth[track_id] if kind == "identify" else None,
        )
        for track_id in (sorted(truth) if tracks is None else tracks)
    ]  # fmt: skip
    results = record_events(home.database, events)
    assert all(result.status == "stored" for result in results), results


def teaching_and_audit(home: Home, truth: dict[int, str], test_every: int = 5) -> tuple[list[int], list[int]]:
    """Tracks that may teach (outside reserve and test days) and tracks of the audit reserve."""
    ids = np.array(sorted(truth), dtype=np.int64)
    reserve = audit_reserve_mask(ids, home.settings.seed, home.settings.acquisition.audit_reserve)
    test_day = (ids // s.TRACKS_PER_VIDEO) % test_every == 0
    return ids[~reserve & ~test_day].tolist(), ids[reserve].tolist()


def _film(
    conn: sa.Connection, home: Home, video_id: int, bundle_id: int, split: str, patterns: list[np.ndarray],
    rng: np.random.Generator,
) -> None:  # fmt: skip
    scene = rng.integers(90, 160, (HEIGHT // 8, WIDTH // 8, 3)).astype(np.uint8)
    ground = cv2.resize(scene, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    jpegs, boxes = [], []
    for n in range(FRAMES):
        picture = ground.astype(np.float32)
        for ordinal, pattern in enumerate(patterns):
            side = int(rng.integers(SIDE - 8, SIDE + 9))
            left, top = 10 + 80 * ordinal + int(rng.integers(0, 10)), 20 + 4 * n + int(rng.integers(0, 8))
            light = rng.uniform(0.75, 1.2)
            picture[top : top + side, left : left + side] = cv2.resize(pattern, (side, side)) * light
            boxes.append((n, ordinal, left / WIDTH, top / HEIGHT, side / WIDTH, side / HEIGHT))
        picture = np.clip(picture + rng.normal(0, 6, picture.shape), 0, 255).astype(np.uint8)
        jpegs.append(simplejpeg.encode_jpeg(np.ascontiguousarray(picture), quality=90))
    uri, lengths = f"shards/{video_id:08d}.tar", [len(j) for j in jpegs]
    home.store.put(uri, b"".join(jpegs))
    conn.execute(
        sa.insert(s.video).values(
            video_id=video_id, bundle_id=bundle_id, uri=f"v{video_id}.mp4", version=1, bytes=1, etag="e",
            state="tracked", recorded_at=START + timedelta(days=video_id), recorded_at_source="container",
            camera=f"cam{video_id % 3}",
            n_frames=FRAMES, discovered_at=START, updated_at=START,
        )
    )  # fmt: skip
    conn.execute(
        sa.insert(s.split_assignment).values(
            video_id=video_id, day_key=f"day{video_id}|cam{video_id % 3}", split=split, assigned_at=START
        )
    )
    shard_id = s.shard_id_of(video_id, 0)
    conn.execute(
        sa.insert(s.frame_shard).values(
            shard_id=shard_id, video_id=video_id, uri=uri, bytes=sum(lengths), content_hash="0" * 64
        )
    )
    numbers = list(range(FRAMES))
    insert_rows(
        conn,
        s.frame,
        {
            "video_id": [video_id] * FRAMES, "frame_no": numbers, "pts": numbers, "time_s": [n / 5 for n in numbers],
            "shard_id": [shard_id] * FRAMES, "byte_offset": [sum(lengths[:n]) for n in numbers], "byte_length": lengths,
        },
    )  # fmt: skip
    for ordinal in range(len(patterns)):
        conn.execute(
            sa.insert(s.track).values(
                track_id=s.track_id_of(video_id, ordinal), video_id=video_id, first_frame_no=0,
                last_frame_no=FRAMES - 1, first_s=0.0, last_s=(FRAMES - 1) / 5, n_detections=FRAMES, quality=0.8,
                model_id=DETECTOR, state="live",
            )
        )  # fmt: skip
    frame_no, ordinals, x, y, w, h = zip(*boxes, strict=True)
    insert_rows(
        conn,
        s.detection,
        {
            "video_id": [video_id] * len(boxes), "frame_no": frame_no, "detection_no": ordinals,
            "track_id": [s.track_id_of(video_id, o) for o in ordinals], "x": x, "y": y, "w": w, "h": h,
            "score": [0.9] * len(boxes),
        },
    )  # fmt: skip


def _pattern(rng: np.random.Generator) -> np.ndarray:
    coarse = rng.integers(20, 230, (5, 5, 3)).astype(np.float32)
    return np.clip(cv2.resize(coarse, (64, 64), interpolation=cv2.INTER_CUBIC), 0, 255)
