"""The questions of the cookbook: text, parameters, and answers.

Belongs here: reading the header of a query file, checking parameters, running the query. Does not belong here: the SQL
(`sql/queries`), loading files (`database.upkeep.views`), printing (`console`).

A header is the comment in front of a query: its first line is the question; after `Parameters:` each line is `name type
= default: meaning`. The type is text, integer or number; without a default the parameter is required. The meaning
begins with `AnimID` if it names an individual, with `one camera` if it names a camera, and lists allowed words in
quotes if they are few. Such texts match in any case, individuals also by alias or name. A line `Chart: ...` says how
an answer is drawn (`question_pictures`), a line `Topic: ...` with which others it stands.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from chimp_assets.database.connection.engine import Database
from chimp_assets.database.connection.time_limits import at_most
from chimp_assets.database.csv_cells import GuardedWriter
from chimp_assets.database.people.lookup import individual_called, nearest_individual
from chimp_assets.database.people.names import key_of
from chimp_assets.database.schema import individual, video
from chimp_assets.database.upkeep.views import in_words_of, load_query, query_names
from chimp_assets.errors import ChimpError
from chimp_assets.insight.question_pictures import Chart, chart_of, picture
from chimp_assets.insight.svg import on_white

_PARAMETER = re.compile(r"(?P<name>[a-z_]+) (?P<kind>text|integer|number)(?: = (?P<default>[^:]+))?: (?P<what>.+)")
_NULL = "null"
_INDIVIDUAL = "AnimID"
_CAMERA = "one camera"
_FEW = 10
TOPICS = ("presence", "company", "families", "trust")
"""Who is seen where and when; with whom; mothers and kin; how far to trust it."""


class QuestionError(ChimpError):
    """The question does not exist, or its parameters are wrong."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a question. kind: text, integer or number; what: its meaning; default: used unless required."""

    name: str
    kind: str
    what: str
    required: bool
    default: str | int | float | None = None

    @property
    def of(self) -> str | None:
        """What it names: 'individual', 'camera', or None."""
        if self.kind != "text":
            return None
        return (
            "individual" if self.what.startswith(_INDIVIDUAL) else "camera" if self.what.startswith(_CAMERA) else None
        )

    @property
    def choices(self) -> list[str]:
        """The words that are allowed, where they are few."""
        words = re.findall(r"'([a-z0-9_]+)'", self.what) if self.kind == "text" and self.of is None else []
        return words if len(words) > 1 else []

    @property
    def usage(self) -> str:
        """As a person writes it: `limit=10`, `camera=null`, or `child=TEXT` if required."""
        if self.required:
            return f"{self.name}={self.kind.upper()}"
        return f"{self.name}={_NULL if self.default is None else self.default}"


@dataclass(frozen=True)
class Question:
    """A query of the cookbook. asks: the question, one line; statement: SQL with `:name` parameters; about: what its
    header says beside; topic: one of TOPICS; chart: how its answer is drawn, None where a table says it best.
    """

    name: str
    asks: str
    parameters: tuple[Parameter, ...]
    statement: str
    about: str = ""
    topic: str = "presence"
    chart: Chart | None = None


@dataclass(frozen=True)
class Answer:
    """The answer of the database. parameters: as bound; unknown: a sentence for each parameter that names no known
    individual, camera or choice; cut: there are more rows than were wanted.
    """

    question: Question
    parameters: dict[str, Any]
    columns: list[str]
    rows: list[tuple[Any, ...]]
    unknown: list[str] = field(default_factory=list)
    cut: bool = False

    def as_records(self) -> list[dict[str, Any]]:
        """The rows as dictionaries by column name, for example for `pandas.DataFrame(answer.as_records())`."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def as_picture(self) -> str | None:
        """The answer as an SVG; None where the question has no picture, or the answer nothing to draw."""
        chart = self.question.chart
        return None if chart is None else picture(chart, self.question.asks, self.as_records())


def questions() -> list[Question]:
    """Every question of the cookbook, by name."""
    return [question(name) for name in query_names()]


def question(name: str) -> Question:
    """The question of this name. Raises QuestionError, with the nearest name, if it does not exist."""
    names = query_names()
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise QuestionError(f"There is no question {name!r}.", f"{hint}`chimp query` lists them all.")
    statement = load_query(name)
    header = [line.removeprefix("--").strip() for line in statement.splitlines() if line.startswith("--")]
    of_parameters = _of_parameters(header)
    found = (_PARAMETER.fullmatch(line) for line in of_parameters)
    no_words = (*of_parameters, "Parameters:", "Parameters: none")
    beside = [line for line in header[1:] if line not in no_words and not line.startswith(("Chart: ", "Topic: "))]
    topic = next((line.removeprefix("Topic: ") for line in header if line.startswith("Topic: ")), TOPICS[0])
    about = " ".join(" ".join(beside).split())
    return Question(
        name, header[0], tuple(_parameter(match) for match in found if match), statement, about, topic, chart_of(header)
    )


def ask(
    db: Database,
    name: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    most_rows: int | None = None,
    most_seconds: float | None = None,
) -> Answer:
    """The answer to a question, in a read transaction.

    parameters: by name. Text is converted to the type of the parameter, `null` to None; others have their defaults.
    An individual may be given by code, alias or name, in any case. most_rows: the answer is cut there.
    Raises QuestionError for an unknown question or parameter, a missing one, or a value of another type, and
    TooSlowError where the database needs more than most_seconds.
    """
    asked = question(name)
    bound = _bind(asked, parameters or {})
    with db.read() as conn:
        unknown = _resolve(conn, asked, bound, set(parameters or {}))
        with at_most(conn, most_seconds) if most_seconds is not None else nullcontext():
            result = conn.execute(sa.text(in_words_of(db.dialect, asked.statement)), bound)
            rows = [tuple(row) for row in (result if most_rows is None else result.fetchmany(most_rows + 1))]
        cut = most_rows is not None and len(rows) > most_rows
        return Answer(asked, bound, list(result.keys()), rows[:most_rows], unknown, cut)


def camera_names(conn: sa.Connection) -> list[str]:
    """The cameras that a parameter may name, sorted."""
    return sorted(camera for camera in conn.scalars(sa.select(video.c.camera).distinct()) if camera)


def parameters_of(texts: list[str]) -> dict[str, str]:
    """`name=value` texts by name. Raises QuestionError for a text without an equals sign."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise QuestionError(f"{text!r} is not a parameter.", "Write --set name=value, for example --set limit=5.")
        found[name.strip()] = value
    return found


