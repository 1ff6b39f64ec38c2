"""`chimp cameras`: which folder is which camera. Does not belong here: the mappings (`archive.catalogue.cameras`)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from chimp_assets.cli.answers import By, Json, Why, answer, opened
from chimp_assets.console.words import counted

if TYPE_CHECKING:
    from chimp_assets.archive.catalogue.cameras import RefilingReport
    from chimp_assets.home import Home

app = typer.Typer(no_args_is_help=True, help="Cameras: list them, and map spellings and folders to them.")


@app.command("list")
def list_(json: Json = False) -> None:
    """List cameras with their videos and spellings, cameras that may be the same, and all mappings."""
    from chimp_assets.archive.catalogue.cameras import camera_report
    from chimp_assets.console.cameras import show_cameras

    with opened().database.read() as conn:
        report = camera_report(conn)
    answer(json, report.as_dict(), partial(show_cameras, report))


@app.command("map")
def map_(
    what: Annotated[str, typer.Argument(help="A camera (SITE/CAMERA or CAMERA) or a folder of the archive.")],
    into: Annotated[str, typer.Argument(help="The camera it is: SITE/CAMERA, or CAMERA of the same site.")],
    folder: Annotated[bool, typer.Option("--folder", help="It is a folder, although a camera has its name.")] = False,
    why: Why = None,
    by: By = None,
    json: Json = False,
) -> None:
    """Map a camera or folder to a camera, for present and future videos. `unmap` undoes it."""
    from chimp_assets.archive.catalogue.cameras import map_camera

    home = opened()
    done = map_camera(
        home.database, what, into, timezone=home.settings.archive.timezone, folder=folder or None, why=why, by=by
    )
    _answer_refiled(home, done, json, f"{what} is now {into}")


@app.command()
def unmap(
    what: Annotated[str, typer.Argument(help="The camera or folder that was mapped, or the number of the mapping.")],
    why: Why = None,
    by: By = None,
    json: Json = False,
) -> None:
    """Undo a mapping: its videos go back to their former camera."""
    from chimp_assets.archive.catalogue.cameras import unmap_camera

    home = opened()
    done = unmap_camera(home.database, what, timezone=home.settings.archive.timezone, why=why, by=by)
    _answer_refiled(home, done, json, f"{what} is no longer mapped")


@app.command()
def apply(json: Json = False) -> None:
    """After an upgrade: file every video under the camera that its path names by the new rules."""
    from chimp_assets.archive.catalogue.cameras import apply_mappings

    home = opened()
    done = apply_mappings(home.database, home.settings.archive.timezone)
    _answer_refiled(home, done, json, "All paths were read")


def _answer_refiled(home: Home, done: RefilingReport, json: bool, what: str) -> None:
    from chimp_assets.archive.times.rows import keep_up

    times = keep_up(home.database, home.settings)  # corrections of a camera's clock now hold for other videos
    answer(
        json,
        {**vars(done), "times_changed": times.changed},
        f"{what}: {counted(done.videos, 'video has', 'videos have')} a different camera now.",
        f"{counted(done.splits_changed, 'video', 'videos')} changed split, so that all videos of one camera and day "
        "share a split."
        if done.splits_changed
        else None,
        f"The times of {counted(times.changed, 'video', 'videos')} changed." if times.changed else None,
    )
