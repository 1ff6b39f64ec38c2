"""What annotations of a COCO file refer to: categories, videos, images, tracks; and how its frames are numbered.

Belongs here: one pass over the file, kept small (an integer for each image). Does not belong here: annotations.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from chimp_assets.exchange.imports.annotations import Medium, ReadOptions
from chimp_assets.exchange.imports.reading.json_stream import json_entries
from chimp_assets.exchange.imports.reading.sources import Source, broken, shown
from chimp_assets.exchange.imports.reading.values import (
    MOST_SECONDS,
    EntryError,
    attribute,
    moment_of,
    number,
    path_of,
    plain,
    rate_of,
    size_of,
    text_of,
    whole,
)

SECTIONS = ("categories", "videos", "images", "tracks")
STILL = -1
_FRAME_BITS = 32
_FRAME_NAME = re.compile(r"(?:.*/)?frame_(\d{1,9})(?:\.[A-Za-z]{3,4})?", re.ASCII)
# kwcoco demands a name of every track; these say nothing about who it is.
_NO_NAME = re.compile(r"(?:track|trk|id|obj|object)?[\s_#-]*\d+", re.IGNORECASE | re.ASCII)
_MACHINES = frozenset({"model", "machine", "prediction"})
_OF_TRACK = ("individual", "individualid", "individualname", "identity", "animid", "animalid")


@dataclass
class _Span:
    """Frame numbers of one video's images."""

    low: int
    high: int
    count: int = 1


