"""Individuals that the champion head confuses with one.

Belongs here: counting its mistakes and its close seconds. Does not belong here: measuring the head
(`vision.evaluation`).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.labels.kinds import NAMING_KINDS
from chimp_assets.insight.individuals.named_tracks import effective_answer, named_track
from chimp_assets.insight.individuals.pictures import ReferencePhoto, photos


@dataclass(frozen=True)
class Lookalike:
    """An individual that the champion head confuses with another.

    taken_for: tracks that people named as the other and the head as this one; taken_as: the reverse; second: tracks for
    which the head's first name is the other and its second name is this one.
    """

    anim_id: str
    name: str | None
    taken_for: int
    taken_as: int
    second: int
    photos: list[ReferencePhoto]


@dataclass
class _Confusion:
    taken_for: int = 0
    taken_as: int = 0
    second: int = 0
    second_probability: float = 0.0


def lookalikes(conn: sa.Connection, key: int, limit: int = 3) -> list[Lookalike]:
    """Individuals that the champion head confuses most with one: most mistakes first, then closest seconds."""
    m, i = t.model.c, t.individual.c
    head = conn.scalar(sa.select(m.model_id).where(m.task == "head", m.state == "champion"))
    if head is None:
        return []
    merged_into = {
        row.individual_id: row.same_as_id or row.individual_id
        for row in conn.execute(sa.select(i.individual_id, i.same_as_id))
    }
    members = [one for one, root in merged_into.items() if root == key]
    found: dict[int, _Confusion] = defaultdict(_Confusion)
    for other, n in conn.execute(_taken_for(head, key)):
        found[merged_into[other]].taken_for += n
    for other, n in conn.execute(_taken_as(head, members)):
        found[merged_into[other]].taken_as += n
    for other, n, probability in conn.execute(_seconds(head, members)):
        found[merged_into[other]].second += n
        found[merged_into[other]].second_probability += probability
    found.pop(key, None)
    likeliest = sorted(
        found, key=lambda one: (-found[one].taken_for - found[one].taken_as, -found[one].second_probability, one)
    )[:limit]
    rows = conn.execute(sa.select(i.individual_id, i.anim_id, i.name).where(i.individual_id.in_(likeliest)))
    named = {row.individual_id: (row.anim_id, row.name) for row in rows}
    return [
        Lookalike(*named[one], found[one].taken_for, found[one].taken_as, found[one].second, photos(conn, one)[:3])
        for one in likeliest
    ]


def _taken_for(head: int, key: int) -> sa.Select[Any]:
    """The head's first names of tracks that people named as this individual."""
    p, n = t.prediction.c, named_track.c
    return (
        sa.select(p.individual_id, sa.func.count())
        .join_from(named_track, t.prediction, sa.and_(n.track_id == p.track_id, n.source == "person"))
        .where(p.model_id == head, p.rank == t.FIRST_RANK, n.individual_id == key)
        .group_by(p.individual_id)
    )


def _taken_as(head: int, members: list[int]) -> sa.Select[Any]:
    """People's names of tracks whose first name by the head is this individual."""
    p, answer, track, video = t.prediction.c, effective_answer.c, t.track.c, t.video.c
    return (
        sa.select(answer.said_individual_id, sa.func.count())
        .join_from(t.prediction, effective_answer, answer.track_id == p.track_id)
        .join(t.track, track.track_id == p.track_id)
        .join(t.video, video.video_id == track.video_id)
        .where(
            p.model_id == head, p.rank == t.FIRST_RANK, p.individual_id.in_(members), answer.kind.in_(NAMING_KINDS),
            track.state == "live", video.state != "retired",
        )
        .group_by(answer.said_individual_id)
    )  # fmt: skip


def _seconds(head: int, members: list[int]) -> sa.Select[Any]:
    """The head's second names of tracks whose first name by the head is this individual."""
    first, second = t.prediction.alias("first"), t.prediction.alias("second")
    same_track = sa.and_(
        second.c.model_id == first.c.model_id, second.c.track_id == first.c.track_id, second.c.rank == 2
    )
    return (
        sa.select(second.c.individual_id, sa.func.count(), sa.func.sum(second.c.probability))
        .join_from(first, second, same_track)
        .where(first.c.model_id == head, first.c.rank == t.FIRST_RANK, first.c.individual_id.in_(members))
        .group_by(second.c.individual_id)
    )
