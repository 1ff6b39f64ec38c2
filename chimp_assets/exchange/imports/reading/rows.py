"""Tables in pieces: rows of CSV files, with their lines.

Belongs here: rows as other programs write them, with commas. Does not belong here: tables that people made in
spreadsheets, whose delimiters and decimal marks must be found out (`database.csv_sheets`).
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator
from typing import TextIO

from chimp_assets.exchange.imports.reading.sources import Source, broken, shown

MOST_LINE = 1 << 20
NO_END = "The last line of the file has no end: look whether the file is whole"


def csv_rows(source: Source, notes: list[str] | None = None) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of each row that is not empty. notes: told once if the last line has no end.

    Raises ImportFileError for what is no text, has quotes that do not close, or a line of a million characters.
    """
    with source.text() as text:
        lines = _Lines(source.name, text)
        reader = csv.reader(lines, strict=True)
        for cells in reader:
            if cells:
                yield reader.line_num, cells
        if lines.count > 1 and not lines.ends and notes is not None:
            notes.append(NO_END)


def table_rows(source: Source, needed: Collection[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, cells by the name of their column) below a header that has all needed names.

    Raises ImportFileError where the header lacks one, names one twice, or a row is shorter or longer than the header.
    """
    header: list[str] | None = None
    for line, cells in csv_rows(source):
        if header is None:
            header = [name.strip() for name in cells]
            missing = [name for name in needed if name not in header]
            if missing:
                raise broken(source.name, "header", f"the column {missing[0]} is missing")
            if len(set(header)) < len(header):
                raise broken(source.name, "header", "a column is there twice")
        elif len(cells) != len(header):
            raise broken(source.name, f"line {line}", f"it has {len(cells)} cells, the header {len(header)}")
        else:
            yield line, dict(zip(header, cells, strict=True))
    if header is None:
        raise broken(source.name, "", "the file is empty", "Export it again.")


class _Lines:
    """Lines of a text that end somewhere."""

    def __init__(self, name: str, text: TextIO) -> None:
        self._name, self._text = name, text
        self.count, self.ends = 0, True

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._text.readline(MOST_LINE)
        if not line:
            raise StopIteration
        self.count += 1
        self.ends = line[-1] in "\r\n"
        if not self.ends and len(line) == MOST_LINE:
            raise broken(self._name, f"line {self.count}", f"it never ends: {shown(line[:60])}")
        return line
