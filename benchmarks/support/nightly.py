"""An archive as rows and files of vectors, without pictures, for the nightly watch (`benchmarks.drift`, D1).

Belongs here: writing it. Does not belong here: what is measured.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import sqlalchemy as sa
from safetensors.numpy import save

from chimp_assets.database import schema as t
from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.home import Home
from chimp_assets.vision.models.checkpoint import content_hash

EMBEDDER, HEAD, DETECTOR = 1, 2, 3
VIDEOS_A_DAY = 10
DIMENSIONS = 128
INDIVIDUALS = 30
THEN = datetime(2025, 1, 1, tzinfo=UTC)


def archive_of_blocks(home: Home, cameras: int, first: date, days: int, tracks: int) -> None:
    """Models, individuals, and a bundle of all cameras for each day; of each camera-day VIDEOS_A_DAY videos."""
    with home.database.write() as conn:
        for key, task in ((EMBEDDER, "embedder"), (HEAD, "head"), (DETECTOR, "detector")):
            conn.execute(
                sa.insert(t.model).values(
                    model_id=key, task=task, version=1, name=task, state="champion",
                    config=json.dumps({"dimensions": DIMENSIONS}), created_at=THEN,
                )
            )  # fmt: skip
        conn.execute(
            sa.insert(t.individual),
            [{"individual_id": i + 1, "anim_id": f"A{i}", "created_at": THEN} for i in range(INDIVIDUALS)],
        )
    per_video = max(1, round(tracks / (days * cameras * VIDEOS_A_DAY)))
    for number in range(days):
        add_day(home, cameras, first + timedelta(number), per_video)


def new_day(home: Home, cameras: int, day: date, per_video: int = 5) -> None:
    """One more day, as the next night finds it."""
    add_day(home, cameras, day, per_video)


def add_day(home: Home, cameras: int, day: date, per_video: int, dark: tuple[str, ...] = ()) -> None:
    """A bundle of a day's videos, tracks, vectors and predictions. dark: cameras whose pictures are half as bright."""
    bundle_id = day.toordinal()
    rng = np.random.default_rng(bundle_id)
    n = cameras * VIDEOS_A_DAY
    video = bundle_id * 1_000 + np.arange(n)
    camera = [f"cam{1 + i // VIDEOS_A_DAY}" for i in range(n)]
    is_night = np.arange(n) % VIDEOS_A_DAY >= VIDEOS_A_DAY // 2
    at = [datetime.combine(day, time(23 if late else 11), tzinfo=UTC) for late in is_night]
    is_dark = np.isin(camera, dark)
    tracks = np.repeat(video, per_video) * t.TRACKS_PER_VIDEO + np.tile(np.arange(per_video), n)
    m = len(tracks)
    vectors = rng.standard_normal((m, DIMENSIONS)).astype(np.float32)
    vectors[:, 0] += 8 * np.repeat(is_dark, per_video) + 4 * np.repeat(is_night, per_video)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    content = save({"embedding": vectors.astype(np.float16), "track_id": tracks})
    uri = f"embeddings/{EMBEDDER}/day-{bundle_id}.safetensors"
    home.store.put(uri, content)
    with home.database.write() as conn:
        insert_rows(conn, t.bundle, {
            "bundle_id": [bundle_id], "bundle_key": [f"day-{bundle_id}"], "folder": [f"day-{bundle_id}"],
            "created_at": [THEN], "changed_at": [THEN],
        })  # fmt: skip
        insert_rows(conn, t.video, {
            "video_id": video, "bundle_id": [bundle_id] * n, "uri": [f"{one}.mp4" for one in video.tolist()],
            "version": [1] * n, "bytes": [1] * n, "etag": ["e"] * n, "recorded_at": at, "recorded_on": [day] * n,
            "recorded_at_certainty": ["sure"] * n, "camera": camera, "duration_s": [30.0] * n, "state": ["tracked"] * n,
            "discovered_at": [THEN] * n, "updated_at": [THEN] * n,
        })  # fmt: skip
        brightness = np.where(is_dark, 0.5, 1) * rng.normal(110, 6, n) - 30 * is_night
        insert_rows(conn, t.video_signal, {
            "video_id": video, "pictures": [10] * n, "brightness": brightness, "contrast": rng.normal(40, 3, n),
            "sharpness": rng.lognormal(5, 0.2, n), "colourfulness": np.where(is_night, 0.5, rng.normal(30, 3, n)),
            "infrared": is_night.astype(float), "background": [b"\0" * 2304] * n,
        })  # fmt: skip
        insert_rows(conn, t.track, {
            "track_id": tracks, "video_id": tracks // t.TRACKS_PER_VIDEO, "first_frame_no": [0] * m,
            "last_frame_no": [9] * m, "first_s": [0.0] * m, "last_s": rng.gamma(3, 2, m),
            "n_detections": [10] * m, "quality": [0.8] * m, "model_id": [DETECTOR] * m, "state": ["live"] * m,
        })  # fmt: skip
        probability = rng.beta(6, 2, m)
        insert_rows(conn, t.prediction, {
            "model_id": [HEAD] * m, "track_id": tracks, "rank": [1] * m,
            "individual_id": rng.integers(1, INDIVIDUALS + 1, m), "probability": probability,
        })  # fmt: skip
        insert_rows(conn, t.track_score, {
            "model_id": [HEAD] * m, "track_id": tracks, "margin": probability / 2, "max_logit": probability,
            "novelty": probability, "entropy": rng.gamma(3, 0.2, m), "is_unknown": (rng.random(m) < 0.2).tolist(),
        })  # fmt: skip
        insert_rows(conn, t.embedding_file, {
            "model_id": [EMBEDDER], "bundle_id": [bundle_id], "uri": [uri], "content_hash": [content_hash(content)],
            "n_tracks": [m], "created_at": [THEN],
        })  # fmt: skip
        insert_rows(conn, t.bundle_score, {
            "model_id": [HEAD], "bundle_id": [bundle_id], "n_tracks": [m], "created_at": [THEN],
        })  # fmt: skip
