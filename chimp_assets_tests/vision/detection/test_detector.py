"""Choosing, building and registering detectors."""

from __future__ import annotations

import pickle
import urllib.error
from dataclasses import dataclass

import numpy as np
import pytest
import sqlalchemy as sa
import torch
from safetensors.torch import save_file
from torchvision.models import get_model

from chimp_assets.database import schema
from chimp_assets.settings import load_settings
from chimp_assets.vision.detection import detector as module
from chimp_assets.vision.detection.detector import detector_of, register_detector
from chimp_assets.vision.detection.interface import DetectorError
from chimp_assets.vision.detection.motion import MotionDetector
from chimp_assets.vision.detection.torchvision_detector import TorchvisionDetector
from chimp_assets_tests.vision.scenes import Scene

SMALL = "ssdlite320_mobilenet_v3_large"


@pytest.fixture(scope="module")
def small_weights(tmp_path_factory):
    """An untrained small network of COCO's classes in a safetensors file that names it."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = get_model(SMALL, weights=None, weights_backbone=None, num_classes=91)
    file = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, file, {"architecture": SMALL})
    return file


def test_the_settings_choose_the_detector(tmp_path):
    """Motion needs nothing and is the default; asking for weights that are not there must be said, not ignored."""
    assert detector_of(load_settings(tmp_path)).name == "motion"
    asked = load_settings(tmp_path, detect={"detector": "torchvision", "weights": str(tmp_path / "none.pth")})
    with pytest.raises(DetectorError, match="There is no weights file"):
        detector_of(asked)


def test_a_network_gives_boxes_of_animals_as_fractions(small_weights):
    """Torchvision answers in pixels and corners, of people and chairs too."""
    detector = TorchvisionDetector(small_weights, min_score=0.0)
    detector._labels = np.arange(1, 91)  # an untrained network calls nothing a bear
    pictures = list(Scene(n=5).pictures())
    found = list(detector.detect(iter(pictures)))
    assert [frame_no for frame_no, _ in found] == [0, 1, 2, 3, 4]
    for _, boxes in found:
        assert boxes.dtype == np.float32
        assert boxes.shape[1] == 5
        assert len(boxes) > 0
        assert boxes.min() >= 0
        assert (boxes[:, :2] + boxes[:, 2:4]).max() <= 1 + 1e-6
        assert (boxes[:, 4] <= 1).all()


def test_only_animals_pass(small_weights, monkeypatch):
    """A network that sees only people in an archive of chimpanzees must not fill it with boxes of people."""
    detector = TorchvisionDetector(small_weights)
    person_and_bear = {
        "boxes": torch.tensor([[0.0, 0.0, 32.0, 18.0], [160.0, 90.0, 320.0, 180.0]]),
        "labels": torch.tensor([1, 23]),
        "scores": torch.tensor([0.9, 0.8]),
    }
    monkeypatch.setattr(detector._network, "forward", lambda pictures: [person_and_bear for _ in pictures])
    ((_, boxes),) = detector.detect(iter(list(Scene(n=1).pictures())))
    assert np.allclose(boxes, [[0.5, 0.5, 0.5, 0.5, 0.8]])


def test_one_animal_of_two_classes_is_one_box(small_weights, monkeypatch):
    """COCO has no apes: the same chimpanzee comes out as a bear and as a dog, which made two tracks of it."""
    detector = TorchvisionDetector(small_weights)
    twice = {
        "boxes": torch.tensor([[160.0, 90.0, 320.0, 180.0], [162.0, 91.0, 320.0, 180.0]]),
        "labels": torch.tensor([18, 23]),
        "scores": torch.tensor([0.6, 0.7]),
    }
    monkeypatch.setattr(detector._network, "forward", lambda pictures: [twice for _ in pictures])
    ((_, boxes),) = detector.detect(iter(list(Scene(n=1).pictures())))
    assert boxes[:, 4].tolist() == pytest.approx([0.7])


def test_weights_of_another_network_are_refused_in_words(small_weights, tmp_path):
    """A page of missing keys tells a user nothing."""
    with pytest.raises(DetectorError, match="not a detection network"):
        TorchvisionDetector(_renamed(small_weights, tmp_path, "resnet_of_my_own"))
    with pytest.raises(DetectorError, match="do not fit"):
        TorchvisionDetector(_renamed(small_weights, tmp_path, "fasterrcnn_mobilenet_v3_large_320_fpn"))


def _renamed(weights, folder, architecture):
    from safetensors.torch import load_file

    file = folder / f"{architecture}.safetensors"
    save_file(load_file(weights), file, {"architecture": architecture})
    return file


@pytest.mark.parametrize("name", ["notes.safetensors", "notes.pth"])
def test_a_file_that_is_no_weights_is_refused_in_words(tmp_path, name):
    """Somebody will name the wrong file."""
    file = tmp_path / name
    file.write_text("the waterhole, 6 May\n" * 20)
    with pytest.raises(DetectorError, match="not a file of weights"):
        TorchvisionDetector(file)


@dataclass
class Bomb:
    """What a hostile .pth may hold: a call that runs while the file is opened."""

    target: str

    def __reduce__(self):
        return (open, (self.target, "w"))


def test_a_weights_file_cannot_run_code(tmp_path):
    """A .pth is a pickle: opened carelessly, it runs whatever its author put in."""
    file = tmp_path / "bomb.pth"
    file.write_bytes(pickle.dumps(Bomb(str(tmp_path / "harm.txt"))))
    with pytest.raises(DetectorError):
        TorchvisionDetector(file)
    torch.save(Bomb(str(tmp_path / "harm.txt")), file)
    with pytest.raises(DetectorError):
        TorchvisionDetector(file)
    assert not (tmp_path / "harm.txt").exists()


def test_where_nothing_can_be_downloaded_the_remedy_says_what_to_bring(monkeypatch):
    """Field stations are offline; the answer is a file or the motion detector, not a traceback."""

    def offline(*args, **kwargs):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(DetectorError, match="could not be downloaded") as raised:
        TorchvisionDetector(None)
    assert "motion" in raised.value.remedy


def test_a_detector_keeps_its_row_and_a_changed_one_gets_a_new_version(home):
    """Tracks name the detector that drew them: a silent change of its knobs must not hide behind the same row."""
    first = register_detector(home.database, MotionDetector())
    assert register_detector(home.database, MotionDetector()) == first
    second = register_detector(home.database, MotionDetector(strong=9.0))
    assert second != first
    with home.database.read() as conn:
        rows = conn.execute(sa.select(schema.model).order_by(schema.model.c.version)).all()
    assert [(row.version, row.state) for row in rows] == [(1, "retired"), (2, "champion")]
    rebuilt = MotionDetector(**module.json.loads(rows[1].config))
    assert rebuilt.config == MotionDetector(strong=9.0).config


def test_the_row_says_which_weights_were_used(home, small_weights):
    """Two files of the same network are two detectors."""
    detector = TorchvisionDetector(small_weights)
    register_detector(home.database, detector)
    with home.database.read() as conn:
        config = module.json.loads(conn.scalar(sa.select(schema.model.c.config)))
    assert config["architecture"] == SMALL
    assert len(config["weights_hash"]) == 64
