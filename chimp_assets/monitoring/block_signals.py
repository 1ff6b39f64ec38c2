"""The numbers of a camera's day: of its pictures, its tracks, their vectors and what the head says of them.

Belongs here: reading some bundles and computing blocks. Does not belong here: which blocks, and writing (`blocks`).

Light is matched: blocks of day and of night are different streams. Only the signal `infrared` is of both: the share of
infrared among what was filmed in full daylight, which a filter that is stuck changes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import sqlalchemy as sa

from chimp_assets.arrays import F64Array, I64Array
from chimp_assets.database import schema as t
from chimp_assets.database.connection.parameters import in_parts
from chimp_assets.database.footage.cameras import place_of_video
from chimp_assets.home import Home
from chimp_assets.statistics.fourier import FourierFeatures
from chimp_assets.vision.embedding.bundle import read_embeddings

Day = tuple[str, date]
"""A camera and a recording day."""
PICTURES, TRACKS, VECTORS, PREDICTIONS = "pictures", "tracks", "vectors", "predictions"
NUMBERS = ("brightness", "contrast", "sharpness", "colourfulness")
FAMILIES: dict[str, tuple[str, ...]] = {
    PICTURES: (*NUMBERS, "infrared"),
    TRACKS: ("detections", "track_length"),
    VECTORS: ("embedding",),
    PREDICTIONS: ("unknown_rate", "probability", "entropy", "names"),
}
"""Signals by what they are computed from."""
MARKS = {PICTURES: "brightness", TRACKS: "detections", VECTORS: "embedding", PREDICTIONS: "unknown_rate"}
"""The signal of each family of which every camera-day has a row, with n = 0 if need be."""
DAY, NIGHT, MIXED = "day", "night", "mixed"
NAME_FEATURES = 64
_DAYLIGHT_HOURS = range(9, 16)
"""On the camera's clock, near the equator."""


@dataclass(frozen=True)
class Block:
    """A row of `drift_block`, without what detectors say of it."""

    camera: str
    day: date
    family: str
    signal: str
    light: str
    n: int
    value: float | None = None
    spread: float | None = None
    sums: bytes | None = None


@dataclass
class _Videos:
    """Videos of some bundles. key: camera, day and light of each video_id."""

    key: dict[int, tuple[str, date, str]] = field(default_factory=dict)
    tracked: dict[int, float] = field(default_factory=dict)
    pictures: dict[tuple[str, date, str], list[tuple[float, ...]]] = field(default_factory=lambda: defaultdict(list))
    infrared: dict[Day, list[float]] = field(default_factory=lambda: defaultdict(list))


def blocks_of(home: Home, models: dict[str, int], wanted: dict[Day, set[str]], bundles: list[int]) -> Iterator[Block]:
    """The blocks of the wanted families of these camera-days, whose videos lie in these bundles."""
    with home.database.read() as conn:
        videos = _videos(conn, wanted, bundles, ZoneInfo(home.settings.archive.timezone))
    found = [*_of_pictures(videos, wanted)]
    if any(TRACKS in stale for stale in wanted.values()):
        found += _of_tracks(home, videos, bundles)
    if models[PREDICTIONS] and any(PREDICTIONS in stale for stale in wanted.values()):
        found += _of_predictions(home, videos, bundles, models[PREDICTIONS])
    if models[VECTORS] and any(VECTORS in stale for stale in wanted.values()):
        found += _of_vectors(home, videos, bundles, models[VECTORS])
    there = set()
    for block in found:
        if block.family in wanted[block.camera, block.day]:
            there.add((block.camera, block.day, block.signal))
            yield block
    for (camera, day), stale in sorted(wanted.items()):
        for family in sorted(stale):
            if (camera, day, MARKS[family]) not in there:
                yield Block(camera, day, family, MARKS[family], MIXED, 0)


