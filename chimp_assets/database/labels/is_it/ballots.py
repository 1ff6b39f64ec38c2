"""The question "is this X?": who has answered it already, and when enough people have.

Belongs here: the state of items of the lane `is_it`, as it follows from the answers; whom an item may be given to. Does
not belong here: claiming (`queue`), what the answers say about the track (`labels.evidence`).

One person at a time holds an item; it waits for the next until two say the same. Yes, no and "cannot tell" count, each
person once; who skips is only not asked again. People whose hidden checks say that they guess (`people.carefulness`)
are asked like others and not counted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from chimp_assets.database.connection.parameters import in_parts, rows_in_parts
from chimp_assets.database.people.carefulness import careless_people
from chimp_assets.database.schema import (
    IS_IT,
    acquisition_queue,
    annotation,
    individual,
    standing_answer,
    track_evidence,
)

TO_AGREE = 2
MOST_PEOPLE = 3
"""What three people could not settle goes to an expert."""
_YES_OR_NO = ("is_individual", "not_individual")
_UNDECIDED = ("cannot_tell", "skip")
_Q = acquisition_queue.c


@dataclass(frozen=True)
class Ballot:
    """What people said about one track and one individual. state: of `track_evidence`."""

    yes: int = 0
    no: int = 0
    cannot_tell: int = 0
    state: str = "open"

    @property
    def needed(self) -> int:
        """How many more people it takes at least until two agree; 0: they do, or three people cannot any more."""
        most = max(self.yes, self.no)
        left = MOST_PEOPLE - self.yes - self.no - self.cannot_tell
        return 0 if self.state != "open" or most >= TO_AGREE or most + left < TO_AGREE else TO_AGREE - most


def asked_already(user_id: int | sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
    """Of `acquisition_queue`: this person has answered or skipped the question of an item of this lane."""
    mine = annotation.alias("mine").c
    about_it = sa.or_(
        sa.and_(mine.kind.in_(_YES_OR_NO), mine.individual_id == _Q.individual_id),
        # Who cannot tell who it is, or does not want to, is not asked about this track with another name either.
        sa.and_(mine.kind.in_(_UNDECIDED), mine.lane == IS_IT),
    )
    return sa.exists().where(
        mine.annotator_id == user_id, mine.track_id == _Q.track_id, about_it, ~_taken_back(mine.annotation_id)
    )


def may_be_given(user_id: int) -> sa.ColumnElement[bool]:
    """Of `acquisition_queue`: not a question of this lane that this person has answered or skipped."""
    return sa.or_(_Q.lane != IS_IT, ~asked_already(user_id))


def ballots(conn: sa.Connection, track_ids: Iterable[int]) -> dict[tuple[int, int], Ballot]:
    """What people said about tracks, by (track_id, individual_id as merged); only of individuals of whom somebody said
    yes or no."""
    e, tracks = track_evidence.c, set(track_ids)
    said = sa.select(e.track_id, e.individual_id, e.n_yes, e.n_no, e.state)
    undecided = undecided_people(conn, tracks)
    return {
        (row.track_id, row.individual_id): Ballot(row.n_yes, row.n_no, len(undecided.get(row.track_id, ())), row.state)
        for row in rows_in_parts(conn, lambda part: said.where(e.track_id.in_(part)), tracks)
    }


def undecided_people(conn: sa.Connection, track_ids: Iterable[int]) -> dict[int, set[int]]:
    """user_id of those who were asked about a track in this lane and could not tell, by track."""
    a = annotation.c
    rows = rows_in_parts(
        conn,
        lambda part: sa.select(a.track_id, a.annotator_id).where(
            a.track_id.in_(part), a.kind == "cannot_tell", a.lane == IS_IT, ~_taken_back(a.annotation_id)
        ),
        track_ids,
    )
    found: dict[int, set[int]] = {}
    careless = careless_people(conn)
    for row in rows:
        if row.annotator_id not in careless:
            found.setdefault(row.track_id, set()).add(row.annotator_id)
    return found


def settle(conn: sa.Connection, item_ids: Collection[int]) -> None:
    """Brings the state of items of this lane up to date with the answers, in the transaction that stores these and has
    kept `track_evidence` and `standing_answer`.

    Settled: `answered`; a track that somebody has named meanwhile: `withdrawn`; else it waits, for somebody else if
    whoever holds it has answered.
    """
    who = sa.func.coalesce(individual.c.same_as_id, individual.c.individual_id).label("individual_id")
    items = list(
        rows_in_parts(
            conn,
            lambda part: (
                sa.select(_Q.item_id, _Q.track_id, who, _Q.state)
                .join_from(acquisition_queue, individual, individual.c.individual_id == _Q.individual_id)
                .where(_Q.item_id.in_(part), _Q.lane == IS_IT, _Q.state != "withdrawn")
            ),
            set(item_ids),
        )
    )
    if not items:
        return
    tracks = {item.track_id for item in items}
    said, undecided = ballots(conn, tracks), undecided_people(conn, tracks)
    s = standing_answer.c
    named = {
        row.track_id
        for row in rows_in_parts(conn, lambda part: sa.select(s.track_id).where(s.track_id.in_(part)), tracks)
    }
    states: dict[str, list[int]] = {"answered": [], "withdrawn": [], "pending": [], "": []}
    for item in items:
        nobody = Ballot(cannot_tell=len(undecided.get(item.track_id, ())))
        if not said.get((item.track_id, item.individual_id), nobody).needed:
            states["answered"].append(item.item_id)
        elif item.track_id in named:
            states["withdrawn"].append(item.item_id)
        else:
            states["" if item.state in ("pending", "leased") else "pending"].append(item.item_id)
    waiting = states.pop("")
    for state, ids in states.items():
        _write(conn, state, ids)
    # Looked at in the update itself: somebody may lease an item while these answers are stored.
    _write(conn, "pending", waiting, _Q.state == "leased", asked_already(_Q.leased_by))


def _write(conn: sa.Connection, state: str, item_ids: Collection[int], *where: sa.ColumnElement[bool]) -> None:
    for part in in_parts(sorted(item_ids)):
        conn.execute(
            sa.update(acquisition_queue)
            .where(_Q.item_id.in_(part), *where)
            .values(state=state, leased_by=None, leased_until=None)
        )


def _taken_back(annotation_id: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    back = annotation.alias("back").c
    return sa.exists().where(back.supersedes == annotation_id, back.kind == "retract")
