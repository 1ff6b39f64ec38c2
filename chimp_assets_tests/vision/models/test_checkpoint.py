"""Model files that cannot change unnoticed, and one champion of each task."""

import threading
from datetime import UTC, datetime

import numpy as np
import pytest
import sqlalchemy as sa

from chimp_assets.database import schema
from chimp_assets.vision.models import checkpoint
from chimp_assets.vision.models.checkpoint import (
    ModelError,
    ModelFileError,
    candidates,
    champion,
    load_checkpoint,
    model_of,
    newest_model,
    promote,
    refuse,
    register_model,
    save_checkpoint,
)

TENSORS = {"b": np.arange(3, dtype=np.float32), "a": np.ones((2, 2), dtype=np.float16), "i": np.arange(2)}


def test_a_checkpoint_comes_back_as_it_was_saved_under_one_name(home):
    """A name with a time in it would leave another file for each run of a killed step."""
    uri, digest = save_checkpoint(home.store, "models/head/h", TENSORS, {"kind": "x", "é": 1})
    assert save_checkpoint(home.store, "models/head/h", dict(reversed(TENSORS.items())), {"é": 1, "kind": "x"}) == (
        uri,
        digest,
    )
    tensors, config = load_checkpoint(home.store, uri, digest)
    assert config == {"kind": "x", "é": 1}
    assert {name: tensor.numpy().dtype for name, tensor in tensors.items()} == {n: t.dtype for n, t in TENSORS.items()}
    assert all(np.array_equal(tensors[name].numpy(), value) for name, value in TENSORS.items())


def test_a_checkpoint_that_changed_is_not_used(home):
    """A flipped byte in the weights would give quietly wrong names."""
    uri, digest = save_checkpoint(home.store, "models/head/h", TENSORS, {})
    content = bytearray(home.store.get(uri))
    content[-1] ^= 1
    home.store.put(uri, bytes(content))
    with pytest.raises(ModelFileError, match="changed"):
        load_checkpoint(home.store, uri, digest)
    home.store.delete(uri)
    with pytest.raises(ModelFileError, match="missing"):
        load_checkpoint(home.store, uri, digest)


def test_a_file_of_a_newer_version_is_refused_in_one_sentence(home, monkeypatch):
    """Tensors whose meaning has changed, read as before, name animals at random."""
    monkeypatch.setattr(checkpoint, "FORMAT", 2)
    uri, digest = save_checkpoint(home.store, "models/head/h", TENSORS, {})
    monkeypatch.setattr(checkpoint, "FORMAT", 1)
    with pytest.raises(ModelFileError, match="written by a newer version") as refused:
        load_checkpoint(home.store, uri, digest)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_no_safetensors_is_refused_in_words(home):
    """A pickle under the right hash must never be opened: a model file must not be able to run code."""
    from chimp_assets.vision.models.checkpoint import content_hash

    for content in (b"", b"\x80\x04K\x01.", b"\xff" * 64):
        home.store.put("models/x.safetensors", content)
        with pytest.raises(ModelFileError, match="not a safetensors file"):
            load_checkpoint(home.store, "models/x.safetensors", content_hash(content))


def test_a_promotion_retires_the_old_champion_in_one_step(home):
    """Two champions would score the archive with one model and plan with another."""
    db = home.database
    first = register_model(db, "head", "a", {}, state="champion")
    second = register_model(db, "head", "b", {"n": 1})
    with db.read() as conn:
        assert candidates(conn, "head") == [second]
        assert [model_of(conn, m).version for m in (first, second)] == [1, 2]
    promote(db, second, "better")
    with db.read() as conn:
        now, old = champion(conn, "head"), model_of(conn, first)
        assert now is not None
        assert (now.model_id, now.reason, now.config, old.state) == (second, "better", {"n": 1}, "retired")
        assert newest_model(conn, "head") == now
        assert champion(conn, "embedder") is None
        assert newest_model(conn, "detector") is None
    with pytest.raises(ModelError, match="champion"):
        refuse(db, second, "no")


def test_a_refusal_keeps_its_reason_and_an_unknown_model_is_said_so(home):
    """A refusal without a reason cannot be argued with; a wrong id must not pass silently."""
    db = home.database
    model_id = register_model(db, "head", "a", {})
    refuse(db, model_id, "x" * 3000)
    with db.read() as conn:
        row = model_of(conn, model_id)
        assert (row.state, row.reason) == ("refused", "x" * 2000)
        with pytest.raises(ModelError, match="no model 77"):
            model_of(conn, 77)
    with pytest.raises(ModelError, match="no model 77"):
        promote(db, 77, "x")


def test_a_config_that_does_not_fit_its_column_is_refused_before_it_is_cut(home):
    """A JSON text cut by the database could never be read again."""
    with pytest.raises(ValueError, match="fit"):
        register_model(home.database, "head", "a", {"long": "x" * 5000})
    assert schema.model.c.config.type.length == 4000


def test_jobs_that_end_together_with_the_same_model_leave_one_row(db):
    """A job of a lost node that was not so lost ends beside its successor. Looking first and adding later gave both."""
    set_id = _a_training_set(db)
    start, given = threading.Barrier(4), []

    def end() -> None:
        start.wait()
        given.append(register_model(db, "head", "h", {}, "models/h", "a" * 64, None, set_id))

    jobs = [threading.Thread(target=end) for _ in range(4)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert len(given) == 4
    assert len(set(given)) == 1
    other = register_model(db, "head", "h", {}, "models/g", "b" * 64, None, set_id)
    with db.read() as conn:
        assert conn.execute(sa.select(schema.model.c.version).order_by(schema.model.c.version)).scalars().all() == [
            1,
            2,
        ]
    assert other not in given


def _a_training_set(db) -> int:
    with db.write() as conn:
        return conn.execute(
            sa.insert(schema.training_set).values(
                task="head", watermark_seq=0, split_seed=1, n_tracks=1, n_classes=1,
                member_uri="m", member_hash="c" * 64, created_at=datetime.now(UTC),
            )
        ).inserted_primary_key[0]  # fmt: skip
