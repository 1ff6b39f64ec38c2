"""`chimp labels`: labels as CSV files, and labels to look at again.

Does not belong here: their rules (`database.labels`, `database.files`), judging them (`vision.identity`).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from chimp_assets.cli.answers import Json, SkipBad, answer, opened
from chimp_assets.console.output import say_notes

app = typer.Typer(no_args_is_help=True, help="Import, export and review labels.")


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV; sql/README.md describes the columns.")],
    annotator: Annotated[
        str | None, typer.Option(help="Who gave the labels, if the file has no annotator column.")
    ] = None,
    skip_bad: SkipBad = False,
    json: Json = False,
) -> None:
    """Store labels from a CSV file. If a row is bad, name its line and column, and store nothing."""
    from chimp_assets.database.files.label_files import import_labels

    report = import_labels(opened().database, file, annotator or "expert", skip_bad=skip_bad)
    answer(
        json,
        {
            "stored": report.stored,
            "duplicates": report.duplicates,
            "skipped": [vars(row) for row in report.skipped],
            "notes": report.notes,
        },
        partial(say_notes, report.notes),
        f"{report.stored} labels stored, {report.duplicates} existed already.",
        *(f"skipped: line {row.line}, column {row.column}: {row.message}" for row in report.skipped),
    )


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="CSV file to write.")],
    all_events: Annotated[bool, typer.Option("--all-events", help="Every decision, not only those in effect.")] = False,
    json: Json = False,
) -> None:
    """Write the labels in effect (or every decision ever made) to a CSV file that `labels import` reads."""
    from chimp_assets.database.files.label_files import export_labels

    rows = export_labels(opened().database, file, all_events=all_events)
    answer(json, {"rows": rows, "file": str(file)}, f"{rows} labels written to {file}.")


@app.command()
def gone(
    csv: Annotated[Path | None, typer.Option("--csv", help="Write the whole list to this CSV file.")] = None,
    lost: Annotated[bool, typer.Option("--lost", help="Only answers that count for no track now.")] = False,
    json: Json = False,
) -> None:
    """List answers about tracks that were split, merged or tracked anew, and for which track each counts now."""
    from chimp_assets.console.labels import show_gone, write_gone
    from chimp_assets.database.tracks.found_anew import gone_answers

    with opened().database.read() as conn:
        found = gone_answers(conn, only_lost=lost)
    if csv is not None:
        write_gone(csv, found)
    answer(json, {"n": len(found), "answers": found}, partial(show_gone, found, csv, "There are none."))


@app.command()
def review(
    csv: Annotated[Path | None, typer.Option("--csv", help="Write the whole list to this CSV file.")] = None,
    limit: Annotated[int, typer.Option(help="Labels to show.", min=1)] = 20,
    json: Json = False,
) -> None:
    """List labels that models not trained on them contradict, and how often people repeat their own answers."""
    from chimp_assets.console.labels import show_review
    from chimp_assets.database.labels.agreement import self_agreement
    from chimp_assets.vision.identity.label_quality import doubtful_labels, write_csv

    home = opened()
    found = doubtful_labels(home.database, home.store, home.settings)
    with home.database.read() as conn:
        agreement = self_agreement(conn)
    if csv is not None:
        write_csv(found, csv)
    listed = {} if csv else {"labels": [vars(label) for label in found[:limit]]}
    answer(
        json,
        {"n_doubtful": len(found), "self_agreement": [vars(one) for one in agreement], **listed},
        partial(show_review, found[:limit], len(found), agreement),
        f"All {len(found):,} are in {csv}." if csv is not None else None,
    )
