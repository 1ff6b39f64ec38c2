"""The page of answers keeps what cannot be asked anew, shows every picture that there is, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chimp_assets.errors import ChimpError
from chimp_assets.home import Home
from chimp_assets.insight.questions import questions
from chimp_assets_tests.paths import REPOSITORY
from documentation import questions as writer


def test_every_picture_of_the_page_is_there_and_no_other() -> None:
    page = (REPOSITORY / "docs" / "research" / "questions.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"images/questions/(\w+)\.svg", page))
    assert shown == {file.stem for file in (REPOSITORY / "docs" / "images" / "questions").glob("*.svg")}
    assert shown <= {one.name for one in questions() if one.chart is not None}


def test_new_questions_are_added_and_what_cannot_be_asked_is_kept(
    empty_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [one.name for one in questions()]
    page = tmp_path / "questions.md"
    old = "### Old?\n\n    chimp query {}\n\nAs it was.\n"
    page.write_text(f"Before.\n{writer.BEGIN}\n{old.format(names[0])}\n{old.format('gone')}\n{writer.END}After.\n")
    assert writer.main(str(empty_home), "nothing", page, tmp_path / "pictures") == []
    text = page.read_text()
    assert [name for name in names if f"    chimp query {name}" not in text] == []
    assert text.count("As it was.") == 1
    assert "chimp query gone" not in text
    assert "On nothing:" in text
    assert text.startswith("Before.\n")
    assert text.endswith("After.\n")

    def refuse(*_: object) -> None:
        raise ChimpError("Away.", "Wait.")

    monkeypatch.setattr(writer, "ask", refuse)
    silent = writer.main(str(empty_home), None, page, tmp_path / "pictures")
    assert len(silent) == len(names)
    assert page.read_text() == text
    Home.open(empty_home).database.dispose()
