"""Pictures of items that are not made yet, made beside the requests."""

from __future__ import annotations

from collections.abc import Sequence

from chimp_assets.database.engine import Database
from chimp_assets.home import Home


class Making:
    """A worker that makes missing pictures."""

    def __init__(self, home: Home, db: Database, enabled: bool = True) -> None:
        self._home, self._db, self._enabled = home, db, enabled

    def make_soon(self, track_ids: Sequence[int], wait_s: float) -> None:
        """Ask for the pictures of some tracks; returns after wait_s at the latest."""
