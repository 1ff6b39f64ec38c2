"""The goal: how much of the archive shall be named, and how many of the names may be wrong.

Belongs here: rows of `promise`: set, withdrawn, found. Does not belong here: looks at frozen names (`looks`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from chimp_assets.database.connection.bulk import insert_one
from chimp_assets.database.connection.counters import ANNOTATION, take_numbers
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.labels.promises.looks import WITHDRAWN, end_look, newest_look
from chimp_assets.database.people.users import user_id_of
from chimp_assets.database.schema import promise
from chimp_assets.errors import ChimpError
from chimp_assets.settings import Settings

DEFAULT_ERROR = 0.05


class PromiseError(ChimpError):
    """A promise that cannot be made or withdrawn."""


@dataclass(frozen=True)
class NamingGoal:
    """A goal. promise_id: None where no row says so yet; is_promised: whether fresh samples test it, rather than that
    it is only something to reach."""

    error: float
    named: float
    confidence: float
    is_promised: bool
    promise_id: int | None = None
    created_at: datetime | None = None


def current_goal(conn: sa.Connection, settings: Settings) -> NamingGoal:
    """The newest promise that was not withdrawn; else what the settings say, which is tested only if they say an error;
    else 5 % of 90 %, as something to reach."""
    c = promise.c
    row = conn.execute(
        sa.select(promise).where(c.withdrawn_at.is_(None)).order_by(c.promise_id.desc()).limit(1)
    ).first()
    if row is not None:
        return NamingGoal(row.error, row.named, row.confidence, True, row.promise_id, row.created_at)
    said = settings.promise
    error = DEFAULT_ERROR if said.error is None else said.error
    return NamingGoal(error, said.named, said.confidence, said.error is not None)


def set_goal(db: Database, error: float, named: float, confidence: float, by: str | None = None) -> int:
    """Promise something else from now on; returns the promise_id. The same numbers again change nothing.

    A test of the promise before ends. Raises PromiseError for numbers that are no shares, PeopleError for an unknown
    user.
    """
    for name, value, low, high in (("error", error, 0.0, 0.5), ("named", named, 0.0, 1.0 + 1e-12),
                                   ("confidence", confidence, 0.5, 1.0)):  # fmt: skip
        if not low < value < high:
            raise PromiseError(
                f"The promise cannot be made: {name} is {value:g}, it must lie between {low:g} and {min(high, 1.0):g}.",
                "Write shares such as 5% or 0.05.",
            )

    def work(conn: sa.Connection) -> int:
        seq = take_numbers(conn, ANNOTATION, 0) - 1  # looks change in the turn of label events
        c = promise.c
        before = conn.execute(
            sa.select(promise).where(c.withdrawn_at.is_(None)).order_by(c.promise_id.desc()).limit(1)
        ).first()
        if before is not None and (before.error, before.named, before.confidence) == (error, named, confidence):
            return int(before.promise_id)
        now = datetime.now(UTC)
        _withdraw(conn, now, seq, "something else was promised")
        return insert_one(
            conn,
            promise,
            error=error,
            named=named,
            confidence=confidence,
            user_id=user_id_of(conn, by) if by else None,
            created_at=now,
        )

    return db.transact(work)


def withdraw_goal(db: Database) -> int:
    """Withdraw what `set_goal` promised; returns how many promises that were. A test of it ends."""

    def work(conn: sa.Connection) -> int:
        seq = take_numbers(conn, ANNOTATION, 0) - 1
        return _withdraw(conn, datetime.now(UTC), seq, WITHDRAWN)

    return db.transact(work)


def anew(conn: sa.Connection, goal: NamingGoal, now: datetime) -> int:
    """A row for the same promise, whose looks count from 1: there was none, or what it had promised has ended."""
    c = promise.c
    conn.execute(sa.update(promise).where(c.withdrawn_at.is_(None)).values(withdrawn_at=now))
    return insert_one(
        conn, promise, error=goal.error, named=goal.named, confidence=goal.confidence, user_id=None, created_at=now
    )


def _withdraw(conn: sa.Connection, now: datetime, seq: int, why: str) -> int:
    look = newest_look(conn)
    if look is not None and look.state in ("auditing", "kept"):
        end_look(conn, look.look_id, why, now, seq)
    return conn.execute(sa.update(promise).where(promise.c.withdrawn_at.is_(None)).values(withdrawn_at=now)).rowcount
