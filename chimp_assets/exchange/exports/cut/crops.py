"""A folder of pictures for each individual, with crops.csv.

Belongs here: the folders and the sheet. Does not belong here: cutting (`cutting`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chimp_assets.database.files.whole_file import write_rows
from chimp_assets.exchange.exports.cut.cutting import PER_TRACK, AnimalPicture, animal_pictures, per_track_of
from chimp_assets.exchange.exports.export import Export, ExportRequest
from chimp_assets.exchange.exports.pieces.safe_names import SafeNames
from chimp_assets.exchange.exports.pieces.times import at, in_utc

UNNAMED = "unnamed"
"""Folder of tracks without a name. Codes of individuals are upper-case, so this key is nobody's."""
COLUMNS = (
    "file", "individual", "track_id", "video", "frame_no", "time_s", "moment", "day", "site", "camera", "source",
    "probability", "x", "y", "w", "h",
)  # fmt: skip


def _write(request: ExportRequest, folder: Path) -> int:
    request.tell(times="UTC; `day` is the calendar day where the cameras are", boxes="fractions of the frame")
    per_track = per_track_of(request)
    with request.read() as conn, (folder / "crops.csv").open("wb") as stream:
        return write_rows(stream, COLUMNS, _rows(folder, animal_pictures(conn, request, per_track)))


def _rows(folder: Path, pictures: Iterator[AnimalPicture]) -> Iterator[list[Any]]:
    names = SafeNames()
    names.of(UNNAMED)  # taken first, whoever else is called so
    for one in pictures:
        path = f"{names.of(one.track.anim_id or UNNAMED)}/{one.key}.jpg"
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(one.jpeg)
        yield [
            path, one.track.anim_id, one.track.track_id, one.file, one.box.frame_no, round(one.frame.time_s, 3),
            in_utc(at(one.film.recorded_at, one.frame.time_s)), one.film.recorded_on, one.film.site, one.film.camera,
            one.track.source, one.track.probability, one.box.x, one.box.y, one.box.w, one.box.h,
        ]  # fmt: skip


EXPORT = Export(
    "A folder of pictures for each individual, and crops.csv, which says track, time, camera and probability of each.",
    "",
    _write,
    folder=True,
    options=(PER_TRACK,),
)
