"""The path of a video: where it was recorded, whether it is a video, and its folder's short name.

Belongs here: rules about names. Does not belong here: when it was recorded (`names`), which folder is a camera
(`places`), what is inside a file
(`probe`), rows (`discover`).
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from datetime import datetime
from pathlib import PurePosixPath

from chimp_assets.archive.catalogue.places import is_system, place_of
from chimp_assets.archive.stills.kinds import is_picture_name, is_thumbnail_name
from chimp_assets.archive.times.names import time_of_name
from chimp_assets.settings import Settings

__all__ = [
    "bundle_folder_of",
    "distinct_slug_of",
    "is_listed_name",
    "is_video_name",
    "place_of",
    "slug_of",
    "time_of_name",
]

_YEAR = r"(?<!\d)(?P<year>(?:19|20)\d\d)"
_DATE = (
    rf"{_YEAR}(?P<sep>[-_. ])(?P<month>\d{{1,2}})(?P=sep)(?P<day>\d{{1,2}})(?!\d)",
    rf"{_YEAR}(?P<month>\d\d)(?P<day>\d\d)(?!\d)",
)
_DATES = tuple(re.compile(p) for p in _DATE)
_SLUG_LENGTH = 80
# Where clocks begin that nobody has set: Unix, and the FAT file system of memory cards.
_UNSET_CLOCKS = {(1, 1, 1970), (1, 1, 1980)}


def is_video_name(key: str, suffixes: tuple[str, ...]) -> bool:
    """Whether a path is listed as a video: a known ending, and nothing hidden (`._clip.mp4`) or of a recycle bin."""
    return key.lower().endswith(suffixes) and not any(is_system(part) for part in key.split("/"))


def is_listed_name(key: str, settings: Settings) -> bool:
    """Whether a path becomes a row of `video`: a video or a picture by its ending, and no thumbnail of another file."""
    if is_video_name(key, settings.archive.suffixes) and not is_picture_name(key, settings.pictures.suffixes):
        return True
    return is_video_name(key, settings.pictures.suffixes) and not is_thumbnail_name(key)


def bundle_folder_of(key: str) -> str:
    """The folder whose videos are bundled together: the file's own, without the dated folders at its end.

    A camera that starts a folder every day would otherwise make thousands of bundles of three videos each, and a run
    costs seconds to start. The empty text is the top.
    """
    folders = list(PurePosixPath(key).parts[:-1])
    while folders and _is_date(folders[-1]):
        folders.pop()
    return "/".join(folders)


def slug_of(folder: str) -> str:
    """A short name of a folder, `[a-z0-9_-]+`; different folders may share one, see `distinct_slug_of`."""
    plain = unicodedata.normalize("NFKD", folder).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9_-]+", "-", plain.replace("/", "_")).strip("-_")
    if folder and (not slug or len(slug) > _SLUG_LENGTH):
        return distinct_slug_of(folder)
    return slug or "top"


def distinct_slug_of(folder: str) -> str:
    """A short name that no other folder has."""
    plain = unicodedata.normalize("NFKD", folder).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9_-]+", "-", plain.replace("/", "_")).strip("-_")[: _SLUG_LENGTH - 9]
    return f"{slug or 'folder'}-{hashlib.blake2b(folder.encode(), digest_size=4).hexdigest()}"


def _is_date(part: str) -> bool:
    return any((match := date.fullmatch(part)) and _moment(match) is not None for date in _DATES)


def _moment(date: re.Match[str]) -> datetime | None:
    try:
        found = datetime(int(date["year"]), int(date["month"]), int(date["day"]))
    except ValueError:
        return None
    return found if found.year >= 1960 and (found.month, found.day, found.year) not in _UNSET_CLOCKS else None
