"""How far the names can be trusted, and what they cost: audit, calibration, promise, fairness, alerts, minutes.

Belongs here: reading the newest measurements, as the pages of models, fairness, drift and the first page do. Does not
belong here: measuring.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from chimp_assets.insight.fairness import FairnessReport, fairness
from chimp_assets.insight.goal import ArchiveGoal, PromiseState, archive_goal, promise_state
from chimp_assets.insight.models import CalibrationBin, ModelSummary, measurement, model_summaries
from chimp_assets.insight.status import LabelReturns, bought_of
from chimp_assets.monitoring.alerts import OPEN, Alert, alerts


@dataclass(frozen=True)
class Honesty:
    """What is known of the names. head: the champion, None before the first; calibration: (said, right) in bins;
    promise: None before the first look; fairness: None where it was never measured; alerts: those that are open;
    goal: None before the first forecast; bought: what the labels achieved, None where it was not measured."""

    head: ModelSummary | None
    calibration: list[CalibrationBin]
    calibration_error: float | None
    promise: PromiseState | None
    fairness: FairnessReport | None
    alerts: list[Alert]
    goal: ArchiveGoal | None
    bought: LabelReturns | None

    @property
    def minutes(self) -> float | None:
        """Minutes of the expert so far: as of the newest forecast, else of the newest measurement of returns."""
        if self.goal is not None:
            return self.goal.spent_minutes
        return None if self.bought is None else self.bought.minutes


def honesty_of(conn: sa.Connection) -> Honesty:
    """The newest measurements of the champion head and of the archive; some hundred rows."""
    head = next((one for one in model_summaries(conn) if one.task == "head" and one.state == "champion"), None)
    measured = None if head is None else measurement(conn, head.model_id)
    whole = {} if measured is None else {one.name: one.value for one in measured.whole}
    return Honesty(
        head=head,
        calibration=[] if measured is None else measured.reliability,
        calibration_error=whole.get("ece"),
        promise=promise_state(conn),
        fairness=fairness(conn),
        alerts=alerts(conn, (OPEN,)),
        goal=archive_goal(conn),
        bought=bought_of(conn),
    )
