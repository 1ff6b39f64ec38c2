"""The one place that wires: assets, checks, jobs, sensors, schedules and resources become Definitions.

Belongs here: the wiring. Does not belong here: anything else. Lists live where their members do: assets and checks are
what the modules of those rooms define, jobs, sensors and schedules what `automation` builds. Importing this module
imports no torch, av or azure.
"""

from __future__ import annotations

from typing import Any

import dagster as dg

from chimp_assets import assets, checks
from chimp_assets.automation.jobs import JOBS
from chimp_assets.automation.schedules import SCHEDULES
from chimp_assets.automation.sensors import build_sensors
from chimp_assets.resources import build_resources


def build_definitions(**overrides: Any) -> dg.Definitions:
    """Everything that Dagster shows. overrides replace resources by name (`home`, `compute`), as tests do."""
    return dg.Definitions(
        assets=dg.load_assets_from_package_module(assets, include_specs=True),
        asset_checks=dg.load_asset_checks_from_package_module(checks),
        jobs=JOBS,
        sensors=build_sensors(),
        schedules=SCHEDULES,
        resources=build_resources(**overrides),
    )


defs = build_definitions()
