"""What `chimp query` and `chimp export` print: the cookbook, the answers, the exports.

Does not belong here: asking (`insight.questions`), writing formats (`exchange.exports`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chimp_assets.console.output import say, show_indented, styled
from chimp_assets.console.tables import print_table
from chimp_assets.console.words import cell_of

if TYPE_CHECKING:
    from chimp_assets.exchange.exports.export import Export
    from chimp_assets.insight.questions import Answer, Question


def show_questions(known: list[Question]) -> None:
    """Every question with its parameters."""
    for one in known:
        say(styled((one.name, "bold")))
        show_indented(one.asks, 4)
        for parameter in one.parameters:
            show_indented(styled((f"--set {parameter.usage}  {parameter.what}", "dim")), 6)
    say("\nAsk one: `chimp query NAME --set parameter=value`")


def show_answer(answer: Answer) -> None:
    """An answer as a table below its question."""
    print_table(answer.columns, [[cell_of(value) for value in row] for row in answer.rows], answer.question.asks)
    if not answer.rows:
        say("No rows: the database holds nothing that answers this.")


def show_exports(known: dict[str, Export]) -> None:
    """Every export with what it holds and its options."""
    for name, one in known.items():
        say(styled((name, "bold"), ("  a folder" if one.folder else f"  {one.suffix}", "dim")))
        show_indented(one.what, 4)
        for option in one.options:
            show_indented(styled((f"--set {option.name}={option.default}  {option.what}", "dim")), 6)
    say("\nWrite one: `chimp export NAME FILE`; narrow it: `--where individual=FLO --where from=2013-05-01`")
