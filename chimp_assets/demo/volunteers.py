"""Simulated volunteers: they say yes or no to "is this X?", err at a stated rate, and name nobody.

Belongs here: their accounts and answers. Does not belong here: the truth about tracks (`expert`), what their words say
together (`database.labels.evidence`).
"""

from __future__ import annotations

import uuid

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.labels.events import LabelEvent, record_events
from chimp_assets.database.people.users import PeopleError, add_user
from chimp_assets.database.work.queue import claim
from chimp_assets.demo.expert import ExpertError, SimulatedExpert

WRONG = 0.04
"""Share of their answers."""
NAMES = ("vera", "oskar")
_NAMESPACE = uuid.UUID("a7d6ed8e-3f70-5f0b-9a3e-0c9c6a7f4d21")
_CLAIMED = 100


class SimulatedVolunteers:
    """A few people with eyes and no names. The same person gives the same answer to the same question."""

    def __init__(self, expert: SimulatedExpert, n: int = len(NAMES), wrong: float = WRONG) -> None:
        self.expert, self.wrong = expert, wrong
        self.names = NAMES[:n]

    def introduce(self) -> None:
        """Stores them as users; does nothing the second time."""
        for name in self.names:
            try:
                add_user(self.expert.db, name, "volunteer")
            except PeopleError:
                continue  # from an earlier run of the demo

    def answer_queue(self) -> int:
        """Everybody answers what waits for them; the number of answers. Safe to repeat. Raises ExpertError."""
        return sum(self._answer_as(name) for name in self.names)

    def _answer_as(self, name: str) -> int:
        items = claim(self.expert.db, name, _CLAIMED, self.expert.lease_minutes, (t.IS_IT,))
        if not items:
            return 0
        with self.expert.db.read() as conn:
            q, i = t.acquisition_queue.c, t.individual.c
            asked = {
                row.item_id: row.anim_id
                for row in conn.execute(
                    sa.select(q.item_id, i.anim_id)
                    .join(t.individual, i.individual_id == q.individual_id)
                    .where(q.item_id.in_([item.item_id for item in items]))
                )
            }
        really = self.expert.really(item.track_id for item in items)
        events = []
        for item in items:
            rng = np.random.default_rng([self.expert.seed, 701, item.track_id, self.names.index(name)])
            is_it = really[item.track_id].anim_id == asked[item.item_id]
            said = is_it if rng.random() >= self.wrong else not is_it
            events.append(
                LabelEvent(
                    annotation_id=str(uuid.uuid5(_NAMESPACE, f"{self.expert.seed}|{name}|{item.item_id}")),
                    kind="is_individual" if said else "not_individual",
                    annotator=name,
                    lane=item.lane,
                    track_id=item.track_id,
                    anim_id=asked[item.item_id],
                    propensity=item.propensity,
                    item_id=item.item_id,
                    seconds=round(self.expert.prices.is_it * float(rng.uniform(0.75, 1.25)), 1),
                )
            )
        refused = [result for result in record_events(self.expert.db, events) if result.status == "rejected"]
        if refused:
            raise ExpertError(
                f"The answer {refused[0].annotation_id} of {name} was refused: {refused[0].reason}.",
                "This is a fault of the simulated volunteers; please report it.",
            )
        return len(events)
