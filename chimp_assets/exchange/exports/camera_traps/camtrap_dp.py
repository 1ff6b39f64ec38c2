"""Camera Trap Data Package (Camtrap DP 1.0.1, https://camtrap-dp.tdwg.org): deployments, media, observations, and who
the individuals are.

Belongs here: its tables. Does not belong here: its description (`data_package`), which deployment a video belongs to
(`deployments`).

A video is one event. A track is an observation of level media; an individual in a video, or how many others were in one
picture at most, is one of level event. A picture is a media file of its own, and a burst of pictures is one event.
"""

from __future__ import annotations

import json
import mimetypes
from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.parameters import rows_in_parts
from chimp_assets.exchange.exports.camera_traps.data_package import contributors, data_package
from chimp_assets.exchange.exports.camera_traps.deployments import DeploymentList, HandedDeployment, deployments
from chimp_assets.exchange.exports.export import Export, ExportError, ExportOption, ExportRequest
from chimp_assets.exchange.exports.footage import HandedTrack, HandedVideo, boxes, frames, videos
from chimp_assets.exchange.exports.places import ANYWHERE, HandedPlace, handed_place
from chimp_assets.exchange.exports.selection import UNLABELLED
from chimp_assets.exchange.exports.tables import CsvTable

DEPLOYMENT_COLUMNS = (
    "deploymentID", "locationID", "locationName", "latitude", "longitude", "coordinateUncertainty", "deploymentStart",
    "deploymentEnd", "setupBy", "cameraID", "cameraModel", "cameraDelay", "cameraHeight", "cameraDepth", "cameraTilt",
    "cameraHeading", "detectionDistance", "timestampIssues", "baitUse", "featureType", "habitat", "deploymentGroups",
    "deploymentTags", "deploymentComments",
)  # fmt: skip
MEDIA_COLUMNS = (
    "mediaID", "deploymentID", "captureMethod", "timestamp", "filePath", "filePublic", "fileName", "fileMediatype",
    "exifData", "favorite", "mediaComments",
)  # fmt: skip
OBSERVATION_COLUMNS = (
    "observationID", "deploymentID", "mediaID", "eventID", "eventStart", "eventEnd", "observationLevel",
    "observationType", "cameraSetupType", "scientificName", "count", "lifeStage", "sex", "behavior", "individualID",
    "individualPositionRadius", "individualPositionAngle", "individualSpeed", "bboxX", "bboxY", "bboxWidth",
    "bboxHeight", "classificationMethod", "classifiedBy", "classificationTimestamp", "classificationProbability",
    "observationTags", "observationComments",
)  # fmt: skip
_INDIVIDUAL_FIELDS = {
    "individualID": "string", "individualName": "string", "sex": "string", "birthDate": "date",
    "birthDateEarliest": "date", "birthDateLatest": "date", "motherID": "string", "fatherID": "string",
    "entryDate": "date", "departDate": "date", "departType": "string", "provisional": "boolean",
}  # fmt: skip
_SEXES = {"F": "female", "M": "male"}
_MEDIA_TYPES = {
    ".mp4": "video/mp4", ".m4v": "video/mp4", ".avi": "video/x-msvideo", ".mov": "video/quicktime",
    ".mkv": "video/x-matroska", ".mts": "video/mp2t", ".m2ts": "video/mp2t", ".ts": "video/mp2t",
    ".webm": "video/webm", ".heic": "image/heic", ".heif": "image/heif",
}  # fmt: skip


