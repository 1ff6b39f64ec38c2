"""The whole loop in a real Dagster instance with its daemon: video in, names and a ranked queue out, no button."""

import json

import dagster as dg
import pytest
import sqlalchemy as sa

from chimp_assets.database import invariants
from chimp_assets.database import schema as t
from chimp_assets.demo.run import run_demo
from chimp_assets.home import Home

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
