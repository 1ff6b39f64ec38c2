"""How long a folder of JPEGs takes to be listed and decoded with its days: `python -m benchmarks.pictures [FOLDER]`.

Belongs here: copies of real pictures with EXIF written into them, one home, seconds beside the target, and the foil:
the same pictures opened by Pillow alone, one after the other. Does not belong here: what the rows say (tests).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import sqlalchemy as sa
from PIL import ExifTags, Image

from chimp_assets.archive.catalogue.discover import discover
from chimp_assets.archive.ingest import decode_bundle
from chimp_assets.database import schema as t
from chimp_assets.home import Home, init_home
from chimp_assets.vision.tracking.bundle import track_bundle
from chimp_assets_tests.paths import SHARED_DATA

TARGET_S = 120.0
"""For 1,718 pictures (`identity/cow`)."""
FIRST = datetime(2023, 5, 6, 6, 0, 0)
BURST = 3


def dated_copies(source: Path, folder: Path) -> tuple[int, int]:
    """(pictures, bursts): bursts of three pictures a second apart, each ten minutes after the one before."""
    pictures = sorted(source.rglob("*.jpg"))
    for n, path in enumerate(pictures):
        taken = FIRST + timedelta(minutes=10 * (n // BURST), seconds=n % BURST)
        tags = Image.Exif()
        tags[271], tags[272] = "RECONYX", "HYPERFIRE 2"
        tags.get_ifd(ExifTags.IFD.Exif)[36867] = f"{taken:%Y:%m:%d %H:%M:%S}"
        target = folder / "cam1" / f"IMG_{n:05d}.JPG"
        target.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(path) as image:
            image.convert("RGB").save(target, quality=92, exif=tags)
    return len(pictures), -(-len(pictures) // BURST)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=SHARED_DATA / "identity" / "cow")
    source = parser.parse_args().folder
    if not source.is_dir():
        print(f"{source} is not there: name a folder of JPEGs.")
        return 2
    with tempfile.TemporaryDirectory() as scratch:
        archive = Path(scratch) / "archive"
        n, bursts = dated_copies(source, archive)
        began = time.monotonic()
        for path in sorted(archive.rglob("*.JPG")):
            with Image.open(path) as image:
                np.asarray(image)
        foil_s = time.monotonic() - began
        init_home(Path(scratch) / "home", str(archive))
        home = Home.open(Path(scratch) / "home", detect={"detector": "whole_picture"})
        began = time.monotonic()
        found = discover(home.database, home.archive, home.settings)
        listed_s = time.monotonic() - began
        for key in found.new_bundles:
            decode_bundle(home.database, home.archive, home.store, key, home.settings)
        decoded_s = time.monotonic() - began - listed_s
        for key in found.new_bundles:
            track_bundle(home.database, home.store, key, home.settings)
        tracked_s = time.monotonic() - began - listed_s - decoded_s
        wrong, clips = _checked(home)
    total_s = listed_s + decoded_s
    print(
        f"{n:,} JPEGs: listed {listed_s:.1f} s, decoded {decoded_s:.1f} s (tracks, whole pictures: {tracked_s:.1f} s)"
    )
    print(f"Pillow alone, one process: {foil_s:.1f} s. Clips {clips:,} (bursts of {BURST}: {bursts:,}, cut at bundles)")
    print(f"wrong days: {wrong}. Listed and decoded in {total_s:.1f} s; target {TARGET_S * n / 1718:.1f} s")
    return 0 if total_s <= TARGET_S * n / 1718 and wrong == 0 else 1


def _checked(home: Home) -> tuple[int, int]:
    """(pictures whose time is not that of their EXIF, clips)."""
    v = t.video.c
    with home.database.read() as conn:
        rows = conn.execute(sa.select(v.uri, v.recorded_at, v.recorded_at_source)).all()
        clips = conn.scalar(sa.select(sa.func.count()).where(v.state.in_(("decoded", "tracked")))) or 0
    wrong = 0
    for row in rows:
        n = int(Path(row.uri).stem.removeprefix("IMG_"))
        taken = (FIRST + timedelta(minutes=10 * (n // BURST), seconds=n % BURST)).replace(tzinfo=UTC)
        wrong += (row.recorded_at, row.recorded_at_source) != (taken, "exif")
    return wrong, clips


if __name__ == "__main__":
    sys.exit(main())
