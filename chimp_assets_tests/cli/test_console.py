"""What the terminal shows of texts that come from elsewhere: all of it, and nothing that steers the terminal."""

from __future__ import annotations

import ast
import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

import chimp_assets
from chimp_assets.console import output
from chimp_assets.console.doctor import show_findings
from chimp_assets.console.files import show_failures
from chimp_assets.console.individuals import show_individuals
from chimp_assets.console.output import Terminal, say, say_error, say_json, say_notes, show_indented, styled
from chimp_assets.console.progress import progress_bar
from chimp_assets.console.questions import show_answer
from chimp_assets.console.tables import pieces_of, print_facts, print_table
from chimp_assets.database.texts import first_unseen
from chimp_assets.database.work.pace import DecodingPace
from chimp_assets.errors import ChimpError
from chimp_assets.insight.questions import Answer, question
from chimp_assets.insight.status import Failures
from chimp_assets.operations.doctor import Finding

HOSTILE = ["home [brk] x", "[red]a[/red]", "[/]", "a\\[b]", ":cat: :warning:", "a\x1b[2Jb", "a\u202egpj.b", "a\rb",
           "a\x07b", "a\u200bb", "\udcff.mp4", "[link=file:///etc]x[/link]", "\\[bold]"]  # fmt: skip
SHOWN = ["home [brk] x", "[red]a[/red]", "[/]", "a\\[b]", ":cat: :warning:", "a\\x1b[2Jb", "a\\u202egpj.b",
         "a\\x0db", "a\\x07b", "a\\u200bb", "\\udcff.mp4", "[link=file:///etc]x[/link]", "\\[bold]"]  # fmt: skip


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs something and gives back what it printed on a terminal of some width."""

    def run(act: Any, width: int = 200) -> str:
        file = io.StringIO()
        for name in ("out", "err"):
            monkeypatch.setattr(output, name, Terminal(file=file, width=width, force_terminal=False))
        act()
        return file.getvalue()

    return run


@pytest.mark.parametrize(("text", "shown"), list(zip(HOSTILE, SHOWN, strict=True)))
def test_a_text_is_printed_as_it_is_wherever_it_stands(printed: Any, text: str, shown: str) -> None:
    """`chimp init` printed its own home without a part of its name."""

    def table() -> None:
        made = Table("name", title=text)
        made.add_row(text)
        made.add_row(Text(f"x{text}"))
        output.show(made)

    for act in (
        lambda: output.out.print(text),
        lambda: say(text),
        lambda: print_table((text,), [(text,)], text),
        lambda: print_facts([(text, text)]),
        lambda: say(f"The home is {text}; it is there."),
        lambda: show_indented(styled((text, "bold")), 2),
        lambda: say_error(ChimpError(f"There is no {text}.", f"Look into {text}.")),
        lambda: show_findings([Finding("disk", "ill", text, text)]),
        lambda: show_failures(Failures([(text, text)], [(text, text)], [(text, text)], [text])),
        lambda: show_answer(Answer(question("last_seen"), {}, ["name"], [(text,)])),
        lambda: show_individuals(
            [{"anim_id": text, "name": text, "sex": "U", "birth_date": None, "same_as": text, "provisional": False}]
        ),
        lambda: say_notes([text]),
        table,
    ):
        said = printed(act)
        assert shown in said, act
        assert first_unseen(said.replace("\n", "").replace("\t", "")) is None


@settings(deadline=None)
@given(st.text())
def test_no_text_reaches_the_terminal_unseen(text: str) -> None:
    """Whatever a file is called."""
    file = io.StringIO()
    terminal = Terminal(file=file, width=100)
    terminal.print(text)
    terminal.print(Text(text))
    written = file.getvalue().replace("\n", "").replace("\t", "").replace("\u200d", "").replace("\ufe0f", "")
    assert first_unseen(written) is None


@settings(deadline=None)
@given(st.text())
def test_the_machine_readable_line_is_seen_and_means_the_same(text: str) -> None:
    """JSON has an escape for every sign."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        say_json({"name": text})
    assert json.loads(out.getvalue()) == {"name": text}
    assert first_unseen(out.getvalue().rstrip("\n").replace("\u200d", "").replace("\ufe0f", "")) is None


def test_nobody_prints_by_another_way() -> None:
    """One console writes signs out; a second one would not."""
    package = Path(chimp_assets.__file__).parent
    for file in package.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                made = name in ("Console", "print_json", "from_markup", "render_markup")
                assert not made, f"{file.name}:{node.lineno}"
                marked = any(k.arg == "markup" and getattr(k.value, "value", None) is True for k in node.keywords)
                assert not marked, f"{file.name}:{node.lineno}"


@pytest.mark.parametrize("width", [40, 60, 80, 100, 132])
def test_no_width_breaks_a_header_in_mid_word(printed: Any, width: int) -> None:
    """At 80 columns `effort_days_since` stood in three lines, broken anywhere."""
    names = ["place", "anim_id", "best_joint_probability", "effort_days_since", "hours_recorded_since", "camera"]
    rows = [("1", "FF", "0.9", "12", "0.075", "a rather long name of a camera"), ("2", "GM", "", "", "", "cam1")]
    said = printed(lambda: print_table(names, rows, "Who?"), width)
    words = set(said.replace("┃", " ").replace("│", " ").split())
    for name in names:
        pieces = pieces_of(name)
        whole = {"".join(pieces[i:j]) for i in range(len(pieces)) for j in range(i + 1, len(pieces) + 1)}
        found = [word for word in words if len(word) > 2 and word in name]
        assert found
        assert set(found) <= whole, said
    assert max(map(len, said.splitlines())) <= width
    for cell in ("rather", "camera", "0.075"):
        assert cell in words


@pytest.mark.parametrize("width", [30, 80])
def test_a_long_value_goes_on_below_itself_and_loses_nothing(printed: Any, width: int) -> None:
    """A path of which the end is three dots cannot be opened."""
    path = "/archive/" + "a-very-long-folder-without-a-blank/" * 6 + "film.mp4"
    said = printed(lambda: print_facts([("video", path), ("reason", "damaged")]), width)
    assert path in "".join(said.split())
    assert "…" not in said
    assert max(map(len, said.splitlines())) <= width


@pytest.mark.parametrize("width", [60, 80])
def test_a_narrow_terminal_cuts_the_name_of_a_step_and_no_number(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """At 80 columns three dots stood where the bar should have said how many files are done."""
    file = io.StringIO()
    monkeypatch.setattr(output, "err", Terminal(file=file, width=width, force_terminal=False))
    pace = DecodingPace(hours_done=2.5, hours_left=10.0, speed=12.0, seconds_left=3000.0)
    with progress_bar(pace=lambda: pace) as tell:
        tell("decode bundle 17 of 250: a_film_with_a_rather_long_name.mp4", 1717, 25250)
        tell("track bundle 17 of 250", 16, 250)
    decode, track = file.getvalue().strip().splitlines()
    assert decode.startswith("decode ")
    assert "1717/25250" in decode
    assert decode.rstrip().endswith("2.5 h done, 12x, 50 min left")
    assert track.startswith("track ")
    assert "16/250" in track
