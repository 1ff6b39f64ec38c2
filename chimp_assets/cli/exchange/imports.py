"""`chimp import`: annotations of other programs. Does not belong here: formats and rows (`exchange.imports`)."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from chimp_assets.cli.answers import DryRun, Json, SkipBad, answer, opened

app = typer.Typer()

Base = Literal["0", "1"]


@app.command("import")
def import_(
    name: Annotated[
        str | None, typer.Argument(metavar="[FORMAT]", help="Name of a format; without it, list them all.")
    ] = None,
    file: Annotated[Path | None, typer.Argument(help="The file, or the folder of crops.")] = None,
    media: Annotated[
        Path | None,
        typer.Option(help="Where the media of the file lie here: files that are in no path are found by content."),
    ] = None,
    as_: Annotated[
        str | None, typer.Option("--as", help="Who gave the names: a user; default: the expert.", metavar="USER")
    ] = None,
    new_individuals: Annotated[
        bool, typer.Option("--new-individuals", help="Names that nobody has become individuals.")
    ] = False,
    frame_base: Annotated[
        Base | None, typer.Option(help="Number of the first frame, if the file does not say: 0 or 1.")
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(help="Frames a second by which the file numbers them, if it does not say.", min=0.001),
    ] = None,
    video: Annotated[
        str | None, typer.Option(help="The one video that the file is about, if it names none.", metavar="NAME")
    ] = None,
    dry_run: DryRun = False,
    skip_bad: SkipBad = False,
    json: Json = False,
) -> None:
    """Take in annotations of another program: boxes, tracks and names, matched with the videos and pictures here.

    If a row is bad, name it and store nothing. The same file twice changes nothing.
    """
    from chimp_assets.console.exchange.imports import show_formats, show_import
    from chimp_assets.exchange.imports import imports

    if name is None:
        known = imports()
        fields = {"formats": [{"name": key, "what": one.what, "suffixes": one.suffixes} for key, one in known.items()]}
        answer(json, fields, partial(show_formats, known))
        return
    from chimp_assets.console.progress import progress_bar
    from chimp_assets.exchange.imports.annotations import ImportFileError, ReadOptions
    from chimp_assets.exchange.imports.intake.taking import Wishes, take_in

    if file is None:
        raise ImportFileError(f"What should be read as {name}?", f"Say so: `chimp import {name} FILE`.")
    base: Any = None if frame_base is None else int(frame_base)
    options = ReadOptions(frame_base=base, fps=fps, annotator=as_, video=video)
    wishes = Wishes(media, as_, new_individuals, dry_run, skip_bad)
    with progress_bar(json) as progress:
        report = take_in(opened(), name, file, options, wishes, progress)
    answer(json, report.as_dict(), partial(show_import, report))