class _Writer:
    """The open tables of one package, and what they need."""

    def __init__(
        self, conn: sa.Connection, request: ExportRequest, there: DeploymentList, media: CsvTable, seen: CsvTable
    ) -> None:
        self._request, self._there, self._media, self._seen = request, there, media, seen
        self._conn = conn
        self._zone = ZoneInfo(request.settings.archive.timezone)
        self._species = request.settings.project.species
        self._capture = request.options["capture"]
        self._suffixes = {one.lower() for one in request.settings.pictures.suffixes}
        i, m = t.individual.c, t.model.c
        self._sex = {row.individual_id: _SEXES.get(row.sex) for row in conn.execute(sa.select(i.individual_id, i.sex))}
        self._models = {
            row.model_id: f"{row.name} {row.version}" for row in conn.execute(sa.select(m.model_id, m.name, m.version))
        }
        self.named: set[int] = set()
        self.blanks = request.selection.is_of_videos

    def video(self, video: HandedVideo) -> None:
        """All rows of a video."""
        if video.state not in ("decoded", "tracked"):
            self._request.count(left_out_not_decoded=1)
            return
        deployment = self._there.of(video)
        if deployment is None or video.recorded_at is None:
            self._request.count(left_out_without_time=1)
            return
        begins = video.recorded_at.replace(microsecond=0)
        common = {
            "deploymentID": deployment.key,
            "eventID": f"event {video.video_id}",
            "eventStart": self._moment(begins),
            "eventEnd": self._moment(begins + timedelta(seconds=video.duration_s or 0)),
        }
        answered = self._answered(video.tracks)
        pictures = PurePosixPath(video.uri).suffix.lower() in self._suffixes
        if pictures:
            self._pictures(video, deployment, begins, answered, common)
        else:
            self._file(str(video.video_id), deployment, begins, video.uri)
            for track in video.tracks:
                span = {
                    "eventStart": self._moment(begins + timedelta(seconds=track.first_s)),
                    "eventEnd": self._moment(begins + timedelta(seconds=track.last_s)),
                }
                self._observe(str(track.track_id), common | span, track, answered, mediaID=str(video.video_id))
        self._event(video, answered, common)

    def _pictures(
        self, video: HandedVideo, deployment: HandedDeployment, begins: datetime, answered: dict[str, Any],
        common: dict[str, Any],
    ) -> None:  # fmt: skip
        """A picture or a burst: a file for each frame, an observation for each box."""
        media: dict[int, str] = {}
        at: dict[int, str] = {}
        for frame in frames(self._conn, video):
            moment = begins + timedelta(seconds=frame.time_s)
            media[frame.frame_no], at[frame.frame_no] = f"{video.video_id}.{frame.frame_no}", self._moment(moment)
            self._file(media[frame.frame_no], deployment, moment, frame.uri or video.uri)
        of = {track.track_id: track for track in video.tracks}
        for box in boxes(self._conn, video):
            size = {"bboxWidth": min(box.w, 1 - box.x), "bboxHeight": min(box.h, 1 - box.y)}
            where: dict[str, float] = {"bboxX": box.x, "bboxY": box.y, **size}
            span = {"eventStart": at[box.frame_no], "eventEnd": at[box.frame_no]}
            more: dict[str, Any] = {name: round(value, 6) for name, value in where.items()}
            self._observe(
                f"{box.track_id}.{box.frame_no}", common | span, of[box.track_id], answered,
                mediaID=media[box.frame_no], **more,
            )  # fmt: skip

    def _event(self, video: HandedVideo, answered: dict[str, Any], common: dict[str, Any]) -> None:
        """Who was in the video: each named individual once, others by how many were there at one moment at most."""
        key = f"event {video.video_id}"
        named: dict[int, list[HandedTrack]] = defaultdict(list)
        for track in video.tracks:
            if track.individual_id is not None:
                named[track.individual_id].append(track)
        for tracks in named.values():
            best = max(tracks, key=lambda one: (one.source == "person", one.probability or 0))
            self._observe(f"{key} {best.anim_id}", common, best, answered, level="event", tags=tracks, count=1)
        others: dict[str, list[HandedTrack]] = defaultdict(list)
        for track in video.tracks:
            if track.individual_id is None:
                others[track.status].append(track)
        for status, tracks in sorted(others.items()):
            n = _at_once(tracks)
            self._observe(f"{key} {status}", common, tracks[0], answered, level="event", tags=tracks, count=n)
        if not video.tracks and self.blanks:
            kind = "blank" if video.state == "tracked" else "unclassified"
            self._seen.write(
                **common, observationID=f"{key} {kind}", observationLevel="event", observationType=kind,
                **({"classificationMethod": "machine"} if kind == "blank" else {}),
            )  # fmt: skip

    def _observe(
        self, key: str, common: dict[str, Any], track: HandedTrack, answered: dict[str, Any], *, level: str = "media",
        tags: Sequence[HandedTrack] = (), **more: Any,
    ) -> None:  # fmt: skip
        animal = track.status not in ("not_animal", "bad_box")
        by_person = track.source in ("person", "volunteers")
        if track.individual_id is not None:
            self.named.add(track.individual_id)
        self._seen.write(
            **{"count": 1, **common, **more},
            observationID=key,
            observationLevel=level,
            observationType="animal" if animal else "unknown" if track.status == "bad_box" else "blank",
            scientificName=self._species if animal and track.status != UNLABELLED else None,
            individualID=track.anim_id,
            sex=self._sex.get(track.individual_id) if track.individual_id is not None else None,
            classificationMethod="human" if by_person else "machine",
            classifiedBy=None if by_person else self._models.get(track.model_id or 0),
            classificationTimestamp=answered.get(track.annotation_id or ""),
            classificationProbability=None
            if by_person or track.probability is None
            else round(min(1.0, track.probability), 6),
            observationTags=" | ".join(f"track:{one.track_id}" for one in (tags or (track,))),
        )

    def _file(self, key: str, deployment: HandedDeployment, at: datetime, uri: str) -> None:
        self._media.write(
            mediaID=key, deploymentID=deployment.key, captureMethod=self._capture, timestamp=self._moment(at),
            filePath=file_path(uri), filePublic=False, fileName=PurePosixPath(uri).name, fileMediatype=media_type(uri),
        )  # fmt: skip

    def _answered(self, tracks: Sequence[HandedTrack]) -> dict[str, Any]:
        """When people said what they said, by annotation_id."""
        a = t.annotation.c
        wanted = {track.annotation_id for track in tracks if track.annotation_id}
        rows = rows_in_parts(
            self._conn,
            lambda part: sa.select(a.annotation_id, a.server_time).where(a.annotation_id.in_(part)),
            wanted,
        )
        return {row.annotation_id: self._moment(row.server_time) for row in rows}

    def _moment(self, at: datetime) -> str:
        """A moment on the clock of the cameras, with its zone."""
        return at.astimezone(self._zone).replace(microsecond=0).isoformat()


