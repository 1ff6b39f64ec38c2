"""Embedding files as embedding leaves them, without an embedder. No test belongs here."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import sqlalchemy as sa
from safetensors.numpy import save

from chimp_assets.database import schema as t
from chimp_assets.home import Home
from chimp_assets.vision.models.checkpoint import content_hash
from chimp_assets_tests.database import world

D = 8


def land(home: Home, bundle_id: int, tracks: Iterable[int], embedder: int = world.EMBEDDER, towards: int = 0) -> str:
    """The embedding file of a bundle whose vectors point to a dimension; returns its uri."""
    track_id = np.array(sorted(tracks), np.int64)
    rng = np.random.default_rng(bundle_id)
    return land_vectors(
        home, bundle_id, track_id, 0.1 * rng.standard_normal((len(track_id), D)) + np.eye(D)[towards], embedder
    )


def land_vectors(
    home: Home, bundle_id: int, track_id: np.ndarray, vectors: np.ndarray, embedder: int = world.EMBEDDER
) -> str:
    """The embedding file of a bundle with these vectors, made unit vectors; returns its uri."""
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    content = save({"embedding": vectors, "track_id": track_id})
    uri = f"embeddings/{embedder}/{bundle_id}-{content_hash(content)[:8]}.safetensors"
    home.store.put(uri, content)
    b, f = t.bundle, t.embedding_file
    with home.database.write() as conn:
        if not conn.scalar(sa.select(b.c.bundle_id).where(b.c.bundle_id == bundle_id)):
            values = {"bundle_id": bundle_id, "bundle_key": f"b-{bundle_id}", "folder": "b", "created_at": world.START}
            conn.execute(sa.insert(b).values(values))
        conn.execute(sa.delete(f).where(f.c.model_id == embedder, f.c.bundle_id == bundle_id))
        conn.execute(
            sa.insert(f).values(
                model_id=embedder, bundle_id=bundle_id, uri=uri, content_hash=content_hash(content),
                n_tracks=len(track_id), created_at=world.START,
            )
        )  # fmt: skip
    return uri
