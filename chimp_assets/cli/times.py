"""`chimp times`: recording times, and corrections of camera clocks.

Does not belong here: weighing and correcting times (`archive.times`).
"""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from chimp_assets.cli.answers import By, DryRun, Json, Why, answer, opened

app = typer.Typer(no_args_is_help=True, help="Recording times: witnesses, and corrections of camera clocks.")


@app.command("list")
def list_(json: Json = False) -> None:
    """List recording times by camera, witness and certainty, where witnesses disagree, and all corrections."""
    from chimp_assets.archive.times.corrections import list_corrections
    from chimp_assets.console.times import show_times
    from chimp_assets.database.footage.times import camera_times, times_of

    with opened().database.read() as conn:
        whole, cameras, corrections = times_of(conn), camera_times(conn), list_corrections(conn)
    answer(
        json,
        {
            **whole.as_dict(),
            "cameras": [vars(one) for one in cameras],
            "corrections": [vars(one) for one in corrections],
        },
        partial(show_times, whole, cameras, corrections),
    )


@app.command()
def correct(
    camera: Annotated[str, typer.Argument(help="CAMERA or SITE/CAMERA; all: every camera of the archive.")],
    offset: Annotated[str | None, typer.Option(help="Add this to its times: +1d2h, -13h, +00:30.")] = None,
    zone: Annotated[str | None, typer.Option(help="Its clock ran in this zone: Africa/Nairobi or +03:00.")] = None,
    showed: Annotated[str | None, typer.Option(help="Its clock was reset and showed this ...")] = None,
    true: Annotated[str | None, typer.Option(help="... when the true time was this: 2023-05-06T08:00+03:00.")] = None,
    order: Annotated[
        str | None, typer.Option(help="Dates in its file names: day_first, month_first or year_first.")
    ] = None,
    since: Annotated[str | None, typer.Option("--from", help="From this day or moment, as shown now.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="Up to this moment, or to the end of this day.")] = None,
    why: Why = None,
    by: By = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Correct a camera's clock. Days, seasons, sightings and splits follow; `undo` takes it back."""
    from chimp_assets.archive.times.corrections import CorrectionRequest, correct
    from chimp_assets.console.times import show_correction

    home = opened()
    correction = CorrectionRequest(camera, offset, zone, showed, true, order, since, until)
    done = correct(home.database, home.settings, correction, why, by, dry_run)
    answer(json, vars(done), partial(show_correction, done, f"{camera}: {done.words}"))


@app.command()
def undo(
    correction_id: Annotated[int, typer.Argument(help="The number of the correction, from `chimp times list`.")],
    why: Why = None,
    by: By = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Take a correction back. Witnesses and the other corrections decide again."""
    from chimp_assets.archive.times.corrections import revoke
    from chimp_assets.console.times import show_correction

    home = opened()
    done = revoke(home.database, home.settings, correction_id, why, by, dry_run)
    answer(json, vars(done), partial(show_correction, done, f"Revoked: {done.words}", undo=False))
