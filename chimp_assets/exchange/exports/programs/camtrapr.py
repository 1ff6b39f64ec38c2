"""A record table of camtrapR: independent records of individuals or of the species at a station.

Belongs here: the table as `recordTable` and `recordTableIndividual` of camtrapR 2.3 make it (Niedballa et al. 2016;
camtraptor#36). Does not belong here: who is seen (`sql/views/v_sighting.sql`).

camtrapR works with the digits that cameras show, so times are in their zone. Records of one station and individual (or
species) are in order; one is independent if it comes minDeltaTime minutes after the last independent record (or after
the last record), and only independent ones are kept; n_images counts the videos that it stands for. Of several records
of one second one is kept (`removeDuplicateRecords`). delta.time is rounded as camtrapR does: seconds to whole ones, the
others to one decimal, each from the one before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from pathlib import PurePosixPath
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.files.whole_file import write_rows
from chimp_assets.exchange.exports.export import Export, ExportError, ExportOption, ExportRequest
from chimp_assets.exchange.exports.pieces.animals import NO_ANIMAL, place_of
from chimp_assets.exchange.exports.pieces.times import in_zone, zone_of

COLUMNS = (
    "Station", "Camera", "Species", "Individual", "DateTimeOriginal", "Date", "Time", "delta.time.secs",
    "delta.time.mins", "delta.time.hours", "delta.time.days", "Directory", "FileName", "n_images",
    "metadata_probability", "metadata_source", "metadata_video_id",
)  # fmt: skip


@dataclass(slots=True)
class CameraRecord:
    """A video with an individual. when: the digits of the camera's clock; n: videos that it stands for; apart_s:
    seconds from the one before it (0: the first)."""

    moment: datetime
    when: datetime
    station: str
    camera: str | None
    individual: str | None
    uri: str
    video_id: int
    probability: float | None
    source: str | None
    n: int = 1
    apart_s: float = field(default=0.0)


def _write(request: ExportRequest, stream: BinaryIO) -> int:
    zone = zone_of(request.settings)
    least_s = 60 * _minutes(request)
    request.tell(
        times=f"as the cameras' clocks: {zone.key}",
        station="site and camera" if request.options["station"] == "camera" else "site",
        independence=f"{request.options['minDeltaTime']} minutes after {request.options['deltaTimeComparedTo']}",
    )
    with request.read() as conn:
        _count_without_time(conn, request)
        kept = _independent(request, _records(conn, request, zone), least_s)
        return write_rows(stream, COLUMNS, (_row(one, request.settings.project.species) for one in kept))


def _minutes(request: ExportRequest) -> int:
    text = request.options["minDeltaTime"]
    if not text.isascii() or not text.isdigit() or len(text) > 7:
        raise ExportError(
            f"The option minDeltaTime is {text!r}.", "It is a whole number of minutes, 0 for all records."
        )
    return int(text)


def _seen(request: ExportRequest) -> sa.Select[Any]:
    """A row for each chosen track of an animal; only named ones where records are of individuals."""
    chosen = request.selection.tracks().subquery("chosen")
    video, track = t.video.c, t.track.c
    statement = (
        sa.select(
            video.site, video.camera, chosen.c.anim_id, video.recorded_at, video.video_id, video.uri,
            chosen.c.probability, chosen.c.source, track.n_detections,
        )
        .join_from(chosen, t.track, track.track_id == chosen.c.track_id)
        .join(t.video, video.video_id == chosen.c.video_id)
        .where(chosen.c.status.not_in(NO_ANIMAL))
    )  # fmt: skip
    return statement.where(chosen.c.individual_id.is_not(None)) if _by_individual(request) else statement


def _by_individual(request: ExportRequest) -> bool:
    return request.options["records"] == "individuals"


def _count_without_time(conn: sa.Connection, request: ExportRequest) -> None:
    rows = _seen(request).where(t.video.c.recorded_at.is_(None)).with_only_columns(t.video.c.video_id).distinct()
    n = conn.scalar(sa.select(sa.func.count()).select_from(rows.subquery("undated"))) or 0
    if n:
        request.count(left_out_videos_without_time=int(n))


def _records(conn: sa.Connection, request: ExportRequest, zone: ZoneInfo) -> Iterator[CameraRecord]:
    """Records by station, individual and time, one for each video."""
    by_site, of_individuals = request.options["station"] == "site", _by_individual(request)
    video = t.video.c
    rows = _seen(request).where(video.recorded_at.is_not(None))
    statement = rows.order_by(
        video.site, *(() if by_site else (video.camera,)),
        *((rows.selected_columns["anim_id"],) if of_individuals else ()),
        video.recorded_at, video.video_id,
    )  # fmt: skip
    found = conn.execution_options(yield_per=2_000).execute(statement)
    for _, group in groupby(found, key=lambda row: (row.video_id, row.anim_id if of_individuals else None)):
        mine = list(group)
        first = mine[0]
        station = first.site or first.camera or "" if by_site else place_of(first.site, first.camera).replace("/", "_")
        moment = first.recorded_at.replace(microsecond=0)
        boxes = sum(row.n_detections for row in mine)
        named = of_individuals
        yield CameraRecord(
            moment, in_zone(moment, zone), station, first.camera,
            first.anim_id if named else None, first.uri, first.video_id,
            sum((row.probability or 0.0) * row.n_detections for row in mine) / boxes if named else None,
            ("person" if any(row.source == "person" for row in mine) else first.source) if named else None,
        )  # fmt: skip


def _independent(request: ExportRequest, records: Iterator[CameraRecord], least_s: float) -> Iterator[CameraRecord]:
    to_last = request.options["deltaTimeComparedTo"] == "lastRecord"
    for _, group in groupby(records, key=lambda one: (one.station, one.individual)):
        kept = last = next(group)
        for one in group:  # noqa: B031 (goes on behind the first)
            if one.moment == last.moment:
                request.count(left_out_of_one_second=1)
                continue
            apart = (one.moment - (last if to_last else kept).moment).total_seconds()
            last = one
            if apart >= least_s:
                yield kept
                one.apart_s, kept = apart, one
            else:
                kept.n += 1
        yield kept


def _row(one: CameraRecord, species: str | None) -> list[Any]:
    seconds = round(one.apart_s)
    minutes = round(seconds / 60, 1)
    hours = round(minutes / 60, 1)
    path = PurePosixPath(one.uri)
    return [
        one.station, one.camera, species, one.individual, f"{one.when:%Y-%m-%d %H:%M:%S}", one.when.date(),
        f"{one.when:%H:%M:%S}", seconds, minutes, hours, round(hours / 24, 1), str(path.parent), path.name, one.n,
        None if one.probability is None else round(one.probability, 6), one.source, one.video_id,
    ]  # fmt: skip


EXPORT = Export(
    "A record table for camtrapR: independent records of each individual, or of the species, at each station.",
    ".csv",
    _write,
    options=(
        ExportOption("records", "of each individual, or of the species whoever it is", "individuals",
                     ("individuals", "species")),
        ExportOption("minDeltaTime", "minutes between independent records; 0: all records", "0"),
        ExportOption("deltaTimeComparedTo", "what the minutes count from", "lastIndependentRecord",
                     ("lastIndependentRecord", "lastRecord")),
        ExportOption("station", "a station is a camera, or a site with all of its cameras", "camera",
                     ("camera", "site")),
    ),
    needs=("species",),
)  # fmt: skip
