"""One loader in a process of its own: how long it takes to open, CPU of a batch, and how much memory it takes.

`python -m benchmarks.support.loading ours|coco|nothing PATH WORKERS [WIDTH HEIGHT]` prints one JSON line. `ours`
streams frames with boxes from the SQLite file PATH; `coco` is torchvision's CocoDetection over the JSON file PATH;
`nothing` is the same DataLoader over nothing, whose memory is that of the imports. Every picture of both is one JPEG of
WIDTH x HEIGHT.

Memory is what the process takes beyond its imports: without workers, the peak of its resident set (the kernel's own
record); with workers, the largest sum over all processes of their shares of anonymous and shared memory, looked at
every 20 batches (not of mapped files: what the libraries take there depends on who else uses them).
"""

from __future__ import annotations

import importlib
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset
from torchvision.datasets import CocoDetection

from benchmarks.support.archives import OnePictureStore, jpeg
from chimp_assets.database.connection.engine import Database
from chimp_assets.vision.datasets.frames import FrameQuery, SqlFrameDataset

BATCHES, BATCH = 200, 32
MIB = 2**20


class _Nothing(IterableDataset[int]):
    def __iter__(self) -> Iterator[int]:
        yield from range(BATCHES * BATCH)


def measured(kind: str, path: Path, workers: int, width: int = 16, height: int = 16) -> dict[str, float]:
    """What a fresh process finds: opened_s, first_batch_s, batch_cpu_ms (without workers), peak_mib."""
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "benchmarks.support.loading",
        kind,
        str(path),
        str(workers),
        str(width),
        str(height),
    ]
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    result: dict[str, float] = json.loads(found.splitlines()[-1])  # pycocotools speaks first
    return result


def median_of(runs: int, kind: str, path: Path, workers: int, width: int = 16, height: int = 16) -> dict[str, float]:
    """Medians of several fresh processes, and the spread of peak_mib."""
    found = [measured(kind, path, workers, width, height) for _ in range(runs)]
    medians = {name: statistics.median(one[name] for one in found) for name in found[0]}
    peaks = [one["peak_mib"] for one in found]
    return medians | {"spread": (max(peaks) - min(peaks)) / max(statistics.median(peaks), 1e-9)}


def _loader(kind: str, path: Path, workers: int, picture: bytes) -> DataLoader[Any]:
    options: dict[str, Any] = {"batch_size": BATCH, "num_workers": workers, "collate_fn": list}
    if workers:
        options["multiprocessing_context"] = "fork"
    if kind == "nothing":
        return DataLoader(_Nothing(), **options)
    if kind == "ours":
        frames = SqlFrameDataset(Database(f"sqlite:///{path}"), OnePictureStore(picture), FrameQuery(targets="boxes"))
        return DataLoader(frames.stream(seed=1), **options)
    return DataLoader(CocoDetection(str(path.parent), str(path)), shuffle=True, **options)


def _run(kind: str, path: Path, workers: int, picture: bytes) -> dict[str, float]:
    # The kernel's peak counts from here, not from some moment of the imports.
    Path("/proc/self/clear_refs").write_text("5")
    before = _proportional(os.getpid()) if workers else _status("VmRSS")
    began = time.perf_counter()
    reading = iter(_loader(kind, path, workers, picture))
    opened = time.perf_counter() - began
    shared, first, cpu_began = 0.0, 0.0, time.process_time()
    for number in range(BATCHES):
        next(reading)
        first = first or time.perf_counter() - began
        if workers and number % 20 == 10:
            shared = max(shared, sum(_proportional(pid) for pid in [os.getpid(), *_children()]))
    return {
        "opened_s": opened,
        "first_batch_s": first,
        "batch_cpu_ms": (time.process_time() - cpu_began) / BATCHES * 1000,
        "peak_mib": (shared if workers else _status("VmHWM")) - before,
    }


def _status(name: str) -> float:
    return _kib(Path("/proc/self/status"), name) / 1024


def _proportional(pid: int) -> float:
    try:
        shares = Path(f"/proc/{pid}/smaps_rollup")
        return (_kib(shares, "Pss_Anon") + _kib(shares, "Pss_Shmem")) / 1024
    except (OSError, AttributeError):  # a worker that has ended
        return 0.0


def _kib(file: Path, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+)", file.read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


def _children() -> list[int]:
    own = os.getpid()
    return [int(pid) for task in Path(f"/proc/{own}/task").iterdir() for pid in (task / "children").read_text().split()]


if __name__ == "__main__":
    torch.set_num_threads(1)
    _, kind, path, workers, width, height = sys.argv
    if kind == "coco":
        importlib.import_module("pycocotools.coco")  # its import is an import

    print(json.dumps(_run(kind, Path(path), int(workers), jpeg(int(width), int(height)))))
