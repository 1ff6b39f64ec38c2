"""Settings of what watches over the archive, the models and the people: one table of chimp.toml.

Belongs here: how often a false alarm may be raised, what an alert is given, whom it is told. Does not belong here:
passwords of mail servers and addresses with a key, which come from the environment.
"""

from __future__ import annotations

from pydantic import Field

from chimp_assets.settings.section import Section


class MonitoringSettings(Section):
    """What is noticed, and what follows from it."""

    false_alarms_per_year: float = Field(
        1.0, gt=0, le=52, description="of all cameras and signals together, where nothing changes"
    )
    reference_days: int = Field(182, ge=28, description="days before a block that it is compared with, at most")
    drift_share: float = Field(
        0.25,
        ge=0.05,
        le=0.8,
        description="share of a plan for what changed, while an alert is open; other lanes keep"
        " their proportions, and audit keeps its share",
    )
    labels_to_close: int = Field(
        12, ge=1, description="answers about what changed that the champion has learned from before an alert closes"
    )
    least_group: int = Field(5, ge=1, description="answers below which nothing is said of a group")
