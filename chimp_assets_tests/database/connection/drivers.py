"""Addresses of the two SQL Server drivers' stand-ins, and what several tests say to them. No test belongs here."""

from __future__ import annotations

from typing import Any

import numpy as np

from chimp_assets.database.connection.engine import Database
from chimp_assets_tests.database.fake_sql_server import FakeDriver

PYODBC = "mssql+pyodbc://anna:secret@host/chimps?driver=ODBC+Driver+18+for+SQL+Server"
MSSQLPYTHON = "mssql+mssqlpython://anna:secret@host/chimps"
URLS = {"pyodbc": PYODBC, "mssql_python": MSSQLPYTHON}


def database_of(driver: FakeDriver, wait_s: float | None = None) -> Database:
    """A database behind a stand-in."""
    return Database(URLS[driver.__name__], wait_s)


def driver_error(driver: FakeDriver, kind: str, number: int, words: str, state: str = "42000") -> Exception:
    """An error in the shape of its driver: pyodbc gives the number in brackets, mssql-python does not give it."""
    make = getattr(driver, kind)
    if driver.__name__ == "pyodbc":
        return make(
            state,
            f"[{state}] [Microsoft][ODBC Driver 18 for SQL Server][SQL Server]{words} ({number}) (SQLExecDirectW)",
        )
    return make(f"Driver Error: Syntax error or access violation; DDBC Error: [Microsoft][SQL Server]{words}")


def boxes(n: int) -> dict[str, Any]:
    """Columns of n detections of one track."""
    return {
        "score": np.full(n, 0.25, np.float32),
        "video_id": np.ones(n, np.int64),
        "frame_no": np.arange(n),
        "detection_no": np.zeros(n, np.int16),
        "track_id": np.full(n, 9),
        **{name: np.full(n, 0.5) for name in ("x", "y", "w", "h")},
    }
