"""`chimp query` and `chimp export`: answers for people, files for other programs.

Does not belong here: asking (`insight.questions`), writing formats (`exchange.exports`).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chimp_assets.cli.answers import Json, answer, opened

if TYPE_CHECKING:
    from chimp_assets.exchange.exports.export import Export

app = typer.Typer()


@app.command()
def query(
    name: Annotated[str | None, typer.Argument(help="Name of a question; without it, list them all.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="A parameter, as name=value.", metavar="N=V")] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write the answer to this CSV file.")] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw the answer into this SVG file.")] = None,
    json: Json = False,
) -> None:
    """Ask the database a question of the cookbook (sql/queries): who was seen where, when and with whom."""
    from chimp_assets.console.questions import show_answer, show_questions
    from chimp_assets.insight.questions import QuestionError, ask, parameters_of, questions, write_csv, write_picture

    if name is None:
        known = questions()
        answer(json, {"questions": [{"name": q.name, "asks": q.asks} for q in known]}, partial(show_questions, known))
        return
    found = ask(opened().database.replica, name, parameters_of(set_ or []))
    if found.unknown:
        raise QuestionError(" ".join(found.unknown), "See chimp individuals list, or chimp query for the parameters.")
    if csv is not None:
        write_csv(found, csv)
    if plot is not None:
        write_picture(found, plot)

    def fields() -> dict[str, Any]:
        rows = {} if csv else {"rows": found.as_records()}
        return {"question": name, "parameters": found.parameters, "n_rows": len(found.rows), **rows}

    written = [f"{len(found.rows):,} rows written to {csv}."] if csv is not None else []
    written += [f"Drawn in {plot}."] if plot is not None else []
    answer(json, fields, " ".join(written) if written else partial(show_answer, found))


@app.command()
def export(
    name: Annotated[str | None, typer.Argument(help="Name of an export; without it, list them all.")] = None,
    file: Annotated[
        Path | None,
        typer.Argument(
            help="The file or folder to write; default: NAME with its ending, here. A folder export also writes a .zip."
        ),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", help="A condition, such as individual=FLO,FIFI or from=2013-05-01.", metavar="N=V"),
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="An option of the export, as name=value.", metavar="N=V")
    ] = None,
    exact_places: Annotated[
        bool, typer.Option("--exact-places", help="Hand on coordinates as they are, not rounded.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a folder that an export has written.")] = False,
    json: Json = False,
) -> None:
    """Write a part of the database as a file or folder for other programs. `chimp query NAME --csv FILE` writes
    answers.
    """
    from chimp_assets.console.questions import show_exports
    from chimp_assets.exchange.exports import export as export_of
    from chimp_assets.exchange.exports import exports
    from chimp_assets.exchange.exports.conditions import selection_of
    from chimp_assets.exchange.exports.export import ExportRequest, write_export
    from chimp_assets.insight.questions import parameters_of

    if name is None:
        known = exports()
        answer(json, {"exports": [_fields(key, one) for key, one in known.items()]}, partial(show_exports, known))
        return
    wanted = export_of(name)
    home = opened()
    with home.database.replica.read() as conn:
        selection = selection_of(conn, where or [], home.settings)
    asked = ExportRequest.of(home, selection=selection, options=parameters_of(set_ or []), exact_places=exact_places)
    target = file or Path(wanted.file_name(name))
    n = write_export(wanted, asked, target, force, name)
    notes = [str(note) for note in asked.facts.get("notes", [])]
    fields = {"export": name, "file": str(target), "n": n, "notes": notes}
    answer(json, fields, f"{n:,} written to {target}.", *notes)


def _fields(name: str, one: Export) -> dict[str, Any]:
    options = [{"name": o.name, "what": o.what, "default": o.default, "choices": list(o.choices)} for o in one.options]
    return {"name": name, "what": one.what, "suffix": one.suffix, "folder": one.folder, "options": options}
