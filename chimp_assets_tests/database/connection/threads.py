"""Calls in threads of their own, and what the tests of concurrency read of the label events. No test belongs here."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.labels.events import last_seq

WAIT_S = 60


def seqs(db: Database) -> list[tuple[int, str]]:
    with db.read() as conn:
        a = s.annotation.c
        return [tuple(row) for row in conn.execute(sa.select(a.seq, a.annotation_id).order_by(a.seq))]


def newest(db: Database) -> int:
    with db.read() as conn:
        return last_seq(conn)


class Task(threading.Thread):
    """A call in a thread of its own, whose result or error is asked for later."""

    def __init__(self, call: Callable[..., Any], *arguments: Any) -> None:
        super().__init__(daemon=True)
        self._call, self._arguments = call, arguments
        self._result: Any = None
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._result = self._call(*self._arguments)
        except BaseException as error:
            self._error = error

    def result(self) -> Any:
        self.join(WAIT_S)
        assert not self.is_alive(), "it still waits"
        if self._error is not None:
            raise self._error
        return self._result
