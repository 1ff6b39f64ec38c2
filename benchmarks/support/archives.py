"""Generated archives to measure on: made once, kept beside each other, with a picture for every byte range.

Belongs here: where they lie, and the store that stands in for 600 GB of pictures. Does not belong here: how they are
made (`generation`), what is measured.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import simplejpeg

from benchmarks.support.generation import generate
from chimp_assets.archive.catalogue.discover import discover
from chimp_assets.archive.ingest import decode_bundle
from chimp_assets.archive.storage.store import BlobStore
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.work import due
from chimp_assets.demo.truth import ArchiveTruth
from chimp_assets.home import Home, init_home

SIZES = {"1M": 1_000_000, "3M": 3_000_000, "10M": 10_000_000, "30M": 30_000_000}


def folder() -> Path:
    """Where archives are kept: CHIMP_BENCH_ARCHIVES, else below the temporary folder. 30M takes 5 GB."""
    return Path(os.environ.get("CHIMP_BENCH_ARCHIVES") or Path(tempfile.gettempdir()) / "chimp-benchmark-archives")


def archive(name: str) -> Database:
    """The SQLite archive `1M`, `10M` or `30M`; generated first if it is not there (about 15 s a million frames)."""
    file = folder() / f"{name}.db"
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(f"part-{name}.db")
        partial.unlink(missing_ok=True)
        db = Database(f"sqlite:///{partial}")
        generate(db, SIZES[name])
        with db.engine.connect() as conn:
            conn.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        db.dispose()
        partial.replace(file)
    return Database(f"sqlite:///{file}")


def decoded(place: Path) -> tuple[Home, ArchiveTruth]:
    """A new home at place/home with the decoded videos of place/archive, and what place/truth.json says of them."""
    home = init_home(place / "home", archive_url=(place / "archive").resolve().as_uri())
    discover(home.database, home.archive, home.settings)
    with home.database.read() as conn:
        keys = list(due.unfinished_bundles(conn, None))
    for key in keys:
        decode_bundle(home.database, home.archive, home.store, key, home.settings)
    return home, ArchiveTruth.load(place / "truth.json")


class OnePictureStore(BlobStore):
    """A store in which every range of every blob is the same JPEG, each time in bytes of its own."""

    def __init__(self, jpeg: bytes) -> None:
        self._jpeg = jpeg

    def __reduce__(self) -> tuple[Any, Any]:
        return OnePictureStore, (self._jpeg,)

    def get_ranges(self, key: str, starts: Sequence[int], lengths: Sequence[int]) -> list[bytes]:
        return [bytes(bytearray(self._jpeg)) for _ in starts]


def jpeg(width: int, height: int) -> bytes:
    """A smooth picture, as the product would store it; of 640 x 360 about 20 kB."""
    rng = np.random.default_rng(1)
    coarse = rng.integers(28, 228, (7, 12, 3), dtype=np.uint8)
    picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    encoded: bytes = simplejpeg.encode_jpeg(picture, quality=85, colorspace="RGB", colorsubsampling="420")
    return encoded
