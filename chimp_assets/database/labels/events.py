"""Label events: the append-only record of what people decided.

Belongs here: storing and numbering events in one transaction, and the number of the newest. Does not belong here: the
rules (`judgement`), which answer stands (`answers`), what happens to queue items (`items`) and to tracks that are split
or merged (`rewriting.cutting`), files (`label_files`).

An event is never changed or removed. The client makes its id, so an event that is sent twice is stored once. It is
rejected only if it states something that cannot be true, with a sentence for its author.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.database.connection.counters import ANNOTATION, take_numbers
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.labels.answers import touched_tracks
from chimp_assets.database.labels.evidence import keep_evidence
from chimp_assets.database.labels.facts import BatchFacts
from chimp_assets.database.labels.judgement import judge
from chimp_assets.database.labels.kinds import EVIDENCE_KINDS
from chimp_assets.database.labels.label_event import EventResult, LabelEvent, Rejection
from chimp_assets.database.labels.promises.draws import keep_draws
from chimp_assets.database.labels.rewriting.cutting import REWRITING_KINDS, TrackRewriting
from chimp_assets.database.labels.rewriting.heirs import keep_following
from chimp_assets.database.schema import annotation

__all__ = [
    "AHEAD",
    "COUNTER",
    "EARLIEST",
    "LONGEST_S",
    "EventResult",
    "LabelEvent",
    "last_seq",
    "record_events",
    "record_in",
]

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
AHEAD = timedelta(days=4383)
"""Twelve years. A device's clock is kept as it is within these bounds: an empty battery sets it years off, and nothing
depends on it. Beyond them it was no clock."""
LONGEST_S = 3600.0
"""Who looks at one track for longer went away from the screen."""
COUNTER = ANNOTATION


class _NothingStored(Exception):
    """Leaves the transaction, so that it is rolled back."""

    def __init__(self, results: list[EventResult]) -> None:
        super().__init__()
        self.results = results


def record_events(db: Database, events: Sequence[LabelEvent], all_or_nothing: bool = False) -> list[EventResult]:
    """Store events in one transaction, in their order; returns one result for each, in the same order.

    `seq` is taken inside the transaction, gapless and in commit order. An event whose id is known is `duplicate` if it
    decides the same, else `rejected` ("id_reused: ..."). Answers mark the item that asked and the waiting items of
    their track, or of their pair, `answered`, a skip `skipped`; a retraction reopens them if no other answer stands.
    Waiting pairs of a track that is answered, but for `unknown`, are `withdrawn`: a name says more than a pair could.
    A split or a merge rewrites the tracks it names, and its retraction undoes that (`rewriting.cutting`).
    all_or_nothing: one rejected event keeps the new ones of the batch from being stored.
    """

    def work(conn: sa.Connection) -> list[EventResult]:
        results = record_in(conn, events)
        if all_or_nothing and any(result.status == "rejected" for result in results):
            raise _NothingStored(results)
        return results

    try:
        return db.transact(work)
    except _NothingStored as left:
        reason = "another event of the same batch was rejected"
        return [
            EventResult(result.annotation_id, "rejected", None, reason) if result.status == "stored" else result
            for result in left.results
        ]


def record_in(conn: sa.Connection, events: Sequence[LabelEvent]) -> list[EventResult]:
    """`record_events` inside the caller's write transaction, for those who store many batches or none."""
    next_seq = take_numbers(conn, COUNTER, 0)  # from here on no other transaction stores events
    facts = BatchFacts.of(conn, events)
    batch = _StoredBatch(conn, facts)
    results: list[EventResult] = []
    for event in events:
        try:
            row, earlier_seq = judge(conn, event, facts)
        except Rejection as rejection:
            results.append(EventResult(event.annotation_id, "rejected", None, str(rejection), rejection.field))
            continue
        if row is None:
            results.append(EventResult(event.annotation_id, "duplicate", earlier_seq))
            continue
        row["seq"] = next_seq + batch.n
        facts.learn(row)
        batch.add(row)
        results.append(EventResult(event.annotation_id, "stored", row["seq"]))
    batch.finish()
    return results


class _StoredBatch:
    """The accepted events of one batch on their way into the database. Later events of a batch may be about tracks that
    an earlier one makes, so whatever is waiting is stored before tracks are rewritten."""

    def __init__(self, conn: sa.Connection, facts: BatchFacts) -> None:
        self._conn = conn
        self._facts = facts
        self._rows: list[dict[str, Any]] = []
        self._rewriting = TrackRewriting()
        self._touched: set[int] = set()
        self._last_seq = 0
        self.n = 0

    def add(self, row: dict[str, Any]) -> None:
        """Takes a row that was judged and numbered."""
        self._rows.append(row)
        self.n += 1
        target = self._facts.known[row["supersedes"]] if row["kind"] == "retract" else None
        if (target or row)["kind"] in REWRITING_KINDS:
            self._store()
            self._rewriting.apply(self._conn, row, target)
            self._facts.tracks |= self._rewriting.born

    def _store(self) -> None:
        rows, self._rows = self._rows, []
        if not rows:
            return
        take_numbers(self._conn, COUNTER, len(rows))
        insert_rows(
            self._conn, annotation, {column.name: [row[column.name] for row in rows] for column in annotation.c}
        )
        self._last_seq = rows[-1]["seq"]
        touched = touched_tracks(self._conn, rows)
        self._touched |= touched | {row["track_id"] for row in rows if row["kind"] in REWRITING_KINDS}
        self._rewriting.gone |= keep_following(self._conn, touched, self._last_seq)
        about = (self._facts.known[row["supersedes"]] if row["kind"] == "retract" else row for row in rows)
        keep_evidence(self._conn, {row["track_id"] for row in about if row["kind"] in EVIDENCE_KINDS})

    def finish(self) -> None:
        """Stores the rest, and what the events do to the queue."""
        self._store()
        if self.n:
            self._facts.items.store(self._conn)
            self._rewriting.ask(self._conn)
            keep_draws(self._conn, self._touched, self._last_seq)


def last_seq(conn: sa.Connection) -> int:
    """The number of the newest event; 0 if there is none. Who has read up to it has read all before it."""
    return int(conn.execute(sa.select(sa.func.coalesce(sa.func.max(annotation.c.seq), 0))).scalar_one())
