"""Statements that SQLAlchemy has compiled, kept for the whole suite instead of for one engine.

Every test has databases and so engines of its own, and each engine would compile the same few hundred statements anew:
that took as long as running them. What is compiled depends on the dialect and on its server, never on the database.

Belongs here: keeping them. Does not belong here: which engines use them (`conftest.py`).
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.util import LRUCache

_KEPT = 4000


class CompiledStatements(LRUCache[Any, Any]):
    """A cache of compiled statements for engines of several dialects, as SQLAlchemy asks for it: its keys begin with
    the dialect of an engine, in whose place stands everything about it that can change a statement."""

    def __init__(self) -> None:
        super().__init__(_KEPT)

    def serve(self, engine: sa.Engine) -> None:
        """Let an engine take its statements from here."""
        engine.update_execution_options(compiled_cache=self)

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(_of_any_engine(key), default)

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(_of_any_engine(key))

    def __setitem__(self, key: Any, compiled: Any) -> None:
        super().__setitem__(_of_any_engine(key), compiled)


def _of_any_engine(key: tuple[Any, ...]) -> tuple[Any, ...]:
    dialect, *rest = key
    kind = (
        type(dialect),
        dialect.server_version_info,
        dialect.paramstyle,
        dialect.use_insertmanyvalues,
        dialect.default_schema_name,
    )
    return (kind, *rest)
