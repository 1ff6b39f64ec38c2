"""The embedding file of a bundle: complete, unit vectors, true to SQL, safe to make again."""

import numpy as np
import pytest
import sqlalchemy as sa

from chimp_assets.database import schema
from chimp_assets.database.work import due
from chimp_assets.database.work.stamps import mark_changed
from chimp_assets.settings import load_settings
from chimp_assets.vision.embedding.bundle import embed_bundle, embeddings_of_tracks, is_stale, read_embeddings
from chimp_assets.vision.embedding.embedder import fit_embedder
from chimp_assets.vision.models.checkpoint import ModelError, ModelFileError, champion
from chimp_assets_tests.vision.animals import make_animals


@pytest.fixture
def filmed(home):
    """A home with 16 videos in two bundles and an embedder; settings, embedder_id."""
    make_animals(home, videos=16)
    settings = load_settings(
        home.settings.home, embed={"crop_side": 48, "dimensions": 16, "weights": "self_supervised"}
    )
    return settings, fit_embedder(home.database, home.store, settings)


def _row(home):
    with home.database.read() as conn:
        return conn.execute(sa.select(schema.embedding_file).where(schema.embedding_file.c.bundle_id == 1)).one()


def test_a_bundle_has_a_unit_vector_for_each_live_track_in_order(home, filmed):
    """A consumer joins by track_id: a file out of order or with a hole gives the vector of another animal."""
    settings, embedder_id = filmed
    seen = []
    done = embed_bundle(home.database, home.store, "site-0001", settings, lambda *call: seen.append(call))
    assert (done.n_tracks, done.skipped) == (16, 0)
    assert seen[-1][1:] == (8, 8)
    ((key, ids, vectors),) = read_embeddings(home.database, home.store, embedder_id)
    assert key == "site-0001"
    assert ids.tolist() == sorted(schema.track_id_of(v, o) for v in range(1, 16, 2) for o in (0, 1))
    assert vectors.dtype == np.float16
    assert np.allclose(np.linalg.norm(vectors.astype(np.float32), axis=1), 1, atol=0.005)
    assert list(read_embeddings(home.database, home.store, embedder_id, ["site-0002"])) == []


def test_making_it_again_gives_the_same_bytes(home, filmed):
    """A step that is killed after its file and run again must not leave another file and another result."""
    settings, _ = filmed
    first = embed_bundle(home.database, home.store, "site-0001", settings)
    before = home.store.get(first.uri)
    with home.database.write() as conn:
        conn.execute(sa.delete(schema.embedding_file))
    again = embed_bundle(home.database, home.store, "site-0001", settings)
    assert again == first
    assert home.store.get(again.uri) == before


def test_a_file_is_stale_after_its_tracks_changed_and_only_then(home, filmed):
    """Equal numbers hid a split and a merge; a file that is always stale is embedded for ever."""
    settings, _ = filmed
    db, store = home.database, home.store
    assert is_stale(db, store, "site-0001")
    old = embed_bundle(db, store, "site-0001", settings)
    made = _row(home).created_at
    assert not is_stale(db, store, "site-0001")
    assert embed_bundle(db, store, "site-0001", settings) == old
    assert _row(home).created_at == made
    track = schema.track
    with db.write() as conn:
        conn.execute(sa.update(track).where(track.c.track_id == schema.track_id_of(1, 0)).values(state="junk"))
    assert is_stale(db, store, "site-0001")
    new = embed_bundle(db, store, "site-0001", settings)
    assert new.n_tracks == old.n_tracks - 1
    assert store.head(old.uri) is None
    assert not is_stale(db, store, "site-0001")
    with db.write() as conn:
        mark_changed(conn, 1)  # other boxes under the same track numbers
    assert is_stale(db, store, "site-0001")
    with db.read() as conn:
        assert "site-0001" in due.unscored_bundles(conn)


def test_a_changed_file_is_refused_and_made_again(home, filmed):
    """Half a file after a full disk must not become half the vectors."""
    settings, embedder_id = filmed
    done = embed_bundle(home.database, home.store, "site-0001", settings)
    home.store.put(done.uri, home.store.get(done.uri)[:-8])
    with pytest.raises(ModelFileError, match="changed"):
        list(read_embeddings(home.database, home.store, embedder_id))
    assert is_stale(home.database, home.store, "site-0001")
    assert embed_bundle(home.database, home.store, "site-0001", settings) == done
    assert len(list(read_embeddings(home.database, home.store, embedder_id))) == 1


def test_some_tracks_are_found_in_the_order_they_were_asked(home, filmed):
    """Labels and vectors are zipped: an order by file would give animals each other's names."""
    settings, embedder_id = filmed
    for key in ("site-0001", "site-0002"):
        embed_bundle(home.database, home.store, key, settings)
    asked = np.array([schema.track_id_of(4, 1), schema.track_id_of(999, 0), schema.track_id_of(1, 0)])
    files = read_embeddings(home.database, home.store, embedder_id)
    whole = {i: v for _, ids, vectors in files for i, v in zip(ids, vectors, strict=True)}
    found, vectors = embeddings_of_tracks(home.database, home.store, embedder_id, asked)
    assert found.tolist() == [0, 2]
    assert np.array_equal(vectors, np.stack([whole[asked[0]], whole[asked[2]]]).astype(np.float32))
    none, empty = embeddings_of_tracks(home.database, home.store, embedder_id, asked[:0])
    assert none.shape == (0,)
    assert empty.shape == (0, 16)


def test_without_an_embedder_and_for_an_unknown_bundle_the_sentence_says_so(home, filmed):
    """A typing error in a bundle key wrote an empty file."""
    settings, _ = filmed
    with pytest.raises(ModelError, match="no bundle 'nowhere'"):
        embed_bundle(home.database, home.store, "nowhere", settings)
    with home.database.write() as conn:
        conn.execute(sa.update(schema.model).values(state="retired"))
        assert champion(conn, "embedder") is None
    assert not is_stale(home.database, home.store, "site-0001")
    with pytest.raises(ModelError, match="no embedder"):
        embed_bundle(home.database, home.store, "site-0001", settings)
