"""Media and boxes of a COCO file.

Belongs here: annotations, and who they say was seen. Does not belong here: what they refer to (`index`).

The file is read four times: for the index (so a damaged one is refused by `read` itself), for pictures, for the order
of annotations, for annotations. Nothing of a pass is kept but the index.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chimp_assets.exchange.imports.annotations import Box, Medium, Reading, ReadOptions
from chimp_assets.exchange.imports.coco.index import STILL, CocoIndex, id_of, read_index
from chimp_assets.exchange.imports.reading.gaps import LookedAt
from chimp_assets.exchange.imports.reading.json_stream import json_entries
from chimp_assets.exchange.imports.reading.sources import Source, broken, file_source
from chimp_assets.exchange.imports.reading.values import (
    INDIVIDUAL,
    TRACK,
    EntryError,
    LeftOut,
    attribute,
    convention,
    corners,
    frame_of,
    has_size,
    path_of,
    plain,
    share,
    size_of,
    text_of,
)

# An annotation's `id` is its own, and its attributes may call an individual so.
_OF_ANNOTATION = tuple(name for name in INDIVIDUAL if name != "id")
_EMPTY = frozenset({"empty", "blank"})


def read(path: Path, options: ReadOptions) -> Reading:
    """A COCO file. Raises ImportFileError."""
    source = file_source(path)
    index = read_index(source, options)
    base, said_by, note = index.frame_base()
    notes = [note] if note and options.frame_base is None else []
    if index.calls_frames and options.video is None:
        notes.append("Pictures are called frame_000000 and so on: if they are of one video, say which with --video")
    base, who = convention(options, base, said_by)
    return Reading(_media(source, index), _boxes(source, index, base, notes), base, who, notes)


def _media(source: Source, index: CocoIndex) -> Iterator[Medium]:
    yield from index.videos.values()
    if STILL not in index.images.values():
        return
    for _, key, image in json_entries(source, ("images",)):
        try:
            one = id_of(image.get("id"), "its id")
            if index.images[one] == STILL:
                path = path_of(image.get("file_name"), "its file_name")
                yield Medium(
                    f"image {one}",
                    path,
                    size_of(image.get("width"), "width"),
                    size_of(image.get("height"), "height"),
                    site=_text(image.get("location")),
                )
        except EntryError as error:
            raise broken(source.name, f"images[{key}]", str(error)) from None


def _boxes(source: Source, index: CocoIndex, base: int, notes: list[str]) -> Iterator[Box]:
    left = LeftOut()
    looked = _looked_at(source, index, base)
    for _, key, entry in json_entries(source, ("annotations",)):
        place = f"annotations[{key}]"
        try:
            if type(entry) is not dict:
                raise EntryError("it is not an object")
            box = _box(entry, index, base, left, place)
        except EntryError as error:
            raise broken(source.name, place, str(error)) from None
        if box is not None:
            yield from looked.before(box)
            yield box
    notes += left.sentences()


def _looked_at(source: Source, index: CocoIndex, base: int) -> LookedAt:
    """The images of each video, and whether boxes of a track follow each other. Empty without tracks in videos."""
    looked = LookedAt()
    if not index.videos:
        return looked
    for image in index.images:
        medium, number, time_s = index.medium_of(image)
        if number is not None or time_s is not None:
            looked.add(medium, number - base if time_s is None and number is not None else time_s or 0.0)
    for _, _, entry in json_entries(source, ("annotations",)):
        try:
            medium, number, time_s = index.medium_of(id_of(entry.get("image_id"), "its image_id"))
            track = entry.get("track_id", entry.get("instance_id"))
        except (EntryError, AttributeError):
            continue  # whoever reads the boxes says where
        if track is not None and (number is not None or time_s is not None):
            looked.follow(medium, str(track), number - base if number is not None else time_s or 0.0)
    return looked


def _box(entry: dict[str, Any], index: CocoIndex, base: int, left: LeftOut, place: str) -> Box | None:
    if "image_id" not in entry and "bboxes" in entry:
        raise EntryError("it holds a whole track (as YouTube-VIS), not a box of one image")
    medium, number, time_s = index.medium_of(id_of(entry.get("image_id"), "its image_id"))
    frame = None if number is None else frame_of(number, base)
    track, individual = _who(entry, index)
    if individual is None and track in index.machine_names:
        left.add("boxes of tracks that a model named (their names)", place)
    category_id = entry.get("category_id")
    if category_id is None and track is not None:
        category_id = index.track_categories.get(track)
    category = None if category_id is None else index.categories.get(id_of(category_id, "its category_id"))
    if entry.get("segmentation"):
        left.add("outlines and masks (their boxes are taken)", place)
    if entry.get("iscrowd") == 1:
        left.add("groups that are drawn as one (iscrowd)", place)
        return None
    x = y = w = h = None
    if entry.get("bbox"):
        x, y, w, h = corners(entry["bbox"])
        if not has_size(w, h):
            left.add("boxes without width or height", place)
            return None
    elif entry.get("segmentation") or entry.get("keypoints"):
        left.add("annotations without a box", place)
        return None
    elif category is not None and category.lower() in _EMPTY:
        left.add("statements that a picture is empty", place)
        return None
    score = next((share(entry[name], name) for name in ("score", "conf") if entry.get(name) is not None), None)
    return Box(
        medium, time_s=time_s, frame=frame, x=x, y=y, w=w, h=h, score=score, track=track, individual=individual,
        category=category, place=place,
    )  # fmt: skip


def _who(entry: dict[str, Any], index: CocoIndex) -> tuple[str | None, str | None]:
    """Track and individual of an annotation: what itself says, else its attributes, else its track."""
    own = {plain(name): value for name, value in entry.items() if type(value) is not dict}
    several = own.get("individualids")  # Wildbook's
    if type(several) is list and len(several) == 1:
        own["individualid"] = several[0]
    inner = entry.get("attributes")
    attributes = {plain(name): value for name, value in inner.items()} if type(inner) is dict else {}
    track = attribute(own, TRACK, "its") or attribute(attributes, TRACK, "its attribute")
    individual = attribute(own, _OF_ANNOTATION, "its") or attribute(attributes, INDIVIDUAL, "its attribute")
    if individual is None and track is not None:
        individual = index.track_names.get(track)
    return track, individual


def _text(value: Any) -> str | None:
    return text_of(value, "its location") if type(value) in (str, int) else None
