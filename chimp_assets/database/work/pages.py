"""Pages on which many tracks of one individual are confirmed at once: planned items, as questions are.

A page belongs to who got it first: a reload gives the same one, and a late answer finds it even where a newer plan has
withdrawn it. Whoever gets it after its lease has run out gets a copy, so that both may answer.

Belongs here: rows of `grid_page` and `grid_member`, their leases. Does not belong here: which pages are worth asking
(`acquisition.minutes.pages`), what an answer stores (`page_answers`), the hidden look-alikes (`web.labelling.plants`).
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from chimp_assets.database.connection.bulk import insert_one, insert_rows
from chimp_assets.database.connection.parameters import rows_in_parts
from chimp_assets.database.schema import grid_member, grid_page, standing_answer, track, track_evidence

REASON_LENGTH = 500
LEAST_LEFT = 6
"""A page on which fewer tracks are still unnamed is not asked: they are asked one by one."""
_P, _M = grid_page.c, grid_member.c


@dataclass(frozen=True)
class PageOfMany:
    """A page of a plan: the tracks in their order, the calibrated chance of each to show the individual, the reason in
    words, and the chance that the plan offered it."""

    individual_id: int
    track_ids: Sequence[int]
    probabilities: Sequence[float]
    reason: str
    propensity: float = 1.0


@dataclass(frozen=True)
class LeasedPage:
    """A page that somebody has. shown_id: by which the screen and the hidden look-alikes call it; round_id: None where
    the person asked for it."""

    page_id: int
    shown_id: str
    round_id: int | None
    individual_id: int
    head_model_id: int
    reason: str
    propensity: float
    track_ids: tuple[int, ...]
    probabilities: tuple[float, ...]


def write_pages(
    conn: sa.Connection, round_id: int, head_model_id: int | None, pages: Sequence[PageOfMany], now: datetime
) -> None:
    """Store the pages of a round, and withdraw those of earlier ones that wait or whose lease has run out. conn: inside
    the transaction that writes the round. Raises ValueError for pages without a head, or with a track twice."""
    tracks = [track_id for page in pages for track_id in page.track_ids]
    if len(set(tracks)) != len(tracks):
        raise ValueError("a plan asks about a track once, and so do its pages")
    if pages and head_model_id is None:
        raise ValueError("pages need the head that names their tracks")
    conn.execute(sa.update(grid_page).where(_is_free(now)).values(state="withdrawn"))
    for position, page in enumerate(pages):
        _insert(
            conn, page, now, round_id=round_id, head_model_id=head_model_id, position=position, state="pending"
        )  # fmt: skip


def claim_page(
    conn: sa.Connection,
    user_id: int,
    now: datetime,
    until: datetime,
    individual_id: int | None = None,
    on_demand: bool = False,
) -> LeasedPage | None:
    """The page that a user holds, else the first free one of the newest plan, leased to the user until `until`; None
    if there is none. conn: inside a write transaction.

    individual_id: of this one only; on_demand: the user may hold it because of having asked for it.
    """
    these = [] if individual_id is None else [_P.individual_id == individual_id]
    if not on_demand:
        these.append(_P.round_id.is_not(None))
    mine = conn.scalar(
        sa.select(_P.page_id)
        .where(_P.state == "leased", _P.leased_by == user_id, *these)
        .order_by(_P.page_id.desc())
        .limit(1)
    )
    if mine is not None:
        conn.execute(sa.update(grid_page).where(_P.page_id == mine).values(leased_until=until))
        return page_of(conn, mine)
    free = sa.select(_P.page_id, _P.leased_by).where(_is_free(now), _P.round_id.is_not(None), *these)
    while (row := conn.execute(free.order_by(_P.round_id.desc(), _P.position).limit(1)).first()) is not None:
        planned = page_of(conn, row.page_id)
        open_ids = _still_open(conn, planned)
        if row.leased_by is None and len(open_ids) == len(planned.track_ids):
            got = _move(conn, row.page_id, now, state="leased", leased_by=user_id, leased_until=until,
                        shown_id=str(uuid.uuid4()))  # fmt: skip
            if got:
                return page_of(conn, row.page_id)
            continue
        # Tracks that were named meanwhile are left out, and who had the page before may still answer it as it was.
        if _move(conn, row.page_id, now, state="withdrawn") and len(open_ids) >= LEAST_LEFT:
            return page_of(conn, _copy(conn, planned, open_ids, user_id, now, until))
    return None


def lease_on_demand(
    conn: sa.Connection, user_id: int, page: PageOfMany, head_model_id: int, now: datetime, until: datetime
) -> LeasedPage:
    """A page that a person asked for, leased to that person. conn: inside a write transaction."""
    page_id = _insert(
        conn, page, now, round_id=None, head_model_id=head_model_id, position=0, state="leased",
        leased_by=user_id, leased_until=until, shown_id=str(uuid.uuid4()),
    )  # fmt: skip
    return page_of(conn, page_id)


def page_of(conn: sa.Connection, page_id: int) -> LeasedPage:
    """A page by its number. Raises sqlalchemy.exc.NoResultFound if there is none."""
    p = conn.execute(sa.select(grid_page).where(_P.page_id == page_id)).one()
    members = conn.execute(
        sa.select(_M.track_id, _M.probability).where(_M.page_id == page_id).order_by(_M.position)
    ).all()
    return LeasedPage(
        p.page_id,
        p.shown_id or "",
        p.round_id,
        p.individual_id,
        p.head_model_id,
        p.reason,
        float(p.propensity),
        tuple(row.track_id for row in members),
        tuple(float(row.probability) for row in members),
    )


def waiting_pages(conn: sa.Connection, now: datetime) -> int:
    """Pages of plans that anybody could have now."""
    free = sa.select(sa.func.count()).select_from(grid_page).where(_is_free(now), _P.round_id.is_not(None))
    return int(conn.scalar(free) or 0)


def tracks_of_leased_pages(now: datetime) -> sa.Select[tuple[int]]:
    """The tracks that are on somebody's page now."""
    held = sa.and_(_P.state == "leased", _P.leased_until >= now)
    return sa.select(_M.track_id).join_from(grid_member, grid_page, _P.page_id == _M.page_id).where(held).distinct()


