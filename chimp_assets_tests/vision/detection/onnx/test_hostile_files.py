"""Whatever a file holds: a sentence and a remedy, never a traceback, and nothing is read outside its folder."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from chimp_assets.vision.detection.interface import DetectorError
from chimp_assets.vision.detection.onnx.classes import names_in
from chimp_assets.vision.detection.onnx.onnx_detector import OnnxDetector, _sides_in
from chimp_assets.vision.models.onnx_file import places_of_weights
from chimp_assets_tests.vision.detection.onnx import networks as n
from chimp_assets_tests.vision.detection.onnx.test_onnx_detector import constant, end_to_end


def refused(file, **options):
    with pytest.raises(DetectorError) as raised:
        OnnxDetector(file, threads=1, **options)
    assert raised.value.remedy
    assert "\n" not in raised.value.sentence
    assert len(raised.value.sentence) < 700
    return raised.value.sentence


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    file = tmp_path_factory.mktemp("whole") / "v8.onnx"
    return n.export(n.YoloV8Head((64, 64)), file, torch.zeros(1, 3, 64, 64)).read_bytes()


@pytest.mark.parametrize(
    "content", [b"", b"the waterhole, 6 May\n" * 20, b"\x80\x04\x95pickle", bytes(4096), b"\xff" * 4096, b"\x0b\x01"]
)
def test_a_file_that_is_no_network_is_refused_in_words(tmp_path, content):
    file = tmp_path / "notes.onnx"
    file.write_bytes(content)
    assert "notes.onnx" in refused(file)


def test_a_folder_is_no_file(tmp_path):
    refused(tmp_path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.floats(0, 1), how=st.sampled_from(["cut", "turn", "double"]), value=st.integers(1, 255))
def test_a_damaged_file_is_refused_or_gives_boxes(tmp_path, whole, where, how, value):
    """A byte that a disk turned, or a download that broke off."""
    at = int(where * (len(whole) - 1))
    content = bytearray(whole)
    if how == "cut":
        del content[at:]
    elif how == "turn":
        content[at] ^= value
    else:
        content[at:at] = content[at : at + value]
    file = tmp_path / "damaged.onnx"
    file.write_bytes(content)
    found = boxes_or_refusal(file)
    if isinstance(found, DetectorError):
        assert found.remedy
    else:
        assert found.shape[1] == 5
        assert np.isfinite(found).all()


def boxes_or_refusal(file):
    try:
        detector = OnnxDetector(file, threads=1)
        ((_, rows),) = detector.detect(iter([(0, 0.0, n.picture_of(64, 64, (9, 9, 40, 40)))]))
    except DetectorError as error:
        return error
    return rows


def test_random_bytes_as_outputs_of_every_form(tmp_path):
    """Shapes that fit no decoding are listed with the decodings to choose from."""
    sentence = refused(constant(tmp_path / "odd.onnx", [np.zeros((1, 7, 9, 2), np.float32), np.zeros(3, np.float32)]))
    assert "output0 [1, 7, 9, 2], output1 [3]" in sentence
    with pytest.raises(DetectorError) as raised:
        OnnxDetector(tmp_path / "odd.onnx", threads=1)
    assert "yolo_v8" in raised.value.remedy


@pytest.mark.parametrize(
    "decoding",
    ["yolo_v5", "yolo_v8", "yolo_end_to_end", "yolox", "yolox_decoded", "rt_detr", "rt_detr_deployed", "nanodet",
     "nanodet_g", "rt_detr_ultralytics", "rf_detr", "torchvision", "ssd"],
)  # fmt: skip
@pytest.mark.parametrize("shape", [(1, 3), (1, 84, 2), (2, 0, 4), (1, 1, 1, 1), (0,)])
def test_a_decoding_that_does_not_fit_says_so(tmp_path, decoding, shape):
    refused(constant(tmp_path / "odd.onnx", [np.full(shape, 0.5, np.float32)]), decoding=decoding)


def test_an_unknown_decoding_is_answered_with_those_there_are(tmp_path):
    file = constant(tmp_path / "a.onnx", [end_to_end((0, 0, 9, 9, 0.9, 0))])
    assert "no decoding 'yolo'" in refused(file, decoding="yolo")


def test_two_layouts_that_look_alike_are_not_guessed(tmp_path):
    """YOLOX of 40 classes and NanoDet of one or more have equal shapes: a guess would give boxes of nothing."""
    sentence = refused(constant(tmp_path / "a.onnx", [np.zeros((1, 84, 45), np.float32)]))
    assert "yolox or of nanodet" in sentence


def test_values_that_are_no_numbers_are_refused(tmp_path):
    rows = end_to_end((0, 0, 9, 9, np.nan, 0))
    assert "NaN" in refused(constant(tmp_path / "nan.onnx", [rows]))
    rows = end_to_end((0, np.nan, 9, 9, 0.9, 0), (0, 0, np.inf, 9, 0.001, 0))
    assert "NaN" in refused(constant(tmp_path / "nan.onnx", [rows]))


def test_scores_that_are_no_probabilities_are_refused(tmp_path):
    """The sign of a wrong decoding: coordinates where scores are expected."""
    assert "no probabilities" in refused(constant(tmp_path / "a.onnx", [end_to_end((0, 0, 9, 9, 37.0, 0))]))


def test_a_network_for_something_else_is_refused(tmp_path):
    """Two pictures, one channel, text, or five axes."""
    for shape, kind in (([1, 1, 64, 64], TensorProto.FLOAT), ([1, 3, 4, 64, 64], TensorProto.FLOAT),
                        ([1, 3, 64, 64], TensorProto.STRING), ([], TensorProto.FLOAT)):  # fmt: skip
        one = helper.make_tensor_value_info("a", kind, shape)
        graph = helper.make_graph(
            [helper.make_node("Identity", ["a"], ["b"])], "g", [one], [helper.make_tensor_value_info("b", kind, shape)]
        )
        file = tmp_path / "other.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), file)
        assert "other.onnx" in refused(file)


def test_operators_of_somebodys_own_are_refused(tmp_path):
    """They would need a library, which is code."""
    one = helper.make_tensor_value_info("a", TensorProto.FLOAT, [1, 3, 64, 64])
    node = helper.make_node("Magic", ["a"], ["b"], domain="evil.example")
    graph = helper.make_graph(
        [node], "g", [one], [helper.make_tensor_value_info("b", TensorProto.FLOAT, [1, 3, 64, 64])]
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("evil.example", 1)], ir_version=9
    )
    onnx.save(model, tmp_path / "magic.onnx")
    assert "Magic" in refused(tmp_path / "magic.onnx")


@pytest.mark.parametrize("version", [(99, 9), (17, 999)])
def test_a_newer_file_than_this_can_read_is_one_sentence(tmp_path, version):
    file = constant(tmp_path / "new.onnx", [end_to_end((0, 0, 9, 9, 0.9, 0))])
    model = onnx.load(file)
    model.opset_import[0].version, model.ir_version = version
    onnx.save(model, file)
    assert "new.onnx" in refused(file)


def beside(folder, location):
    """A network that says its weights lie at a location."""
    file = constant(folder / "big.onnx", [end_to_end((0, 0, 9, 9, 0.9, 0))])
    model = onnx.load(file)
    held = model.graph.initializer[0]
    (folder / "data.bin").write_bytes(held.raw_data)
    held.ClearField("raw_data")
    held.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", "24")):
        entry = held.external_data.add()
        entry.key, entry.value = key, value
    file.write_bytes(model.SerializeToString())
    return file


def test_weights_beside_the_file_are_read_and_count_for_its_hash(tmp_path):
    """What torch's own exporter writes by default."""
    first = OnnxDetector(beside(tmp_path, "data.bin"), threads=1)
    ((_, rows),) = first.detect(iter([(0, 0.0, np.zeros((64, 64, 3), np.uint8))]))
    assert rows[0, 4] == pytest.approx(0.9)
    content = bytearray((tmp_path / "data.bin").read_bytes())
    content[16:20] = np.float32(0.5).tobytes()
    (tmp_path / "data.bin").write_bytes(content)
    second = OnnxDetector(tmp_path / "big.onnx", threads=1)
    assert second.config["weights_sha256"] != first.config["weights_sha256"]


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "a/data.bin", "C:data.bin", "..", "", "x\0y"])
def test_weights_outside_the_folder_are_never_read(tmp_path, location):
    """A model file must not carry a host's secrets into a constant."""
    folder = tmp_path / "models"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(24))
    assert "outside its own folder" in refused(beside(folder, location))


