"""A folder of files that appears whole or not at all.

Belongs here: writing folders for people. Does not belong here: single files (`whole_file`), what is in them
(`exchange.exports`).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from chimp_assets.database.files.whole_file import FileWriteError


def write_whole_folder(
    folder: Path, fill: Callable[[Path], int], is_ours: Callable[[Path], bool], replace: bool
) -> int:
    """Writes a folder by `fill`, which is given an empty folder, and returns what it returns.

    The folder appears under its name when it is complete. An older one stays until then: it is replaced only where
    `replace` is true and `is_ours` knows it, so that nobody's own files are lost; an empty one is always.
    Whatever a killed run has left is swept by the next one of the same folder. Raises FileWriteError.
    """
    part, older = folder.with_name(f".{folder.name}.part"), folder.with_name(f".{folder.name}.older")
    try:
        if older.is_dir() and not folder.exists():
            older.rename(folder)  # killed between the two renames below
        _may_be_written(folder, is_ours, replace)
        _remove(part)
        _remove(older)
        part.mkdir()
        try:
            n = fill(part)
            if folder.exists():
                folder.rename(older)
            part.rename(folder)
        finally:
            _remove(part)
        _remove(older)
    except OSError as error:
        raise FileWriteError(
            f"{folder} cannot be written: {error.strerror or error}.", "Check the folder and its room."
        ) from None
    return n


def _may_be_written(folder: Path, is_ours: Callable[[Path], bool], replace: bool) -> None:
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise FileWriteError(f"{folder} is there and is no folder.", "Name another folder.")
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if not is_ours(folder):
        raise FileWriteError(
            f"{folder} holds files that no export has written, so it is left as it is.", "Name another folder."
        )
    if not replace:
        raise FileWriteError(f"{folder} is there already.", "Name another folder, or replace it with --force.")


def _remove(folder: Path) -> None:
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder)
    else:
        folder.unlink(missing_ok=True)
