"""The first embedder of an archive: what it may see, where its weights come from, that it can be made again."""

import csv
import hashlib
import urllib.error

import cv2
import numpy as np
import pytest
import sqlalchemy as sa
import torch
import torchvision

from chimp_assets.database import schema
from chimp_assets.settings import load_settings
from chimp_assets.vision.embedding import embedder as module
from chimp_assets.vision.embedding.backbones import backbone_of
from chimp_assets.vision.embedding.embedder import Embedder, fit_embedder, load_embedder, sample_crops
from chimp_assets.vision.embedding.self_supervision import fit_projection
from chimp_assets.vision.models.checkpoint import ModelError, ModelFileError, champion
from chimp_assets.vision.pictures.crops import crop_square, read_crops
from chimp_assets_tests.paths import SHARED_DATA
from chimp_assets_tests.vision.animals import make_animals, teaching_and_audit


def offline(monkeypatch):
    """What torchvision does on a machine without internet and without the file."""

    def fail(*_args, **_kwargs):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fail)


def settings_of(home, **embed):
    return load_settings(home.settings.home, embed={"crop_side": 48, "dimensions": 16, **embed})


@pytest.mark.parametrize(("weights", "kind"), [("auto", "lite0+tracks"), ("self_supervised", "tracks")])
def test_two_homes_with_one_archive_get_the_same_embedder(home, monkeypatch, weights, kind):
    """A global random state or an order of rows that varies makes another home give other names."""
    offline(monkeypatch)
    make_animals(home)
    hashes = []
    for _ in range(2):
        fit_embedder(home.database, home.store, settings_of(home, weights=weights))
        with home.database.read() as conn:
            row = champion(conn, "embedder")
        assert row is not None
        hashes.append(row.checkpoint_hash)
    assert hashes[0] == hashes[1]
    assert row.version == 2
    assert row.config["kind"] == kind
    assert row.config.get("licence") == ("Apache-2.0" if weights == "auto" else None)
    embedder = load_embedder(home.store, row)
    assert (embedder.pretrained is not None) == (weights == "auto")
    crops = next(iter(read_crops(home.database, home.store, 1, 5, 48))).crops
    assert np.allclose(np.linalg.norm(embedder.embed(crops), axis=1), 1, atol=1e-5)


def test_tracks_of_one_animal_lie_near_each_other_after_learning(home, monkeypatch):
    """Self-supervision must bring out the animal; a projection with mixed up directions still looks like vectors."""
    offline(monkeypatch)
    truth = make_animals(home, videos=30)
    fit_embedder(home.database, home.store, settings_of(home, weights="self_supervised"))
    with home.database.read() as conn:
        row = champion(conn, "embedder")
    assert row is not None
    assert 0 <= row.config["held_out_retrieval"]["tracks"] <= 1
    embedder = load_embedder(home.store, row)
    tracks = {t.track_id: t.crops for v in range(1, 31) for t in read_crops(home.database, home.store, v, 5, 48)}
    vectors = np.stack([embedder.embed_track(crops) for crops in tracks.values()])
    names = np.array([truth[i] for i in tracks])
    near = vectors @ vectors.T
    np.fill_diagonal(near, -2)
    assert (names[near.argmax(1)] == names).mean() > 0.9  # five individuals: chance is 0.2


@pytest.mark.slow
def test_what_cow_tracks_teach_names_cows_that_pixels_cannot():
    """On real faces: a descriptor or a projection that lost the animal still passes every test on drawn ones."""
    table = SHARED_DATA / "identity" / "cow.csv"
    if not table.is_file():
        pytest.skip(f"{table} is not there")
    with table.open() as file:
        rows = [row for row in csv.DictReader(file)]
    rows = [row for row in rows if row["individual"] in sorted({r["individual"] for r in rows})[:20]]
    crops = np.stack([_square(SHARED_DATA / "identity" / row["path"]) for row in rows])
    cow = np.array([row["individual"] for row in rows])
    names, session = np.unique([row["individual"] + row["session"] for row in rows], return_inverse=True)
    cow_of = np.array([cow[session == i][0] for i in range(len(names))])
    held_out = np.zeros(len(names), dtype=bool)
    for one in np.unique(cow_of):
        held_out[np.nonzero(cow_of == one)[0][::3]] = True
    embedder = Embedder(64, 96)
    features = embedder.features(crops)
    seen = ~held_out[session]
    mean, weight = fit_projection(features[seen], session[seen], 64)
    learned = _tracks((features - mean) @ weight.T, session)
    pixels = crops[:, ::6, ::6].reshape(len(crops), -1).astype(np.float32)
    pixels = _tracks(pixels - pixels.mean(0), session)
    accuracy = [
        (cow_of[~held_out][(v[held_out] @ v[~held_out].T).argmax(1)] == cow_of[held_out]).mean()
        for v in (pixels, learned)
    ]
    assert accuracy[1] > accuracy[0] + 0.15, accuracy


def _square(path):
    picture = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    return crop_square(picture, (0.0, 0.0, 1.0, 1.0), 96)


