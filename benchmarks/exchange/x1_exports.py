"""X1: hand on a million boxes of tracks as COCO and as MOT, from a generated archive in SQLite.

Ours is `chimp export` without the command line: all boxes of the archive of 1 M frames, with sidecar and hashes. The
peer writes boxes as most converters do: every row as a dict, then `json.dump`; it makes no tracks, times and names.
Each runs in a process of its own, once: seconds on the clock, with CPU seconds beside them (a busy machine
shows the difference), and the peak of its memory, imports and all.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from benchmarks.exchange.children import measured
from benchmarks.support.archives import archive
from benchmarks.support.harness import Row, cores
from chimp_assets.database import schema
from chimp_assets.database.connection.engine import Database

SECONDS, MIB = 60.0, 400
BOXES = 1_000_000
FORMATS = ("coco", "mot")


def measure() -> Iterator[Row]:
    """Time and memory of each format."""
    url = archive("1M").url
    found = {name: measured("x1_exports", name, url) for name in (*FORMATS, "plain")}
    for name in FORMATS:
        own, peer = found[name], found["plain"]
        rate, theirs = own["boxes"] / own["wall_s"], peer["boxes"] / peer["wall_s"]
        seconds = BOXES / rate
        yield Row(
            "X1", f"{own['boxes']:,.0f} boxes to {name}, for a million", seconds, "s",
            {"dicts and json.dump": BOXES / theirs, "CPU s of ours": own["cpu_s"] / own["boxes"] * BOXES},
            {"dicts and json.dump": theirs / rate},
            f"<= {SECONDS:g} s", seconds <= SECONDS, 1, 0.0, cores(),
        )  # fmt: skip
        yield Row(
            "X1", f"peak memory of {own['boxes']:,.0f} boxes to {name}", own["peak_mib"], "MiB",
            {"dicts and json.dump": peer["peak_mib"]}, {"dicts and json.dump": own["peak_mib"] / peer["peak_mib"]},
            f"<= {MIB} MiB", own["peak_mib"] <= MIB, 1, 0.0, cores(),
        )  # fmt: skip


def _ours(name: str, db: Database, out: Path) -> int:
    from chimp_assets.exchange.exports import export
    from chimp_assets.exchange.exports.export import ExportRequest, write_export
    from chimp_assets.settings import Settings

    request = ExportRequest(db, Settings())
    write_export(export(name), request, out / export(name).file_name(name), name=name)
    counts = request.facts["counts"]
    return int(counts["annotations" if name == "coco" else "boxes"])


def _plain(db: Database, out: Path) -> int:
    d = schema.detection.c
    wanted = sa.select(d.video_id, d.frame_no, d.track_id, d.x, d.y, d.w, d.h).limit(BOXES)
    with db.read() as conn:
        rows = [
            {
                "id": n, "image_id": f"{row.video_id}/{row.frame_no}", "track_id": row.track_id,
                "bbox": [row.x * 640, row.y * 360, row.w * 640, row.h * 360],
            }
            for n, row in enumerate(conn.execute(wanted))
        ]  # fmt: skip
    with (out / "plain.json").open("w") as stream:
        json.dump({"annotations": rows}, stream)
    return len(rows)


def _run(name: str, url: str) -> None:
    db = Database(url)
    with tempfile.TemporaryDirectory() as folder:
        began, cpu_began = time.perf_counter(), time.process_time()
        n = _plain(db, Path(folder)) if name == "plain" else _ours(name, db, Path(folder))
        wall_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu_began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"boxes": n, "wall_s": wall_s, "cpu_s": cpu_s, "peak_mib": peak}))


if __name__ == "__main__":
    given = argparse.ArgumentParser()
    given.add_argument("name")
    given.add_argument("url")
    asked = given.parse_args()
    _run(asked.name, asked.url)
