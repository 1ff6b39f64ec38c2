"""A plan: how many tracks each lane asks, which, in what order, with what propensity and why.

Belongs here: `plan`, the one pass over the pool that its lanes share, the order of the items.
Does not belong here: the lanes (`lanes`), the shares (`policy`), SQL, settings and names of tables
(`chimp_assets.loop.plan`), pairs (`pairs`).

Lanes: `typical` (cold start), `frames` (most frames a second of the expert), `boundary` (small margins), `rare` (like
the few named tracks of an individual), `novel` (like nobody named), `drift` (of a camera and time that changed, while
an alert is open), `repeat` (asked before: do people agree with themselves?) and `audit` (a random sample of the audit
reserve: the only unbiased measure of accuracy). Training lanes never ask a track of the reserve or of a test day, and
the audit lane asks nothing but the reserve: no audit answer depends on what a model thought of the track. Where a group
has too few audit answers, `groups` takes part of the audit's items, from a part of the reserve of its own.

What is left to chance is stated: the audit, repeat and drift lanes are simple random samples, the boundary lane draws
members of strata where it is spread by cells. Every other choice follows from the pool alone, with propensity 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from chimp_assets.acquisition.duplicates import AskedTracks
from chimp_assets.acquisition.lanes import NEED_A_HEAD, PLANNED_LANES, TRAINING_LANES
from chimp_assets.acquisition.lanes.audit import audit
from chimp_assets.acquisition.lanes.draft import SPARE, Draft, LanePicks
from chimp_assets.acquisition.lanes.groups import groups
from chimp_assets.acquisition.lanes.novel import NOVEL_CANDIDATES
from chimp_assets.acquisition.lanes.rare import ANCHOR_NEIGHBOURS, rare_anchors
from chimp_assets.acquisition.lanes.repeat import repeat
from chimp_assets.acquisition.policy import (
    AUDIT,
    DRIFT,
    GROUPS,
    REPEAT,
    LaneError,
    Policy,
    candidate_count,
    share_out,
    with_drift,
)
from chimp_assets.acquisition.pool import BoolArray, EmbeddingError, F64Array, I64Array, LinearHead, TrackPool
from chimp_assets.acquisition.pool_pass.arithmetic import ArithmeticOf
from chimp_assets.acquisition.pool_pass.denials import without_denied
from chimp_assets.acquisition.pool_pass.on_cpu import OnCpu
from chimp_assets.acquisition.pool_pass.one_pass import one_pass
from chimp_assets.acquisition.selectors import MOST_CANDIDATES

__all__ = ["EmbeddingError", "LaneError", "Plan", "Policy", "plan"]


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


def plan(
    pool: TrackPool,
    head: LinearHead | None,
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
    audit_rng, repeat_rng, boundary_rng, drift_rng = rng.spawn(4)
    n_plain = int(np.count_nonzero(pool.may_audit()))
    for_groups = _for_groups(pool, policy, b, rng)
    wanted = share_out(
        policy.shares,
        b,
        n_train=int(np.count_nonzero(pool.may_name() if policy.shares.get("frames") else trainable)),
        n_audit=n_plain + for_groups,
        n_repeat=int(np.count_nonzero(pool.may_repeat())) if policy.shares.get(REPEAT) else 0,
    )
    if policy.drift_share and pool.drifted is not None:
        wanted = with_drift(wanted, b, policy.drift_share, int(np.count_nonzero(pool.may_drift())))
    lanes: dict[str, LanePicks] = {}
    if for_groups and wanted.get(AUDIT):
        # Of the audit's items, and no more than one of two: what is measured as a whole stays.
        for_groups = min(for_groups, wanted[AUDIT] if not n_plain else wanted[AUDIT] // 2)
        for_groups = max(for_groups, wanted[AUDIT] - n_plain)
        examined = groups(pool, for_groups, rng.spawn(1)[0])
        wanted[AUDIT] -= len(examined.rows)
        if len(examined.rows):
            lanes[GROUPS] = examined
    if wanted.get(AUDIT):
        lanes[AUDIT] = audit(pool, wanted[AUDIT], audit_rng)
    if wanted.get(REPEAT):
        lanes[REPEAT] = repeat(pool, wanted[REPEAT], repeat_rng)
    training = {lane: count for lane, count in wanted.items() if lane not in (AUDIT, REPEAT) and count}
    if training:
        draft = _open_draft(pool, head, policy, trainable, training, arithmetic)
        lanes |= _choose(draft, training, {DRIFT: drift_rng}, boundary_rng)
    return _interleave(lanes, head.version if head is not None else None)


def _for_groups(pool: TrackPool, policy: Policy, b: int, rng: np.random.Generator) -> int:
    """Items for groups with too few audit answers. Fractions are drawn, or small plans would never ask one."""
    if pool.lacking is None or not policy.groups_share:
        return 0
    rows = pool.may_examine()
    if not (pool.lacking[rows] > 0).any():
        return 0
    wanted = policy.groups_share * policy.shares.get(AUDIT, 0.0) * b
    return min(int(np.count_nonzero(rows)), int(wanted + rng.spawn(1)[0].random()))


def _choose(
    draft: Draft, training: Mapping[str, int], own: Mapping[str, np.random.Generator], rng: np.random.Generator
) -> dict[str, LanePicks]:
    """The training lanes one after the other; what one leaves, the next ask, and at the end the typical lane.

    own: the random numbers of lanes that come and go, so that the others draw the same with and without them.
    """
    lanes: dict[str, LanePicks] = {}
    left = sum(training.values())
    order = [lane for lane in TRAINING_LANES if lane in training]
    for lane in [*order, *(["typical"] if "typical" not in order else [])]:
        # What changed keeps to its share: others may be left with nothing to ask, it is not asked twice as much.
        last = (lane == order[-1] and lane != DRIFT) or lane not in order
        count = left if last else min(left, training[lane])
        if count <= 0:
            continue
        picks = TRAINING_LANES[lane].choose(draft, count, own.get(lane, rng))
        draft.take(picks.rows)
        left -= len(picks.rows)
        if len(picks.rows):
            lanes[lane] = picks
    return lanes


def _check(policy: Policy, head: LinearHead | None) -> None:
    for lane, share in policy.shares.items():
        if lane not in PLANNED_LANES:
            raise LaneError(f"the lane {lane!r} cannot be planned; these can: {', '.join(PLANNED_LANES)}")
        if share > 0 and lane in NEED_A_HEAD and (head is None or head.n_classes < 2):
            raise LaneError(f"the {lane} lane needs a head that knows two classes")


def _open_draft(
    pool: TrackPool,
    head: LinearHead | None,
    policy: Policy,
    trainable: BoolArray,
    training: Mapping[str, int],
    arithmetic: ArithmeticOf,
) -> Draft:
    """Looks once at the pool, for all lanes that need it."""
    if head is None or not set(training) & set(NEED_A_HEAD):
        nothing = np.empty(0, np.int64)
        return Draft(pool, head, policy, trainable, None, nothing, nothing, AskedTracks(pool))
    total = sum(training.values())
    anchors = rare_anchors(pool) if "rare" in training else np.empty(0, np.int64)
    nearest = candidate_count(len(pool), total, policy.spread_by)
    # Enough for the caps on videos, cameras and days to have a choice.
    looked_at = min(SPARE * max(nearest, 10 * total), max(nearest, MOST_CANDIDATES))
    # For those that give up their places because of what was denied of them.
    spare = 0 if pool.denied is None else min(looked_at, len(np.unique(pool.denied[:, 0])))
    found = one_pass(
        pool,
        head,
        # Each lane leaves out what it may not ask.
        pool.may_name() if "frames" in training else trainable,
        m_unsure=looked_at + spare if "boundary" in training else 0,
        m_novel=max(NOVEL_CANDIDATES, SPARE * training["novel"]) if "novel" in training else 0,
        anchors=pool.emb[anchors].astype(np.float32),
        per_anchor=ANCHOR_NEIGHBOURS,
        arithmetic=arithmetic,
        m_worthy=looked_at + spare if "frames" in training else 0,
        worth=policy.worth,
    )
    if found.n_bad:
        raise EmbeddingError(
            f"{found.n_bad} embeddings are not finite; the first is of track {pool.track[found.first_bad]}"
        )
    eligible = pool.may_name() if "frames" in training else trainable
    kept = tuple(looked_at if lane in training else 0 for lane in ("boundary", "frames"))
    found = without_denied(found, pool, head, eligible, policy.worth, (kept[0], kept[1]))
    return Draft(pool, head, policy, trainable, found, anchors, np.empty(0, np.int64), AskedTracks(pool))


def _interleave(lanes: dict[str, LanePicks], head_version: int | None) -> Plan:
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
