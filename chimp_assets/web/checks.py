"""Questions whose answer is known, among the others: gold for people who do not correct, wrong tracks in a grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chimp_assets.database.engine import Database
from chimp_assets.settings import Settings
from chimp_assets.web.sessions import Person


class Checks:
    """Known answers of one database."""

    def __init__(self, db: Database, settings: Settings) -> None:
        self._db, self._settings = db, settings

    def learn(self, person: Person, events: Sequence[Any], results: Sequence[Any]) -> None:
        """Whether the answers to known questions were right."""
