"""How a batch is shared out over lanes, and how alike its tracks may be.

Belongs here: `Policy`, the arithmetic of shares, how many candidates compete for a pick.
Does not belong here: what the lanes do (`lanes`), settings (`chimp_assets.loop.plan` makes a policy of them).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from chimp_assets.acquisition.minutes.worth import FrameWorth
from chimp_assets.acquisition.selectors.candidates import MOST_CANDIDATES
from chimp_assets.settings import SpreadBy

Phase = Literal["cold", "warm"]

AUDIT, GROUPS, REPEAT, DRIFT = "audit", "groups", "repeat", "drift"


class LaneError(ValueError):
    """A policy names a lane that cannot be planned."""


@dataclass(frozen=True)
class Policy:
    """How a batch is shared out, and how alike its tracks may be.

    shares: lane -> share, adding up to 1. identity_cap, video_cap, place_cap: largest share of the picks of the
    boundary lane, and of the frames lane, with one predicted class, of one video, of one camera and day; each in
    (0, 1], passed only where nothing else is left. value_weight: how far the number of boxes that an answer names, and
    the seconds it takes, enter in the boundary lane (0: not at all; 1: in proportion, within a factor of two).
    duplicate_likeness: cosine from which two tracks of one video are asked once. drift_share: of the batch, for what
    changed (`TrackPool.drifted`), taken from the other training lanes in proportion. groups_share: part of the audit's
    items that goes to groups with too few answers, where there are some. worth: what the frames lane takes a track to
    be worth.
    """

    phase: Phase
    shares: Mapping[str, float]
    identity_cap: float = 0.25
    video_cap: float = 0.1
    place_cap: float = 0.34
    value_weight: float = 0.25
    duplicate_likeness: float = 0.97
    spread_by: SpreadBy = "distance"
    drift_share: float = 0.0
    groups_share: float = 0.0
    worth: FrameWorth = field(default_factory=FrameWorth)


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


def with_drift(wanted: Mapping[str, int], b: int, share: float, n_drifted: int) -> dict[str, int]:
    """The items of `share_out` with a share of b, rounded up, for what changed; audit and repeat keep what they had.

    n_drifted: tracks of it that may be asked. The other training lanes shrink in proportion (largest remainders).
    """
    training = {lane: n for lane, n in wanted.items() if lane not in (AUDIT, REPEAT)}
    total = sum(training.values())
    taken = min(math.ceil(share * b - 1e-9), n_drifted, total)
    if taken <= 0:
        return dict(wanted)
    exact = {lane: n * (total - taken) / total for lane, n in training.items()}
    left = {lane: math.floor(x + 1e-9) for lane, x in exact.items()}
    for lane in sorted(exact, key=lambda lane: (left[lane] - exact[lane], lane))[: total - taken - sum(left.values())]:
        left[lane] += 1
    return {**wanted, **left, DRIFT: taken}


def candidate_count(n_pool: int, b: int, spread_by: SpreadBy = "distance") -> int:
    """How many of the smallest margins compete for b picks: 2 a pick (cells: 1.25), of large pools one in a thousand.

    Cluster-Margin's own choice on small sets is 1.25: in the replay a tenth of the pool cost a point of accuracy, since
    margins then chose nothing. Its ten a pick are for batches of 100,000; never more are taken here, nor 50,000.
    """
    few = math.ceil((2.0 if spread_by == "distance" else 1.25) * b)
    return max(b, min(MOST_CANDIDATES, 10 * b, max(few, n_pool // 1000)))
