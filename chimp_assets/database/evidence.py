"""What people say about "is this X?": which individual a track surely is not, and which one two of them agree on.

Nobody's word here is an answer: `standing_answer` goes before it, and it teaches no model. A person counts once for a
track and an individual, with her newest word that was not taken back; who is wrong too often at hidden checks counts
for nobody (`people.carefulness`).
- `denied`: one person who may name animals says that it is not X, or two volunteers do;
- `agreed`: two people say that it is X, and nobody says that it is not; of one individual only: where people agree on
  two, they agree on none;
- `open`: anything else that was said.

X is who she is now, after the merges. Where a track is no more, what was said of it counts for the tracks that answers
about it count for (`answer_heir`); a denial counts for the parts of a cut as well, since none of them shows X either.

Belongs here: the rule; `track_evidence`, which keeps its result as of now; which names of a head it contradicts. Does
not belong here: storing events (`labels.events`), what becomes of the questions (`labels.items`, `work.ballots`), how
scores follow (`vision.identity.predict`).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from chimp_assets.database.connection.parameters import in_parts, rows_in_parts
from chimp_assets.database.people.carefulness import PRIOR_ERROR, Carefulness, carefulness
from chimp_assets.database.schema import (
    FIRST_RANK,
    annotation,
    answer_heir,
    app_user,
    denied_prediction,
    individual,
    model,
    prediction,
    track_evidence,
    track_heir,
)

EVIDENCE_KINDS = ("is_individual", "not_individual")
"""Of label events: whether a track shows one individual."""
WATCHERS = ("volunteer",)
"""Roles that may not name animals: two of them deny what one of any other role does."""
IS, IS_NOT = EVIDENCE_KINDS
ENOUGH = 2
"""People who must say the same."""


@dataclass(frozen=True)
class TrackEvidence:
    """A row of `track_evidence`: what is known of one track and one individual. n_yes, n_no: people; seq: of the newest
    event that counts."""

    track_id: int
    individual_id: int
    n_yes: int
    n_no: int
    state: str
    probability: float | None
    seq: int


@dataclass(frozen=True)
class _Word:
    """A person's word about the individual of a track. may_name: her role may name animals; error: how often she is
    wrong at hidden checks."""

    says_yes: bool
    may_name: bool
    seq: int
    error: float = PRIOR_ERROR


def keep_evidence(conn: sa.Connection, track_ids: Collection[int]) -> None:
    """Updates `track_evidence` for tracks and those that took their place, in the transaction that stores events,
    rewrites tracks or merges individuals."""
    for part in in_parts(sorted(track_ids)):
        succession = _Succession.around(conn, part)
        tracks = sorted(succession.tracks)
        found = _evidence(conn, tracks, succession)
        for some in in_parts(tracks):
            conn.execute(_FORGET, {"tracks": some})
        if found:
            conn.execute(sa.insert(track_evidence), [vars(one) for one in found])


def keep_evidence_of_individuals(conn: sa.Connection, individual_ids: Collection[int]) -> None:
    """The same for all tracks of which something is said about one of these individuals, whom a merge or its undo made
    somebody else. individual_ids: who they were before."""
    e = track_evidence.c
    said = sa.select(e.track_id)
    rows = rows_in_parts(conn, lambda part: said.where(e.individual_id.in_(part)), individual_ids)
    keep_evidence(conn, {row.track_id for row in rows})


def evidence_of(conn: sa.Connection, track_ids: Collection[int]) -> tuple[set[int], list[TrackEvidence]]:
    """What follows from all events about tracks and those that took their place, or whose place they took: all these
    tracks, and the rows that `track_evidence` should have of them. It is not read."""
    tracks: set[int] = set()
    found: dict[tuple[int, int], TrackEvidence] = {}
    for part in in_parts(sorted(track_ids)):
        succession = _Succession.around(conn, part)
        tracks |= succession.tracks
        for one in _evidence(conn, sorted(succession.tracks), succession):
            found[one.track_id, one.individual_id] = one
    return tracks, [found[key] for key in sorted(found)]


def tracks_with_evidence(conn: sa.Connection) -> list[int]:
    """All tracks that something was ever said about in this way, or that is kept of; ascending."""
    a, e = annotation.c, track_evidence.c
    said = sa.select(a.track_id).where(a.kind.in_(EVIDENCE_KINDS))
    return sorted(conn.scalars(sa.union(said, sa.select(e.track_id))))


def is_denied(track_id: sa.ColumnElement[int], individual_id: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
    """Whether people said that a track is not an individual. individual_id: as merged."""
    e = track_evidence.alias("denied").c
    return sa.exists().where(e.track_id == track_id, e.individual_id == individual_id, e.state == "denied")


def tracks_to_name_again(conn: sa.Connection, limit: int) -> list[int]:
    """Tracks for which the champion head's names are not those that follow from what is denied now: a denied name is
    among them, or one is left out that nobody denies any more. The newest denials first, at most `limit`."""
    head = sa.select(model.c.model_id).where(model.c.task == "head", model.c.state == "champion").scalar_subquery()
    e, p, d, said = track_evidence.c, prediction.c, denied_prediction.c, individual.c
    who = sa.func.coalesce(said.same_as_id, said.individual_id)
    named = (
        sa.select(e.track_id)
        .join_from(track_evidence, prediction, sa.and_(p.track_id == e.track_id, p.model_id == head))
        .join(individual, said.individual_id == p.individual_id)
        .where(e.state == "denied", e.individual_id == who)
        .group_by(e.track_id)
        .order_by(sa.func.max(e.seq).desc())
        .limit(limit)
    )
    left_out = (
        sa.select(d.track_id)
        .join_from(denied_prediction, individual, said.individual_id == d.individual_id)
        .where(d.model_id == head, ~is_denied(d.track_id, who))
        .order_by(d.track_id)
        .limit(limit)
    )
    return list(dict.fromkeys([*conn.scalars(named), *conn.scalars(left_out)]))[:limit]


def denials_of(conn: sa.Connection, head_model_id: int) -> list[tuple[int, float]]:
    """(track_id, probability) of first names of a head that people denied: wrong names to calibrate by, which the head
    had chosen. In the order of the tracks.

    Each as the head names the track by itself. A denial since the head last named its track is among them, too.
    """
    e, p, d, said = track_evidence.c, prediction.c, denied_prediction.c, individual.c
    who = sa.func.coalesce(said.same_as_id, said.individual_id)
    found: dict[int, float] = {}
    for names in (d, p):
        statement = (
            sa.select(e.track_id, names.probability)
            .join_from(track_evidence, names.track_id.table, names.track_id == e.track_id)
            .join(individual, said.individual_id == names.individual_id)
            .where(names.model_id == head_model_id, names.rank == FIRST_RANK)
            .where(e.state == "denied", e.individual_id == who)
        )
        found |= {track_id: float(probability) for track_id, probability in conn.execute(statement)}
    return sorted(found.items())


def _evidence(conn: sa.Connection, track_ids: list[int], succession: _Succession) -> list[TrackEvidence]:
    words: dict[tuple[int, int], dict[int, _Word]] = defaultdict(dict)
    said = [row for part in in_parts(track_ids) for row in conn.execute(_SAID, {"tracks": part}).all()]
    checked = carefulness(conn, {row.annotator_id for row in said}) if said else {}
    for row in said:
        says_yes, care = row.kind == IS, checked.get(row.annotator_id, Carefulness())
        if not care.counts:
            continue
        word = _Word(says_yes, row.role not in WATCHERS, row.seq, care.error)
        for track_id in succession.counts_for(row.track_id, says_yes):
            of_people = words[track_id, row.individual_id]
            if row.annotator_id not in of_people or of_people[row.annotator_id].seq < row.seq:
                of_people[row.annotator_id] = word
    found = [_judged(track_id, who, list(of.values())) for (track_id, who), of in sorted(words.items())]
    return list(_at_most_one(found))


def _judged(track_id: int, individual_id: int, words: list[_Word]) -> TrackEvidence:
    n_yes = sum(word.says_yes for word in words)
    n_no = len(words) - n_yes
    state, probability = "open", None
    if n_no >= ENOUGH or any(word.may_name and not word.says_yes for word in words):
        state = "denied"
    elif n_yes >= ENOUGH and not n_no:
        state, probability = "agreed", chance_of(n_yes, [word.error for word in words])
    return TrackEvidence(track_id, individual_id, n_yes, n_no, state, probability, max(word.seq for word in words))


def chance_of(n_yes: int, errors: Sequence[float] = ()) -> float:
    """That a track is X, once n people agree and before anything else is known. In (0.5, 1). errors: of these people;
    empty: nobody was checked."""
    odds = math.prod((1 - error) / error for error in list(errors or [PRIOR_ERROR] * n_yes)[:10])
    return odds / (1 + odds)


def _at_most_one(found: Iterable[TrackEvidence]) -> Iterator[TrackEvidence]:
    found = list(found)
    agreed: dict[int, int] = defaultdict(int)
    for one in found:
        agreed[one.track_id] += one.state == "agreed"
    for one in found:
        if one.state == "agreed" and agreed[one.track_id] > 1:
            yield TrackEvidence(one.track_id, one.individual_id, one.n_yes, one.n_no, "open", None, one.seq)
        else:
            yield one


@dataclass(frozen=True)
class _Succession:
    """Who takes the place of whom around some tracks. answers: for which tracks answers about a track count, by track
    (itself: for none); further: for which others denials about it count."""

    tracks: set[int]
    answers: dict[int, set[int]]
    further: dict[int, set[int]]

    @classmethod
    def around(cls, conn: sa.Connection, track_ids: Collection[int]) -> _Succession:
        """Reads it, and with these tracks all that are joined to them. One statement for nearly all: they are nobody's
        heirs and have none."""
        tracks: set[int] = set()
        answers: dict[int, set[int]] = defaultdict(set)
        further: dict[int, set[int]] = defaultdict(set)
        new = set(track_ids)
        while new:
            tracks |= new
            reached: set[int] = set()
            for part in in_parts(sorted(new)):
                for row in conn.execute(_LINKS, {"tracks": part}).all():
                    (answers if row.of_answers else further)[row.track_id].add(row.heir_track_id)
                    reached |= {row.track_id, row.heir_track_id}
            new = reached - tracks
        return cls(tracks, answers, further)

    def counts_for(self, track_id: int, says_yes: bool) -> set[int]:
        """The tracks that are there for which a word about a track counts."""
        found = {track_id} if track_id not in self.answers else self.answers[track_id] - {track_id}
        if says_yes or not self.further:
            return found
        below, new = {track_id}, found | self.further.get(track_id, set())
        while new:
            below |= new
            new = {heir for one in new for heir in self.further.get(one, ())} - below
        return below - self.answers.keys()


_TRACKS: sa.BindParameter[Any] = sa.bindparam("tracks", value=(), expanding=True)
# Made once: making them takes as long as running them, at every answer.
_FORGET = sa.delete(track_evidence).where(track_evidence.c.track_id.in_(_TRACKS))


def _said() -> sa.Select[Any]:
    a, back = annotation.c, annotation.alias("back")
    taken_back = sa.exists().where(back.c.kind == "retract", back.c.supersedes == a.annotation_id)
    who = sa.func.coalesce(individual.c.same_as_id, individual.c.individual_id)
    return (
        sa.select(a.track_id, who.label("individual_id"), a.annotator_id, app_user.c.role, a.kind, a.seq)
        .join_from(annotation, individual, individual.c.individual_id == a.individual_id)
        .join(app_user, app_user.c.user_id == a.annotator_id)
        .where(a.track_id.in_(_TRACKS), a.kind.in_(EVIDENCE_KINDS), ~taken_back)
    )


_SAID = _said()


def _links() -> sa.CompoundSelect[Any]:
    """Either end is found by an index of its own, where "or" would have none."""
    a, h = answer_heir.c, track_heir.c
    carried = sa.or_(h.carries == sa.true(), h.cause == "split")
    return sa.union_all(
        *(
            sa.select(a.track_id, a.heir_track_id, sa.literal(1, literal_execute=True).label("of_answers")).where(
                end.in_(_TRACKS), a.until_seq.is_(None)
            )
            for end in (a.track_id, a.heir_track_id)
        ),
        *(
            sa.select(h.track_id, h.heir_track_id, sa.literal(0, literal_execute=True).label("of_answers")).where(
                end.in_(_TRACKS), h.until_seq.is_(None), carried
            )
            for end in (h.track_id, h.heir_track_id)
        ),
    )


_LINKS = _links()