def _insert(conn: sa.Connection, page: PageOfMany, now: datetime, **values: object) -> int:
    page_id = insert_one(
        conn,
        grid_page,
        individual_id=int(page.individual_id),
        propensity=float(page.propensity),
        reason=page.reason[:REASON_LENGTH],
        created_at=now,
        **values,
    )
    n = len(page.track_ids)
    insert_rows(
        conn,
        grid_member,
        {
            "page_id": [page_id] * n,
            "track_id": [int(track_id) for track_id in page.track_ids],
            "position": list(range(n)),
            "probability": [min(1.0, max(0.0, float(share))) for share in page.probabilities],
        },
    )
    return page_id


def _copy(
    conn: sa.Connection, page: LeasedPage, track_ids: Sequence[int], user_id: int, now: datetime, until: datetime
) -> int:
    chance = dict(zip(page.track_ids, page.probabilities, strict=True))
    kept = PageOfMany(page.individual_id, track_ids, [chance[i] for i in track_ids], page.reason, page.propensity)
    position = conn.scalar(sa.select(_P.position).where(_P.page_id == page.page_id))
    return _insert(
        conn, kept, now, round_id=page.round_id, head_model_id=page.head_model_id, position=position, state="leased",
        leased_by=user_id, leased_until=until, shown_id=str(uuid.uuid4()),
    )  # fmt: skip


def _still_open(conn: sa.Connection, page: LeasedPage) -> list[int]:
    """The tracks of a page that are live, that nobody has answered, and of which nobody has denied the individual."""
    k, said, named = track.c, track_evidence.c, standing_answer.c
    rows = rows_in_parts(
        conn,
        lambda part: sa.select(k.track_id).where(
            k.track_id.in_(part),
            k.state == "live",
            ~sa.exists().where(named.track_id == k.track_id),
            ~sa.exists().where(
                said.track_id == k.track_id, said.individual_id == page.individual_id, said.state == "denied"
            ),
        ),
        page.track_ids,
    )
    there = {row.track_id for row in rows}
    return [track_id for track_id in page.track_ids if track_id in there]


def _move(conn: sa.Connection, page_id: int, now: datetime, **values: object) -> bool:
    """Change a page that is still free; False if somebody was quicker."""
    return conn.execute(sa.update(grid_page).where(_P.page_id == page_id, _is_free(now)).values(**values)).rowcount == 1


def _is_free(now: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(_P.state == "pending", sa.and_(_P.state == "leased", _P.leased_until < now))
