"""Queues that are always read in full: contradicting pairs, missed checks, provisional individuals.

Belongs here: one function for each queue. Does not belong here: queues over a range of events (`event_queues`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.parameters import in_parts
from chimp_assets.database.labels.kinds import NAMING_KINDS, PAIR_ANSWER_KINDS
from chimp_assets.insight.labelling.review.cases import MOST, ReviewCase, track_case
from chimp_assets.insight.labelling.review.events import StandingEvent, event_of, is_taken_back, standing_events
from chimp_assets.insight.labelling.review.tracks import TrackAnswers, answers_of_tracks
from chimp_assets.loop.evidence import doubts, read_evidence

PROVISIONAL = 100
"""Newest provisional individuals that become cases; older ones wait until these are settled."""
PICTURED = 5
"""Newest tracks of a provisional individual that a case shows."""


def _pairs(conn: sa.Connection) -> list[ReviewCase]:
    """Answers about pairs, and names, that cannot all be true."""
    evidence = read_evidence(conn)
    found = doubts(evidence, evidence.concluded())[:MOST] if len(evidence.pair) else []
    single = answers_of_tracks(conn, [d.track_id for d in found if d.other_track_id is None])
    a = t.annotation.c
    wanted = {frozenset({d.track_id, d.other_track_id}) for d in found if d.other_track_id is not None}
    newest: dict[frozenset[int], dict[int, StandingEvent]] = defaultdict(dict)
    for part in in_parts(sorted({i for pair in wanted for i in pair if i is not None})):
        for row in conn.execute(standing_events(a.track_id.in_(part), a.kind.in_(PAIR_ANSWER_KINDS))):
            pair = frozenset({row.track_id, row.other_track_id})
            if pair in wanted:
                newest[pair][row.annotator_id] = event_of(row)
    cases = []
    for doubt in found:
        if doubt.other_track_id is None:
            cases.append(track_case("pairs", doubt.track_id, single[doubt.track_id], reason=doubt.reason))
            continue
        events = sorted(newest[frozenset({doubt.track_id, doubt.other_track_id})].values(), key=lambda one: one.seq)
        head = min(events, key=lambda one: (one.weight, -one.seq), default=None)
        cases.append(
            ReviewCase(
                f"pairs:{doubt.track_id}:{doubt.other_track_id}", "pairs", doubt.track_id, doubt.other_track_id,
                tuple(events), head.annotation_id if head else None, doubt.reason,
            )
        )  # fmt: skip
    return cases


def _missed(conn: sa.Connection) -> list[ReviewCase]:
    """Checks that somebody answered wrongly and that nobody has decided since."""
    c = t.quality_check.c
    rows = conn.execute(
        sa.select(c.check_id, c.kind, c.user_id, c.track_id, c.individual_id, c.answered_at)
        .where(c.passed == sa.false())
        .order_by(c.check_id.desc())
        .limit(MOST)
    ).all()
    known = answers_of_tracks(conn, [row.track_id for row in rows])
    found: dict[int, ReviewCase] = {}
    for row in rows:
        track = known[row.track_id]
        decided = any(s.in_review and row.answered_at is not None and s.at > row.answered_at for s in track.answers)
        theirs = next((s for s in track.answers if s.annotator_id == row.user_id), None)
        # A wrong answer to gold that was taken back or corrected needs no decision; a grid stores no answer.
        corrected = row.kind == "gold" and (theirs is None or not _differs(theirs, track))
        if not decided and not corrected and track.open_question is None:
            found.setdefault(row.track_id, track_case("missed", row.track_id, track, check=row.kind))
    return list(found.values())


def _differs(one: StandingEvent, track: TrackAnswers) -> bool:
    head = track.head
    return head is not None and head.meaning != one.meaning


def _provisional(conn: sa.Connection) -> list[ReviewCase]:
    """Individuals that were entered while labelling and that nobody has confirmed, most tracks first."""
    i, a = t.individual.c, t.annotation.c
    rows = conn.execute(
        sa.select(i.individual_id, i.anim_id, i.name)
        .where(i.provisional == sa.true(), i.same_as_id.is_(None))
        .order_by(i.individual_id.desc())
        .limit(PROVISIONAL)
    ).all()
    merged = t.individual.alias("merged")
    now = sa.func.coalesce(merged.c.same_as_id, merged.c.individual_id)
    ids = [row.individual_id for row in rows]
    named = (
        sa.select(
            now.label("individual_id"), a.track_id, a.seq,
            sa.func.row_number().over(partition_by=now, order_by=a.seq.desc()).label("place"),
            sa.func.count().over(partition_by=now).label("n"),
        )
        .join_from(merged, t.annotation, a.individual_id == merged.c.individual_id)
        .where(
            sa.or_(merged.c.individual_id.in_(ids), merged.c.same_as_id.in_(ids)), a.kind.in_(NAMING_KINDS),
            ~is_taken_back(),
        )
        .subquery("named")
    )  # fmt: skip
    tracks: dict[int, list[int]] = defaultdict(list)
    counted: dict[int, int] = {}
    for row in conn.execute(sa.select(named).where(named.c.place <= PICTURED).order_by(named.c.place)):
        counted[row.individual_id] = row.n
        if row.track_id not in tracks[row.individual_id]:
            tracks[row.individual_id].append(row.track_id)
    known = answers_of_tracks(conn, [found[0] for found in tracks.values()])
    cases = []
    for one in rows:
        theirs = tracks[one.individual_id]
        track = known[theirs[0]] if theirs else None
        head = track.head if track else None
        cases.append(
            ReviewCase(
                f"provisional:{one.anim_id}", "provisional", theirs[0] if theirs else None, None,
                tuple(track.answers if track else ()), head.annotation_id if head else None,
                individual=(one.anim_id, one.name, counted.get(one.individual_id, 0)), more=tuple(theirs[1:]),
            )
        )  # fmt: skip
    return sorted(cases, key=lambda case: -(case.individual or ("", None, 0))[2])


WHOLE_QUEUES: dict[str, Callable[[sa.Connection], list[ReviewCase]]] = {
    "pairs": _pairs,
    "missed": _missed,
    "provisional": _provisional,
}
