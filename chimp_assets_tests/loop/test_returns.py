"""What the labels bought is read from the answers that were given, and shown in SQL."""

from __future__ import annotations

from uuid import uuid4

import numpy as np
import pytest
import sqlalchemy as sa

from chimp_assets.console.status import bought_lines
from chimp_assets.database import schema as t
from chimp_assets.database.labels.events import LabelEvent, record_events
from chimp_assets.database.work.queue import claim
from chimp_assets.home import Home
from chimp_assets.insight.status import status_of
from chimp_assets.loop.plan import plan_queue
from chimp_assets.loop.returns import measure_returns
from chimp_assets_tests.loop.test_planning import DIMENSIONS, DOUBTS, World, unit, with_shares


@pytest.fixture
def world(home: Home) -> World:
    """Three hundred tracks of two animals that differ in the first dimension, and a head that knows which is which."""
    world = World(home, videos=60)
    rng = np.random.default_rng(1)
    for track in world.embeddings:
        noise = rng.standard_normal(DIMENSIONS)
        noise[0] = 1.2 if track % 3 else -1.2
        world.embeddings[track] = unit(noise)
    world.write_embeddings()
    with world.db.write() as conn:
        conn.execute(
            sa.update(t.model).where(t.model.c.task == "embedder").values(config=f'{{"dimensions": {DIMENSIONS}}}')
        )
    return world


def _answer_all(world: World, batch: int, wrong: int = 0) -> int:
    """A plan, and an expert who answers all of it in six seconds each; returns the answers."""
    plan_queue(world.db, world.home.store, with_shares(world.settings, DOUBTS), batch=batch)
    items = claim(world.db, "expert", batch, 15)
    events = [
        LabelEvent(
            str(uuid4()), "identify", "expert", lane=item.lane, track_id=item.track_id, item_id=item.item_id,
            anim_id="FF" if (item.track_id % 3 != 0) != (i < wrong) else "FI", seconds=6.0,
        )
        for i, item in enumerate(items)
    ]  # fmt: skip
    assert {result.status for result in record_events(world.db, events)} == {"stored"}
    return len(events)


def _views(world: World) -> tuple[dict[str, object], list[dict[str, object]], dict[str, dict[str, object]]]:
    with world.db.read() as conn:
        saved = conn.execute(sa.text("SELECT * FROM v_label_savings")).mappings().one()
        curve = conn.execute(sa.text("SELECT * FROM v_learning_curve ORDER BY policy, n_labels")).mappings().all()
        advice = conn.execute(sa.text("SELECT * FROM v_stopping_advice")).mappings().all()
    return dict(saved), [dict(row) for row in curve], {str(row["lane"]): dict(row) for row in advice}


def test_savings_curves_and_advice_are_measured_and_can_be_asked_in_sql(world: World) -> None:
    """The mission's own number: it must come from the archive's answers, not from a paper."""
    answers = _answer_all(world, 80)
    head = world.add_head(accuracy=0.9)
    with world.db.write() as conn:  # what the head said of them: nearly always the truth
        conn.execute(
            sa.insert(t.prediction),
            [
                {
                    "model_id": head, "track_id": track, "rank": 1, "probability": 0.9,
                    "individual_id": world.individual_id("FF" if track % 3 else "FI"),
                }
                for track in world.tracks
            ],
        )  # fmt: skip
    answers += _answer_all(world, 80, wrong=2)
    found = measure_returns(world.db, world.home.store, world.settings)
    assert found is not None
    assert found.savings is not None
    assert found.minutes == pytest.approx(answers * 0.1)
    assert found.seconds == 6.0
    saved, curve, advice = _views(world)
    assert saved["model_id"] == head
    assert saved["n_labels"] == found.savings.n_labels <= answers
    assert saved["accuracy"] == pytest.approx(found.savings.accuracy)
    assert found.savings.accuracy > 0.7
    assert saved["expert_minutes"] == pytest.approx(answers * 0.1)
    assert {row["policy"] for row in curve} == {"random", "real"}
    assert [row["n_labels"] for row in curve if row["policy"] == "real"] == [p.n for p in found.savings.real]
    assert {"all", "audit", "boundary", "typical"} <= set(advice)
    assert advice["typical"]["p_useful"] == pytest.approx(1, abs=1e-3), "every answer of a cold plan is news"
    assert advice["boundary"]["p_useful"] < advice["typical"]["p_useful"]
    assert advice["all"]["seconds_per_label"] == 6.0
    assert advice["all"]["next_hour"] is not None
    with world.db.read() as conn:
        bought = status_of(conn).bought
    said = " ".join(bought_lines(bought))
    assert f"after {found.savings.n_labels} labels and {answers * 0.1:.0f} minutes" in said
    assert "The next hour of answers is expected to add" in said
    with world.db.read() as conn:
        before = conn.scalar(sa.select(sa.func.count()).select_from(t.evaluation_metric))
        stands = conn.execute(sa.select(t.archive_forecast)).mappings().one()
    assert stands["spent_s"] == pytest.approx(answers * 6)
    assert (stands["head_model_id"], stands["watermark_seq"]) == (head, found.watermark_seq)
    assert 0 < stands["by_person"] < stands["by_person"] + stands["by_machine"] <= 1
    assert stands["to_go_s"] is not None
    assert measure_returns(world.db, world.home.store, world.settings) == found
    with world.db.read() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(t.evaluation_metric)) == before
        assert conn.scalar(sa.select(sa.func.count()).select_from(t.archive_forecast)) == 1, "written anew, not again"


def test_without_a_head_or_with_few_labels_nothing_is_claimed(world: World) -> None:
    """A number from ten labels would be believed."""
    assert measure_returns(world.db, world.home.store, world.settings) is None
    _answer_all(world, 20)
    world.add_head(accuracy=0.9)
    found = measure_returns(world.db, world.home.store, world.settings)
    assert found is not None
    assert found.savings is None
    assert found.hour is None
    with world.db.read() as conn:
        assert conn.execute(sa.text("SELECT * FROM v_label_savings")).all() == []
        lanes = {row.lane for row in conn.execute(sa.text("SELECT lane FROM v_stopping_advice"))}
    assert "typical" in lanes
