"""Giving items back: what becomes of the items that somebody holds and will not answer.

Belongs here: the end of leases before their time. Does not belong here: claims (`queue`), what answers do to items
(`events`).
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from chimp_assets.database.schema import DISPUTED, PAIRS, acquisition_queue, annotation, standing_answer

_Q = acquisition_queue.c


def give_back(conn: sa.Connection, user_id: int, item_ids: Sequence[int] | None = None) -> int:
    """Items that a user holds wait again, or are answered where somebody answered their question meanwhile; returns how
    many there were. item_ids: only these, at most a few hundred; None: all."""
    held = [_Q.state == "leased", _Q.leased_by == user_id]
    if item_ids is not None:
        held.append(_Q.item_id.in_(item_ids))
    nobody = {"leased_by": None, "leased_until": None}
    settled = sa.or_(_is_named(), _is_settled_pair())
    answered = conn.execute(sa.update(acquisition_queue).where(*held, settled).values(state="answered", **nobody))
    waiting = conn.execute(sa.update(acquisition_queue).where(*held).values(state="pending", **nobody))
    return answered.rowcount + waiting.rowcount


def _is_named() -> sa.ColumnElement[bool]:
    """An answer about the track stands. Repeats and what is disputed ask on purpose about what was answered."""
    asks_a_name = _Q.lane.not_in(("repeat", PAIRS, DISPUTED))
    return sa.and_(asks_a_name, sa.exists().where(standing_answer.c.track_id == _Q.track_id))


def _is_settled_pair() -> sa.ColumnElement[bool]:
    """An answer about the pair stands, or one about a track of it that says more than `unknown`."""
    a, back, named = annotation.alias("said"), annotation.alias("back"), standing_answer.c
    taken_back = sa.exists().where(back.c.supersedes == a.c.annotation_id, back.c.kind == "retract")
    these = sa.or_(
        sa.and_(a.c.track_id == _Q.track_id, a.c.other_track_id == _Q.other_track_id),
        sa.and_(a.c.track_id == _Q.other_track_id, a.c.other_track_id == _Q.track_id),
    )
    said = sa.exists().where(these, a.c.kind.in_(("same", "different", "cannot_tell")), ~taken_back)
    one = sa.exists().where(named.track_id.in_((_Q.track_id, _Q.other_track_id)), named.kind != "unknown")
    return sa.and_(_Q.lane == PAIRS, sa.or_(said, one))
