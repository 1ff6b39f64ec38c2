"""A folder for wildlife-datasets and MegaDescriptor: pictures of individuals and metadata.csv.

Belongs here: the table as `wildlife_datasets.datasets.WildlifeDataset` reads it (Čermák et al. 2024, version 1.0).
Does not belong here: cutting (`cutting`).

Its columns: `image_id` unique, `identity` (`unknown` where nobody knows), `path` from the folder, `bbox` [x, y, w, h]
in pixels of the file at `path`, `date`. Others stand beside them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from chimp_assets.database.files.whole_file import write_rows
from chimp_assets.exchange.exports.cut.cutting import (
    PER_TRACK,
    PICTURES,
    AnimalPicture,
    animal_pictures,
    per_track_of,
    split_of,
)
from chimp_assets.exchange.exports.export import Export, ExportRequest
from chimp_assets.exchange.exports.pieces.safe_names import SafeNames
from chimp_assets.exchange.exports.pieces.times import at, in_utc

UNKNOWN = "unknown"
COLUMNS = (
    "image_id", "identity", "path", "bbox", "date", "split", "site", "camera", "day", "species", "track_id", "video",
    "time_s", "source", "probability",
)  # fmt: skip


def _write(request: ExportRequest, folder: Path) -> int:
    request.tell(
        times="UTC; `day` is the calendar day where the cameras are",
        split="by camera and day: no day of a camera is in two",
        bbox="[x, y, w, h] in pixels of the file at `path`",
    )
    per_track = per_track_of(request)
    with request.read() as conn, (folder / "metadata.csv").open("wb") as stream:
        pictures = animal_pictures(conn, request, per_track, request.options["pictures"] == "frames")
        return write_rows(stream, COLUMNS, _rows(conn, request, folder, pictures))


def _rows(
    conn: sa.Connection, request: ExportRequest, folder: Path, pictures: Iterator[AnimalPicture]
) -> Iterator[list[Any]]:
    whole = request.options["pictures"] == "frames"
    names, written, last = SafeNames(), "", (-1, "")
    for one in pictures:
        identity = one.track.anim_id or UNKNOWN
        if whole:
            path = f"images/{one.film.video_id}/{one.box.frame_no}.jpg"
        else:
            path = f"images/{names.of(identity)}/{one.key}.jpg"
        if path != written:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(one.jpeg)
            written = path
        if last[0] != one.film.video_id:
            last = one.film.video_id, split_of(conn, one.film.video_id)
        yield [
            one.key, identity, path, f"[{one.x}, {one.y}, {one.w}, {one.h}]",
            in_utc(at(one.film.recorded_at, one.frame.time_s)), last[1], one.film.site, one.film.camera,
            one.film.recorded_on, request.settings.project.species, one.track.track_id, one.file,
            round(one.frame.time_s, 3), one.track.source, one.track.probability,
        ]  # fmt: skip


EXPORT = Export(
    "Pictures of individuals with metadata.csv, for wildlife-datasets, MegaDescriptor and WildlifeTools.",
    "",
    _write,
    folder=True,
    options=(PER_TRACK, PICTURES),
)