def write_csv(answer: Answer, file: Path) -> None:
    """The answer as CSV in UTF-8 with a header; null is an empty cell, no cell is a formula (`csv_tables.guarded`).

    Raises QuestionError if it cannot be written.
    """
    try:
        with file.open("w", encoding="utf-8", newline="") as stream:
            writer = GuardedWriter(stream)
            writer.writerow(answer.columns)
            for row in answer.rows:
                writer.writerow(row)
    except OSError as error:
        raise QuestionError(f"{file} cannot be written: {error.strerror}.", "Name another file.") from None


def write_picture(answer: Answer, file: Path) -> None:
    """The answer as an SVG. Raises QuestionError if the question has none, there is nothing to draw, or it cannot be
    written.
    """
    if answer.question.chart is None:
        drawn = ", ".join(one.name for one in questions() if one.chart is not None)
        raise QuestionError(f"The question {answer.question.name} has no picture.", f"There is one of {drawn}.")
    drawn_as = answer.as_picture()
    if drawn_as is None:
        raise QuestionError("The answer has nothing to draw.", "Ask with other parameters, or look at the rows.")
    try:
        file.write_text(on_white(drawn_as), encoding="utf-8")
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


def _resolve(conn: sa.Connection, asked: Question, bound: dict[str, Any], given: set[str]) -> list[str]:
    """Replaces typed texts by the values that the database knows; returns sentences about unknown ones."""
    unknown = []
    for parameter in asked.parameters:
        text = bound[parameter.name]
        if parameter.kind != "text" or not isinstance(text, str):
            continue
        known, hint = _known_as(conn, parameter, text)
        if known is not None:
            bound[parameter.name] = known
        elif hint is not None and parameter.name in given:
            unknown.append(hint)
    return unknown


def _known_as(conn: sa.Connection, parameter: Parameter, text: str) -> tuple[str | None, str | None]:
    """(known value, None), or (None, sentence why it is unknown); (None, None) if any text is allowed."""
    if parameter.of == "individual":
        called = individual_called(conn, text, by_name=True)
        if called is None:
            near = nearest_individual(conn, text)
            return None, f"There is no individual {text!r}." + (f" Did you mean {near}?" if near else "")
        i = individual.c
        return str(conn.scalar(sa.select(i.anim_id).where(i.individual_id == called.root_id))), None
    if parameter.of == "camera":
        return _chosen(text, camera_names(conn), f"There is no camera {text!r}")
    if parameter.choices:
        return _chosen(text, parameter.choices, f"{parameter.name} is not {text!r}")
    return None, None


def _chosen(text: str, words: list[str], sentence: str) -> tuple[str | None, str | None]:
    if text in words:
        return text, None
    same = [word for word in words if key_of(word) == key_of(text)]
    if len(same) == 1:
        return same[0], None
    if len(words) <= _FEW:
        return None, f"{sentence}; there {'is' if len(words) == 1 else 'are'} {', '.join(words) or 'none'}."
    near = difflib.get_close_matches(text, words, n=1)
    return None, f"{sentence}." + (f" Did you mean {near[0]}?" if near else "")


def _takes(asked: Question) -> str:
    if not asked.parameters:
        return "It takes no parameters."
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
