"""P5: memory of a loader that shuffles frames with their boxes, 1 M to 30 M frames, against pycocotools at 1 M boxes.

Ours: `SqlFrameDataset.stream` over a generated archive in SQLite. Peer: torchvision's CocoDetection over the boxes of
the 1 M archive as a COCO file of boxes only; pictures without a box are left out of it, to its advantage. Both read 200
shuffled batches of 32 in a fresh process; memory beyond the imports (`loading` says how). Pictures are left out on both
sides: all of them are one JPEG of 16 x 16. Real ones add `mix_bytes` (64 MB) to each of our processes at any size of
the archive, and a batch to each of both.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from benchmarks.support import archives
from benchmarks.support.archives import archive, jpeg
from benchmarks.support.harness import RUNS, Row, cores
from benchmarks.support.loading import median_of
from chimp_assets.database import schema
from chimp_assets.database.connection.engine import Database

FLAT = 0.10
WIDTH, HEIGHT = 640, 360


def measure() -> Iterator[Row]:
    """For 0 and for 4 workers: a row of each size, against the peer and against the smallest size."""
    coco = coco_file(archive("1M"))
    for workers in (0, 4):
        nothing = median_of(RUNS, "nothing", coco, workers)["peak_mib"] if workers else 0.0
        peer = median_of(RUNS, "coco", coco, workers)["peak_mib"] - nothing
        smallest = 0.0
        for name in archives.SIZES:
            file = archive(name).file
            assert file is not None
            found = median_of(RUNS, "ours", file, workers)
            own = found["peak_mib"] - nothing
            smallest = smallest or own
            yield Row(
                "P5",
                f"memory of a loader over {name} frames with boxes, {workers} workers",
                own,
                "MiB",
                {"pycocotools, 1M boxes": peer, "ours at 1M frames": smallest},
                {"pycocotools, 1M boxes": own / peer, "ours at 1M frames": own / smallest},
                f"<= 0.10x pycocotools; within {FLAT:.0%} of 1M frames",
                own <= 0.1 * peer and abs(own / smallest - 1) <= FLAT,
                RUNS,
                found["spread"],
                cores(),
            )


def coco_file(db: Database) -> Path:
    """The boxes of an archive as a COCO file beside it, every image of it the picture `one.jpg`. Made once."""
    assert db.file is not None
    target = db.file.with_suffix(".coco.json")
    (target.parent / "one.jpg").write_bytes(jpeg(16, 16))
    if not target.is_file():
        partial = target.with_name(f"part-{target.name}")
        with partial.open("w") as text:
            text.write('{"categories": [{"id": 1, "name": "animal"}], "annotations": [')
            images: list[str] = []
            for number, (image, first, box) in enumerate(_boxes(db)):
                if first:
                    entry = {"id": image, "file_name": "one.jpg", "width": WIDTH, "height": HEIGHT}
                    images.append(json.dumps(entry))
                annotation = {"id": number + 1, "image_id": image, "category_id": 1, "bbox": box, "iscrowd": 0}
                text.write(("," if number else "") + json.dumps(annotation | {"area": box[2] * box[3]}))
            text.write(f'], "images": [{",".join(images)}]}}')
        partial.replace(target)
    return target


def _boxes(db: Database) -> Iterator[tuple[int, bool, list[float]]]:
    """(number of the image, whether it is its first box, x y w h in pixels)."""
    d = schema.detection.c
    statement = sa.select(d.video_id, d.frame_no, d.x, d.y, d.w, d.h).order_by(d.video_id, d.frame_no)
    image, last = 0, None
    with db.read() as conn:
        for video_id, frame_no, x, y, w, h in conn.execute(statement.execution_options(yield_per=10_000)):
            first = (video_id, frame_no) != last
            image, last = image + first, (video_id, frame_no)
            yield image, first, [round(v, 2) for v in (x * WIDTH, y * HEIGHT, w * WIDTH, h * HEIGHT)]
