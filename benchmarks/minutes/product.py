"""The product's plan as a policy: its pool, head and lanes, pages where they pay, audits.

Belongs here: what `loop.plan` does for a running archive, on the arrays of a replay. Does not belong here: foils
(`policies`), the plan itself (`chimp_assets.acquisition`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from benchmarks.label_efficiency.strategies import SHARPNESS
from benchmarks.minutes.moment import Ask, Moment
from chimp_assets.acquisition.minutes.pages import AskableTracks, pages_worth_asking
from chimp_assets.acquisition.minutes.worth import FrameWorth
from chimp_assets.acquisition.plan import AUDIT, REPEAT, Policy, plan
from chimp_assets.acquisition.pool import UNLABELLED, LinearHead, TrackPool
from chimp_assets.loop.plan import half_is_well_known
from chimp_assets.settings import AcquisitionSettings, GateSettings

FORMER = {"boundary": 0.65, "rare": 0.05, "novel": 0.05, "audit": 0.22}
"""The lanes before minutes counted, without the repeated ones: a replay has nothing to repeat."""


def _without_repeats(shares: Mapping[str, float]) -> dict[str, float]:
    kept = {lane: share for lane, share in shares.items() if lane != REPEAT}
    return {lane: share / sum(kept.values()) for lane, share in kept.items()}


@dataclass(frozen=True)
class PlannedLanes:
    """The product's plan. shares: of a warm plan; cold: answers before it may be warm; judged: warm only when the audit
    says that the head is worth asking, as before minutes counted; pages: where they pay; identity_cap, video_cap: as in
    `Policy`."""

    shares: Mapping[str, float] = field(default_factory=lambda: AcquisitionSettings().warm_shares)
    cold: int = 20
    judged: bool = False
    pages: bool = False
    identity_cap: float = AcquisitionSettings().identity_cap
    video_cap: float = AcquisitionSettings().video_cap

    def __call__(self, moment: Moment, b: int) -> list[Ask]:
        """A plan of b tracks, or a page."""
        pool = pool_of(moment)
        head = head_of(moment) if self._warm(moment, pool) else None
        if head is not None and self.pages:
            page = page_of(moment, moment.names.chance, moment.reach.threshold)
            if page is not None:
                return [page]
        shares = _without_repeats(self.shares)
        if head is None:
            shares = AcquisitionSettings().cold_shares
        line = {} if moment.guesses is None else {"line": moment.guesses.line}
        policy = Policy(
            "warm" if head is not None else "cold", shares, identity_cap=self.identity_cap, video_cap=self.video_cap,
            worth=FrameWorth(moment.reach.threshold, prices=moment.prices, **line),
        )  # fmt: skip
        made = plan(pool, head, policy, b, moment.rng)
        rows = pool.track[made.rows]
        return [Ask(rows[i : i + 1], audit=lane == AUDIT) for i, lane in enumerate(made.lanes)]

    def _warm(self, moment: Moment, pool: TrackPool) -> bool:
        if moment.guesses is None or len(moment.taught) + len(moment.audited) < self.cold:
            return False
        if not self.judged:
            return True
        if len(moment.audited) < GateSettings().min_audit_labels:
            return False
        right = moment.guesses.first[moment.audited] == moment.named[moment.audited]
        return bool(right.mean() >= AcquisitionSettings().warm_accuracy) or half_is_well_known(pool.state, pool.reserve)


def page_of(moment: Moment, chance: np.ndarray, threshold: float) -> Ask | None:
    """The product's best page, None where single questions name more frames a second. chance: f64 [all tracks]."""
    if moment.guesses is None:
        return None
    rows = moment.trainable
    tracks = AskableTracks(moment.frames[rows], chance[rows], moment.guesses.first[rows])
    pages = pages_worth_asking(tracks, moment.prices, threshold, 1)
    return Ask(rows[pages[0].rows], pages[0].individual) if pages else None


def pool_of(moment: Moment) -> TrackPool:
    """The archive as the product's plan sees it: what has entered."""
    rows = np.union1d(moment.open_rows, np.flatnonzero(moment.named >= 0))
    return TrackPool(
        moment.vectors[rows].astype(np.float16), rows.astype(np.int64),
        np.where(moment.named[rows] >= 0, moment.named[rows], UNLABELLED).astype(np.int32),
        moment.frames[rows].astype(np.float32), moment.reserve[rows], np.zeros(len(rows), bool),
        video=moment.group[rows].astype(np.int32),
    )  # fmt: skip


def head_of(moment: Moment) -> LinearHead | None:
    """The ridge as the product's plan sees it."""
    if moment.guesses is None:
        return None
    ridge = moment.guesses.ridge
    return LinearHead(
        (SHARPNESS * ridge.weight[:-1].T).astype(np.float32),
        (SHARPNESS * ridge.weight[-1]).astype(np.float32),
        classes=tuple(ridge.classes.tolist()),
    )
