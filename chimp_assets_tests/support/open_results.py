"""A rule of the whole suite: no statement begins while rows of an earlier result wait on the same connection.

SQLite and psycopg allow it; SQL Server answers "Connection is busy with results for another command". So every engine
that `Database` makes in a test is listened to. What a test itself leaves open is its own affair: the rule is about
results that the product has opened.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

import chimp_assets

KEY = "results_of_the_tests"
PRODUCT = str(Path(chimp_assets.__file__).parent) + os.sep


class OpenResults:
    """The results of every connection of the engines it listens to. faults: statements that broke the rule.

    opened_below: only results that code below this folder has opened; None: by whomever.
    """

    def __init__(self, opened_below: str | None = None) -> None:
        self.faults: list[str] = []
        self._below = opened_below

    def listen(self, engine: sa.Engine) -> None:
        """Raise AssertionError in the statement that breaks the rule on a connection of this engine."""
        event.listen(engine, "after_execute", self._keep)
        event.listen(engine, "before_cursor_execute", self._require_none_open)
        event.listen(engine, "commit", self._forget)
        event.listen(engine, "rollback", self._forget)

    def _keep(self, conn: sa.Connection, element: Any, several: Any, one: Any, options: Any, result: Any) -> None:
        if getattr(result, "returns_rows", False) and (self._below is None or _caller().startswith(self._below)):
            conn.connection.info.setdefault(KEY, []).append((result, element))

    def _require_none_open(
        self, conn: sa.Connection, cursor: Any, statement: str, parameters: Any, context: Any, several: bool
    ) -> None:
        open_ones = []
        for result, element in conn.connection.info.pop(KEY, []):
            # Held by nobody but the tuple, this loop and the call: the driver frees what nobody can read any more.
            if not result._soft_closed and sys.getrefcount(result) > 3:
                open_ones.append(str(element))  # for each statement it would take as long as running it
        if open_ones:
            self.faults.append(f"{statement}\n\nbegan while rows were left of\n\n{open_ones[0]}")
            raise AssertionError(self.faults[-1])

    def _forget(self, conn: sa.Connection) -> None:
        if not conn.invalidated:
            conn.connection.info.pop(KEY, None)


def _caller() -> str:
    """The file whose code called SQLAlchemy."""
    frame = sys._getframe(1)
    while frame is not None and (frame.f_code.co_filename == __file__ or _SQLALCHEMY in frame.f_code.co_filename):
        frame = frame.f_back
    return "" if frame is None else frame.f_code.co_filename


_SQLALCHEMY = f"{os.sep}sqlalchemy{os.sep}"
