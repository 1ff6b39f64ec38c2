"""The witnesses of a file's time, how they are read, and the result: records without arithmetic.

Belongs here: witnesses as written, the rules of one camera, the recording time of one video.
Does not belong here: weighing witnesses (`recording_time`), rows (`rows`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any, Literal

Certainty = Literal["sure", "likely", "day", "unsure"]
DateOrder = Literal["auto", "day_first", "month_first", "year_first"]
Witness = Literal["container", "exif", "file_name", "folder", "file_time"]
WITNESSES: tuple[Witness, ...] = ("container", "exif", "file_name", "folder", "file_time")
CERTAINTIES: tuple[Certainty, ...] = ("sure", "likely", "day", "unsure")
SOURCE_OF: Mapping[str, str] = {"folder": "file_name"}
"""recorded_at_source of a witness, where it has another name: a folder is a part of the path."""

# What a container may be asked for: a key that says the zone of the camera first, then what players and editors write.
TIME_TAGS = (
    "com.apple.quicktime.creationdate",
    "datetimeoriginal",
    "date_recorded",
    "creation_time",
    "date",
    "icrd",
    "idit",
)

# What the EXIF of a picture says, in the order of belief: the time of the last change may be that of an editor.
EXIF_TAGS = ("exif_original", "exif_digitized", "exif_changed")

_KEPT_TAGS = (*EXIF_TAGS, *TIME_TAGS)

ORDERS: Mapping[str, str] = {"day_first": "dmy", "month_first": "mdy", "year_first": "ymd"}
"""Values of archive.date_order, as `names` calls the orders."""


@dataclass(frozen=True)
class Witnesses:
    """The witnesses of a file, as written. tags: of the container or the EXIF, keys in small letters.

    modified: the file's date. duration_s: how long the container claims to be.
    """

    uri: str
    tags: Mapping[str, str] = field(default_factory=dict)
    modified: datetime | None = None
    duration_s: float | None = None

    def as_text(self) -> str:
        """JSON to be kept beside the row of the video: below 4,000 letters, whatever the tags are."""
        tags = {key.lower(): value[:60] for key, value in self.tags.items() if key.lower() in _KEPT_TAGS}
        seen: dict[str, Any] = {"tags": tags}
        if self.modified is not None:
            seen["modified"] = self.modified.astimezone(UTC).isoformat()
        if self.duration_s is not None:
            seen["duration_s"] = round(self.duration_s, 3)
        return json.dumps(seen)

    @classmethod
    def of_text(cls, uri: str, text: str) -> Witnesses:
        """What `as_text` gave."""
        seen = json.loads(text)
        modified = seen.get("modified")
        return cls(
            uri,
            seen.get("tags", {}),
            None if modified is None else datetime.fromisoformat(modified),
            seen.get("duration_s"),
        )


@dataclass(frozen=True)
class Rules:
    """How witnesses of one camera are read. zone: of camera clocks; latest: nothing was recorded later.

    container_time: what a container's time without a zone of its own is. date_order: of names where both are possible;
    order_is_stated: whether a person said so, or neighbours show it.
    """

    zone: tzinfo
    latest: datetime
    container_time: Literal["auto", "utc", "local"] = "auto"
    date_order: DateOrder = "auto"
    order_is_stated: bool = True


@dataclass(frozen=True)
class RecordingTime:
    """When a video was recorded (UTC; None: unknown), by which witness, how certain, who disagrees, and why in words.

    clock: what the clock of the camera showed, without zone: what corrections are counted from. asks: what a person
    should say: "date_order". correction_id: the correction that was applied.
    """

    moment: datetime | None
    witness: Witness | None
    certainty: Certainty
    disagree: tuple[Witness, ...] = ()
    note: str = ""
    clock: datetime | None = None
    asks: str | None = None
    correction_id: int | None = None

    @property
    def source(self) -> str | None:
        """The value of video.recorded_at_source."""
        if self.correction_id is not None:
            return "user"
        return None if self.witness is None else SOURCE_OF.get(self.witness, self.witness)
