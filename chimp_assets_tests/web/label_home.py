"""A small home that people can label in a browser: tracks with generated pictures, candidates, reference photos.

Belongs here: rows and files as the assets would have made them. No test belongs here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import simplejpeg
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.database.individuals.biographies import upsert_individuals
from chimp_assets.home import Home, init_home
from chimp_assets.vision.pictures.clips import encode_clip
from chimp_assets.web.auth.accounts import set_password
from chimp_assets_tests.database import world

PASSWORD = "a grove of twelve old figs"
PEOPLE = ("anna", "rita", "vera")
FRAMES, CROPS = 10, 8
WIDTH, HEIGHT = 640, 400
NAMES = (
    ("FF", "Fifi"), ("FI", "Fred"), ("FD", "Freud"), ("GM", "Gremlin"), ("FN", "Fanni"), ("FA", "Fanle"),
    ("GA", "Gaia"), ("GL", "Glitter"), ("SW", "Sheldon"), ("TT", "Titan"), ("TN", "Tarime"), ("SA", "Samwise"),
)  # fmt: skip
_NOW = datetime(2026, 3, 1, tzinfo=UTC)


def make_label_home(root: Path, tracks: int = 40, planned: int | None = None, settings: str | None = None) -> Home:
    """A home with `tracks` tracks, two in each video, `planned` of them (default: all) in the queue, with candidates.

    Users as in `world.make_world`; anna (expert), rita (reviewer) and vera (volunteer) have PASSWORD.
    """
    home = init_home(root, toml=settings)
    db = home.database
    videos = (tracks + 1) // 2
    world.make_world(db, videos=videos, tracks=2, frames=FRAMES)
    upsert_individuals(db, [{"anim_id": code, "name": name} for code, name in NAMES])
    for person in PEOPLE:
        set_password(db, person, PASSWORD)
    ids = [world.track(video, ordinal) for video in range(1, videos + 1) for ordinal in (0, 1)][:tracks]
    codes = [code for code, _ in NAMES]
    with db.read() as conn:
        key_of = {row.anim_id: row.individual_id for row in conn.execute(sa.select(s.individual))}
    who = {track_id: n % len(codes) for n, track_id in enumerate(ids)}
    _write_media(home, ids, who)
    # The screen for boxes begins with the newest videos.
    write_frames(home, range(max(1, videos - 2), videos + 1))
    with db.write() as conn:
        # Who is known by which pictures: the first tracks of each.
        photos = [
            {"individual_id": key_of[codes[n]], "place": place, "track_id": track_id, "chosen_at": _NOW}
            for n in range(len(codes))
            for place, track_id in enumerate([t for t in ids if who[t] == n][:3])
        ]
        conn.execute(sa.insert(s.reference_photo), photos)
        names = ("model_id", "track_id", "rank", "individual_id", "probability")
        rows: dict[str, list[Any]] = {name: [] for name in names}
        for track_id in ids:
            for place, share in enumerate((0.62, 0.2, 0.1, 0.05, 0.02)):
                rows["model_id"].append(world.HEAD)
                rows["track_id"].append(track_id)
                rows["rank"].append(place + 1)
                rows["individual_id"].append(key_of[codes[(who[track_id] + place) % len(codes)]])
                rows["probability"].append(share)
        insert_rows(conn, s.prediction, rows)
    asked = ids[: tracks if planned is None else planned]
    pairs = list(zip(ids[0:12:2], ids[3:15:2], strict=True))
    world.plan(
        db,
        asked + [one for one, _ in pairs],
        lanes=["boundary"] * len(asked) + ["pairs"] * len(pairs),
        other_track_ids=[None] * len(asked) + [other for _, other in pairs],
        propensity=[0.5] * (len(asked) + len(pairs)),
        reasons=["between two names"] * (len(asked) + len(pairs)),
        head_model_id=world.HEAD,
    )
    return home


def picture(n: int, width: int, height: int) -> np.ndarray:
    """A forest in which somebody looks at the camera: u8 [height, width, 3], different for each n."""
    rng = np.random.default_rng(n)
    small = rng.integers(20, 90, (max(2, height // 16), max(2, width // 16), 3), dtype=np.uint8)
    small[..., 1] += 35
    base = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    noise = rng.integers(0, 14, base.shape, dtype=np.uint8)
    return np.asarray(cv2.add(base, noise))


def face(canvas: np.ndarray, box: tuple[float, float, float, float], who: int, turn: int = 0) -> None:
    """Draws an ape into a box (fractions of the picture); `who` decides its colours, `turn` where it looks."""
    height, width = canvas.shape[:2]
    x, y, w, h = box
    centre = (int((x + w / 2) * width), int((y + h / 2) * height))
    size = (max(2, int(w * width / 2)), max(2, int(h * height / 2)))
    hue = int(who % len(NAMES) * 180 / len(NAMES))
    tint = cv2.cvtColor(np.array([[[hue, 90, 120]]], np.uint8), cv2.COLOR_HSV2RGB)[0, 0].tolist()
    cv2.ellipse(canvas, centre, size, 0, 0, 360, (34, 28, 26), -1, cv2.LINE_AA)
    for side in (-1, 1):
        ear = (centre[0] + side * int(size[0] * 0.85), centre[1] - size[1] // 6)
        cv2.circle(canvas, ear, max(2, size[0] // 4), tint, -1, cv2.LINE_AA)
    shift = (turn - 4) * size[0] // 24
    muzzle = (centre[0] + shift, centre[1] + size[1] // 5)
    cv2.ellipse(canvas, muzzle, (int(size[0] * 0.7), int(size[1] * 0.6)), 0, 0, 360, tint, -1, cv2.LINE_AA)
    for side in (-1, 1):
        eye = (centre[0] + shift + side * size[0] // 3, centre[1] - size[1] // 6)
        cv2.circle(canvas, eye, max(1, size[0] // 9), (240, 230, 210), -1, cv2.LINE_AA)
        cv2.circle(canvas, eye, max(1, size[0] // 16), (15, 10, 8), -1, cv2.LINE_AA)
    cv2.ellipse(
        canvas, (muzzle[0], muzzle[1] + size[1] // 6), (size[0] // 3, max(1, size[1] // 14)), 0, 0, 180, (40, 20, 20), 2
    )


def box_of(ordinal: int) -> tuple[float, float, float, float]:
    """Where `world.add_video` says the animals of a track are."""
    return (0.1 * ordinal, 0.5, 0.25, 0.25)


def jpeg(canvas: np.ndarray, quality: int = 70) -> bytes:
    """Bytes of a picture as the assets store it."""
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(canvas), quality=quality))


def _write_media(home: Home, ids: list[int], who: dict[int, int]) -> None:
    """Eight crops and the best frame for each track, and one clip that all share."""
    shots = []
    for n in range(FRAMES):
        shot = picture(7, WIDTH, HEIGHT)
        face(shot, box_of(0), 3, n % 8)
        shots.append((n / 5, shot))
    clip, width, height = encode_clip(shots, 360, 28)
    boxes = (
        '{"fps":5,"frames":['
        + ",".join(f"[{n / 5},0.0,0.5,0.25,0.25]" for n in range(FRAMES))
        + '],"others":[{"track_id":1,"frames":[[0.0,0.1,0.5,0.25,0.25]]}]}'
    ).encode()
    rows = []
    stored: dict[str, str] = {}

    def add(track_id: int, kind: str, place: int, content: bytes, suffix: str, **values: Any) -> None:
        content_hash = hashlib.sha256(content).hexdigest()
        uri = f"item_media/{content_hash}.{suffix}"
        if content_hash not in stored:
            home.store.put(uri, content)
            stored[content_hash] = uri
        empty = dict.fromkeys(("width", "height", "frame_no", "time_s", "start_s", "fps", "x", "y", "w", "h"))
        fixed = {"track_id": track_id, "kind": kind, "place": place, "content_hash": content_hash, "uri": uri}
        rows.append({**fixed, "bytes": len(content), "created_at": _NOW, **empty, **values})

    for n, track_id in enumerate(ids):
        for place in range(CROPS):
            crop = picture(1000 + n, 192, 192)
            face(crop, (0.12, 0.1, 0.76, 0.82), who[track_id], place)
            cv2.putText(crop, str(n), (6, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (255, 255, 255), 1, cv2.LINE_AA)
            add(
                track_id, "crop", place, jpeg(crop), "jpg",
                width=192, height=192, frame_no=place, time_s=place / 5, x=0.1, y=0.5, w=0.25, h=0.25,
            )  # fmt: skip
        ordinal = track_id % s.TRACKS_PER_VIDEO % 2
        whole = picture(1000 + n, WIDTH, HEIGHT)
        face(whole, box_of(ordinal), who[track_id])
        x, y, w, h = box_of(ordinal)
        add(
            track_id, "frame", 0, jpeg(whole, 60), "jpg",
            width=WIDTH, height=HEIGHT, frame_no=0, time_s=0.0, x=x, y=y, w=w, h=h,
        )  # fmt: skip
        add(
            track_id, "clip", 0, clip, "mp4",
            width=width, height=height, frame_no=0, time_s=0.0, start_s=0.0, fps=5.0,
        )  # fmt: skip
        add(track_id, "boxes", 0, boxes, "json", start_s=0.0, fps=5.0)
    with home.database.write() as conn:
        insert_rows(conn, s.item_media, {column: [row[column] for row in rows] for column in rows[0]})


def write_frames(home: Home, videos: Iterable[int]) -> None:
    """The stored frames of some videos, where the rows say they are."""
    with home.database.write() as conn:
        for video_id in videos:
            content, spans = b"", []
            for n in range(FRAMES):
                whole = picture(video_id, WIDTH, HEIGHT)
                for ordinal in (0, 1):
                    face(whole, box_of(ordinal), video_id + ordinal, n % 8)
                frame = jpeg(whole)
                spans.append((len(content), len(frame)))
                content += frame
            home.store.put(f"shards/{video_id}.tar", content)
            for n, (offset, length) in enumerate(spans):
                conn.execute(
                    sa.update(s.frame)
                    .where(s.frame.c.video_id == video_id, s.frame.c.frame_no == n)
                    .values(byte_offset=offset, byte_length=length)
                )