def file_path(uri: str) -> str:
    """A path of the archive as the standard lets it be: no point at its beginning, no two in a row."""
    safe = uri.replace("..", "%2E%2E")
    return quote(safe[0], safe="/").replace(".", "%2E").replace("~", "%7E") + safe[1:] if safe[:1] in ".~/" else safe


def media_type(uri: str) -> str:
    """The media type of a file by its name."""
    suffix = PurePosixPath(uri).suffix.lower()
    guessed = _MEDIA_TYPES.get(suffix) or mimetypes.types_map.get(suffix, "")
    return guessed if guessed.startswith(("image/", "video/")) else "video/mp4"


def _at_once(tracks: Sequence[HandedTrack]) -> int:
    """How many of them there were at one moment, at most."""
    return max(sum(other.first_s <= one.first_s <= other.last_s for other in tracks) for one in tracks)


def _given_place(request: ExportRequest) -> HandedPlace | None:
    text = request.options["place"]
    if not text:
        return None
    try:
        latitude, longitude = (float(part) for part in text.split(","))
        uncertainty = int(request.options["place_uncertainty"])
    except ValueError:
        uncertainty = latitude = longitude = -1000
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180 and uncertainty > 0):
        raise ExportError(
            f"The place of the study cannot be read: place={text}, place_uncertainty="
            f"{request.options['place_uncertainty']}.",
            "Write --set place=-4.12,29.65 (degrees) and --set place_uncertainty=5000 (metres).",
        )
    place = handed_place(latitude, longitude, request.exact_places)
    assert place is not None
    return HandedPlace(place.latitude, place.longitude, max(uncertainty, place.uncertainty_m), place.precision)


def _write_deployments(
    folder: Path, request: ExportRequest, there: DeploymentList, elsewhere: HandedPlace | None
) -> list[HandedPlace]:
    """deployments.csv. Returns the places that are known."""
    zone, places, lost = ZoneInfo(request.settings.archive.timezone), [], []
    with CsvTable(folder / "deployments.csv", DEPLOYMENT_COLUMNS) as table:
        for one in there.all():
            place = one.place or elsewhere
            if place is None:
                lost.append(one.location)
            else:
                places.append(place)
            shown = place or ANYWHERE
            told = [] if place else ["coordinates unknown: the circle is the whole Earth"]
            told += [] if one.known else ["days of the first and the last video: nobody has recorded a deployment"]
            table.write(
                deploymentID=one.key, locationID=one.location, locationName=one.location,
                latitude=shown.latitude, longitude=shown.longitude, coordinateUncertainty=shown.uncertainty_m,
                deploymentStart=_midnight(one.first, zone),
                deploymentEnd=_midnight(one.last + timedelta(days=1), zone, before=True),
                cameraID=one.location if one.camera else None,
                timestampIssues=one.doubtful,
                deploymentComments="; ".join([*told, *([one.note] if one.note else [])]) or None,
            )  # fmt: skip
        request.count(deployments=table.n)
    if lost:
        request.count(deployments_without_coordinates=len(lost))
        some = ", ".join(sorted(set(lost))[:5]) + (", ..." if len(set(lost)) > 5 else "")
        request.note(
            f"Of {len(lost)} deployments nobody has said the coordinates ({some}): they stand at 0, 0 with the whole "
            "Earth as uncertainty. Import coordinates with `chimp effort import`, or give the place of the study with "
            "--set place=LATITUDE,LONGITUDE."
        )
    return places


