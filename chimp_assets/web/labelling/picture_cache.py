"""A cache of what is made on request, such as cut pictures: files on this machine, by a hash of their source.

Belongs here: the size limit, and writing so that a killed process leaves nothing broken. Does not belong here: cutting
(`vision.pictures.item_media`), waiting (`faces`, `playing`). What is lost here is made again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
import uuid
from pathlib import Path

from chimp_assets import private_files

_log = logging.getLogger(__name__)

FULL_SHARE = 0.95
"""Share of the limit that begins a clean-up: other processes may have written since the last listing."""
KEPT_SHARE = 0.8
"""Share of the limit after a clean-up: with less room, every picture would cost a listing."""
LISTED_SHARE = 0.01
"""Share of the limit that one process writes between two listings."""
ABANDONED_S = 3600.0
_WRITING = ".writing"


class PictureCache:
    """A folder of at most `most_bytes`; the least recently used picture goes first. Several processes may share it.

    A folder that cannot be written caches nothing, and logs this once.
    """

    def __init__(self, folder: Path, most_bytes: int, suffix: str = ".jpg") -> None:
        self._folder, self._most, self._suffix = folder, most_bytes, suffix
        self._lock = threading.Lock()
        self._bytes: int | None = None
        self._written = 0
        self._said = False

    def get(self, key: str) -> bytes | None:
        """The picture of a key (hexadecimal), if it is cached."""
        file = self._file(key)
        try:
            content = file.read_bytes()
        except OSError:
            return None
        with contextlib.suppress(
            OSError
        ):  # another process removed it, or the folder is read-only: the content is read already
            os.utime(file)
        return content or None

    def put(self, key: str, content: bytes) -> None:
        """Cache a picture, after making room for it. Atomic: it is written beside its place and moved there."""
        if len(content) > self._most * KEPT_SHARE:
            return
        self._make_room(len(content))
        file = self._file(key)
        beside = file.with_name(f"{key}.{uuid.uuid4().hex[:8]}{_WRITING}")
        try:
            private_files.make_folder(file.parent)
            with open(beside, "xb", opener=private_files.opener) as new:
                new.write(content)
            beside.replace(file)
        except OSError as error:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
            if not self._said:
                _log.warning("pictures that are looked at cannot be kept in %s: %s", self._folder, error)
            self._said = True

    def _make_room(self, more: int) -> None:
        with self._lock:
            # Listed now and then: other processes write here too.
            if self._bytes is None or self._written > self._most * LISTED_SHARE:
                self._bytes, self._written = self._listed_bytes(), 0
            if self._bytes + more > self._most * FULL_SHARE:
                self._bytes, self._written = self._clear_up(more), 0
            self._bytes += more
            self._written += more

    def _file(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}{self._suffix}"

    def _listed(self) -> list[tuple[float, int, Path]]:
        found = []
        for folder in self._folder.glob("[0-9a-f][0-9a-f]"):
            for file in folder.iterdir():
                try:
                    stat = file.stat()
                except OSError:
                    continue  # another process removed it
                found.append((stat.st_mtime, stat.st_size, file))
        return found

    def _listed_bytes(self) -> int:
        return sum(size for _, size, _ in self._listed())

    def _clear_up(self, more: int) -> int:
        left = 0
        kept = []
        for at, size, file in self._listed():
            if file.suffix == _WRITING and time.time() - at > ABANDONED_S:
                _remove(file)  # its writer was killed
            else:
                kept.append((at, size, file))
                left += size
        for _, size, file in sorted(kept):
            if left + more <= self._most * KEPT_SHARE:
                break
            _remove(file)
            left -= size
        return left


def _remove(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        _log.warning("%s cannot be removed: %s", file, error)
