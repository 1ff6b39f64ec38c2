"""A plan: how many tracks each lane asks, which, in what order, with what propensity and why.

Belongs here: `plan`, its policy, the lanes that can be planned and the sentences people read beside a track.
Does not belong here: SQL, settings and names of tables (`chimp_assets.planning`).

Lanes: `typical` (cold start), `boundary` (small margins, needs a head), `audit` (a random sample of the audit reserve:
the only unbiased measure of accuracy). Training lanes never ask a track of the reserve or of a test day, and the audit
lane asks nothing but the reserve, so that an audit answer never depends on what a model thought of the track.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from chimp_assets.acquisition.cells import cells_of
from chimp_assets.acquisition.pool import BoolArray, F64Array, Head, I64Array, TrackPool, draw_rows
from chimp_assets.acquisition.scores import class_probabilities, prefilter
from chimp_assets.acquisition.selectors import MOST_CANDIDATES, ClusterMargin, TypicalCells

Phase = Literal["cold", "warm"]

AUDIT = "audit"

MOST_CELLS = 512
"""TypiClust caps its clusters at 500: beyond, cells are too small for density to mean anything."""

COLD_CANDIDATES = 8_192
"""Drawn at random from what may be asked: k-means and densities of these take half a CPU second, whatever the pool."""

COVERED_SAMPLE = 2_048
"""Tracks asked before, drawn at random, that mark cells as covered."""


@dataclass(frozen=True)
class Policy:
    """How a batch is shared out. shares: lane -> share, adding up to 1; identity_cap: largest share of the boundary
    lane's picks with one predicted class, in (0, 1]."""

    phase: Phase
    shares: Mapping[str, float]
    identity_cap: float = 0.25


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


@dataclass(frozen=True)
class _Lane:
    rows: I64Array
    propensity: F64Array
    reasons: list[str]


def plan(pool: TrackPool, head: Head | None, policy: Policy, b: int, rng: np.random.Generator) -> Plan:
    """The next b tracks to ask; fewer if fewer may be asked. Every prefix keeps about the policy's shares.

    What one lane cannot fill the others ask. The same pool, head, policy and rng state give the same plan. No track
    comes twice; none is labelled or in flight. Raises LaneError for an unknown lane or a boundary lane without a head.
    """
    _check(policy, head)
    trainable = pool.may_train()
    audit_rng, lane_rng = rng.spawn(2)
    wanted = share_out(
        policy.shares, b, n_train=int(np.count_nonzero(trainable)), n_audit=int(np.count_nonzero(pool.may_audit()))
    )
    lanes: dict[str, _Lane] = {}
    for lane, lane_seed in zip(sorted(wanted), lane_rng.spawn(len(wanted)), strict=True):
        count = wanted[lane]
        if count == 0:
            continue
        if lane == AUDIT:
            lanes[lane] = _audit(pool, count, audit_rng)
            continue
        chosen = _LANES[lane](pool, head, policy, trainable, count, lane_seed)
        trainable[chosen.rows] = False
        lanes[lane] = chosen
    return _interleave(lanes, head.version if head is not None else None)


def share_out(shares: Mapping[str, float], b: int, *, n_train: int, n_audit: int) -> dict[str, int]:
    """Items of each lane: largest remainders, at least one audit of any two, then what is left over to who has more.

    n_train and n_audit say how many tracks the training lanes and the audit lane may ask. Adds up to
    min(b, n_train + n_audit) where both kinds of lane have a share above 0.
    """
    exact = {lane: share * b for lane, share in shares.items() if share > 0}
    wanted = {lane: math.floor(x + 1e-9) for lane, x in exact.items()}
    by_remainder = sorted(exact, key=lambda lane: (wanted[lane] - exact[lane], lane))
    for lane in by_remainder[: b - sum(wanted.values())]:
        wanted[lane] += 1
    largest = max(wanted, key=lambda lane: (wanted[lane], lane))
    if b >= 2 and wanted.get(AUDIT) == 0:
        wanted[AUDIT], wanted[largest] = 1, wanted[largest] - 1
    training = sorted((lane for lane in wanted if lane != AUDIT), key=lambda lane: (-exact[lane], lane))
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


