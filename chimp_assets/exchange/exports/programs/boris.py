"""A project of BORIS: each video an observation, each individual a subject, "in view" a state.

Belongs here: the project file, format version 7.0 (BORIS 7 to 9; Friard and Gamba 2016). Does not belong here: when
somebody is in view (`in_view`).

BORIS imports no events (BORIS#972, #562), so the whole project is written. Times of events are seconds of the film; an
observation's date is what the camera's clock showed. A state begins with one event and ends with the next of the same
subject and code.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from chimp_assets.exchange.exports.export import Export, ExportOption, ExportRequest
from chimp_assets.exchange.exports.footage import HandedTrack, HandedVideo
from chimp_assets.exchange.exports.pieces.animals import animals, individuals_in
from chimp_assets.exchange.exports.pieces.lives import lives_of
from chimp_assets.exchange.exports.pieces.media import film_path, is_still, media_folder
from chimp_assets.exchange.exports.pieces.times import in_zone, zone_of
from chimp_assets.exchange.exports.programs.in_view import UNNAMED, stretches

FORMAT_VERSION = "7.0"
IN_VIEW = "in view"
_PLAYERS = 8
_VARIABLES = ("site", "camera", "video_id")


def _write(request: ExportRequest, stream: BinaryIO) -> int:
    zone = zone_of(request.settings)
    request.tell(times=f"events: seconds of the film; dates: as the cameras' clocks ({zone.key})")
    n = 0
    with request.read() as conn:
        head = json.dumps(_project(conn, request), ensure_ascii=False, indent=1)
        stream.write((head[: head.rindex("}")].rstrip() + ',\n "observations": {').encode())
        for name, observation, events in _observations(conn, request, zone):
            comma = "," if n else ""
            text = f"{comma}\n  {json.dumps(name, ensure_ascii=False)}: {json.dumps(observation, ensure_ascii=False)}"
            stream.write(text.encode("utf-8", "backslashreplace"))
            n += 1
            request.count(observations=1, events=events)
        stream.write(b"\n }\n}\n")
    return n


def _project(conn: sa.Connection, request: ExportRequest) -> dict[str, Any]:
    """The project without its observations."""
    project = request.settings.project
    lives = {one.anim_id: one for one in lives_of(conn)}
    subjects = []
    for _, anim_id in individuals_in(conn, request.selection):
        life = lives[anim_id]
        subjects.append({"key": "", "name": anim_id, "description": ", ".join(filter(None, (life.name, life.sex)))})
    subjects.append({"key": "", "name": UNNAMED, "description": "animals that nobody has named, all together"})
    behaviour = {
        "type": "State event", "key": "v", "code": IN_VIEW, "description": "the individual is in the picture",
        "color": "", "category": "", "modifiers": {}, "excluded": "", "coding map": "",
    }  # fmt: skip
    variables = [
        {"label": name, "description": "", "type": "text", "default value": "", "possible values": ""}
        for name in _VARIABLES
    ]
    told = (project.description, project.citation, project.data_licence)
    return {
        "time_format": "s",
        "project_name": project.title or "",
        "project_date": f"{datetime.now(zone_of(request.settings)):%Y-%m-%dT%H:%M:%S}",
        "project_description": "\n".join(filter(None, told)),
        "project_format_version": FORMAT_VERSION,
        "subjects_conf": {str(n): one for n, one in enumerate(subjects)},
        "behaviors_conf": {"0": behaviour},
        "behavioral_categories": [],
        "behavioral_categories_config": {},
        "independent_variables": {str(n): one for n, one in enumerate(variables)},
        "coding_map": {},
        "behaviors_coding_map": [],
        "converters": {},
    }


def _observations(
    conn: sa.Connection, request: ExportRequest, zone: ZoneInfo
) -> Iterator[tuple[str, dict[str, Any], int]]:
    folder = media_folder(request)
    for film, tracks in animals(conn, request.selection):
        if is_still(film, request.settings):
            request.count(left_out_pictures=1)
            continue
        events = _events(film, tracks)
        yield f"{film.video_id} {film.uri}", _observation(film, film_path(film, folder), events, zone), len(events)


def _events(film: HandedVideo, tracks: list[HandedTrack]) -> list[list[Any]]:
    """[seconds, subject, code, modifiers, comment], by time; an end before a beginning of the same moment."""
    found: list[tuple[float, int, str, str]] = []
    for one in stretches(film, tracks):
        found.append((round(one.start_s, 3), 1, one.who, one.words))
        found.append((round(one.stop_s, 3), 0, one.who, ""))
    return [[seconds, who, IN_VIEW, "", comment] for seconds, _, who, comment in sorted(found)]


def _observation(film: HandedVideo, path: str, events: list[list[Any]], zone: ZoneInfo) -> dict[str, Any]:
    when = "" if film.recorded_at is None else f"{in_zone(film.recorded_at, zone):%Y-%m-%dT%H:%M:%S}"
    values = (film.site, film.camera, str(film.video_id))
    return {
        "file": {"1": [path], **{str(n): [] for n in range(2, _PLAYERS + 1)}},
        "type": "MEDIA",
        "date": when,
        "description": "",
        "time offset": 0.0,
        "events": events,
        "observation time interval": [0, 0],
        "independent_variables": dict(zip(_VARIABLES, (value or "" for value in values), strict=True)),
        "visualize_spectrogram": False,
        "visualize_waveform": False,
        "media_creation_date_as_offset": False,
        "media_scan_sampling_duration": 0,
        "image_display_duration": 1,
        "close_behaviors_between_videos": False,
        "media_info": {
            "length": {path: round(film.duration_s or 0.0, 3)},
            "fps": {path: round(film.avg_fps or 0.0, 3)},
            "hasVideo": {path: True},
            "hasAudio": {path: False},
            "offset": {"1": 0.0},
        },
    }


EXPORT = Export(
    "A project of BORIS: each video an observation in which individuals are in view from and to some second.",
    ".boris",
    _write,
    options=(ExportOption("media", "folder of the films where BORIS runs, put before their paths", ""),),
)
