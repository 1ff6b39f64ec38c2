"""Looks: each time names were frozen and a fresh sample of them is asked.

Belongs here: rows of `promise_look`, what ends one, and which answers teach nobody while one is open. Does not belong
here: what answers say about draws (`draws`), freezing (`loop.minutes.promises`).

While names are tested nothing changes them: no training starts by itself (`work.due`). A look that is kept stands until
names change: another head is champion, individuals were merged, or the head has scored new tracks.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from chimp_assets.database.individuals.merges import last_merge
from chimp_assets.database.schema import (
    MEASURING_LANES,
    PROMISE,
    acquisition_queue,
    bundle_score,
    individual_merge,
    model,
    promise_draw,
    promise_look,
    training_set,
)

NEW_HEAD, MERGED, NEW_TRACKS, WITHDRAWN = (
    "another head names the archive",
    "individuals were merged or parted",
    "the head has named tracks that were not there",
    "the promise was withdrawn",
)
STALE = "its sample was not answered within"
"""Why a look ended; behind STALE stand the days."""


@dataclass(frozen=True)
class PromiseLook:
    """A look. Columns of `promise_look`."""

    look_id: int
    promise_id: int
    look_no: int
    alpha: float
    head_model_id: int
    threshold: float
    tested_share: float
    named_share: float
    expected_error: float
    n_tracks: int
    n_frames: int
    seed: int
    watermark_seq: int
    merge_watermark: int
    state: str
    n_answered: int
    n_wrong: int
    wealth: float
    error_bound: float | None
    frozen_at: datetime
    decided_at: datetime | None
    ended_at: datetime | None
    end_reason: str | None
    teaches_from_seq: int | None


_COLUMNS = [promise_look.c[name] for name in PromiseLook.__dataclass_fields__]


def newest_look(conn: sa.Connection, promise_id: int | None = None) -> PromiseLook | None:
    """The newest look of a promise, or of all."""
    found = sa.select(*_COLUMNS).order_by(promise_look.c.look_id.desc()).limit(1)
    if promise_id is not None:
        found = found.where(promise_look.c.promise_id == promise_id)
    row = conn.execute(found).first()
    return None if row is None else PromiseLook(*row)


def looks_of(conn: sa.Connection, limit: int = 20) -> list[PromiseLook]:
    """The newest looks of all promises, newest first."""
    found = sa.select(*_COLUMNS).order_by(promise_look.c.look_id.desc()).limit(limit)
    return [PromiseLook(*row) for row in conn.execute(found)]


def open_look(conn: sa.Connection) -> PromiseLook | None:
    """The look whose sample is being asked."""
    row = conn.execute(
        sa.select(*_COLUMNS).where(promise_look.c.state == "auditing").order_by(promise_look.c.look_id.desc()).limit(1)
    ).first()
    return None if row is None else PromiseLook(*row)


def held(conn: sa.Connection, hold_days: float, now: datetime) -> str | None:
    """Why no training may start by itself now; None: it may."""
    look = open_look(conn)
    if look is None or is_stale(look, hold_days, now):
        return None
    return f"names are frozen while a promise about them is tested: {look.n_answered} of the sample are answered"


def is_stale(look: PromiseLook, hold_days: float, now: datetime) -> bool:
    """Whether a look has been open for so long that it ends, so that training goes on."""
    return now - look.frozen_at > timedelta(days=hold_days)


def changes_since(conn: sa.Connection, look: PromiseLook) -> tuple[str, datetime | None] | None:
    """What has changed frozen names since, and when as far as known; None: nothing. As in `v_promise`."""
    champion = conn.scalar(sa.select(model.c.model_id).where(model.c.task == "head", model.c.state == "champion"))
    if champion != look.head_model_id:
        return NEW_HEAD, None
    if last_merge(conn) > look.merge_watermark:
        m = individual_merge.c
        return MERGED, conn.scalar(sa.select(sa.func.min(m.at)).where(m.merge_id > look.merge_watermark))
    s = bundle_score.c
    scored = conn.scalar(
        sa.select(sa.func.min(s.created_at)).where(
            s.model_id == look.head_model_id, s.created_at > look.frozen_at, s.n_tracks > 0
        )
    )
    return None if scored is None else (NEW_TRACKS, scored)


def end_look(conn: sa.Connection, look_id: int, why: str, at: datetime, seq: int) -> None:
    """A look is over, and its answers teach. seq: the number of the newest label event. Its waiting questions are
    withdrawn."""
    conn.execute(
        sa.update(promise_look)
        .where(promise_look.c.look_id == look_id)
        .values(state="ended", ended_at=at, end_reason=why[:500], teaches_from_seq=teaches_from(conn, seq))
    )
    withdraw_questions(conn)


def withdraw_questions(conn: sa.Connection) -> None:
    """Nobody is asked any more about draws that wait; what somebody holds stays with her."""
    q = acquisition_queue
    conn.execute(sa.update(q).where(q.c.lane == PROMISE, q.c.state == "pending").values(state="withdrawn"))


def teaches_from(conn: sa.Connection, seq: int) -> int:
    """The first watermark of labels at which answers teach that may teach from now on, the newest label being seq: that
    one, unless a training set was made of it already, which must be rebuilt as it was."""
    used = conn.scalar(sa.select(sa.func.max(training_set.c.watermark_seq)))
    return seq + 1 if used is not None and used >= seq else seq


def holds_back(
    track_id: sa.ColumnElement[int], seq: sa.ColumnElement[int], watermark_seq: int | None
) -> sa.ColumnElement[bool]:
    """Whether an answer about a track, given at seq in the lane of promises, teaches nobody, as of a watermark (None:
    now): a look that drew the track before was neither failed nor over."""
    d, look = promise_draw.alias("drawn"), promise_look.alias("look")
    open_then: Any = look.c.teaches_from_seq.is_(None)
    if watermark_seq is not None:
        open_then = sa.or_(open_then, look.c.teaches_from_seq > watermark_seq)
    return (
        sa.exists()
        .select_from(d.join(look, look.c.look_id == d.c.look_id))
        .where(d.c.track_id == track_id, look.c.watermark_seq < seq, open_then)
    )


def measures_only(annotation: Any, watermark_seq: int | None = None) -> sa.ColumnElement[bool]:
    """Whether an answer only measures, as of a watermark: one of the audit, or of a promise that is being tested or
    stands. annotation: columns lane, track_id and seq."""
    return sa.or_(
        annotation.lane.in_(MEASURING_LANES),
        sa.and_(annotation.lane == PROMISE, holds_back(annotation.track_id, annotation.seq, watermark_seq)),
    )


def now_utc() -> datetime:
    """The moment that rows of looks get."""
    return datetime.now(UTC)