def _tracks(vectors, session):
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    means = np.stack([unit[session == i].mean(0) for i in range(session.max() + 1)])
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def test_reserve_tracks_and_test_days_are_never_learned_from(home):
    """The audit measures an embedder that has never seen its tracks, or it flatters."""
    truth = make_animals(home)
    teach, _ = teaching_and_audit(home, truth)
    sampled = sample_crops(home.database, home.store, settings_of(home))
    assert sampled.track_id.tolist() == teach
    with home.database.write() as conn:
        conn.execute(sa.delete(schema.split_assignment).where(schema.split_assignment.c.video_id == 1))
    left = sample_crops(home.database, home.store, settings_of(home)).track_id
    assert left.tolist() == [i for i in teach if i // schema.TRACKS_PER_VIDEO != 1]


def test_too_few_tracks_is_said_in_a_sentence(home):
    """A projection from three tracks is noise that looks like an embedder."""
    make_animals(home, videos=4)
    with pytest.raises(ModelError, match="8 live tracks; an embedder needs 20"):
        fit_embedder(home.database, home.store, settings_of(home))


def test_demanded_imagenet_weights_are_never_replaced_in_silence(home, monkeypatch):
    """Who asks for ImageNet by name must not get another embedder."""
    offline(monkeypatch)
    make_animals(home)
    with pytest.raises(ModelError, match="are not on this machine and cannot be downloaded"):
        fit_embedder(home.database, home.store, settings_of(home, weights="imagenet"))
    with home.database.read() as conn:
        assert champion(conn, "embedder") is None


def test_imagenet_weights_are_used_where_they_can_be_had(home, monkeypatch):
    """The path with weights is not taken on a machine without internet and would rot."""
    make_animals(home)
    torch.manual_seed(4)
    state = torchvision.models.resnet18(weights=None).state_dict()
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", lambda *_a, **_k: state)
    fit_embedder(home.database, home.store, settings_of(home, weights="imagenet"))
    with home.database.read() as conn:
        row = champion(conn, "embedder")
    assert row is not None
    assert (row.config["kind"], row.config["backbone"]) == ("imagenet+tracks", "resnet18")
    loaded = load_embedder(home.store, row)
    assert torch.equal(loaded.state_dict()["backbone.conv1.weight"], state["conv1.weight"])


def test_a_weights_file_of_the_users_is_used_and_its_licence_kept(home, tmp_path):
    """Downloaded weights that are silently replaced by none, or whose licence is lost, cannot be published with."""
    make_animals(home)
    torch.manual_seed(4)
    network, _ = backbone_of("small")
    path = tmp_path / "mine.pth"
    torch.save(network.state_dict(), path)
    fit_embedder(
        home.database,
        home.store,
        settings_of(home, backbone="small", weights=str(path), weights_licence="CC BY-NC 4.0"),
    )
    with home.database.read() as conn:
        row = champion(conn, "embedder")
    assert row is not None
    assert (row.config["kind"], row.config["backbone"], row.config["licence"]) == (
        "file+tracks", "small", "CC BY-NC 4.0",
    )  # fmt: skip
    assert row.config["weights_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    loaded = load_embedder(home.store, row)
    assert torch.equal(loaded.state_dict()["backbone.stem.0.weight"], network.state_dict()["stem.0.weight"])


def test_the_backbone_loses_only_its_last_layer():
    """Taking off the wrong layer leaves random features on top of good weights."""
    network, n = backbone_of("mobilenet_v3_small")
    assert network.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, n)
    with pytest.raises(ModelError, match="no model called"):
        backbone_of("resnet_eighteen")


def test_every_vector_has_length_one_even_of_an_empty_picture():
    """A black crop projected to zero and became NaN, which ranks first or last everywhere."""
    embedder = Embedder(8, 32)
    crops = np.zeros((3, 32, 32, 3), dtype=np.uint8)
    crops[1] = 255
    crops[2] = np.random.default_rng(0).integers(0, 255, (32, 32, 3))
    for weight in (0.0, 1.0):
        embedder.weight.fill_(weight)
        assert np.allclose(np.linalg.norm(embedder.embed(crops), axis=1), 1, atol=1e-5)
        assert np.isclose(np.linalg.norm(embedder.embed_track(crops)), 1, atol=1e-5)
    assert embedder.embed(crops[:0]).shape == (0, 8)


def test_a_backbone_learned_from_zero_is_kept_only_if_it_helps(home, monkeypatch):
    """Twelve epochs on a few crops make a network worse than none; only a measure on other videos tells."""
    offline(monkeypatch)
    monkeypatch.setattr(module, "BACKBONE_CROPS", 10)
    make_animals(home)
    fit_embedder(home.database, home.store, settings_of(home, epochs=1, weights="self_supervised"))
    with home.database.read() as conn:
        row = champion(conn, "embedder")
    assert row is not None
    measured = row.config["held_out_retrieval"]
    helps = measured["new videos: backbone+tracks"] > measured["new videos: tracks"]
    assert row.config["kind"] == ("backbone+tracks" if helps else "tracks")


def test_a_file_that_does_not_fit_its_description_is_refused(home, monkeypatch):
    """A file of another version loaded halfway gives vectors that mean nothing."""
    offline(monkeypatch)
    make_animals(home)
    fit_embedder(home.database, home.store, settings_of(home))
    with home.database.read() as conn:
        row = champion(conn, "embedder")
    assert row is not None
    from dataclasses import replace

    from chimp_assets.vision.models.checkpoint import load_checkpoint, save_checkpoint

    tensors, config = load_checkpoint(home.store, row.checkpoint_uri, row.checkpoint_hash)
    uri, digest = save_checkpoint(home.store, "models/x", tensors, {**config, "dimensions": 99})
    with pytest.raises(ModelFileError, match="does not match its own config"):
        load_embedder(home.store, replace(row, checkpoint_uri=uri, checkpoint_hash=digest))
