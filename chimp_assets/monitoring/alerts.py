"""Alerts: changes that were noticed, once each, and what became of them.

Belongs here: opening an alert, reading alerts, and deciding about one. Does not belong here: finding changes
(`changes`, `facts`, `model_drift`, `annotators`), when an alert closes by itself (`closing`), words (`words`), telling
people.

An alert is open until a person says that it was expected, or until a person or `closing` says that it is resolved; both
are final. Whoever finds the same change again, in whatever state its alert is, opens no second one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.bulk import insert_one
from chimp_assets.database.connection.counters import take_numbers
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.people.users import user_id_of, write_audit_event
from chimp_assets.database.texts import cut_to, fault_of
from chimp_assets.errors import ChimpError

OPEN, EXPECTED, RESOLVED = t.ALERT_STATES
SAME_CHANGE = timedelta(days=28)
"""Estimates of when a change began differ by so much: later blocks move them, and an archive comes in any order."""
PAST = "past"
"""In the detail of an alert about a change that was over before it was noticed: it cannot close by being over."""
WHY_LENGTH = 500
DETAIL_LENGTH = 4000
_TURN = "alert"


class AlertError(ChimpError):
    """An alert is unknown, or has been decided already."""


@dataclass(frozen=True)
class Alert:
    """A row of `drift_alert`.

    camera: empty for all cameras; since, until: the days of the change, until outside, None while it lasts; size: in
    standard deviations between days, of kind `model` and `annotator` in points of accuracy, negative for less; detail:
    `before` and `after` (numbers or texts), `videos` (keys to look at), and what its kind adds.
    """

    alert_id: int
    alert_key: str
    kind: str
    signal: str
    camera: str
    model_id: int | None
    annotator_id: int | None
    since: date
    noticed: date
    until: date | None
    size: float | None
    evidence: float | None
    detail: dict[str, Any]
    state: str
    opened_at: datetime
    decided_at: datetime | None
    decided_by: int | None
    why: str | None


def open_alert(
    conn: sa.Connection,
    *,
    kind: str,
    signal: str,
    camera: str,
    since: date,
    noticed: date,
    until: date | None = None,
    size: float | None = None,
    evidence: float | None = None,
    detail: Mapping[str, Any] | None = None,
    model_id: int | None = None,
    annotator_id: int | None = None,
) -> int | None:
    """Opens an alert inside the caller's write transaction; its key, or None where the change is known, in any state.

    Known is a change of the same kind, signal, camera, model and person that began within SAME_CHANGE of this one, or
    whose alert is open while this one begins; a fact only if it began on the same day, since `facts` knows its values;
    of kind `model` whichever head it was: the next one is often as wrong. Lists in detail are cut until it can be
    stored.
    """
    what = (kind, signal, camera, model_id, annotator_id)
    if _is_known(conn, what, since):
        return None
    take_numbers(conn, _TURN, 0)  # two at once would not see each other
    if _is_known(conn, what, since):
        return None
    return insert_one(
        conn,
        t.drift_alert,
        alert_key=alert_key(kind, signal, camera, since, model_id, annotator_id),
        kind=kind,
        signal=signal,
        camera=camera,
        model_id=model_id,
        annotator_id=annotator_id,
        since=since,
        noticed=noticed,
        until=until,
        size=size,
        evidence=evidence,
        detail=_stored(detail or {}),
        state=OPEN,
        opened_at=datetime.now(UTC),
    )


def open_one(db: Database, **what: Any) -> int | None:
    """`open_alert` in a transaction of its own."""
    return db.transact(lambda conn: open_alert(conn, **what))


def alert_key(
    kind: str, signal: str, camera: str, since: date, model_id: int | None = None, annotator_id: int | None = None
) -> str:
    """The hash of what changed: 64 hexadecimal digits."""
    what = [kind, signal, camera, model_id, annotator_id, since.isoformat()]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()


def _is_known(conn: sa.Connection, what: tuple[str, str, str, int | None, int | None], since: date) -> bool:
    a = t.drift_alert.c
    columns = (a.kind, a.signal, a.camera, a.model_id, a.annotator_id)
    near = sa.and_(a.since >= since - SAME_CHANGE, a.since <= since + SAME_CHANGE)
    lasts = sa.and_(a.state == OPEN, a.since <= since, sa.or_(a.until.is_(None), a.until > since))
    # Not `column == None or value`: a null equals nothing in SQL.
    same = [
        c.is_(None) if value is None else c == value
        for c, value in zip(columns, what, strict=True)
        if not (what[0] == "model" and c is a.model_id)
    ]
    same.append(a.since == since if what[0] == "fact" else sa.or_(near, lasts))
    return conn.execute(sa.select(a.alert_id).where(*same).limit(1)).first() is not None


def alerts(conn: sa.Connection, states: Collection[str] | None = None) -> list[Alert]:
    """Alerts in these states, or all, those that opened last first."""
    return alerts_where(conn, *([] if states is None else [t.drift_alert.c.state.in_(sorted(states))]))


def alerts_where(conn: sa.Connection, *conditions: sa.ColumnElement[bool]) -> list[Alert]:
    """Alerts whose row of `drift_alert` meets these conditions, those that opened last first."""
    query = sa.select(t.drift_alert).where(*conditions).order_by(t.drift_alert.c.alert_id.desc())
    return [_alert_of(row) for row in conn.execute(query)]


def alert(conn: sa.Connection, alert_id: int) -> Alert:
    """One alert. Raises AlertError if there is none of this number."""
    row = conn.execute(sa.select(t.drift_alert).where(t.drift_alert.c.alert_id == alert_id)).first()
    if row is None:
        raise AlertError(f"There is no alert {alert_id}.", "See `chimp drift list`.")
    return _alert_of(row)


def expect(db: Database, alert_id: int, why: str, by: str) -> bool:
    """A person knows why it changed: nothing is asked because of it any more. False if it was expected already.

    Raises AlertError for an unknown or resolved alert or a reason that cannot be stored, PeopleError for an unknown
    user.
    """
    return _decide(db, alert_id, EXPECTED, why, by)


def resolve(db: Database, alert_id: int, why: str, by: str | None = None, until: date | None = None) -> bool:
    """It is over, or the model has learned it; by: None where it closes by itself. False if it was resolved already.

    until: the first day after the change, where it ended. Raises as `expect`.
    """
    return _decide(db, alert_id, RESOLVED, why, by, until)


def note_end(conn: sa.Connection, alert_id: int, until: date) -> bool:
    """The signal was back from this day on, though the alert stays open; False if that is known already."""
    a = t.drift_alert.c
    ending = sa.update(t.drift_alert).where(a.alert_id == alert_id, a.state == OPEN, a.until.is_(None))
    return conn.execute(ending.values(until=until)).rowcount == 1


def _decide(db: Database, alert_id: int, state: str, why: str, by: str | None, until: date | None = None) -> bool:
    why = why.strip()
    if fault := fault_of(why, WHY_LENGTH) or (None if why else "is empty"):
        raise AlertError(f"The reason {fault}.", "Say in a few words what happened.")
    a = t.drift_alert.c

    def work(conn: sa.Connection) -> bool:
        who = None if by is None else user_id_of(conn, by)
        values = {"state": state, "why": why, "decided_at": datetime.now(UTC), "decided_by": who}
        if until is not None:
            values["until"] = sa.func.coalesce(a.until, until)
        deciding = sa.update(t.drift_alert).where(a.alert_id == alert_id, a.state == OPEN)
        if conn.execute(deciding.values(values)).rowcount == 0:
            there = alert(conn, alert_id)
            if there.state != state:
                raise AlertError(f"Alert {alert_id} is {there.state} already: {there.why}", "It is not decided again.")
            return False
        if by is not None:
            action = "drift.expect" if state == EXPECTED else "drift.resolve"
            write_audit_event(conn, action, f"alert {alert_id}", {"why": why}, by)
        return True

    return db.transact(work)


def _alert_of(row: sa.Row[Any]) -> Alert:
    return Alert(**{**row._mapping, "detail": json.loads(row.detail)})


def _stored(detail: Mapping[str, Any]) -> str:
    """The JSON of a detail, its longest lists and texts halved until the column takes it."""
    kept = dict(detail)
    while len(text := json.dumps(kept, sort_keys=True, default=str)) > DETAIL_LENGTH:
        long = {name: value for name, value in kept.items() if isinstance(value, list | str) and len(value) > 1}
        if not long:
            raise ValueError(f"the detail of an alert is longer than {DETAIL_LENGTH} characters: {sorted(kept)}")
        name = max(long, key=lambda one: len(json.dumps(long[one], default=str)))
        value = long[name]
        half = len(value) // 2
        kept[name] = cut_to(value, half) if isinstance(value, str) else value[:half]
    return text
