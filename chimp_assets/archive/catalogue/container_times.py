"""Times in containers, and what pictures say of themselves, read in a child process.

Belongs here: the child. Does not belong here: reading a container (`video.reading`), believing it (`times`).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from chimp_assets.archive.stills.headers import PictureFacts, picture_facts, picture_facts_message
from chimp_assets.archive.storage.store import BlobStore
from chimp_assets.archive.video.reading import time_tags, time_tags_message
from chimp_assets.archive.video.workers import Worker, WorkerDeathError, WorkerFailureError


class ContainerTimes:
    """Reads times from containers in a child process: a file that kills its reader gives none, and nothing else."""

    def __init__(self, archive: BlobStore, stack: ExitStack) -> None:
        self._archive = archive
        self._stack = stack
        self._worker: Worker | None = None

    def created_at(self, key: str) -> tuple[dict[str, str], float | None] | None:
        """Tags of time in the container, and its seconds; None if it cannot be read."""
        if not self._archive.is_shareable:
            return time_tags((self._archive, key))
        found = self._asked(time_tags_message, key)
        return None if found is None else (found[0], found[1])

    def picture(self, key: str) -> PictureFacts:
        """What a picture file says of itself; nothing if it cannot be read."""
        if not self._archive.is_shareable:
            return picture_facts((self._archive, key))
        found = self._asked(picture_facts_message, key)
        return PictureFacts() if found is None else PictureFacts(**found)

    def _asked(self, function: Callable[..., Any], key: str) -> Any:
        if self._worker is None:
            self._worker = self._stack.enter_context(Worker(stall_s=60.0))
        try:
            return self._worker.call(function, {"archive": self._archive.as_message(), "uri": key})
        except (WorkerDeathError, WorkerFailureError):
            return None
