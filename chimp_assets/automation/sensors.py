"""The sensors: each asks one level-triggered question of SQL, and requests at most a few runs for it.

Discovery adds bundles and requests no runs. What runs next is asked of SQL and not of declarative automation, which
evaluates every partition of every asset at every tick and never asks for partitions that are there at its first tick.
Does not belong here: the questions (`database.work`) and the brakes (`brakes`).
"""

import hashlib
import json
import os
from datetime import UTC, datetime

import dagster as dg

from chimp_assets.assets.parts import bundles
from chimp_assets.automation import jobs
from chimp_assets.automation.brakes import BUNDLE_TAG, bundles_in_flight, held, in_flight
from chimp_assets.resources import HomeResource

LISTING_BUDGET_S = 40.0
"""Dagster ends a tick after 60 s; a listing that needs longer goes on at the next tick."""

RUNS_PER_TICK = 10
"""Runs requested at once: the queue stays short enough for new labels to be seen between bundles."""


def _seconds(name: str, default: int) -> int:
    """Least time between two ticks. The demo shortens it; nothing else should need to."""
    return int(os.environ.get(f"CHIMP_SENSOR_{name}_S", default))


def _ask(job_name: str, reason: str) -> dg.RunRequest:
    return dg.RunRequest(job_name=job_name, tags={"chimp/reason": reason[:200]})


