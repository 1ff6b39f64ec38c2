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
from chimp_assets.exchange.imports.reading.sources import Source, broken, file_source
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
    """A box element while it is open."""

    box: Box
    keyframe: bool
    attributes: dict[str, str] = field(default_factory=dict)


class _Pass:
    """One reading of the file, element by element."""

    def __init__(self, source: Source, options: ReadOptions, base: int, left: LeftOut) -> None:
        self.source, self.options, self.base, self.left = source, options, base, left
        self.tasks: dict[str, _Task] = {}
        self._known: set[str] = set()
        self._between = 0

    def found(self) -> Iterator[Medium | Box]:
        """Media before their first boxes, and boxes."""
        path: list[str] = []
        head: _Task = _Task()
        medium: Medium | None = None
        number: int | None = None
        label = track = None
        shape: _Shape | None = None
        last: _Shape | None = None
        inherited: dict[str, str] = {}
        name = ""
        for kind, tag, attributes, text, line in xml_events(self.source):
            place = f"line {line}"
            try:
                if kind == "start":
                    path.append(tag)
                    if len(path) == 1 and tag != "annotations":
                        raise EntryError(f"the file begins with <{tag}>, not with <annotations>")
                    inside = path[-2] if len(path) > 1 else ""
                    if tag in ("task", "job") and "meta" in path:
                        head = _Task()
                    elif tag == "track" and inside == "annotations":
                        medium, number = self._medium_of_track(attributes), None
                        if medium.key not in self._known:
                            self._known.add(medium.key)
                            yield medium
                        track = text_of(attributes.get("id"), "the id of this track")
                        label = text_of(attributes.get("label"), "its label")
                        last, inherited = None, {}
                    elif tag == "image" and inside == "annotations":
                        medium, number = self._medium_of_image(attributes)
                        if medium.key not in self._known:
                            self._known.add(medium.key)
                            yield medium
                    elif tag in ("box", "tag") and inside in ("track", "image") and medium is not None:
                        in_track = inside == "track"
                        frame = frame_of(attributes.get("frame", ""), self.base) if in_track else number
                        shape = _Shape(
                            replace(
                                Box(medium.key, frame=frame, place=place),
                                track=track if in_track else None,
                                category=label if in_track else text_of(attributes.get("label"), "its label"),
                                outside=attributes.get("outside") == "1",
                                **(_edges(attributes) if tag == "box" else {}),
                            ),
                            attributes.get("keyframe", "1") == "1",
                        )
                    elif tag in _SHAPES and inside in ("track", "image"):
                        self.left.add("shapes other than boxes (polygons, points, masks and more)", place)
                    elif tag == "attribute":
                        name = plain(attributes.get("name", ""))
                    continue
                path.pop()
                inside = path[-1] if path else ""
                if "meta" in path:
                    self._head(head, tag, inside, text.strip())
                elif tag == "attribute" and inside == "box" and shape is not None:
                    shape.attributes[name] = text
                elif tag == "attribute" and inside == "tag" and shape is not None:
                    shape.attributes[name] = text
                elif tag == "attribute" and inside == "track":
                    inherited[name] = text
                elif tag in ("box", "tag") and shape is not None:
                    done, shape = shape, None
                    whose = attribute({**inherited, **done.attributes}, INDIVIDUAL, "the attribute")
                    done.box = replace(done.box, individual=whose)
                    if tag == "box" and not has_size(done.box.w or 0.0, done.box.h or 0.0):
                        self.left.add("boxes without width or height", place)
                        continue
                    if last is not None and inside == "track":
                        yield from self._boxes_between(last, done, place)
                    yield done.box
                    last = done if inside == "track" else None
            except EntryError as error:
                raise broken(self.source.name, place, str(error)) from None

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
                raise EntryError(f"it belongs to task {named[:20]}, of which the head of the file says nothing")
            return self.tasks[named]
        return next(iter(self.tasks.values()), _Task())

    def _medium_of_track(self, attributes: dict[str, str]) -> Medium:
        return self._video(self._task(attributes))

    def _video(self, task: _Task) -> Medium:
        named = (self.options.video if len(self.tasks) < 2 else None) or task.source or task.name
        if named is None:
            raise EntryError("the file names neither its video nor its task: state the video")
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


def _edges(attributes: dict[str, str]) -> dict[str, float]:
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
    return {"x": left, "y": top, "w": w, "h": h}


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
