"""What every command shares: how it opens its home, how it answers, and the options that mean the same everywhere.

Belongs here: nothing that only one noun needs. Does not belong here: the errors of a command (`main` prints them).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from chimp_assets.console.output import say, say_json

if TYPE_CHECKING:
    from chimp_assets.home import Home

Json = Annotated[bool, typer.Option("--json", help="Print JSON on one line, and no progress bars.")]
Why = Annotated[str | None, typer.Option("--why", help="The reason, for the log.")]
By = Annotated[str | None, typer.Option("--by", help="The user who decides this, for the log.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Store the good rows and list the bad ones.")]
LooksAlike = Annotated[
    bool, typer.Option("--force", help="Accept a new name that resembles an existing one or mixes alphabets.")
]


def opened() -> Home:
    """The home that CHIMP_HOME names. Raises SettingsError if there is none."""
    from chimp_assets.home import Home

    return Home.open()


def answer(
    json: bool,
    fields: Mapping[str, Any] | Callable[[], Mapping[str, Any]],
    *words: str | Text | Callable[[], None] | None,
) -> None:
    """Prints one answer: fields as a line of JSON, else the words.

    fields: or a function that collects them, where that costs something.
    words: sentences, or functions that print a screen; None and empty sentences are left out.
    """
    if json:
        say_json(dict(fields() if callable(fields) else fields))
        return
    for part in words:
        if isinstance(part, str | Text):
            if part:
                say(part)
        elif part is not None:
            part()
