"""A file that appears whole or not at all, and rows of CSV in it.

Belongs here: writing files for people. Does not belong here: what is in them (`exchange.exports`, `insight`).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from chimp_assets.database.csv_cells import GuardedWriter
from chimp_assets.errors import ChimpError


class FileWriteError(ChimpError):
    """A file cannot be written, or its ending says no format."""


def write_whole(file: Path, fill: Callable[[BinaryIO], int]) -> int:
    """Writes a file by `fill`, which is given an open binary file, and returns what it returns. The file appears when
    it is complete; an older one stays until then. Raises FileWriteError where it cannot be written.
    """
    part = file.with_name(f"{file.name}.part")
    try:
        try:
            with part.open("wb") as stream:
                n = fill(stream)
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise FileWriteError(
            f"{file} cannot be written: {error.strerror or error}.", "Check the folder and its room."
        ) from None
    return n


def write_rows(stream: BinaryIO, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    """CSV in UTF-8 with a header, as all tables of the product: moments and days in ISO 8601, None as an empty cell, no
    cell that a spreadsheet runs as a formula. Returns the number of rows.
    """
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
