"""Attempts of a bundle: counted once for each way from video to tracks, whoever goes it, and not lost by kill -9."""

import subprocess
import sys

import dagster as dg
import pytest
import sqlalchemy as sa

from chimp_assets.archive.catalogue.discover import discover
from chimp_assets.archive.storage.store import StoreError
from chimp_assets.assets.archive import frames
from chimp_assets.assets.tracks import tracks
from chimp_assets.database import schema as t
from chimp_assets.database.work import due
from chimp_assets.home import Home
from chimp_assets.loop import bundle
from chimp_assets.loop.ingest import ingest
from chimp_assets.resources import HomeResource
from chimp_assets.vision.tracking import bundle as tracking
from chimp_assets_tests.archive.clips import make_clip
from chimp_assets_tests.support.rows import add_bundle, add_video

KEY = "site_cam-0001"
DIES = """
import os, sys
from chimp_assets.home import Home
from chimp_assets.loop import bundle
from chimp_assets.vision.tracking import bundle as tracking

tracking.track_bundle = lambda *everything: os.kill(os.getpid(), 9)
home = Home.open()
bundle.decode(home, sys.argv[1])
bundle.track(home, sys.argv[1])
"""


@pytest.fixture
def filmed(home, tmp_path, monkeypatch):
    """A home whose archive holds one clip, listed and not decoded."""
    make_clip(tmp_path / "archive" / "site" / "cam" / "1.mp4", 20)
    monkeypatch.setenv("CHIMP_ARCHIVE_URL", str(tmp_path / "archive"))
    monkeypatch.setenv("CHIMP_DECODE__WORKERS", "0")
    opened = Home.open(home.settings.home)
    discover(opened.database, opened.archive, opened.settings)
    return opened


@pytest.fixture
def counted(filmed, monkeypatch):
    """The attempts of the bundle at each moment in which it is tracked."""
    seen = []
    whole = tracking.track_bundle

    def track_bundle(*everything):
        seen.append(attempts(filmed))
        return whole(*everything)

    monkeypatch.setattr(tracking, "track_bundle", track_bundle)
    return seen


def attempts(home: Home) -> int:
    with home.database.read() as conn:
        return conn.scalar(sa.select(t.bundle.c.attempts).where(t.bundle.c.bundle_key == KEY))


def errors(home: Home) -> int:
    with home.database.read() as conn:
        return conn.scalar(sa.select(t.bundle.c.errors).where(t.bundle.c.bundle_key == KEY))


def materialize(home: Home, *assets: dg.AssetsDefinition) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("bundle", [KEY])
        done = dg.materialize(
            [*assets],
            instance=instance,
            partition_key=KEY,
            resources={"home": HomeResource(path=str(home.settings.home))},
        )
    assert done.success


def test_a_run_of_both_assets_is_one_attempt_which_ends_with_it(filmed, counted):
    materialize(filmed, frames, tracks)
    assert counted == [1]
    assert attempts(filmed) == 0


def test_two_runs_of_one_asset_each_are_one_attempt_too(filmed, counted):
    """A blocking check that stops the bundle between them leaves it counted, so that it does not run for ever."""
    materialize(filmed, frames)
    assert attempts(filmed) == 1
    materialize(filmed, tracks)
    assert counted == [1]
    assert attempts(filmed) == 0


def test_an_ingest_in_the_foreground_is_one_attempt(filmed, counted):
    ingest(filmed)
    assert counted == [1]
    assert attempts(filmed) == 0


def test_bundles_that_are_finished_keep_no_attempt_when_their_frames_are_made_again(filmed):
    """Three backfills of frames used up the attempts of a bundle, and its next video was never decoded."""
    materialize(filmed, frames, tracks)
    for _ in range(due.MAX_ATTEMPTS):
        materialize(filmed, frames)
    assert attempts(filmed) == 0


def test_a_step_that_is_tried_again_in_its_run_is_one_attempt(filmed, monkeypatch):
    """A store that was away for ten seconds used up all attempts in one run."""

    def away(*everything):
        raise OSError("away")

    monkeypatch.setattr(bundle, "decode_bundle", away)
    for retry in range(3):
        with pytest.raises(OSError, match="away"):
            bundle.decode(filmed, KEY, retry=retry)
    assert attempts(filmed) == 1


def test_runs_that_are_killed_use_up_the_attempts_and_a_retry_gives_them_back(filmed, counted):
    # The first one leaves the decoded video behind: the second is the first that gets no further.
    for before, after in ((0, 1), (1, 1), (1, 2), (due.MAX_ATTEMPTS - 1, due.MAX_ATTEMPTS)):
        with filmed.database.write() as conn:
            conn.execute(sa.update(t.bundle).values(attempts=before))
            assert due.unfinished_bundles(conn) == [KEY]
        died = subprocess.run([sys.executable, "-W", "ignore", "-c", DIES, KEY], env=filmed.environment(), check=False)
        assert died.returncode == -9
        assert attempts(filmed) == after
        assert errors(filmed) == 0
    with filmed.database.read() as conn:
        assert due.unfinished_bundles(conn) == []
        assert due.exhausted_bundles(conn) == [KEY]

    due.retry_failed(filmed.database)
    bundle.decode(filmed, KEY)
    bundle.track(filmed, KEY)
    assert counted == [1]
    assert attempts(filmed) == 0


def test_three_errors_of_the_work_give_a_bundle_up_and_an_absent_store_does_not(filmed, monkeypatch):
    """A store that was away for a minute gave up every bundle that ran meanwhile."""

    def fails(error):
        def track_bundle(*everything):
            raise error

        return track_bundle

    bundle.decode(filmed, KEY)
    for _ in range(due.MAX_ERRORS):
        monkeypatch.setattr(tracking, "track_bundle", fails(StoreError("The store is away.", "Wait.")))
        with pytest.raises(StoreError):
            bundle.track(filmed, KEY)
    assert errors(filmed) == 0
    for n in range(due.MAX_ERRORS):
        with filmed.database.read() as conn:
            assert due.unfinished_bundles(conn) == [KEY]
        monkeypatch.setattr(tracking, "track_bundle", fails(ValueError("a fault")))
        with pytest.raises(ValueError, match="a fault"):
            bundle.track(filmed, KEY)
        assert errors(filmed) == n + 1
    with filmed.database.read() as conn:
        assert due.exhausted_bundles(conn) == [KEY]


def test_nodes_that_are_taken_away_use_up_nothing_while_the_bundle_gets_further(home):
    """Spot machines live for minutes: a long bundle was given up although each run decoded some of its videos."""
    n = 2 * due.MAX_ATTEMPTS
    add_bundle(home.database, 1, KEY)
    for video_id in range(1, n + 1):
        add_video(home.database, video_id, 1, "registered")
    for video_id in range(1, n + 1):
        due.begin_attempt(home.database, KEY)
        with home.database.write() as conn:
            assert due.unfinished_bundles(conn) == [KEY]
            conn.execute(sa.update(t.video).where(t.video.c.video_id == video_id).values(state="tracked"))
    assert attempts(home) == 1
