"""Fairness in SQL: what is written beside an evaluation, what is asked because of it, and where it must not go."""

from __future__ import annotations

import json
from uuid import uuid4

import numpy as np
import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.individuals.biographies import upsert_individuals
from chimp_assets.database.individuals.merges import last_merge
from chimp_assets.database.labels.events import LabelEvent, last_seq, record_events
from chimp_assets.database.labels.splits import examined_mask
from chimp_assets.database.upkeep.invariants import leaked_members
from chimp_assets.database.work.queue import claim
from chimp_assets.home import Home
from chimp_assets.loop.plan import plan_queue
from chimp_assets.monitoring.fairness import write_fairness
from chimp_assets.monitoring.groups.answers import weights_of_groups
from chimp_assets.monitoring.groups.lacking import WAITING, LackingGroup, lacking_groups
from chimp_assets.vision.datasets.training_set import audit_answers, training_members
from chimp_assets.vision.evaluation.audit import AuditJudge, audit_tracks
from chimp_assets_tests.loop.test_planning import DOUBTS, World, with_shares
from chimp_assets_tests.support.rows import THEN


@pytest.fixture
def small(home: Home) -> tuple[World, int]:
    """A head that names two tracks in seven FF, and a fairness that says: of females the audit knows too little."""
    world = World(home, videos=30)
    world.settings = with_shares(world.settings, DOUBTS)  # a plan with many audits has some about groups
    upsert_individuals(world.db, [{"anim_id": "FF", "sex": "F"}, {"anim_id": "FI", "sex": "M"}])
    head = world.add_head(0.9)
    ff, fi = world.individual_id("FF"), world.individual_id("FI")
    with world.db.write() as conn:
        conn.execute(sa.update(t.model).where(t.model.c.task == "embedder").values(config='{"dimensions": 8}'))
        conn.execute(
            sa.insert(t.prediction),
            [
                {"model_id": head, "track_id": one, "rank": 1, "probability": 0.9, "individual_id": (fi, ff)[n % 7 < 2]}
                for n, one in enumerate(world.tracks)
            ],
        )
    tell(world, head, ("all", "", 150, "same"), ("sex", "F", 9, "too_few"), ("sex", "M", 141, "same"))
    return world, head


def tell(world: World, head: int, *rows: tuple[str, str, int, str]) -> None:
    with world.db.write() as conn:
        conn.execute(sa.delete(t.fairness_metric))
        conn.execute(
            sa.insert(t.fairness_metric),
            [
                {
                    "model_id": head, "watermark_seq": 0, "slice_kind": kind, "slice_value": value, "name": "recall",
                    "n": n, "blocks": n, "state": state, "created_at": THEN,
                }
                for kind, value, n, state in rows
            ],
        )  # fmt: skip


def answer_items(world: World, lane: str) -> list[int]:
    """Claims everything and names the tracks of a lane FF, as the page does; returns these tracks."""
    items = [item for item in claim(world.db, "expert", 200, lease_minutes=15) if item.lane == lane]
    events = [
        LabelEvent(
            str(uuid4()), "identify", "expert", track_id=one.track_id, anim_id="FF", item_id=one.item_id, seconds=4.0
        )
        for one in items
    ]
    assert {result.status for result in record_events(world.db, events)} == {"stored"}
    return sorted(one.track_id for one in items)


def test_a_group_with_too_few_answers_is_asked_about_from_its_own_part(small: tuple[World, int]) -> None:
    """Drawn from the audit's tracks, its answers would be missing among the audit's random ones."""
    world, head = small
    # Of the first hundred answers everything has too few, and random ones tell most.
    tell(world, head, ("all", "", 99, "same"), ("sex", "F", 9, "too_few"))
    assert "groups" not in plan_queue(world.db, world.home.store, world.settings, batch=60).lanes
    tell(world, head, ("all", "", 150, "same"), ("sex", "F", 9, "too_few"))
    off = world.settings.acquisition.model_copy(update={"groups_share": 0.0})
    settings = world.settings.model_copy(update={"acquisition": off})
    assert "groups" not in plan_queue(world.db, world.home.store, settings, batch=60).lanes
    plain = plan_queue(world.db, world.home.store, world.settings, batch=60).lanes
    assert plain["groups"] + plain["audit"] == round(0.22 * 60)
    examined = world.reserve & {one for one in world.tracks if examined_mask(np.array([one]), world.settings.seed)[0]}
    lanes = {lane: {track for track, of, *_ in world.items() if of == lane} for lane in ("groups", "audit")}
    assert lanes["groups"] <= examined
    assert lanes["audit"] <= world.reserve - examined
    with world.db.read() as conn:
        assert lacking_groups(conn, head) == [LackingGroup("sex", "F")]
        policy = json.loads(
            conn.scalar(sa.select(t.acquisition_round.c.policy).order_by(t.acquisition_round.c.round_id.desc()))
        )
    assert policy[WAITING] == len(examined)
    tell(world, head, ("all", "", 150, "same"), ("sex", "F", 60, "same"))
    plan_queue(world.db, world.home.store, world.settings, batch=60)
    later = {track for track, of, *_ in world.items() if of == "audit"}
    assert later <= world.reserve - examined, "once asked, its part stays closed to the audit"
    assert "groups" not in {of for _, of, *_ in world.items()}


