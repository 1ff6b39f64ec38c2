"""The embedding files: one for each bundle and embedder, written after the bundle was tracked.

Belongs here: embedding a bundle, whether its file is up to date, reading files in a stream.
Does not belong here: the embedder (`embedder`), what is learned from embeddings (`identity`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa
from safetensors.numpy import load, save

from chimp_assets.database import schema
from chimp_assets.database.work import stamps
from chimp_assets.vision.models.checkpoint import (
    ModelError,
    ModelFileError,
    ModelRow,
    champion,
    content_hash,
    model_of,
    read_checked,
)
from chimp_assets.vision.pictures.crops import TrackCrops, are_grey, read_crops

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.database.connection.engine import Database
    from chimp_assets.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BundleEmbeddings:
    """Result of embedding a bundle. skipped: live tracks without a vector, because none of their pictures can be
    read."""

    n_tracks: int
    uri: str
    skipped: int


def embed_bundle(
    db: Database,
    store: BlobStore,
    bundle_key: str,
    settings: Settings,
    progress: Callable[[str, int, int], None] | None = None,
) -> BundleEmbeddings:
    """Embed the live tracks of a bundle with the champion embedder and replace the bundle's file and row.

    The file is a safetensors file {embedding: f16 [n, d] unit vectors, track_id: i64 [n] ascending, without: i64 [m]
    live tracks none of whose pictures can be read, grey: u8 [n], 1 where the pictures have no colour}. A file that is
    up to date stays. Crop side and crops per track are the embedder's, not those of today's settings. It runs on
    compute.device; pictures are read while the network works. Memory: one bundle's vectors, the crops of tracks alive
    at once and of a few ahead. Raises ModelError without a champion embedder or for an unknown bundle; DeviceError.
    """
    with db.read() as conn:
        model = champion(conn, "embedder")
        if model is None:
            raise ModelError("There is no embedder.", "`chimp ingest` fits one as soon as there are enough tracks.")
        bundle_id = _bundle_id(conn, bundle_key)
        seen = stamps.changed_at(conn, bundle_id)  # a video tracked after this makes the file stale
        live, video_of = _live_tracks(conn, bundle_id)
        fresh = _fresh_file(conn, store, model.model_id, bundle_id, live)
    if fresh is not None:
        return BundleEmbeddings(fresh.n_tracks, fresh.uri, len(live) - fresh.n_tracks)
    videos = np.unique(video_of).tolist()
    content = _embedded(db, store, bundle_key, model, live, videos, settings.compute.device, progress)
    n_tracks = len(content["track_id"])
    data = save(content)
    digest = content_hash(data)
    uri = f"embeddings/{model.model_id}/{bundle_key}-{digest[:8]}.safetensors"
    store.put(uri, data)
    replaced = _write_row(db, model.model_id, bundle_id, uri, digest, n_tracks, seen)
    if replaced is not None and replaced != uri:
        store.delete(replaced)
    return BundleEmbeddings(n_tracks, uri, len(live) - n_tracks)


def _embedded(
    db: Database,
    store: BlobStore,
    bundle_key: str,
    model: ModelRow,
    live: np.ndarray,
    videos: list[int],
    device: str,
    progress: Callable[[str, int, int], None] | None,
) -> dict[str, np.ndarray]:
    """The arrays of a bundle's file, as described in `embed_bundle`."""
    # Only if something is to be embedded: importing torch takes longer than scoring a bundle.
    from chimp_assets.vision.embedding.embedder import load_embedder
    from chimp_assets.vision.embedding.inference import embed_tracks
    from chimp_assets.vision.learning.device import device_of

    embedder = load_embedder(store, model, device_of(device))
    unreadable: list[int] = []
    grey: dict[int, bool] = {}

    def tracks() -> Iterator[TrackCrops]:
        for number, video_id in enumerate(videos):
            for track in read_crops(
                db, store, video_id, model.config["crops_per_track"], embedder.crop_side, unreadable=unreadable
            ):
                grey[track.track_id] = are_grey(track.crops)
                yield track
            if progress is not None:
                progress(f"embed {bundle_key}", number + 1, len(videos))

    # A generator that is not exhausted would leave its thread running until it is collected.
    with closing(embed_tracks(embedder, tracks())) as embedded:
        vectors = {track: vector.astype(np.float16) for track, vector in embedded}
    if unreadable:
        log.warning("Bundle %s: %d unreadable pictures of tracks were skipped.", bundle_key, len(unreadable))
    track_id = np.array(sorted(vectors), dtype=np.int64)
    none = np.zeros((0, embedder.dimensions), np.float16)
    return {
        "embedding": np.stack([vectors[i] for i in track_id]) if vectors else none,
        "track_id": track_id,
        "without": np.array(sorted(set(live.tolist()) - vectors.keys()), dtype=np.int64),
        "grey": np.array([grey[i] for i in track_id.tolist()], dtype=np.uint8),
    }


