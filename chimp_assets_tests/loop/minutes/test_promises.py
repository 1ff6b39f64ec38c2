"""Promises about names in the loop: frozen, drawn, answered, kept, failed, ended; on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from chimp_assets.acquisition.pool import UNLABELLED, TrackPool
from chimp_assets.database import schema as t
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.individuals.merges import merge_individuals
from chimp_assets.database.labels.events import last_seq, record_events
from chimp_assets.database.labels.promises.goals import PromiseError, current_goal, set_goal, withdraw_goal
from chimp_assets.database.labels.promises.looks import MERGED, NEW_HEAD, NEW_TRACKS, PromiseLook, held, newest_look
from chimp_assets.database.labels.promises.threshold import NameThreshold, name_threshold
from chimp_assets.database.work.due import labels_due
from chimp_assets.database.work.queue import QueueItem
from chimp_assets.exchange.exports.conditions import selection_of
from chimp_assets.loop.minutes.asking import Asking, Items
from chimp_assets.loop.minutes.promises import (
    BETWEEN_LOOKS,
    PromiseQuestions,
    is_worth_testing,
    promise_status,
    tend_promise,
)
from chimp_assets.settings import Settings
from chimp_assets.vision.datasets.training_set import training_members
from chimp_assets.web.labelling.items import questions_of
from chimp_assets_tests.database import t_sql
from chimp_assets_tests.database.world import HEAD, START, event, make_world, plan, track

SETTINGS = Settings()
NOW = datetime.now(UTC)


@pytest.fixture
def archive(sqlite_db: Database) -> Database:
    """Thirty tracks, which the head names Fifi with 0.995, but one that it names Gremlin with 0.6; 20 % promised."""
    return _filled(sqlite_db)


@pytest.fixture
def anywhere(db: Database) -> Database:
    """The same, on SQLite and on PostgreSQL."""
    return _filled(db)


def _filled(db: Database) -> Database:
    make_world(db, videos=3, tracks=10, frames=4)
    with db.write() as conn:
        who = dict(conn.execute(sa.select(t.individual.c.anim_id, t.individual.c.individual_id)).all())
        said = [(track(video, n), "FF", 0.995) for video in (1, 2, 3) for n in range(10)]
        said[-1] = (track(3, 9), "GM", 0.6)
        conn.execute(
            sa.insert(t.prediction),
            [
                {"model_id": HEAD, "track_id": one, "rank": 1, "individual_id": who[code], "probability": p}
                for one, code, p in said
            ],
        )
        # Nothing waits for an embedder.
        conn.execute(sa.update(t.model).where(t.model.c.task == "embedder").values(state="retired"))
    set_goal(db, 0.2, 0.9, 0.95, "anna")
    return db


def _look(db: Database) -> PromiseLook:
    with db.read() as conn:
        look = newest_look(conn)
    assert look is not None
    return look


def _draws(db: Database) -> list[sa.Row]:
    d = t.promise_draw
    with db.read() as conn:
        return list(conn.execute(sa.select(d).where(d.c.look_id == _look(db).look_id).order_by(d.c.draw_no)).all())


def _answer(db: Database, tracks: list[int], name: str = "FF", kind: str = "identify") -> list[str]:
    """Answers of the expert by way of the queue, as a plan asks them."""
    plan(db, tracks, "promise")
    q = t.acquisition_queue.c
    with db.read() as conn:
        items = dict(conn.execute(sa.select(q.track_id, q.item_id).where(q.state == "pending")).all())
    events = [
        event(kind, one, name if kind == "identify" else None, lane="promise", propensity=0.5, item_id=items[one])
        for one in tracks
    ]
    done = record_events(db, events)
    assert {one.status for one in done} == {"stored"}
    return [one.annotation_id for one in events]


def _answer_until_decided(db: Database, name: str = "FF", kind: str = "identify") -> None:
    for _ in range(40):
        asked = tend_promise(db, SETTINGS, 10).track_ids
        if not asked:
            break
        _answer(db, asked, name, kind)


def test_names_are_frozen_when_the_goal_is_within_reach_and_a_sample_is_drawn(anywhere: Database) -> None:
    """The surest names that are enough: Gremlin's at 0.6 is not among them. A second plan asks the same sample."""
    assert is_worth_testing(anywhere, SETTINGS), "when the last names are written nobody else asks for a plan"
    asked = tend_promise(anywhere, SETTINGS, 100)
    assert not is_worth_testing(anywhere, SETTINGS)
    look = _look(anywhere)
    assert (look.state, look.look_no, look.head_model_id) == ("auditing", 1, HEAD)
    assert look.alpha == pytest.approx(0.025)
    assert 0.99 < look.threshold < 0.995
    assert look.n_tracks == 29
    assert look.named_share == pytest.approx(29 / 30)
    drawn = _draws(anywhere)
    assert len(drawn) == SETTINGS.promise.most_draws
    assert track(3, 9) not in {row.track_id for row in drawn}
    assert {row.source for row in drawn} == {"model"}
    assert asked.track_ids
    assert set(asked.track_ids) <= {row.track_id for row in drawn}
    assert all(0 < p <= 1 for p in asked.propensity)
    again = tend_promise(anywhere, SETTINGS, 100)
    assert again == asked
    assert _look(anywhere) == look