def test_weights_that_are_missing_or_too_short_are_refused(tmp_path):
    assert "cannot be read" in refused(beside(tmp_path, "none.bin"))
    file = beside(tmp_path, "data.bin")
    (tmp_path / "data.bin").write_bytes(b"1234")
    refused(file)


def test_places_of_weights_are_found_wherever_they_hide(tmp_path):
    """In the graph of a branch, in an attribute, in a function."""
    tensor = helper.make_tensor("t", TensorProto.FLOAT, [1], [1.0])
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../hidden"
    value = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    branch = helper.make_graph([helper.make_node("Constant", [], ["y"], value=tensor)], "branch", [], [value])
    condition = helper.make_tensor_value_info("c", TensorProto.BOOL, [])
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    model = helper.make_model(helper.make_graph([node], "g", [condition], [value]))
    assert places_of_weights(model.SerializeToString(), "x.onnx") == {"../hidden"}
    function = helper.make_function("d", "f", [], ["y"], list(branch.node), [helper.make_opsetid("", 17)])
    model = helper.make_model(helper.make_graph([], "g", [], []), functions=[function])
    assert places_of_weights(model.SerializeToString(), "x.onnx") == {"../hidden"}


def test_names_of_classes_are_data(tmp_path):
    """Exporters write Python's notation: what is no plain dictionary is as if it were not there."""
    rows = [end_to_end((0, 0, 9, 9, 0.9, 0))]
    for text in ("__import__('os').system('false')", "{" * 5000, "{0: open('x')}", "{-1: 'a'}", "7", "{'a': 1, 2: 3}"):
        detector = OnnxDetector(constant(tmp_path / "a.onnx", rows, metadata={"names": text}), threads=1)
        assert detector.classes.numbers is None


@pytest.mark.parametrize("text", ["1e999", "[" * 5_000, "{1e999: 'ape'}", "640; import os", ""])
def test_what_an_exporter_wrote_beside_the_network_is_read_or_left(text):
    """A size or a list of names that is none must not keep a network from being used, nor end in a traceback."""
    assert _sides_in(text) is None
    assert _sides_in(f"({text}, 640)") is None
    assert names_in({"names": text}) == {}
