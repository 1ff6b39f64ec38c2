"""A retraining, when enough labels have landed. Does not belong here: how many that is (`database.work`)."""

import json
from datetime import UTC, datetime

import dagster as dg

from chimp_assets.automation import jobs
from chimp_assets.automation.sensors.requests import RUNNING, request, seconds
from chimp_assets.resources import HomeResource


def build() -> dg.SensorDefinition:
    """The sensor `new_labels`."""

    @dg.sensor(
        jobs=[jobs.retrain],
        minimum_interval_seconds=seconds("NEW_LABELS", 5),
        default_status=RUNNING,
        description="Retrains when enough labels have landed. Level-triggered on the watermark: a label that lands "
        "during a training is seen at the next tick, whatever happens in between.",
    )
    def new_labels(context: dg.SensorEvaluationContext, home: HomeResource) -> dg.SensorResult:
        from chimp_assets.database.work.due import label_rows, labels_due

        opened = home.open()
        with opened.database.read() as conn:
            due = labels_due(conn, opened.settings, datetime.now(UTC))
            rows = label_rows(conn)
        answer = request(context.instance, jobs.retrain.name, due.reason) if due.due else dg.SkipReason(due.reason)
        # What people wrote shows in the graph too: an event for each table that has grown since the last tick.
        before = json.loads(context.cursor) if context.cursor else {}
        grown = [table for table, count in rows.items() if count and count != before.get(table)]
        return dg.SensorResult(
            run_requests=[answer] if isinstance(answer, dg.RunRequest) else [],
            skip_reason=answer if isinstance(answer, dg.SkipReason) else None,
            asset_events=[
                dg.AssetMaterialization(table, metadata={"dagster/row_count": rows[table]}) for table in grown
            ],
            cursor=json.dumps(rows),
        )

    return new_labels
