"""The page of answers keeps what cannot be asked anew, shows every picture that there is, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chimp_assets.errors import ChimpError
from chimp_assets.insight.questions import TOPICS, questions
from chimp_assets_tests.paths import REPOSITORY
from documentation import questions as writer


def test_every_picture_of_the_pages_is_there_and_no_other() -> None:
    docs = REPOSITORY / "docs"
    pages = "".join(page.read_text(encoding="utf-8") for page in (docs / "research" / "questions").glob("*.md"))
    shown = set(re.findall(r"images/questions/(\w+/\w+)\.svg", pages))
    there = (docs / "images" / "questions").rglob("*.svg")
    assert shown == {f"{file.parent.name}/{file.stem}" for file in there}
    assert shown <= {f"{one.topic}/{one.name}" for one in questions() if one.chart is not None}
    assert set(writer.TITLES) == set(TOPICS)


def test_new_questions_are_added_and_what_cannot_be_asked_is_kept(
    empty_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = next(one.name for one in questions() if one.topic == "trust")
    page = tmp_path / "research" / "questions" / "trust.md"
    page.parent.mkdir(parents=True)
    page.write_text("".join(f"## Old?\n\n    chimp query {name}\n\nAs it was.\n\n" for name in (first, "gone")))
    assert writer.main(str(empty_home), "nothing", tmp_path) == []
    pages = {file.stem: file.read_text() for file in page.parent.glob("*.md")}
    assert [one.name for one in questions() if f"    chimp query {one.name}" not in pages[one.topic]] == []
    assert pages["trust"].count("As it was.") == 1
    assert "chimp query gone" not in pages["trust"]
    assert "On nothing:" in pages["trust"]

    def refuse(*_: object) -> None:
        raise ChimpError("Away.", "Wait.")

    monkeypatch.setattr(writer, "ask", refuse)
    assert len(writer.main(str(empty_home), None, tmp_path)) == len(questions())
    assert {file.stem: file.read_text() for file in page.parent.glob("*.md")} == pages