def test_nothing_is_tested_that_nobody_promised_and_nothing_out_of_reach(archive: Database) -> None:
    withdraw_goal(archive)
    assert not is_worth_testing(archive, SETTINGS)
    assert tend_promise(archive, SETTINGS, 100).track_ids == []
    set_goal(archive, 0.005, 0.99, 0.95)
    assert tend_promise(archive, SETTINGS, 100).track_ids == []
    with archive.read() as conn:
        assert newest_look(conn) is None


def test_right_answers_keep_the_promise_and_count_as_often_as_they_were_drawn(anywhere: Database) -> None:
    """Draws with replacement: 29 tracks give more draws than tracks, and nobody is asked twice."""
    _answer_until_decided(anywhere)
    look = _look(anywhere)
    assert (look.state, look.n_wrong) == ("kept", 0)
    assert look.wealth >= 1 / look.alpha
    assert look.error_bound is not None
    assert look.error_bound <= 0.2
    with anywhere.read() as conn:
        answers = conn.scalar(sa.select(sa.func.count()).select_from(t.annotation)) or 0
        waiting = t.acquisition_queue.c
        left = conn.scalar(sa.select(sa.func.count()).where(waiting.lane == "promise", waiting.state == "pending"))
        status = promise_status(conn, SETTINGS)
        threshold = conn.execute(sa.text("SELECT probability, look_id FROM v_name_threshold")).one()
    assert answers < look.n_answered
    assert left == 0
    assert status.state == "kept"
    assert "20 %" in status.sentence
    assert (threshold.probability, threshold.look_id) == (pytest.approx(look.threshold), look.look_id)


def test_wrong_answers_fail_it_and_then_they_teach(anywhere: Database) -> None:
    """Who hides the sample from training for ever pays for it twice; who trains on it while it is open cheats."""
    with anywhere.write() as conn:
        for video in (1, 2, 3):
            conn.execute(
                sa.insert(t.split_assignment).values(
                    video_id=video, split="train", day_key=f"cam {video}", assigned_at=START
                )
            )
    tend_promise(anywhere, SETTINGS, 100)
    first = _answer(anywhere, tend_promise(anywhere, SETTINGS, 10).track_ids, "GM")
    with anywhere.read() as conn:
        open_at = last_seq(conn)
        assert not set(first) & set(training_members(conn, open_at, 0, SETTINGS).annotation_id)
        assert held(conn, 7, NOW + timedelta(days=1)) is not None
        assert "frozen" in labels_due(conn, SETTINGS, datetime.now(UTC)).reason
        assert held(conn, 7, NOW + timedelta(days=8)) is None
    _answer_until_decided(anywhere, "GM")
    look = _look(anywhere)
    assert look.state == "failed"
    with anywhere.read() as conn:
        now = last_seq(conn)
        assert held(conn, 7, NOW) is None
        assert set(training_members(conn, now, 0, SETTINGS).annotation_id) & set(first)
        # A training set of that moment can still be made again.
        assert not set(first) & set(training_members(conn, open_at, 0, SETTINGS).annotation_id)
    assert look.teaches_from_seq is not None
    assert look.teaches_from_seq > open_at


def test_after_a_failed_look_the_next_waits_for_answers_and_costs_half_the_level(archive: Database) -> None:
    tend_promise(archive, SETTINGS, 100)
    with archive.write() as conn:
        conn.execute(sa.update(t.promise_look).values(state="failed", teaches_from_seq=0))
    assert tend_promise(archive, SETTINGS, 100).track_ids == []
    record_events(archive, [event("skip", track(3, 9)) for _ in range(BETWEEN_LOOKS)])
    assert tend_promise(archive, SETTINGS, 100).track_ids
    look = _look(archive)
    assert (look.look_no, look.alpha) == (2, pytest.approx(0.0125))


