"""Our network beside the graph of the package, which a few lines of NumPy run step by step; only where it is there.

CHIMP_TEST_NANODET names the package (.tgz or folder) as `npm pack` wrote it.
"""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load

from chimp_assets.vision.detection.nanodet.network import NanoDet
from chimp_assets.vision.detection.nanodet.package import GRAPH, NANODET_PACKAGE, WEIGHTS, arrays_of, safetensors_of
from chimp_assets.vision.models.packages import read_package

NAMED = os.environ.get("CHIMP_TEST_NANODET")


def convolved(maps, kernel, stride):
    """Without padding, n h w c."""
    high, wide = kernel.shape[:2]
    windows = np.lib.stride_tricks.sliding_window_view(maps, (high, wide), axis=(1, 2))[:, ::stride, ::stride]
    return np.tensordot(windows, kernel, ([3, 4, 5], [2, 0, 1])).astype(np.float32)


def resized(maps, size):
    """Bilinear with half-pixel centres, n h w c."""
    for axis, n in ((1, int(size[0])), (2, int(size[1]))):
        at = np.clip((np.arange(n) + 0.5) * maps.shape[axis] / n - 0.5, 0, maps.shape[axis] - 1)
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, maps.shape[axis] - 1)
        share = (at - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(4)])
        maps = maps.take(low, axis) * (1 - share) + maps.take(high, axis) * share
    return maps


def evaluated(graph, weights, picture):
    """All outputs by name. Every operation of the graph, from its definition in TensorFlow."""
    nodes = {node["name"]: node for node in graph["modelTopology"]["node"]}
    known = {name: [array] for name, array in arrays_of(graph["weightsManifest"], weights).items()}
    known["input_1"] = [picture]

    def value(name):
        base, _, number = name.partition(":")
        if base not in known:
            node = nodes[base]
            known[base] = run(node["op"], [value(one) for one in node["input"]], node.get("attr", {}))
        return known[base][int(number or 0)]

    def run(op, args, attr):
        first = args[0].astype(np.float32) if args[0].dtype == np.float16 else args[0]
        match op:
            case "Identity":
                return [first]
            case "Transpose":
                return [first.transpose(args[1])]
            case "Pad" | "PadV2":
                return [np.pad(first, args[1], constant_values=float(args[2]) if len(args) > 2 else 0.0)]
            case "Conv2D":
                assert base64.b64decode(attr["padding"]["s"]) == b"VALID"
                return [convolved(first, args[1].astype(np.float32), int(attr["strides"]["list"]["i"][1]))]
            case "Add" | "AddV2":
                return [first + args[1]]
            case "LeakyRelu":
                return [np.where(first > 0, first, first * np.float32(attr["alpha"]["f"]))]
            case "MaxPool":
                windows = np.lib.stride_tricks.sliding_window_view(first, (3, 3), axis=(1, 2))[:, ::2, ::2]
                return [windows.max((-1, -2))]
            case "ConcatV2":
                return [np.concatenate(args[:-1], int(args[-1]))]
            case "ResizeBilinear":
                return [resized(first, args[1])]
            case "Sigmoid":
                return [1 / (1 + np.exp(-first))]
            case "SplitV":
                return np.split(first, np.cumsum(args[1])[:-1], int(args[2]))
            case "SparseToDense":
                dense = np.full(args[1], args[3], np.int64)
                dense[tuple(np.reshape(first, (-1, 1)).T)] = args[2]
                return [dense]
            case "Reshape":
                return [first.reshape(args[1])]
            case _:
                raise NotImplementedError(op)

    return {name: value(name) for name in ("Identity", *(f"Identity_{n}" for n in range(1, 6)))}


@pytest.mark.skipif(not NAMED, reason="CHIMP_TEST_NANODET names no package of NanoDet (npm pack, 145 MB)")
def test_our_network_says_what_the_graph_of_the_package_says():
    """A stride or a padding that is off by one finds animals too, a little beside where they are."""
    files = read_package(NANODET_PACKAGE, Path(NAMED))
    picture = np.random.default_rng(7).integers(0, 256, (416, 416, 3)).astype(np.float32)
    network = NanoDet().eval()
    network.load_state_dict({name: tensor.float() for name, tensor in load(safetensors_of(files)).items()})
    scaled = (picture - network.mean.numpy().ravel()) / network.scale.numpy().ravel()
    told = evaluated(json.loads(files[GRAPH]), files[WEIGHTS], scaled.transpose(2, 0, 1)[None].astype(np.float32))
    with torch.inference_mode():
        logits, edges = network(torch.from_numpy(picture.transpose(2, 0, 1)[None]))
    scores = np.concatenate([told[name] for name in ("Identity", "Identity_1", "Identity_2")], 1)
    bins = np.concatenate([told[name] for name in ("Identity_3", "Identity_4", "Identity_5")], 1)
    assert np.abs(logits.sigmoid().numpy() - scores).max() < 1e-3
    assert np.abs(edges.numpy() - bins).max() < 1e-2
