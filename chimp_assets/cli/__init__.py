"""The `chimp` command: every step of the product for people who do not write Python.

Belongs here: arguments, options, printing; a module for each noun, joined below. Does not belong here: the work; each
command is a few calls. What takes long to load is imported in the body of a command: `chimp --help` must be quick.
Errors are one sentence and a remedy with exit code 2; `chimp --debug ...` shows the traceback as well.
"""

from __future__ import annotations

import sys
from importlib import metadata
from typing import Annotated, Any

import typer

from chimp_assets import private_files
from chimp_assets.cli import (
    cameras,
    database,
    effort,
    home,
    individuals,
    labels,
    loop,
    promise,
    questions,
    times,
    up,
    users,
)
from chimp_assets.cli.exchange import imports, notebook, tables
from chimp_assets.cli.monitoring import drift, report
from chimp_assets.cli.networks import detectors, models
from chimp_assets.cli.science import compare
from chimp_assets.console.output import say, say_error
from chimp_assets.errors import ChimpError

app = typer.Typer(
    name="chimp",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Turn an archive of wildlife video into a database of who was seen where, when and with whom.",
)
for steps in (home, loop, up, imports, questions, compare, report, notebook):
    app.add_typer(steps.app)
for noun, group in {
    "labels": labels,
    "individuals": individuals,
    "effort": effort,
    "times": times,
    "cameras": cameras,
    "user": users,
    "db": database,
    "models": models,
    "detector": detectors,
    "drift": drift,
    "promise": promise,
    "tables": tables,
}.items():
    app.add_typer(group.app, name=noun, rich_help_panel="Groups of commands")

app.add_typer(home.settings_app, name="settings", rich_help_panel="Groups of commands")

_USAGE_ERROR: Any = typer.BadParameter.__bases__[0]
"""A wrong command line. Typer keeps this class private and shows only its children."""


def _say_version(wanted: bool) -> None:
    if wanted:
        say(f"chimp {metadata.version('chimp-assets')}")
        raise typer.Exit()


@app.callback()
def _every_command(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    """Options that stand before the command; `main` reads --debug."""


def main() -> None:
    """Entry point: errors of the user become one sentence and exit code 2."""
    debug = "--debug" in sys.argv[1:]
    private_files.keep_private()
    try:
        code = app(standalone_mode=False)
        raise SystemExit(code if isinstance(code, int) else 0)
    except ChimpError as error:
        if debug:
            raise
        say_error(error)
        raise SystemExit(2) from None
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write("Interrupted. What was committed stays; run the same command again to resume.\n")
        raise SystemExit(130) from None
    except Exception as error:
        if not isinstance(error, _USAGE_ERROR):
            raise
        error.show()
        raise SystemExit(error.exit_code) from None