def _midnight(day: date, zone: ZoneInfo, before: bool = False) -> str:
    at = datetime.combine(day, time(), zone) - timedelta(seconds=1 if before else 0)
    return at.isoformat()


def _write_individuals(conn: sa.Connection, folder: Path, named: set[int]) -> dict[str, Any]:
    """individuals.csv, of those who stand in observations. Returns its description, with its schema."""
    i, mother, father = t.individual.c, t.individual.alias("mother"), t.individual.alias("father")
    joined = t.individual.outerjoin(mother, mother.c.individual_id == i.mom_id).outerjoin(
        father, father.c.individual_id == i.dad_id
    )

    def wanted(part: list[int]) -> sa.Select[Any]:
        return (
            sa.select(t.individual, mother.c.anim_id.label("mother"), father.c.anim_id.label("father"))
            .select_from(joined)
            .where(i.individual_id.in_(part))
        )

    with CsvTable(folder / "individuals.csv", tuple(_INDIVIDUAL_FIELDS)) as table:
        for row in sorted(rows_in_parts(conn, wanted, named), key=lambda row: str(row.anim_id)):
            table.write(
                individualID=row.anim_id, individualName=row.name, sex=_SEXES.get(row.sex), birthDate=row.birth_date,
                birthDateEarliest=row.bd_min, birthDateLatest=row.bd_max, motherID=row.mother, fatherID=row.father,
                entryDate=row.entry_date, departDate=row.depart_date, departType=row.depart_type,
                provisional=bool(row.provisional),
            )  # fmt: skip
    fields = [{"name": name, "type": kind} for name, kind in _INDIVIDUAL_FIELDS.items()]
    return {
        "name": "individuals", "path": "individuals.csv", "profile": "tabular-data-resource", "format": "csv",
        "mediatype": "text/csv", "encoding": "utf-8",
        "description": "Who the individuals are: observations.individualID. No table of Camtrap DP itself.",
        "schema": {"fields": fields, "primaryKey": "individualID"},
    }  # fmt: skip


def _write(request: ExportRequest, folder: Path) -> int:
    contributors(request.settings.project)  # before any work: a role may be wrong
    elsewhere = _given_place(request)
    with request.read() as conn:
        there = deployments(conn, request)
        with (
            CsvTable(folder / "media.csv", MEDIA_COLUMNS) as media,
            CsvTable(folder / "observations.csv", OBSERVATION_COLUMNS) as seen,
        ):
            writer = _Writer(conn, request, there, media, seen)
            for video in videos(conn, request.selection, without_tracks=writer.blanks):
                writer.video(video)
            request.count(media=media.n, observations=seen.n, individuals=len(writer.named))
        places = _write_deployments(folder, request, there, elsewhere)
        individuals = _write_individuals(conn, folder, writer.named)
    found = there.all()
    if not found:
        raise ExportError(
            "There is no deployment and no video with a day in this selection.",
            "Widen it, or say times: `chimp times`.",
        )
    days = (min(one.first for one in found), max(one.last for one in found))
    described = data_package(
        request.settings.project, request.options["capture"], days, places, individuals, request.selection.words
    )
    text = json.dumps(described, ensure_ascii=False, indent=2) + "\n"
    (folder / "datapackage.json").write_text(text, encoding="utf-8")
    return seen.n


EXPORT = Export(
    "Camtrap DP 1.0: deployments, media files, observations and individuals, as GBIF, Agouti and R's camtrapdp read "
    "them.",
    "",
    _write,
    folder=True,
    options=(
        ExportOption("capture", "how cameras were triggered", "activityDetection", ("activityDetection", "timeLapse")),
        ExportOption("place", "LATITUDE,LONGITUDE of the study, for cameras whose own are not known", ""),
        ExportOption("place_uncertainty", "metres around it", "10000"),
    ),
    needs=("title", "species", "sampling_design", "contributors", "data_licence", "media_licence"),
)
