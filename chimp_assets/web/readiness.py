"""Whether this server can answer people now: asked by load balancers, which send them to another one meanwhile.

Belongs here: asking database and store without waiting for them for ever. Does not belong here: whether the process
lives (`api.health`), what an operator mends (`operations.doctor`).
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

import sqlalchemy as sa

from chimp_assets.database.connection.engine import Database
from chimp_assets.database.upkeep.migrations import head_revision
from chimp_assets.home import Home

_log = logging.getLogger(__name__)

FRESH_S = 2.0
"""Anybody may ask: an answer counts for so long, whoever asks."""
PATIENCE_S = 4.0
"""What has not answered by then counts as away."""
_NO_SUCH_BLOB = "chimp-assets-is-this-here"
_VERSION: sa.Select[str] = sa.select(sa.column("version_num")).select_from(sa.table("alembic_version"))


class Readiness:
    """What this server lacks. leaving: it was asked to end, and takes requests only until balancers have noticed."""

    def __init__(self, home: Home, db: Database) -> None:
        self.leaving = False
        self._home, self._db = home, db
        self._head = head_revision()
        self._lock = threading.Lock()
        self._asked: dict[str, tuple[float, Future[str | None]]] = {}

    async def lacking(self) -> list[str]:
        """What is not as it should be: database, schema (of another version), store, leaving; [] if ready."""
        if self.leaving:
            return ["leaving"]
        found = await asyncio.gather(self._answer("database", self._database), self._answer("store", self._store))
        return [part for part in found if part is not None]

    async def _answer(self, name: str, ask: Callable[[], str | None]) -> str | None:
        with self._lock:
            asked, answer = self._asked.get(name, (0.0, None))
            # One that hangs is not asked again before it has answered: threads must not pile up.
            if answer is None or (answer.done() and time.monotonic() - asked > FRESH_S):
                answer = Future()
                self._asked[name] = (time.monotonic(), answer)
                threading.Thread(target=_settle, args=(answer, name, ask), name=f"ready-{name}", daemon=True).start()
        await asyncio.wait([asyncio.wrap_future(answer)], timeout=PATIENCE_S)
        return answer.result() if answer.done() else name

    def _database(self) -> str | None:
        with self._db.read() as conn:
            version = conn.scalar(_VERSION)
        return None if version == self._head else "schema"

    def _store(self) -> str | None:
        self._home.store.head(_NO_SUCH_BLOB)
        return None


def _settle(answer: Future[str | None], name: str, ask: Callable[[], str | None]) -> None:
    try:
        found = ask()
    except Exception as error:
        _log.warning("not ready, the %s does not answer: %s", name, error)
        found = name
    answer.set_result(found)
