"""Networks that come as an ONNX file: opened as data, run on the device that the settings ask for.

Belongs here: reading the file within bounds, files of weights beside it, the session, its inputs and outputs, one
sentence for everything that can be wrong with it. Does not belong here: what the numbers mean
(`detection.onnx`, `embedding.onnx_backbone`).

A file runs no code: no library of operators is ever loaded, and weights outside the file are read by us, from plain
names in its own folder, and handed over as bytes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chimp_assets.vision.models.checkpoint import ModelError, ModelFileError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

SUFFIX = ".onnx"
MOST_BYTES = 2**31
"""Of the file: what Protocol Buffers can hold."""
MOST_BYTES_BESIDE = 2**33
"""Of all files of weights beside it: larger networks are no detectors or embedders."""
UNREADABLE_TEXT = (ValueError, SyntaxError, TypeError, OverflowError, RecursionError, MemoryError)
"""What reading numbers and names from a text of the metadata may raise, whoever wrote it (1e999 is no whole number)."""
MOST_METADATA = 1 << 16
_DEEPEST = 40
"""Graphs inside nodes inside graphs; onnxruntime's own reader stops at about a hundred messages."""

_EXPORT_AGAIN = "Export the network again, for opset 21 or lower and without operators of your own."
_TYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8, "tensor(int32)": np.int32, "tensor(int64)": np.int64,
}  # fmt: skip


@dataclass(frozen=True)
class TensorSignature:
    """An input or output. shape: None where it is open; dtype: of NumPy, None for what we do not feed."""

    name: str
    shape: tuple[int | None, ...]
    dtype: type[np.generic] | None

    def __str__(self) -> str:
        sides = ", ".join("?" if side is None else str(side) for side in self.shape)
        return f"{self.name} [{sides}]"


@dataclass(frozen=True)
class NetworkSignature:
    """What a network takes and gives, and the texts that its exporter wrote into the file."""

    inputs: tuple[TensorSignature, ...]
    outputs: tuple[TensorSignature, ...]
    metadata: Mapping[str, str]


