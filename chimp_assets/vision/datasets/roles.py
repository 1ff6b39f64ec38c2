"""Which recording days teach an embedder, which end its training and which judge it.

Belongs here: the roles of days and their shares. Does not belong here: which tracks may be learned from at all
(`training_set`), learning and judging (`embedding`).
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np

from chimp_assets.vision.datasets.training_set import Members
from chimp_assets.vision.models.checkpoint import ModelError

JUDGING_SHARE = 0.2
"""Share of the recording days that judge every candidate and teach none, today and after the next thousand labels."""
STOPPING_SHARE = 0.1
"""Share of the recording days that decide when a training stops."""


class DayRoles(NamedTuple):
    """Which members teach, which end the training, which judge: bool [n] each, exactly one of them for each member."""

    teaches: np.ndarray
    stops: np.ndarray
    judges: np.ndarray


def roles_of_days(members: Members, seed: int) -> DayRoles:
    """The roles of members by a hash of their recording day, so a day keeps its role for ever.

    Raises ModelError if a role that must be there has no day.
    """
    share = {
        day: int.from_bytes(hashlib.blake2b(f"{seed} {day}".encode(), digest_size=7).digest(), "big") / 2.0**56
        for day in sorted(set(members.day))
    }
    drawn = np.array([share[day] for day in members.day])
    judges = drawn < JUDGING_SHARE
    stops = (drawn >= JUDGING_SHARE) & (drawn < JUDGING_SHARE + STOPPING_SHARE)
    teaches = ~judges & ~stops
    if not judges.any() or not teaches.any() or len(np.unique(members.class_id[teaches])) < 2:
        raise ModelError(
            f"The labels come from {len(share)} recording days, of which none is left to"
            f" {'judge an embedder' if teaches.any() else 'learn from'}.",
            "Label tracks of more days.",
        )
    return DayRoles(teaches, stops, judges)
