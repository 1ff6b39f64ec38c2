"""What holds for all commands alike: light to start, whole at 80 columns, one way to open a home and to answer."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from chimp_assets import cli
from chimp_assets.cli.answers import answer

_HEAVY = ("torch", "dagster", "pandas", "av", "sqlalchemy", "cv2", "numpy")


def _commands(group: Any, *path: str) -> Iterator[tuple[str, ...]]:
    yield path
    for name, command in getattr(group, "commands", {}).items():
        yield from _commands(command, *path, name)


COMMANDS = list(_commands(typer.main.get_command(cli.app)))


def test_there_are_as_many_commands_as_the_product_promises() -> None:
    """A command that a split forgets to register is missed by nobody but its users."""
    assert {" ".join(path) for path in COMMANDS if path} >= {
        "init", "doctor", "ingest", "status", "retrain", "score", "replan", "up", "web", "demo", "query",
        "labels import", "labels export", "labels review", "individuals import", "individuals alias",
        "individuals rename", "individuals merge", "individuals unmerge", "individuals list", "individuals show",
        "effort import", "cameras list", "cameras map", "cameras unmap", "cameras apply", "times list",
        "times correct", "times undo", "user add", "user password", "user list", "user disable", "db upgrade",
        "db backup", "db restore", "db check", "models list", "models show", "models promote", "models rollback",
        "serve page", "serve ranker", "serve daemon", "serve code", "serve ui",
    }  # fmt: skip


def test_help_is_quick_because_it_loads_nothing_heavy() -> None:
    """Two seconds of PyTorch before a list of commands would make everybody think twice."""
    code = "import sys; from chimp_assets import cli; sys.argv = ['chimp', '--help']\n"
    code += "try: cli.main()\nexcept SystemExit: pass\n"
    code += f"print('loaded:', *(name for name in {_HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "individuals" in done.stdout
    assert done.stdout.splitlines()[-1].strip() == "loaded:"


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_help_is_whole_at_80_columns(monkeypatch: pytest.MonkeyPatch, path: tuple[str, ...]) -> None:
    """An explanation that ends in an ellipsis explains nothing."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    done = CliRunner().invoke(cli.app, [*path, "--help"])
    assert done.exit_code == 0, done.output
    assert "…" not in done.output
    assert max(map(len, done.output.splitlines())) <= 80
    assert re.search(r"Usage: \S+ ", done.output)


def test_the_version_is_the_installed_one(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The first thing that a bug report is asked for."""
    monkeypatch.setattr(sys, "argv", ["chimp", "--version"])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 0
    assert capsys.readouterr().out == f"chimp {metadata.version('chimp-assets')}\n"


def test_an_answer_is_one_line_of_json_or_words(capsys: pytest.CaptureFixture[str]) -> None:
    """A program that reads the line must find nothing else, and people need no JSON collected for them."""
    screens: list[str] = []
    answer(True, lambda: {"n": 1}, "One.", lambda: screens.append("table"))
    assert json.loads(capsys.readouterr().out) == {"n": 1}
    assert screens == []

    def expensive() -> dict[str, Any]:
        raise AssertionError("collected for nobody")

    answer(False, expensive, "One.", None, "", lambda: screens.append("table"), "Two.")
    assert capsys.readouterr().out == "One.\nTwo.\n"
    assert screens == ["table"]


def test_commands_open_homes_and_print_json_in_one_way_only() -> None:
    """The same five lines stood in 34 commands, and each could forget one."""
    for file in Path(cli.__file__).parent.glob("*.py"):
        if file.name == "answers.py":
            continue
        text = file.read_text(encoding="utf-8")
        names = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
        assert not names & {"say_json", "print", "Console"}, file.name
        assert "Home.open" not in text, file.name
