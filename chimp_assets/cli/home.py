"""`chimp init`, `doctor`, `status`, `settings`: making a home, looking at it, and what its hosts share.

Does not belong here: the checks (`operations.doctor`), the counts (`insight.status`).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from chimp_assets.cli.answers import By, DryRun, Json, Why, answer, opened
from chimp_assets.console.output import styled
from chimp_assets.operations.engines import Engine

app = typer.Typer()
settings_app = typer.Typer(no_args_is_help=True, help="Settings that all hosts of one database share: list, adopt.")


@app.command()
def init(
    archive: Annotated[
        str | None, typer.Argument(help="Folder or az://container/prefix of your videos and pictures.")
    ] = None,
    engine: Annotated[
        Engine | None,
        typer.Option(help="Where runs go: this machine, Celery's workers on several, or Kubernetes. Default: local."),
    ] = None,
    json: Json = False,
) -> None:
    """Make a home in CHIMP_HOME: settings, database, store, Dagster's instance.

    Safe to repeat: what exists already is kept, and --engine changes no dagster.yaml that was changed by hand.
    """
    from chimp_assets.dagster_home import prepare
    from chimp_assets.home import home_from_environment, init_home, make_private_if_there
    from chimp_assets.operations.engines import write_instance
    from chimp_assets.settings import load_settings

    if engine is not None:
        write_instance(load_settings(), engine)
    closed = make_private_if_there(home_from_environment())
    home = init_home(archive_url=archive_address(archive) if archive else None)
    notes = [note for note in (closed, prepare(home.settings)) if note]
    answer(
        json,
        {"home": str(home.settings.home), "database": home.settings.secret_free_database_url, "notes": notes},
        f"The home is {home.settings.home}; its settings are in chimp.toml."
        if home.settings.has_file
        else "The database and the store that the environment names are ready; no folder was made.",
        *notes,
        "Next: `chimp worker` on each machine that does runs; docs/operate/scale-out.md says what else to start."
        if engine is Engine.CELERY
        else "Next: `chimp ingest FOLDER` reads your videos, `chimp up` starts the labelling page and the web UI.",
        "Animals are found by their motion; `chimp models install nanodet` brings eyes for those that sit still."
        if home.settings.detect.detector == "motion"
        else None,
    )


@app.command()
def doctor(
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Delete files in the store that no row names (left by killed steps).")
    ] = False,
    older_than: Annotated[
        float,
        typer.Option(help="Minutes; younger files may belong to a running step. 0: only while nothing runs.", min=0),
    ] = 60.0,
    json: Json = False,
) -> None:
    """Check every part of the home, and say how to mend what is wrong. Exit code 2 if a part is ill."""
    from chimp_assets.console.doctor import show_findings
    from chimp_assets.operations.doctor import examine

    findings = examine(opened(), sweep, older_than * 60)
    answer(json, {"findings": [vars(finding) for finding in findings]}, partial(show_findings, findings))
    if any(finding.verdict == "ill" for finding in findings):
        raise typer.Exit(2)


@app.command()
def status(
    failed: Annotated[
        bool, typer.Option("--failed", help="List every file that failed or was read in part: reason and remedy.")
    ] = False,
    json: Json = False,
) -> None:
    """Show what the home holds: videos, frames, tracks, labels, models, the queue, failures."""
    from chimp_assets.console.files import show_failures
    from chimp_assets.console.status import show_status
    from chimp_assets.insight.status import failures_of, status_of

    home = opened()
    with home.database.read() as conn:
        if failed:
            failures = failures_of(conn)
            answer(json, failures.as_dict(), partial(show_failures, failures))
            return
        now = status_of(conn, home.settings.decode.workers)
    problem = home.archive_problem()
    answer(
        json,
        {**now.as_dict(), "archive_problem": problem},
        partial(show_status, now),
        styled((f"The archive cannot be read: {problem}", "red")) if problem else None,
    )


@settings_app.command("list")
def list_settings(json: Json = False) -> None:
    """List the settings that all hosts share, since when and by whom, and where this host differs."""
    from chimp_assets.database.upkeep.shared_settings import different, shared_settings

    home = opened()
    with home.unchecked_database.read() as conn:
        shared = list(shared_settings(conn).values())
        found = different(conn, home.shared_values())
    answer(
        json,
        {
            "settings": [{**vars(one), "set_at": one.set_at.isoformat()} for one in shared],
            "different": [{"name": one.name, "here": one.here} for one in found],
        },
        *(
            f"{one.name} = {one.value} (since {one.set_at:%Y-%m-%d}, {one.host}{f', {one.user}' if one.user else ''})"
            for one in shared
        ),
        "No host has shared its settings yet." if not shared else None,
        *(f"Different: {one}." for one in found if one.shared is not None),
    )


@settings_app.command()
def adopt(by: By = None, why: Why = None, dry_run: DryRun = False, json: Json = False) -> None:
    """Make the settings of this host those of all hosts. Change them on the other hosts too: until then they stop.

    Rows that are there stay as they are: frames that were kept at another rate are not decoded again.
    """
    from chimp_assets.database.upkeep import shared_settings as rows

    home = opened()
    wanted = home.shared_values()
    if dry_run:
        with home.unchecked_database.read() as conn:
            found = rows.different(conn, wanted)
    else:
        found = rows.adopt(home.unchecked_database, wanted, by, why)
    changed = [
        {"name": one.name, "before": one.shared.value if one.shared else None, "after": one.here} for one in found
    ]
    answer(
        json,
        {"changed": changed, "dry_run": dry_run},
        *(f"{one['name']}: {one['before'] or 'not shared yet'} -> {one['after']}" for one in changed),
        "This host's settings are those of all hosts already." if not changed else None,
        "Nothing was changed (--dry-run)." if dry_run and changed else None,
    )


def archive_address(text: str) -> str:
    """The address of an archive as it was typed: a folder becomes an absolute path."""
    return text if "://" in text else str(Path(text).expanduser().resolve())
