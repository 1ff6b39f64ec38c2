"""The whole loop in a real Dagster instance with its daemon: video in, names and a ranked queue out, no button."""

import json
import uuid
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
from playwright.sync_api import sync_playwright

from benchmarks.browser_loop import WHO, Day
from chimp_assets.database import schema as t
from chimp_assets.database.labels.events import LabelEvent, record_events
from chimp_assets.database.upkeep import invariants
from chimp_assets.demo.run import run_demo
from chimp_assets.demo.truth import ArchiveTruth
from chimp_assets.home import Home
from chimp_assets.loop.rescore import rescore
from chimp_assets.loop.retrain import retrain
from chimp_assets.web.auth.accounts import set_password
from chimp_assets.web.wording.sentences import translated
from chimp_assets_tests.support.chromium import ARGUMENTS, CHROMIUM
from chimp_assets_tests.web.conftest import Served
from chimp_assets_tests.web.label_home import PASSWORD

TRACKS = 8
SMALL = {"individuals": 4, "cameras": 2, "days": 2, "clips": 14, "seconds": 4.0}


def _counts(home: Home) -> dict[str, int]:
    with home.database.read() as conn:
        return {
            name: conn.scalar(sa.select(sa.func.count()).select_from(table))
            for name, table in t.metadata.tables.items()
        }


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A small demo, run to its end by the daemon."""
    folder = tmp_path_factory.mktemp("demo")
    run_demo(folder, faces=None, rounds=1, json=True, **SMALL)
    return Home.open(folder)


@pytest.mark.slow
def test_a_dropped_folder_of_video_becomes_names_and_a_ranked_queue_by_itself(demo):
    with demo.database.read() as conn:
        states = dict(conn.execute(sa.select(t.video.c.state, sa.func.count()).group_by(t.video.c.state)).all())
        heads = conn.execute(sa.select(t.model).where(t.model.c.task == "head")).all()
        rounds = conn.execute(sa.select(t.acquisition_round).order_by(t.acquisition_round.c.round_id)).all()
        failed = dict(invariants.failed_videos(conn))

    assert states == {"tracked": 15, "failed": 1}
    assert len(failed) == 2, "the damaged file and the text file are named"
    assert heads
    assert all(head.state in ("champion", "refused", "retired") and head.reason for head in heads)
    assert len(rounds) >= 2, "the queue was ranked again after the training"
    assert rounds[-1].watermark_seq > 0


@pytest.mark.slow
def test_the_daemon_ended_with_no_failed_run_and_every_invariant_holds(demo, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", str(demo.settings.dagster_home))
    with dg.DagsterInstance.get() as instance:
        failed = instance.get_runs(filters=dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
        assert [run.job_name for run in failed] == []
        assert instance.get_dynamic_partitions("bundle")
    with demo.database.read() as conn:
        largest, rows = invariants.gap_in_annotation_numbers(conn)
        assert largest == rows > 0
        for key in conn.scalars(sa.select(t.bundle.c.bundle_key)):
            assert invariants.videos_whose_frames_do_not_count(conn, key) == []
            assert invariants.frames_outside_their_shard(conn, key) == []
            assert invariants.tracks_whose_detections_do_not_count(conn, key) == []
        assert invariants.items_that_should_not_wait(conn) == []


@pytest.mark.slow
def test_a_second_demo_in_the_same_folder_doubles_nothing(demo, capsys):
    before = _counts(demo)
    run_demo(demo.settings.home, faces=None, rounds=1, json=True, **SMALL)
    assert _counts(demo) == before
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["status"]["videos"] == {"failed": 1, "tracked": 15}


@pytest.mark.slow
@pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="Chromium is not installed: apt-get install chromium")
def test_a_day_in_the_browser(demo, tmp_path):
    """Staff see nothing but pages: there they name, see a training and its verdict, and find two of them together."""
    set_password(demo.database, WHO, PASSWORD)
    served = Served(demo, make_media=True)
    # A browser of its own, gone at the end: one that stays keeps a loop of events in the process of all later tests.
    playwright = sync_playwright().start()
    try:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        context = browser.new_context(base_url=f"http://127.0.0.1:{served.port}", service_workers="block")
        day = Day(demo, ArchiveTruth.load(demo.settings.home / "truth.json"), context.new_page(), tmp_path)
        day.sign_in()
        assert day.watch_training() > 0
        _take_back(demo, TRACKS)  # so that there is something to ask: the simulated expert has left nothing
        day.name_tracks(TRACKS)
        learned = retrain(demo)
        while learned.promoted and rescore(demo).left:
            pass
        day.page.goto("/models")
        assert learned.reason in day.page.locator("main").inner_text()
        day.page.context.add_cookies([{"name": "lang", "value": "fr", "url": f"http://127.0.0.1:{served.port}"}])
        day.page.reload()
        assert translated("fr", learned.reason).text in day.page.locator("main").inner_text()
        day.page.context.clear_cookies(name="lang")
        _take_back(demo, 1)
        day.page.goto("/label")
        day.until_painted()
        assert day.page.locator(".card .who").count(), "the model suggests somebody"
        rows = day.find_two_together()
        assert {len(row["individuals"].split()) for row in rows} == {2}
        browser.close()
    finally:
        playwright.stop()
        served.stop()
    with demo.database.read() as conn:
        who = sa.select(t.app_user.c.user_id).where(t.app_user.c.name == WHO).scalar_subquery()
        by_hand = sa.select(sa.func.count()).where(
            t.annotation.c.annotator_id == who, t.annotation.c.shown.is_not(None)
        )
        assert conn.scalar(by_hand) >= TRACKS


def _take_back(home: Home, n: int) -> None:
    """The newest n names of training tracks are asked again."""
    a, q = t.annotation.c, t.acquisition_queue.c
    with home.database.read() as conn:
        newest = conn.scalars(
            sa.select(t.standing_answer.c.annotation_id)
            .join(t.annotation, a.annotation_id == t.standing_answer.c.annotation_id)
            .join(t.acquisition_queue, q.item_id == a.item_id)
            .where(a.kind == "identify", a.lane != "audit")
            .order_by(a.seq.desc())
            .limit(n)
        ).all()
    events = [LabelEvent(str(uuid.uuid4()), "retract", WHO, supersedes=one) for one in newest]
    assert {result.status for result in record_events(home.database, events)} == {"stored"}
    assert len(events) == n
