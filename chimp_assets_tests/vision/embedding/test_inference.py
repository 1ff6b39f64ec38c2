"""Embedding in batches, with pictures read ahead."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import sqlalchemy as sa
import torch

from chimp_assets.database import schema
from chimp_assets.settings import load_settings
from chimp_assets.vision.embedding import inference
from chimp_assets.vision.embedding.bundle import embed_bundle, is_stale, read_embeddings
from chimp_assets.vision.embedding.embedder import Embedder, fit_embedder
from chimp_assets.vision.embedding.inference import embed_tracks, read_ahead
from chimp_assets.vision.models.checkpoint import ModelError
from chimp_assets.vision.pictures.crops import TrackCrops, read_crops
from chimp_assets_tests.vision.animals import make_animals


def embedder_of(dimensions=8, side=48):
    """An embedder with weights, without a backbone."""
    torch.manual_seed(0)
    embedder = Embedder(dimensions, side)
    embedder.weight.normal_()
    return embedder


def some_tracks(n=40, side=48):
    """Tracks of one to nine crops."""
    for number in range(n):
        rng = np.random.default_rng(number)
        m = 1 + number % 9
        yield TrackCrops(number, np.arange(m), rng.integers(0, 256, (m, side, side, 3)).astype(np.uint8))


def test_batches_give_what_single_tracks_give():
    """A track that gets a neighbour's crops is named as the neighbour."""
    embedder = embedder_of()
    together = dict(embed_tracks(embedder, some_tracks()))
    assert list(together) == list(range(40))
    for track in some_tracks():
        assert np.allclose(together[track.track_id], embedder.embed_track(track.crops), atol=1e-5)
        assert np.linalg.norm(together[track.track_id]) == pytest.approx(1, abs=1e-5)


def test_no_more_tracks_are_read_than_the_bound_allows():
    """Reading ahead without a bound holds the crops of the whole archive in memory."""
    drawn = []

    def counted():
        for number in range(100):
            drawn.append(number)
            yield number

    source = read_ahead(counted(), 4)
    assert next(source) == 0
    time.sleep(0.3)
    assert len(drawn) <= 7
    source.close()


def test_what_the_reader_raises_is_raised_after_what_came_before():
    """An error in a thread is easily lost, and half a bundle then looks whole."""

    def broken():
        yield 1
        raise ModelError("the store is away")

    source = read_ahead(broken(), 4)
    assert next(source) == 1
    with pytest.raises(ModelError, match="the store is away"):
        next(source)


def test_a_reader_that_stops_early_leaves_no_thread():
    """Each interrupted bundle would leave a thread with an open connection."""
    source = read_ahead(iter(range(1000)), 2)
    next(source)
    source.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "read-ahead"]


def test_a_full_gpu_halves_the_batch_and_a_crop_that_does_not_fit_is_said(monkeypatch):
    """Another program on the GPU ended the scoring of the whole archive with a traceback."""
    embedder, seen = embedder_of(), []
    whole = embedder.embed

    def embed(crops, limit):
        if len(crops) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        seen.append(len(crops))
        return whole(crops)

    monkeypatch.setattr(embedder, "embed", lambda crops: embed(crops, 10))
    together = dict(embed_tracks(embedder, some_tracks(12)))
    assert max(seen) <= 10
    assert np.allclose(together[8], inference.mean_direction(whole(list(some_tracks(12))[8].crops)), atol=1e-5)
    monkeypatch.setattr(embedder, "embed", lambda crops: embed(crops, 0))
    with pytest.raises(ModelError, match="Not even one crop"):
        dict(embed_tracks(embedder, some_tracks(3)))


def test_a_corrupt_jpeg_costs_its_crop_and_not_the_bundle(home):
    """One rotten block of a disk kept a whole folder of videos without names."""
    make_animals(home, videos=8, bundles=1)
    db, store = home.database, home.store
    embed = {"crop_side": 48, "dimensions": 16, "weights": "self_supervised", "min_tracks": 4, "crops_per_track": 3}
    settings = load_settings(home.settings.home, embed=embed)
    embedder_id = fit_embedder(db, store, settings)
    frame, shard = schema.frame.c, schema.frame_shard.c
    with db.read() as conn:
        rows = conn.execute(
            sa.select(frame.video_id, frame.frame_no, shard.uri, frame.byte_offset, frame.byte_length)
            .join_from(schema.frame, schema.frame_shard, frame.shard_id == shard.shard_id)
            .where(frame.video_id.in_((1, 2)))
            .order_by(frame.video_id, frame.frame_no)
        ).all()
        chosen = {t.frame_no.tolist()[0] for t in read_crops(db, store, 1, 3, 48)}
    for uri in {row.uri for row in rows}:
        content = bytearray(store.get(uri))
        for row in rows:
            if row.uri == uri and (row.video_id == 2 or row.frame_no in chosen):
                content[row.byte_offset : row.byte_offset + row.byte_length] = bytes(row.byte_length)
        store.put(uri, bytes(content))
    done = embed_bundle(db, store, "site-0001", settings)
    assert (done.n_tracks, done.skipped) == (14, 2), "the tracks of video 2 have no picture left"
    ((_, ids, _),) = read_embeddings(db, store, embedder_id)
    assert schema.track_id_of(1, 0) in ids
    assert schema.track_id_of(2, 0) not in ids
    assert not is_stale(db, store, "site-0001"), "it would be embedded again for ever"