def _videos(conn: sa.Connection, wanted: dict[Day, set[str]], bundles: list[int], zone: ZoneInfo) -> _Videos:
    v, s = t.video.c, t.video_signal.c
    found = _Videos()
    for some in in_parts(bundles):
        query = (
            sa.select(
                v.video_id, place_of_video().label("camera"), v.recorded_on, v.recorded_at, v.recorded_at_certainty,
                v.state, v.duration_s,
                s.infrared, *(s[name] for name in NUMBERS),
            )
            .select_from(t.video)
            .outerjoin(t.video_signal, s.video_id == v.video_id)
            .where(v.bundle_id.in_(some), v.state.in_(("decoded", "tracked")), v.recorded_on.is_not(None))
            .order_by(v.video_id)
        )  # fmt: skip
        for row in conn.execute(query):
            day = (row.camera, row.recorded_on)
            if day not in wanted:
                continue
            key = (*day, _light(row.infrared))
            found.key[row.video_id] = key
            if row.state == "tracked":
                found.tracked[row.video_id] = row.duration_s or 0.0
            if row.infrared is None:
                continue
            found.pictures[key].append(tuple(getattr(row, name) for name in NUMBERS))
            is_timed = row.recorded_at is not None and row.recorded_at_certainty not in ("day", "unsure")
            if is_timed and row.recorded_at.astimezone(zone).hour in _DAYLIGHT_HOURS:
                found.infrared[day].append(row.infrared)
    return found


def _light(infrared: float | None) -> str:
    """Infrared light, daylight, or some of both; where nothing is known, that."""
    if infrared is None:
        return MIXED
    return NIGHT if infrared >= 0.8 else DAY if infrared <= 0.2 else MIXED


def _of_pictures(videos: _Videos, wanted: dict[Day, set[str]]) -> Iterator[Block]:
    for (camera, day, light), rows in videos.pictures.items():
        if PICTURES not in wanted[camera, day]:
            continue
        numbers = np.array(rows)
        for name, values in zip(NUMBERS, numbers.T, strict=True):
            yield Block(camera, day, PICTURES, name, light, len(rows), float(values.mean()), _spread(values))
    for (camera, day), shares in videos.infrared.items():
        values = np.array(shares)
        yield Block(camera, day, PICTURES, "infrared", MIXED, len(shares), float(values.mean()), _spread(values))


def _spread(values: F64Array) -> float | None:
    return float(values.std(ddof=1)) if len(values) > 1 else None


def _of_tracks(home: Home, videos: _Videos, bundles: list[int]) -> Iterator[Block]:
    """Detections in an hour of film, and seconds of a track. Videos without tracks count."""
    k, v = t.track.c, t.video.c
    of_video: dict[int, tuple[int, int, float]] = {}
    for some in in_parts(bundles):
        query = (
            sa.select(
                k.video_id, sa.func.count().label("tracks"), sa.func.sum(k.n_detections).label("detections"),
                sa.func.sum(k.last_s - k.first_s).label("seconds"),
            )
            .join_from(t.track, t.video, v.video_id == k.video_id)
            .where(v.bundle_id.in_(some), k.state == "live")
            .group_by(k.video_id)
        )  # fmt: skip
        with home.database.read() as conn:
            of_video |= {row.video_id: (row.tracks, row.detections, row.seconds) for row in conn.execute(query)}
    held: dict[tuple[str, date, str], list[tuple[float, float, float, float]]] = defaultdict(list)
    for video_id, duration in videos.tracked.items():
        held[videos.key[video_id]].append((duration, *of_video.get(video_id, (0, 0, 0.0))))
    for (camera, day, light), rows in held.items():
        duration_s, tracks, detections, seconds = np.array(rows, np.float64).T
        hours = duration_s.sum() / 3600
        yield Block(
            camera, day, TRACKS, "detections", light, len(rows), float(detections.sum() / hours) if hours else None,
            _spread(detections[duration_s > 0] / duration_s[duration_s > 0] * 3600),
        )  # fmt: skip
        if n := int(tracks.sum()):
            length = float(seconds.sum() / n)
            lengths = seconds[tracks > 0] / tracks[tracks > 0]
            yield Block(camera, day, TRACKS, "track_length", light, n, length, _spread(lengths))


