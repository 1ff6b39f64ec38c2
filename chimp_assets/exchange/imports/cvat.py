"""CVAT's XML 1.1, for video (tracks) and for images (boxes), of a task, a job or a project.

Belongs here: `annotations.xml` as CVAT exports it. Does not belong here: CVAT's other exports (`coco`, `mot`).

Frames are counted from 0 and are those of the file, also where a task takes every Nth or begins later: CVAT writes
start_frame + i * step (`abs_frame_id` of its `bindings.py`). A visible box is written for each frame of a track;
`outside` says that the animal left. Where only keyframes were written (other programs), the frames between two of them
lie on a straight line, as CVAT draws them. How damage is found: the file is read to its end for the media, again for
the boxes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from chimp_assets.exchange.imports.annotations import Box, ImportFormat, Medium, Reading, ReadOptions
from chimp_assets.exchange.imports.reading.sources import Source, broken, file_source, shown
from chimp_assets.exchange.imports.reading.values import (
    INDIVIDUAL,
    PICTURES,
    EntryError,
    LeftOut,
    attribute,
    convention,
    frame_of,
    has_size,
    path_of,
    plain,
    size_of,
    sized,
    suffix_of,
    text_of,
    written_number,
)
from chimp_assets.exchange.imports.reading.xml_stream import xml_events

_FRAME_NAME = re.compile(r"frame_\d{6,}(?:\.\w{3,4})?", re.IGNORECASE | re.ASCII)
_SHAPES = frozenset({"polygon", "polyline", "points", "cuboid", "mask", "skeleton", "ellipse"})
MOST_BETWEEN = 5_000_000
"""Boxes between keyframes of one file: 2,000 tracks of two minutes. More is a frame number gone wrong."""


@dataclass
class _Task:
    """What the head says of a task or job. key: its id in a project, else "task"."""

    key: str = "task"
    name: str | None = None
    source: str | None = None
    width: int | None = None
    height: int | None = None
    step: int = 1


@dataclass
class _Shape:
    """A box or tag element while it is open."""

    box: Box
    keyframe: bool
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass
class _Parent:
    """The track or image that is open. frame: of an image that is a frame of a video; last: shape of a track."""

    medium: Medium
    frame: int | None = None
    track: str | None = None
    label: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    last: _Shape | None = None


class _Pass:
    """One reading of the file, element by element."""

    def __init__(self, source: Source, options: ReadOptions, base: int, left: LeftOut) -> None:
        self.source, self.options, self.base, self.left = source, options, base, left
        self.tasks: dict[str, _Task] = {}
        self._path: list[str] = []
        self._task_open = _Task()
        self._parent: _Parent | None = None
        self._shape: _Shape | None = None
        self._attribute = ""
        self._known: set[str] = set()
        self._between = 0

    def found(self) -> Iterator[Medium | Box]:
        """Media before their first boxes, and boxes."""
        for kind, tag, attributes, text, line in xml_events(self.source):
            place = f"line {line}"
            try:
                if kind == "start":
                    self._path.append(tag)
                    self._start(tag, attributes, place)
                    medium = self._parent.medium if self._parent else None
                    if medium is not None and medium.key not in self._known:
                        self._known.add(medium.key)
                        yield medium
                else:
                    self._path.pop()
                    yield from self._end(tag, text, place)
            except EntryError as error:
                raise broken(self.source.name, place, str(error)) from None

    def _start(self, tag: str, attributes: dict[str, str], place: str) -> None:
        inside = self._path[-2] if len(self._path) > 1 else ""
        if not inside and tag != "annotations":
            raise EntryError(f"the file begins with <{shown(tag)}>, not with <annotations>")
        if "meta" in self._path:
            if tag in ("task", "job"):
                self._task_open = _Task()
        elif inside == "annotations":
            self._parent = self._parent_of(tag, attributes)
        elif tag == "attribute":
            self._attribute = plain(attributes.get("name", ""))
        elif self._parent is None or inside not in ("track", "image"):
            return
        elif tag in ("box", "tag"):
            self._shape = self._shape_of(self._parent, tag, attributes, inside == "track", place)
        elif tag in _SHAPES:
            self.left.add("shapes other than boxes (polygons, points, masks and more)", place)

    def _end(self, tag: str, text: str, place: str) -> Iterator[Box]:
        inside = self._path[-1] if self._path else ""
        if "meta" in self._path:
            self._head(self._task_open, tag, inside, text.strip())
        elif tag == "attribute" and inside in ("box", "tag") and self._shape is not None:
            self._shape.attributes[self._attribute] = text
        elif tag == "attribute" and inside == "track" and self._parent is not None:
            self._parent.attributes[self._attribute] = text
        elif tag in ("box", "tag") and self._shape is not None and self._parent is not None:
            shape, parent, self._shape = self._shape, self._parent, None
            whose = attribute({**parent.attributes, **shape.attributes}, INDIVIDUAL, "the attribute")
            shape.box = replace(shape.box, individual=whose)
            if not sized(shape.box, self.left):
                return
            if inside == "track":
                if parent.last is not None:
                    yield from self._boxes_between(parent.last, shape, place)
                parent.last = shape
            yield shape.box

    def _parent_of(self, tag: str, attributes: dict[str, str]) -> _Parent | None:
        if tag == "track":
            return _Parent(
                self._video(self._task(attributes)),
                track=text_of(attributes.get("id"), "the id of this track"),
                label=text_of(attributes.get("label"), "its label"),
            )
        return _Parent(*self._medium_of_image(attributes)) if tag == "image" else None

    def _shape_of(self, parent: _Parent, tag: str, attributes: dict[str, str], in_track: bool, place: str) -> _Shape:
        x, y, w, h = _edges(attributes) if tag == "box" else (None, None, None, None)
        box = Box(
            parent.medium.key,
            frame=frame_of(attributes.get("frame", ""), self.base) if in_track else parent.frame,
            x=x,
            y=y,
            w=w,
            h=h,
            track=parent.track if in_track else None,
            category=parent.label if in_track else text_of(attributes.get("label"), "its label"),
            outside=attributes.get("outside") == "1",
            place=place,
        )
        return _Shape(box, attributes.get("keyframe", "1") == "1")

    def _head(self, task: _Task, tag: str, inside: str, text: str) -> None:
        """Takes in what an element of <meta> says, when it ends."""
        if tag in ("task", "job"):
            self.tasks[task.key] = task
        elif tag == "id" and inside == "task":
            task.key = text_of(text, "the id of the task") or "task"
        elif tag == "name" and inside in ("task", "job"):
            task.name = text_of(text, "the name of the task")
        elif tag == "source" and inside in ("task", "job"):
            task.source = text_of(text, "the source")
        elif tag == "source" and inside == "meta":  # CVAT of before 2.0
            for one in self.tasks.values():
                one.source = one.source or text_of(text, "the source")
        elif inside == "original_size" and tag in ("width", "height"):
            for one in [task, *self.tasks.values()]:
                setattr(one, tag, getattr(one, tag) or size_of(text, tag))
        elif tag == "frame_filter":
            step = re.fullmatch(r"step\s*=\s*(\d{1,9})", text)
            task.step = max(int(step[1]), 1) if step else 1

    def _task(self, attributes: dict[str, str]) -> _Task:
        named = attributes.get("task_id")
        if named is not None and len(self.tasks) > 1:
            if named not in self.tasks:
                raise EntryError(f"it belongs to task {shown(named)}, of which the head of the file says nothing")
            return self.tasks[named]
        return next(iter(self.tasks.values()), _Task())

    def _video(self, task: _Task) -> Medium:
        named = (self.options.video if len(self.tasks) < 2 else None) or task.source or task.name
        if named is None:
            raise EntryError("the file names neither its video nor its task: say which video it is with --video")
        return Medium(f"task {task.key}", path_of(named, "the video"), task.width, task.height)

    def _medium_of_image(self, attributes: dict[str, str]) -> tuple[Medium, int | None]:
        path = path_of(attributes.get("name"), "the name of this image")
        task = self._task(attributes)
        of_video = self.options.video is not None or (task.source and suffix_of(task.source) not in PICTURES)
        if of_video and _FRAME_NAME.fullmatch(path):
            # A video's frames exported as images: the id is the frame of the file.
            return self._video(task), frame_of(attributes.get("id", ""), self.base, "the id of this image")
        key = f"image {attributes.get('task_id', '')} {path}"
        return Medium(
            key, path, size_of(attributes.get("width"), "width"), size_of(attributes.get("height"), "height")
        ), None

    def _boxes_between(self, last: _Shape, done: _Shape, place: str) -> Iterator[Box]:
        """Boxes of the frames between two keyframes, where the file has none."""
        before, after = last.box, done.box
        if not (last.keyframe and done.keyframe) or before.outside:
            return
        if before.frame is None or after.frame is None:
            return
        step = next(iter(self.tasks.values()), _Task()).step
        gap = after.frame - before.frame
        if gap <= step:
            return
        self._between += gap // step
        if self._between > MOST_BETWEEN:
            raise EntryError(f"between frames {before.frame} and {after.frame} of this track lie too many frames")
        for frame in range(before.frame + step, after.frame, step):
            part = (frame - before.frame) / gap
            edges = {k: (1 - part) * getattr(before, k) + part * getattr(after, k) for k in ("x", "y", "w", "h")}
            yield replace(before, frame=frame, place=place, **edges)


def _edges(attributes: dict[str, str]) -> tuple[float, float, float, float]:
    """x, y, w, h of a box element; of a turned one, those of the upright box around it. Raises EntryError."""
    left, top, right, bottom = (written_number(attributes.get(name, ""), name) for name in ("xtl", "ytl", "xbr", "ybr"))
    w, h = right - left, bottom - top
    has_size(w, h)
    turn = math.radians(written_number(attributes.get("rotation") or "0", "rotation"))
    if turn:
        x, y = left + w / 2, top + h / 2
        w, h = (
            abs(w * math.cos(turn)) + abs(h * math.sin(turn)), abs(w * math.sin(turn)) + abs(h * math.cos(turn)),
        )  # fmt: skip
        left, top = x - w / 2, y - h / 2
    return left, top, w, h


def _media(source: Source, options: ReadOptions, base: int) -> Iterator[Medium]:
    for one in _Pass(source, options, base, LeftOut()).found():
        if isinstance(one, Medium):
            yield one


def _boxes(source: Source, options: ReadOptions, base: int, notes: list[str]) -> Iterator[Box]:
    left = LeftOut()
    for one in _Pass(source, options, base, left).found():
        if isinstance(one, Box):
            yield one
    notes += left.sentences()


def _read(path: Path, options: ReadOptions) -> Reading:
    source = file_source(path)
    base, said_by = convention(options, 0)
    notes: list[str] = []
    return Reading(_media(source, options, base), _boxes(source, options, base, notes), base, said_by, notes)


IMPORT = ImportFormat(
    "CVAT's XML 1.1: tracks of a video, or boxes on images; of a task, a job or a project.", (".xml",), _read
)