def test_unknown_is_wrong_cannot_tell_is_passed_over_and_a_retraction_takes_it_back(archive: Database) -> None:
    """An expert who cannot confirm a name has not confirmed it; a picture that shows nothing proves nothing."""
    tend_promise(archive, SETTINGS, 100)
    order = list(dict.fromkeys(row.track_id for row in _draws(archive)))
    first = next(row.track_id for row in _draws(archive))
    (answer,) = _answer(archive, [first], kind="unknown")
    assert _draws(archive)[0].wrong
    assert _look(archive).n_wrong == 1
    record_events(archive, [event("retract", None, supersedes=answer)])
    assert _draws(archive)[0].wrong is None
    assert _look(archive).n_answered == 0
    _answer(archive, [first], kind="cannot_tell")
    drawn = _draws(archive)
    assert (drawn[0].annotation_id is not None, drawn[0].wrong) == (True, None)
    assert _look(archive).n_answered == 0
    _answer(archive, [order[1]], "FF")
    assert _look(archive).n_answered >= 1


def test_a_draw_counts_once_those_before_it_are_answered(archive: Database) -> None:
    """Who leaves the hard ones for later would prove what the easy ones say."""
    tend_promise(archive, SETTINGS, 100)
    order = list(dict.fromkeys(row.track_id for row in _draws(archive)))
    _answer(archive, [order[3]])
    assert _look(archive).n_answered == 0
    _answer(archive, order[:3])
    assert _look(archive).n_answered >= 4


@pytest.mark.parametrize("change", [NEW_HEAD, MERGED, NEW_TRACKS])
def test_a_promise_that_stands_ends_when_names_change(archive: Database, change: str) -> None:
    """At once in SQL and on pages; the row says so with the next plan, and the next look counts from 1."""
    _answer_until_decided(archive)
    assert _look(archive).state == "kept"
    if change == MERGED:
        merge_individuals(archive, "FD", "FI", "one animal", force=True)
    else:
        with archive.write() as conn:
            if change == NEW_HEAD:
                conn.execute(sa.update(t.model).where(t.model.c.model_id == HEAD).values(state="retired"))
            else:
                conn.execute(
                    sa.insert(t.bundle_score).values(
                        model_id=HEAD, bundle_id=1, n_tracks=3, created_at=datetime.now(UTC) + timedelta(seconds=5)
                    )
                )
    with archive.read() as conn:
        row = conn.execute(sa.text("SELECT state, end_reason FROM v_promise")).one()
        assert conn.execute(sa.text("SELECT * FROM v_name_threshold")).all() == []
        assert name_threshold(conn) == NameThreshold(0.9)
        assert promise_status(conn, SETTINGS).state == "ended"
    assert (row.state, row.end_reason) == ("ended", change)
    tend_promise(archive, SETTINGS, 100)
    look = _look(archive)
    assert (look.state, look.end_reason) == ("ended", change)
    assert look.ended_at is not None


def test_a_merge_ends_an_open_look_and_new_tracks_do_not(archive: Database) -> None:
    tend_promise(archive, SETTINGS, 100)
    with archive.write() as conn:
        conn.execute(
            sa.insert(t.bundle_score).values(
                model_id=HEAD, bundle_id=1, n_tracks=3, created_at=datetime.now(UTC) + timedelta(seconds=5)
            )
        )
    assert tend_promise(archive, SETTINGS, 100).track_ids
    merge_individuals(archive, "FD", "FI", "one animal", force=True)
    assert tend_promise(archive, SETTINGS, 100).track_ids == []
    assert _look(archive).state == "ended"


def test_pages_names_are_tested_too_and_their_own_confirmations_prove_nothing(archive: Database) -> None:
    """Of what is tested a page is no witness."""
    shown = '{"mode": "grid", "candidates": []}'
    record_events(archive, [event("identify", track(1, n), "FF", shown=shown, lane="free") for n in range(10)])
    tend_promise(archive, SETTINGS, 100)
    drawn = {row.track_id: row.source for row in _draws(archive)}
    assert {drawn[track(1, n)] for n in range(10) if track(1, n) in drawn} == {"page"}
    first = _draws(archive)[0].track_id
    record_events(archive, [event("identify", first, "FF", shown=shown, lane="free")])
    assert _draws(archive)[0].annotation_id is None


def test_a_goal_is_what_was_promised_last(archive: Database) -> None:
    with archive.read() as conn:
        assert current_goal(conn, SETTINGS).error == 0.2
    set_goal(archive, 0.05, 0.8, 0.9)
    with pytest.raises(PromiseError, match="error is"):
        set_goal(archive, 0.7, 0.9, 0.95)
    assert withdraw_goal(archive) == 1
    with archive.read() as conn:
        goal = current_goal(conn, SETTINGS)
    assert (goal.error, goal.named, goal.is_promised) == (0.05, 0.9, False)
    said = Settings(promise={"error": 0.1})
    with archive.read() as conn:
        assert current_goal(conn, said).is_promised


