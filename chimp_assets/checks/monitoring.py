"""What a person should know of what is watched. A warning: nothing is broken, and no run fails because of it."""

import dagster as dg

from chimp_assets.assets.parts import markdown_table
from chimp_assets.resources import HomeResource


@dg.asset_check(asset="drift")
def no_open_alerts(home: HomeResource) -> dg.AssetCheckResult:
    """No change waits for a person or for labels: `chimp drift list`."""
    from chimp_assets.monitoring.alerts import OPEN, alerts
    from chimp_assets.monitoring.words import sentence

    with home.open().database.read() as conn:
        found = alerts(conn, [OPEN])
    return dg.AssetCheckResult(
        passed=not found,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "alerts": len(found),
            "sentences": markdown_table([{"alert": one.alert_id, "what changed": sentence(one)} for one in found]),
        },
    )
