"""`chimp report`: the archive on one dated page. Does not belong here: its numbers and words (`insight.report`)."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from chimp_assets.cli.answers import Json, answer, opened

app = typer.Typer()


@app.command()
def report(
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the page to this file; else it is kept in the store.")
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option("--since", formats=["%Y-%m-%d"], help="Compare with the newest kept report until this day."),
    ] = None,
    lang: Annotated[str, typer.Option("--lang", help="Of the file: en or fr. The store keeps both.")] = "en",
    json: Json = False,
) -> None:
    """Make a dated page of the archive: effort, who was seen, with whom, how far names can be trusted, what changed."""
    from chimp_assets.database.files.whole_file import write_whole
    from chimp_assets.insight.report.kept import FOLDER, keep_report, make_report
    from chimp_assets.insight.report.words import known_language

    known_language(lang)
    home, day = opened(), None if since is None else since.date()
    if out is not None:
        made = make_report(home, day)
        write_whole(out, lambda stream: stream.write(made.html(lang).encode()))
        where = str(out)
    else:
        made = keep_report(home, day)
        where = f"{FOLDER}/{made.numbers.day}.{lang}.html in the store"
    before = made.changes.since if made.changes is not None else None
    answer(
        json,
        {"report": where, "compared_with": before, **made.numbers.kept()},
        f"The report of {made.numbers.day} is {where}.",
        f"It is compared with that of {before}." if before else "It is the first: nothing to compare it with.",
    )
