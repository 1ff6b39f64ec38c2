"""What an export is, and writing one to a file.

Belongs here: the description, the file that appears whole or not at all. Does not belong here: single exports (a module
of this folder each), commands (`cli.questions`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from chimp_assets.database.connection.engine import Database
from chimp_assets.errors import ChimpError


class ExportError(ChimpError):
    """An export is not known, or its file cannot be written."""


@dataclass(frozen=True)
class Export:
    """One format of one part of the database. what: a sentence for people; suffix: of its files, with the dot; write:
    fills an open binary file from the database and returns the number of rows or objects in it.
    """

    what: str
    suffix: str
    write: Callable[[Database, BinaryIO], int]


def write_export(export: Export, db: Database, file: Path) -> int:
    """Writes the file and returns what `write` returns. The file appears when it is complete; an older one stays until
    then. Raises ExportError where it cannot be written.
    """
    part = file.with_name(f"{file.name}.part")
    try:
        try:
            with part.open("wb") as stream:
                n = export.write(db, stream)
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise ExportError(
            f"{file} cannot be written: {error.strerror or error}.", "Check the folder and its room."
        ) from None
    return n


def write_rows(stream: BinaryIO, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    """CSV in UTF-8 with a header, as all tables of the product: moments and days in ISO 8601, None as an empty cell, no
    cell that a spreadsheet runs as a formula. Returns the number of rows.
    """
    import io

    from chimp_assets.database.csv_cells import GuardedWriter

    text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
    try:
        writer = GuardedWriter(text)
        writer.writerow(columns)
        n = 0
        for row in rows:
            writer.writerow([value.isoformat() if hasattr(value, "isoformat") else value for value in row])
            n += 1
    finally:
        text.detach()  # flushes, and leaves the file open for whoever opened it
    return n
