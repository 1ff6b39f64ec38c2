"""K: kill -9 at 50 random moments of `chimp ingest`, with its children or without, then run again.

Each kill comes at a random moment of the time that an undisturbed ingest takes; a home that ends in spite of the kills
is compared with the undisturbed one (all rows, all shard bytes), its store is swept, and the next home begins.
No timing: met means that nothing was ever lost, doubled, or left without being swept.

A second row, K2, kills what `chimp up` runs (`kills_up`). `python -m benchmarks.kills --kills 50` measures that alone.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.rows.kills_up import measure_up
from benchmarks.support.harness import Row, cores, show
from chimp_assets.archive.storage.store import BlobStore
from chimp_assets.database import schema
from chimp_assets.demo.archive import make_archive
from chimp_assets.home import init_home
from chimp_assets_tests.archive import ffmpeg
from chimp_assets_tests.cli.ingest_runs import blobs, command, environment, rows

KILLS = 50
_TOML = """\
[archive]
bundle_videos = 3
[decode]
split_s = 20
shard_bytes = 200000
[embed]
min_tracks = 2
[acquisition]
batch = 10
"""


def measure() -> Iterator[Row]:
    """Kills survived by `chimp ingest`, and by `chimp up`."""
    yield from _measure_ingest()
    yield from measure_up(KILLS)


def _measure_ingest() -> Iterator[Row]:
    rng = random.Random(1)
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        archive = root / "archive"
        make_archive(archive, root / "truth.json", individuals=3, cameras=1, days=1, clips=5, seconds=4)
        ffmpeg.film(archive / "long.mkv", "-c:v", "libx264", "-preset", "ultrafast", "-g", "50", seconds=60)
        began = time.perf_counter()
        calm = _home(root / "calm")
        subprocess.run(_ingest(archive), env=environment(calm), check=True, stdout=subprocess.DEVNULL)
        longest_s = time.perf_counter() - began
        expected_rows, expected_blobs = rows(calm), blobs(calm)
        kills = homes = swept = 0
        equal = True
        while kills < KILLS:
            homes += 1
            folder = _home(root / f"home{homes}")
            while kills < KILLS and _killed(folder, archive, rng.uniform(0, longest_s), rng.random() < 0.5):
                kills += 1
            subprocess.run(_ingest(archive), env=environment(folder), check=True, stdout=subprocess.DEVNULL)
            swept += _sweep(folder)
            equal = equal and rows(folder) == expected_rows and blobs(folder) == expected_blobs
            equal = equal and not list((folder / "store").rglob(".part-*"))
        yield Row(
            "K", f"kill -9 at random moments, {homes} homes, {swept} files swept", kills, "kills",
            {"undisturbed ingest, s": longest_s}, {}, "rows and bytes equal to an undisturbed run", equal, 1, 0.0,
            cores(),
        )  # fmt: skip


def _home(folder: Path) -> Path:
    init_home(folder, toml=_TOML)
    return folder


def _ingest(archive: Path) -> list[str]:
    return command("ingest", str(archive), "--json")


def _killed(folder: Path, archive: Path, after_s: float, with_children: bool) -> bool:
    """Start an ingest and kill it at that moment; False if it ended before."""
    process = subprocess.Popen(
        _ingest(archive), env=environment(folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        process.wait(after_s)
        return False
    except subprocess.TimeoutExpired:
        if with_children:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        return process.wait() == -signal.SIGKILL


def _sweep(folder: Path) -> int:
    """Sweep the store and require that every file left in it is named by a row; returns how many were swept."""
    before = _shards(folder)
    sweep = command("doctor", "--sweep", "--older-than", "0", "--json")
    subprocess.run(sweep, env=environment(folder), check=False, stdout=subprocess.DEVNULL)
    left = _shards(folder)
    columns = [column.name for column in schema.frame_shard.columns]
    named = {row[columns.index("uri")] for row in rows(folder)["frame_shard"]}
    assert left == named, left ^ named
    return len(before) - len(left)


def _shards(folder: Path) -> set[str]:
    return {info.key for info in BlobStore.open((folder / "store").as_uri()).list("shards")}


def main() -> None:
    """Kill what `chimp up` runs, so often."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    show(measure_up(given.kills, given.seed))


if __name__ == "__main__":
    main()
