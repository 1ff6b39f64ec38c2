"""docs/reference/commands.md: every command with its arguments and options.

Belongs here: how a command looks on the page. Does not belong here: descriptions (`chimp_assets.cli`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from chimp_assets.cli import app
from documentation.tables import first_paragraph, sentence, table

HEAD = """\
# Commands

Every command, its arguments and options. This page is written by `make docs` from what `--help` shows.

Commands work on the home that `CHIMP_HOME` names, else on `./chimp_home`. Long work shows how far it is. `--json`
prints one machine-readable line at the end. An error is one sentence and what to do about it, with exit code 2;
`chimp --debug COMMAND` shows the traceback as well.
"""


def page() -> str:
    """The page as Markdown."""
    lines = [HEAD]
    for name, command in commands():
        lines += [f"## {name}", "", " ".join(str(command.help or "").split()), "", f"    {_usage(name, command)}", ""]
        rows = [[_spelling(one), _default(one), sentence(one.help or "")] for one in parameters(command)]
        if rows:
            lines += [*table(["argument or option", "default", "what"], rows), ""]
    return "\n".join(lines)


def commands() -> Iterator[tuple[str, Any]]:
    """Every command that does something, by its whole name, in the order of `chimp --help`."""
    yield from _below("chimp", typer.main.get_command(app))


def _below(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, command
        return
    if getattr(command, "invoke_without_command", False):
        yield name, command
    for child in inner.values():
        if not child.hidden:
            yield from _below(f"{name} {child.name}", child)


def parameters(command: Any) -> list[Any]:
    """What a person may write behind the command, but `--help`."""
    return [one for one in command.params if one.name != "help" and not getattr(one, "hidden", False)]


def _usage(name: str, command: Any) -> str:
    words = [name]
    arguments = [one for one in parameters(command) if one.param_type_name == "argument"]
    if any(one.param_type_name == "option" for one in parameters(command)):
        words.append("[OPTIONS]")
    for one in arguments:
        shown = _metavar(one)
        words.append(shown if one.required else f"[{shown}]")
    return " ".join(words)


def _metavar(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper()) + ("..." if parameter.nargs != 1 else "")


def _spelling(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{_metavar(parameter)}`"
    names = ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])
    return names if parameter.is_flag else f"{names} {_metavar(parameter)}"


def _default(parameter: Any) -> str:
    if parameter.required:
        return "must be given"
    default = parameter.default
    if callable(default) or default is None or default == () or default == [] or getattr(parameter, "is_flag", False):
        return ""
    return f"`{default}`"


def summary(command: Any) -> str:
    """The first paragraph of a command's help."""
    return first_paragraph(command.help)
