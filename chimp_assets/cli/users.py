"""`chimp user`: who may label, and passwords.

Does not belong here: roles and accounts (`database.people`, `web.auth`).
"""

from __future__ import annotations

from typing import Annotated

import typer

from chimp_assets.cli.answers import Json, LooksAlike, answer, opened
from chimp_assets.console.output import say

app = typer.Typer(no_args_is_help=True, help="People who label: roles and passwords.")

Name = Annotated[str, typer.Argument(help="Name of the user.")]


@app.command()
def add(
    name: Name,
    role: Annotated[
        str, typer.Option(help="viewer, volunteer, identifier, reviewer, expert or admin; it cannot be changed later.")
    ] = "volunteer",
    force: LooksAlike = False,
) -> None:
    """Add a person who may label."""
    from chimp_assets.database.people.users import add_user

    add_user(opened().database, name, role, force=force)
    say(f"{name} may now label as {role}.", "Set a password for the labelling page: chimp user password NAME")


@app.command()
def password(
    name: Name,
    once: Annotated[
        bool, typer.Option("--once", help="Print a password for one sign-in, where the person must change it.")
    ] = False,
) -> None:
    """Set a person's password for the labelling page. Ends all sessions of that person."""
    from chimp_assets.web.auth.accounts import one_time_password, set_password

    secret = one_time_password() if once else str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    set_password(opened().database, name, secret, once=once)
    say(f"{name} signs in once with {secret}" if once else f"{name} now signs in with this password.")


@app.command("list")
def list_(json: Json = False) -> None:
    """List everybody who may label, with their role."""
    from chimp_assets.database.people.users import list_users

    people = list_users(opened().database)
    answer(
        json,
        {"users": [vars(person) for person in people]},
        *(f"{person.name}: {person.role}{' (disabled)' if person.disabled else ''}" for person in people),
    )


@app.command()
def disable(name: Name) -> None:
    """Stop a person from labelling. Their labels stay."""
    from chimp_assets.database.people.users import disable_user

    disable_user(opened().database, name)
    say(f"{name} may no longer label; their labels stay.")
