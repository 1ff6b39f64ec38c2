"""`chimp db`: upgrade, backup, restore, check. Does not belong here: doing it (`database.upkeep`)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chimp_assets.cli.answers import Json, answer, opened

if TYPE_CHECKING:
    from chimp_assets.database.connection.engine import Database

app = typer.Typer(no_args_is_help=True, help="The database: upgrade, backup, restore, check.")


def _opened_database() -> Database:
    """The database that the settings name, whatever its version, and whether there is a home or not."""
    from chimp_assets.database.connection.engine import Database
    from chimp_assets.settings import load_settings

    return Database(load_settings().database_url)


@app.command()
def upgrade(json: Json = False) -> None:
    """Bring the database to this version of Chimp Assets, and make its views again."""
    from chimp_assets.database.upkeep.migrations import upgrade

    applied = upgrade(_opened_database())
    answer(
        json,
        {"applied": applied},
        f"Applied {', '.join(applied)}." if applied else "The database was up to date.",
    )


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The file to write; it must not exist yet.")], json: Json = False
) -> None:
    """Copy the SQLite database, also while it is in use. Copy the files of the store with any file tool."""
    from chimp_assets.console.progress import progress_bar
    from chimp_assets.database.upkeep.backup import back_up

    home = opened()
    store = home.settings.secret_free_store_url
    with progress_bar(json) as tell:
        done = back_up(home.database, file, lambda pages, total: tell("copy pages", pages, total))
    answer(
        json,
        vars(done) | {"store": store},
        f"{file}: {done.bytes / 1e6:,.1f} MB, {done.n_annotations:,} label events, checked.",
        f"It holds the database only. Pictures, embeddings and models are files in {store};"
        " they never change, so any file tool copies them.",
    )


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A file made by `chimp db backup`.")],
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Restore although people have labelled since the backup; the replaced file is kept."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Replace the SQLite database by a backup; the old file is kept. First stop everything that uses it."""
    from chimp_assets.database.upkeep.backup import restore
    from chimp_assets.database.upkeep.migrations import state_of

    target = _opened_database()
    done = restore(target, file, force)
    is_behind = state_of(target) == "behind"
    answer(
        json,
        vars(done) | {"needs_upgrade": is_behind},
        f"{done.file} was restored from {file}: {done.n_annotations:,} label events.",
        f"The file before it is kept: {done.kept}." if done.kept is not None else None,
        *(f"Check: {sentence}." for sentence in done.people),
        f"The backup also holds tables that are not ours: {', '.join(done.tables)}." if done.tables else None,
        "Everybody must sign in again.",
        "An older version made the backup: run `chimp db upgrade`." if is_behind else None,
    )


@app.command()
def check(json: Json = False) -> None:
    """Check the whole database: damage, orphans, counts, numbers, ledgers. Exit code 2 if something is wrong."""
    from chimp_assets.console.progress import progress_bar
    from chimp_assets.database.upkeep.integrity import check_database

    with progress_bar(json) as tell:
        ill = list(check_database(_opened_database(), tell))
    answer(
        json,
        {"ill": ill},
        *ill,
        "Restore a backup (chimp db restore), or ask for help." if ill else "The database is well.",
    )
    if ill:
        raise typer.Exit(2)
