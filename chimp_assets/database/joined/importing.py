"""A CSV file of other data becomes a table that can be joined: `ext_` and its name.

Belongs here: reading the file twice, first to see what its columns are, then to store its rows, in one transaction.
Does not belong here: how a file is written (`csv_sheets`), what columns are (`columns`) and mean (`matching`).

Memory: CHUNK rows. A process that is killed leaves the table as it was.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.csv_sheets import Fault, Row, Sheet, TableFileError, open_sheet, rows_of
from chimp_assets.database.joined.columns import ORDERS, ROW, SeenColumn, readers, said_by_header, sql_names
from chimp_assets.database.joined.matching import Matcher, Unmatched, matcher_of
from chimp_assets.database.joined.tables import (
    COMPANIONS,
    LONGEST_CELL,
    ImportedColumn,
    JoinedTableError,
    checked_name,
    drop_in,
    imported_tables,
    table_of,
)
from chimp_assets.database.people.users import user_id_of, write_audit_event
from chimp_assets.database.schema import TABLE_JOINS, imported_column, imported_table
from chimp_assets.database.texts import fault_of

MOST_ROWS = 1_000_000
MOST_COLUMNS = 100
MOST_BYTES = 500_000_000
CHUNK = 5_000
_SPREADSHEETS = (".xlsx", ".xls", ".ods", ".numbers")


@dataclass(frozen=True)
class ImportOptions:
    """What somebody says of a file. name: None takes the file's; joins: a header or SQL name to what it names, or None
    for values alone; order: of the parts of dates like 03/04/2013; replace: a table of this name; dry_run: store
    nothing; by: the user."""

    name: str | None = None
    about: str | None = None
    joins: Mapping[str, str | None] = field(default_factory=dict)
    order: str | None = None
    timezone: str = "UTC"
    replace: bool = False
    dry_run: bool = False
    by: str | None = None


@dataclass(frozen=True)
class TableReport:
    """What became of a file. state: stored, replaced, unchanged, or seen (a dry run)."""

    name: str
    state: str
    n_rows: int
    columns: tuple[ImportedColumn, ...]
    unmatched: tuple[Unmatched, ...] = ()
    notes: tuple[str, ...] = ()


def import_table(db: Database, file: Path, options: ImportOptions) -> TableReport:
    """Store a CSV file as `ext_NAME`. Raises TableFileError for a file that cannot be read, or whose rows differ in
    length; JoinedTableError for a name, a column or an order that cannot be, and a table that is there already.
    """
    name = checked_name(options.name or _name_of(file))
    _require_order(options.order)
    content_hash = _hash_of(file)
    if options.about is not None and (fault := fault_of(options.about, 500)) is not None:
        raise JoinedTableError(f"What is said about the table {fault}.", "Say it in other words.")
    sheet = open_sheet(file, lambda header: bool(header), lambda header: True)
    if sheet.mixed:  # one mark in one column may be another's separator of thousands: every cell says for itself
        sheet = _unmixed(sheet)
    seen, n_rows = _look(sheet, options)
    with db.read() as conn:
        columns, matchers, chosen = _columns(conn, sheet, seen, options)
        before = next((one for one in imported_tables(conn) if one.name == name), None)
    if before is not None and _same(before.content_hash, content_hash, before.columns, columns) and not options.dry_run:
        return TableReport(name, "unchanged", before.n_rows, before.columns, (), sheet.notes)
    if before is not None and not options.replace and not options.dry_run:
        raise JoinedTableError(
            f"There is a table {name} already, of {before.file_name}.", "Use --replace, or another --name."
        )
    longest = {column.name: min(LONGEST_CELL, column.longest) for column in seen}
    longest |= {column.name: 200 for column in columns if not column.header}
    table = table_of(name, columns, longest)
    rows = _Rows(sheet, seen, matchers, chosen, options)

    def work(conn: sa.Connection) -> None:
        drop_in(conn, name)
        table.create(conn)
        for part in rows.chunks():
            insert_rows(conn, table, part)
        by = user_id_of(conn, options.by) if options.by is not None else None
        conn.execute(
            sa.insert(imported_table).values(
                name=name, file_name=file.name[:255], content_hash=content_hash, n_rows=n_rows, about=options.about,
                imported_by=by, imported_at=datetime.now(UTC),
            )
        )  # fmt: skip
        conn.execute(
            sa.insert(imported_column),
            [
                {"name": name, "column_name": one.name, "position": place, "header": one.header[:255],
                 "kind": one.kind, "joins": one.joins}
                for place, one in enumerate(columns)
            ],
        )  # fmt: skip
        write_audit_event(conn, "table.import", table.name, {"file": file.name[:200], "rows": n_rows}, options.by)

    if options.dry_run:
        for _ in rows.chunks():
            pass
    else:
        db.transact(work)
    state = "seen" if options.dry_run else "stored" if before is None else "replaced"
    unmatched = tuple(found for one in rows.matchers.values() if (found := one.report()) is not None)
    return TableReport(name, state, n_rows, columns, unmatched, sheet.notes)


def _name_of(file: Path) -> str:
    word = unicodedata.normalize("NFKD", file.stem).encode("ascii", "ignore").decode().lower()
    word = re.sub(r"[^a-z0-9]+", "_", word).strip("_")[:40]
    return word if word[:1].isalpha() else f"t_{word}"[:40].rstrip("_")


def _require_order(order: str | None) -> None:
    if order is not None and order not in ORDERS:
        raise JoinedTableError(f"{order[:20]!r} is no order of a date.", "There are ymd, dmy and mdy.")


def _hash_of(file: Path) -> str:
    if file.suffix.lower() in _SPREADSHEETS:
        raise TableFileError(f"{file} is a spreadsheet's own file.", "Save it as CSV UTF-8 and import that.")
    digest = hashlib.sha256()
    try:
        if file.stat().st_size > MOST_BYTES:
            raise TableFileError(
                f"{file} holds more than {MOST_BYTES // 1_000_000} MB.", "Import a part of it, or load it by SQL."
            )
        with file.open("rb") as stream:
            while part := stream.read(1 << 20):
                digest.update(part)
    except OSError as error:
        raise TableFileError(f"{file} cannot be read: {error.strerror}.", "Say where the CSV file is.") from None
    return digest.hexdigest()


def _unmixed(sheet: Sheet) -> Sheet:
    return replace(sheet, decimal=None, mixed=False)


def _places(sheet: Sheet) -> dict[str, int]:
    first = 1 if sheet.index and not sheet.short_header else 0
    places = [place for place in range(first, len(sheet.header)) if sheet.header[place]]
    if not places:
        raise TableFileError(f"{sheet.file} has no header.", "Write the names of the columns on its first line.")
    if len(places) > MOST_COLUMNS:
        raise TableFileError(f"{sheet.file} has {len(places)} columns.", f"Import at most {MOST_COLUMNS} of them.")
    return dict(zip(sql_names([sheet.header[place] for place in places]), places, strict=True))


def _look(sheet: Sheet, options: ImportOptions) -> tuple[list[SeenColumn], int]:
    """What the columns hold, and the number of rows."""
    places = _places(sheet)
    seen = {name: SeenColumn(sheet.header[place], name) for name, place in places.items()}
    read = readers(sheet.decimal, sheet.mixed, options.order)
    n_rows = 0
    for row in _good_rows(sheet, places):
        n_rows += 1
        if n_rows > MOST_ROWS:
            raise TableFileError(f"{sheet.file} has more than {MOST_ROWS:,} rows.", "Import a part of it.")
        for name, text in row.cells.items():
            if text is not None:
                seen[name].look(row.line, text, read)
                if (fault := fault_of(text, LONGEST_CELL)) is not None:
                    raise TableFileError(
                        f"{sheet.file}, line {row.line}, {seen[name].header}: the cell {fault}.", "Mend the cell."
                    )
    for column in seen.values():
        if column.kind == "date" and column.ambiguous is not None:
            line, text = column.ambiguous
            raise TableFileError(
                f"{sheet.file}, line {line}, {column.header}: {text!r} can be read in several ways.",
                "Say in which order the file writes dates: --dates dmy, or --dates mdy.",
            )
    return list(seen.values()), n_rows


def _good_rows(sheet: Sheet, places: Mapping[str, int]) -> Iterator[Row]:
    for row in rows_of(sheet, places, {}):
        if isinstance(row, Fault):
            raise TableFileError(f"{sheet.file}, {row}.", "Mend the line and import the file again; nothing is stored.")
        yield row


def _columns(
    conn: sa.Connection, sheet: Sheet, seen: list[SeenColumn], options: ImportOptions
) -> tuple[tuple[ImportedColumn, ...], dict[str, Matcher], dict[str, str]]:
    """The columns of the table, those that the import adds among them; what the cells of some mean; what is joined."""
    said = _said(sheet, seen, options)
    spoken_for = {joins for joins in said.values() if joins is not None}
    chosen: dict[str, str] = {}
    matchers: dict[str, Matcher] = {}
    for column in seen:
        joins = said[column.name] if column.name in said else said_by_header(column.header)
        if joins is None and column.name not in said and column.kind in ("date", "moment"):
            joins = "day" if column.kind == "date" else "moment"
        if joins in ("day", "moment"):
            fits = {"date": "day", "moment": "moment"}.get(column.kind)
            if fits is None and column.name in said:
                raise JoinedTableError(
                    f"The column {column.header} does not hold {joins}s in every row.", "Mend it, or leave that out."
                )
            joins = fits
        # What somebody says of a later column counts more than the header of an earlier one.
        if joins is None or joins in chosen.values() or (joins in spoken_for and column.name not in said):
            continue
        if joins in ("individual", "camera", "place", "video"):
            matcher = matcher_of(conn, column.name, joins)
            if column.name not in said and not _fits(sheet, column, matcher):
                continue
            matchers[column.name] = matcher
        chosen[column.name] = joins
    taken = {column.name for column in seen}
    made = []
    for column in seen:
        joins = chosen.get(column.name)
        kind = "text" if column.name in matchers else column.kind
        made.append(ImportedColumn(column.name, column.header, kind, joins))
        for suffix in COMPANIONS.get(joins or "", ()):
            name = f"{column.name}_{suffix}"
            if name in taken:
                raise JoinedTableError(
                    f"The file has a column {name}, which the import would add for {column.header}.",
                    "Give it another name in the file.",
                )
            kind = {"id": "integer", "video_id": "integer", "day": "date"}.get(suffix, "text")
            made.append(ImportedColumn(name, "", kind, None))
    return tuple(made), matchers, chosen


def _said(sheet: Sheet, seen: list[SeenColumn], options: ImportOptions) -> dict[str, str | None]:
    by_word = {column.header: column.name for column in seen} | {column.name: column.name for column in seen}
    said: dict[str, str | None] = {}
    for word, joins in options.joins.items():
        if word not in by_word:
            raise JoinedTableError(
                f"{sheet.file.name} has no column {word[:60]!r}.",
                f"It has {', '.join(column.header for column in seen)[:400]}.",
            )
        if joins is not None and joins not in TABLE_JOINS:
            raise JoinedTableError(f"A column cannot name {joins[:20]!r}.", f"There are {', '.join(TABLE_JOINS)}.")
        said[by_word[word]] = joins
    return said


def _fits(sheet: Sheet, column: SeenColumn, matcher: Matcher) -> bool:
    """Whether a column that is called so names what is known: any cell of it that does."""
    place = _places(sheet)[column.name]
    return any(
        matcher.key(text) in matcher.known
        for row in _good_rows(sheet, {column.name: place})
        if (text := row.cells[column.name]) is not None
    )


def _same(
    one_hash: str, other_hash: str, before: tuple[ImportedColumn, ...], after: tuple[ImportedColumn, ...]
) -> bool:
    return one_hash == other_hash and before == after


class _Rows:
    """The rows of a file as the table holds them."""

    def __init__(
        self,
        sheet: Sheet,
        seen: list[SeenColumn],
        matchers: dict[str, Matcher],
        chosen: dict[str, str],
        options: ImportOptions,
    ) -> None:
        self.sheet, self.seen, self.matchers, self.chosen = sheet, seen, matchers, chosen
        self._zone = ZoneInfo(options.timezone)
        self._read = readers(sheet.decimal, sheet.mixed, options.order)

    def chunks(self) -> Iterator[dict[str, list[Any]]]:
        """Values by column, CHUNK rows at a time; counts anew what nobody is known by."""
        for matcher in self.matchers.values():
            matcher.missed.clear()
        part: list[dict[str, Any]] = []
        for row in _good_rows(self.sheet, _places(self.sheet)):
            part.append(self._values(row))
            if len(part) == CHUNK:
                yield _as_columns(part)
                part = []
        if part:
            yield _as_columns(part)

    def _values(self, row: Row) -> dict[str, Any]:
        values: dict[str, Any] = {ROW: row.line}
        for column in self.seen:
            text = row.cells[column.name]
            joins = self.chosen.get(column.name, "")
            matcher = self.matchers.get(column.name)
            if matcher is not None:
                values[column.name] = text
                found = matcher.meaning(text) if text is not None else None
                parts = found if isinstance(found, tuple) else (found,) * len(COMPANIONS[joins])
                values |= {
                    f"{column.name}_{suffix}": part for suffix, part in zip(COMPANIONS[joins], parts, strict=True)
                }
                continue
            value = None if text is None else self._read[column.kind](text)
            if isinstance(value, datetime):
                value = value if value.tzinfo is not None else value.replace(tzinfo=self._zone)
            values[column.name] = value
            if joins == "moment":
                values[f"{column.name}_day"] = self._day(value)
        return values

    def _day(self, moment: Any) -> date | None:
        return moment.astimezone(self._zone).date() if isinstance(moment, datetime) else None


def _as_columns(part: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in part] for name in part[0]}