class OnnxNetwork:
    """An opened network.

    device: as `compute.device`; threads: on a CPU, 0 for one a core that the process may use. On a CPU equal inputs
    give equal outputs with the same number of threads. content: the bytes, if file is but a name; nothing is read
    beside them. Raises ModelFileError if the file cannot be used, ModelError if
    a GPU is asked for and onnxruntime has none.
    """

    def __init__(self, file: Path, device: str = "auto", threads: int = 0, content: bytes | None = None) -> None:
        self.file = file
        content, beside = _read(file) if content is None else (content, {})
        digest = hashlib.sha256(content)
        for name in sorted(beside):
            digest.update(beside[name])
        self.sha256 = digest.hexdigest()
        self.on_gpu, self._session = _opened(file, content, beside, device, threads)
        try:
            metadata = dict(self._session.get_modelmeta().custom_metadata_map)
            inputs = tuple(_signature(one) for one in self._session.get_inputs())
            outputs = tuple(_signature(one) for one in self._session.get_outputs())
        except UnicodeDecodeError as error:
            raise ModelFileError(f"{file.name} holds names that are no text: {error}.", _EXPORT_AGAIN) from error
        self.signature = NetworkSignature(
            inputs, outputs, {key: value for key, value in metadata.items() if len(value) <= MOST_METADATA}
        )

    def run(self, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """The outputs, in the order of the file; whole numbers and f32 (f16 is widened).

        Raises MemoryError if the device has too little memory, ModelFileError if the network fails or gives anything
        but arrays of numbers.
        """
        try:
            found = self._session.run(None, dict(inputs))
        except Exception as error:
            # The exceptions of onnxruntime have no common base.
            if any(word in str(error) for word in ("allocate memory", "out of memory", "bad_alloc")):
                raise MemoryError(_reason(error)) from error
            raise ModelFileError(f"The network {self.file.name} failed: {_reason(error)}.", _EXPORT_AGAIN) from error
        for signature, one in zip(self.signature.outputs, found, strict=True):
            if not isinstance(one, np.ndarray) or one.dtype.kind not in "fiub":
                raise ModelFileError(
                    f"The output {signature.name} of {self.file.name} is no array of numbers.", _EXPORT_AGAIN
                )
        return [one.astype(np.float32) if one.dtype.kind == "f" else one for one in found]


def _signature(one: Any) -> TensorSignature:
    shape = tuple(side if isinstance(side, int) and side > 0 else None for side in one.shape or ())
    return TensorSignature(one.name, shape, _TYPES.get(one.type))


def _opened(
    file: Path, content: bytes, beside: dict[str, bytes], device: str, threads: int
) -> tuple[bool, InferenceSession]:
    """Whether it runs on a GPU, and the session."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4  # what is wrong is raised; its log goes to the terminal of the operator
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.inter_op_num_threads = 1
    options.intra_op_num_threads = threads or len(os.sched_getaffinity(0))
    options.use_deterministic_compute = True
    # Waiting threads would burn the cores that decode the next pictures.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if beside:
        names = sorted(beside)
        options.add_external_initializers_from_files_in_memory(
            names, [beside[name] for name in names], [len(beside[name]) for name in names]
        )
    providers = _providers(device, ort.get_available_providers())
    try:
        session = ort.InferenceSession(content, options, providers=providers)
    except Exception as error:
        # The exceptions of onnxruntime have no common base.
        raise ModelFileError(
            f"{file.name} is no network that onnxruntime {ort.__version__} can run: {_reason(error)}.", _EXPORT_AGAIN
        ) from error
    on_gpu = session.get_providers()[0] == _CUDA
    if device.startswith("cuda") and not on_gpu:
        raise _no_gpu(device)
    return on_gpu, session


_CUDA = "CUDAExecutionProvider"


def _providers(device: str, there: Sequence[str]) -> list[Any]:
    """Providers to try, by `compute.device`. Raises ModelError if a GPU is asked for and not there."""
    cpu = "CPUExecutionProvider"
    if device == "cpu" or (device == "auto" and _CUDA not in there):
        return [cpu]
    if _CUDA not in there:
        raise _no_gpu(device)
    number = int(device.partition(":")[2] or 0)
    # The default algorithm search tries several and keeps the quickest of the moment: other sums on another day.
    return [(_CUDA, {"device_id": number, "cudnn_conv_algo_search": "HEURISTIC"}), cpu]


def _no_gpu(device: str) -> ModelError:
    return ModelError(
        f"compute.device is {device}, but onnxruntime finds no GPU here.",
        "Install onnxruntime-gpu in the place of onnxruntime, or set compute.device to auto or cpu.",
    )


def _reason(error: Exception) -> str:
    """The last clause of an error of onnxruntime, on one line, without its codes."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    words = lines[0].removeprefix("[ONNXRuntimeError] : ")
    parts = words.split(" : ", 2)
    words = parts[2] if len(parts) == 3 and parts[0].isdigit() else words
    words = words if words.strip() else type(error).__name__
    return words.strip().rstrip(".")[:300]


def _read(file: Path) -> tuple[bytes, dict[str, bytes]]:
    """The bytes of the file, and of the files of weights beside it by their names. Raises ModelFileError."""
    remedy = f"Name an existing {SUFFIX} file."
    try:
        size = file.stat().st_size
        if not file.is_file():
            raise ModelFileError(f"There is no file {file}.", remedy)
        if size > MOST_BYTES:
            raise ModelFileError(f"{file} has {size:,} bytes; {MOST_BYTES:,} are allowed.", "Export a smaller network.")
        content = file.read_bytes()
    except FileNotFoundError:
        raise ModelFileError(f"There is no file {file}.", remedy) from None
    except OSError as error:
        raise ModelFileError(f"{file} cannot be read: {error.strerror or error}.", remedy) from error
    beside: dict[str, bytes] = {}
    left = MOST_BYTES_BESIDE
    for name in sorted(places_of_weights(content, file.name)):
        if name in ("", ".", "..") or any(sign in name for sign in "/\\:\0"):
            raise ModelFileError(
                f"{file.name} keeps weights at {name[:100]!r}, outside its own folder.",
                "Export it as one file, or with its weights beside it.",
            )
        path = file.parent / name
        try:
            if path.stat().st_size > left:
                raise ModelFileError(
                    f"The weights beside {file.name} have more than {MOST_BYTES_BESIDE:,} bytes.",
                    "Export a smaller network.",
                )
            beside[name] = path.read_bytes()
        except OSError as error:
            raise ModelFileError(
                f"{file.name} keeps weights in {name}, which cannot be read beside it: {error.strerror or error}.",
                "Copy both files into one folder of this machine, or export the network as one file.",
            ) from error
        left -= len(beside[name])
    return content, beside


# Messages of onnx.proto3 that lead to tensors: kind, number of the field, kind inside.
_MESSAGES: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "tensor": {13: "entry"},
}


def places_of_weights(content: bytes, name: str) -> set[str]:
    """Names of files in which an ONNX file keeps tensors (`external_data`), wherever in it they are named.

    Reads the messages of Protocol Buffers alone, so that no place is opened before it was looked at. Raises
    ModelFileError if the file is no such message.
    """
    try:
        return set(_places(memoryview(content), "model", 0))
    except (IndexError, ValueError) as error:
        raise ModelFileError(
            f"{name} is no ONNX file, or is cut off: {error}.", "Copy or export it again, and look at its length."
        ) from error


def _places(message: memoryview, kind: str, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        raise ValueError("its graphs are nested too deeply")
    inside = _MESSAGES[kind]
    for number, part in _fields(message):
        if part is None or number not in inside:
            continue
        if inside[number] != "entry":
            yield from _places(part, inside[number], depth + 1)
            continue
        entry = {key: bytes(text) for key, text in _fields(part) if text is not None}
        if entry.get(1) == b"location":
            yield entry.get(2, b"").decode("utf-8")


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview | None]]:
    """Number and bytes of each field; None for numbers, which are skipped."""
    at, end = 0, len(message)
    while at < end:
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            _, at = _varint(message, at)
            yield number, None
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
            yield number, None
        elif wire == 2:
            length, at = _varint(message, at)
            if length > end - at:
                raise ValueError(f"a part of {length} bytes begins {end - at} bytes before the end")
            yield number, message[at : at + length]
            at += length
        else:
            raise ValueError(f"a field of type {wire}")
    if at != end:
        raise ValueError("the last number is cut off")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for place in range(10):
        if at >= len(message):
            raise ValueError("the last number is cut off")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than ten bytes")
