"""P3: peak memory of ingest on 1, 10 and 60 minutes of 1080p, in one pass and in parts.

Each run is a fresh process that decodes a bundle of one video into a store and a database, with its decoding children;
the larger of the parent's and the largest child's peak resident size is shown. The film has 5 pictures a second, all of
them kept: as many rows, JPEGs and shards as 25 pictures a second sampled at 5, in a fifth of the time.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.support import clips
from benchmarks.support.harness import Row, cores

LIMIT_MB = 400
MINUTES = (1, 10, 60)


def measure() -> Iterator[Row]:
    """A row for each way of decoding."""
    for way, split_s in (("in parts", 30.0), ("in one pass", 1e9)):
        peaks: dict[int, float] = {}
        for minutes in MINUTES:
            clip = clips.repeated(clips.generated(5), minutes)
            with tempfile.TemporaryDirectory() as folder:
                (Path(folder) / "archive").mkdir()
                (Path(folder) / "archive" / "film.mp4").symlink_to(clip)
                command = [sys.executable, "-m", "benchmarks.rows.p3_memory", folder, str(split_s)]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            found = json.loads(done.stdout)
            assert found["frames"] == minutes * 300
            peaks[minutes] = max(found["parent_mb"], found["child_mb"])
        least, most = min(peaks.values()), max(peaks.values())
        yield Row(
            "P3",
            f"peak memory of an ingest process, {MINUTES[-1]} minutes of 1080p {way}",
            peaks[MINUTES[-1]],
            "MB",
            {f"{minutes} min": peak for minutes, peak in peaks.items()},
            {f"{MINUTES[0]} min": peaks[MINUTES[-1]] / peaks[MINUTES[0]]},
            f"<= {LIMIT_MB} MB, 60 min as 1 min +-10 %",
            most <= LIMIT_MB and abs(peaks[MINUTES[-1]] / peaks[MINUTES[0]] - 1) <= 0.1,
            1,
            (most - least) / least,
            cores(),
        )


def _ingest(folder: str, split_s: float) -> None:
    from chimp_assets.archive.catalogue.discover import discover
    from chimp_assets.archive.ingest import decode_bundle
    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.database.connection.engine import Database
    from chimp_assets.database.upkeep.migrations import upgrade
    from chimp_assets.settings import load_settings

    home = Path(folder) / "home"
    home.mkdir()
    settings = load_settings(home, archive_url=str(Path(folder) / "archive"), decode={"split_s": split_s})
    db = Database(settings.database_url)
    upgrade(db)
    archive, store = BlobStore.open(str(settings.archive_url)), BlobStore.open(settings.store_url, create=True)
    (bundle,) = discover(db, archive, settings).new_bundles
    done = decode_bundle(db, archive, store, bundle, settings)
    own, child = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    # Linux counts in KiB, macOS in bytes.
    unit = 1024 if os.uname().sysname == "Linux" else 1
    print(json.dumps({"frames": done.frames, "parent_mb": own * unit / 1e6, "child_mb": child * unit / 1e6}))


if __name__ == "__main__":
    _ingest(sys.argv[1], float(sys.argv[2]))
