"""What an answer is worth to the plan that is being made: prices, chances and the threshold of names, at its watermark.

Belongs here: reading them, and estimating from the pool itself how far it is named. Does not belong here: the names in
SQL (`names`), which tracks are asked (`acquisition`).

A plan takes its head as it is, also where its names are not all written yet; so it looks at a sample of the pool
instead of reading every prediction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa

from chimp_assets.acquisition.minutes.calibration import fit
from chimp_assets.acquisition.minutes.goal import (
    BY_A_PERSON,
    NAMELESS,
    NOBODY_ASKED,
    ArchiveNames,
    Goal,
    Reach,
    reach,
)
from chimp_assets.acquisition.minutes.prices import Prices
from chimp_assets.acquisition.minutes.worth import FrameWorth
from chimp_assets.acquisition.pool import (
    CANNOT_TELL,
    FOLLOWS,
    IN_FLIGHT,
    PROVISIONAL,
    UNLABELLED,
    LinearHead,
    TrackPool,
    draw_rows,
)
from chimp_assets.acquisition.scores import class_probabilities
from chimp_assets.arrays import BoolArray, F64Array, I64Array, located
from chimp_assets.database.individuals.merges import as_merged, merged_ids
from chimp_assets.database.labels.promises.goals import current_goal
from chimp_assets.loop.minutes.names import audit_truth
from chimp_assets.loop.minutes.prices import learned_prices

if TYPE_CHECKING:
    from chimp_assets.settings import Settings

SAMPLE = 1 << 16
"""Tracks that nobody was asked about, of which the share that is named is estimated: a percent or so, in 0.1 s."""
_AT_ONCE = 2_048


@dataclass(frozen=True)
class PlanGround:
    """What SQL knows of prices and chances. audit_track: i64 [k]; truth: i64 [k], individuals as merged, below 0 where
    a person called the animal unknown; same: merged individuals."""

    prices: Prices
    goal: Goal
    audit_track: I64Array
    truth: I64Array
    same: dict[int, int]


def read_plan_ground(conn: sa.Connection, settings: Settings, watermark_seq: int) -> PlanGround:
    """As of a watermark of labels, in the snapshot of the plan."""
    same, wanted = merged_ids(conn), current_goal(conn, settings)
    truth = audit_truth(conn, watermark_seq, same)
    return PlanGround(learned_prices(conn, watermark_seq), Goal(wanted.named, wanted.error), *truth, same)


def frame_worth(
    pool: TrackPool, head: LinearHead, ground: PlanGround, rng: np.random.Generator
) -> tuple[FrameWorth, Reach]:
    """What frames are worth with a head, and how far it names the pool. rng: for the sample."""
    here, row = located(pool.track, ground.audit_track)
    probability, who = head_names(pool, head, row[here])
    line = fit(probability, as_merged(who, ground.same) == ground.truth[here])
    rows, n = _nobody_asked(pool)
    drawn = draw_rows(rows, SAMPLE, rng) if n > SAMPLE else np.flatnonzero(rows)
    chance = line.of(head_names(pool, head, drawn)[0])
    frames = pool.value[drawn].astype(np.float64) * (n / max(1, len(drawn)))
    named, nameless = (_frames_of(pool, mask) for mask in (pool.state >= 0, _without_a_name(pool)))
    names = ArchiveNames(
        np.r_[frames, named, nameless],
        np.r_[chance, 0.0, 0.0],
        np.r_[np.full(len(drawn), NOBODY_ASKED), BY_A_PERSON, NAMELESS].astype(np.int8),
    )
    found = reach(names, ground.goal)
    return FrameWorth(found.threshold, line, ground.prices), found


def head_names(pool: TrackPool, head: LinearHead, rows: I64Array) -> tuple[F64Array, I64Array]:
    """The probability and the individual of the head's first name of some rows: f64 [m], i64 [m]."""
    probability, class_no = np.zeros(len(rows)), np.zeros(len(rows), np.int64)
    for low in range(0, len(rows), _AT_ONCE):
        piece = slice(low, low + _AT_ONCE)
        every = np.nan_to_num(class_probabilities(pool.emb[rows[piece]], head))
        class_no[piece] = every.argmax(axis=1)
        probability[piece] = every.max(axis=1)
    return probability, np.array(head.classes or range(head.n_classes), np.int64)[class_no]


def _nobody_asked(pool: TrackPool) -> tuple[BoolArray, int]:
    rows = pool.state == UNLABELLED
    for state in (IN_FLIGHT, FOLLOWS):
        rows |= pool.state == state
    return rows, int(np.count_nonzero(rows))


def _without_a_name(pool: TrackPool) -> BoolArray:
    return (pool.state == PROVISIONAL) | (pool.state == CANNOT_TELL)


def _frames_of(pool: TrackPool, rows: BoolArray) -> float:
    return float(np.sum(pool.value, where=rows, dtype=np.float64))
