"""The queue of questions: writing a round of a plan, claiming items and giving them back.

Belongs here: rows of `acquisition_round` and `acquisition_queue` and their leases. Does not belong here: what is worth
asking (`acquisition`, `planning`) and what an answer does to its item (`events`).

A lease keeps two people from doing the same work; a late answer is never refused. Most items ask who a track is.
Those of the lane `pairs` ask whether two tracks show one animal, which needs no names; those of `disputed` show people
who may correct answers what cannot all be true: a pair, or one track and its name; those of `is_it` ask whether a track
shows one individual, of several people one after the other (`ballots`). These go only to who asks for them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from chimp_assets.database.connection.bulk import insert_one, insert_rows
from chimp_assets.database.connection.counters import take_numbers
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.connection.parameters import in_parts
from chimp_assets.database.labels.is_it.ballots import may_be_given
from chimp_assets.database.people.leases import give_back
from chimp_assets.database.people.users import user_id_of
from chimp_assets.database.schema import (
    CORRECTING_ROLES,
    DISPUTED,
    IS_IT,
    LANES,
    PAIRS,
    SIDE_LANES,
    acquisition_queue,
    acquisition_round,
    app_user,
)
from chimp_assets.database.work.pages import PageOfMany, write_pages

MAX_CLAIM = 1_000
REASON_LENGTH = 500
_Q = acquisition_queue.c


@dataclass(frozen=True)
class QueueItem:
    """One question that was claimed: which track, why, in which lane, with which chance of having been asked.

    other_track_id: of a pair, the track that may show the same animal; individual_id: is it this one? Both None: who is
    it? fresh: this claim leased it, and the user did not hold it before.
    """

    item_id: int
    round_id: int
    track_id: int
    lane: str
    position: int
    propensity: float
    reason: str
    other_track_id: int | None = None
    individual_id: int | None = None
    fresh: bool = field(default=False, compare=False)


def write_round(
    db: Database,
    *,
    policy: str,
    seed: int,
    embedder_model_id: int,
    head_model_id: int | None = None,
    watermark_seq: int,
    n_pool: int,
    track_ids: NDArray[np.int64] | Sequence[int],
    lanes: Sequence[str],
    propensity: NDArray[np.float64] | Sequence[float],
    reasons: Sequence[str],
    other_track_ids: Sequence[int | None] | None = None,
    individual_ids: Sequence[int | None] | None = None,
    pages: Sequence[PageOfMany] = (),
) -> int:
    """Store a plan and make it the one that is asked; returns the round_id. One transaction.

    Items and pages that wait in earlier rounds, or whose lease has run out, are withdrawn; leased ones stay with their
    people.
    policy: JSON; track_ids: i64 [b]; lanes: of LANES; propensity: f64 [b] in (0, 1]; reasons are cut at 500
    characters; other_track_ids: the second track of each pair, None elsewhere; individual_ids: of the lane is_it, whom
    the track may show, None elsewhere; pages: of many tracks, the best first. A track is asked once, alone or on a
    page, and so is a pair. Raises ValueError when these do not fit together.
    """
    n = len(track_ids)
    others = [None] * n if other_track_ids is None else [None if i is None else int(i) for i in other_track_ids]
    names = [None] * n if individual_ids is None else [None if i is None else int(i) for i in individual_ids]
    unknown = set(lanes) - set(LANES)
    if unknown or not len(lanes) == len(propensity) == len(reasons) == len(others) == len(names) == n:
        raise ValueError(f"a plan of {n} tracks with {len(lanes)} lanes (unknown: {sorted(unknown)}), ...")
    subjects = [frozenset({i, i if j is None else j}) for i, j in zip(_integers(track_ids), others, strict=True)]
    if len(set(subjects)) != n:
        raise ValueError("a plan asks about a track once, and about two different tracks once")
    alone = {i for i, lane in zip(_integers(track_ids), lanes, strict=True) if lane not in (PAIRS, DISPUTED)}
    if any(track_id in alone for page in pages for track_id in page.track_ids):
        raise ValueError("a plan asks about a track once: alone, or on a page")
    if any((lane == PAIRS and other is None) or (lane not in SIDE_LANES and other is not None)
           for lane, other in zip(lanes, others, strict=True)):  # fmt: skip
        raise ValueError(f"the lane {PAIRS} asks about two tracks, others but {DISPUTED} about one")
    if any((lane == IS_IT) != (name is not None) for lane, name in zip(lanes, names, strict=True)):
        raise ValueError(f"the lane {IS_IT}, and no other, asks about one individual")

    def work(conn: sa.Connection) -> int:
        take_numbers(conn, "acquisition_round", 1)  # two plans at once take turns, or both would be asked
        now = datetime.now(UTC)
        conn.execute(
            sa.update(acquisition_queue)
            .where(_is_free(now))
            .values(state="withdrawn", leased_by=None, leased_until=None)
        )
        round_id = insert_one(
            conn,
            acquisition_round,
            policy=policy,
            seed=seed,
            embedder_model_id=embedder_model_id,
            head_model_id=head_model_id,
            watermark_seq=watermark_seq,
            n_pool=n_pool,
            created_at=now,
        )
        insert_rows(
            conn,
            acquisition_queue,
            {
                "round_id": [round_id] * n,
                "track_id": track_ids,
                "other_track_id": others,
                "individual_id": names,
                "lane": lanes,
                "position": list(range(n)),
                "propensity": propensity,
                "reason": [reason[:REASON_LENGTH] for reason in reasons],
                "state": ["pending"] * n,
            },
        )
        write_pages(conn, round_id, head_model_id, pages, now)
        return round_id

    return db.transact(work)


def claim(
    db: Database,
    user: str,
    n: int,
    lease_minutes: float,
    lanes: Collection[str] | None = None,
    exclude: Collection[int] = (),
) -> list[QueueItem]:
    """Lease up to n items to a user, in the order of the plan, the newest round first.

    The user's own unanswered items come first, unless they are in `exclude` (on the screen or in the outbox already):
    so a claim whose answer was lost, or a page that was reloaded, gets the same items. All leases of the user that
    are returned or excluded run `lease_minutes` from now. Items whose lease has run out are free. No item is given to
    two people at once, and no "is this X?" to somebody who answered or skipped it.
    lanes: only these; None: all that ask for names, so neither pairs nor "is this X?" nor what is disputed, which goes
    to nobody who may not correct others. Raises PeopleError for an unknown or disabled user.
    """
    if not 1 <= n <= MAX_CLAIM:
        raise ValueError(f"n is {n}, not 1 to {MAX_CLAIM}")

    def work(conn: sa.Connection) -> list[QueueItem]:
        user_id = user_id_of(conn, user)
        now = datetime.now(UTC)
        until = now + timedelta(minutes=lease_minutes)
        mine = _may_have(conn, user_id, lanes)
        is_mine = sa.and_(_Q.state == "leased", _Q.leased_by == user_id, *_of_this_person(user_id, mine))
        held = set(_first(conn, is_mine, mine, MAX_CLAIM))
        wanted = sorted(held - set(exclude))[:n]
        for part in in_parts(sorted(set(wanted) | (held & set(exclude)))):
            conn.execute(
                sa.update(acquisition_queue)
                .where(_Q.item_id.in_(part), _Q.state == "leased", _Q.leased_by == user_id)
                .values(leased_until=until)
            )
        while len(wanted) < n and (free := _first_free(conn, now, mine, n - len(wanted), user_id)):
            wanted += _lease(conn, free, user_id, now, until)
        items = _leased_items(conn, user_id, wanted)
        return [replace(item, fresh=item.item_id not in held) for item in items]

    return db.transact(work)


def release(db: Database, user: str) -> int:
    """Give back all items leased to a user; returns how many. Raises PeopleError for an unknown user."""

    def work(conn: sa.Connection) -> int:
        user_id = user_id_of(conn, user, even_disabled=True)
        return give_back(conn, user_id)

    return db.transact(work)


def pending_count(conn: sa.Connection, lanes: Collection[str] | None = None, user_id: int | None = None) -> int:
    """Items that anybody could claim now: waiting, or with a lease that has run out. lanes: as in `claim`; user_id:
    only those that this person could.
    """
    waiting = sa.and_(_is_free(datetime.now(UTC)), in_lanes(lanes))
    if user_id is not None:
        waiting = sa.and_(waiting, *_of_this_person(user_id, lanes))
    return int(conn.execute(sa.select(sa.func.count()).select_from(acquisition_queue).where(waiting)).scalar_one())


def in_lanes(lanes: Collection[str] | None) -> sa.ColumnElement[bool]:
    """Items of these lanes; None: of all that ask for names."""
    return _Q.lane.not_in(SIDE_LANES) if lanes is None else _Q.lane.in_(sorted(lanes))


def _may_have(conn: sa.Connection, user_id: int, lanes: Collection[str] | None) -> Collection[str] | None:
    if lanes is None or DISPUTED not in lanes:
        return lanes
    role = conn.scalar(sa.select(app_user.c.role).where(app_user.c.user_id == user_id))
    return lanes if role in CORRECTING_ROLES else set(lanes) - {DISPUTED}


def _is_free(now: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(_Q.state == "pending", sa.and_(_Q.state == "leased", _Q.leased_until < now))


def _first_free(conn: sa.Connection, now: datetime, lanes: Collection[str] | None, n: int, user_id: int) -> list[int]:
    """item_id of the first n that are free, without a lock: somebody else may be about to lease them."""
    mine = _of_this_person(user_id, lanes)
    # Two halves: each is answered by an index in the order of the plan, a condition with OR by reading them all.
    kinds = {"pending": _Q.state == "pending", "ended": sa.and_(_Q.state == "leased", _Q.leased_until < now)}
    halves = [
        sa.select(_Q.item_id, _Q.round_id, _Q.position)
        .where(which, in_lanes(lanes), *mine)
        .order_by(_Q.round_id.desc(), _Q.position)
        .limit(n)
        .subquery(name)
        for name, which in kinds.items()
    ]
    rows = conn.execute(sa.union_all(*(sa.select(half) for half in halves))).all()
    return [row.item_id for row in sorted(rows, key=lambda row: (-row.round_id, row.position))[:n]]


def _of_this_person(user_id: int, lanes: Collection[str] | None) -> list[sa.ColumnElement[bool]]:
    return [may_be_given(user_id)] if lanes is not None and IS_IT in lanes else []


def _first(conn: sa.Connection, which: sa.ColumnElement[bool], lanes: Collection[str] | None, n: int) -> list[int]:
    order = (_Q.round_id.desc(), _Q.position)
    return list(conn.scalars(sa.select(_Q.item_id).where(which, in_lanes(lanes)).order_by(*order).limit(n)))


def _lease(conn: sa.Connection, item_ids: list[int], user_id: int, now: datetime, until: datetime) -> list[int]:
    """Lease those of the items that are still free; returns them. Waits for others who lease the same ones.

    Whoever comes second finds them leased and asks for the next: passing over what others hold (SKIP LOCKED, READPAST)
    left all but one of them with nothing where the database locks what it reads while it sorts.
    """
    mine = sa.and_(_Q.state == "leased", _Q.leased_by == user_id, _Q.leased_until == until)
    got: list[int] = []
    for part in in_parts(sorted(item_ids)):  # in one order: two who lease the same ones do not wait for each other
        leased = conn.execute(
            sa.update(acquisition_queue)
            .where(_Q.item_id.in_(part), _is_free(now))
            .values(state="leased", leased_by=user_id, leased_until=until)
        ).rowcount
        if leased == len(part):
            got += part
        else:
            got += conn.scalars(sa.select(_Q.item_id).where(_Q.item_id.in_(part), mine)).all()
    return got


def _leased_items(conn: sa.Connection, user_id: int, item_ids: list[int]) -> list[QueueItem]:
    """Those of the items that are now this user's, in the order of the plan."""
    columns = (_Q.item_id, _Q.round_id, _Q.track_id, _Q.lane, _Q.position, _Q.propensity, _Q.reason,
               _Q.other_track_id, _Q.individual_id)  # fmt: skip
    items = [
        QueueItem(*row)
        for part in in_parts(item_ids)
        for row in conn.execute(
            sa.select(*columns).where(_Q.item_id.in_(part), _Q.state == "leased", _Q.leased_by == user_id)
        )
    ]
    return sorted(items, key=lambda item: (-item.round_id, item.position))


def _integers(values: NDArray[np.int64] | Sequence[int]) -> list[int]:
    found: list[int] = np.asarray(values, dtype=np.int64).tolist()
    return found
