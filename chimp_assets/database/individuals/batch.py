"""What every call that writes individuals shares: its rows, its terms, the faults it gathers, its report and its log.

Belongs here: refusing rows together, and `biography_log`. Does not belong here: the values of a row (`values`), what is
known already (`register`), and writing (`biographies`, `memberships`, `aliases`, `renaming`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa

from chimp_assets.database.connection.counters import ANNOTATION, take_numbers
from chimp_assets.database.csv_sheets import Fault, InvalidValue
from chimp_assets.database.people.users import PeopleError, user_id_of
from chimp_assets.database.schema import biography_log
from chimp_assets.database.texts import fault_of

WHY_LENGTH = 1000
_DESCRIPTION_LENGTH = 2000


@dataclass(frozen=True)
class SourceRow:
    """One row as it came: the line to name when it is wrong, and its values by field."""

    line: int
    values: Mapping[str, Any]


@dataclass(frozen=True)
class WriteReport:
    """Rows added, changed, unchanged, removed. communities: new ones that a row named; skipped: rows left out."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    communities: list[str] = field(default_factory=list)
    skipped: list[Fault] = field(default_factory=list)


@dataclass(frozen=True)
class Terms:
    """How rows are written. skip_bad: store the good rows although others are refused; why, by: for the log; replace:
    the rows become all the memberships of the individuals in them; force: new names may look like others.
    """

    skip_bad: bool = False
    why: str | None = None
    by: str | None = None
    replace: bool = False
    force: bool = False


class RowsRefusedError(Exception):
    """Some rows cannot be stored, so none is. faults: all of them, by line."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = list(faults)


@dataclass(frozen=True)
class CheckedRow:
    """A row whose values have been checked one by one: its line, and the values as they are stored."""

    line: int
    values: dict[str, Any]


class Batch:
    """Gathers the faults of one call, so that all of them are reported together."""

    def __init__(self, skip_bad: bool) -> None:
        self.skip_bad = skip_bad
        self._faults: dict[Fault, None] = {}

    @property
    def skipped(self) -> list[Fault]:
        """The faults so far, by line."""
        return sorted(self._faults, key=lambda fault: fault.line)

    def keep(self, line: SourceRow, check: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
        """The checked values of a row; None if the check raises InvalidValue, which is gathered."""
        try:
            return check()
        except InvalidValue as wrong:
            self.refuse(line.line, wrong.column, str(wrong))
            return None

    def refuse(self, line: int, column: str, sentence: str) -> None:
        """Adds a fault."""
        self._faults[Fault(line, column, sentence)] = None

    def settle(self) -> None:
        """Raises Refused if there are faults, unless bad rows are skipped."""
        if self._faults and not self.skip_bad:
            raise RowsRefusedError(self.skipped)


class BiographyLog:
    """Writes the `biography_log` rows of one call."""

    def __init__(self, conn: sa.Connection, why: str | None, user_id: int | None) -> None:
        self._conn, self._why, self._user_id, self._at = conn, why, user_id, datetime.now(UTC)

    @classmethod
    def of(cls, conn: sa.Connection, terms: Terms) -> BiographyLog:
        """Waits until nobody else changes individuals. Raises PeopleError if the terms cannot be stored."""
        fault = fault_of(terms.why or "", WHY_LENGTH)
        if fault:
            raise PeopleError(f"The reason {fault}.", "Say it in another way.")
        take_numbers(conn, ANNOTATION, 0)
        return cls(conn, terms.why, user_id_of(conn, terms.by) if terms.by else None)

    def write(self, individual_id: int, description: str) -> None:
        """One entry; a description that is too long is cut."""
        self._conn.execute(
            sa.insert(biography_log).values(
                individual_id=individual_id,
                made_at=self._at,
                user_id=self._user_id,
                description=description[:_DESCRIPTION_LENGTH],
                rationale=self._why,
            )
        )


def span_in_words(start: date | None, end: date | None) -> str:
    """ " from START to END", for descriptions in the log; each half only where it is known."""
    return (f" from {start}" if start else "") + (f" to {end}" if end else "")
