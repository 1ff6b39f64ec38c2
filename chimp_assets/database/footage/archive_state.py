"""Whether the last listing of the archive succeeded: kept in `audit_event`, for everybody to read.

Belongs here: writing a change down, and reading the last one. Does not belong here: listing (`archive.discover`).
A sensor that fails says so to Dagster alone; a disk that is not mounted must be seen by people who never look there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from chimp_assets.database.connection.engine import Database, DatabaseError
from chimp_assets.database.people.users import record_audit_event
from chimp_assets.database.schema import audit_event
from chimp_assets.errors import ChimpError

MISSING, BACK = "archive_unreadable", "archive_readable"


@dataclass(frozen=True)
class ArchiveProblem:
    """Why the archive cannot be listed, what to do, and since when (UTC)."""

    since: datetime
    sentence: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.sentence} {self.remedy}".strip()


def archive_problem(conn: sa.Connection) -> ArchiveProblem | None:
    """What stood in the way of the last listing; None: nothing did, or it was never tried."""
    row = conn.execute(
        sa.select(audit_event.c.at, audit_event.c.action, audit_event.c.detail)
        .where(audit_event.c.action.in_((MISSING, BACK)))
        .order_by(audit_event.c.audit_event_id.desc())
        .limit(1)
    ).first()
    if row is None or row.action == BACK:
        return None
    detail = json.loads(row.detail or "{}")
    return ArchiveProblem(row.at, detail.get("sentence", ""), detail.get("remedy", ""))


@contextmanager
def listing_is_noted(db: Database, archive: str | None) -> Iterator[None]:
    """Runs a listing and writes down if the archive cannot be listed, or can again: one row at each change.

    archive: its address, without secrets. Errors go on to the caller.
    """
    try:
        yield
    except DatabaseError:
        raise
    except ChimpError as error:
        _note(db, archive, error)
        raise
    _note(db, archive, None)


def _note(db: Database, archive: str | None, error: ChimpError | None) -> None:
    with db.read() as conn:
        before = archive_problem(conn)
    if error is None and before is None:
        return
    if error is not None and before is not None and before.sentence == error.sentence:
        return
    record_audit_event(
        db,
        action=BACK if error is None else MISSING,
        subject=archive or "",
        detail={} if error is None else {"sentence": error.sentence, "remedy": error.remedy},
    )
