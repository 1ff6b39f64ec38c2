"""The frames lane: the tracks whose answers name most frames for each second that they take.

Long tracks first, doubtful ones a little later than sure ones, which cost less; where the machine's name is carried
already only its being wrong is gained. In a replay of real animals nothing else names an archive in fewer minutes
(docs/research/acquisition.md).

Belongs here: the order, the caps, the reasons people read. Does not belong here: what a track is worth
(`minutes.worth`), finding those worth most (`pool_pass`).
"""

from __future__ import annotations

import numpy as np

from chimp_assets.acquisition.groups import spread
from chimp_assets.acquisition.lanes.draft import Draft, LanePicks


def frames(draft: Draft, count: int, rng: np.random.Generator) -> LanePicks:
    """The tracks worth most, as far as the caps on cameras and days, videos and individuals allow."""
    assert draft.head is not None  # the lane needs a head, so the pass was made
    assert draft.found is not None
    found = draft.choosable(draft.found.worthy)
    groups = [*draft.capped_groups(found.rows, count), (found.top1, draft.identity_cap(count))]
    picked = found.at(spread(np.arange(len(found.rows)), groups)[:count])
    n = draft.pool.value[picked.rows]
    seconds, counted = draft.policy.worth.seconds(picked.probability), draft.policy.worth.counts(picked.probability)
    reasons = [
        frames_reason(int(n[i]), float(seconds[i]), draft.head.name_of(int(picked.top1[i])), float(p), bool(counted[i]))
        for i, p in enumerate(picked.probability)
    ]
    return LanePicks(picked.rows, np.ones(len(picked.rows)), reasons)


def frames_reason(n: int, seconds: float, name: str, probability: float, counts: bool) -> str:
    """The sentence beside a track. n: its frames; seconds: expected; name: whom the model says; counts: whether that
    name is carried without a person."""
    return (
        f"{n:,} {'frame' if n == 1 else 'frames'} for some {max(2, round(seconds))} seconds: "
        f"the model says {name} ({probability:.0%})."
        + (" That name counts already; you are asked because so many frames would be wrong with it." if counts else "")
    )