def _of_predictions(home: Home, videos: _Videos, bundles: list[int], head: int) -> Iterator[Block]:
    """What a head says of the tracks: how many it does not know, how sure it is, whom it names."""
    k, v, s, p = t.track.c, t.video.c, t.track_score.c, t.prediction.c
    unknown = sa.case((s.is_unknown, 1), else_=0)
    held: dict[tuple[str, date, str], list[tuple[int, float, float, float]]] = defaultdict(list)
    names: dict[tuple[str, date, str], F64Array] = {}
    named: dict[tuple[str, date, str], int] = defaultdict(int)
    for some in in_parts(bundles):
        tracks = (
            sa.select()
            .select_from(t.track_score)
            .join(t.track, k.track_id == s.track_id)
            .join(t.video, v.video_id == k.video_id)
            .join(
                t.prediction,
                sa.and_(p.model_id == s.model_id, p.track_id == s.track_id, p.rank == t.FIRST_RANK),
            )
            .where(s.model_id == head, v.bundle_id.in_(some), k.state == "live")
        )
        numbers = tracks.add_columns(
            k.video_id, sa.func.count().label("n"), sa.func.sum(unknown).label("unknown"),
            sa.func.sum(p.probability).label("probability"), sa.func.sum(s.entropy).label("entropy"),
        ).group_by(k.video_id)  # fmt: skip
        whom = (
            tracks.add_columns(k.video_id, p.individual_id, sa.func.count().label("n"))
            .where(~s.is_unknown)
            .group_by(k.video_id, p.individual_id)
            .order_by(k.video_id, p.individual_id)
        )
        with home.database.read() as conn:
            for row in conn.execute(numbers):
                if key := videos.key.get(row.video_id):
                    held[key].append((row.n, row.unknown, row.probability, row.entropy))
        with home.database.read() as conn:
            for row in conn.execute(whom):
                if key := videos.key.get(row.video_id):
                    names[key] = names.get(key, 0.0) + row.n * _name_features(row.individual_id)
                    named[key] += row.n
    for key, rows in held.items():
        of_video = np.array(rows, np.float64)
        n = of_video[:, 0]
        for signal, sums in zip(("unknown_rate", "probability", "entropy"), of_video[:, 1:].T, strict=True):
            value = float(sums.sum() / n.sum())
            yield Block(*key[:2], PREDICTIONS, signal, key[2], int(n.sum()), value, _spread(sums / n))
    for key, total in names.items():
        yield Block(*key[:2], PREDICTIONS, "names", key[2], named[key], sums=_stored(total))


@lru_cache(maxsize=4096)
def _name_features(individual_id: int) -> F64Array:
    """f64 [NAME_FEATURES] of length about one: of two individuals the product is about 0."""
    return np.random.default_rng([7, individual_id]).standard_normal(NAME_FEATURES) / np.sqrt(NAME_FEATURES)


def _of_vectors(home: Home, videos: _Videos, bundles: list[int], embedder: int) -> Iterator[Block]:
    """Sums of Fourier features of the tracks' vectors. Memory: one bundle's file."""
    keys = sorted(set(videos.key.values()))
    number = {key: i for i, key in enumerate(keys)}
    video_id = np.array(sorted(videos.key), np.int64)
    of_video = np.array([number[videos.key[one]] for one in video_id.tolist()], np.int64)
    sums: F64Array | None = None
    n = np.zeros(len(keys), np.int64)
    features: FourierFeatures | None = None
    for _, track_id, vectors in read_embeddings(home.database, home.store, embedder, _keys_of(home, bundles)):
        video = track_id // t.TRACKS_PER_VIDEO
        row = np.searchsorted(video_id, video)
        is_here = (row < len(video_id)) & (video_id[np.minimum(row, max(0, len(video_id) - 1))] == video)
        if not is_here.any():
            continue
        if features is None or sums is None:
            features = FourierFeatures.of(embedder, vectors.shape[1])
            sums = np.zeros((len(keys), features.n_features))
        there, block = np.unique(of_video[row[is_here]], return_inverse=True)
        more, count = features.sums(vectors[is_here], np.asarray(block, np.int64), len(there))
        sums[there] += more
        n[there] += count
    for i in np.flatnonzero(n):
        assert sums is not None
        camera, day, light = keys[i]
        yield Block(camera, day, VECTORS, "embedding", light, int(n[i]), sums=_stored(sums[i]))


def _keys_of(home: Home, bundles: list[int]) -> list[str]:
    with home.database.read() as conn:
        return [
            key
            for some in in_parts(bundles)
            for key in conn.scalars(sa.select(t.bundle.c.bundle_key).where(t.bundle.c.bundle_id.in_(some)))
        ]


def _stored(sums: F64Array) -> bytes:
    return sums.astype("<f4").tobytes()


def read_sums(stored: list[bytes], n: I64Array) -> F64Array:
    """Sums f64 [b, f] of stored blocks; n: i64 [b], which must be as many."""
    if len(stored) != len(n):
        raise ValueError(f"{len(stored)} sums of {len(n)} blocks")
    return np.frombuffer(b"".join(stored), "<f4").reshape(len(n), -1).astype(np.float64)
