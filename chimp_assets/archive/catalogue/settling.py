"""Files that are still being written when they are listed.

Belongs here: waiting for them, once and for a moment. Does not belong here: what is done with a whole file.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from chimp_assets.archive.storage.store import BlobInfo, BlobStore

# A file written to this recently may still be growing. Discovery waits this long once, then leaves such files alone.
SETTLE_S = 2.0


class Patience:
    """Waits once, for a moment, until fresh files are settled; after that, fresh files wait for the next listing."""

    def __init__(self, archive: BlobStore, now: Callable[[], datetime], sleep: Callable[[float], None]) -> None:
        self._archive = archive
        self._now = now
        self._sleep = sleep
        self._left_s = SETTLE_S

    def settled(self, info: BlobInfo) -> bool:
        """Whether the file is whole, as far as its date tells. A date in the future (a wrong clock) tells nothing."""
        age_s = (self._now() - info.modified).total_seconds()
        if not 0 <= age_s < SETTLE_S:
            return True
        pause_s = SETTLE_S - age_s
        if pause_s > self._left_s:
            return False
        self._left_s -= pause_s
        self._sleep(pause_s)
        again = self._archive.head(info.key)
        return again is not None and again.etag == info.etag
