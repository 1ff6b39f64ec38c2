"""Which work on a bundle is older than its tracks: the moments in `bundle`, `embedding_file` and `bundle_score`.

`changed_at` says when tracks of a bundle last came or went; an embedding file or a score is out of date exactly if its
`created_at` lies before that. Clocks of several processes differ and a transaction commits later than it looked at the
clock, so the moments are made to agree under the lock of the bundle's row: a change is later than all work that could
not see it, and work that saw the last change is not before it.
Belongs here: the moments. Does not belong here: which bundles are due (`work.due`), and the work.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from chimp_assets.database import schema as t

_TICK = timedelta(microseconds=1)


def changed_at(conn: sa.Connection, bundle_id: int) -> datetime | None:
    """When tracks of a bundle last came or went; None while it never had one. Read it in the snapshot of the tracks."""
    return conn.scalar(sa.select(t.bundle.c.changed_at).where(t.bundle.c.bundle_id == bundle_id))


def mark_changed(conn: sa.Connection, bundle_id: int, now: datetime | None = None) -> None:
    """Say that tracks of a bundle came or went. conn: the write transaction in which they do."""
    last = _locked(conn, bundle_id)
    work = [
        conn.scalar(
            sa.select(sa.func.max(table.c.created_at)).where(
                table.c.model_id.in_(sa.select(t.model.c.model_id)), table.c.bundle_id == bundle_id
            )
        )
        for table in (t.embedding_file, t.bundle_score)
    ]
    known = [moment for moment in (last, *work) if moment is not None]
    moment = max([now or datetime.now(UTC), *(before + _TICK for before in known)])
    conn.execute(sa.update(t.bundle).where(t.bundle.c.bundle_id == bundle_id).values(changed_at=moment))


def stamp_of_work(conn: sa.Connection, bundle_id: int, seen: datetime | None, now: datetime | None = None) -> datetime:
    """`created_at` for work on the tracks of a bundle. conn: the write transaction of its row.

    seen: changed_at in the snapshot that was worked on. If the tracks have changed since, the work is out of date from
    its beginning, and its moment says so.
    """
    last = _locked(conn, bundle_id)
    moment = now or datetime.now(UTC)
    if last == seen:
        return moment if last is None else max(moment, last)
    assert last is not None, "changed_at is never taken back"
    return min(moment, last - _TICK)


def _locked(conn: sa.Connection, bundle_id: int) -> datetime | None:
    """changed_at, which nobody else changes until this transaction ends: an update locks on every database."""
    here = t.bundle.c.bundle_id == bundle_id
    conn.execute(sa.update(t.bundle).where(here).values(changed_at=t.bundle.c.changed_at))
    return conn.scalar(sa.select(t.bundle.c.changed_at).where(here))
