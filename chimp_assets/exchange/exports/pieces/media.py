"""Where films lie for the program that plays them.

Belongs here: paths and addresses of films in exports. Does not belong here: the archive (`archive.storage`).
"""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath
from urllib.parse import quote

from chimp_assets.exchange.exports.export import ExportRequest
from chimp_assets.exchange.exports.footage import HandedVideo
from chimp_assets.settings import Settings


def media_folder(request: ExportRequest) -> str:
    """The option `media` without a separator at its end."""
    text = request.options["media"].strip().replace("\\", "/")
    return text.rstrip("/") or text


def film_path(film: HandedVideo, folder: str) -> str:
    """The path of a film where it is played; that inside the archive where no folder is given."""
    return f"{folder.rstrip('/')}/{film.uri}" if folder else film.uri


def file_address(path: str) -> str:
    """A path as an address: `file:///data/a%20b.mp4`, `file:///D:/a.mp4`; one that is not absolute stays relative."""
    if PureWindowsPath(path).drive:
        return "file:///" + quote(path, safe="/:")
    return ("file://" if PurePosixPath(path).is_absolute() else "") + quote(path)


def is_still(film: HandedVideo, settings: Settings) -> bool:
    """Whether a row of `video` is a picture or a burst of pictures, which no player of films opens."""
    return film.uri.lower().endswith(settings.pictures.suffixes)
