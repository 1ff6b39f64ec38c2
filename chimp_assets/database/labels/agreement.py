"""How often a person gives the same answer when a track is asked again unannounced.

Belongs here: self-agreement from the lane `repeat`. Does not belong here: labels that models contradict
(`vision.label_quality`), which tracks are asked again (`acquisition`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.individuals.merges import merged_ids
from chimp_assets.database.labels.events import last_seq
from chimp_assets.database.labels.kinds import NAMING_KINDS, is_answer
from chimp_assets.statistics.shares import wilson

LOOKED_AT = 100_000
"""Events that `recent_self_agreement` looks back: years of an expert's work, and a second's reading at a million."""


@dataclass(frozen=True)
class SelfAgreement:
    """How often a person gave the same answer to a track asked again unannounced. Wilson interval, 95 %."""

    annotator: str
    n_repeats: int
    n_same: int
    share: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True)
class RepeatedAnswer:
    """An answer to a track that the same person had answered before; same: it says the same."""

    annotator_id: int
    annotator: str
    at: datetime
    same: bool


def self_agreement(conn: sa.Connection, after_seq: int = 0) -> list[SelfAgreement]:
    """Of each person who was given repeats: answers of the lane `repeat` against the same person's answer before it.

    after_seq: only of repeats that were answered after this event; all answers before count as what was said before.

    Same: the same kind of answer and, where it names somebody, the same individual as merged. Retracted answers and
    skips do not count.
    """
    counts: dict[str, list[int]] = {}
    for repeated in repeated_answers(conn, after_seq):
        n = counts.setdefault(repeated.annotator, [0, 0])
        n[0] += 1
        n[1] += repeated.same
    return [SelfAgreement(name, n, hits, hits / n, *wilson(hits, n)) for name, (n, hits) in sorted(counts.items())]


def repeated_answers(conn: sa.Connection, after_seq: int = 0) -> list[RepeatedAnswer]:
    """The repeats that `self_agreement` counts, in the order in which they were answered."""
    a = t.annotation
    back = a.alias("taken_back")
    taken_back = sa.exists().where(back.c.kind == "retract", back.c.supersedes == a.c.annotation_id)
    repeat = a.alias("repeat")
    repeated = sa.select(repeat.c.track_id).where(
        repeat.c.lane == sa.literal("repeat", literal_execute=True), repeat.c.seq > after_seq
    )
    rows = conn.execute(
        sa.select(
            a.c.track_id, a.c.annotator_id, a.c.seq, a.c.kind, a.c.individual_id, a.c.lane, a.c.server_time,
            t.app_user.c.name,
        )
        .join(t.app_user, t.app_user.c.user_id == a.c.annotator_id)
        .where(
            a.c.track_id.in_(repeated),
            is_answer(a),
            a.c.other_track_id.is_(None),
            ~taken_back,
        )
        .order_by(a.c.seq)
    ).all()  # fmt: skip
    same = merged_ids(conn)
    before: dict[tuple[int, int], tuple[str, int | None]] = {}
    found: list[RepeatedAnswer] = []
    for r in rows:
        who = None if r.individual_id is None else same.get(r.individual_id, r.individual_id)
        # A new individual that is named again is the same answer.
        said = ("name" if r.kind in NAMING_KINDS else r.kind, who)
        key = (r.annotator_id, r.track_id)
        if r.lane == "repeat" and r.seq > after_seq and key in before:
            found.append(RepeatedAnswer(r.annotator_id, r.name, r.server_time, said == before[key]))
        before[key] = said
    return found


def recent_self_agreement(conn: sa.Connection) -> list[SelfAgreement]:
    """`self_agreement` in the newest LOOKED_AT events."""
    return self_agreement(conn, max(0, last_seq(conn) - LOOKED_AT))
