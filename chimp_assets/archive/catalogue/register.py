"""Rows for files that a listing found: new videos, new versions, and the bundles they go to.

Belongs here: inserting into `video` and `bundle`. Does not belong here: which files are new (`discover`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from chimp_assets.archive.catalogue.burst_files import files_are_gone
from chimp_assets.archive.catalogue.file_names import bundle_folder_of, distinct_slug_of, place_of, slug_of
from chimp_assets.archive.storage.store import BlobInfo
from chimp_assets.archive.times.rows import keep_witnesses
from chimp_assets.database import schema
from chimp_assets.database.connection import bulk
from chimp_assets.database.footage.cameras import CameraNames

_FOLDER_LENGTH = 1000
_SOME = 500
PICTURE_FACTS = ("taken", "make", "model", "serial", "latitude", "longitude")
"""Columns of `picture_fact` that a file itself fills."""


@dataclass(frozen=True)
class NewVideo:
    """A file to be registered. recorded_on: the local day; replaces: the row of the version before, or None.

    recorded_at, recorded_on, source: None where nobody knows.

    witnesses: what was seen of its time (`recording_time.Witnesses.as_text`). picture: what a picture says of itself,
    values of `picture_fact`; None for a video. is_crop: it is cut to one animal (pictures.crops), so that its folder is
    an individual and no camera.
    """

    info: BlobInfo
    recorded_at: datetime | None
    recorded_on: date | None
    source: str | None
    replaces: Any | None
    witnesses: str | None = None
    picture: Mapping[str, Any] | None = None
    is_crop: bool = False


def version_of(row: Any | None) -> int:
    """The version of a row; 0 where there is none."""
    return 0 if row is None else int(row.version)


def register(conn: sa.Connection, bundle_videos: int, videos: Sequence[NewVideo], at: datetime) -> list[str]:
    """Rows of new videos and of the bundles they need; versions they replace retire. Returns new bundle keys."""
    if not videos:
        return []
    files_are_gone(conn, [v.replaces.video_id for v in videos if v.replaces is not None], at)
    bundles = _Bundles(conn, bundle_videos, at)
    names = CameraNames(conn)
    places = [names.placed(v.info.key, *((None, None) if v.is_crop else place_of(v.info.key))) for v in videos]
    names.write(at)
    columns: dict[str, list[Any]] = {
        # A new version stays in the bundle of the old one: only that bundle runs again.
        "bundle_id": [v.replaces.bundle_id if v.replaces is not None else bundles.place(v.info.key) for v in videos],
        "uri": [v.info.key for v in videos],
        "version": [version_of(v.replaces) + 1 for v in videos],
        "bytes": [v.info.size for v in videos],
        "etag": [v.info.etag[:200] for v in videos],
        "recorded_at": [v.recorded_at for v in videos],
        "recorded_at_source": [v.source for v in videos],
        "recorded_on": [v.recorded_on for v in videos],
        "site": [site for site, _ in places],
        "camera": [camera for _, camera in places],
        "n_frames": [0] * len(videos),
        "state": ["registered"] * len(videos),
        "discovered_at": [at] * len(videos),
        "updated_at": [at] * len(videos),
    }
    bulk.insert_rows(conn, schema.video, columns)
    keep_witnesses(
        conn, [(v.info.key, version_of(v.replaces) + 1, v.witnesses) for v in videos if v.witnesses is not None]
    )
    _keep_pictures(conn, videos)
    return bundles.new_keys


def _keep_pictures(conn: sa.Connection, videos: Sequence[NewVideo]) -> None:
    pictures = {(v.info.key, version_of(v.replaces) + 1): v.picture for v in videos if v.picture is not None}
    video = schema.video.c
    uris = sorted({uri for uri, _ in pictures})
    for start in range(0, len(uris), _SOME):
        rows = conn.execute(
            sa.select(video.video_id, video.uri, video.version).where(video.uri.in_(uris[start : start + _SOME]))
        ).all()
        found = [(row.video_id, pictures[row.uri, row.version]) for row in rows if (row.uri, row.version) in pictures]
        columns: dict[str, list[Any]] = {"video_id": [video_id for video_id, _ in found]}
        columns |= {name: [facts.get(name) for _, facts in found] for name in PICTURE_FACTS}
        bulk.insert_rows(conn, schema.picture_fact, columns)


class _Bundles:
    """Finds the bundle of each new video: its folder's last one, or the next when that is full."""

    def __init__(self, conn: sa.Connection, size: int, at: datetime) -> None:
        self._conn = conn
        self._size = size
        self._at = at
        self._open: dict[str, tuple[int, str, int]] = {}  # folder: bundle_id, key, videos in it
        self.new_keys: list[str] = []

    def place(self, uri: str) -> int:
        folder = bundle_folder_of(uri)[:_FOLDER_LENGTH]
        if folder not in self._open:
            self._open[folder] = self._last_of(folder) or self._next_of(folder, None)
        bundle_id, key, n = self._open[folder]
        if n >= self._size:
            bundle_id, key, n = self._next_of(folder, key)
        self._open[folder] = (bundle_id, key, n + 1)
        return bundle_id

    def _last_of(self, folder: str) -> tuple[int, str, int] | None:
        bundle = schema.bundle.c
        rows = self._conn.execute(
            sa.select(bundle.bundle_id, bundle.bundle_key, bundle.folder)
            .where(bundle.folder == folder)
            .order_by(bundle.bundle_id.desc())
        ).all()
        # Some databases compare without regard to case.
        row = next((r for r in rows if r.folder == folder), None)
        if row is None:
            return None
        n = self._conn.execute(
            sa.select(sa.func.count()).select_from(schema.video).where(schema.video.c.bundle_id == row.bundle_id)
        ).scalar_one()
        return row.bundle_id, row.bundle_key, n

    def _next_of(self, folder: str, full: str | None) -> tuple[int, str, int]:
        if full is not None:
            name, number = full.rsplit("-", 1)
            key = f"{name}-{int(number) + 1:04d}"
        else:
            key = f"{slug_of(folder)}-0001"
        taken = sa.select(schema.bundle.c.bundle_id).where(schema.bundle.c.bundle_key == key)
        if self._conn.execute(taken).first() is not None:  # another folder has the same short name
            key = f"{distinct_slug_of(folder)}-{key.rsplit('-', 1)[1]}"
        bundle_id = bulk.insert_one(
            self._conn, schema.bundle, bundle_key=key, folder=folder, attempts=0, created_at=self._at
        )
        self.new_keys.append(key)
        return bundle_id, key, 0
