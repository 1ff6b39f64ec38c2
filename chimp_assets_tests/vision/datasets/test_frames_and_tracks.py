"""Datasets whose samples are rows: what they hold is what SQL and the shards say, once per epoch, from any place."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import sqlalchemy as sa
import torch
from torch.utils.data import DataLoader, WeightedRandomSampler
from torchdata.stateful_dataloader import StatefulDataLoader
from torchvision import tv_tensors
from torchvision.transforms import v2

from chimp_assets.archive.video.pictures import read_frames
from chimp_assets.database import schema as t
from chimp_assets.home import Home
from chimp_assets.vision.datasets import (
    DatasetError,
    FrameQuery,
    SqlFrameDataset,
    SqlTrackDataset,
    TrackQuery,
    frames,
    tracks,
)
from chimp_assets.vision.pictures.crops import read_crops
from chimp_assets_tests.vision.animals import FRAMES, answer, make_animals

VIDEOS = 20


@pytest.fixture(scope="module")
def animals(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, dict[int, str]]:
    from chimp_assets.home import init_home

    home = init_home(tmp_path_factory.mktemp("animals") / "home")
    return home, make_animals(home, videos=VIDEOS)


def frames_of(animals: tuple[Home, dict[int, str]], **query: object) -> SqlFrameDataset:
    home, _ = animals
    return SqlFrameDataset(home.database, home.store, FrameQuery(**query))  # type: ignore[arg-type]


def key_of(sample: dict) -> tuple[int, int]:
    return sample["video_id"], sample["frame_no"]


def test_a_frame_is_its_stored_picture_with_its_boxes_in_pixels(animals) -> None:
    home, _ = animals
    dataset = frames_of(animals)
    assert len(dataset) == VIDEOS * FRAMES
    sample = dataset.at(3, 2)
    ((_, time_s, picture),) = read_frames(home.database, home.store, 3, [2])
    assert isinstance(sample["image"], tv_tensors.Image)
    assert np.array_equal(sample["image"].permute(1, 2, 0).numpy(), picture)
    assert sample["time_s"] == time_s
    with home.database.read() as conn:
        d = t.detection.c
        rows = conn.execute(sa.select(d.x, d.y, d.w, d.h, d.track_id).where(d.video_id == 3, d.frame_no == 2)).all()
    height, width = picture.shape[:2]
    expected = [[r.x * width, r.y * height, (r.x + r.w) * width, (r.y + r.h) * height] for r in rows]
    assert torch.allclose(sample["boxes"].as_subclass(torch.Tensor), torch.tensor(expected), atol=1e-3)
    assert sample["track_id"].tolist() == [r.track_id for r in rows]
    assert len(rows) == 2


def test_numbers_and_keys_name_the_same_samples(animals) -> None:
    """A sampler gives numbers, a person gives keys."""
    dataset = frames_of(animals, targets="none")
    assert [dataset.key(i) for i in range(len(dataset))] == [
        (v, n) for v in range(1, VIDEOS + 1) for n in range(FRAMES)
    ]
    chosen = [77, 3, 3, 119, 0, -1]
    together = dataset.__getitems__(chosen)
    assert [key_of(sample) for sample in together] == [dataset.key(i) for i in chosen]
    assert key_of(dataset[5]) == (1, 5)
    with pytest.raises(IndexError):
        dataset[len(dataset)]
    assert "boxes" not in together[0]


def test_a_query_selects_splits_and_videos_and_refuses_nothing_at_all(animals) -> None:
    assert {frames_of(animals, split="test").key(i)[0] for i in range(4 * FRAMES)} == {5, 10, 15, 20}
    assert len(frames_of(animals, videos=[2, 4, 4])) == 2 * FRAMES
    with pytest.raises(DatasetError, match="selects no frame"):
        frames_of(animals, videos=[999])
    with pytest.raises(DatasetError, match="does not select video 1"):
        frames_of(animals, split="test").at(1, 0)


def test_identities_are_those_of_people_or_of_the_model_as_asked(tmp_path) -> None:
    """A name that a model guessed must not be learned as if a person had said it."""
    from chimp_assets.home import init_home

    home = init_home(tmp_path / "home")
    truth = make_animals(home, videos=4)
    named = sorted(truth)[:3]
    answer(home, truth, "boundary", named)
    dataset = SqlFrameDataset(home.database, home.store, FrameQuery(targets="identities"))
    found = {int(i) for sample in dataset for i in sample["track_id"]}
    assert found == set(named)
    with home.database.read() as conn:
        individuals = dict(conn.execute(sa.select(t.individual.c.anim_id, t.individual.c.individual_id)).all())
    sample = dataset.at(1, 0)
    assert sample["individual_id"].tolist() == [individuals[truth[int(i)]] for i in sample["track_id"]]
    tracks = SqlTrackDataset(home.database, home.store, TrackQuery(named_by="person"))
    assert tracks.track_id.tolist() == named
    assert tracks.class_id.tolist() == [individuals[truth[i]] for i in named]
    with pytest.raises(DatasetError):
        SqlTrackDataset(home.database, home.store, TrackQuery(named_by="model"))


def test_transforms_keep_boxes_on_their_animals(animals) -> None:
    home, _ = animals
    flip = SqlFrameDataset(home.database, home.store, transform=v2.RandomHorizontalFlip(p=1.0))
    plain, flipped = frames_of(animals)[7], flip[7]
    assert torch.equal(flipped["image"], plain["image"].flip(-1))
    width = plain["image"].shape[-1]
    assert torch.allclose(
        flipped["boxes"][:, [0, 2]].as_subclass(torch.Tensor),
        width - plain["boxes"][:, [2, 0]].as_subclass(torch.Tensor),
    )


def test_a_track_has_its_best_crops(animals) -> None:
    """The crops that the embedder sees and those that a notebook trains on are the same."""
    home, truth = animals
    dataset = SqlTrackDataset(home.database, home.store, crops_per_track=3, side=48)
    assert dataset.track_id.tolist() == sorted(truth)
    for track in read_crops(home.database, home.store, 4, 3, 48):
        sample = dataset.at(track.track_id)
        assert np.array_equal(sample["crops"].permute(0, 2, 3, 1).numpy(), track.crops)
        assert sample["frame_no"].tolist() == track.frame_no.tolist()
        assert (sample["video_id"], sample["class_id"]) == (4, -1)
    with pytest.raises(DatasetError, match="does not select track 5"):
        dataset.at(5)


def test_classes_are_drawn_equally_often(tmp_path) -> None:
    """The animal at the feeder fills every batch otherwise."""
    from chimp_assets.home import init_home

    home = init_home(tmp_path / "home")
    truth = make_animals(home, videos=12)
    answer(home, truth, "boundary")
    dataset = SqlTrackDataset(home.database, home.store, TrackQuery(named_by="person"))
    generator = torch.Generator().manual_seed(1)
    drawn = list(WeightedRandomSampler(dataset.balanced_weights().tolist(), 6000, generator=generator))
    _, counts = np.unique(dataset.class_id[drawn], return_counts=True)
    assert len(counts) == 5
    assert counts.min() > 0.85 * 1200
    assert counts.max() < 1.15 * 1200


MIX = 40_000  # bytes: a few blocks


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "FRAMES_PER_BLOCK", 4)
    monkeypatch.setattr(tracks, "TRACKS_PER_BLOCK", 1)


def keys_of(samples: object) -> list[tuple[int, int]]:
    return [key_of(sample) for sample in samples]  # type: ignore[attr-defined]


def test_an_epoch_has_every_sample_once_and_the_next_another_order(animals) -> None:
    dataset = frames_of(animals, targets="none")
    stream = dataset.stream(seed=5, mix_bytes=MIX)
    first, second = keys_of(stream), keys_of(stream)
    assert sorted(first) == sorted(second) == [dataset.key(i) for i in range(len(dataset))]
    assert first != second
    stream.set_epoch(0)
    assert keys_of(stream) == first
    assert keys_of(dataset.stream(shuffle=False)) == sorted(first)
    mixed = [video for video, _ in first[:12]]
    assert len(set(mixed)) >= 3


@pytest.mark.parametrize(("context", "workers"), [("fork", 2), ("spawn", 1)])
def test_workers_and_ranks_together_deliver_every_sample_once(animals, context: str, workers: int) -> None:
    """Connections that are shared after a fork give one worker the rows of another. A worker that is spawned loads
    PyTorch anew: one for each rank."""
    dataset = frames_of(animals, targets="none")
    found: list[tuple[int, int]] = []
    for rank in range(2):
        stream = dataset.stream(seed=5, mix_bytes=MIX).shared(rank, 2)
        loader = DataLoader(stream, batch_size=7, num_workers=workers, collate_fn=list, multiprocessing_context=context)
        found += [key for batch in loader for key in keys_of(batch)]
    assert sorted(found) == [dataset.key(i) for i in range(len(dataset))]


@pytest.mark.parametrize("stop", [0, 1, 23, 119])
def test_a_stream_goes_on_at_any_sample_without_reading_those_before(animals, stop: int) -> None:
    dataset = frames_of(animals, targets="none")
    whole = keys_of(dataset.stream(seed=5, mix_bytes=MIX))
    stream = dataset.stream(seed=5, mix_bytes=MIX)
    reading = iter(stream)
    for _ in range(stop):
        next(reading)
    state = stream.state_dict()
    assert sorted(state) == ["epoch", "mix", "offset", "seed"]
    resumed = dataset.stream(seed=0, mix_bytes=MIX)
    resumed.load_state_dict(state)
    read: list[int] = []
    blocks = resumed._blocks
    real = blocks.read
    blocks.read = lambda some: read.extend(some) or real(some)  # type: ignore[method-assign]
    assert keys_of(resumed) == whole[stop:]
    assert len(read) <= len(blocks.samples) - (stop // 4) + 12
    with pytest.raises(DatasetError, match="not the state of a stream"):
        resumed.load_state_dict({"seed": 1, "place": 2})


def test_the_loader_of_torchdata_goes_on_in_the_middle_of_an_epoch(animals) -> None:
    """Preempted machines are cheap only if no work is done twice."""
    dataset = frames_of(animals, targets="none")

    def loader() -> StatefulDataLoader:
        return StatefulDataLoader(
            dataset.stream(seed=5, mix_bytes=MIX), batch_size=5, num_workers=2, collate_fn=list,
            multiprocessing_context="fork",
        )  # fmt: skip

    whole = [keys_of(batch) for batch in loader()]
    stopped = loader()
    reading = iter(stopped)
    begun = [keys_of(next(reading)) for _ in range(9)]
    state = pickle.loads(pickle.dumps(stopped.state_dict()))
    del reading
    again = loader()
    again.load_state_dict(state)
    assert begun + [keys_of(batch) for batch in again] == whole


def test_tracks_stream_as_frames_do(animals) -> None:
    home, truth = animals
    dataset = SqlTrackDataset(home.database, home.store, crops_per_track=2, side=32)
    stream = dataset.stream(seed=1, mix_bytes=200_000)
    found = [sample["track_id"] for sample in stream]
    assert sorted(found) == sorted(truth)
    assert found != sorted(truth)
    batch = next(iter(DataLoader(stream, batch_size=6)))
    assert batch["crops"].shape == (6, 2, 3, 32, 32)


def test_a_dataset_that_was_made_before_a_video_was_ingested_anew_says_so(tmp_path) -> None:
    from chimp_assets.archive.video.pictures import PictureError
    from chimp_assets.home import init_home

    home = init_home(tmp_path / "home")
    make_animals(home, videos=2)
    dataset = SqlFrameDataset(home.database, home.store, FrameQuery(targets="none"))
    with home.database.write() as conn:
        conn.execute(sa.delete(t.detection).where(t.detection.c.video_id == 2))
        conn.execute(sa.delete(t.frame).where(t.frame.c.video_id == 2, t.frame.c.frame_no == 4))
    with pytest.raises(PictureError, match="Video 2 has no frame 4"):
        dataset.at(2, 4)