def candidate_count(n_pool: int, b: int) -> int:
    """How many of the smallest margins compete for b picks: 10 a pick or 1 % of the pool, at most 50,000.

    In a small pool never more than a tenth of it or 1.25 a pick (Cluster-Margin's own choice on small sets), else the
    margin would choose nothing.
    """
    few = max(math.ceil(1.25 * b), n_pool // 10)
    return max(b, min(MOST_CANDIDATES, max(min(10 * b, few), n_pool // 100)))


def _check(policy: Policy, head: Head | None) -> None:
    for lane, share in policy.shares.items():
        if lane not in PLANNED_LANES:
            raise LaneError(f"the lane {lane!r} cannot be planned; these can: {', '.join(PLANNED_LANES)}")
        if share > 0 and lane == "boundary" and (head is None or head.n_classes < 2):
            raise LaneError("the boundary lane needs a head that knows two classes")


def _audit(pool: TrackPool, count: int, rng: np.random.Generator) -> _Lane:
    mask = pool.may_audit()
    waiting = int(np.count_nonzero(mask))
    rows = draw_rows(mask, count, rng)
    reason = f"Drawn at random to measure accuracy: {len(rows)} of {waiting} tracks that wait in the audit reserve."
    return _Lane(rows, np.full(len(rows), len(rows) / max(1, waiting)), [reason] * len(rows))


def _typical(
    pool: TrackPool, head: Head | None, policy: Policy, trainable: BoolArray, count: int, rng: np.random.Generator
) -> _Lane:
    rows = np.sort(draw_rows(trainable, max(count, COLD_CANDIDATES), rng))
    covered = np.sort(draw_rows(pool.covered(), COVERED_SAMPLE, rng))
    emb = pool.emb[rows]
    k = min(MOST_CELLS, len(covered) + count)
    cell = cells_of(np.concatenate([emb, pool.emb[covered]]), k, int(rng.integers(1 << 31)))
    load = np.bincount(cell[len(rows) :], minlength=int(cell.max(initial=0)) + 1)
    mine = cell[: len(rows)]
    zeros = np.zeros(len(rows), np.float32)
    choice = TypicalCells(load).select(rows, emb, zeros, mine, zeros.astype(np.int32), count, rng)
    size = np.bincount(mine, minlength=len(load))
    reasons = [
        f"The most typical of {size[c]} tracks that look alike, "
        + (f"{load[c]} of them asked before." if load[c] else "none of them asked before.")
        for c in mine[choice.positions]
    ]
    return _Lane(rows[choice.positions], choice.propensity, reasons)


def _boundary(
    pool: TrackPool, head: Head | None, policy: Policy, trainable: BoolArray, count: int, rng: np.random.Generator
) -> _Lane:
    assert head is not None  # _check
    nearest = candidate_count(len(pool), count)
    found = prefilter(pool, head, nearest, trainable)
    emb = pool.emb[found.rows]
    cell = cells_of(emb, min(MOST_CELLS, 2 * count, max(1, len(emb) // 2)), int(rng.integers(1 << 31)))
    selector = ClusterMargin(nearest=nearest, cap=max(1, math.ceil(policy.identity_cap * count)))
    choice = selector.select(found.rows, emb, found.margin, cell, found.top1, count, rng)
    return _Lane(
        found.rows[choice.positions], choice.propensity, _wavering(pool.emb, head, found.rows[choice.positions])
    )


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


_LANES: dict[str, Callable[[TrackPool, Head | None, Policy, BoolArray, int, np.random.Generator], _Lane]] = {
    "typical": _typical,
    "boundary": _boundary,
}

PLANNED_LANES = (AUDIT, *sorted(_LANES))
"""Lanes that have a selector."""
