"""Groups of which the audit has too few answers, and the tracks of the reserve that a head takes for theirs.

Belongs here: what the lane `groups` needs to know of fairness. Does not belong here: its draws and weights
(`acquisition.lanes.groups`), what is too few (`comparison`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import sqlalchemy as sa

from chimp_assets.acquisition.lanes.groups import MOST_GROUPS
from chimp_assets.acquisition.policy import GROUPS
from chimp_assets.acquisition.pool import TrackPool
from chimp_assets.arrays import I64Array, located
from chimp_assets.database import schema as t
from chimp_assets.database.connection.parameters import in_parts
from chimp_assets.database.footage.cameras import place_of_video
from chimp_assets.database.labels.splits import examined_mask
from chimp_assets.vision.evaluation.slices import individual_slices, light_at

if TYPE_CHECKING:
    from chimp_assets.database.connection.engine import Database
    from chimp_assets.settings import Settings
    from chimp_assets.vision.models.checkpoint import ModelRow

LEAST_AUDIT = 100
"""With fewer named audit tracks everything lacks answers, and random tracks tell most about all groups at once."""

OF_ANIMALS = ("sex", "age_class", "matriline")
OF_VIDEOS = ("camera", "light")
WAITING = "waiting_for_groups"
"""In the policy of a round: tracks that waited in the part of the groups lane when its first item was drawn."""


@dataclass(frozen=True)
class LackingGroup:
    """A group with too few answers: kind (sex, age_class, matriline, camera, light) and value."""

    kind: str
    value: str


def with_groups(db: Database, settings: Settings, pool: TrackPool, head: ModelRow | None) -> TrackPool:
    """The pool with what the groups lane may ask: the same pool where no group lacks answers and none ever did.

    Once the lane has asked, its part of the reserve stays closed to the audit: what it took would be missing among the
    audit's random tracks. head: the head that the plan asks; None: the lane rests.
    """
    with db.read() as conn:
        lacking = lacking_groups(conn, head.model_id) if head is not None and settings.acquisition.groups_share else []
        item = t.acquisition_queue.c
        asked = conn.scalar(sa.select(item.item_id).where(item.lane == GROUPS).limit(1)) is not None
        if not lacking and not asked:
            return pool
        examined = pool.reserve & examined_mask(pool.track, settings.seed)
        rows = np.flatnonzero(examined)
        bits = np.zeros(len(pool), np.uint8)
        if lacking and head is not None:
            bits[rows] = members(conn, head.model_id, pool.track[rows], lacking, settings.archive.timezone)
    if not bits.any():
        return replace(pool, examined=examined) if asked else pool
    return replace(pool, examined=examined, lacking=bits)


def waiting_for_groups(pool: TrackPool, lanes: Collection[str]) -> dict[str, int]:
    """What a round must remember for the weights of its answers; nothing where the lane asks nothing. lanes: of what
    is asked."""
    return {WAITING: int(np.count_nonzero(pool.may_examine()))} if GROUPS in lanes else {}


def lacking_groups(conn: sa.Connection, model_id: int) -> list[LackingGroup]:
    """Groups whose recall nobody can tell yet, by the newest fairness of a head, fewest answers first."""
    f = t.fairness_metric.c
    newest = sa.select(sa.func.max(f.watermark_seq)).where(f.model_id == model_id).scalar_subquery()
    rows = conn.execute(
        sa.select(f.slice_kind, f.slice_value, f.n, f.state)
        .where(f.model_id == model_id, f.watermark_seq == newest, f.name == "recall")
        .where(f.slice_kind.in_(("all", *OF_ANIMALS, *OF_VIDEOS)))
        .order_by(f.n, f.slice_kind, f.slice_value)
    ).all()
    if not any(r.slice_kind == "all" and r.n >= LEAST_AUDIT for r in rows):
        return []
    few = [r for r in rows if r.state == "too_few" and r.slice_kind != "all"]
    return [LackingGroup(r.slice_kind, r.slice_value) for r in few[:MOST_GROUPS]]


def members(
    conn: sa.Connection, model_id: int, track_id: I64Array, groups: Collection[LackingGroup], timezone: str
) -> np.ndarray:
    """Which tracks a head takes for members: u8 [n], bit g for the g-th group. track_id: i64 [n], increasing.

    By the first name that the head gives, also where it calls the animal unknown, and by camera and hour of the video.
    """
    bits = np.zeros(len(track_id), np.uint8)
    video_id = track_id // t.TRACKS_PER_VIDEO
    place, day, light = _videos(conn, timezone)
    known = individual_slices(conn)
    bit_of = {group: np.uint8(1 << g) for g, group in enumerate(groups)}
    for group, bit in bit_of.items():
        if group.kind in OF_VIDEOS:
            of = place if group.kind == "camera" else light
            videos = np.array([v for v, value in of.items() if value == group.value], np.int64)
            bits[np.isin(video_id, videos)] |= bit
    wanted = {(g.kind, g.value): bit for g, bit in bit_of.items() if g.kind in OF_ANIMALS}
    perhaps = [i for i in known.anim_id if _may_be(known, i, wanted)]
    p, i = t.prediction.c, t.individual.c
    for part in in_parts(perhaps):
        rows = conn.execute(
            sa.select(p.track_id, i.same_as_id, i.individual_id)
            .join_from(t.prediction, t.individual, i.individual_id == p.individual_id)
            .where(p.model_id == model_id, p.rank == t.FIRST_RANK)
            .where(sa.func.coalesce(i.same_as_id, i.individual_id).in_(part))
        ).all()
        here, row = located(track_id, np.array([r.track_id for r in rows], np.int64))
        for r, yes, at in zip(rows, here.tolist(), row.tolist(), strict=True):
            if yes:
                told = known.of(r.same_as_id or r.individual_id, day.get(int(video_id[at])))
                for kind in OF_ANIMALS:
                    bits[at] |= wanted.get((kind, told[kind]), np.uint8(0))
    return bits


def _may_be(known: Any, individual: int, wanted: dict[tuple[str, str], np.uint8]) -> bool:
    """Whether an individual can be of a wanted group on some day."""
    if ("matriline", known.matriline(individual)) in wanted or ("sex", known.sex.get(individual)) in wanted:
        return True
    return individual in known.born and any(kind == "age_class" for kind, _ in wanted)


def _videos(conn: sa.Connection, timezone: str) -> tuple[dict[int, str], dict[int, Any], dict[int, str]]:
    """Camera, day and light of each video."""
    zone = ZoneInfo(timezone)
    v = t.video.c
    rows = conn.execute(sa.select(v.video_id, place_of_video().label("camera"), v.recorded_on, v.recorded_at)).all()
    return (
        {r.video_id: r.camera for r in rows},
        {r.video_id: r.recorded_on for r in rows},
        {r.video_id: light_at(r.recorded_at, 0.0, zone) for r in rows},
    )
