"""Files that were joined end to end (`cat a.mp4 b.mp4 > c.mp4`) in formats whose readers stop after the first.

Belongs here: finding where the second video begins, from the structure of the file; pictures are not looked at.
Does not belong here: formats that readers go through to their end (AVI, Matroska, MPEG, Ogg, DV), reading (`probe`).
"""

from __future__ import annotations

import mmap
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

# A file in fragments has two boxes a second; what has more is not walked to its end.
_MOST_BOXES = 500_000
_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_FLV_HEADER = re.compile(rb"FLV\x01[\x00-\x0f]\x00\x00\x00\x09\x00\x00\x00\x00[\x08\x09\x12]")
_BEGINNINGS = (
    b"RIFF",
    b"\x1a\x45\xdf\xa3",
    _ASF_HEADER[:8],
    b"FLV\x01",
    b"OggS",
    b"\x00\x00\x01\xba",
    b"\x06\x0e\x2b\x34",
)


@dataclass(frozen=True)
class Rest:
    """What lies behind the video that readers see. at: its first byte; bytes: how many."""

    at: int
    bytes: int

    def __str__(self) -> str:
        return (
            f"A second video begins at byte {self.at:,} and was not read ({self.bytes:,} bytes): files were joined end "
            "to end. Cut it there, and put both in the archive."
        )


def unread_rest(path: Path) -> Rest | None:
    """The second video of a file that was joined from several; None where there is none. Reads headers only."""
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            begin = file.read(16)
            if begin[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
                at = _after_boxes(file, size)
            elif begin == _ASF_HEADER:
                at = _after_objects(file, size)
            elif begin.startswith(b"FLV\x01"):
                at = _second_flv(file)
            else:
                at = None
    except (OSError, ValueError, struct.error):
        return None
    return None if at is None else Rest(at, size - at)


def _after_boxes(file: BinaryIO, size: int) -> int | None:
    """ISO base media: boxes of a length and a name; a second `ftyp` after the film's own `moov` is another film."""
    at, seen = 0, set()
    for _ in range(_MOST_BOXES):
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            return None
        length, name = struct.unpack(">I4s", head[:8])
        if at and (any(head.startswith(one) for one in _BEGINNINGS) or (name == b"ftyp" and b"moov" in seen)):
            return at
        if name == b"moov" and name in seen and b"mdat" in seen and b"ftyp" not in seen:
            return at  # QuickTime files of old begin without a name
        seen.add(name)
        if length == 1 and len(head) == 16:
            length = struct.unpack(">Q", head[8:16])[0]
        if length < 8 or at + length > size:
            return None  # to the end of the file, or cut off
        at += length
    return None


def _after_objects(file: BinaryIO, size: int) -> int | None:
    """ASF: objects of a GUID and a length; a second header is another film."""
    at = 0
    for _ in range(1000):
        file.seek(at)
        head = file.read(24)
        if len(head) < 24:
            return None
        if at and head.startswith(_ASF_HEADER):
            return at
        length = struct.unpack("<Q", head[16:24])[0]
        if length < 24 or at + length > size:
            return None
        at += length
    return None


def _second_flv(file: BinaryIO) -> int | None:
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        found = _FLV_HEADER.search(content, 13)
        return None if found is None else found.start()
