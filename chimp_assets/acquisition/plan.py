"""A plan: how many tracks each lane asks, which, in what order, with what propensity and why.

Belongs here: `plan`, its policy, the lanes that can be planned and the sentences people read beside a track.
Does not belong here: SQL, settings and names of tables (`chimp_assets.loop.plan`); pairs (`pairs`).

Lanes: `typical` (cold start), `boundary` (small margins), `rare` (like the few named tracks of an individual), `novel`
(like nothing that was named), `repeat` (asked before: do people agree with themselves?) and `audit` (a random sample of
the audit reserve: the only unbiased measure of accuracy). Training lanes never ask a track of the reserve or of a test
day, and the audit lane asks nothing but the reserve, so that an audit answer never depends on what a model thought of
the track.

What is left to chance is stated: the audit and repeat lanes are simple random samples, the boundary lane draws members
of strata where it is spread by cells, and every other choice follows from the pool alone, so that its propensity is 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from chimp_assets.acquisition.cells import cells_of
from chimp_assets.acquisition.duplicates import Asked
from chimp_assets.acquisition.pool import (
    UNLABELLED,
    BoolArray,
    F32Array,
    F64Array,
    Head,
    I32Array,
    I64Array,
    TrackPool,
    draw_rows,
)
from chimp_assets.acquisition.scores import ArithmeticOf, Candidates, OnCpu, Swept, class_probabilities, sweep
from chimp_assets.acquisition.selectors import (
    MOST_CANDIDATES,
    AnchorNeighbours,
    Choice,
    ClusterMargin,
    FarthestMargin,
    NovelCells,
    TypicalCells,
    spread,
)

Phase = Literal["cold", "warm"]
SpreadBy = Literal["distance", "cells"]

AUDIT, REPEAT = "audit", "repeat"

MOST_CELLS = 512
"""TypiClust caps its clusters at 500: beyond, cells are too small for density to mean anything."""

COLD_CANDIDATES = 8_192
"""Drawn from what may be asked: k-means and densities of these take half a CPU second, whatever the pool."""

MOST_ASKED = 8_192
"""Tracks asked before from which the boundary lane keeps its distance; of more a sample."""

COVERED_SAMPLE = 2_048
"""Tracks asked before that mark cells as covered."""

MOST_ANCHORS = 64
"""Named tracks of rare individuals whose neighbours are looked for: their cosines cost what 64 classes cost."""

ANCHOR_NEIGHBOURS = 20
FEW_TRACKS = 5
"""Individuals with fewer named tracks are rare."""

NOVEL_CANDIDATES = 4_096
SPARE = 4
"""A lane looks at so many times more tracks than it asks, for those that drop out as duplicates."""


@dataclass(frozen=True)
class Policy:
    """How a batch is shared out, and how alike its tracks may be.

    shares: lane -> share, adding up to 1. identity_cap, video_cap, place_cap: largest share of the boundary lane's
    picks with one predicted class, of one video, of one camera and day; each in (0, 1], passed only where nothing else
    is left. value_weight: how far the number of boxes that an answer names, and the seconds it takes, enter (0: not at
    all; 1: in proportion, within a factor of two). duplicate_likeness: cosine from which two tracks of one video are
    asked once.
    """

    phase: Phase
    shares: Mapping[str, float]
    identity_cap: float = 0.25
    video_cap: float = 0.1
    place_cap: float = 0.34
    value_weight: float = 0.25
    duplicate_likeness: float = 0.97
    spread_by: SpreadBy = "distance"


@dataclass(frozen=True)
class Plan:
    """Items in the order to ask them: rows i64 [b] of the pool, lanes, propensity f64 [b] in (0, 1], reasons."""

    rows: I64Array
    lanes: list[str]
    propensity: F64Array
    reasons: list[str]
    head_version: int | None

    def __len__(self) -> int:
        return len(self.rows)


class LaneError(ValueError):
    """A policy names a lane that cannot be planned."""


class EmbeddingError(ValueError):
    """Embeddings that are not numbers: whoever made them must mend them, a plan cannot."""


@dataclass(frozen=True)
class _Lane:
    rows: I64Array
    propensity: F64Array
    reasons: list[str]


@dataclass
class _Desk:
    """What the lanes of one plan share. open: rows that training lanes may still ask, fewer after each lane; chosen:
    those that they ask already; asked: those of earlier plans."""

    pool: TrackPool
    head: Head | None
    policy: Policy
    open: BoolArray
    swept: Swept | None
    anchors: I64Array
    chosen: I64Array
    asked: Asked

    def take(self, rows: I64Array) -> None:
        """A lane asks these."""
        self.open[rows] = False
        self.chosen = np.concatenate([self.chosen, rows])

    def asked_already(self, rows: I64Array) -> BoolArray:
        """Which rows need no question of their own: bool [m]."""
        return self.asked.already(rows, self.policy.duplicate_likeness, self.chosen)

    def choosable(self, found: Candidates) -> Candidates:
        """The candidates that no lane has taken and that were not asked in another guise, best first."""
        found = found.at(self.open[found.rows])
        return found.at(~self.asked_already(found.rows))


def plan(
    pool: TrackPool,
    head: Head | None,
    policy: Policy,
    b: int,
    rng: np.random.Generator,
    arithmetic: ArithmeticOf = OnCpu,
) -> Plan:
    """The next b tracks to ask; fewer if fewer may be asked. Every prefix keeps about the policy's shares.

    What one lane cannot fill the others ask. The same pool, head, policy and rng state give the same plan, whatever
    the arithmetic (up to margins that differ by rounding only). No track comes twice, nor its duplicate; none is
    labelled (but in the repeat lane) or in flight. Raises LaneError for an unknown lane or one without the head it
    needs, EmbeddingError for vectors that are not finite.
    """
    _check(policy, head)
    trainable = pool.may_train()
    audit_rng, repeat_rng, boundary_rng = rng.spawn(3)
    wanted = share_out(
        policy.shares,
        b,
        n_train=int(np.count_nonzero(trainable)),
        n_audit=int(np.count_nonzero(pool.may_audit())),
        n_repeat=int(np.count_nonzero(pool.may_repeat())) if policy.shares.get(REPEAT) else 0,
    )
    lanes: dict[str, _Lane] = {}
    if wanted.get(AUDIT):
        lanes[AUDIT] = _audit(pool, wanted[AUDIT], audit_rng)
    if wanted.get(REPEAT):
        lanes[REPEAT] = _repeat(pool, wanted[REPEAT], repeat_rng)
    training = {lane: count for lane, count in wanted.items() if lane not in (AUDIT, REPEAT) and count}
    if training:
        desk = _desk(pool, head, policy, trainable, training, arithmetic)
        left = sum(training.values())
        # The lanes that may come up short first; what they leave, and what is left at the end, the next ones ask.
        order = [lane for lane in _LANES if lane in training]
        for lane in [*order, *(["typical"] if "typical" not in order else [])]:
            last = lane == order[-1] or lane not in order
            count = left if last else min(left, training[lane])
            if count <= 0:
                continue
            chosen = _LANES[lane](desk, count, boundary_rng)
            desk.take(chosen.rows)
            left -= len(chosen.rows)
            if len(chosen.rows):
                lanes[lane] = chosen
    return _interleave(lanes, head.version if head is not None else None)


def share_out(shares: Mapping[str, float], b: int, *, n_train: int, n_audit: int, n_repeat: int = 0) -> dict[str, int]:
    """Items of each lane: largest remainders, at least one audit of any two, then what is left over to who has more.

    n_train, n_audit and n_repeat say how many tracks the training lanes, the audit and the repeat lane may ask. Adds up
    to min(b, n_train + n_audit), or to more by repeats, where both kinds of lane have a share above 0.
    """
    exact = {lane: share * b for lane, share in shares.items() if share > 0}
    wanted = {lane: math.floor(x + 1e-9) for lane, x in exact.items()}
    by_remainder = sorted(exact, key=lambda lane: (wanted[lane] - exact[lane], lane))
    for lane in by_remainder[: b - sum(wanted.values())]:
        wanted[lane] += 1
    largest = max(wanted, key=lambda lane: (wanted[lane], lane))
    if b >= 2 and wanted.get(AUDIT) == 0:
        wanted[AUDIT], wanted[largest] = 1, wanted[largest] - 1
    if REPEAT in wanted:
        wanted[REPEAT] = min(wanted[REPEAT], n_repeat)
        b -= wanted[REPEAT]
    training = sorted((lane for lane in wanted if lane not in (AUDIT, REPEAT)), key=lambda lane: (-exact[lane], lane))
    audits = min(n_audit, max(wanted.get(AUDIT, 0), b - n_train)) if AUDIT in wanted else 0
    room = min(n_train, b - audits)
    planned = sum(wanted[lane] for lane in training)
    if training and planned < room:
        wanted[training[0]] += room - planned
    for lane in training:
        wanted[lane] = min(wanted[lane], room)
        room -= wanted[lane]
    if AUDIT in wanted:
        wanted[AUDIT] = audits
    return wanted


def candidate_count(n_pool: int, b: int, spread_by: SpreadBy = "distance") -> int:
    """How many of the smallest margins compete for b picks: 2 a pick (cells: 1.25), of large pools one in a thousand.

    Cluster-Margin's own choice on small sets is 1.25: in the replay a tenth of the pool cost a point of accuracy, since
    margins then chose nothing. Its ten a pick are for batches of 100,000; never more are taken here, nor 50,000.
    """
    few = math.ceil((2.0 if spread_by == "distance" else 1.25) * b)
    return max(b, min(MOST_CANDIDATES, 10 * b, max(few, n_pool // 1000)))


def _check(policy: Policy, head: Head | None) -> None:
    for lane, share in policy.shares.items():
        if lane not in PLANNED_LANES:
            raise LaneError(f"the lane {lane!r} cannot be planned; these can: {', '.join(PLANNED_LANES)}")
        if share > 0 and lane in NEED_A_HEAD and (head is None or head.n_classes < 2):
            raise LaneError(f"the {lane} lane needs a head that knows two classes")


def _desk(
    pool: TrackPool,
    head: Head | None,
    policy: Policy,
    trainable: BoolArray,
    training: Mapping[str, int],
    arithmetic: ArithmeticOf,
) -> _Desk:
    """Looks once at the pool, for all lanes that need it."""
    if head is None or not set(training) & set(NEED_A_HEAD):
        nothing = np.empty(0, np.int64)
        return _Desk(pool, head, policy, trainable, None, nothing, nothing, Asked(pool))
    total = sum(training.values())
    anchors = rare_anchors(pool) if "rare" in training else np.empty(0, np.int64)
    nearest = candidate_count(len(pool), total, policy.spread_by)
    swept = sweep(
        pool,
        head,
        trainable,
        # Enough for the caps on videos, cameras and days to have a choice.
        m_unsure=min(SPARE * max(nearest, 10 * total), max(nearest, MOST_CANDIDATES)),
        m_novel=max(NOVEL_CANDIDATES, SPARE * training["novel"]) if "novel" in training else 0,
        anchors=pool.emb[anchors].astype(np.float32),
        per_anchor=ANCHOR_NEIGHBOURS,
        arithmetic=arithmetic,
    )
    if swept.n_bad:
        raise EmbeddingError(
            f"{swept.n_bad} embeddings are not finite; the first is of track {pool.track[swept.first_bad]}"
        )
    return _Desk(pool, head, policy, trainable, swept, anchors, np.empty(0, np.int64), Asked(pool))


def rare_anchors(pool: TrackPool) -> I64Array:
    """Named tracks of individuals with fewer than FEW_TRACKS of them, the rarest first, at most MOST_ANCHORS. i64.

    Answers of the audit lane are not looked at.
    """
    n_named = pool.named_tracks()
    named = pool.learnt_of(np.flatnonzero((n_named > 0) & (n_named < FEW_TRACKS)))
    who = pool.state[named]
    return named[np.lexsort((named, who, n_named[who]))][:MOST_ANCHORS]


def _audit(pool: TrackPool, count: int, rng: np.random.Generator) -> _Lane:
    mask = pool.may_audit()
    waiting = int(np.count_nonzero(mask))
    rows = draw_rows(mask, count, rng)
    reason = f"Drawn at random to measure accuracy: {len(rows)} of {waiting} tracks that wait in the audit reserve."
    return _Lane(rows, np.full(len(rows), len(rows) / max(1, waiting)), [reason] * len(rows))


def _repeat(pool: TrackPool, count: int, rng: np.random.Generator) -> _Lane:
    mask = pool.may_repeat()
    rows = draw_rows(mask, count, rng)
    # Nothing that says it was asked before: a person who knows would look up the first answer, in mind or on paper.
    reason = "Drawn at random to measure how sure answers are."
    return _Lane(rows, np.full(len(rows), len(rows) / max(1, int(np.count_nonzero(mask)))), [reason] * len(rows))


def _typical(desk: _Desk, count: int, rng: np.random.Generator) -> _Lane:
    pool, own = desk.pool, _own_rng(desk.pool)
    rows = np.sort(draw_rows(desk.open, max(SPARE * count, COLD_CANDIDATES), own))
    _refuse_what_is_not_finite(pool, rows)
    rows = rows[~desk.asked_already(rows)]
    covered = np.sort(desk.asked.sample(COVERED_SAMPLE, own))
    emb = pool.emb[rows]
    k = min(MOST_CELLS, len(covered) + count)
    cell = cells_of(np.concatenate([emb, pool.emb[covered]]), k, int(own.integers(1 << 31)))
    load = np.bincount(cell[len(rows) :], minlength=int(cell.max(initial=0)) + 1)
    mine = cell[: len(rows)]
    zeros = np.zeros(len(rows), np.float32)
    choice = TypicalCells(load).select(rows, emb, zeros, mine, zeros.astype(np.int32), count, own)
    size = np.bincount(mine, minlength=len(load))
    reasons = [
        f"The most typical of {size[c]} tracks that look alike, "
        + (f"{load[c]} of them asked before." if load[c] else "none of them asked before.")
        for c in mine[choice.positions]
    ]
    return _Lane(rows[choice.positions], choice.propensity, reasons)


def _boundary(desk: _Desk, count: int, rng: np.random.Generator) -> _Lane:
    assert desk.head is not None  # _check
    assert desk.swept is not None
    pool, policy = desk.pool, desk.policy
    found = desk.choosable(desk.swept.unsure)
    score = -((1 - found.margin) * worth(pool, found.rows, policy.value_weight))
    ranked = spread(np.lexsort((found.rows, score)), _groups(pool, found.rows, policy, count))
    ranked = ranked[: candidate_count(len(pool), count, policy.spread_by)]
    kept, score = found.at(ranked), score[ranked]
    choice = _BY[policy.spread_by](desk, kept, score, count, rng)
    rows = kept.rows[choice.positions]
    return _Lane(rows, choice.propensity, _wavering(pool.emb, desk.head, rows))


def _by_distance(desk: _Desk, kept: Candidates, score: F32Array, count: int, rng: np.random.Generator) -> Choice:
    pool, policy = desk.pool, desk.policy
    asked = np.sort(np.concatenate([desk.asked.sample(MOST_ASKED, _own_rng(pool)), desk.chosen]))
    nothing = np.zeros(len(kept.rows), np.int32)
    # More than are asked, so that the caps have a choice.
    ranked = FarthestMargin(pool.emb[asked], len(kept.rows)).select(
        kept.rows, pool.emb[kept.rows], score, nothing, kept.top1, 2 * count, rng
    )
    groups = [*_groups(pool, kept.rows, policy, count), (kept.top1, max(1, math.ceil(policy.identity_cap * count)))]
    chosen = spread(ranked.positions, groups)[:count]
    return Choice(chosen, ranked.propensity[: len(chosen)])


def _by_cells(desk: _Desk, kept: Candidates, score: F32Array, count: int, rng: np.random.Generator) -> Choice:
    # The caps on videos and places came before the draw, so that chances are exact: what a cap leaves out nobody draws.
    emb = desk.pool.emb[kept.rows]
    k = min(MOST_CELLS, 2 * count, max(1, len(emb) // 2))
    cell = cells_of(emb, k, int(_own_rng(desk.pool).integers(1 << 31)))
    selector = ClusterMargin(nearest=len(kept.rows), cap=max(1, math.ceil(desk.policy.identity_cap * count)))
    return selector.select(kept.rows, emb, score, cell, kept.top1, count, rng)


_BY: Mapping[SpreadBy, Callable[[_Desk, Candidates, F32Array, int, np.random.Generator], Choice]] = {
    "distance": _by_distance,
    "cells": _by_cells,
}


def worth(pool: TrackPool, rows: I64Array, weight: float) -> F32Array:
    """What an answer to each row is worth beside the others: boxes named for each second, f32 [m] in [0.5, 2]."""
    factor = np.ones(len(rows), np.float32)
    if weight > 0 and len(rows):
        rate = pool.value[rows] / (pool.cost[rows] if pool.cost is not None else np.float32(1))
        factor = np.clip((rate / max(float(np.median(rate)), 1e-9)) ** np.float32(weight), 0.5, 2).astype(np.float32)
    return factor


def _groups(pool: TrackPool, rows: I64Array, policy: Policy, count: int) -> list[tuple[I32Array, int]]:
    kinds = ((pool.place, policy.place_cap), (pool.video, policy.video_cap))
    return [(group[rows], max(1, math.ceil(cap * count))) for group, cap in kinds if group is not None]


def _rare(desk: _Desk, count: int, rng: np.random.Generator) -> _Lane:
    assert desk.head is not None  # _check
    assert desk.swept is not None
    pool, near = desk.pool, desk.swept.neighbours
    # A row is the neighbour of the anchor that it is most like.
    order = np.lexsort((near.anchor, -near.likeness, near.rows))
    order = order[np.r_[True, near.rows[order][1:] != near.rows[order][:-1]]] if len(order) else order
    order = order[np.argsort(-near.likeness[order], kind="stable")]
    margin = margins_of(pool, desk.head, near.rows[order])
    nothing = np.zeros(len(order), np.int32)
    found = desk.choosable(Candidates(near.rows[order], margin, nothing, near.likeness[order]))
    place = {int(row): i for i, row in zip(near.anchor[order], near.rows[order], strict=True)}
    anchor = np.array([place[int(row)] for row in found.rows], np.int64)
    who = pool.state[desk.anchors[anchor]] if len(anchor) else np.empty(0, np.int32)
    n_named = pool.named_tracks()
    rarest = np.lexsort((who, [n_named[w] for w in who])) if len(who) else np.empty(0, np.int64)
    rank = {int(w): i for i, w in reversed(list(enumerate(who[rarest])))}
    anchor_of = np.array([rank[int(w)] for w in who], np.int32)
    choice = AnchorNeighbours(anchor_of).select(
        found.rows, pool.emb[found.rows], found.margin - found.maxlogit, nothing, found.top1, count, rng
    )
    reasons = [
        f"Looks like {desk.head.name_of_individual(int(w))}, of whom {n_named[w]} "
        + ("track is" if n_named[w] == 1 else "tracks are")
        + " named so far."
        for w in who[choice.positions]
    ]
    return _Lane(found.rows[choice.positions], choice.propensity, reasons)


def margins_of(pool: TrackPool, head: Head, rows: I64Array) -> F32Array:
    """Margins of a few rows: p1 - p2. f32 [m]."""
    found = [np.empty(0, np.float32)]
    for low in range(0, len(rows), 1024):
        two = np.partition(class_probabilities(pool.emb[rows[low : low + 1024]], head), -2, axis=1)[:, -2:]
        found.append(two[:, 1] - two[:, 0])
    return np.concatenate(found)


def _novel(desk: _Desk, count: int, rng: np.random.Generator) -> _Lane:
    assert desk.swept is not None  # _check
    pool, own = desk.pool, _own_rng(desk.pool)
    found = desk.choosable(desk.swept.novel)
    covered = np.sort(desk.asked.sample(COVERED_SAMPLE, own))
    emb = pool.emb[found.rows]
    k = min(MOST_CELLS, max(count, (len(emb) + len(covered)) // 8))
    cell = cells_of(np.concatenate([emb, pool.emb[covered]]), k, int(own.integers(1 << 31)))
    load = np.bincount(cell[len(emb) :], minlength=int(cell.max(initial=0)) + 1)
    mine = cell[: len(emb)]
    choice = NovelCells(load).select(found.rows, emb, found.maxlogit, mine, found.top1, count, own)
    size = np.bincount(mine, minlength=len(load))
    reasons = [
        ("Nobody like this has been named yet" if not load[c] else "Hardly like anybody who has been named")
        + (f": {size[c]} tracks look alike." if size[c] > 1 else ".")
        for c in mine[choice.positions]
    ]
    return _Lane(found.rows[choice.positions], choice.propensity, reasons)


def _refuse_what_is_not_finite(pool: TrackPool, rows: I64Array) -> None:
    bad = rows[~np.isfinite(pool.emb[rows]).all(axis=1)]
    if len(bad):
        raise EmbeddingError(f"{len(bad)} embeddings are not finite; the first is of track {pool.track[bad[0]]}")


def _own_rng(pool: TrackPool) -> np.random.Generator:
    """For choices that follow from the pool alone: other answers give other cells, the caller's seed does not."""
    return np.random.default_rng([20, len(pool), int(np.count_nonzero(pool.state != UNLABELLED))])


