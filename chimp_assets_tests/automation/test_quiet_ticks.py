"""What the sensors ask of the database of a large archive when there is nothing to do.

No clock: what is asserted is that no question reads a table whose size grows with the videos. How large the archive is
stands in `large_home`.
"""

import re
from collections.abc import Iterator
from datetime import timedelta

import dagster as dg
import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.definitions import build_definitions
from chimp_assets.home import init_home
from chimp_assets.resources import HomeResource
from chimp_assets_tests.automation import large_home

QUIET = (
    "new_videos",
    "unfinished_bundles",
    "first_embedder",
    "better_embedder",
    "new_labels",
    "champion_changed",
    "queue_low",
    "drift_watch",
)
VIDEOS_EACH = 10
LATER = large_home.THEN + timedelta(days=1)
# Tables that grow with the videos: a question may look something up in them, never go through them.
LARGE = ("video", "split_assignment", "frame", "frame_shard", "track", "detection", "prediction", "track_score")


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A home of 100,000 videos in 10,000 bundles, all at rest; a million would give the same questions and plans."""
    folder = tmp_path_factory.mktemp("large")
    (folder / "archive").mkdir()
    home = init_home(folder / "home", archive_url=str(folder / "archive"))
    large_home.fill(home, folder / "archive", videos_each=VIDEOS_EACH)
    yield home
    home.database.dispose()


@pytest.fixture
def instance(tmp_path) -> Iterator[dg.DagsterInstance]:
    (tmp_path / "dagster").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "dagster")) as instance:
        instance.add_dynamic_partitions("bundle", large_home.bundle_keys())
        yield instance


@pytest.fixture
def asked(large):
    """Every SELECT on the home's database as (statement, plan), in order."""
    seen = []

    def note(conn, cursor, statement, parameters, context, many):
        if str(conn.engine.url.database) == str(large.database.file) and statement.lstrip().startswith("SELECT"):
            plan = conn.connection.driver_connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            seen.append((statement, [step[-1] for step in plan]))

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    yield seen
    sa.event.remove(sa.Engine, "before_cursor_execute", note)


def evaluate(home, instance, name, cursor=None):
    repository = build_definitions().get_repository_def()
    with dg.build_sensor_context(
        cursor=cursor,
        instance=instance,
        repository_def=repository,
        sensor_name=name,
        resources={"home": HomeResource(path=str(home.settings.home))},
    ) as context:
        return repository.get_sensor_def(name)(context)


def read_through(plans) -> set[str]:
    """Large tables that a plan goes through from end to end."""
    scanned = {match.group(1) for _, plan in plans for step in plan if (match := re.match(r"SCAN (\w+)", step))}
    return scanned & set(LARGE)


@pytest.mark.slow
@pytest.mark.parametrize("name", QUIET)
def test_a_quiet_tick_goes_through_no_table_that_grows_with_the_videos(large, instance, asked, name):
    """One question that counts all tracks costs every sensor a second, every 15 seconds, for ever."""
    answer = evaluate(large, instance, name)
    if isinstance(answer, dg.SensorResult):
        assert not answer.run_requests
        assert not answer.dynamic_partitions_requests
    assert asked
    assert read_through(asked) == set()
    # A page of the listing is one question; the others are a handful.
    assert len(asked) <= 40


@pytest.mark.slow
def test_a_quiet_listing_goes_through_its_share_of_the_files_and_remembers_where_it_was(large, instance):
    result = evaluate(large, instance, "new_videos")
    share = large.settings.archive.files_per_tick
    last = share - 1
    each = VIDEOS_EACH
    assert result.cursor == f"site/cam{last // each:05d}/{last % each:04d}.mp4"
    assert f"{share} videos listed" in str(result.skip_reason)


@pytest.mark.slow
def test_a_bundle_that_becomes_due_among_ten_thousand_is_found_without_reading_their_videos(large, instance, asked):
    with large.database.write() as conn:
        conn.execute(sa.update(t.video).where(t.video.c.video_id == 77_777).values(state="registered"))
        conn.execute(sa.update(t.bundle).where(t.bundle.c.bundle_id == 4_000).values(changed_at=LATER))
    try:
        asked.clear()
        requests = evaluate(large, instance, "unfinished_bundles").run_requests
        assert [request.partition_key for request in requests] == ["site_cam07777-0001"]
        assert evaluate(large, instance, "champion_changed").job_name == "rescore"
        assert read_through(asked) == set()
    finally:
        with large.database.write() as conn:
            conn.execute(sa.update(t.video).where(t.video.c.video_id == 77_777).values(state="tracked"))
            conn.execute(sa.update(t.bundle).where(t.bundle.c.bundle_id == 4_000).values(changed_at=large_home.THEN))
