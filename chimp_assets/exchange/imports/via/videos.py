"""VIA 3: regions and segments of videos and pictures.

Belongs here: sections `file`, `view`, `attribute`, `metadata` of its project. Does not belong here: VIA 2 (`pictures`).

Times are seconds from the first picture: `z` of one is a moment, `z` of two a segment. A segment without a region says
that the whole picture is meant from its beginning to its end: it becomes two boxes without edges, of one track.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from chimp_assets.exchange.imports.annotations import Box, Medium
from chimp_assets.exchange.imports.reading.json_stream import json_entries
from chimp_assets.exchange.imports.reading.sources import Source, broken, shown
from chimp_assets.exchange.imports.reading.values import (
    CATEGORY,
    INDIVIDUAL,
    MOST_SECONDS,
    TRACK,
    EntryError,
    LeftOut,
    attribute,
    has_size,
    number,
    path_of,
    plain,
    text_of,
)
from chimp_assets.exchange.imports.via.shapes import numbered_shape


@dataclass
class Project:
    """What metadata refer to. files: media by file id; views: file ids by view; names, options: of attributes."""

    source: Source
    files: dict[str, Medium] = field(default_factory=dict)
    views: dict[str, list[str]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    options: dict[str, dict[str, Any]] = field(default_factory=dict)


def read_project(source: Source) -> Project:
    """Files, views and attributes. Raises ImportFileError."""
    project = Project(source)
    for section, key, entry in json_entries(source, ("file", "view", "attribute")):
        one = str(key)
        try:
            if type(entry) is not dict:
                raise EntryError("it is not an object")
            if section == "file":
                project.files[one] = Medium(one, path_of(entry.get("fname") or entry.get("src"), "its fname"))
            elif section == "view":
                ids = entry.get("fid_list")
                if type(ids) is not list or not all(type(one) in (str, int) for one in ids):
                    raise EntryError("its fid_list is no list of files")
                project.views[one] = [str(one) for one in ids]
            else:
                project.names[one] = plain(text_of(entry.get("aname"), "its aname") or "")
                options = entry.get("options")
                project.options[one] = options if type(options) is dict else {}
        except EntryError as error:
            raise broken(source.name, f"{section}, {shown(one)}", str(error)) from None
    return project


def media(project: Project) -> Iterator[Medium]:
    """Every file of the project."""
    yield from project.files.values()


def boxes(project: Project, notes: list[str]) -> Iterator[Box]:
    """Every region and segment."""
    left = LeftOut()
    for _, key, entry in json_entries(project.source, ("metadata",)):
        place = f"metadata, {shown(key)}"
        try:
            if type(entry) is not dict:
                raise EntryError("it is not an object")
            yield from _boxes_of(project, str(key), entry, left, place)
        except EntryError as error:
            raise broken(project.source.name, place, str(error)) from None
    notes += left.sentences()


def _boxes_of(project: Project, key: str, entry: dict[str, Any], left: LeftOut, place: str) -> Iterator[Box]:
    files = project.views.get(str(entry.get("vid")))
    if files is None:
        raise EntryError(f"it belongs to view {shown(entry.get('vid'))}, which the file does not hold")
    if len(files) != 1:
        left.add("notes on several files at once", place)
        return
    if files[0] not in project.files:
        raise EntryError(f"it lies on file {shown(files[0])}, which the project does not hold")
    z, xy = entry.get("z") or [], entry.get("xy") or []
    if type(z) is not list or type(xy) is not list:
        raise EntryError("its z or xy is no list")
    times = [number(one, "z", MOST_SECONDS) for one in z]
    if any(one < 0 for one in times) or sorted(times) != times or len(times) > 2:
        raise EntryError(f"its z is no moment and no segment: {shown(z)}")
    said = _attributes(project, entry.get("av"))
    individual, category = attribute(said, INDIVIDUAL, "the"), attribute(said, CATEGORY, "the")
    track = attribute(said, TRACK, "the attribute")
    edges = numbered_shape(xy) if xy else None
    if xy and edges is None:
        left.add("points and lines, which have no box", place)
        return
    if not xy and individual is None and category is None:
        left.add("times and files without an individual or a category", place)
        return
    x, y, w, h = edges or (None, None, None, None)
    if w is not None and h is not None and not has_size(w, h):
        left.add("boxes without width or height", place)
        return
    if len(times) == 2:
        track = track or key
    moments: list[float | None] = [*times] or [None]
    for time_s in moments:
        yield Box(
            files[0], time_s=time_s, x=x, y=y, w=w, h=h, track=track, individual=individual, category=category,
            place=place,
        )  # fmt: skip


def _attributes(project: Project, values: Any) -> dict[str, Any]:
    """Values by plain name; an option stands for its text. Raises EntryError."""
    if values is None:
        return {}
    if type(values) is not dict:
        raise EntryError("its av is not an object")
    found = {}
    for one, value in values.items():
        option = project.options.get(one, {}).get(str(value)) if type(value) in (str, int) else None
        found[project.names.get(one, plain(one))] = option if type(option) is str and option else value
    return {name: value for name, value in found.items() if type(value) in (str, int, float)}
