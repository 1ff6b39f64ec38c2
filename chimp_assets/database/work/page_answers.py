"""What becomes of a page of many tracks: its answer is stored as a whole or not at all, and taken back as a whole.

What stays on the page is named (`identify`), what was taken out is surely not the individual (`not_individual`), and
the seconds of the page are shared among all of these, so that they add up. Where a hidden look-alike was missed, no
names are stored: the page keeps the miss and the seconds.

Belongs here: storing and taking back the answer to a page. Does not belong here: leases (`pages`), what events do
(`database.labels`), judging the look-alikes (`web.labelling.plants`).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.counters import take_numbers
from chimp_assets.database.labels.events import COUNTER, LabelEvent, record_in

_P, _M = t.grid_page.c, t.grid_member.c


@dataclass(frozen=True)
class PageAnswer:
    """What a person said about a page. answer_id: a UUID made by the device; marked: tracks taken out, hidden
    look-alikes among them; seconds: of the whole page; how: key, touch or mouse; version: of the screen."""

    answer_id: str
    shown_id: str
    marked: frozenset[int]
    seconds: float | None = None
    how: str | None = None
    version: str | None = None
    client_time: datetime | None = None


@dataclass(frozen=True)
class PageResult:
    """What became of it. missed: hidden look-alikes that stayed on the page, so that nothing was named; named,
    taken_out: how many tracks; reason: why it was rejected, for its author."""

    status: Literal["stored", "duplicate", "rejected"]
    missed: tuple[int, ...] = ()
    named: int = 0
    taken_out: int = 0
    reason: str | None = None


class PageRefusal(Exception):
    """Leaves the transaction, so that nothing of the answer is stored."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def page_shown(conn: sa.Connection, user_id: int, shown_id: str) -> Any:
    """The row of a page that was given to a user; None if it was not."""
    return conn.execute(
        sa.select(t.grid_page, t.individual.c.anim_id)
        .join_from(t.grid_page, t.individual, t.individual.c.individual_id == _P.individual_id)
        .where(_P.shown_id == shown_id, _P.leased_by == user_id)
    ).first()


def answer_page(
    conn: sa.Connection, user_id: int, user: str, said: PageAnswer, missed: Collection[int], now: datetime
) -> PageResult:
    """Store the answer to a page. conn: inside a write transaction. The same answer again changes nothing.

    missed: the hidden look-alikes that were not taken out. Raises PageRefusal where an event of it cannot be stored;
    the transaction must then be rolled back.
    """
    take_numbers(conn, COUNTER, 0)  # the same answer, sent twice at once, waits here
    page = page_shown(conn, user_id, said.shown_id)
    if page is None:
        raise PageRefusal("this page was not given to you")
    members = _members(conn, page.page_id)
    taken_out = [row.track_id for row in members if row.track_id in said.marked]
    done = PageResult("stored", (), len(members) - len(taken_out), len(taken_out))
    if page.n_missed:
        return PageResult("duplicate", tuple(missed))
    if _known(conn, [event_id(said.answer_id, row.track_id) for row in members]):
        return replace(done, status="duplicate")
    if page.state == "answered":
        raise PageRefusal("this page is answered already: take that answer back first")
    kept = {"state": "answered", "seconds": said.seconds, "answered_at": now, "n_taken_out": len(taken_out)}
    if missed:
        _change(conn, page.page_id, **kept, n_missed=len(missed))
        return PageResult("stored", tuple(missed))
    share = None if said.seconds is None else said.seconds / len(members)
    for result in record_in(conn, [_event(page, row, said, user, share) for row in members]):
        if result.status == "rejected":
            raise PageRefusal(result.reason or "an answer of this page cannot be stored")
    _change(conn, page.page_id, **kept, n_missed=0, answer_id=said.answer_id)
    for out in (True, False):
        which = _M.track_id.in_(taken_out) if out else _M.track_id.not_in(taken_out)
        conn.execute(sa.update(t.grid_member).where(_M.page_id == page.page_id, which).values(taken_out=out))
    return done


def close_checked(
    conn: sa.Connection, user_id: int, shown_id: str, marked: Collection[int], missed: Collection[int], now: datetime
) -> None:
    """A page whose look-alikes were judged alone, by a screen of an earlier version: it is answered, and its names come
    as single events. The first judgement counts. conn: inside a write transaction."""
    page = page_shown(conn, user_id, shown_id)
    if page is None or page.state == "answered":
        return
    n = sum(row.track_id in marked for row in _members(conn, page.page_id))
    _change(conn, page.page_id, state="answered", answered_at=now, n_taken_out=n, n_missed=len(missed))


