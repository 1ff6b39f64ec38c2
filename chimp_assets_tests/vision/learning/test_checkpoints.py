"""Checkpoints in the store, folders of a node, and devices: what other machines find, and what is left behind."""

import logging
import os
import subprocess
import sys
import tempfile
import time

import pytest
import torch

from chimp_assets.archive.storage.store import BlobStore
from chimp_assets.loop.plan import arithmetic_on
from chimp_assets.vision.embedding import crop_file
from chimp_assets.vision.learning import scratch
from chimp_assets.vision.learning.checkpoints import TrainingCheckpoints, TrainingState
from chimp_assets.vision.learning.device import DeviceError, device_of
from chimp_assets.vision.learning.ranks import Ranks
from chimp_assets.vision.learning.scratch import node_folder, remove_abandoned
from chimp_assets.vision.learning.training import process_group
from chimp_assets.vision.learning.unfinished import adopt_former_state
from chimp_assets.vision.models.checkpoint import ModelError

KEY = "training/embedder-1"


def weights(value):
    return {"learner.w": torch.full((3,), float(value))}


@pytest.fixture
def store(tmp_path):
    return BlobStore.open(str(tmp_path / "store"), create=True)


def names(store):
    return sorted(info.key.rpartition("/")[2] for info in store.list(KEY))


def test_two_machines_that_train_the_same_never_delete_what_the_state_names(store):
    """A node that was given up for lost and lives would take the checkpoint from under the one that replaces it."""
    lost, replacing = TrainingCheckpoints(store, KEY), TrainingCheckpoints(store, KEY)
    lost.save("x", TrainingState(step=5), weights(5))
    assert replacing.load("x")[0].step == 5
    for step in (10, 15, 20):
        for one in (lost, replacing, lost):
            one.save("x", TrainingState(step=step), weights(step))
            state, tensors = TrainingCheckpoints(store, KEY).load("x")
            assert (state.step, float(tensors["learner.w"][0])) == (step, step)
    assert len(names(store)) == 3, "the state, and the newest of each"
    replacing.remove()
    assert names(store) == []


def test_what_a_killed_writer_left_is_removed_by_the_next_after_an_hour(store, tmp_path):
    """Each kill between tensors and state leaves half a gigabyte."""
    TrainingCheckpoints(store, KEY).save("x", TrainingState(step=5), weights(5))
    for name, age in (("step-old.safetensors", 7200), ("step-new.safetensors", 60)):
        store.put(f"{KEY}/{name}", b"left")
        when = time.time() - age
        os.utime(store.local_path(f"{KEY}/{name}"), (when, when))
    TrainingCheckpoints(store, KEY).load("x")
    assert "step-old.safetensors" not in names(store)
    assert "step-new.safetensors" in names(store)


def test_a_training_that_an_older_version_kept_in_the_home_goes_on_from_the_store(store, tmp_path, caplog):
    """An upgrade in the middle of a night of training must neither lose it nor leave its gigabytes behind."""
    home = tmp_path / "home"
    former = BlobStore.open(str(home / "training"), create=True)
    TrainingCheckpoints(former, "embedder-1/checkpoints").save("labels", TrainingState(step=25), weights(25))
    TrainingCheckpoints(former, "detector-2").save("boxes", TrainingState(step=100), weights(100))
    former.put("embedder-1/crops.npy", b"many")
    former.put("embedder-3/checkpoints/state.json", b"{")
    with caplog.at_level(logging.INFO):
        adopt_former_state(home, store)
    assert "goes on from the store" in caplog.text
    assert "embedder-3/checkpoints cannot be read: it starts over" in caplog.text
    assert not (home / "training").exists()
    state, tensors = TrainingCheckpoints(store, KEY).load("labels")
    assert (state.step, float(tensors["learner.w"][0])) == (25, 25)
    assert TrainingCheckpoints(store, "training/detector-2").load("boxes")[0].step == 100
    adopt_former_state(home, store)  # nothing is there, nothing happens


@pytest.fixture
def tmpdir_of_node(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_folders_of_killed_processes_are_removed_and_those_of_others_stay(tmpdir_of_node):
    """Killed each night, trainings fill a disk with crops; and on a shared TMPDIR no folder in use may go."""
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    gone, here = done.stdout.strip(), scratch._machine()
    host, boot = here.split("-")
    left = [f"{here}-{gone}-embedder-1-0-0", f"{host}-before-1-embedder-1-0-0", f"{here}-{os.getpid()}-embedder-1-0-0"]
    spared = [f"{here}-{os.getppid()}-embedder-1-0-0", f"elsewhere-{boot}-{gone}-embedder-1-0-0", "unlike"]
    for name in (*left, *spared):
        (tmpdir_of_node / f"{scratch.PREFIX}{name}").mkdir()
    remove_abandoned()
    assert {path.name.removeprefix(scratch.PREFIX) for path in tmpdir_of_node.iterdir()} == set(spared)


def test_processes_of_a_node_share_its_folder_and_wait_no_longer_than_its_first_lives(tmpdir_of_node, monkeypatch):
    """Machines of a cluster that wait a day for a file that nobody writes cost as much as working ones."""
    monkeypatch.setenv("MASTER_PORT", "29511")
    with node_folder("embedder-1", Ranks(2, 4, 0)) as folder:
        with node_folder("embedder-1", Ranks(3, 4, 1)) as same:
            assert same == folder
        monkeypatch.setattr(scratch, "WAIT_S", 0.3)
        with (
            pytest.raises(ModelError, match="The first process of this node has made no folder"),
            node_folder("embedder-1", Ranks(1, 4, 1)),
        ):
            pass
        monkeypatch.setattr(crop_file, "SILENT_S", 0.3)
        with pytest.raises(ModelError, match="has ended or hangs: no crop was read"):
            crop_file._awaited(folder / crop_file.INDEX_FILE, {})
    assert not folder.exists()


def test_processes_that_find_no_others_end_with_a_sentence(monkeypatch):
    """A firewall between two nodes looks like a training that takes long."""
    monkeypatch.setattr("chimp_assets.vision.learning.training.WAIT_MINUTES", 0.005)
    for name, value in {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1", "RANK": "1", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    with (
        pytest.raises(ModelError, match=r"have not found each other at 127.0.0.1:1 \(this is number 1\)"),
        process_group(Ranks(1, 2, 0)),
    ):
        pass


def test_a_gpu_is_taken_where_there_is_one_and_refused_in_words_where_there_is_none(monkeypatch):
    """Ten days on a CPU because of a driver that nobody missed."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert [str(device_of(asked)) for asked in ("auto", "cpu")] == ["cpu", "cpu"]
    assert arithmetic_on("auto") is arithmetic_on("cpu")
    with pytest.raises(DeviceError, match=r"compute.device is cuda, but PyTorch .* finds no GPU here"):
        device_of("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [str(device_of(asked)) for asked in ("auto", "cuda", "cuda:1", "cpu")] == [
        "cuda:0",
        "cuda:0",
        "cuda:1",
        "cpu",
    ]
    assert str(device_of("cuda:0", Ranks(3, 4, 1))) == "cuda:1", "each process of a node its own"
    for asked, ranks in (("cuda:2", Ranks()), ("auto", Ranks(2, 3, 2))):
        with pytest.raises(DeviceError, match="has 2 GPUs"):
            device_of(asked, ranks)