def _wavering(emb: np.ndarray, head: Head, rows: I64Array) -> list[str]:
    reasons = []
    for low in range(0, len(rows), 1024):
        probability = class_probabilities(emb[rows[low : low + 1024]], head)
        first_two = np.argsort(-probability, axis=1, kind="stable")[:, :2]
        for p, (a, b) in zip(probability, first_two, strict=True):
            reasons.append(
                f"The model wavers between {head.name_of(int(a))} ({p[a]:.0%}) and {head.name_of(int(b))} ({p[b]:.0%})."
            )
    return reasons


def _interleave(lanes: dict[str, _Lane], head_version: int | None) -> Plan:
    """Lanes mixed evenly, each in its own order: people stop in the middle, and the next plan withdraws the rest."""
    names = sorted(lanes)
    due = np.concatenate([(np.arange(len(lanes[n].rows)) + 0.5) / len(lanes[n].rows) for n in names] or [np.empty(0)])
    lane_no = np.repeat(np.arange(len(names)), [len(lanes[n].rows) for n in names])
    order = np.lexsort((lane_no, due))
    reasons = [reason for n in names for reason in lanes[n].reasons]
    return Plan(
        rows=np.concatenate([lanes[n].rows for n in names] or [np.empty(0, np.int64)])[order],
        lanes=[names[lane_no[i]] for i in order],
        propensity=np.concatenate([lanes[n].propensity for n in names] or [np.empty(0)])[order],
        reasons=[reasons[i] for i in order],
        head_version=head_version,
    )


_LANES: dict[str, Callable[[_Desk, int, np.random.Generator], _Lane]] = {
    "rare": _rare,
    "novel": _novel,
    "boundary": _boundary,
    "typical": _typical,
}
"""In the order in which they choose: those that may find too little come first."""

NEED_A_HEAD = ("boundary", "rare", "novel")
PLANNED_LANES = (AUDIT, *sorted(_LANES), REPEAT)
"""Lanes that have a selector."""
