"""`python -m benchmarks.exchange.reading [SHARE]`: how fast annotation files are read, and in how much memory.

100,000 pictures of MegaDetector (300,000 detections), a million boxes of COCO in 100 videos, a million of MOT. Each is
read to its end as an import does to check it, in a process of its own; CPU seconds and peak memory are printed beside
the target and beside a foil: the standard library's `json.load` of the whole file, or `csv` rows in a list. SHARE
(default 1): of these sizes. Belongs here: generating, measuring, printing. Does not belong here: the readers.
"""

from __future__ import annotations

import csv
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from chimp_assets.exchange.imports import import_format
from chimp_assets.exchange.imports.annotations import ReadOptions

MOST_S, MOST_MB = 60.0, 400.0
NAMES = {"megadetector": ".json", "coco": ".json", "mot": ".txt"}


def main(arguments: list[str]) -> int:
    """Prints a line for each format; or, told a format and a file, reads it and prints what that took."""
    if len(arguments) == 3:
        print(json.dumps(_taken(*arguments)))
        return 0
    part = float(arguments[0]) if arguments else 1.0
    print(f"{'format':<14}{'boxes':>10}{'file':>9}{'seconds':>9}{'foil':>7}{'memory':>9}{'foil':>9}  target")
    met = True
    with tempfile.TemporaryDirectory() as folder:
        for name, suffix in NAMES.items():
            file = Path(folder) / f"{name}{suffix}"
            write(name, file, part)
            ours, foil = (_measured(how, name, file) for how in ("ours", "foil"))
            met = met and ours["s"] <= MOST_S * part and ours["mb"] <= MOST_MB
            print(
                f"{name:<14}{ours['boxes']:>10,.0f}{file.stat().st_size / 1e6:>6.0f} MB{ours['s']:>9.1f}"
                f"{foil['s']:>7.1f}{ours['mb']:>6.0f} MB{foil['mb']:>6.0f} MB  {MOST_S * part:g} s, {MOST_MB:.0f} MB"
            )
    print("All targets met." if met else "A target is missed.")
    return 0


def write(name: str, file: Path, part: float = 1.0) -> None:
    """A file of this format, the same every time."""
    rng = random.Random(0)
    lines: dict[str, Callable[[random.Random, float], Iterator[str]]] = {
        "megadetector": _megadetector, "coco": _coco, "mot": _mot,
    }  # fmt: skip
    with file.open("w") as stream:
        stream.writelines(lines[name](rng, part))


def _megadetector(rng: random.Random, part: float) -> Iterator[str]:
    yield '{"images": ['
    for n in range(int(100_000 * part)):
        found = [
            {
                "category": "1",
                "conf": round(rng.random(), 3),
                "bbox": [round(rng.uniform(0.01, 0.5), 4) for _ in "xywh"],
            }
            for _ in range(rng.randint(0, 6))
        ]
        image = {"file": f"site{n % 37}/cam{n % 11}/IMG_{n:06d}.JPG", "detections": found}
        yield ("," if n else "") + json.dumps(image, indent=1)
    yield '], "detection_categories": {"1": "animal"}, "info": {"format_version": "1.5"}}'


def _coco(rng: random.Random, part: float) -> Iterator[str]:
    images = int(300_000 * part)
    yield json.dumps(
        {"videos": [{"id": n, "name": f"clip{n}.mp4", "width": 1920, "height": 1080} for n in range(100)]}
    )[:-1]
    yield ', "categories": [{"id": 1, "name": "chimp"}], "images": ['
    for n in range(images):
        image = {"id": n, "video_id": n % 100, "frame_index": n // 100, "file_name": f"{n}.jpg"}
        yield ("," if n else "") + json.dumps(image)
    yield '], "annotations": ['
    for n in range(int(1_000_000 * part)):
        box = [round(rng.uniform(1, 1000), 2) for _ in "xywh"]
        entry = {"id": n, "image_id": n * 3 // 10, "category_id": 1, "track_id": n % 7, "bbox": box, "iscrowd": 0}
        yield ("," if n else "") + json.dumps(entry)
    yield "]}"


def _mot(rng: random.Random, part: float) -> Iterator[str]:
    for n in range(int(1_000_000 * part)):
        yield f"{n // 5 + 1},{n % 7},{','.join(f'{rng.uniform(1, 1000):.2f}' for _ in 'xywh')},1,1,1\n"


def _measured(how: str, name: str, file: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.exchange.reading", how, name, str(file)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def _taken(how: str, name: str, file: str) -> dict[str, float]:
    began = time.process_time()
    if how == "ours":
        reading = import_format(name).read(Path(file), ReadOptions())
        sum(1 for _ in reading.media)
        boxes = sum(1 for _ in reading.boxes)
    else:
        with Path(file).open() as stream:
            boxes = len(json.load(stream) if file.endswith(".json") else list(csv.reader(stream)))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return {"boxes": boxes, "s": time.process_time() - began, "mb": memory}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
