"""A hand-written stand-in for the two drivers of SQL Server: it records what reaches it and answers the few questions
that SQLAlchemy asks of a new connection. It knows no SQL: what it proves is what we say, not what a server makes of it.

It is as strict as they are: placeholders must fit their parameters in the driver's own style, a connection has one open
result, mssql-python wants all columns of an array declared or none, and undeclared text of an array is VARCHAR.
"""

from __future__ import annotations

import re
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
SETTINGS = (1, 1, 0)
"""READ_COMMITTED_SNAPSHOT, ALLOW_SNAPSHOT_ISOLATION, DELAYED_DURABILITY."""


class FakeDriver(ModuleType):
    """`pyodbc` or `mssql_python`. answers: rows by words in a SELECT; stored: what the server keeps of arrays of rows;
    log: what was said, in order, with the number of the connection; refuse: words in a statement at which it raises the
    error, or one of the list after the other; bulk: rows that the bulk copy took, by table, None where it is refused.
    """

    version = __version__ = "5.3.0"
    SQL_WVARCHAR, NUMBER, DATETIME, BINARY, STRING = -9, float, "datetime", bytes, str

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.log: list[tuple[int, str, Any]] = []
        self.connected: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        self.refuse: dict[str, Any] = {}
        self.bulk: dict[str, list[Any]] | None = {}
        self.paramstyle = "qmark" if name == "pyodbc" else "pyformat"
        self.answers: dict[str, list[Any]] = {}
        self.stored: list[tuple[str, tuple[Any, ...]]] = []
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
        self.cursors: list[FakeCursor] = []

    def cursor(self) -> FakeCursor:
        self.cursors.append(FakeCursor(self))
        return self.cursors[-1]

    def add_output_converter(self, kind: int, convert: Any) -> None:
        pass

    def commit(self) -> None:
        self._close_results()
        self.driver.log.append((self.number, "COMMIT", None))

    def rollback(self) -> None:
        self._close_results()
        self.driver.log.append((self.number, "ROLLBACK", None))

    def _close_results(self) -> None:
        for cursor in self.cursors:
            cursor.rows = []

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
        if any(cursor.rows for cursor in self.connection.cursors if cursor is not self):
            raise driver.OperationalError("Connection is busy with results for another command")
        for words, error in driver.refuse.items():
            if words in statement and error != []:
                raise error.pop(0) if isinstance(error, list) else error
        answer = next((answer for words, answer in ANSWERS.items() if words in statement), None)
        rows = next((rows for words, rows in driver.answers.items() if words in statement), None)
        if rows is None and "sys.databases" in statement:
            rows = [SETTINGS if "delayed_durability" in statement else (0,)]
        if rows is None:
            rows = [] if answer is None else [(answer,)]
        if re.search(r"^\s*SELECT\b", statement, re.MULTILINE | re.IGNORECASE):
            width = len(rows[0]) if rows else 1
            self.description = [(f"value{place}", str, None, None, None, None, None) for place in range(width)]
            self.rows = list(rows)
        else:
            self.description = None

    def _require_fit(self, statement: str, parameters: Any) -> None:
        """Raises the driver's error where placeholders and parameters are of two styles, or not so many."""
        driver = self.connection.driver
        if isinstance(parameters, dict):
            if driver.paramstyle != "pyformat":
                raise driver.ProgrammingError("The SQL contains no parameter markers, but a mapping was given")
            fits = set(re.findall(r"%\((\w+)\)s", statement)) == set(parameters)
        else:
            fits = statement.count("?") == len(parameters) and "%(" not in statement
        if not fits:
            raise driver.ProgrammingError(f"placeholders of {statement!r} do not fit {parameters!r}")

    def execute(self, statement: str, *parameters: Any) -> FakeCursor:
        given = parameters[0] if len(parameters) == 1 and isinstance(parameters[0], dict | tuple | list) else parameters
        self._require_fit(statement, given)
        self._hear(statement, parameters)
        return self

    def executemany(self, statement: str, rows: Any) -> None:
        rows = list(rows)
        for row in rows:
            self._require_fit(statement, row)
        self._hear(statement, (self.fast_executemany, self.sizes, rows))
        self.connection.driver.stored += [(statement, tuple(map(self._kept, row, self._declared(row)))) for row in rows]
        self.sizes = None

    def _declared(self, row: Any) -> Any:
        return self.sizes or [None] * len(row)

    def _kept(self, value: Any, size: Any) -> Any:
        """What a server stores of a value: of VARCHAR, what Latin-1 has; of a short NVARCHAR, its beginning."""
        if not isinstance(value, str):
            return value
        if size is None and self.connection.driver.__name__ == "mssql_python":
            return value.encode("latin-1", "replace").decode("latin-1")
        units = value.encode("utf-16-le")
        return value if size is None else units[: 2 * size[1]].decode("utf-16-le", "replace")

    def setinputsizes(self, sizes: Any) -> None:
        if self.connection.driver.__name__ == "mssql_python":
            for size in sizes:
                if not isinstance(size, tuple) or not all(isinstance(part, int) and part >= 0 for part in size[1:]):
                    raise ValueError(f"Invalid SQL type: {size}. Must be a valid SQL type constant.")
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
        self.rows = []


def install(monkeypatch: pytest.MonkeyPatch, name: str) -> FakeDriver:
    """The fake in the place of the real driver, for one test. name: `pyodbc` or `mssql_python`."""
    driver = FakeDriver(name)
    monkeypatch.setitem(sys.modules, name, driver)
    return driver
