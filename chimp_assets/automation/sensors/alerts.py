"""Telling people of alerts, by webhook and mail. Does not belong here: whom, what and how often (`monitoring`)."""

import dagster as dg

from chimp_assets.automation.sensors.requests import RUNNING, seconds
from chimp_assets.resources import HomeResource


def build() -> dg.SensorDefinition:
    """The sensor `alerts`."""

    @dg.sensor(
        minimum_interval_seconds=seconds("ALERTS", 30),
        default_status=RUNNING,
        description="Tells people of each open alert once, by the ways that `[monitoring]` names. Requests no runs. "
        "Level-triggered on `alert_message`: what a killed tick left is finished by a later one, with the same key.",
    )
    def alerts(context: dg.SensorEvaluationContext, home: HomeResource) -> dg.SkipReason:
        from chimp_assets.monitoring.messages.telling import tell

        opened = home.open()
        wanted = opened.settings.monitoring
        if not (wanted.webhook or wanted.mail_to):
            return dg.SkipReason("Nobody is told of alerts: see monitoring.webhook and monitoring.mail_to.")
        done = tell(opened)
        for channel, why in {**done.failed, **done.unusable}.items():
            context.log.warning(f"{channel}: {why}")
        return dg.SkipReason(done.in_words())

    return alerts
