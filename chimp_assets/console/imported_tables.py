"""What `chimp tables` prints. Does not belong here: reading and joining (`database.joined`, `insight.joined`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from chimp_assets.console.output import say
from chimp_assets.console.tables import print_table
from chimp_assets.console.words import cell_of

if TYPE_CHECKING:
    from chimp_assets.database.joined.importing import TableReport
    from chimp_assets.database.joined.tables import ImportedColumn, ImportedTable

_WORDS = {
    "stored": "ext_{name}: {n:,} rows stored.",
    "replaced": "ext_{name}: {n:,} rows stored, in place of the earlier table.",
    "unchanged": "ext_{name} holds this file already: {n:,} rows.",
    "seen": "ext_{name} would hold {n:,} rows; nothing was stored.",
}


def show_report(done: TableReport) -> None:
    """What became of a file: its columns, and what was not found."""
    say(_WORDS[done.state].format(name=done.name, n=done.n_rows))
    _show_columns(done.columns)
    for one in done.unmatched:
        say(str(one))
    if not any(column.joins for column in done.columns):
        say("No column names an individual, a camera, a day or a video: say which one does, with --individual COLUMN.")


def show_tables(found: Sequence[ImportedTable]) -> None:
    """Every table, a line each."""
    if not found:
        say("There are no imported tables: chimp tables import FILE makes one.")
        return
    rows = [
        [one.sql_name, f"{one.n_rows:,}", ", ".join(c.joins for c in one.columns if c.joins) or "-", one.file_name,
         f"{one.at:%Y-%m-%d %H:%M} UTC", one.about or ""]
        for one in found
    ]  # fmt: skip
    print_table(["table", "rows", "joins", "file", "imported", "about"], rows)


def show_table(table: ImportedTable, first: Sequence[Any]) -> None:
    """Columns and first rows."""
    say(f"{table.sql_name}: {table.n_rows:,} rows of {table.file_name}. {table.about or ''}".strip())
    _show_columns(table.columns)
    if first:
        print_table(list(first[0]._fields), [[cell_of(value) for value in row] for row in first])


def show_joined(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """The answer of a join."""
    print_table(list(header), [[cell_of(value) for value in row] for row in rows])
    if not rows:
        say("No rows: nobody was seen where and when the rows are.")


def _show_columns(columns: Sequence[ImportedColumn]) -> None:
    print_table(
        ["column", "in the file", "holds", "names"],
        [[one.name, one.header or "(added)", one.kind, one.joins or ""] for one in columns],
    )
