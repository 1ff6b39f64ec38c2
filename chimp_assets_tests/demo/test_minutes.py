"""What the demo says of minutes and of the promise, against a truth that is known."""

import io

import numpy as np
import pytest
import sqlalchemy as sa

from chimp_assets.acquisition.minutes.prices import Prices
from chimp_assets.console import output
from chimp_assets.console.output import Terminal
from chimp_assets.database import schema as t
from chimp_assets.demo.baseline import read_benchmark
from chimp_assets.demo.expert import price_of
from chimp_assets.demo.minutes import named_archive
from chimp_assets.demo.report import build_report, show_report
from chimp_assets_tests.demo.test_report import _add_head, studied  # noqa: F401 (a fixture)
from chimp_assets_tests.support.rows import THEN


def forecast(db, head, threshold):
    with db.write() as conn:
        conn.execute(
            sa.insert(t.archive_forecast).values(
                watermark_seq=9, head_model_id=head, goal_named=0.9, goal_error=0.05, n_tracks=72, n_frames=720,
                by_person=0.8, by_page=0.0, by_machine=0.2, nameless=0.0, expected_error=0.02, threshold=threshold,
                spent_s=60.0, to_go_s=0.0, created_at=THEN,
            )
        )  # fmt: skip


@pytest.fixture
def half_named(studied):  # noqa: F811
    """Twelve tracks, three of each animal, have lost their answers; the head calls all of them Fifi, with 0.9."""
    home, _, expert, tracks, _ = studied
    head = _add_head(home, read_benchmark(home.database, home.store, home.settings, 2), ["FF", "FI"] * 6, "champion")
    gone = tracks[:12].tolist()
    with home.database.write() as conn:
        ff = conn.scalar(sa.select(t.individual.c.individual_id).where(t.individual.c.anim_id == "FF"))
        for table in (t.standing_answer, t.annotation):
            conn.execute(sa.delete(table).where(table.c.track_id.in_(gone)))
        said = {"model_id": head, "rank": 1, "individual_id": ff, "probability": 0.9}
        conn.execute(sa.insert(t.prediction), [{"track_id": track_id, **said} for track_id in gone])
    return home, expert, head


def test_wrong_names_are_counted_by_frames_and_only_where_they_count(half_named):
    """A machine that is wrong where nobody would believe it, or right by luck, would look trustworthy."""
    home, expert, head = half_named
    db, store = home.database, home.store
    assert named_archive(db, store, expert, 2, [1]) is None, "nothing was forecast"
    forecast(db, head, 0.95)
    found = named_archive(db, store, expert, 2, [1, 2, 3])
    assert (found.named, found.wrong, found.holds) == (pytest.approx(60 / 72), 0.0, True)
    with db.read() as conn:
        spent = conn.scalar(sa.select(sa.func.sum(t.annotation.c.seconds)))
    assert found.spent == pytest.approx(spent / 60)
    assert found.volunteers == 0
    assert 0 < found.random < 72 * Prices().nobody / 60
    forecast(db, head, 0.5)
    found = named_archive(db, store, expert, 2, [1])
    assert (found.named, found.wrong, found.holds) == (1.0, pytest.approx(9 / 72), False)


def test_the_report_ends_with_minutes_and_with_whether_the_promise_is_true(half_named, tmp_path, monkeypatch):
    """The last thing that is read is what the mission counts."""
    home, _, head = half_named
    forecast(home.database, head, 0.5)
    report = build_report(home.database, home.store, home.settings, home.settings.home / "truth.json", None, draws=2)
    printed = io.StringIO()
    monkeypatch.setattr(output, "out", Terminal(width=140, file=printed))
    show_report(report)
    text = printed.getvalue()
    for words in (
        "minutes of random asking",
        "100.0% (goal 90%)",
        "12.5%",
        "not true, by the truth file",
        "not been tested",
    ):
        assert words in text, words
    assert report.as_dict()["archive"]["wrong"] == pytest.approx(0.125)


def test_an_answer_costs_what_its_action_costs():
    """A price that forgets what was proposed could not tell a good head from a poor one."""
    prices = Prices()
    proposed = ["FF", "FI"]
    asked = [
        ("boundary", "identify", "FF"), ("boundary", "identify", "FI"), ("boundary", "identify", "TU"),
        ("audit", "identify", "FF"), ("boundary", "unknown", None), ("boundary", "not_animal", None),
    ]  # fmt: skip
    found = [price_of(prices, lane, kind, code, proposed) for lane, kind, code in asked]
    assert found == [2.5, 3.5, 6.0, 4.5, 8.0, 4.5]
    assert price_of(prices, "boundary", "identify", "FF", []) == 6.0


def test_the_seconds_that_the_demo_records_teach_the_prices(studied):  # noqa: F811
    """Answers without what was shown would be taken for typed names, and every price would be wrong."""
    home, *_ = studied
    with home.database.read() as conn:
        rows = conn.execute(sa.select(t.annotation.c.lane, t.annotation.c.shown, t.annotation.c.seconds)).all()
    assert {row.shown for row in rows if row.lane == "audit"} == {'{"mode":"blind"}'}
    assert {row.shown for row in rows if row.lane == "typical"} == {'{"mode":"single","candidates":[]}'}
    typed = np.array([row.seconds for row in rows if row.lane == "typical"])
    assert abs(typed.mean() - Prices().named) < 0.6
