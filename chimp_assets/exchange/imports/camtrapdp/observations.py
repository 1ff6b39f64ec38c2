"""Media and observations of a Camtrap DP.

Belongs here: what columns of the three tables mean (Camtrap DP 1.0.1). Does not belong here: finding the tables
(`package`).

A box is in fractions of the picture, and in a video stands where `eventStart` lies after the file's `timestamp`. An
observation of an event is taken where the event holds one file alone that has none of its own: of several it does not
say which one shows the animal. A name that a machine gave is no answer of a person, and is left out. A tag `track:7`,
which our own export writes, keeps boxes of one animal together. How damage is found: media and deployments are read to
their ends by `read` itself, observations for the boxes.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from chimp_assets.exchange.imports.annotations import Box, Medium, Reading, ReadOptions
from chimp_assets.exchange.imports.camtrapdp.package import tables
from chimp_assets.exchange.imports.reading.rows import table_rows
from chimp_assets.exchange.imports.reading.sources import Source, broken, shown
from chimp_assets.exchange.imports.reading.values import (
    PICTURES,
    EntryError,
    LeftOut,
    convention,
    has_size,
    moment_of,
    path_of,
    seconds_of,
    share,
    suffix_of,
    text_of,
    written_number,
)

_EDGES = ("bboxX", "bboxY", "bboxWidth", "bboxHeight")
_NEEDED = ("observationID", "deploymentID", "observationLevel", "observationType")
_TRACK = re.compile(r"track:([^|]{1,100})")
_ABOUT_NOTHING = frozenset({"blank", "unclassified"})
# Files whose time is known to the second may begin a little after the event that they show.
_ROUNDING_S = 1.0


@dataclass(frozen=True, slots=True)
class _File:
    """What observations need of a medium. begins_s: its timestamp, since 1970."""

    deployment: str
    begins_s: float | None
    is_video: bool


@dataclass
class _Package:
    """What observations refer to. media: by id; observed: ids of those with observations of their own. The media of
    each deployment are put in the order of their times when an event first asks for them.
    """

    media: dict[str, _File] = field(default_factory=dict)
    observed: set[str] = field(default_factory=set)
    _ordered: dict[str, list[tuple[float, str]]] | None = None

    def within(self, deployment: str, start_s: float, end_s: float) -> list[str]:
        """Ids of at most two media of the deployment that begin in a time."""
        if self._ordered is None:
            self._ordered = {}
            for one, file in self.media.items():
                if file.begins_s is not None:
                    self._ordered.setdefault(file.deployment, []).append((file.begins_s, one))
            for files in self._ordered.values():
                files.sort()
        files = self._ordered.get(deployment, [])
        first = bisect_left(files, (start_s, ""))
        return [one for begins_s, one in files[first : first + 2] if begins_s <= end_s]


def read(path: Path, options: ReadOptions) -> Reading:
    """A package. Raises ImportFileError."""
    found = tables(path)
    sites = _sites(found["deployments"])
    package = _Package()
    for medium, file in _media(found["media"], sites):
        if medium.key in package.media:
            raise broken(found["media"].name, shown(medium.key), "this mediaID is there twice")
        package.media[medium.key] = file
    for _, row in table_rows(found["observations"], _NEEDED):
        if row["observationLevel"] == "media" and row.get("mediaID") in package.media:
            package.observed.add(row["mediaID"])
    base, said_by = convention(options, 0)
    notes = ["Not taken in: places, dates and settings of deployments"] if sites else []
    media = (medium for medium, _ in _media(found["media"], sites))
    return Reading(media, _boxes(found["observations"], package, notes), base, said_by, notes)


def _sites(source: Source) -> dict[str, tuple[str | None, str | None]]:
    """Site and camera of each deployment."""
    found: dict[str, tuple[str | None, str | None]] = {}
    for line, row in table_rows(source, ("deploymentID",)):
        try:
            one = text_of(row["deploymentID"], "deploymentID")
            site = text_of(row.get("locationName") or row.get("locationID"), "locationName")
            camera = text_of(row.get("cameraID"), "cameraID")
        except EntryError as error:
            raise broken(source.name, f"line {line}", str(error)) from None
        if one is None or one in found:
            raise broken(source.name, f"line {line}", "its deploymentID is missing or there twice")
        found[one] = site, camera
    return found


def _media(source: Source, sites: dict[str, tuple[str | None, str | None]]) -> Iterator[tuple[Medium, _File]]:
    for line, row in table_rows(source, ("mediaID", "deploymentID", "timestamp", "filePath")):
        try:
            one = text_of(row["mediaID"], "mediaID")
            deployment = text_of(row["deploymentID"], "deploymentID")
            path = path_of(row["filePath"], "filePath")
            if path.startswith(("http://", "https://")) and row.get("fileName"):
                path = path_of(row["fileName"], "fileName")
            begins = moment_of(row["timestamp"], "timestamp")
            if one is None or deployment not in sites:
                raise EntryError("its mediaID is missing, or its deploymentID is that of no deployment")
        except EntryError as error:
            raise broken(source.name, f"line {line}", str(error)) from None
        kind = row.get("fileMediatype") or ""
        is_video = kind.startswith("video/") or (not kind.startswith("image/") and suffix_of(path) not in PICTURES)
        site, camera = sites[deployment]
        yield (
            Medium(one, path, recorded_at=begins, site=site, camera=camera),
            _File(deployment, seconds_of(begins) if begins else None, is_video),
        )


def _boxes(source: Source, package: _Package, notes: list[str]) -> Iterator[Box]:
    left = LeftOut()
    for line, row in table_rows(source, _NEEDED):
        place = f"line {line}"
        try:
            yield from _boxes_of(row, package, left, place)
        except EntryError as error:
            raise broken(source.name, place, str(error)) from None
    notes += left.sentences()


def _boxes_of(row: dict[str, str], package: _Package, left: LeftOut, place: str) -> Iterator[Box]:
    kind = row["observationType"]
    if kind in _ABOUT_NOTHING:
        left.add(f"observations of type {kind}", place)
        return
    start, end = (moment_of(row.get(name), name) for name in ("eventStart", "eventEnd"))
    medium = text_of(row.get("mediaID"), "mediaID")
    if medium is None:
        inside = (
            package.within(row["deploymentID"], seconds_of(start), seconds_of(end) + _ROUNDING_S)
            if start and end
            else []
        )
        if len(inside) != 1:
            left.add("observations of events that hold several files or none, so that it is not said which one", place)
            return
        medium = inside[0]
        if medium in package.observed:
            left.add("summaries of events whose file has observations of its own", place)
            return
    file = package.media.get(medium)
    if file is None:
        raise EntryError(f"its mediaID {shown(medium)} is that of no file in media")
    edges = _edges(row)
    if edges and not has_size(edges[2], edges[3]):
        left.add("boxes without width or height", place)
        return
    x, y, w, h = edges or (None, None, None, None)
    individual = text_of(row.get("individualID"), "individualID")
    if individual is not None and row.get("classificationMethod") == "machine":
        left.add("names that a machine gave", place)
        individual = None
    if row.get("count") not in (None, "", "1"):
        left.add("counts of animals", place)
    tracks = _TRACK.findall(row.get("observationTags") or "")
    chance = row.get("classificationProbability")
    category = text_of(row.get("scientificName"), "scientificName") or kind or None
    time_s = None
    if file.is_video and edges:
        if start is None or file.begins_s is None or seconds_of(start) < file.begins_s:
            left.add("boxes in videos that do not say when", place)
            return
        time_s = seconds_of(start) - file.begins_s
    yield Box(
        medium,
        time_s=time_s,
        x=x,
        y=y,
        w=w,
        h=h,
        unit="fraction",
        score=share(written_number(chance, "classificationProbability"), "its probability") if chance else None,
        track=text_of(tracks[0].strip(), "the track") if len(tracks) == 1 and edges else None,
        individual=individual,
        category=category,
        annotator=text_of(row.get("classifiedBy"), "classifiedBy"),
        place=place,
    )


def _edges(row: dict[str, str]) -> tuple[float, float, float, float] | None:
    """x, y, w, h in fractions; None without a box. Raises EntryError where only some are there."""
    said = [row.get(name) or "" for name in _EDGES]
    if not any(said):
        return None
    x, y, w, h = (share(written_number(text, name), name) for text, name in zip(said, _EDGES, strict=True))
    return x, y, w, h