def take_back_page(
    conn: sa.Connection, user_id: int, user: str, shown_id: str, answer_id: str, undo_id: str, until: datetime
) -> PageResult:
    """Take back all events of an answer to a page, which is then the user's again until `until`. conn: inside a write
    transaction. Raises PageRefusal where there is no such answer; taken back twice changes nothing."""
    take_numbers(conn, COUNTER, 0)
    page = page_shown(conn, user_id, shown_id)
    if page is None:
        raise PageRefusal("this page was not given to you")
    a, back = t.annotation.c, t.annotation.alias("back")
    ids = [event_id(answer_id, row.track_id) for row in _members(conn, page.page_id)]
    undone = sa.exists().where(back.c.kind == "retract", back.c.supersedes == a.annotation_id)
    stored = conn.execute(
        sa.select(a.annotation_id, undone.label("undone")).where(a.annotation_id.in_(ids)).order_by(a.seq.desc())
    ).all()
    if not stored:
        raise PageRefusal("there is no such answer to take back")
    standing = [row.annotation_id for row in stored if not row.undone]
    events = [
        LabelEvent(str(uuid.uuid5(uuid.UUID(undo_id), one)), "retract", user, lane=t.GRID, supersedes=one)
        for one in standing
    ]
    for result in record_in(conn, events):
        if result.status == "rejected":
            raise PageRefusal(result.reason or "an answer of this page cannot be taken back")
    if page.answer_id == answer_id:
        again = {"state": "leased", "leased_until": until, "answer_id": None, "answered_at": None}
        _change(conn, page.page_id, **again, seconds=None, n_taken_out=None, n_missed=None)
        conn.execute(sa.update(t.grid_member).where(_M.page_id == page.page_id).values(taken_out=None))
    return PageResult("stored" if standing else "duplicate")


def last_answer(conn: sa.Connection, user_id: int) -> dict[str, Any] | None:
    """The newest answer of a user to a page that could be taken back: page and answer by their ids, the individual, how
    many tracks it named."""
    i = t.individual.c
    row = conn.execute(
        sa.select(_P.page_id, _P.shown_id, _P.answer_id, _P.n_taken_out, _P.answered_at, i.anim_id, i.name)
        .join_from(t.grid_page, t.individual, i.individual_id == _P.individual_id)
        .where(_P.state == "answered", _P.leased_by == user_id, _P.answer_id.is_not(None))
        .order_by(_P.answered_at.desc(), _P.page_id.desc())
        .limit(1)
    ).first()
    if row is None:
        return None
    n = conn.scalar(sa.select(sa.func.count()).select_from(t.grid_member).where(_M.page_id == row.page_id)) or 0
    return {
        "page_id": row.shown_id,
        "answer_id": row.answer_id,
        "anim_id": row.anim_id,
        "name": row.name,
        "named": int(n) - int(row.n_taken_out or 0),
        "answered_at": row.answered_at,
    }


def _members(conn: sa.Connection, page_id: int) -> list[Any]:
    columns = (_M.track_id, _M.probability)
    return list(conn.execute(sa.select(*columns).where(_M.page_id == page_id).order_by(_M.position)))


def _change(conn: sa.Connection, page_id: int, **values: Any) -> None:
    conn.execute(sa.update(t.grid_page).where(_P.page_id == page_id).values(**values))


def event_id(answer_id: str, track_id: int) -> str:
    """The id of the event about one track in an answer about many: the same for an answer that is sent again."""
    return str(uuid.uuid5(uuid.UUID(answer_id), str(track_id)))


def _known(conn: sa.Connection, ids: list[str]) -> bool:
    a = t.annotation.c
    return conn.scalar(sa.select(sa.func.count()).select_from(t.annotation).where(a.annotation_id.in_(ids))) != 0


def _event(page: Any, member: Any, said: PageAnswer, user: str, share: float | None) -> LabelEvent:
    shown = {
        "mode": "grid",
        "model_id": page.head_model_id,
        "page_id": said.shown_id,
        "candidates": [[page.anim_id, round(float(member.probability), 4)]],
        "input": said.how,
        "ui": said.version,
        "schema": 1,
    }
    return LabelEvent(
        event_id(said.answer_id, member.track_id),
        "not_individual" if member.track_id in said.marked else "identify",
        user,
        lane=t.GRID,
        propensity=float(page.propensity),
        track_id=member.track_id,
        anim_id=page.anim_id,
        shown=json.dumps(shown, separators=(",", ":"), ensure_ascii=False),
        seconds=share,
        client_time=said.client_time,
    )
