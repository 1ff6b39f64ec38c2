"""A small home with names, guesses of a model, pictures and measurements: what the pages that the server draws show.

Belongs here: rows and files as the assets would have made them. No test belongs here.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.database.labels.events import record_events
from chimp_assets.home import Home, init_home
from chimp_assets.web.auth.accounts import set_password
from chimp_assets_tests.database import world
from chimp_assets_tests.database.world import event, track

PASSWORD = "a grove of twelve old figs"
VIDEOS, TRACKS, FRAMES = 8, 3, 10
NOW = datetime(2026, 3, 1, tzinfo=UTC)
# (video, ordinal) -> who a person said it is; on 2013-05-06 and the days after it, in turn at cam1 and cam0.
NAMED = {
    (1, 0): "FF", (1, 1): "FI", (2, 0): "FF", (2, 1): "FI", (3, 0): "FF", (4, 1): "FI", (5, 0): "FF", (5, 1): "FI",
    (5, 2): "FD", (6, 0): "FF",
}  # fmt: skip
# ... and whom the champion head takes it for.
GUESSED = {(3, 1): ("FI", 0.75), (7, 0): ("FF", 0.875), (7, 1): ("FI", 0.875), (8, 0): ("GM", 0.5)}


def make_archive_home(root: Path) -> Home:
    """Eight videos of three tracks on eight days. anna names ten tracks (2 s each), the head guesses four."""
    home = init_home(root)
    db = home.database
    world.make_world(db, videos=VIDEOS, tracks=TRACKS, frames=FRAMES)
    for person in ("anna", "rita", "vera", "lotte"):
        set_password(db, person, PASSWORD)
    record_events(
        db, [event("identify", track(*key), who, seconds=2.0 + n % 3) for n, (key, who) in enumerate(NAMED.items())]
    )
    for key, (who, probability) in GUESSED.items():
        world.predict(db, track(*key), {who: probability})
    _write_pictures(home)
    world.plan(db, [track(6, 2), track(7, 0), track(7, 1), track(8, 0)])
    _measure(home)
    return home


def _picture(n: int, width: int, height: int) -> bytes:
    rng = np.random.default_rng(n)
    coarse = rng.integers(20, 160, (height // 16, width // 16, 3), dtype=np.uint8)
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(coarse.repeat(16, 0).repeat(16, 1)), quality=70))


def _write_pictures(home: Home) -> None:
    """The best crop of each track, and every frame where the rows say it is."""
    rows = []
    for video_id in range(1, VIDEOS + 1):
        for ordinal in range(TRACKS):
            content = _picture(100 * video_id + ordinal, 128, 128)
            content_hash = hashlib.sha256(content).hexdigest()
            uri = f"item_media/{content_hash}.jpg"
            home.store.put(uri, content)
            empty: dict[str, Any] = dict.fromkeys(("start_s", "fps", "x", "y", "w", "h"))
            rows.append({
                "track_id": track(video_id, ordinal), "kind": "crop", "place": 0, "content_hash": content_hash,
                "uri": uri, "bytes": len(content), "width": 128, "height": 128, "frame_no": 4, "time_s": 0.8,
                "created_at": NOW, **empty,
            })  # fmt: skip
        frame = _picture(video_id, 640, 400)
        home.store.put(f"shards/{video_id}.tar", frame)
        with home.database.write() as conn:
            conn.execute(
                sa.update(s.frame).where(s.frame.c.video_id == video_id).values(byte_offset=0, byte_length=len(frame))
            )
    with home.database.write() as conn:
        insert_rows(conn, s.item_media, {column: [row[column] for row in rows] for column in rows[0]})


def _measure(home: Home) -> None:
    """What the head's labels bought, as the asset of returns writes it: asking at random would have needed twice."""
    rows: list[dict[str, Any]] = []

    def add(kind: str, value: str, name: str, measured: float, n: int = 0, width: float = 0.0) -> None:
        rows.append({
            "model_id": world.HEAD, "dataset": "returns", "slice_kind": kind, "slice_value": value, "name": name,
            "value": measured, "ci_low": measured - width,
            "ci_high": measured + width, "n": n, "watermark_seq": 10,
            "created_at": NOW,
        })  # fmt: skip

    for n, real, random in ((20, 0.4, 0.3), (40, 0.6, 0.4), (80, 0.8, 0.55)):
        add("real_curve", str(n), "accuracy", real, n, 0.1)
        add("random_curve", str(n), "accuracy", random, n, 0.1)
    for name, value in (("accuracy", 0.8), ("labels", 80.0), ("minutes", 12.0), ("random_labels", 160.0)):
        add("all", "all", name, value, 60, 0.1 * value)
    add("all", "all", "next_hour", 0.025, 60, 0.01)
    add("all", "all", "p_useful", 0.4, 60)
    add("lane", "typical", "p_useful", 0.02, 30)
    with home.database.write() as conn:
        for row in rows:
            conn.execute(sa.insert(s.evaluation_metric).values(row))
