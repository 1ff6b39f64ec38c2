"""MegaDetector's results: the batch JSON that MegaDetector, AddaxAI and SpeciesNet write and Timelapse reads.

Belongs here: format versions 1.0 to 1.6 (lila.science/megadetector-output-format). Does not belong here: COCO Camera
Traps, whose boxes are pixels (`coco`).

Boxes are [x, y, w, h] in fractions, from the top left; `frame_number` counts the pictures of a video from 0. Files of
before 1.4 may hold a video as pictures, VIDEO.mp4/frame000010.jpg, or its detections without frames. How damage is
found: the file is read to its end for the media, again for the boxes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chimp_assets.exchange.imports.annotations import Box, ImportFormat, Medium, Reading, ReadOptions
from chimp_assets.exchange.imports.reading.json_stream import json_entries
from chimp_assets.exchange.imports.reading.sources import Source, broken, file_source
from chimp_assets.exchange.imports.reading.values import (
    VIDEOS,
    EntryError,
    LeftOut,
    convention,
    corners,
    frame_of,
    has_size,
    path_of,
    rate_of,
    share,
    size_of,
    suffix_of,
    text_of,
)

_FRAME_FILE = re.compile(r"(?P<video>.+)/frame_?(?P<frame>\d{1,9})\.(?:jpe?g|png)", re.IGNORECASE | re.ASCII)
# A fraction may leave the picture by what rounding does, or by a box that goes on outside.
_MOST_FRACTION = 1.5


class _File:
    """One file: its categories are known when it has been read once, since they may follow the images."""

    def __init__(self, source: Source, base: int, notes: list[str]) -> None:
        self.source, self.base, self.notes = source, base, notes
        self.categories: dict[str, str | None] | None = None

    def media(self) -> Iterator[Medium]:
        categories: dict[str, str | None] = {}
        has_images = False
        seen: set[str] = set()
        for section, key, value in json_entries(self.source, ("images", "detection_categories")):
            place = f"{section}[{key}]"
            try:
                if section == "detection_categories":
                    categories[str(key)] = text_of(value, "the name of this category")
                    continue
                has_images = True
                if key is None or type(key) is str:
                    raise EntryError("images is not a list")
                medium = _medium(value)
                if medium is None:
                    continue
                if medium.key in seen:
                    if _FRAME_FILE.fullmatch(path_of(value["file"], "file")):
                        continue
                    raise EntryError(f"{medium.path} is there twice")
            except EntryError as error:
                raise broken(self.source.name, place, str(error)) from None
            seen.add(medium.key)
            yield medium
        if not has_images and not categories:
            raise broken(
                self.source.name, "", "it has neither images nor detection_categories", "Is it MegaDetector's file?"
            )
        self.categories = categories

    def boxes(self) -> Iterator[Box]:
        if self.categories is None:
            for _ in self.media():
                pass
        left = LeftOut()
        for _, key, image in json_entries(self.source, ("images",)):
            try:
                medium = _medium(image)
                if medium is None:
                    left.add("files that the detector could not read", f"images[{key}]")
                    continue
                in_video = _FRAME_FILE.fullmatch(path_of(image["file"], "file"))
                of_file = (
                    frame_of(in_video["frame"], self.base) if in_video and in_video["video"] == medium.path else None
                )
                needs_frame = of_file is None and _is_video(image, medium.path)
                for index, detection in enumerate(_detections(image)):
                    place = f"images[{key}], detections[{index}]"
                    box = self._box(medium.key, detection, of_file, needs_frame, left, place)
                    if box is not None:
                        yield box
            except EntryError as error:
                raise broken(self.source.name, f"images[{key}]", str(error)) from None
        self.notes += left.sentences()

    def _box(
        self, medium: str, detection: Any, frame: int | None, needs_frame: bool, left: LeftOut, place: str
    ) -> Box | None:
        if type(detection) is not dict:
            raise EntryError("a detection is not an object")
        if "classifications" in detection:
            left.add("lists of a classifier's species", place)
        category = detection.get("category")
        known = (self.categories or {}).get(str(category)) if type(category) in (str, int) else None
        if known is None:
            left.add("detections of categories that the file does not name, which stand for nothing", place)
            return None
        x, y, w, h = corners(detection.get("bbox"))
        if max(abs(x), abs(y), w, h) > _MOST_FRACTION:
            raise EntryError(f"the bbox of a detection is no fraction of the picture: {detection['bbox']}")
        if not has_size(w, h):
            left.add("boxes without width or height", place)
            return None
        if frame is None and detection.get("frame_number") is not None:
            frame = frame_of(detection["frame_number"], self.base, "frame_number")
        if frame is None and needs_frame:
            left.add("detections in videos that name no frame", place)
            return None
        score = share(detection.get("conf"), "conf")
        return Box(medium, frame=frame, x=x, y=y, w=w, h=h, unit="fraction", score=score, category=known, place=place)


def _medium(image: Any) -> Medium | None:
    """The medium of an entry of images; None for one that the detector could not read. Raises EntryError."""
    if type(image) is not dict:
        raise EntryError("it is not an object")
    path = path_of(image.get("file"), "file")
    if image.get("failure") is not None or image.get("detections") is None:
        return None
    _detections(image)
    in_video = _FRAME_FILE.fullmatch(path)
    if in_video and suffix_of(in_video["video"]) in VIDEOS:
        path = in_video["video"]
    fps = rate_of(image.get("frame_rate"), "frame_rate")
    return Medium(path, path, size_of(image.get("width"), "width"), size_of(image.get("height"), "height"), fps)


def _detections(image: dict[str, Any]) -> list[Any]:
    found = image["detections"]
    if type(found) is not list:
        raise EntryError("detections is not a list")
    return found


def _is_video(image: dict[str, Any], path: str) -> bool:
    return "frame_rate" in image or "frames_processed" in image or suffix_of(path) in VIDEOS


def _read(path: Path, options: ReadOptions) -> Reading:
    notes: list[str] = []
    base, said_by = convention(options, 0)
    file = _File(file_source(path), base, notes)
    return Reading(file.media(), file.boxes(), base, said_by, notes)


IMPORT = ImportFormat(
    "MegaDetector's results as JSON (also from AddaxAI, SpeciesNet, Timelapse): boxes of a detector, without tracks.",
    (".json",),
    _read,
    is_detections=True,
)
