"""The cookbook as questions: what each asks, which parameters it takes, and its answer.

Belongs here: reading the header of a query's file, checking parameters, running it. Does not belong here: the SQL
(`sql/queries`), loading files (`views`) and printing (`console`).

A header is the comment in front of a query: its first line is the question; after `Parameters:` each line is
`name type = default: what it means`, with the type text, integer or number; without a default it must be given.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from chimp_assets.database.csv_tables import GuardedWriter
from chimp_assets.database.engine import Database
from chimp_assets.database.views import in_words_of, load_query, query_names
from chimp_assets.errors import ChimpError

_PARAMETER = re.compile(r"(?P<name>[a-z_]+) (?P<kind>text|integer|number)(?: = (?P<default>[^:]+))?: (?P<what>.+)")
_NULL = "null"


class QuestionError(ChimpError):
    """There is no such question, or its parameters are not what it takes."""


@dataclass(frozen=True)
class Parameter:
    """What a question takes. kind: text, integer or number; default: where required is False."""

    name: str
    kind: str
    what: str
    required: bool
    default: str | int | float | None = None

    @property
    def usage(self) -> str:
        """As a person writes it: `limit=10`, `camera=null`, `child=TEXT` where it must be given."""
        if self.required:
            return f"{self.name}={self.kind.upper()}"
        return f"{self.name}={_NULL if self.default is None else self.default}"


@dataclass(frozen=True)
class Question:
    """A query of the cookbook. asks: one line; statement: with `:name` parameters."""

    name: str
    asks: str
    parameters: tuple[Parameter, ...]
    statement: str


@dataclass(frozen=True)
class Answer:
    """What the database said. parameters: as bound; rows: in order, with the names of columns."""

    question: Question
    parameters: dict[str, Any]
    columns: list[str]
    rows: list[tuple[Any, ...]]

    def as_records(self) -> list[dict[str, Any]]:
        """The rows by the names of their columns; `pandas.DataFrame(answer.as_records())`."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def questions() -> list[Question]:
    """Every question of the cookbook, by name."""
    return [question(name) for name in query_names()]


def question(name: str) -> Question:
    """One question. Raises QuestionError, with the nearest name, if there is none of this name."""
    names = query_names()
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise QuestionError(f"There is no question {name!r}.", f"{hint}`chimp query` lists them all.")
    statement = load_query(name)
    header = [line.removeprefix("--").strip() for line in statement.splitlines() if line.startswith("--")]
    found = (_PARAMETER.fullmatch(line) for line in _of_parameters(header))
    return Question(name, header[0], tuple(_parameter(match) for match in found if match), statement)


def ask(db: Database, name: str, parameters: Mapping[str, Any] | None = None) -> Answer:
    """The answer to a question, in a read transaction.

    parameters: by name; text is read as the parameter's type, and `null` as nothing; what is left out has its default.
    Raises QuestionError for an unknown question or parameter, a missing one, or a value of another type.
    """
    asked = question(name)
    bound = _bind(asked, parameters or {})
    with db.read() as conn:
        result = conn.execute(sa.text(in_words_of(db.dialect, asked.statement)), bound)
        return Answer(asked, bound, list(result.keys()), [tuple(row) for row in result])


def parameters_of(texts: list[str]) -> dict[str, str]:
    """`name=value` texts by name. Raises QuestionError for a text without an equals sign."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise QuestionError(f"{text!r} is no parameter.", "Write --set name=value, for example --set limit=5.")
        found[name.strip()] = value
    return found


def write_csv(answer: Answer, file: Path) -> None:
    """The answer as CSV in UTF-8 with a header; null is an empty cell, a text that a spreadsheet would take for a formula
    begins with an apostrophe. Raises QuestionError if it cannot be written.
    """
    try:
        with file.open("w", encoding="utf-8", newline="") as stream:
            writer = GuardedWriter(stream)
            writer.writerow(answer.columns)
            for row in answer.rows:
                writer.writerow(row)
    except OSError as error:
        raise QuestionError(f"{file} cannot be written: {error.strerror}.", "Name another file.") from None


def _of_parameters(header: list[str]) -> list[str]:
    """The lines between `Parameters:` and the next empty one."""
    if "Parameters:" not in header:
        return []
    after = header[header.index("Parameters:") + 1 :]
    return after[: after.index("")] if "" in after else after


def _parameter(match: re.Match[str]) -> Parameter:
    name, kind, default, what = match["name"], match["kind"], match["default"], match["what"]
    if default is None:
        return Parameter(name, kind, what, required=True)
    return Parameter(name, kind, what, required=False, default=_value(name, kind, default.strip()))


def _bind(asked: Question, given: Mapping[str, Any]) -> dict[str, Any]:
    takes = {parameter.name: parameter for parameter in asked.parameters}
    for name in given:
        if name not in takes:
            raise QuestionError(f"The question {asked.name} has no parameter {name!r}.", _takes(asked))
    missing = [p.name for p in asked.parameters if p.required and p.name not in given]
    if missing:
        raise QuestionError(f"The question {asked.name} needs the parameter {missing[0]}.", _takes(asked))
    return {p.name: _value(p.name, p.kind, given[p.name]) if p.name in given else p.default for p in asked.parameters}


def _takes(asked: Question) -> str:
    if not asked.parameters:
        return "It takes none."
    return f"It takes {', '.join(parameter.usage for parameter in asked.parameters)}."


def _value(name: str, kind: str, value: Any) -> str | int | float | None:
    if value is None or value == _NULL:
        return None
    if kind == "text":
        return str(value)
    try:
        if kind == "number":
            return float(value)
        if isinstance(value, float) and not value.is_integer():
            raise ValueError
        return int(value)
    except (TypeError, ValueError):
        wanted = "a whole number" if kind == "integer" else "a number"
        raise QuestionError(
            f"The parameter {name} is {wanted}, not {value!r}.", f"Write it as {name}=5, or {name}={_NULL}."
        ) from None
