"""Crop folders: `<individual>/<files>`, as re-identification sets are handed on.

Belongs here: names of folders as names of individuals. Does not belong here: what becomes of a picture that shows one
animal (`intake.page`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from chimp_assets.exchange.imports.annotations import Box, ImportFileError, ImportFormat, Medium, Reading, ReadOptions

_DEEPEST = 64
_SYSTEM = frozenset({"thumbs.db", "desktop.ini"})


def read(file: Path, options: ReadOptions) -> Reading:
    """A folder whose folders are individuals; a path between them and the file is kept. Files that are no pictures or
    videos of the archive are reported as unmatched. Raises ImportFileError for a file, or a folder without folders.
    """
    if not file.is_dir():
        raise ImportFileError(f"{file} is no folder.", "Name the folder in which each individual has a folder.")
    reading = Reading(iter(()), iter(()))
    found = list(_files(file, reading))
    if not found:
        raise ImportFileError(
            f"{file} holds no folder with files.", "Each individual is a folder of its pictures, with its name."
        )
    reading.media = (Medium(path, f"{file.name}/{path}") for path in found)
    reading.boxes = (Box(path, individual=path.split("/", 1)[0], place=path) for path in found)
    return reading


def _files(folder: Path, reading: Reading) -> Iterator[str]:
    """Paths inside the folder, individual first, in order. Links are not followed: they may lead anywhere."""
    loose = hidden = 0
    for at, folders, names in os.walk(folder, onerror=_unreadable):
        where = Path(at).relative_to(folder)
        folders[:] = sorted(name for name in folders if not name.startswith(".")) if len(where.parts) < _DEEPEST else []
        for name in sorted(names):
            if name.startswith(".") or name.lower() in _SYSTEM or (Path(at) / name).is_symlink():
                hidden += 1
            elif not where.parts:
                loose += 1
            else:
                yield (where / name).as_posix()
    if loose:
        reading.notes.append(f"{loose} files lie beside the folders of individuals and were left out")
    if hidden:
        reading.notes.append(f"{hidden} hidden files, links and files of an operating system were left out")


def _unreadable(error: OSError) -> None:
    raise ImportFileError(f"{error.filename} cannot be read: {error.strerror}.", "Check the rights of the folder.")


IMPORT = ImportFormat("Folders of pictures or videos, one for each individual: INDIVIDUAL/FILES.", ("",), read)
