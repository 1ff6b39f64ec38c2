"""Files of a home are their owner's alone: folders 700, files 600, whatever the umask of who starts us.

Belongs here: making files so, mending older homes, finding what others may read. Does not belong here: the archive,
which is only read and never changed, and what people ask to be written elsewhere.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

UMASK = 0o077
_OTHERS = 0o077


def keep_private() -> None:
    """From now on this process, and what it starts, makes files that only its user can read."""
    os.umask(UMASK)


def opener(path: str, flags: int) -> int:
    """For `open(..., opener=opener)`: a file that is made here is its owner's alone."""
    return os.open(path, flags, 0o600)


def make_folder(folder: Path) -> None:
    """A folder, with those above it that are missing, each its owner's alone. One that is there stays as it is."""
    if folder.is_dir():
        return
    for missing in reversed([one for one in (folder, *folder.parents) if not one.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)


def readable_by_others(root: Path, but: Path | None = None) -> list[Path]:
    """What of a home others than its owner may open: the root first, if it is; else nothing, since nobody gets in.

    A home whose root is closed is looked through all the same, except for the pictures of its store. Never below `but`.
    """
    return [path for path, mode in _modes(root, but) if mode & _OTHERS]


def make_private(root: Path, but: Path | None = None) -> int:
    """Takes from a home what others than its owner may do with it; returns how many files and folders that changed.

    Never touches what lies below `but`, what a link leads to, and what belongs to somebody else.
    """
    changed = 0
    for path, mode in list(_modes(root, but)):
        if mode & _OTHERS:
            with suppress(PermissionError, FileNotFoundError):
                path.chmod(stat.S_IMODE(mode) & ~_OTHERS)
                changed += 1
    return changed


def _modes(root: Path, but: Path | None) -> Iterator[tuple[Path, int]]:
    """Files and folders with their modes, links left out."""
    if os.name == "nt":
        return
    mode = root.stat().st_mode
    yield root, mode
    store = None if mode & _OTHERS else root / "store"  # a million pictures behind a closed door
    waiting = [root]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                path = Path(entry.path)
                if entry.is_symlink() or path in (but, store):
                    continue
                try:
                    mode = entry.stat(follow_symlinks=False).st_mode
                except FileNotFoundError:
                    continue
                if stat.S_ISDIR(mode):
                    yield path, mode
                    waiting.append(path)
                elif stat.S_ISREG(mode):
                    yield path, mode
