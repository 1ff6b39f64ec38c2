"""A folder for Wildbook's bulk import: pictures, and sheets with its column names.

Belongs here: sheets as its documentation says (Bulk Import, Fields Available; Wildbook#343). Does not belong here:
cutting (`cutting`).

A track is an encounter; encounters of one video are one sighting. Wildbook takes 200 encounters a sheet, file names of
letters, digits and points, no empty columns, and the time where the animal was, which is the cameras' own.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from chimp_assets.database.files.whole_file import write_rows
from chimp_assets.exchange.exports.cut.cutting import PER_TRACK, AnimalPicture, animal_pictures, per_track_of
from chimp_assets.exchange.exports.export import Export, ExportError, ExportRequest
from chimp_assets.exchange.exports.pieces.animals import place_of
from chimp_assets.exchange.exports.pieces.lives import lives_of
from chimp_assets.exchange.exports.pieces.times import at, in_zone, zone_of

ENCOUNTERS_OF_A_SHEET = 200
_SEX = {"M": "male", "F": "female"}


def _write(request: ExportRequest, folder: Path) -> int:
    genus, _, epithet = (request.settings.project.species or "").strip().partition(" ")
    if not epithet:
        raise ExportError(
            f"The setting project.species is {request.settings.project.species!r}.",
            "Wildbook wants genus and epithet, such as Pan troglodytes.",
        )
    request.tell(times=f"as the cameras' clocks: {zone_of(request.settings).key}", encounter="a track")
    per_track = per_track_of(request)
    columns = _columns(per_track)
    images = folder / "images"
    images.mkdir()
    with request.read() as conn:
        lives = {one.anim_id: (one.name, one.sex) for one in lives_of(conn)}
        pictures = animal_pictures(conn, request, per_track)
        rows = (_row(request, mine, per_track, lives, (genus, epithet)) for mine in _encounters(pictures, images))
        n = 0
        for number in itertools.count(1):
            part = list(itertools.islice(rows, ENCOUNTERS_OF_A_SHEET))
            if not part and number > 1:
                return n
            with (folder / f"wildbook-{number:04d}.csv").open("wb") as stream:
                n += write_rows(stream, columns, part)
    return n


def _columns(per_track: int) -> tuple[str, ...]:
    return (
        *(f"Encounter.mediaAsset{n}" for n in range(per_track)),
        "MarkedIndividual.individualID", "MarkedIndividual.nickname", "Encounter.genus", "Encounter.specificEpithet",
        "Encounter.sex", "Encounter.year", "Encounter.month", "Encounter.day", "Encounter.hour", "Encounter.minutes",
        "Encounter.verbatimLocality", "Encounter.sightingID", "Encounter.state", "Encounter.otherCatalogNumbers",
        "Encounter.researcherComments",
    )  # fmt: skip


def _encounters(pictures: Iterator[AnimalPicture], images: Path) -> Iterator[list[tuple[str, AnimalPicture]]]:
    """Pictures by track, written; those of one video wait until all of its tracks are complete."""
    for _, of_video in itertools.groupby(pictures, key=lambda one: one.film.video_id):
        tracks: dict[int, list[tuple[str, AnimalPicture]]] = {}
        for one in of_video:
            name = f"t{one.track.track_id}f{one.box.frame_no}.jpg"
            (images / name).write_bytes(one.jpeg)
            tracks.setdefault(one.track.track_id, []).append((name, replace(one, jpeg=b"")))
        yield from tracks.values()


def _row(
    request: ExportRequest,
    mine: list[tuple[str, AnimalPicture]],
    per_track: int,
    lives: dict[str, tuple[str | None, str]],
    species: tuple[str, str],
) -> list[Any]:
    one = mine[0][1]
    name, sex = lives.get(one.track.anim_id or "", (None, "U"))
    moment = at(one.film.recorded_at, one.frame.time_s)
    local = None if moment is None else in_zone(moment, zone_of(request.settings))
    day = local or one.film.recorded_on
    by_person = one.track.source == "person"
    said = ""
    if one.track.anim_id is not None and not by_person:
        who = "volunteers who agree" if one.track.source == "volunteers" else "a model"
        said = f"named by {who}, probability {one.track.probability:.3f}"
    files = [file for file, _ in mine]
    return [
        *files, *[None] * (per_track - len(files)), one.track.anim_id, name, *species, _SEX.get(sex, "unknown"),
        day and day.year, day and day.month, day and day.day, local and local.hour, local and local.minute,
        place_of(one.film.site, one.film.camera), f"video-{one.film.video_id}",
        "approved" if by_person else "unapproved", one.track.track_id, said,
    ]  # fmt: skip


EXPORT = Export(
    "Pictures and sheets of encounters with the column names of Wildbook's bulk import.",
    "",
    _write,
    folder=True,
    options=(PER_TRACK,),
    needs=("species",),
)
