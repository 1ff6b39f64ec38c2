"""What the sensors ask for, on real homes and real ephemeral Dagster instances."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
import sqlalchemy as sa

from chimp_assets.automation.brakes import BUNDLE_TAG, held, keeps_failing
from chimp_assets.database import schema as t
from chimp_assets.database.people.users import record_audit_event
from chimp_assets.database.work import due
from chimp_assets.database.work.stamps import changed_at, stamp_of_work
from chimp_assets.database.work.watching import watch_due as due_watch
from chimp_assets.definitions import build_definitions
from chimp_assets.monitoring.alerts import open_alert
from chimp_assets.resources import HomeResource
from chimp_assets_tests.support.rows import add_bundle, add_embedding_file, add_model, add_track, add_video, name_tracks


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.fixture
def tick(home, instance):
    """Evaluates a sensor by name against the home and the instance."""
    repository = build_definitions().get_repository_def()

    def evaluate(name: str, cursor: str | None = None) -> dg.SensorResult:
        with dg.build_sensor_context(
            cursor=cursor,
            instance=instance,
            repository_def=repository,
            sensor_name=name,
            resources={"home": HomeResource(path=str(home.settings.home))},
        ) as context:
            answer = repository.get_sensor_def(name)(context)
        if isinstance(answer, dg.RunRequest):
            return dg.SensorResult(run_requests=[answer])
        return dg.SensorResult(skip_reason=answer) if isinstance(answer, dg.SkipReason) else answer

    return evaluate


def test_a_new_bundle_is_made_known_before_it_is_asked_for(home, instance, tick):
    """A run request for a partition that Dagster does not know fails the whole tick."""
    add_bundle(home.database, 1, "gombe-0001")
    add_video(home.database, 1, 1, "registered")

    assert not tick("unfinished_bundles").run_requests

    instance.add_dynamic_partitions("bundle", ["gombe-0001"])
    requests = tick("unfinished_bundles").run_requests
    assert [(r.partition_key, r.tags[BUNDLE_TAG]) for r in requests] == [("gombe-0001", "gombe-0001")]


def test_a_finished_bundle_asks_for_nothing(home, instance, tick):
    add_bundle(home.database, 1)
    add_video(home.database, 1, 1, "tracked")
    add_video(home.database, 2, 1, "failed")
    instance.add_dynamic_partitions("bundle", ["site-0001"])
    assert not tick("unfinished_bundles").run_requests


def test_a_bundle_in_flight_is_not_asked_for_twice(home, instance, tick):
    add_bundle(home.database, 1)
    add_video(home.database, 1, 1, "registered")
    instance.add_dynamic_partitions("bundle", ["site-0001"])
    job = build_definitions().get_repository_def().get_job("ingest_bundle")
    instance.create_run_for_job(job, tags={BUNDLE_TAG: "site-0001"}, status=dg.DagsterRunStatus.STARTED)

    assert not tick("unfinished_bundles").run_requests


def test_a_bundle_whose_runs_keep_dying_is_given_up_and_named(home, instance, tick):
    """Without a limit, one tape that kills its run would start runs for ever."""
    add_bundle(home.database, 1, "cursed")
    add_video(home.database, 1, 1, "registered")
    instance.add_dynamic_partitions("bundle", ["cursed"])
    for _ in range(due.MAX_ATTEMPTS):
        assert len(tick("unfinished_bundles").run_requests) == 1
        due.begin_attempt(home.database, "cursed")

    result = tick("unfinished_bundles")
    assert not result.run_requests
    assert "cursed" in result.skip_reason.skip_message

    due.finish_attempt(home.database, "cursed")
    assert len(tick("unfinished_bundles").run_requests) == 1


def test_discovery_adds_partitions_and_requests_no_runs(home, instance, tick, tmp_path, monkeypatch):
    archive = tmp_path / "archive" / "site" / "cam"
    archive.mkdir(parents=True)
    (archive / "a.mp4").write_bytes(b"not a video")
    monkeypatch.setenv("CHIMP_ARCHIVE_URL", str(tmp_path / "archive"))

    result = tick("new_videos")

    assert not result.run_requests
    with home.database.read() as conn:
        keys = due.bundle_keys(conn)
    assert len(keys) == 1
    assert [list(request.partition_keys) for request in result.dynamic_partitions_requests] == [keys]


def test_a_listing_that_fails_is_not_an_empty_archive(home, instance, tick, tmp_path, monkeypatch):
    """A drive that is unplugged for an hour must not retire its videos."""
    archive = tmp_path / "archive"
    archive.mkdir()
    (archive / "a.mp4").write_bytes(b"not a video")
    monkeypatch.setenv("CHIMP_ARCHIVE_URL", str(archive))
    tick("new_videos")
    archive.rename(tmp_path / "unplugged")

    with pytest.raises(Exception, match="archive"):
        tick("new_videos")

    with home.database.read() as conn:
        assert list(conn.scalars(sa.select(t.video.c.state))) == ["registered"]


def _labelled_home(home, n: int = 30):
    add_bundle(home.database, 1)
    add_model(home.database, 1, "detector")
    add_video(home.database, 1, 1, "tracked")
    return [add_track(home.database, 1, ordinal) for ordinal in range(n)]


def test_labels_below_the_minimum_start_no_training(home, tick):
    tracks = _labelled_home(home)
    name_tracks(home.database, tracks[: home.settings.head.min_labels - 1])
    assert not tick("new_labels").run_requests


def test_audit_answers_alone_start_no_training(home, tick):
    """Audit answers never train a model, so a training on them would change nothing."""
    tracks = _labelled_home(home)
    name_tracks(home.database, tracks, lane="audit")
    assert not tick("new_labels").run_requests


def test_enough_labels_start_one_training_and_the_question_stays_until_it_is_answered(home, tick, instance):
    """An edge-triggered sensor loses the labels that land while a training runs; a level does not."""
    tracks = _labelled_home(home)
    name_tracks(home.database, tracks[:20])
    assert [r.job_name for r in tick("new_labels").run_requests] == ["retrain"]
    assert [r.job_name for r in tick("new_labels").run_requests] == ["retrain"]

    job = build_definitions().get_repository_def().get_job("retrain")
    instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    assert not tick("new_labels").run_requests


def test_what_people_wrote_shows_in_the_graph_once_for_each_change(home, tick):
    """The event log is never purged: a row in it at every tick would outgrow the archive."""
    name_tracks(home.database, _labelled_home(home)[:3])
    first = tick("new_labels")
    told = {event.asset_key.to_user_string(): event.metadata["dagster/row_count"].value for event in first.asset_events}
    assert told == {"annotations": 3, "individuals": 2}
    assert not tick("new_labels", cursor=first.cursor).asset_events


def _trained(home, watermark: int, minutes_ago: float, with_model: bool = True):
    with home.database.write() as conn:
        conn.execute(
            sa.insert(t.training_set).values(
                task="head", watermark_seq=watermark, split_seed=1, n_tracks=20, n_classes=1, member_uri="m",
                member_hash="0" * 64, created_at=datetime.now(UTC) - timedelta(minutes=minutes_ago),
            )
        )  # fmt: skip
        training_set_id = conn.scalar(sa.select(sa.func.max(t.training_set.c.training_set_id)))
    if with_model:
        add_model(home.database, 100 + training_set_id, "head", "refused", training_set_id=training_set_id)


def test_a_training_waits_for_new_labels_and_for_the_cool_down(home, tick):
    tracks = _labelled_home(home, 60)
    name_tracks(home.database, tracks[:20])
    _trained(home, watermark=20, minutes_ago=10)
    assert not tick("new_labels").run_requests

    name_tracks(home.database, tracks[20:45])
    assert len(tick("new_labels").run_requests) == 1

    _trained(home, watermark=20, minutes_ago=0)
    assert "cool-down" in tick("new_labels").skip_reason.skip_message


def test_a_training_that_left_no_model_is_tried_again_but_not_for_ever(home, tick):
    """A watermark taken by a training that crashed must not hide its labels, nor be tried a thousand times a day."""
    tracks = _labelled_home(home)
    name_tracks(home.database, tracks[:24])
    _trained(home, watermark=24, minutes_ago=10, with_model=False)
    for _ in range(due.MAX_ERRORS):
        assert len(tick("new_labels").run_requests) == 1
        record_audit_event(home.database, "run_failed", "retrain", {"message": "it died"})

    result = tick("new_labels")
    assert not result.run_requests
    assert "failed" in result.skip_reason.skip_message

    name_tracks(home.database, tracks[24:])
    assert len(tick("new_labels").run_requests) == 1


def test_the_first_embedder_waits_for_the_tracks_of_the_archive(home, tick):
    _labelled_home(home)
    add_video(home.database, 2, 1, "registered")
    assert not tick("first_embedder").run_requests

    with home.database.write() as conn:
        conn.execute(t.video.update().values(state="tracked"))
    assert [r.job_name for r in tick("first_embedder").run_requests] == ["fit_embedder"]

    add_model(home.database, 2, "embedder")
    assert not tick("first_embedder").run_requests


def test_a_better_embedder_is_asked_for_once_names_are_enough(home, tick):
    """A question that nobody asks is a feature that nobody has."""
    assert "fine-tuning starts at" in tick("better_embedder").skip_reason.skip_message
    tracks = _labelled_home(home)
    name_tracks(home.database, tracks)
    add_model(home.database, 2, "embedder")
    with home.database.write() as conn:
        conn.execute(
            t.training_set.insert().values(
                task="head", watermark_seq=1, merge_watermark=0, split_seed=1, n_tracks=500, n_classes=5,
                member_uri="m", member_hash="0" * 64, created_at=datetime.now(UTC),
            )
        )  # fmt: skip
    assert [r.job_name for r in tick("better_embedder").run_requests] == ["fine_tune_embedder"]
    for _ in range(due.MAX_ERRORS):
        record_audit_event(home.database, "run_failed", "fine_tune_embedder", {"message": "too few days"})
    assert "failed 3 times" in tick("better_embedder").skip_reason.skip_message


def test_a_new_champion_leads_to_one_budgeted_run_until_every_bundle_is_scored(home, tick):
    tracks = _labelled_home(home, 2)
    add_model(home.database, 2, "embedder")
    assert [r.job_name for r in tick("champion_changed").run_requests] == ["rescore"]

    add_embedding_file(home.database, 2, 1, len(tracks))
    assert not tick("champion_changed").run_requests

    add_model(home.database, 3, "head", parent_id=2)
    assert [r.job_name for r in tick("champion_changed").run_requests] == ["rescore"]

    with home.database.write() as conn:
        conn.execute(
            sa.insert(t.bundle_score).values(
                model_id=3, bundle_id=1, n_tracks=len(tracks), created_at=stamp_of_work(conn, 1, changed_at(conn, 1))
            )
        )
    assert not tick("champion_changed").run_requests


def test_tracks_made_after_their_embeddings_are_embedded_again(home, tick):
    _labelled_home(home, 2)
    add_model(home.database, 2, "embedder")
    add_embedding_file(home.database, 2, 1, 2, at=datetime(2026, 1, 1, tzinfo=UTC))
    assert [r.job_name for r in tick("champion_changed").run_requests] == ["rescore"]


def _planned(home, head=None, watermark=0):
    with home.database.write() as conn:
        conn.execute(
            sa.insert(t.acquisition_round).values(
                policy="{}", seed=1, embedder_model_id=2, head_model_id=head, watermark_seq=watermark, n_pool=2,
                created_at=datetime.now(UTC),
            )
        )  # fmt: skip


def test_the_queue_is_planned_when_it_runs_low_and_left_alone_when_nothing_is_new(home, tick):
    """An exhausted pool must not be planned again at every tick."""
    tracks = _labelled_home(home, 2)
    assert not tick("queue_low").run_requests

    add_model(home.database, 2, "embedder")
    add_embedding_file(home.database, 2, 1, 2)
    assert [r.job_name for r in tick("queue_low").run_requests] == ["replan"]

    _planned(home)
    assert not tick("queue_low").run_requests

    name_tracks(home.database, tracks[:1])
    assert [r.job_name for r in tick("queue_low").run_requests] == ["replan"]


def test_no_plan_is_made_while_a_training_is_due(home, tick):
    """The plan would be thrown away a minute later, and the expert would have answered its worst items."""
    tracks = _labelled_home(home)
    add_model(home.database, 2, "embedder")
    add_embedding_file(home.database, 2, 1, len(tracks))
    _planned(home)
    name_tracks(home.database, tracks[:20])
    result = tick("queue_low")
    assert not result.run_requests
    assert "comes first" in result.skip_reason.skip_message


def test_three_failures_within_an_hour_stop_the_asking(home, instance, tick):
    tracks = _labelled_home(home)
    name_tracks(home.database, tracks[:20])
    job = build_definitions().get_repository_def().get_job("retrain")
    for n in range(3):
        assert held(instance, "retrain") is None, n
        instance.create_run_for_job(job, status=dg.DagsterRunStatus.FAILURE)

    assert "failed within an hour" in tick("new_labels").skip_reason.skip_message
    assert not keeps_failing(instance, "retrain", now=datetime.now(UTC) + timedelta(hours=2))

    instance.create_run_for_job(job, status=dg.DagsterRunStatus.SUCCESS)
    assert len(tick("new_labels").run_requests) == 1


@pytest.mark.parametrize("job", ["nightly", "rescore"])
def test_the_jobs_that_nobody_watches_run_on_an_empty_home(home, instance, job):
    """A nightly run that needs a partition, a model or a label fails every night of a new home."""
    definitions = build_definitions(home=HomeResource(path=str(home.settings.home)))
    result = definitions.resolve_job_def(job).execute_in_process(instance=instance)
    assert result.success
    checks = [e for e in result.all_events if e.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION]
    assert all(e.asset_check_evaluation_data.passed for e in checks)
    assert bool(checks) == (job == "nightly")


def test_a_retry_is_taken_up_by_the_running_daemon(home, instance, tick):
    """`chimp ingest --retry-failed` beside `chimp up`: the sensor sees registered videos and asks for their bundles."""
    add_bundle(home.database, 1)
    add_video(home.database, 1, 1, "failed")
    instance.add_dynamic_partitions("bundle", ["site-0001"])
    for _ in range(due.MAX_ATTEMPTS):
        due.begin_attempt(home.database, "site-0001")
    assert not tick("unfinished_bundles").run_requests
    due.retry_failed(home.database)
    assert [r.partition_key for r in tick("unfinished_bundles").run_requests] == ["site-0001"]


def test_pictures_are_asked_for_while_any_are_missing_and_not_for_ever(home, instance, tick):
    """What cannot be made, because a shard is gone, must not start a run every minute."""
    from chimp_assets.database.work.queue import write_round

    assert not tick("missing_pictures").run_requests
    add_bundle(home.database, 1)
    add_video(home.database, 1, 1, "tracked")
    add_model(home.database, 1, "detector")
    add_model(home.database, 2, "embedder")
    for ordinal in range(2):
        add_track(home.database, 1, ordinal)
    tracks = [t.track_id_of(1, ordinal) for ordinal in range(2)]
    write_round(
        home.database, policy="{}", seed=1, embedder_model_id=2, watermark_seq=0, n_pool=2, track_ids=tracks,
        lanes=["typical"] * 2, propensity=[0.5] * 2, reasons=[""] * 2,
    )  # fmt: skip
    asked = tick("missing_pictures")
    assert [request.job_name for request in asked.run_requests] == ["make_pictures"]
    assert not tick("missing_pictures", asked.cursor).run_requests, "the same ones were asked for"
    with home.database.write() as conn:
        conn.execute(
            sa.insert(t.item_media).values(
                track_id=tracks[0], kind="crop", place=0, content_hash="0" * 64, uri="item-media/0.jpg", bytes=1,
                created_at=datetime.now(UTC),
            )
        )  # fmt: skip
    left = tick("missing_pictures", asked.cursor)
    assert len(left.run_requests) == 1, "what is left is asked for once more"
    assert not tick("missing_pictures", left.cursor).run_requests
    job = build_definitions().get_repository_def().get_job("make_pictures")
    instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    assert not tick("missing_pictures").run_requests, "one run at a time"


def test_a_look_is_due_once_for_what_is_new_and_not_beside_other_work(home, instance, tick):
    """A watch at every tick would slow the reading of an archive; none at all would notice a fog in the morning."""
    assert "nothing has been tracked" in tick("drift_watch").skip_reason.skip_message
    _labelled_home(home, 2)
    add_video(home.database, 99, 1, "registered")
    assert "still being decoded" in tick("drift_watch").skip_reason.skip_message
    with home.database.write() as conn:
        conn.execute(sa.update(t.video).where(t.video.c.video_id == 99).values(state="tracked"))
    assert [r.job_name for r in tick("drift_watch").run_requests] == ["watch"]

    definitions = build_definitions(home=HomeResource(path=str(home.settings.home)))
    assert definitions.resolve_job_def("watch").execute_in_process(instance=instance).success
    assert "a moment ago" in tick("drift_watch").skip_reason.skip_message
    with home.database.read() as conn:
        assert not due_watch(conn, datetime.now(UTC)).due
        assert due_watch(conn, datetime(2026, 1, 1, tzinfo=UTC)).due


def test_an_open_alert_is_a_warning_and_fails_no_run(home, instance):
    """A failed check of severity ERROR would call an operator at night for a camera that somebody turned."""
    day = datetime(2024, 5, 1, tzinfo=UTC).date()
    with home.database.write() as conn:
        open_alert(conn, kind="data", signal="brightness", camera="c1", since=day, noticed=day, size=-3.0)
    done = build_definitions(home=HomeResource(path=str(home.settings.home))).resolve_job_def("watch")
    result = done.execute_in_process(instance=instance)
    assert result.success
    (check,) = [one for one in result.get_asset_check_evaluations() if one.check_name == "no_open_alerts"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert check.metadata["alerts"].value == 1
    assert "became darker" in check.metadata["sentences"].value
