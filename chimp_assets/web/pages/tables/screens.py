"""Imported tables: which there are, their rows, what joins them with sightings, and importing one.

Belongs here: handlers, reading the address. Does not belong here: files (`database.joined`), joins (`insight.joined`).
"""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from chimp_assets.database.joined.columns import ROW
from chimp_assets.database.joined.importing import ImportOptions, import_table
from chimp_assets.database.joined.tables import (
    ImportedTable,
    JoinedTableError,
    imported,
    imported_tables,
    remove_table,
    rows_of,
)
from chimp_assets.insight.joined.beside import DAYS, MOST_DAYS, can_be_placed, seen_around, seen_there, tells_of_lives
from chimp_assets.web.auth.roles import require
from chimp_assets.web.auth.sessions import person_of
from chimp_assets.web.errors import WebError
from chimp_assets.web.fields import Body
from chimp_assets.web.tables import csv_download

router = APIRouter(include_in_schema=False, dependencies=[Depends(require("viewer"))])
api = APIRouter(prefix="/api/tables", tags=["tables"], dependencies=[Depends(require("reviewer"))])

PAGE = 50
JOINED = 200
"""Rows of the table that a page of a join looks at."""
Join = Literal["there", "around"]
Joins = Literal["individual", "camera", "place", "day", "moment", "video"]
After = Annotated[int, Query(ge=0, lt=2**53)]
Days = Annotated[int, Query(ge=1, le=MOST_DAYS)]


@router.get("/tables")
def overview(request: Request) -> Response:
    """Every imported table."""
    with request.app.state.db.read() as conn:
        found = imported_tables(conn)
    return request.app.state.templates.TemplateResponse(
        request,
        "tables/tables.html",
        {"tables": found, "most": request.app.state.settings.web.body_bytes * 3 // 4 // 1024},
    )


@router.get("/tables/{name}")
def one(request: Request, name: str, after: After = 0) -> Response:
    """A table: its columns and its rows."""
    with request.app.state.db.read() as conn:
        table = _found(conn, name)
        rows = rows_of(conn, table, after, PAGE + 1)
    more = rows[PAGE - 1]._mapping[ROW] if len(rows) > PAGE else None
    return request.app.state.templates.TemplateResponse(
        request,
        "tables/table.html",
        {
            "table": table, "rows": rows[:PAGE], "after": after, "more": more, "days": DAYS,
            "places": can_be_placed(table), "lives": tells_of_lives(table),
        },
    )  # fmt: skip


@router.get("/tables/{name}/rows.csv")
def rows_csv(request: Request, name: str) -> Response:
    """The whole table."""
    with request.app.state.db.read() as conn:
        table = _found(conn, name)

    def rows() -> Iterator[Any]:
        after = 0
        with request.app.state.db.read() as conn:
            while part := rows_of(conn, table, after, 1_000):
                yield from part
                after = part[-1]._mapping[ROW]

    return csv_download(table.sql_name, [ROW, *(column.name for column in table.columns)], rows())


@router.get("/tables/{name}/{join}")
def joined(request: Request, name: str, join: Join, after: After = 0, days: Days = DAYS) -> Response:
    """The table beside sightings: there and then, or around the days of an individual."""
    with request.app.state.db.read() as conn:
        table = _found(conn, name)
        keys = list(conn.scalars(_keys(table, after, JOINED + 1)))
        found = (
            seen_there(conn, table, after, JOINED) if join == "there" else seen_around(conn, table, days, after, JOINED)
        )
        rows = list(found.rows)
    more = keys[JOINED - 1] if len(keys) > JOINED else None
    return request.app.state.templates.TemplateResponse(
        request,
        "tables/joined.html",
        {
            "table": table,
            "join": join,
            "header": found.header,
            "rows": rows,
            "days": days,
            "after": after,
            "more": more,
        },
    )


@router.get("/tables/{name}/{join}/joined.csv")
def joined_csv(request: Request, name: str, join: Join, days: Days = DAYS) -> Response:
    """The whole answer."""
    with request.app.state.db.read() as conn:
        table = _found(conn, name)
        header = (seen_there(conn, table) if join == "there" else seen_around(conn, table, days)).header

    def rows() -> Iterator[Any]:
        with request.app.state.db.read() as conn:
            yield from (seen_there(conn, table) if join == "there" else seen_around(conn, table, days)).rows

    return csv_download(f"{table.sql_name}_{join}", header, rows())


class ImportBody(Body):
    """A CSV file. content: its bytes in base64; the whole request is bounded by web.body_bytes. joins: what columns
    name, by their headers, where the headers alone do not say it; null: nothing."""

    file_name: Annotated[str, Field(min_length=1, max_length=255)]
    content: str
    name: Annotated[str, Field(max_length=40)] = ""
    about: Annotated[str, Field(max_length=500)] = ""
    dates: Annotated[str, Field(max_length=3)] = ""
    joins: Annotated[dict[str, Joins | None], Field(max_length=100)] = Field(default_factory=dict)
    replace: bool = False
    dry_run: bool = True


@api.post("/import")
def take(request: Request, body: ImportBody) -> Any:
    """Import a CSV file, or see what it would become. Raises WebError for content that is not base64."""
    state = request.app.state
    person = person_of(request)
    try:
        content = base64.b64decode(body.content, validate=True)
    except ValueError:
        raise WebError(422, "malformed", "The content is not base64.", "See /api/openapi.json.") from None
    options = ImportOptions(
        body.name or None, body.about or None, dict(body.joins), body.dates or None, state.settings.archive.timezone,
        body.replace, body.dry_run, person.name if person is not None else None,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / _file_name(body.file_name)
        file.write_bytes(content)
        done = import_table(state.db, file, options)
    return {
        "name": done.name, "state": done.state, "rows": done.n_rows,
        "columns": [{"name": c.name, "header": c.header, "kind": c.kind, "joins": c.joins} for c in done.columns],
        "unmatched": [str(one) for one in done.unmatched], "notes": list(done.notes),
    }  # fmt: skip


def _file_name(said: str) -> str:
    """A name for a temporary file, made of letters and digits of what somebody said: never a path."""
    path = PurePosixPath(said.replace("\\", "/"))
    stem = "".join(c if c.isalnum() else "_" for c in path.stem)[:60] or "table"
    return f"{stem}.xlsx" if path.suffix.lower() in (".xlsx", ".xls", ".ods") else f"{stem}.csv"


@api.post("/{name}/remove")
def remove(request: Request, name: str) -> Any:
    """Take a table away."""
    person = person_of(request)
    try:
        n = remove_table(request.app.state.db, name, person.name if person is not None else None)
    except JoinedTableError as error:
        raise WebError(404, "no_table", error.sentence, error.remedy) from None
    return {"removed": name, "rows": n}


def _found(conn: sa.Connection, name: str) -> ImportedTable:
    try:
        return imported(conn, name)
    except JoinedTableError as error:
        raise WebError(404, "no_table", error.sentence, error.remedy) from None


def _keys(table: ImportedTable, after: int, limit: int) -> sa.Select[Any]:
    made = table.table
    return sa.select(made.c[ROW]).where(made.c[ROW] > after).order_by(made.c[ROW]).limit(limit)