def build_sensors() -> list[dg.SensorDefinition]:
    """All sensors. A function, because their intervals are settings and an import must not read the environment."""
    running = dg.DefaultSensorStatus.RUNNING

    @dg.sensor(
        minimum_interval_seconds=_seconds("NEW_VIDEOS", 60),
        default_status=running,
        description="Lists the archive into `bundle` and `video` rows and tells Dagster of new bundles. Requests "
        "no runs. A listing that fails fails the tick and changes nothing: it is not an empty "
        "archive.",
    )
    def new_videos(context: dg.SensorEvaluationContext, home: HomeResource) -> dg.SensorResult | dg.SkipReason:
        from chimp_assets.archive.catalogue.discover import discover
        from chimp_assets.database.footage.archive_state import listing_is_noted
        from chimp_assets.database.work import due as work

        opened = home.open()
        if not opened.settings.archive_url:
            return dg.SkipReason("No archive is set: `chimp ingest FOLDER`, or archive_url in chimp.toml.")
        with listing_is_noted(opened.database, opened.settings.secret_free_archive_url):
            found = discover(
                opened.database,
                opened.archive,
                opened.settings,
                deadline_s=LISTING_BUDGET_S,
                quiet_files=opened.settings.archive.files_per_tick,
                after=context.cursor or None,
            )
        with opened.database.read() as conn:
            keys = work.bundle_keys(conn)
        known = set(context.instance.get_dynamic_partitions("bundle"))
        missing = [key for key in keys if key not in known]
        if not missing and not found.changed:
            nothing = f"{found.listed} videos listed, {found.waiting} still being written, nothing new."
            return dg.SensorResult(skip_reason=nothing, cursor=found.resume_after or "")
        return dg.SensorResult(
            cursor=found.resume_after or "",
            dynamic_partitions_requests=[bundles.build_add_request(missing)] if missing else [],
            asset_events=[
                dg.AssetMaterialization(
                    "video_files",
                    metadata={
                        "listed": found.listed,
                        "new": found.new,
                        "replaced": found.replaced,
                        "returned": found.returned,
                        "retired": found.retired,
                        "other_files": found.ignored,
                        "waiting": found.waiting,
                    },
                )
            ]
            if found.changed
            else [],
        )

    @dg.sensor(
        jobs=[jobs.ingest_bundle],
        minimum_interval_seconds=_seconds("UNFINISHED_BUNDLES", 30),
        default_status=running,
        description="One run for each bundle that holds unfinished videos and is not in flight, oldest first, a "
        "few at a time.",
    )
    def unfinished_bundles(context: dg.SensorEvaluationContext, home: HomeResource) -> dg.SensorResult | dg.SkipReason:
        from chimp_assets.database.work import due as work

        opened = home.open()
        with opened.database.read() as conn:
            waiting = work.unfinished_bundles(conn)
            exhausted = work.exhausted_bundles(conn) if not waiting else []
        flying = bundles_in_flight(context.instance, jobs.ingest_bundle.name)
        free = max(RUNS_PER_TICK - len(flying), 0)
        known = set(context.instance.get_dynamic_partitions("bundle")) if waiting and free else set()
        ready = [key for key in waiting if key not in flying and key in known][:free]
        if not ready:
            given_up = f" {len(exhausted)} bundles failed too often: {', '.join(exhausted[:5])}." if exhausted else ""
            return dg.SkipReason(f"{len(waiting)} unfinished bundles, {len(flying)} in flight.{given_up}")
        return dg.SensorResult(
            run_requests=[
                dg.RunRequest(job_name=jobs.ingest_bundle.name, partition_key=key, tags={BUNDLE_TAG: key})
                for key in ready
            ]
        )

    @dg.sensor(
        jobs=[jobs.fit_embedder],
        minimum_interval_seconds=_seconds("FIRST_EMBEDDER", 30),
        default_status=running,
        description="The first embedder, once the tracks of the archive (or enough of them) are there.",
    )
    def first_embedder(context: dg.SensorEvaluationContext, home: HomeResource) -> dg.RunRequest | dg.SkipReason:
        from chimp_assets.database.work import due as work

        opened = home.open()
        with opened.database.read() as conn:
            due = work.embedder_due(conn, opened.settings)
        why_not = None if not due.due else held(context.instance, jobs.fit_embedder.name, [jobs.ingest_bundle.name])
        if not due.due or why_not:
            return dg.SkipReason(why_not or due.reason)
        return _ask(jobs.fit_embedder.name, due.reason)

    @dg.sensor(
        jobs=[jobs.fine_tune_embedder],
        minimum_interval_seconds=_seconds("BETTER_EMBEDDER", 120),
        default_status=running,
        description="A fine-tuning of the embedder, when named tracks are enough, and again when they have grown by a "
        "factor since the last one. A training that was killed is gone on with.",
    )
    def better_embedder(context: dg.SensorEvaluationContext, home: HomeResource) -> dg.RunRequest | dg.SkipReason:
        from chimp_assets.database.work import due as work

        opened = home.open()
        with opened.database.read() as conn:
            due = work.fine_tuning_due(conn, opened.settings)
        busy = [jobs.fit_embedder.name, jobs.rescore.name]
        why_not = None if not due.due else held(context.instance, jobs.fine_tune_embedder.name, busy)
        if not due.due or why_not:
            return dg.SkipReason(why_not or due.reason)
        return _ask(jobs.fine_tune_embedder.name, due.reason)

    @dg.sensor(
        jobs=[jobs.retrain],
        minimum_interval_seconds=_seconds("NEW_LABELS", 5),
        default_status=running,
        description="Retrains when enough labels have landed. Level-triggered on the watermark: a label that "
        "lands during a training is seen at the next tick, whatever happened between.",
    )
    def new_labels(context: dg.SensorEvaluationContext, home: HomeResource) -> dg.SensorResult:
        from chimp_assets.database.work import due as work

        opened = home.open()
        with opened.database.read() as conn:
            due = work.labels_due(conn, opened.settings, datetime.now(UTC))
            rows = work.label_rows(conn)
        why_not = None if not due.due else held(context.instance, jobs.retrain.name)
        asked = due.due and not why_not
        # What people wrote shows in the graph too: an event for each table that has grown since the last tick.
        before = json.loads(context.cursor) if context.cursor else {}
        grown = [table for table, count in rows.items() if count and count != before.get(table)]
        return dg.SensorResult(
            run_requests=[_ask(jobs.retrain.name, due.reason)] if asked else [],
            skip_reason=None if asked else dg.SkipReason(why_not or due.reason),
            asset_events=[
                dg.AssetMaterialization(table, metadata={"dagster/row_count": rows[table]}) for table in grown
            ],
            cursor=json.dumps(rows),
        )

    @dg.sensor(
        jobs=[jobs.rescore],
        minimum_interval_seconds=_seconds("CHAMPION_CHANGED", 15),
        default_status=running,
        description="Bundles without embeddings or predictions of the champions: one budgeted run at a time until "
        "none is left.",
    )
    def champion_changed(context: dg.SensorEvaluationContext, home: HomeResource) -> dg.RunRequest | dg.SkipReason:
        from chimp_assets.database.work import due as work

        opened = home.open()
        with opened.database.read() as conn:
            waiting = work.unscored_bundles(conn)
        if not waiting:
            return dg.SkipReason("Every bundle is scored by the champions.")
        why_not = held(context.instance, jobs.rescore.name, [jobs.fit_embedder.name])
        if why_not:
            return dg.SkipReason(why_not)
        return _ask(jobs.rescore.name, f"{len(waiting)} bundles lack embeddings or predictions of the champions")

    @dg.sensor(
        jobs=[jobs.replan],
        minimum_interval_seconds=_seconds("QUEUE_LOW", 15),
        default_status=running,
        description="A new plan when the queue runs low, unless a training or a re-scoring is about to make a "
        "better one.",
    )
    def queue_low(context: dg.SensorEvaluationContext, home: HomeResource) -> dg.RunRequest | dg.SkipReason:
        from chimp_assets.database.work import due as work

        opened = home.open()
        with opened.database.read() as conn:
            due = work.queue_due(conn, opened.settings)
            if not due.due:
                return dg.SkipReason(due.reason)
            training = work.labels_due(conn, opened.settings, datetime.now(UTC))
            unscored = work.unscored_bundles(conn)
        if training.due or unscored:
            return dg.SkipReason("a training or a re-scoring comes first, and plans at its end")
        coming = in_flight(context.instance, [jobs.retrain.name, jobs.rescore.name])
        why_not = f"{coming[0]} is queued or running" if coming else held(context.instance, jobs.replan.name)
        if why_not:
            return dg.SkipReason(why_not)
        return _ask(jobs.replan.name, due.reason)

    @dg.sensor(
        jobs=[jobs.make_pictures],
        minimum_interval_seconds=_seconds("MISSING_PICTURES", 60),
        default_status=running,
        description="Pictures for tracks that are asked without any. What could not be made is asked for once more, "
        "and again when others join it.",
    )
    def missing_pictures(context: dg.SensorEvaluationContext, home: HomeResource) -> dg.SensorResult | dg.SkipReason:
        from chimp_assets.database.work import due as work

        opened = home.open()
        with opened.database.read() as conn:
            lacking = work.tracks_without_pictures(conn)
        if not lacking:
            return dg.SkipReason("Every track that is asked has its pictures.")
        which = hashlib.sha256(json.dumps(lacking).encode()).hexdigest()
        if context.cursor == which:
            return dg.SkipReason(f"The pictures of {len(lacking)} tracks could not be made: see the last run.")
        why_not = held(context.instance, jobs.make_pictures.name)
        if why_not:
            return dg.SkipReason(why_not)
        asked = _ask(jobs.make_pictures.name, f"{len(lacking)} tracks are asked without pictures")
        return dg.SensorResult(run_requests=[asked], cursor=which)

    @dg.run_failure_sensor(
        default_status=running,
        monitored_jobs=[*jobs.JOBS],
        description="Writes each failed run into `audit_event`, where `chimp status` and the progress page show it.",
    )
    def run_failed(context: dg.RunFailureSensorContext, home: HomeResource) -> None:
        from chimp_assets.database.people.users import record_audit_event

        run = context.dagster_run
        record_audit_event(
            home.open().database,
            action="run_failed",
            subject=f"{run.job_name} {run.tags.get(BUNDLE_TAG, '')}".strip(),
            detail={"run_id": run.run_id, "message": context.failure_event.message or ""},
        )

    return [
        new_videos,
        unfinished_bundles,
        first_embedder,
        better_embedder,
        new_labels,
        champion_changed,
        queue_low,
        missing_pictures,
        run_failed,
    ]
