"""What an export is, what it is asked for, and writing one.

Belongs here: the description of an export, the request it answers. Does not belong here: single exports (a module of
this folder each), which tracks are chosen (`selection`), commands (`cli.questions`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from chimp_assets.archive.storage.store import BlobStore
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.files.whole_file import write_whole
from chimp_assets.errors import ChimpError
from chimp_assets.exchange.exports.selection import Selection
from chimp_assets.home import Home
from chimp_assets.settings import Settings


class ExportError(ChimpError):
    """An export is not known, or lacks what it must say."""


@dataclass(frozen=True)
class ExportRequest:
    """What an export may read, and what of it is wanted.

    store: where pictures lie; None: an export that needs them refuses. exact_places: coordinates leave as they are, not
    rounded.
    """

    database: Database
    settings: Settings
    store: BlobStore | None = None
    selection: Selection = field(default_factory=Selection)
    exact_places: bool = False

    @classmethod
    def of(cls, home: Home, **wanted: Any) -> ExportRequest:
        """A request to a home."""
        return cls(home.database.replica, home.settings, home.store, **wanted)


@dataclass(frozen=True)
class Export:
    """One format of one part of the database. what: a sentence for people; suffix: of its files, with the dot; write:
    fills an open binary file and returns the number of rows or objects in it.
    """

    what: str
    suffix: str
    write: Callable[[ExportRequest, BinaryIO], int]


def write_export(export: Export, request: ExportRequest, file: Path) -> int:
    """Writes the file and returns what `write` returns. Raises FileWriteError where it cannot be written."""
    return write_whole(file, lambda stream: export.write(request, stream))
