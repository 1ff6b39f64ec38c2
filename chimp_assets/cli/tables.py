"""`chimp tables`: tables of other data, to be joined with sightings.

Does not belong here: reading files (`database.joined.importing`), joins (`insight.joined`).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from chimp_assets.cli.answers import By, DryRun, Json, answer, opened
from chimp_assets.console.output import say_notes

app = typer.Typer(no_args_is_help=True, help="Tables of other data, to be joined with sightings.")


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV of any columns; see docs/research/tables.md.")],
    name: Annotated[str | None, typer.Option("--name", help="Of the table ext_NAME; default: the file's.")] = None,
    about: Annotated[str | None, typer.Option("--about", help="What it is, in a sentence.")] = None,
    individual: Annotated[
        str | None, typer.Option("--individual", help="The column of codes or names.", metavar="COLUMN")
    ] = None,
    camera: Annotated[
        str | None, typer.Option("--camera", help="The column of cameras, or site/camera.", metavar="COLUMN")
    ] = None,
    place: Annotated[str | None, typer.Option("--place", help="The column of sites.", metavar="COLUMN")] = None,
    day: Annotated[str | None, typer.Option("--day", help="The column of days.", metavar="COLUMN")] = None,
    moment: Annotated[str | None, typer.Option("--moment", help="The column of moments.", metavar="COLUMN")] = None,
    video: Annotated[
        str | None, typer.Option("--video", help="The column of videos, by path or file name.", metavar="COLUMN")
    ] = None,
    dates: Annotated[
        str | None, typer.Option("--dates", help="Order of dates like 03/04/2013: dmy or mdy.", metavar="ORDER")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the table of this name.")] = False,
    by: By = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Make a table ext_NAME of a CSV file, read-only for the product, for your own questions."""
    from chimp_assets.console.imported_tables import show_report
    from chimp_assets.database.joined.importing import ImportOptions, import_table

    home = opened()
    said = {"individual": individual, "camera": camera, "place": place, "day": day, "moment": moment, "video": video}
    options = ImportOptions(
        name, about, {column: what for what, column in said.items() if column is not None}, dates,
        home.settings.archive.timezone, replace, dry_run, by,
    )  # fmt: skip
    done = import_table(home.database, file, options)
    fields = {
        "table": f"ext_{done.name}", "state": done.state, "rows": done.n_rows,
        "columns": [vars(one) for one in done.columns],
        "unmatched": [vars(one) for one in done.unmatched], "notes": list(done.notes),
    }  # fmt: skip
    answer(json, fields, partial(say_notes, list(done.notes)), partial(show_report, done))


@app.command("list")
def list_(json: Json = False) -> None:
    """The imported tables."""
    from chimp_assets.console.imported_tables import show_tables
    from chimp_assets.database.joined.tables import imported_tables

    with opened().database.read() as conn:
        found = imported_tables(conn)
    fields = {
        "tables": [{**vars(one), "at": one.at.isoformat(), "columns": [vars(c) for c in one.columns]} for one in found]
    }
    answer(json, fields, partial(show_tables, found))


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Of the table, with or without ext_.")],
    rows: Annotated[int, typer.Option("--rows", min=0, max=1_000, help="How many rows to show.")] = 10,
    json: Json = False,
) -> None:
    """Columns of a table, what they name, and its first rows."""
    from chimp_assets.console.imported_tables import show_table
    from chimp_assets.database.joined.tables import imported, rows_of

    with opened().database.read() as conn:
        found = imported(conn, name)
        first = rows_of(conn, found, limit=rows)
    fields = {
        "table": found.sql_name, "rows": found.n_rows, "columns": [vars(one) for one in found.columns],
        "first": [
            {key: None if value is None else str(value) for key, value in row._mapping.items()} for row in first
        ],
    }  # fmt: skip
    answer(json, fields, partial(show_table, found, first))


@app.command()
def join(
    name: Annotated[str, typer.Argument(help="Of the table, with or without ext_.")],
    around: Annotated[
        int | None,
        typer.Option("--around", help="Of each row's individual: days seen so many days before and after it."),
    ] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write the answer to this CSV file.")] = None,
    json: Json = False,
) -> None:
    """Who was seen where and when each row is; with --around, how often its individual was seen around its day."""
    from chimp_assets.console.imported_tables import show_joined
    from chimp_assets.database.files.whole_file import write_rows, write_whole
    from chimp_assets.database.joined.tables import imported
    from chimp_assets.insight.joined.beside import seen_around, seen_there

    with opened().database.replica.read() as conn:
        table = imported(conn, name)
        found = seen_there(conn, table) if around is None else seen_around(conn, table, around)
        if csv is not None:
            n = write_whole(csv, lambda stream: write_rows(stream, found.header, found.rows))
            answer(json, {"table": table.sql_name, "csv": str(csv), "rows": n}, f"{n:,} rows written to {csv}.")
            return
        rows = list(found.rows)
    fields = {
        "table": table.sql_name,
        "rows": [
            {key: value if value is None or isinstance(value, int | float) else str(value)
             for key, value in zip(found.header, row, strict=True)}
            for row in rows
        ],
    }  # fmt: skip
    answer(json, fields, partial(show_joined, found.header, rows))


@app.command()
def remove(
    name: Annotated[str, typer.Argument(help="Of the table, with or without ext_.")], by: By = None, json: Json = False
) -> None:
    """Take an imported table away. The file that it came from stays where it is."""
    from chimp_assets.database.joined.tables import PREFIX, remove_table

    n = remove_table(opened().database, name, by)
    answer(json, {"removed": name, "rows": n}, f"{PREFIX}{name.removeprefix(PREFIX)} with {n:,} rows was removed.")
