"""Tables that people keep elsewhere, as CSV: any usual delimiter, any spelling of the headers, lines for messages.

Belongs here: cells with the line they stand in; what a date looks like. Does not belong here: what a column means
(`individual_files`, `effort_files`).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from chimp_assets.errors import ChimpError

_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:[ T]00:00(?::00(?:\.0+)?)?)?")
_TWO_READINGS = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d{2})")


class TableFileError(ChimpError):
    """A table file cannot be read, or says something that cannot be stored."""


@dataclass(frozen=True)
class Fault:
    """Why a row cannot be stored: its line in the file (the header is line 1), the column at fault, and the reason."""

    line: int
    column: str
    message: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.column}: {self.message}"


@dataclass(frozen=True)
class Row:
    """One row: its line, and its cells by our name of their column; an empty cell is None."""

    line: int
    cells: Mapping[str, str | None]


@dataclass(frozen=True)
class Layout:
    """A kind of table. needs: our columns by which it is known; columns: plain header to our column; left_out: plain
    headers that are known and not stored.
    """

    name: str
    needs: frozenset[str]
    columns: Mapping[str, str]
    left_out: frozenset[str] = frozenset()


@dataclass(frozen=True)
class CsvTable:
    """A file's rows; columns: our names to the file's; left_out: columns of the file that nothing is made of."""

    layout: Layout
    columns: Mapping[str, str]
    left_out: list[str]
    rows: list[Row]
    faults: list[Fault] = field(default_factory=list)


def plain(header: str) -> str:
    """A header without case, spaces, underscores and hyphens: `Birth Date` and `birth_date` are one."""
    return re.sub(r"[\s_-]", "", header).lower()


def read_table(file: Path, layouts: Sequence[Layout]) -> CsvTable:
    """All rows of a CSV file in UTF-8, with or without BOM; comma, semicolon or tab. Empty lines do not count.

    The table is the first of layouts whose needs its header has. A row with more or fewer cells than the header is a
    fault. Raises TableFileError if the file cannot be read, is no such table, or has a column unknown or twice.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            first = text.readline()
            text.seek(0)
            # Spreadsheets of many countries write semicolons.
            reader = csv.reader(text, delimiter=max(",;\t", key=first.count), strict=True)
            header = [name.strip() for name in next(reader, [])]
            while header and not header[-1]:
                header.pop()  # spreadsheets leave empty columns at the end
            layout = _layout_of(file, header, layouts)
            kept = _columns(file, header, layout)
            rows: list[Row] = []
            faults: list[Fault] = []
            for line, cells in _lines(reader):
                if any(cell.strip() for cell in cells[len(header) :]) or len(cells) < len(header):
                    word = "fewer" if len(cells) < len(header) else "more"
                    faults.append(Fault(line, header[-1], f"the row has {word} cells ({len(cells)}) than the header"))
                    continue
                rows.append(Row(line, {ours: cells[place].strip() or None for ours, place in kept.items()}))
    except OSError as error:
        raise TableFileError(f"{file} cannot be read: {error.strerror}.", "Say where the CSV file is.") from None
    except UnicodeDecodeError:
        raise TableFileError(f"{file} is not UTF-8 text.", "Save it as CSV UTF-8 and import it again.") from None
    except csv.Error as error:
        raise TableFileError(
            f"{file} is not a CSV file: {error}.", "Save it as CSV UTF-8 and import it again."
        ) from None
    return CsvTable(
        layout=layout,
        columns={ours: header[place] for ours, place in kept.items()},
        left_out=[name for name in header if plain(name) in layout.left_out],
        rows=rows,
        faults=faults,
    )


def date_of(text: str) -> date:
    """A date as ISO writes it, or as a spreadsheet does with a midnight behind. Raises ValueError with a sentence."""
    matched = _DATE.fullmatch(text)
    if matched:
        try:
            return date(*map(int, matched.groups()))
        except ValueError:
            raise ValueError(f"there is no day {text[:10]}") from None
    if _TWO_READINGS.fullmatch(text):
        raise ValueError(f"{text!r} can be read in several ways; write year-month-day, like 1976-03-24")
    raise ValueError(f"{text!r} is not a date like 1976-03-24")


class FaultyTableError(TableFileError):
    """Rows of a table say what cannot be, and nothing of the file was stored. faults: all of them."""

    faults: tuple[Fault, ...] = ()


def refusal_of(file: Path, faults: list[Fault]) -> FaultyTableError:
    """The error that names every fault of a file, one a line."""
    error = FaultyTableError(
        f"{file} cannot be imported: " + ";\n  ".join(map(str, faults)) + ".",
        "Mend these and import it again (nothing was stored), or leave out bad rows with --skip-bad.",
    )
    error.faults = tuple(faults)
    return error


def _layout_of(file: Path, header: list[str], layouts: Sequence[Layout]) -> Layout:
    there = {plain(name) for name in header}
    for layout in layouts:
        if layout.needs <= {ours for name, ours in layout.columns.items() if name in there}:
            return layout
    forms = "; or ".join(f"{layout.name}: {', '.join(sorted(layout.needs))}" for layout in layouts)
    raise TableFileError(
        f"{file}, line 1: these are the columns of no table that can be imported.", f"Needed: {forms}."
    )


def _columns(file: Path, header: list[str], layout: Layout) -> dict[str, int]:
    kept: dict[str, int] = {}
    for place, name in enumerate(header):
        ours = layout.columns.get(plain(name))
        if ours is None and plain(name) not in layout.left_out:
            known = ", ".join(dict.fromkeys(layout.columns.values()))
            raise TableFileError(
                f"{file}, line 1: the column {name!r} is not known.", f"A table of {layout.name} may have {known}."
            )
        if ours in kept:
            raise TableFileError(
                f"{file}, line 1: the columns {header[kept[ours]]!r} and {name!r} mean the same.", "Leave one of them."
            )
        if ours is not None:
            kept[ours] = place
    return kept


def _lines(reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    line = reader.line_num + 1  # type: ignore[attr-defined]
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield line, cells
        line = reader.line_num + 1  # type: ignore[attr-defined]
