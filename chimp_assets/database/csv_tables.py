"""Tables that people keep elsewhere, as CSV files: which kind of table a file holds, and its rows by our columns.

Belongs here: layouts, and reading a file by them. Does not belong here: how a file is written (`csv_sheets`), single
cells (`csv_cells`), and what a column means (`database.files`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chimp_assets.database.csv_cells import Number
from chimp_assets.database.csv_sheets import Fault, Row, Sheet, TableFileError, open_sheet, plain, rows_of


@dataclass(frozen=True)
class Layout:
    """A kind of table. needs: our columns by which it is known; columns: plain header to our column; left_out: plain
    headers that are known and not stored; numbers: our columns that hold numbers.
    """

    name: str
    needs: frozenset[str]
    columns: Mapping[str, str]
    left_out: frozenset[str] = frozenset()
    numbers: Mapping[str, Number] = field(default_factory=dict)


@dataclass(frozen=True)
class CsvTable:
    """A file's rows; columns: our names to the file's; left_out: ignored columns of the file; notes: what was assumed
    about the file, in sentences.
    """

    layout: Layout
    columns: Mapping[str, str]
    left_out: list[str]
    rows: list[Row]
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class FaultyTableError(TableFileError):
    """Rows of a table say what cannot be, and nothing of the file was stored. faults: all of them."""

    faults: tuple[Fault, ...] = ()


def refusal_of(file: Path, faults: list[Fault], notes: Sequence[str] = ()) -> FaultyTableError:
    """The error that names every fault of a file, one a line, and then what was assumed about the file."""
    error = FaultyTableError(
        f"{file} cannot be imported: " + ";\n  ".join(map(str, faults)) + "." + "".join(f" {n}." for n in notes),
        "Mend these and import it again (nothing was stored), or leave out bad rows with --skip-bad.",
    )
    error.faults = tuple(faults)
    return error


def read_table(file: Path, layouts: Sequence[Layout]) -> CsvTable:
    """All rows of a CSV file as spreadsheets write them; see `open_sheet`. Empty lines do not count.

    The table is the first of layouts whose needs its header has. A row with more or fewer cells than the header is a
    fault. Raises TableFileError if the file cannot be read, is no such table, or has a column unknown or twice.
    """
    known = {name for layout in layouts for name in (*layout.columns, *layout.left_out)}
    numeric = {name for layout in layouts for name, ours in layout.columns.items() if ours in layout.numbers}
    sheet = open_sheet(file, lambda name: plain(name) in known, lambda name: plain(name) in numeric)
    layout = _layout_of(sheet, layouts)
    kept = _columns(sheet, layout)
    rows: list[Row] = []
    faults: list[Fault] = []
    for row in rows_of(sheet, kept, layout.numbers):
        if isinstance(row, Row):
            rows.append(row)
        else:
            faults.append(row)
    return CsvTable(
        layout=layout,
        columns={ours: sheet.header[place] for ours, place in kept.items()},
        left_out=[name for name in sheet.header if plain(name) in layout.left_out],
        rows=rows,
        faults=faults,
        notes=list(sheet.notes),
    )


def _layout_of(sheet: Sheet, layouts: Sequence[Layout]) -> Layout:
    there = {plain(name) for name in sheet.header}
    for layout in layouts:
        if layout.needs <= {ours for name, ours in layout.columns.items() if name in there}:
            return layout
    forms = "; or ".join(f"{layout.name}: {', '.join(sorted(layout.needs))}" for layout in layouts)
    raise TableFileError(
        f"{sheet.file}, line {sheet.header_line}: these are the columns of no table that can be imported.",
        f"Needed: {forms}.",
    )


def _columns(sheet: Sheet, layout: Layout) -> dict[str, int]:
    kept: dict[str, int] = {}
    where = f"{sheet.file}, line {sheet.header_line}"
    for place, name in enumerate(sheet.header):
        if not name or (place == 0 and sheet.index):
            continue
        ours = layout.columns.get(plain(name))
        if ours is None and plain(name) not in layout.left_out:
            known = ", ".join(dict.fromkeys(layout.columns.values()))
            raise TableFileError(
                f"{where}: the column {name!r} is not known.", f"A table of {layout.name} may have {known}."
            )
        if ours in kept:
            raise TableFileError(
                f"{where}: the columns {sheet.header[kept[ours]]!r} and {name!r} mean the same.", "Leave one of them."
            )
        if ours is not None:
            kept[ours] = place
    return kept