def test_the_sample_follows_from_the_seed(archive: Database) -> None:
    tend_promise(archive, SETTINGS, 100)
    first = [row.track_id for row in _draws(archive)]
    with archive.write() as conn:
        for table in (t.promise_draw, t.promise_look):
            conn.execute(sa.delete(table))
    tend_promise(archive, SETTINGS, 100)
    assert [row.track_id for row in _draws(archive)] == first
    assert len(np.unique(first)) > 20


def test_every_statement_is_t_sql(archive: Database) -> None:
    """From the freeze to the end, as it is said to SQLite and PostgreSQL."""
    heard: list[tuple[Any, Any]] = []

    def listen(conn: Any, element: Any, several: Any, parameters: Any, options: Any) -> None:
        heard.append((element, sorted(several[0]) if several else sorted(parameters) or None))

    sa.event.listen(sa.Engine, "before_execute", listen)
    try:
        _answer(archive, tend_promise(archive, SETTINGS, 5).track_ids[:2], "GM")
        with archive.read() as conn:
            promise_status(conn, SETTINGS)
            name_threshold(conn)
            labels_due(conn, SETTINGS, datetime.now(UTC))
            training_members(conn, last_seq(conn), 0, SETTINGS)
        set_goal(archive, 0.1, 0.9, 0.95, "anna")
        withdraw_goal(archive)
    finally:
        sa.event.remove(sa.Engine, "before_execute", listen)
    said = [(element, names) for element, names in heard if not isinstance(element, str)]
    assert [found for element, names in said if (found := t_sql.faults_of(t_sql.compiled(element, names)))] == []
    assert sum("promise_draw" in str(element) for element, _ in said) > 5


def test_a_threshold_that_holds_decides_what_counts_in_sightings_and_exports(archive: Database) -> None:
    """0.9 would let Gremlin's sighting with 0.93 count, which nobody has promised."""
    with archive.write() as conn:
        conn.execute(sa.update(t.prediction).where(t.prediction.c.track_id == track(3, 9)).values(probability=0.93))
    before = _counts(archive)
    assert before["GM"] == {1}
    _answer_until_decided(archive)
    assert _look(archive).state == "kept"
    assert _counts(archive) == {"FF": {1}, "GM": {0}}
    with archive.read() as conn:
        usual = name_threshold(conn)
        chosen = selection_of(conn, [])
        told = selection_of(conn, ["min_probability=0.5"])
    assert usual.shown == pytest.approx(_look(archive).threshold, abs=1e-4)
    assert chosen.min_probability == usual.shown
    assert f"the threshold of the promise of {usual.promised_on}" in chosen.words
    assert "promise" not in told.words


def _counts(db: Database) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    with db.read() as conn:
        for row in conn.execute(sa.text("SELECT anim_id, counts FROM v_sighting")):
            found.setdefault(row.anim_id, set()).add(row.counts)
    return found


def a_pool(track_ids: list[int]) -> TrackPool:
    n = len(track_ids)
    return TrackPool(
        np.ones((n, 1), np.float16), np.array(track_ids, np.int64), np.full(n, UNLABELLED, np.int32),
        np.ones(n, np.float32), np.zeros(n, bool), np.zeros(n, bool),
    )  # fmt: skip


def test_a_plan_asks_a_track_once_and_the_draws_first(archive: Database) -> None:
    asked = tend_promise(archive, SETTINGS, 100)
    one, other = asked.track_ids[0], track(3, 9)
    asking = Asking(a_pool(sorted({*asked.track_ids, other})))
    asking.add_promise(asked.items())
    assert set(asking.pool.track[asking.pool.state == UNLABELLED].tolist()) == {other}
    # Whoever asks about a draw all the same is not heard.
    asking.items["names"] = Items([one, other], ["boundary"] * 2, [1.0] * 2, ["because"] * 2)
    asking.items["pairs"] = Items([other], ["pairs"], [1.0], ["because"], other=[one])
    planned = asking.columns()
    assert planned["track_ids"] == [*asked.track_ids, other]
    assert planned["lanes"] == ["promise"] * len(asked.track_ids) + ["boundary"]
    assert asking.lanes() == {"boundary": 1, "promise": len(asked.track_ids)}
    without = Asking(a_pool([other]))
    without.add_promise(PromiseQuestions([], []).items())
    assert without.pool.state.tolist() == [UNLABELLED]
    assert without.columns()["track_ids"] == []
    item = QueueItem(1, 1, one, "promise", 0, 0.5, "because")
    assert [question.blind for question in questions_of([item], 0.0)] == [True]
