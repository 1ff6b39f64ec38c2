"""A hand-written stand-in for the two drivers of SQL Server: it records what reaches it and answers the few questions
that SQLAlchemy asks of a new connection. It knows no SQL: what it proves is what we say, not what a server makes of it.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

ANSWERS = {
    "SERVERPROPERTY": "16.0.1000.6",
    "@@version": "Microsoft SQL Server 2022 (RTM) - 16.0.1000.6 (X64)",
    "schema_name": "dbo",
    "transaction_isolation_level": "READ COMMITTED",
    "dm_exec_sessions": "dm_exec_sessions",
}


class FakeDriver(ModuleType):
    """`pyodbc` or `mssql_python`. log: what was said, in order, with the number of the connection; refuse: words in a
    statement at which it raises; bulk: rows that the bulk copy took, by table, or None where it is refused."""

    paramstyle = "qmark"
    version = __version__ = "5.3.0"
    SQL_WVARCHAR, NUMBER = -9, float

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.log: list[tuple[int, str, Any]] = []
        self.connected: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        self.refuse: dict[str, Exception] = {}
        self.bulk: dict[str, list[Any]] | None = {}
        base = type("Error", (Exception,), {"__module__": name})
        self.Error = base
        self.Cursor = FakeCursor
        kinds = ("InterfaceError", "DatabaseError", "DataError", "OperationalError", "IntegrityError")
        for kind in (*kinds, "InternalError", "ProgrammingError", "NotSupportedError"):
            setattr(self, kind, type(kind, (base,), {"__module__": name}))

    def pooling(self, enabled: bool = True) -> None:
        pass

    def connect(self, *arguments: Any, **keywords: Any) -> FakeConnection:
        self.connected.append((arguments, keywords))
        return FakeConnection(self, len(self.connected))

    def said(self, word: str) -> list[str]:
        return [statement for _, statement, _ in self.log if word in statement]


class FakeConnection:
    def __init__(self, driver: FakeDriver, number: int) -> None:
        self.driver, self.number, self.autocommit = driver, number, False

    def cursor(self) -> FakeCursor:
        return FakeCursor(self)

    def add_output_converter(self, kind: int, convert: Any) -> None:
        pass

    def commit(self) -> None:
        self.driver.log.append((self.number, "COMMIT", None))

    def rollback(self) -> None:
        self.driver.log.append((self.number, "ROLLBACK", None))

    def close(self) -> None:
        pass


class FakeCursor:
    def __init__(self, connection: FakeConnection) -> None:
        self.connection, self.rowcount, self.fast_executemany = connection, 1, False
        self.description: Any = None
        self.sizes: Any = None
        self.rows: list[Any] = []

    def _hear(self, statement: str, parameters: Any) -> None:
        driver = self.connection.driver
        driver.log.append((self.connection.number, statement, parameters))
        for words, error in driver.refuse.items():
            if words in statement:
                raise error
        answer = next((answer for words, answer in ANSWERS.items() if words in statement), None)
        if statement.lstrip().upper().startswith("SELECT"):
            self.description = [("value", str, None, None, None, None, None)]
            self.rows = [] if answer is None else [(answer,)]
        else:
            self.description = None

    def execute(self, statement: str, *parameters: Any) -> FakeCursor:
        self._hear(statement, parameters)
        return self

    def executemany(self, statement: str, rows: Any) -> None:
        self._hear(statement, (self.fast_executemany, self.sizes, list(rows)))

    def setinputsizes(self, sizes: Any) -> None:
        self.sizes = sizes

    def bulkcopy(self, table: str, rows: Any, **keywords: Any) -> dict[str, int]:
        driver = self.connection.driver
        if driver.bulk is None:
            raise RuntimeError("bulk load is not supported")
        driver.bulk[table] = list(rows)
        driver.log.append((self.connection.number, f"BULK {table}", keywords))
        return {"rows_copied": len(driver.bulk[table])}

    def fetchone(self) -> Any:
        return self.rows.pop(0) if self.rows else None

    def fetchall(self) -> list[Any]:
        rows, self.rows = self.rows, []
        return rows

    def nextset(self) -> None:
        return None

    def close(self) -> None:
        pass


def install(monkeypatch: pytest.MonkeyPatch, name: str) -> FakeDriver:
    """The fake in the place of the real driver, for one test. name: `pyodbc` or `mssql_python`."""
    driver = FakeDriver(name)
    monkeypatch.setitem(sys.modules, name, driver)
    return driver
