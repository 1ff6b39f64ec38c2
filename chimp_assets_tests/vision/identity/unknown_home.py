"""A home whose champion head finds two strangers, three tracks each. No test belongs here."""

from collections.abc import Callable
from uuid import uuid4

import numpy as np
import sqlalchemy as sa
from safetensors.numpy import save

from chimp_assets.database import schema as t
from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.database.labels.events import LabelEvent, record_events
from chimp_assets.home import Home
from chimp_assets.settings import HeadSettings
from chimp_assets.vision.identity.fitting import fit_head
from chimp_assets.vision.identity.head import head_tensors
from chimp_assets.vision.models.checkpoint import content_hash, register_model, save_checkpoint
from chimp_assets_tests.support.rows import THEN, add_bundle, add_video

KNOWN, STRANGERS, D = 3, 2, 16


def fill(home: Home) -> Callable[[int], None]:
    """Rows, vectors, a head of the known; returns a function that names a track."""
    rng = np.random.default_rng(3)
    looks = np.linalg.qr(rng.normal(size=(D, KNOWN + STRANGERS)))[0].T
    add_bundle(home.database, 1)
    for video_id in range(1, 4):
        add_video(home.database, video_id, 1, "tracked")
    who = np.tile(np.arange(KNOWN + STRANGERS), 3)
    x = looks[who] + 0.05 * rng.normal(size=(len(who), D))
    x = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float16)
    track_id = np.array([t.track_id_of(v, place) for v in range(1, 4) for place in range(KNOWN + STRANGERS)])
    detector = register_model(home.database, "detector", "d", {}, state="champion")
    embedder = register_model(home.database, "embedder", "e", {"dimensions": D}, state="champion")
    teach = np.repeat(np.arange(KNOWN), 10)
    vectors = looks[teach] + 0.05 * rng.normal(size=(len(teach), D))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    head = fit_head(vectors, teach + 1, np.tile(np.arange(10), KNOWN), HeadSettings(), 0).head
    uri, digest = save_checkpoint(home.store, "models/head/h", head_tensors(head), {})
    head_id = register_model(home.database, "head", "h", {}, uri, digest, embedder, state="champion")
    content = save({"embedding": x, "track_id": track_id})
    home.store.put("e.safetensors", content)
    n = len(track_id)
    with home.database.write() as conn:
        for i in range(KNOWN + STRANGERS):
            conn.execute(sa.insert(t.individual).values(individual_id=i + 1, anim_id=f"I{i}", created_at=THEN))
        insert_rows(conn, t.track, {
            "track_id": track_id, "video_id": track_id // t.TRACKS_PER_VIDEO, "first_frame_no": np.zeros(n, np.int64),
            "last_frame_no": np.full(n, 9), "first_s": np.zeros(n), "last_s": np.ones(n),
            "n_detections": np.full(n, 10), "quality": np.full(n, 0.9), "model_id": np.full(n, detector),
            "state": ["live"] * n,
        })  # fmt: skip
        insert_rows(conn, t.track_score, {
            "model_id": np.full(n, head_id), "track_id": track_id, "margin": np.zeros(n), "max_logit": np.zeros(n),
            "novelty": np.where(who < KNOWN, 0.1, 0.9), "entropy": np.zeros(n), "is_unknown": (who >= KNOWN).tolist(),
        })  # fmt: skip
        conn.execute(sa.insert(t.embedding_file).values(
            model_id=embedder, bundle_id=1, uri="e.safetensors", content_hash=content_hash(content), n_tracks=n,
            created_at=THEN,
        ))  # fmt: skip

    def name(track: int) -> None:
        event = LabelEvent(str(uuid4()), "identify", "expert", lane="novel", track_id=track, anim_id="I4")
        assert record_events(home.database, [event])[0].status == "stored"

    return name
