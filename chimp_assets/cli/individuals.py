"""`chimp individuals`: biographies, aliases, merges. Does not belong here: their rules (`database.individuals`)."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from chimp_assets.cli.answers import By, Json, LooksAlike, SkipBad, Why, answer, opened
from chimp_assets.console.output import say, say_notes

app = typer.Typer(no_args_is_help=True, help="Individuals: biographies, aliases, merges.")


@app.command("import")
def import_(
    file: Annotated[
        Path,
        typer.Argument(
            help="CSV of biographies, communities, memberships or aliases; see docs/research/individuals.md."
        ),
    ],
    skip_bad: SkipBad = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="For memberships: drop all others of the individuals in the file.")
    ] = False,
    force: LooksAlike = False,
    why: Why = None,
    by: By = None,
    json: Json = False,
) -> None:
    """Add or change individuals from a CSV file. Column names: ours, SokweDB's or PLHDB's.

    If a value cannot be true, its line and column are named, and nothing of the file is stored.
    """
    from chimp_assets.database.files.individual_files import import_individuals
    from chimp_assets.database.individuals.batch import Terms

    done = import_individuals(opened().database, file, Terms(skip_bad, why, by, replace, force))
    removed = f", {done.removed} removed" if done.removed else ""
    answer(
        json,
        {**vars(done), "skipped": [vars(row) for row in done.skipped]},
        partial(say_notes, done.notes),
        f"{done.table}: {done.added} added, {done.changed} changed{removed}, {done.unchanged} unchanged.",
        f"new communities: {', '.join(done.communities)}" if done.communities else None,
        f"ignored columns: {', '.join(done.left_out)}" if done.left_out else None,
        *(f"skipped: {row}" for row in done.skipped),
    )


@app.command()
def alias(
    anim_id: Annotated[str, typer.Argument(help="The code of the individual.")],
    alias: Annotated[str, typer.Argument(help="Another name, accepted wherever the code is.")],
    valid_from: Annotated[str | None, typer.Option("--from", help="First day, like 1976-03-24.")] = None,
    valid_to: Annotated[str | None, typer.Option("--to", help="Last day.")] = None,
    force: LooksAlike = False,
    why: Why = None,
    by: By = None,
) -> None:
    """Give an individual another name."""
    from chimp_assets.database.individuals.aliases import add_alias
    from chimp_assets.database.individuals.batch import Terms

    add_alias(opened().database, anim_id, alias, valid_from, valid_to, Terms(why=why, by=by, force=force))
    say(f"{alias} is an alias of {anim_id.upper()}.")


@app.command()
def rename(
    anim_id: Annotated[str, typer.Argument(help="The present code.")],
    new: Annotated[str, typer.Argument(help="The code it should be.")],
    why: Why = None,
    by: By = None,
    free: Annotated[bool, typer.Option("--free", help="Do not keep the present code as an alias.")] = False,
    force: LooksAlike = False,
    json: Json = False,
) -> None:
    """Correct a mistyped code. The former code stays an alias; rename back to undo it."""
    from chimp_assets.database.individuals.batch import Terms
    from chimp_assets.database.individuals.renaming import rename_individual

    done = rename_individual(opened().database, anim_id, new, Terms(why=why, by=by, force=force), free)
    former = f"{done.former} stays an alias" if done.alias else f"{done.former} is free again"
    answer(json, vars(done), f"{done.former} is now {done.anim_id}; {former}.")


@app.command()
def merge(
    anim_id: Annotated[str, typer.Argument(help="The individual that disappears.")],
    into: Annotated[str, typer.Argument(help="The individual that it is.")],
    why: Why = None,
    by: By = None,
    force: Annotated[
        bool, typer.Option("--force", help="Merge although it is not provisional or the sexes differ.")
    ] = False,
    json: Json = False,
) -> None:
    """Declare two individuals to be one animal. Labels stay as they are; `unmerge` undoes it."""
    from chimp_assets.database.individuals.merges import merge_individuals

    done = merge_individuals(opened().database, anim_id, into, why, by, force)
    answer(json, vars(done), f"{done.anim_id} is now {done.into_anim_id}.")


@app.command()
def unmerge(
    anim_id: Annotated[str, typer.Argument(help="The individual that was merged into another.")],
    why: Why = None,
    by: By = None,
    json: Json = False,
) -> None:
    """Undo a merge."""
    from chimp_assets.database.individuals.merges import unmerge_individual

    done = unmerge_individual(opened().database, anim_id, why, by)
    answer(json, vars(done), f"{done.anim_id} is an individual of its own again.")


@app.command("list")
def list_(json: Json = False) -> None:
    """List all individuals, and who was merged into whom."""
    from chimp_assets.console.individuals import show_individuals
    from chimp_assets.database.individuals.listing import list_individuals

    with opened().database.read() as conn:
        found = list_individuals(conn)
    answer(json, {"individuals": found}, partial(show_individuals, found))


@app.command()
def show(anim_id: Annotated[str, typer.Argument(help="A code or an alias.")], json: Json = False) -> None:
    """Show one individual: biography, aliases, communities, merges, and every change to them."""
    from chimp_assets.console.individuals import show_individual
    from chimp_assets.database.individuals.listing import show_individual as biography_of

    with opened().database.read() as conn:
        found = biography_of(conn, anim_id)
    answer(json, found, partial(show_individual, found))
