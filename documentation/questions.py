"""Writes the answers of a demo home into docs/research/questions.md: `make questions`.

Belongs here: how a question and its answer look on a page. Does not belong here: the questions (`sql/queries`) and the
text around the answers, which people write in docs/research/questions.md itself.
"""

from __future__ import annotations

import sys
from pathlib import Path

from chimp_assets.console.words import cell_of
from chimp_assets.home import Home
from chimp_assets.insight.questions import Answer, Question, ask, questions

PAGE = Path(__file__).resolve().parents[1] / "docs" / "research" / "questions.md"
BEGIN, END = "<!-- answers: written by make questions -->\n", "<!-- end of answers -->\n"
ROWS = 6
WIDE = 13
"""An answer with so many columns is shown as one row, from top to bottom."""


def main(folder: str) -> None:
    """Asks every question of the demo home in folder, and replaces what stands between the two marks of the page."""
    database = Home.open(folder).database
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    sections = "\n".join(_section(question, ask(database, question.name)) for question in questions())
    PAGE.write_text(f"{before}{BEGIN}\n{sections}\n{END}{after}", encoding="utf-8")


def _section(question: Question, answer: Answer) -> str:
    sets = "".join(f" --set {p.name}={p.usage.partition('=')[2]}" for p in question.parameters if p.default is not None)
    lines = [f"### {question.asks}", "", f"    chimp query {question.name}{sets}", ""]
    if not answer.rows:
        return "\n".join([*lines, "Nothing, on the demo's archive.", ""])
    if len(answer.columns) >= WIDE:
        lines += ["| column | first row |", "|---|---|"]
        lines += [f"| {name} | {_cell(value)} |" for name, value in zip(answer.columns, answer.rows[0], strict=True)]
        shown = 1
    else:
        lines += ["| " + " | ".join(answer.columns) + " |", "|" + "---|" * len(answer.columns)]
        lines += ["| " + " | ".join(map(_cell, row)) + " |" for row in answer.rows[:ROWS]]
        shown = min(ROWS, len(answer.rows))
    if len(answer.rows) > shown:
        lines += ["", f"... and {len(answer.rows) - shown} more rows."]
    return "\n".join([*lines, ""])


def _cell(value: object) -> str:
    return cell_of(value).replace("|", "\\|")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "demo_home")
