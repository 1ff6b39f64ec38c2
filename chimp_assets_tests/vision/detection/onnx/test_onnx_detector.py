"""Files of networks as detectors: which classes count, batches, sizes, precision, the row of the model."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import sqlalchemy as sa
import torch
from onnx import TensorProto, helper, numpy_helper

from chimp_assets.database import schema
from chimp_assets.settings import load_settings
from chimp_assets.vision.detection.detector import detector_of, register_detector
from chimp_assets.vision.detection.interface import DetectorError
from chimp_assets.vision.detection.onnx.onnx_detector import OnnxDetector
from chimp_assets.vision.detection.onnx.suppression import best_boxes
from chimp_assets_tests.vision.detection.onnx import networks as n
from chimp_assets_tests.vision.detection.onnx.test_decodings import SIDE, assert_found

MEGADETECTOR = {"names": "{0: 'animal', 1: 'person', 2: 'vehicle'}", "task": "detect", "stride": "32"}
COCO = {"names": str({i: f"thing {i}" for i in range(80)} | {
    0: "person", 14: "bird", 15: "cat", 16: "dog", 17: "horse", 18: "sheep", 19: "cow", 20: "elephant", 21: "bear",
    22: "zebra", 23: "giraffe", 77: "teddy bear"})}  # fmt: skip


def constant(file, arrays, *, side=64, names=None, metadata=None, batch=1, dtype=TensorProto.FLOAT):
    """A network that gives these arrays whatever it sees."""
    outputs = names or [f"output{number}" for number in range(len(arrays))]
    graph = helper.make_graph(
        [helper.make_node("Identity", [f"held_{name}"], [name]) for name in outputs],
        "constant",
        [helper.make_tensor_value_info("images", dtype, [batch, 3, side, side])],
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
            for name, array in zip(outputs, arrays, strict=True)
        ],
        [numpy_helper.from_array(array, f"held_{name}") for name, array in zip(outputs, arrays, strict=True)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    if metadata:
        helper.set_model_props(model, metadata)
    onnx.save(model, file)
    return file


def end_to_end(*rows):
    """An output [1, k, 6] of corners, score, class."""
    return np.array([rows], np.float32)


def found_in(detector, side=64):
    ((_, rows),) = detector.detect(iter([(3, 0.0, np.zeros((side, side, 3), np.uint8))]))
    return rows


def test_of_megadetector_only_animals_pass(tmp_path):
    """An archive of chimpanzees must not fill with boxes of rangers and cars."""
    rows = end_to_end((0, 0, 32, 32, 0.9, 1), (32, 32, 64, 64, 0.8, 0), (0, 40, 20, 60, 0.7, 2))
    detector = OnnxDetector(constant(tmp_path / "md.onnx", [rows], metadata=MEGADETECTOR), threads=1)
    assert np.allclose(found_in(detector), [[0.5, 0.5, 0.5, 0.5, 0.8]])
    assert detector.about["animals"] == "0 animal (the class called animal)"


def test_what_lives_of_cocos_classes_is_one_animal(tmp_path):
    """COCO has no apes: one chimpanzee is a person in one frame, a bear and a teddy bear in the next."""
    rows = end_to_end(
        (0, 0, 32, 32, 0.6, 0), (1, 0, 32, 32, 0.7, 21), (0, 1, 32, 32, 0.5, 77), (40, 40, 60, 60, 0.9, 13)
    )
    detector = OnnxDetector(constant(tmp_path / "coco.onnx", [rows], metadata=COCO), threads=1)
    assert detector.config["animal_classes"] == "0, 14-23, 77"
    found = found_in(detector)
    assert found[:, 4].tolist() == pytest.approx([0.7])


@pytest.mark.parametrize(
    ("asked", "numbers"), [(("LEOPARD", "2"), (1, 2)), (("all",), None), (("coco",), (0, *range(14, 24), 77))]
)
def test_the_settings_say_which_classes_are_animals(tmp_path, asked, numbers):
    metadata = {"names": str({0: "impala", 1: "leopard", 2: "car"})}
    file = constant(tmp_path / "own.onnx", [end_to_end((0, 0, 9, 9, 0.9, 1))], metadata=metadata)
    assert OnnxDetector(file, threads=1).classes.numbers == (0, 1)
    assert OnnxDetector(file, classes=asked, threads=1).classes.numbers == numbers


@pytest.mark.parametrize("asked", ["lion", "12345678", "-1"])
def test_a_class_that_the_network_does_not_have_is_refused_in_words(tmp_path, asked):
    metadata = {"names": str({0: "impala", 1: "leopard"})}
    file = constant(tmp_path / "own.onnx", [end_to_end((0, 0, 9, 9, 0.9, 1))], metadata=metadata)
    with pytest.raises(DetectorError, match="0 impala, 1 leopard"):
        OnnxDetector(file, classes=(asked,), threads=1)


def test_a_number_beyond_the_outputs_is_refused(tmp_path):
    file = n.export(n.YoloV8Head((64, 64)), tmp_path / "v8.onnx", torch.zeros(1, 3, 64, 64))
    with pytest.raises(DetectorError, match="asks for class 3, and the network has 3"):
        OnnxDetector(file, classes=("3",), threads=1)


def test_a_network_of_people_and_cars_alone_is_refused(tmp_path):
    file = constant(tmp_path / "cars.onnx", [end_to_end((0, 0, 9, 9, 0.9, 0))], metadata={"names": "['car', 'person']"})
    with pytest.raises(DetectorError, match="looks like an animal"):
        OnnxDetector(file, threads=1)


def test_of_boxes_on_one_another_the_best_stays_whatever_its_class():
    """A head in its body goes, a neighbour who overlaps by a third stays."""
    body, head, again, neighbour = (0, 0, 10, 20), (2, 0, 8, 6), (1, 0, 10, 20), (7, 0, 17, 20)
    corners = np.array([head, body, again, neighbour], np.float32)
    assert best_boxes(corners, np.array([0.5, 0.9, 0.8, 0.7], np.float32)).tolist() == [1, 3]
    assert best_boxes(corners[:2], np.array([0.9, 0.5], np.float32)).tolist() == [0, 1]
    assert best_boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.float32)).tolist() == []


@pytest.mark.parametrize("batch", [None, 3], ids=["open batch", "batch of three"])
def test_batches_give_what_single_pictures_give(tmp_path, batch):
    """A last batch that is not full must not add boxes of pictures that are not there."""
    sides = {"images": {0: "n"}} if batch is None else None
    file = n.export(n.YoloV8Head(SIDE), tmp_path / "v8.onnx", torch.zeros(batch or 1, 3, *SIDE), open_sides=sides)
    pictures = [(90, 160, (10 + 9 * i, 12, 60 + 9 * i, 70)) for i in range(7)]
    detector = OnnxDetector(file, threads=1)
    assert_found(detector, pictures=pictures)
    frames = [(4 * i, 0.8 * i, n.picture_of(*facts)) for i, facts in enumerate(pictures)]
    assert [frame_no for frame_no, _ in detector.detect(iter(frames))] == [0, 4, 8, 12, 16, 20, 24]


def test_a_network_of_half_precision_is_fed_with_half_precision(tmp_path):
    class Half(n.YoloV8Head):
        def forward(self, pictures):
            return super().forward(pictures).half()

    file = n.export(Half(SIDE), tmp_path / "half.onnx", torch.zeros(1, 3, *SIDE, dtype=torch.float16))
    assert_found(OnnxDetector(file, threads=1))


def test_where_the_file_leaves_the_size_open_the_settings_or_the_file_say_it(tmp_path):
    """Ultralytics writes the size of its training into a file with open sides."""
    network = n.TorchvisionHead((0, 0))

    class Open(n.Head):
        def forward(self, pictures):
            corners = network.red(pictures)
            score = torch.full((corners.shape[0], 1), n.SCORE)
            return torch.cat([corners, score, score * 0], 1)[:, None]

    sides = {"images": {0: "n", 2: "h", 3: "w"}}
    for metadata, asked, side in (
        ({}, None, [640, 640]),
        ({"imgsz": "[192, 320]"}, None, [192, 320]),
        ({"imgsz": "[192, 320]"}, 128, [128, 128]),
        ({"imgsz": "[10**9]"}, None, [640, 640]),
    ):
        file = n.export(
            Open(SIDE), tmp_path / "open.onnx", torch.zeros(1, 3, *SIDE), open_sides=sides, metadata=metadata
        )
        detector = OnnxDetector(file, side=asked, threads=1)
        assert detector.config["input"] == side
        assert_found(detector, within=0.9)


def test_what_the_decoding_assumes_can_be_set(tmp_path):
    """Somebody trained YOLO on BGR values of 0 to 255, stretched."""
    file = n.export(
        n.YoloV8Head((128, 256), n.RedBox(red=2, scale=1.0)), tmp_path / "v8.onnx", torch.zeros(1, 3, 128, 256)
    )
    changed = {"fit": "stretch", "colours": "bgr", "mean": None, "std": (1.0, 1.0, 1.0)}
    detector = OnnxDetector(file, preparation=changed, threads=1)
    assert_found(detector)
    assert (detector.config["fit"], detector.config["colours"]) == ("stretch", "bgr")


def test_equal_pictures_give_equal_boxes(tmp_path):
    file = n.export(n.YoloV8Head(SIDE), tmp_path / "v8.onnx", torch.zeros(1, 3, *SIDE))
    first, second = (found_in(OnnxDetector(file, threads=2), 200) for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_the_settings_choose_a_file_of_the_store_and_its_row_names_it(home, tmp_path):
    """A file that was exchanged is another detector: tracks of before must not seem to be its own."""
    settings = load_settings(
        home.settings.home,
        detect={"detector": "onnx", "weights": "store:weights/md.onnx", "min_score": 0.2},
        compute={"device": "cpu", "threads": 1},
    )
    rows = []
    for score in (0.9, 0.8):
        array = end_to_end((0, 0, 9, 9, score, 0))
        content = constant(tmp_path / "md.onnx", [array], metadata=MEGADETECTOR).read_bytes()
        home.store.put("weights/md.onnx", content)
        detector = detector_of(settings, home.store)
        rows.append(register_detector(home.database, detector))
        assert register_detector(home.database, detector_of(settings, home.store)) == rows[-1]
    assert rows[0] != rows[1]
    with home.database.read() as conn:
        row = conn.execute(sa.select(schema.model).where(schema.model.c.model_id == rows[1])).one()
    assert (row.name, row.state) == ("onnx", "champion")
    assert '"weights_sha256"' in row.config
    assert '"yolo_end_to_end"' in row.config
    assert '"min_score": 0.1' in row.config


def test_without_a_file_the_remedy_says_what_to_bring(tmp_path):
    with pytest.raises(DetectorError, match="names no file"):
        detector_of(load_settings(tmp_path, detect={"detector": "onnx"}))
    with pytest.raises(DetectorError, match="There is no file"):
        detector_of(load_settings(tmp_path, detect={"detector": "onnx", "weights": str(tmp_path / "none.onnx")}))
