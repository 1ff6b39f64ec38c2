"""Where a camera stands, as it may leave: rounded, unless somebody asks for exact places.

Belongs here: rounding coordinates, what of a picture tells a place. Does not belong here: who may ask (`export`).
Poachers read too: no exact coordinate leaves without an explicit flag.
"""

from __future__ import annotations

from dataclasses import dataclass

DECIMALS = 2
ROUNDED_M = 1_570
"""Uncertainty of a point that is rounded to 0.01 degrees, at the equator, where it is largest: Chapman and Wieczorek
2020, Georeferencing Best Practices, table 3."""
GPS_M = 30
"""Uncertainty of a point that a receiver gave without saying how sure it is (the same source, 3.4)."""


@dataclass(frozen=True)
class HandedPlace:
    """A point in degrees (WGS 84). uncertainty_m: metres around it in which the true one lies; precision: degrees to
    which it was rounded."""

    latitude: float
    longitude: float
    uncertainty_m: int
    precision: float


ANYWHERE = HandedPlace(0.0, 0.0, 20_037_508, 180.0)
"""A place that nobody knows, for formats that demand one: the circle, half the equator wide, is the whole Earth."""


def handed_place(latitude: float | None, longitude: float | None, exact: bool) -> HandedPlace | None:
    """The point as it may leave, None where it is not known. exact: somebody has asked for exact places."""
    if latitude is None or longitude is None:
        return None
    if exact:
        return HandedPlace(latitude, longitude, GPS_M, 0.00001)
    return HandedPlace(round(latitude, DECIMALS), round(longitude, DECIMALS), GPS_M + ROUNDED_M, 10**-DECIMALS)


def without_metadata(jpeg: bytes) -> bytes:
    """A JPEG without what cameras write beside the picture (EXIF with its GPS, XMP, IPTC, comments); pixels and colour
    profile stay. Other bytes are returned as they are. ITU T.81, B.1.1.4; EXIF 2.32, 4.5.
    """
    if jpeg[:2] != b"\xff\xd8":
        return jpeg
    kept, at = [b"\xff\xd8"], 2
    while at + 4 <= len(jpeg) and jpeg[at] == 0xFF and jpeg[at + 1] != 0xDA:
        marker, end = jpeg[at + 1], at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        told = 0xE1 <= marker <= 0xEF and marker not in (0xE2, 0xEE)  # APP2: colour profile; APP14: Adobe's colours
        if not told and marker != 0xFE:
            kept.append(jpeg[at:end])
        at = end
    return b"".join([*kept, jpeg[at:]])
