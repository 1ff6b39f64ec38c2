"""`chimp effort`: when cameras stood where. Does not belong here: reading the files (`database.files.effort_files`)."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from chimp_assets.cli.answers import Json, SkipBad, answer, opened
from chimp_assets.console.output import say_notes

app = typer.Typer(no_args_is_help=True, help="Sampling effort: camera deployments and gaps.")


@app.command("import")
def import_(
    file: Annotated[
        Path, typer.Argument(help="CSV of deployments or of sampling gaps; see docs/research/individuals.md.")
    ],
    skip_bad: SkipBad = False,
    json: Json = False,
) -> None:
    """Import camera deployments, or sampling gaps, in which nobody could be seen."""
    from chimp_assets.database.files.effort_files import import_effort

    done = import_effort(opened().database, file, skip_bad)
    answer(
        json,
        {
            **vars(done),
            "skipped": [vars(row) for row in done.skipped],
            "unknown": [vars(row) for row in done.unknown],
        },
        partial(say_notes, done.notes),
        f"{done.table}: {done.added} added, {done.changed} changed, {done.unchanged} unchanged.",
        *(f"skipped: {row}" for row in done.skipped),
        *(str(camera) for camera in done.unknown),
        "`chimp cameras list` names the cameras; `chimp cameras map` says which of them are one."
        if done.unknown
        else None,
    )
