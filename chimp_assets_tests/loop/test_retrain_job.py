"""The job that new labels start: from labels to a queue that knows them, before the archive is scored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.work import due
from chimp_assets.definitions import build_definitions
from chimp_assets.home import Home
from chimp_assets.loop.plan import replan
from chimp_assets.vision.embedding.bundle import embed_bundle
from chimp_assets.vision.embedding.embedder import fit_embedder
from chimp_assets.vision.models.checkpoint import champion, register_model
from chimp_assets_tests.support.homes import copied
from chimp_assets_tests.vision.animals import answer, make_animals, teaching_and_audit

KEYS = ["site-0001", "site-0002"]


EMBED = {"crop_side": 48, "dimensions": 16, "weights": "self_supervised"}


@pytest.fixture(scope="module")
def answered_home(empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 videos, embedded and planned; then the audit and half of the training tracks were answered."""
    home = copied(empty_home, tmp_path_factory.mktemp("answered") / "home")
    truth = make_animals(home, videos=30)
    home.database.dispose()
    opened = Home.open(home.settings.home, embed=EMBED)
    fit_embedder(opened.database, opened.store, opened.settings)
    for key in KEYS:
        embed_bundle(opened.database, opened.store, key, opened.settings)
    replan(opened)
    teach, audit = teaching_and_audit(opened, truth)
    answer(opened, truth, "typical", teach[: len(teach) // 2])
    answer(opened, truth, "audit", audit)
    opened.database.dispose()
    return home.settings.home


@pytest.fixture
def answered(answered_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A copy of `answered_home`, which the environment names."""
    monkeypatch.setenv("CHIMP_HOME", str(tmp_path / "home"))
    for name, value in EMBED.items():
        monkeypatch.setenv(f"CHIMP_EMBED__{name.upper()}", str(value))
    return copied(answered_home, tmp_path / "home")


def run() -> dg.ExecuteInProcessResult:
    job = build_definitions().resolve_job_def("retrain")
    with dg.instance_for_test() as instance:
        done = job.execute_in_process(instance=instance, raise_on_error=True)
    assert done.success
    return done


def rounds(home: Home) -> list[Any]:
    with home.database.read() as conn:
        return list(conn.execute(sa.select(t.acquisition_round).order_by(t.acquisition_round.c.round_id)))


def test_new_labels_end_in_a_queue_that_knows_them(answered: Home) -> None:
    """Who answers fifty tracks must not go on with what was asked before them while an archive is scored."""
    done = run()
    order = [event.step_key for event in done.all_events if event.event_type_value == "STEP_START"]
    steps = ["champion_head", "acquisition_queue", "label_returns"]
    assert [step for step in order if step in steps] == steps
    with answered.database.read() as conn:
        head = champion(conn, "head")
        assert head is not None
        newest = conn.scalar(sa.select(sa.func.max(t.annotation.c.seq)))
        assert due.unscored_bundles(conn) == KEYS, "nothing was scored but what is asked"
        asked = due.asked_tracks(conn)
        named = set(conn.scalars(sa.select(t.prediction.c.track_id).where(t.prediction.c.model_id == head.model_id)))
    last = rounds(answered)[-1]
    assert (last.head_model_id, last.watermark_seq) == (head.model_id, newest)
    assert asked
    assert named == set(asked), "whoever answers sees candidates at once"


def test_a_queue_that_knows_everything_is_not_made_again(answered: Home) -> None:
    """Each plan takes the order of the queue from under the hands of those who answer."""
    run()
    before = rounds(answered)
    assert not run().asset_materializations_for_node("acquisition_queue")
    assert rounds(answered) == before


def test_with_new_eyes_the_plan_waits_until_the_archive_is_seen(answered: Home) -> None:
    """A plan from the tenth of the archive that has been embedded anew would ask about nothing else."""
    with answered.database.read() as conn:
        assert due.plan_due_after_training(conn, answered.settings).due
    embedder = register_model(answered.database, "embedder", "newer", {"dimensions": 16}, state="champion")
    with answered.database.write() as conn:
        one = conn.execute(sa.select(t.embedding_file).limit(1)).mappings().one()
        conn.execute(sa.insert(t.embedding_file).values({**one, "model_id": embedder}))
    with answered.database.read() as conn:
        assert due.queue_due(conn, answered.settings).due
        assert not due.plan_due_after_training(conn, answered.settings).due
