"""The end of the demo: who answers while names are tested, and when it is enough."""

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.work.queue import write_round
from chimp_assets.demo import end
from chimp_assets_tests.demo.test_minutes import forecast, half_named, studied  # noqa: F401 (fixtures)
from chimp_assets_tests.support.rows import THEN


@pytest.fixture
def tested(half_named, monkeypatch):  # noqa: F811
    """Names are frozen and tested: one waiting item of the test, one of another lane."""
    home, expert, head = half_named
    forecast(home.database, head, 0.5)
    with home.database.write() as conn:
        gone = sorted(conn.scalars(sa.select(t.prediction.c.track_id)))
        who = conn.scalar(sa.select(sa.func.min(t.prediction.c.individual_id)))
        conn.execute(sa.insert(t.promise).values(error=0.05, named=0.9, confidence=0.95, created_at=THEN))
        conn.execute(
            sa.insert(t.promise_look).values(
                promise_id=1, look_no=1, alpha=0.025, head_model_id=head, threshold=0.5, tested_share=0.2,
                named_share=1.0, expected_error=0.02, n_tracks=12, n_frames=120, seed=1, watermark_seq=0,
                merge_watermark=0, state="auditing", n_answered=0, n_wrong=0, wealth=1.0, frozen_at=THEN,
            )
        )  # fmt: skip
        # Two hundred draws, so that one answer decides nothing.
        tracks = [gone[0], *(gone[2 + n % 10] for n in range(199))]
        drawn = [
            {"look_id": 1, "draw_no": n, "track_id": track_id, "individual_id": who, "source": "model"}
            for n, track_id in enumerate(tracks)
        ]
        conn.execute(sa.insert(t.promise_draw), drawn)
    write_round(
        home.database, policy="{}", seed=1, embedder_model_id=2, watermark_seq=0, n_pool=12, track_ids=gone[:2],
        lanes=["promise", "typical"], propensity=[0.5, 0.5], reasons=["test"] * 2,
    )  # fmt: skip
    monkeypatch.setattr(end, "QUIET_ROUNDS", 1)
    monkeypatch.setattr(end, "MOST_SECONDS", 1e9)
    monkeypatch.setattr(end.time, "sleep", lambda seconds: None)
    return home, expert


def waiting(db):
    q = t.acquisition_queue.c
    with db.read() as conn:
        return dict(
            conn.execute(sa.select(q.lane, q.state).where(q.lane.in_(("promise", "typical")), q.round_id > 1)).all()
        )


def test_while_names_are_tested_only_the_test_is_answered(tested):
    """Other names would teach a new head, which ends the test that was under way."""
    home, expert = tested
    said = []
    end.keep_promise(home, expert, None, said.append, lambda: None, lambda conn: True)
    assert waiting(home.database) == {"promise": "answered", "typical": "pending"}
    assert said == ["the demo has answered enough: 1 more"]


def test_a_kept_promise_ends_the_demo_at_once(tested):
    """Minutes that are spent after the end count as cost."""
    home, expert = tested
    with home.database.write() as conn:
        conn.execute(sa.update(t.promise_look).values(state="kept", n_answered=9, n_wrong=0, decided_at=THEN))
    said = []
    goal = end.keep_promise(home, expert, None, said.append, lambda: None, lambda conn: True)
    assert goal.promise.state == "kept"
    assert said == ["the promise is kept: 9 audits, 0 wrong"]
    assert waiting(home.database) == {"promise": "pending", "typical": "pending"}
