"""Writes the answers of a home into docs/research/questions/, and their pictures beside: `make questions`.

Belongs here: how a question and its answer look on a page. Does not belong here: the questions (`sql/queries`), drawing
(`insight.question_pictures`), and how else to ask, which people write in docs/research/questions.md.

    python -m documentation.questions HOME                       every question, on the home of a finished demo
    python -m documentation.questions HOME --new "a study of .." those that the pages lack, and where they were answered

A question that cannot be answered keeps what its page says of it, and is named at the end.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from chimp_assets.console.words import cell_of
from chimp_assets.database.connection.engine import Database
from chimp_assets.errors import ChimpError
from chimp_assets.home import Home
from chimp_assets.insight.questions import Answer, Question, ask, questions
from chimp_assets.insight.svg import on_white

DOCS = Path(__file__).resolve().parents[1] / "docs"
TITLES = {
    "presence": "Questions: who is seen where and when",
    "company": "Questions: who is with whom",
    "families": "Questions: mothers, births and kin",
    "trust": "Questions: cameras, and how far to trust it",
}
"""Of the pages, by topic."""
ABOUT = """\
Answers of the cookbook. Asked on the archive of `make demo` (62 short clips of invented chimpanzees, four days in 2013)
where nothing else is said; `make questions` writes them. How to ask: [questions](../questions.md).
"""
ROWS = 6
WIDE = 13
"""An answer with so many columns is shown as one row, from top to bottom."""
_COMMAND = re.compile(r"^    chimp query (\w+)", re.MULTILINE)


def main(folder: str, new: str | None = None, docs: Path = DOCS) -> list[str]:
    """Asks the questions of the home in folder, and writes a page and a folder of pictures for each topic.

    new: only those that the pages lack, answered on what this says. Returns a sentence for each that has no answer.
    """
    database = Home.open(folder).database
    silent = []
    for topic, title in TITLES.items():
        page = docs / "research" / "questions" / f"{topic}.md"
        pictures = docs / "images" / "questions" / topic
        for room in (page.parent, pictures):
            room.mkdir(parents=True, exist_ok=True)
        kept = sections_of(page.read_text(encoding="utf-8")) if page.exists() else {}
        sections = []
        mine = [one for one in questions() if one.topic == topic]
        for question in mine:
            old = kept.get(question.name)
            if new is not None and old is not None:
                sections.append(old)
                continue
            try:
                sections.append(_answered(database, question, new, pictures))
            except ChimpError as error:
                silent.append(f"{question.name}: {error.sentence}")
                sections.append(old or "\n".join([*_head(question), "Not answered yet.", ""]))
        page.write_text("\n".join([f"# {title}", "", ABOUT, *sections]), encoding="utf-8")
        for file in pictures.glob("*.svg"):
            if file.stem not in {question.name for question in mine}:
                file.unlink()
    return silent


def sections_of(text: str) -> dict[str, str]:
    """What the page says of each question, by its name."""
    parts = re.split(r"(?m)^(?=## )", text)
    found = ((_COMMAND.search(part), part) for part in parts)
    return {match[1]: part.rstrip("\n") + "\n" for match, part in found if match is not None}


def _answered(database: Database, question: Question, where: str | None, pictures: Path) -> str:
    answer = ask(database, question.name)
    file = pictures / f"{question.name}.svg"
    drawn = answer.as_picture()
    if drawn is None:
        file.unlink(missing_ok=True)
    else:
        file.write_text(on_white(drawn), encoding="utf-8")
    lines = _head(question)
    if where is not None:
        lines += [f"On {where}:", ""]
    if drawn is not None:
        lines += [f"![{question.asks}](../../images/questions/{question.topic}/{question.name}.svg)", ""]
    return "\n".join([*lines, *_table(answer), ""])


def _head(question: Question) -> list[str]:
    sets = "".join(f" --set {p.name}={p.usage.partition('=')[2]}" for p in question.parameters if p.default is not None)
    return [f"## {question.asks}", "", f"    chimp query {question.name}{sets}", ""]


def _table(answer: Answer) -> list[str]:
    if not answer.rows:
        return ["Nothing, on this archive."]
    if len(answer.columns) >= WIDE:
        lines = ["| column | first row |", "|---|---|"]
        lines += [f"| {name} | {_cell(value)} |" for name, value in zip(answer.columns, answer.rows[0], strict=True)]
        shown = 1
    else:
        lines = ["| " + " | ".join(answer.columns) + " |", "|" + "---|" * len(answer.columns)]
        lines += ["| " + " | ".join(map(_cell, row)) + " |" for row in answer.rows[:ROWS]]
        shown = min(ROWS, len(answer.rows))
    if len(answer.rows) > shown:
        lines += ["", f"... and {len(answer.rows) - shown} more rows."]
    return lines


def _cell(value: object) -> str:
    return cell_of(value).replace("|", "\\|")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write answers into docs/research/questions/.")
    parser.add_argument("home", nargs="?", default="demo_home", help="the home whose database answers")
    parser.add_argument("--new", metavar="WORDS", help="only questions that the page lacks; on what they are answered")
    given = parser.parse_args()
    sys.exit("\n".join(main(given.home, given.new)) or None)
