"""CSV files of a folder export, written row by row.

Belongs here: an open table. Does not belong here: what is in it (formats), a single table as an export
(`database.files.whole_file.write_rows`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any

from chimp_assets.database.csv_cells import GuardedWriter


class CsvTable:
    """A CSV in UTF-8 with a header, open for rows: as all tables of the product, yes and no as true and false. n: rows
    that were written."""

    def __init__(self, file: Path, columns: Sequence[str]) -> None:
        self._stream = file.open("w", encoding="utf-8", newline="")
        self._writer = GuardedWriter(self._stream, lineterminator="\n")
        self._writer.writerow(columns)
        self._columns = tuple(columns)
        self.n = 0

    def __enter__(self) -> CsvTable:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stream.close()

    def write(self, **values: Any) -> None:
        """One row by names of columns; what is left out is an empty cell. Raises KeyError for another name."""
        unknown = values.keys() - set(self._columns)
        if unknown:
            raise KeyError(*unknown)
        self._writer.writerow([_cell(values.get(name)) for name in self._columns])
        self.n += 1


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, date) else value
