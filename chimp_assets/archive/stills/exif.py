"""What a picture says of itself: when, by which camera, where. EXIF 2.32 (CIPA DC-008), XMP where it has no EXIF.

Belongs here: reading tags that strangers wrote; whatever is wrong with them, the picture is read without them.
Does not belong here: believing a time (`times`), pixels (`video.still`), rows (`catalogue`).
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from PIL import ExifTags, Image

_LONGEST = 100
"""Letters of make, model and serial that are kept: those of EXIF have at most 80."""
_XMP_BYTES = 256 * 1024
_ORIGINAL, _DIGITIZED, _CHANGED = "exif_original", "exif_digitized", "exif_changed"
# The time, its parts of a second, its zone (EXIF 2.32, 4.6.5 F and G; 4.6.4 for the time of the last change).
_TIMES = (
    (_ORIGINAL, 36867, 37521, 36881),
    (_DIGITIZED, 36868, 37522, 36882),
    (_CHANGED, 306, 37520, 36880),
)
_XMP_TIMES = (
    (_ORIGINAL, ("exif:DateTimeOriginal", "photoshop:DateCreated")),
    (_DIGITIZED, ("exif:DateTimeDigitized", "xmp:CreateDate")),
)
_WRITTEN = re.compile(
    r"(\d{4})[:/\-.](\d\d?)[:/\-.](\d\d?)[ T]+(\d\d?):(\d\d)(?::(\d\d))?(?:[.,](\d{1,9}))?\s*(Z|[+-]\d\d:?\d\d)?"
)
_ZONE = re.compile(r"([+-])(\d\d):?(\d\d)|Z")


@dataclass(frozen=True)
class ExifFacts:
    """What a picture says of itself. tags: times as `witnesses.EXIF_TAGS` names them, ISO 8601 where they can be read,
    else as written. orientation: 1 to 8, how display turns it. latitude, longitude: degrees, WGS 84, as written.
    """

    tags: Mapping[str, str] = field(default_factory=dict)
    make: str | None = None
    model: str | None = None
    serial: str | None = None
    orientation: int = 1
    latitude: float | None = None
    longitude: float | None = None

    def as_message(self) -> dict[str, Any]:
        """For another process."""
        return asdict(self)


def exif_of(image: Any) -> ExifFacts:
    """What an open picture (PIL.Image) says of itself; nothing of it is decoded. Never raises for what is in a file."""
    exif = _or(image.getexif, None)
    xmp = _or(lambda: _xmp_of(image), "")
    return facts_of_tags(exif, xmp)


def facts_of_tags(exif: Any, xmp: str = "") -> ExifFacts:
    """`exif_of` from tags (PIL.Image.Exif, or None) and the text of an XMP packet."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is damaged, nothing is missed
        return _facts_of_tags(exif, xmp)


def _facts_of_tags(exif: Any, xmp: str) -> ExifFacts:
    base: Mapping[int, Any] = _or(lambda: dict(exif or {}), {})
    more: Mapping[int, Any] = _or(lambda: dict(exif.get_ifd(ExifTags.IFD.Exif)) if exif else {}, {})
    gps: Mapping[int, Any] = _or(lambda: dict(exif.get_ifd(ExifTags.IFD.GPSInfo)) if exif else {}, {})
    known = {**base, **more}
    tags = {}
    for name, when, parts, zone in _TIMES:
        text = _or(partial(_moment, known, when, parts, zone), None)
        if text:
            tags[name] = text
    for name, keys in _XMP_TIMES:
        found = next((text for key in keys if (text := _xmp_value(xmp, key))), None)
        if found and name not in tags:
            tags[name] = _iso(found, "", "") or found[:60]
    orientation = known.get(274, 1)
    return ExifFacts(
        tags=tags,
        make=_text(known.get(271)) or _text(_xmp_value(xmp, "tiff:Make")),
        model=_text(known.get(272)) or _text(_xmp_value(xmp, "tiff:Model")),
        serial=_text(known.get(42033)) or _text(known.get(50735)) or _text(_xmp_value(xmp, "aux:SerialNumber")),
        orientation=orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1,
        latitude=_or(lambda: _degrees(gps.get(2), gps.get(1), "S", 90.0), None),
        longitude=_or(lambda: _degrees(gps.get(4), gps.get(3), "W", 180.0), None),
    )


def exif_of_bytes(content: bytes) -> Any:
    """Tags (PIL.Image.Exif) of an EXIF block as HEIC files hold it; None if it cannot be read."""
    exif = Image.Exif()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exif.load(content)
    except Exception:  # what strangers wrote
        return None
    return exif


def _or(read: Callable[[], Any], instead: Any) -> Any:
    """What is read, or something else: readers of EXIF raise errors of a dozen kinds."""
    try:
        return read()
    except Exception:
        return instead


def _text(value: Any) -> str | None:
    """A short text as people see it; None for nothing, or something that is no text."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        return None
    shown = "".join(c if c.isprintable() else " " for c in value.split("\x00", 1)[0])
    return " ".join(shown.split())[:_LONGEST] or None


def _moment(known: Mapping[int, Any], when: int, parts: int, zone: int) -> str | None:
    written = _text(known.get(when))
    if written is None:
        return None
    return _iso(written, _text(known.get(parts)) or "", _text(known.get(zone)) or "") or written[:60]


def _iso(written: str, parts: str, zone: str) -> str | None:
    """A time in ISO 8601 with its zone if it has one; None if it is none, such as `0000:00:00 00:00:00`."""
    found = _WRITTEN.match(written.strip())
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    try:
        datetime(year, month, day, hour, minute, min(second, 59))
    except ValueError:
        return None
    digits = re.sub(r"\D.*", "", found[7] or parts.strip())[:6]
    text = f"{year:04d}-{month:02d}-{day:02d} {hour:02d}:{minute:02d}:{min(second, 59):02d}"
    text += f".{digits}" if digits else ""
    stated = _ZONE.fullmatch((found[8] or zone).strip())
    if stated is None:
        return text
    if stated[0] == "Z":
        return f"{text}+00:00"
    hours, minutes = int(stated[2]), int(stated[3])
    return f"{text}{stated[1]}{hours:02d}:{minutes:02d}" if hours <= 15 and minutes < 60 else text


def _degrees(parts: Any, side: Any, negative: str, most: float) -> float | None:
    """Degrees of a place (degrees, minutes, seconds and the side of the globe); None if they are none."""
    values = [float(one) for one in parts][:3] if parts is not None else []
    if not values or not all(math.isfinite(one) and one >= 0 for one in values):
        return None
    degrees = sum(value / 60**power for power, value in enumerate(values))
    side = _text(side)
    if degrees > most or side is None or (degrees == 0 and not any(values)):
        return None
    return -degrees if side.upper().startswith(negative) else degrees


def _xmp_of(image: Any) -> str:
    found = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    if isinstance(found, tuple):
        found = found[0]
    return found[:_XMP_BYTES].decode("utf-8", "replace") if isinstance(found, bytes) else str(found)[:_XMP_BYTES]


def _xmp_value(xmp: str, key: str) -> str | None:
    """An attribute or element of an XMP packet, by its usual prefix: no XML is parsed, so none can explode."""
    if not xmp:
        return None
    found = re.search(rf"""\b{key}\s*=\s*["']([^"'<>]{{1,100}})["']|<{key}>([^<]{{1,100}})</{key}>""", xmp)
    return None if found is None else (found[1] or found[2]).strip()
