"""`chimp notebook`: the own archive in a notebook or R script. Does not belong here: its cells (`insight.notebook`)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chimp_assets.cli.answers import Json, answer, opened

app = typer.Typer()


@app.command()
def notebook(
    file: Annotated[Path | None, typer.Argument(help="The file to write; default: archive.ipynb or archive.R.")] = None,
    r: Annotated[bool, typer.Option("--r", help="Write an R script instead.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
    json: Json = False,
) -> None:
    """Write a notebook that opens this archive, with ten questions and their plots, to go on from."""
    import importlib.util

    from chimp_assets.insight.notebook.cells import CELLS
    from chimp_assets.insight.notebook.writing import NOTEBOOK, SCRIPT, r_script, write_new
    from chimp_assets.insight.notebook.writing import notebook as as_notebook

    home = opened()
    target = file or Path(SCRIPT if r else NOTEBOOK)
    title = f"The archive in {home.settings.home.resolve().name}"
    text = r_script(title, home.database.safe_url) if r else as_notebook(title, home.settings.home.resolve())
    write_new(target, text, force)
    has_jupyter = importlib.util.find_spec("jupyterlab") is not None
    how = "" if has_jupyter else "Install it first, in the environment of this command: pip install jupyterlab."
    answer(
        json,
        {"notebook": str(target), "cells": 0 if r else len(CELLS), "jupyter": has_jupyter},
        f"{target} is written.",
        "Open it in R or RStudio." if r else f"Open it: jupyter lab {target}. {how}".strip(),
    )
