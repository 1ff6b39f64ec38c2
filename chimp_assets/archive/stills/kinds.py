"""Which files are pictures: by name for a listing, by their first bytes before they are read.

Belongs here: rules about names and beginnings of picture files. Light to import: children and definitions load it.
Does not belong here: reading them (`headers`, `video.still`).
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Literal

StillKind = Literal["jpeg", "png", "tiff", "heic"]
STILL_KINDS: tuple[StillKind, ...] = ("jpeg", "png", "tiff", "heic")
"""Values of video.codec of pictures; of HEIC, FFmpeg's `hevc` is one of films, so it is called by its file."""
HEAD_BYTES = 64
"""So many bytes are enough for `kind_of`."""
_SIGNS: tuple[tuple[re.Pattern[bytes], StillKind], ...] = (
    (re.compile(rb"\xff\xd8\xff"), "jpeg"),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "png"),
    (re.compile(rb"II[*+]\x00|MM\x00[*+]"), "tiff"),
    # ISO/IEC 23008-12: an item of HEVC. A brand of sequences (`hevc`, `msf1`) is a film and stays one.
    (re.compile(rb"....ftyp(?:heic|heix|heim|heis|mif1)", re.DOTALL), "heic"),
)
_FILMS = re.compile(
    rb"....(?:ftyp|moov|mdat|wide)|RIFF....AVI |\x1a\x45\xdf\xa3|\x00\x00\x01[\xba\xb3]|\x30\x26\xb2\x75|FLV\x01|"
    rb"GIF8|OggS",
    re.DOTALL,
)
# Where Sony's cards keep a small picture of each film.
_THUMBNAIL_FOLDERS = {"thmbnl", ".thumbnails", "thumbnails", ".thumb"}


def kind_of(head: bytes) -> StillKind | None:
    """What kind of picture a file is, by its first HEAD_BYTES; None if it is none that is read as one."""
    return next((kind for sign, kind in _SIGNS if sign.match(head)), None)


def is_film(head: bytes) -> bool:
    """Whether a file begins as films do: one that was called `.jpg` by mistake is read as the film that it is."""
    return _FILMS.match(head) is not None


def is_picture_name(key: str, suffixes: tuple[str, ...]) -> bool:
    """Whether a listed path is a picture by its ending (pictures.suffixes)."""
    return bool(suffixes) and key.lower().endswith(tuple(suffix.lower() for suffix in suffixes))


def is_thumbnail_name(key: str) -> bool:
    """Whether a path is a small picture that a camera or a program made of another file, by its folder."""
    return any(part.lower() in _THUMBNAIL_FOLDERS for part in PurePosixPath(key).parts[:-1])


def is_crop_name(key: str, folders: tuple[str, ...]) -> bool:
    """Whether a path lies below one of these folders of the archive (pictures.crops)."""
    return any(key.startswith(folder) for folder in (one.strip("/") + "/" for one in folders) if folder != "/") or any(
        one.strip("/") in ("", ".") for one in folders
    )
