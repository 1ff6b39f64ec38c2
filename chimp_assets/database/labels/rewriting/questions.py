"""The questions of the queue after tracks were rewritten: nobody is asked about a track that is gone.

Belongs here: withdrawing questions about tracks that are gone, asking about those in their place, giving questions back
when a cut or a join is taken back. Does not belong here: what an event does to its own question (`labels.items`),
claiming (`work.queue`), who takes the place of whom (`heirs`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.database.connection.parameters import in_parts, rows_in_parts
from chimp_assets.database.schema import (
    IS_IT,
    MEASURING_LANES,
    PAIRS,
    PROMISE,
    REPEATED_LANES,
    SIDE_LANES,
    acquisition_queue,
    acquisition_round,
    standing_answer,
    track,
    track_heir,
)

WAITING = ("pending", "leased")
FREE = "free"
"""The lane of a question that no plan has drawn: its answer measures nothing, and teaches as others do."""
_Q = acquisition_queue.c


@dataclass(frozen=True)
class Question:
    """What a track is asked by: lane and chance are those of the question in whose place it comes."""

    track_id: int
    lane: str
    propensity: float
    position: int
    reason: str


def follow_heirs(
    conn: sa.Connection,
    gone: Collection[int],
    asked_by: dict[int, int] | None = None,
    reasons: dict[int, str] | None = None,
    born: Collection[int] = (),
) -> None:
    """Questions about tracks that are gone are withdrawn; the tracks in their place are asked instead, in the same lane
    and place of the newest round, unless an answer stands for them.

    asked_by: the item by which each of these tracks was just cut or joined, which is answered already. reasons: of the
    questions, by heir. born: heirs that are asked even if nobody was asked about those before them.
    """
    withdrawn = _withdraw(conn, gone)
    of_items = _items(conn, (asked_by or {}).values())
    by_track: dict[int, sa.Row] = {}
    for row in withdrawn:
        if row.other_track_id is None and row.lane not in (IS_IT, "repeat"):
            by_track.setdefault(row.track_id, row)
    for track_id, item_id in (asked_by or {}).items():
        if item_id in of_items and of_items[item_id].lane not in (*SIDE_LANES, "repeat"):
            by_track[track_id] = of_items[item_id]
    asks: dict[int, Question] = {}
    for parent, heir, cause in _heirs_there(conn, gone):
        before = by_track.get(parent)
        reason = (reasons or {}).get(heir) or _REASONS[cause]
        if before is not None and not (heir in asks and asks[heir].lane in MEASURING_LANES):
            # Parts of a track that a promise drew were not drawn.
            lane, propensity = (FREE, 1.0) if before.lane == PROMISE else (before.lane, before.propensity)
            asks[heir] = Question(heir, lane, propensity, before.position, reason)
        elif heir in born:
            asks.setdefault(heir, Question(heir, FREE, 1.0, 0, reason))
    ask(conn, list(asks.values()))
    settle(conn, [heir for _, heir, _ in _heirs_there(conn, gone)])


SPLIT = "Part of a track that somebody split."
SPLIT_NAMED = "Part of a track that somebody split; the whole was called {name}."
MERGED = "Two tracks that somebody merged."
_REASONS = {"split": SPLIT, "merge": MERGED, "retrack": "Found again by another detector."}


def ask(conn: sa.Connection, questions: Sequence[Question]) -> int:
    """Asks in the newest round about tracks that have no answer and wait nowhere; returns how many. Nothing without a
    round."""
    newest = conn.scalar(sa.select(sa.func.max(acquisition_round.c.round_id)))
    if newest is None or not questions:
        return 0
    ids = {question.track_id for question in questions}
    answered = {
        row.track_id
        for row in rows_in_parts(
            conn,
            lambda part: sa.select(standing_answer.c.track_id).where(standing_answer.c.track_id.in_(part)),
            ids,
        )
    }
    rows = list(
        rows_in_parts(
            conn,
            lambda part: sa.select(_Q.item_id, _Q.track_id, _Q.state, _Q.lane).where(
                _Q.track_id.in_(part), _Q.other_track_id.is_(None), sa.or_(_Q.state.in_(WAITING), _Q.round_id == newest)
            ),
            ids,
        )
    )
    there = {row.track_id for row in rows}
    waiting = {row.track_id for row in rows if row.state in WAITING}
    # A round asks about a track once: the question that it had is asked again.
    again = [
        row.item_id
        for row in rows
        if row.track_id not in waiting | answered and row.state != "skipped" and row.lane != IS_IT
    ]
    for part in in_parts(again):
        conn.execute(sa.update(acquisition_queue).where(_Q.item_id.in_(part)).values(state="pending"))
    new = [question for question in questions if question.track_id not in answered | there]
    insert_rows(
        conn,
        acquisition_queue,
        {
            "round_id": [newest] * len(new),
            "track_id": [one.track_id for one in new],
            "other_track_id": [None] * len(new),
            "lane": [one.lane for one in new],
            "position": [one.position for one in new],
            "propensity": [one.propensity for one in new],
            "reason": [one.reason for one in new],
            "state": ["pending"] * len(new),
        },
    )
    return len(new) + len(again)


def settle(conn: sa.Connection, track_ids: Collection[int]) -> None:
    """Questions about tracks that have an answer by now are answered; pairs with one of a named track are withdrawn."""
    named = sa.exists().where(standing_answer.c.track_id == _Q.track_id)
    nobody = {"leased_by": None, "leased_until": None}
    for part in in_parts(sorted(set(track_ids))):
        conn.execute(
            sa.update(acquisition_queue)
            .where(_Q.track_id.in_(part), _Q.state.in_(WAITING), _Q.lane.not_in((*SIDE_LANES, *REPEATED_LANES)), named)
            .values(state="answered", **nobody)
        )
        s = standing_answer.c
        conn.execute(
            sa.update(acquisition_queue)
            .where(_Q.track_id.in_(part), _Q.state.in_(WAITING), _Q.lane == IS_IT, named)
            .values(state="withdrawn", **nobody)
        )
        known = list(conn.scalars(sa.select(s.track_id).where(s.track_id.in_(part), s.kind != "unknown")))
        for column in (_Q.track_id, _Q.other_track_id):
            if known:
                conn.execute(
                    sa.update(acquisition_queue)
                    .where(column.in_(known), _Q.lane == PAIRS, _Q.state.in_(WAITING))
                    .values(state="withdrawn", **nobody)
                )


def give_back(conn: sa.Connection, track_ids: Collection[int]) -> None:
    """Questions of the newest round about tracks that are there again wait again, as far as no answer stands."""
    newest = conn.scalar(sa.select(sa.func.max(acquisition_round.c.round_id)))
    if newest is None or not track_ids:
        return
    one, other = track.alias("one").c, track.alias("other")
    said, others = standing_answer.alias("said"), standing_answer.alias("others")
    ids: set[int] = set()
    for part in in_parts(sorted(set(track_ids))):
        for column in (_Q.track_id, _Q.other_track_id):
            rows = conn.execute(
                sa.select(
                    _Q.item_id, _Q.lane, _Q.other_track_id, other.c.state.label("other_state"),
                    said.c.kind.label("kind"), others.c.kind.label("other_kind"),
                )
                .join_from(acquisition_queue, one.track_id.table, one.track_id == _Q.track_id)
                .outerjoin(other, other.c.track_id == _Q.other_track_id)
                .outerjoin(said, said.c.track_id == _Q.track_id)
                .outerjoin(others, others.c.track_id == _Q.other_track_id)
                .where(
                    column.in_(part), _Q.round_id == newest, _Q.state == "withdrawn", one.state == "live",
                )
            )  # fmt: skip
            for row in rows.all():
                if row.other_track_id is not None and row.other_state != "live":
                    continue
                kinds = {row.kind, row.other_kind} - {None, "unknown"}
                if row.lane == PAIRS and kinds:
                    continue
                by_name = row.lane == IS_IT or row.lane not in (*SIDE_LANES, *REPEATED_LANES)
                if by_name and row.kind is not None:
                    continue
                ids.add(row.item_id)
    for part in in_parts(sorted(ids)):
        conn.execute(sa.update(acquisition_queue).where(_Q.item_id.in_(part)).values(state="pending"))


def _withdraw(conn: sa.Connection, gone: Collection[int]) -> list[sa.Row]:
    """Withdraws what waits about tracks that are gone; returns these items as they were."""
    found: dict[int, sa.Row] = {}
    for part in in_parts(sorted(set(gone))):
        for column in (_Q.track_id, _Q.other_track_id):
            rows = conn.execute(sa.select(acquisition_queue).where(column.in_(part), _Q.state.in_(WAITING)))
            found |= {row.item_id: row for row in rows.all()}
    for part in in_parts(sorted(found)):
        conn.execute(
            sa.update(acquisition_queue)
            .where(_Q.item_id.in_(part))
            .values(state="withdrawn", leased_by=None, leased_until=None)
        )
    return [found[item_id] for item_id in sorted(found, reverse=True)]


def _items(conn: sa.Connection, item_ids: Collection[int]) -> dict[int, sa.Row]:
    rows = rows_in_parts(
        conn, lambda part: sa.select(acquisition_queue).where(_Q.item_id.in_(part)), {i for i in item_ids if i}
    )
    return {row.item_id: row for row in rows}


def _heirs_there(conn: sa.Connection, gone: Collection[int]) -> list[tuple[int, int, str]]:
    """(track, heir that is there, cause of the last step) of tracks that are gone, over all steps."""
    h, k = track_heir.c, track.c
    found: list[tuple[int, int, str]] = []
    below: dict[int, set[int]] = {track_id: {track_id} for track_id in gone}
    while below:
        rows = rows_in_parts(
            conn,
            lambda part: (
                sa.select(h.track_id, h.heir_track_id, h.cause, k.state)
                .join(track, k.track_id == h.heir_track_id)
                .where(h.track_id.in_(part), h.until_seq.is_(None))
            ),
            below.keys(),
        )
        following: dict[int, set[int]] = {}
        for row in rows:
            for origin in below[row.track_id]:
                if row.state == "live":
                    found.append((origin, row.heir_track_id, row.cause))
                else:
                    following.setdefault(row.heir_track_id, set()).add(origin)
        below = following
    return found