def is_stale(db: Database, store: BlobStore, bundle_key: str) -> bool:
    """Whether the live tracks of a bundle differ from the champion embedder's file (or there is none).

    False while there is no embedder. For tests and notebooks: the product asks `database.work`, which reads no file.
    """
    with db.read() as conn:
        model = champion(conn, "embedder")
        if model is None:
            return False
        bundle_id = _bundle_id(conn, bundle_key)
        return _fresh_file(conn, store, model.model_id, bundle_id, _live_tracks(conn, bundle_id)[0]) is None


def read_embeddings(
    db: Database, store: BlobStore, embedder_id: int, bundle_keys: Collection[str] | None = None
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """(bundle_key, track_id i64 [n] ascending, embedding f16 [n, d]) of each bundle that has a file, oldest first.

    bundle_keys: only these. Memory: one file. Raises ModelFileError if a file is missing or has changed.
    """
    file = schema.embedding_file.c
    statement = (
        sa.select(schema.bundle.c.bundle_key, schema.bundle.c.bundle_id)
        .join_from(schema.embedding_file, schema.bundle, schema.bundle.c.bundle_id == file.bundle_id)
        .where(file.model_id == embedder_id)
        .order_by(file.bundle_id)
    )
    with db.read() as conn:
        keys = conn.execute(statement).all()
    wanted = None if bundle_keys is None else set(bundle_keys)
    for key, bundle_id in keys:
        if wanted is None or key in wanted:
            content = _read_current(db, store, embedder_id, bundle_id)
            yield key, content["track_id"], content["embedding"]


def are_tracks_grey(db: Database, store: BlobStore, embedder_id: int, track_ids: np.ndarray) -> np.ndarray:
    """bool [n]: tracks whose pictures have no colour, as in infrared light; False also if unknown (files written before
    this field existed)."""
    grey = np.zeros(len(track_ids), dtype=bool)
    file, bundle = schema.embedding_file.c, schema.bundle.c
    with db.read() as conn:
        keys = _bundles_of(conn, track_ids)
        bundles = {key: bundle_id for key, bundle_id in conn.execute(sa.select(bundle.bundle_key, bundle.bundle_id))}
        there = set(conn.scalars(sa.select(file.bundle_id).where(file.model_id == embedder_id)))
    for key in keys:
        if bundles[key] not in there:
            continue
        content = _read_current(db, store, embedder_id, bundles[key])
        if "grey" in content:
            grey |= np.isin(track_ids, content["track_id"][content["grey"] == 1])
    return grey


def embeddings_of_tracks(
    db: Database, store: BlobStore, embedder_id: int, track_ids: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of some tracks: found i64 [k], rows of track_ids that have one; embedding f32 [k, d].

    Reads only the files of their bundles, one at a time. Raises ModelError if the embedder is unknown.
    """
    with db.read() as conn:
        dimensions = int(model_of(conn, embedder_id).config["dimensions"])
        keys = _bundles_of(conn, track_ids)
    order = np.argsort(track_ids, kind="stable")
    wanted = np.asarray(track_ids, dtype=np.int64)[order]
    rows, parts = [], []
    for _, ids, embedding in read_embeddings(db, store, embedder_id, keys):
        place = np.searchsorted(ids, wanted)
        hit = place < len(ids)
        hit[hit] = ids[place[hit]] == wanted[hit]
        rows.append(order[hit])
        parts.append(embedding[place[hit]].astype(np.float32))
    if not rows:
        return np.zeros(0, dtype=np.int64), np.zeros((0, dimensions), dtype=np.float32)
    found = np.concatenate(rows)
    in_order = np.argsort(found, kind="stable")
    return found[in_order], np.concatenate(parts)[in_order]


def _read_current(db: Database, store: BlobStore, embedder_id: int, bundle_id: int) -> dict[str, np.ndarray]:
    """The file that the row names; read again if it was replaced between reading the row and the file."""
    file = schema.embedding_file
    statement = sa.select(file).where(file.c.model_id == embedder_id, file.c.bundle_id == bundle_id)
    uri = None
    while True:
        with db.read() as conn:
            row = conn.execute(statement).one()
        try:
            return load(read_checked(store, row.uri, row.content_hash))
        except ModelFileError:
            if row.uri == uri:
                raise
            uri = row.uri


def _write_row(
    db: Database, model_id: int, bundle_id: int, uri: str, digest: str, n_tracks: int, seen: datetime | None
) -> str | None:
    """Replace the row of a bundle; returns the previous uri."""
    file = schema.embedding_file

    def write(conn: sa.Connection) -> str | None:
        here = (file.c.model_id == model_id) & (file.c.bundle_id == bundle_id)
        before = conn.scalar(sa.select(file.c.uri).where(here))
        conn.execute(sa.delete(file).where(here))
        conn.execute(
            sa.insert(file).values(
                model_id=model_id,
                bundle_id=bundle_id,
                uri=uri,
                content_hash=digest,
                n_tracks=n_tracks,
                created_at=stamps.stamp_of_work(conn, bundle_id, seen),
            )
        )
        return before

    return db.transact(write)


def _fresh_file(
    conn: sa.Connection, store: BlobStore, model_id: int, bundle_id: int, live: np.ndarray
) -> sa.Row[tuple[object, ...]] | None:
    """The row of a bundle's file if the file holds exactly the live tracks (i64 [n], ascending) and nothing changed
    since it was written; else None."""
    file = schema.embedding_file
    row = conn.execute(sa.select(file).where(file.c.model_id == model_id, file.c.bundle_id == bundle_id)).one_or_none()
    if row is None:
        return None
    changed = stamps.changed_at(conn, bundle_id)
    if changed is not None and changed > row.created_at:
        return None
    try:
        content = load(read_checked(store, row.uri, row.content_hash))
    except ModelFileError:
        return None
    # Files of older versions do not name the tracks that could not be embedded.
    held = np.union1d(content["track_id"], content.get("without", np.zeros(0, np.int64)))
    return row if np.array_equal(held, live) else None


def _live_tracks(conn: sa.Connection, bundle_id: int) -> tuple[np.ndarray, np.ndarray]:
    """track_id and video_id, i64 [n] each, of the live tracks of a bundle, ascending."""
    track, video = schema.track, schema.video
    rows = conn.execute(
        sa.select(track.c.track_id, track.c.video_id)
        .join(video, video.c.video_id == track.c.video_id)
        .where(video.c.bundle_id == bundle_id, track.c.state == "live")
        .order_by(track.c.track_id)
    ).all()
    track_id, video_id = zip(*rows, strict=True) if rows else ((), ())
    return np.array(track_id, dtype=np.int64), np.array(video_id, dtype=np.int64)


def embedded_at(conn: sa.Connection, model_id: int, bundle_key: str) -> datetime | None:
    """The time as of which a bundle's file holds the embedder's vectors; None if there is no file."""
    file = schema.embedding_file.c
    return conn.scalar(
        sa.select(file.created_at).where(file.model_id == model_id, file.bundle_id == _bundle_id(conn, bundle_key))
    )


def _bundle_id(conn: sa.Connection, bundle_key: str) -> int:
    found = conn.scalar(sa.select(schema.bundle.c.bundle_id).where(schema.bundle.c.bundle_key == bundle_key))
    if found is None:
        raise ModelError(f"There is no bundle {bundle_key!r}.", "`chimp status` lists the bundles.")
    return int(found)


def _bundles_of(conn: sa.Connection, track_ids: np.ndarray) -> list[str]:
    video, bundle = schema.video, schema.bundle
    keys: set[str] = set()
    videos = np.unique(np.asarray(track_ids, dtype=np.int64) // schema.TRACKS_PER_VIDEO)
    for start in range(0, len(videos), 500):
        keys.update(
            conn.scalars(
                sa.select(bundle.c.bundle_key)
                .join(video, video.c.bundle_id == bundle.c.bundle_id)
                .where(video.c.video_id.in_(videos[start : start + 500].tolist()))
                .distinct()
            )
        )
    return sorted(keys)