@dataclass
class CocoIndex:
    """images: by id, as text: STILL, or place of the video and number of the frame in one integer; times: seconds
    of those whose moment the file tells; videos: media of them; track_names, categories: by id of tracks and
    categories; machine_names: of tracks that a model named. calls_frames: pictures named like a video's frames.
    """

    images: dict[str, int] = field(default_factory=dict)
    times: dict[str, float] = field(default_factory=dict)
    videos: dict[int, Medium] = field(default_factory=dict)
    categories: dict[str, str | None] = field(default_factory=dict)
    track_names: dict[str, str] = field(default_factory=dict)
    machine_names: set[str] = field(default_factory=set)
    track_categories: dict[str, str] = field(default_factory=dict)
    spans: dict[int, _Span] = field(default_factory=dict)
    has_index: bool = False
    calls_frames: bool = False
    _places: dict[str, int] = field(default_factory=dict)

    def frame_base(self) -> tuple[int, Literal["format", "file"], str]:
        """Number of the first frame, who says so, and a note about it.

        COCO-VID, kwcoco and TAO count from 0; files made from MOT (CenterTrack's, ByteTrack's) list each video's frames
        from 1 without a gap. A frame 0 proves the one, a frame as high as the video is long the other.
        """
        if not self.spans:
            return 0, "format", ""
        if any(span.low == 0 for span in self.spans.values()):
            return 0, "file", ""
        lengths = [(span, self.videos[place].n_frames) for place, span in self.spans.items()]
        if any(n is not None and span.high == n for span, n in lengths):
            return 1, "file", ""
        if not self.has_index and all(s.low == 1 and s.high == s.count > 1 for s, _ in lengths):
            return 1, "file", "Frames are counted from 1: each video's are listed from 1 without a gap"
        return 0, "format", "Frames are counted from 0, though no frame 0 proves it: --frame-base says otherwise"

    def medium_of(self, image: str) -> tuple[str, int | None, float | None]:
        """Key of the medium, number of the frame as the file counts it, and its time instead where that is told. Raises
        EntryError.
        """
        found = self.images.get(image)
        if found is None:
            raise EntryError(f"it lies on image {shown(image)}, which the file does not hold")
        if found == STILL:
            return f"image {image}", None, None
        video, time_s = self.videos[found >> _FRAME_BITS].key, self.times.get(image)
        return video, found & ((1 << _FRAME_BITS) - 1) if time_s is None else None, time_s

    def add(self, section: str, entry: dict[str, Any], options: ReadOptions) -> None:
        """Takes an entry in. Raises EntryError."""
        one = id_of(entry.get("id"), "its id")
        if section == "categories":
            self.categories[one] = text_of(entry.get("name"), "its name")
        elif section == "videos":
            self._add_video(one, entry)
        elif section == "tracks":
            self._add_track(one, entry)
        elif section == "images":
            self._add_image(one, entry, options)

    def _add_video(self, one: str, entry: dict[str, Any]) -> None:
        place = self._place(one)
        if place in self.videos:
            raise EntryError(f"a second video has the id {shown(one)}")
        named = entry.get("file_name") or entry.get("name") or entry.get("video_name")
        self.videos[place] = Medium(
            f"video {one}",
            path_of(named, "its name"),
            size_of(entry.get("width"), "width"),
            size_of(entry.get("height"), "height"),
            next((rate_of(entry[k], k) for k in ("fps", "frame_rate", "framerate") if k in entry), None),
            next((size_of(entry[k], k) for k in ("length", "n_frames", "num_frames") if k in entry), None),
            moment_of(text_of(entry.get("recorded_at"), "recorded_at"), "recorded_at"),
            text_of(entry.get("content_hash"), "content_hash"),
            text_of(entry.get("site"), "site"),
            text_of(entry.get("camera"), "camera"),
        )

    def _place(self, video: str) -> int:
        """Videos may follow the images that name them: each has its place from its first mention on."""
        return self._places.setdefault(video, len(self._places))

    def _add_track(self, one: str, entry: dict[str, Any]) -> None:
        plainly = {plain(name): value for name, value in entry.items() if name != "id"}
        inner = entry.get("attributes")
        if type(inner) is dict:
            plainly = {plain(name): value for name, value in inner.items()} | plainly
        named = attribute(plainly, _OF_TRACK, "its")
        if named is None:
            given = text_of(entry.get("name"), "its name")
            named = None if given is None or given == one or _NO_NAME.fullmatch(given) else given
        if named is not None and str(entry.get("source")) in _MACHINES:
            self.machine_names.add(one)
        elif named is not None:
            self.track_names[one] = named
        if entry.get("category_id") is not None:
            self.track_categories[one] = id_of(entry["category_id"], "its category_id")

    def _add_image(self, one: str, entry: dict[str, Any], options: ReadOptions) -> None:
        if one in self.images:
            raise EntryError(f"a second image has the id {shown(one)}")
        if entry.get("video_id") is None:
            frame = _FRAME_NAME.fullmatch(path_of(entry.get("file_name"), "its file_name"))
            self.calls_frames = self.calls_frames or frame is not None
            if frame is None or options.video is None:
                self.images[one] = STILL
                return
            # CVAT names the frames of a video by their index in it, from 0.
            place = self._place("")
            if place not in self.videos:
                width, height = (size_of(entry.get(name), name) for name in ("width", "height"))
                self.videos[place] = Medium("video", options.video, width, height)
            self._add_frame(one, place, int(frame[1]))
            return
        if entry.get("time_s") is not None:
            self.times[one] = number(entry["time_s"], "time_s", MOST_SECONDS)
            if self.times[one] < 0:
                raise EntryError("time_s lies before the first picture")
        self._add_frame(one, self._place(id_of(entry["video_id"], "its video_id")), self._number(entry))

    def _number(self, entry: dict[str, Any]) -> int:
        for name in ("frame_index", "frame_id", "frame_number", "frame"):
            if entry.get(name) is not None:
                self.has_index = self.has_index or name == "frame_index"
                found = whole(entry[name], name)
                if found < 0:
                    raise EntryError(f"{name} is {found}: no frame has a number below 0")
                return found
        raise EntryError("it belongs to a video, and has neither frame_index nor frame_id")

    def _add_frame(self, one: str, place: int, number: int) -> None:
        self.images[one] = place << _FRAME_BITS | number
        if one in self.times:
            return
        span = self.spans.setdefault(place, _Span(number, number, 0))
        span.low, span.high, span.count = min(span.low, number), max(span.high, number), span.count + 1


def id_of(value: Any, what: str) -> str:
    """An id, which may be a number or a text, as text. Raises EntryError."""
    if type(value) is int:
        return str(value)
    if type(value) is float and value.is_integer():
        return str(int(value))
    found = text_of(value, what)
    if found is None or type(value) is not str:
        raise EntryError(f"{what} is missing or no id: {shown(value)}")
    return found


def read_index(source: Source, options: ReadOptions) -> CocoIndex:
    """Reads the file to its end. Raises ImportFileError."""
    index = CocoIndex()
    images = False
    for section, key, entry in json_entries(source, SECTIONS):
        images = images or section == "images"
        try:
            if type(entry) is not dict:
                raise EntryError("it is not an object")
            index.add(section, entry, options)
        except EntryError as error:
            raise broken(source.name, f"{section}[{key}]", str(error)) from None
    if not images:
        raise broken(source.name, "", "it holds no images", "Is it a COCO file? Results alone name no file.")
    lost = next((video for video, place in index._places.items() if place not in index.videos), None)
    if lost is not None:
        raise broken(source.name, "images", f"some belong to video {shown(lost)}, which the file does not hold")
    return index
