"""VIA 1 and 2: regions on pictures, of a project or of an export of its annotations.

Belongs here: entries with `filename`, `regions`, `file_attributes`. Does not belong here: VIA 3 (`videos`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chimp_assets.exchange.imports.annotations import Box, Medium
from chimp_assets.exchange.imports.reading.json_stream import json_entries
from chimp_assets.exchange.imports.reading.sources import Source, broken, shown
from chimp_assets.exchange.imports.reading.values import (
    CATEGORY,
    INDIVIDUAL,
    TRACK,
    EntryError,
    LeftOut,
    attribute,
    has_size,
    path_of,
    plain,
)
from chimp_assets.exchange.imports.via.shapes import named_shape

_METADATA = "_via_img_metadata"


def media(source: Source, whole: bool) -> Iterator[Medium]:
    """Pictures. whole: the file is a project, not an export."""
    for key, image in _images(source, whole):
        try:
            path = path_of(image.get("filename"), "its filename")
        except EntryError as error:
            raise broken(source.name, shown(key), str(error)) from None
        yield Medium(key, path)


def boxes(source: Source, whole: bool, notes: list[str]) -> Iterator[Box]:
    """Regions, and pictures whose attributes name an individual."""
    left = LeftOut()
    for key, image in _images(source, whole):
        where = shown(key)
        try:
            whose = plain_attributes(image.get("file_attributes"))
            individual = attribute(whose, INDIVIDUAL, "the attribute")
            if individual is not None:
                yield Box(key, individual=individual, category=attribute(whose, CATEGORY, "the"), place=where)
            for index, region in enumerate(_regions(image)):
                box = _box(key, region, left, f"{where}, region {index}")
                if box is not None:
                    yield box
        except EntryError as error:
            raise broken(source.name, where, str(error)) from None
    notes += left.sentences()


def _images(source: Source, whole: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    """Keys and entries of pictures. An export has them at the top, where the reader gives their parts one by one."""
    if whole:
        for _, key, image in json_entries(source, (_METADATA,)):
            if type(image) is not dict:
                raise broken(source.name, f"{_METADATA}, {shown(key)}", "it is not an object")
            yield str(key), image
        return
    before: str | None = None
    parts: dict[str, Any] = {}
    for section, key, value in json_entries(source):
        if section != before:
            if before is not None:
                yield before, parts
            before, parts = section, {}
        parts[str(key)] = value
    if before is not None:
        yield before, parts


def _regions(image: dict[str, Any]) -> list[Any]:
    regions = image.get("regions") or []
    if type(regions) is dict:  # VIA 1
        return list(regions.values())
    if type(regions) is not list:
        raise EntryError("its regions are no list")
    return regions


def _box(medium: str, region: Any, left: LeftOut, place: str) -> Box | None:
    if type(region) is not dict:
        raise EntryError("a region is not an object")
    edges = named_shape(region.get("shape_attributes"))
    if edges is None:
        left.add("points and lines, which have no box", place)
        return None
    x, y, w, h = edges
    if not has_size(w, h):
        left.add("boxes without width or height", place)
        return None
    said = plain_attributes(region.get("region_attributes"))
    return Box(
        medium, x=x, y=y, w=w, h=h, track=attribute(said, TRACK, "the attribute"),
        individual=attribute(said, INDIVIDUAL, "the attribute"), category=attribute(said, CATEGORY, "the attribute"),
        place=place,
    )  # fmt: skip


def plain_attributes(attributes: Any) -> dict[str, Any]:
    """Attributes by plain name; a check box counts where one alone is ticked. Raises EntryError."""
    if attributes is None:
        return {}
    if type(attributes) is not dict:
        raise EntryError("its attributes are not an object")
    found = {}
    for name, value in attributes.items():
        if type(value) is dict:
            ticked = [option for option, on in value.items() if on is True]
            value = ticked[0] if len(ticked) == 1 else None
        if type(value) in (str, int, float):
            found[plain(name)] = value
    return found
