"""The lanes of a plan, one a file: which tracks each asks, and the sentence that people read beside a track.

Belongs here: the lanes and their order. A new training lane is a file with one function like `typical`, a line in
TRAINING_LANES and a name in the table's list (`database.schema.LANES`).
Does not belong here: how many tracks each asks (`policy`), how they are mixed (`plan`), pairs (`pairs`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chimp_assets.acquisition.lanes.boundary import boundary
from chimp_assets.acquisition.lanes.draft import ChooseTracks
from chimp_assets.acquisition.lanes.drift import drift
from chimp_assets.acquisition.lanes.frames import frames
from chimp_assets.acquisition.lanes.novel import novel
from chimp_assets.acquisition.lanes.rare import rare
from chimp_assets.acquisition.lanes.typical import typical
from chimp_assets.acquisition.policy import AUDIT, DRIFT, REPEAT


@dataclass(frozen=True)
class TrainingLane:
    """A lane whose answers models learn from. needs_head: it looks at what the pass over the pool found."""

    choose: ChooseTracks
    needs_head: bool


TRAINING_LANES: Mapping[str, TrainingLane] = {
    DRIFT: TrainingLane(drift, needs_head=False),
    "rare": TrainingLane(rare, needs_head=True),
    "novel": TrainingLane(novel, needs_head=True),
    "frames": TrainingLane(frames, needs_head=True),
    "boundary": TrainingLane(boundary, needs_head=True),
    "typical": TrainingLane(typical, needs_head=False),
}
"""In the order in which they choose: a random sample before anybody has chosen, then those that may find too little."""

NEED_A_HEAD = tuple(name for name, lane in TRAINING_LANES.items() if lane.needs_head)
PLANNED_LANES = (AUDIT, *sorted(TRAINING_LANES.keys() - {DRIFT}), REPEAT)
"""Lanes that a policy may name; what changed has its share while an alert is open (`Policy.drift_share`)."""