def test_its_answers_measure_and_never_teach(small: tuple[World, int]) -> None:
    """In the audit they would flatter the head, in a training set they would no longer measure anything."""
    world, _ = small
    plan_queue(world.db, world.home.store, world.settings, batch=60)
    asked = answer_items(world, "groups")
    assert asked
    with world.db.read() as conn:
        seq, merges = last_seq(conn), last_merge(conn)
        # Another seed makes another reserve: what once measured must not teach then either.
        moved = world.settings.model_copy(update={"seed": world.settings.seed + 1})
        for settings in (world.settings, moved):
            assert not set(asked) & set(training_members(conn, seq, merges, settings).track_id.tolist())
        assert leaked_members(conn, np.array(asked)) == asked
        assert not set(asked) & set(audit_answers(conn, seq, merges)[0].tolist())
        assert not set(asked) & set(audit_tracks(conn).track_id.tolist())
        assert audit_tracks(conn, lane="groups").track_id.tolist() == asked
        quality = conn.execute(sa.text("SELECT n_audit, n_train_tracks FROM v_id_quality WHERE slice_kind = 'all'"))
        assert [tuple(row) for row in quality] == [(0, 0)]
        weight = weights_of_groups(conn, seq)
    assert sorted(weight) == asked
    assert all(0 < one < 4 for one in weight.values())


def test_fairness_is_written_once_for_a_head_and_a_watermark(small: tuple[World, int]) -> None:
    """A killed evaluation is run again: same rows, no second ones; and numbers are those of the answers."""
    world, head = small
    plan_queue(world.db, world.home.store, world.settings, batch=60)
    answer_items(world, "groups")
    asked = sorted(world.reserve)[:20]
    with world.db.read() as conn:
        done = set(conn.scalars(sa.select(t.annotation.c.track_id)))
    for n, one in enumerate(track for track in asked if track not in done):
        world.answer("identify", one, ("FF", "FI")[n % 2], lane="audit")

    def rows() -> list[tuple[object, ...]]:
        f = t.fairness_metric.c
        columns = (f.slice_kind, f.slice_value, f.name, f.value, f.low, f.high, f.n, f.blocks, f.state, f.needed)
        with world.db.read() as conn:
            newest = sa.select(sa.func.max(f.watermark_seq)).scalar_subquery()
            return sorted(map(tuple, conn.execute(sa.select(*columns).where(f.watermark_seq == newest))), key=str)

    n = write_fairness(world.home, head)
    first = rows()
    assert len(first) == n
    assert write_fairness(world.home, head) == n
    assert rows() == first
    said = {row[:3]: row for row in first}
    tracks, judged = AuditJudge(world.db, world.home.store, world.settings).answers(head)
    of = tracks.slices["individual"][judged.row] == "FI"
    individual = said["individual", "FI", "recall"]
    assert individual[6] == of.sum() > 5
    assert said["sex", "M", "recall"][3] == pytest.approx((judged.correct & ~judged.flagged)[of].mean())
    assert said["all", "", "recall"][6] > len(judged.row), "answers about groups count here"
    assert {"recall", "precision", "said_minus_right", "unknown_rate", "seconds"} <= {row[2] for row in first}
    assert said["all", "", "seconds"][3] == pytest.approx(4.0)
    assert {row[8] for row in first} <= set(t.FAIRNESS_STATES)
    assert all((row[9] is not None) == (row[8] == "too_few") for row in first if row[2] != "association_bias")
