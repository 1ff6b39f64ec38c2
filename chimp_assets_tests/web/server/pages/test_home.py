"""The first page: what it counts, for whom, and what it says where nothing is known."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from chimp_assets.console.status import goal_lines
from chimp_assets.database import schema as s
from chimp_assets.database.labels.events import record_events
from chimp_assets.insight.goal import MinutesToGo, archive_goal
from chimp_assets.insight.labelling import progress
from chimp_assets_tests.database.world import event, plan_pairs, track

LONG_AGO, LONG_AHEAD = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def user_id(conn, name="anna"):
    return conn.scalar(sa.select(s.app_user.c.user_id).where(s.app_user.c.name == name))


def test_a_day_counts_names_that_stand_and_no_others(archive):
    """A name that was taken back, or somebody else's, is counted as one's own work."""
    mine = event("identify", track(6, 2), "GM", seconds=9.0)
    record_events(archive.database, [mine, event("retract", supersedes=mine.annotation_id)])
    record_events(archive.database, [event("identify", track(8, 0), "GM", annotator="rita", seconds=1.0)])
    with archive.database.read() as conn:
        day = progress.day_of(conn, user_id(conn), "anna", LONG_AGO)
        assert (day.named, day.answers) == (10, 11)
        assert day.pace == progress.MedianTime(3.0, 11)
        tomorrow = progress.day_of(conn, user_id(conn), "anna", datetime.now(UTC) + timedelta(days=1))
        assert (tomorrow.named, tomorrow.pace) == (0, progress.MedianTime(None, 0))


def test_time_left_is_what_is_ready_times_ones_own_median(archive):
    """Work that others hold, or somebody else's pace, would promise a wrong end."""
    plan = plan_pairs(archive.database, [(track(1, 2), track(2, 2))])  # a new round: names that wait are withdrawn
    assert plan
    with archive.database.write() as conn:
        conn.execute(
            sa.update(s.acquisition_queue).where(s.acquisition_queue.c.lane != "pairs").values(state="pending")
        )
    with archive.database.read() as conn:
        names, pairs, disputed = progress.work_for(conn, user_id(conn), True, True)
        assert (names.kind, names.ready, names.seconds_left) == ("names", 4, 4 * 3.0)
        assert (pairs.ready, pairs.seconds_left, disputed.ready) == (1, None, 0)
        held = {"state": "leased", "leased_until": datetime.now(UTC) + timedelta(hours=1)}
    with archive.database.write() as conn:
        first = conn.scalar(sa.select(sa.func.min(s.acquisition_queue.c.item_id)))
        one = s.acquisition_queue.c.item_id == first
        conn.execute(sa.update(s.acquisition_queue).where(one).values(leased_by=user_id(conn, "rita"), **held))
    with archive.database.read() as conn:
        assert progress.work_for(conn, user_id(conn), True, False)[0].ready == 3
        assert progress.work_for(conn, user_id(conn, "rita"), True, False)[0].ready == 4


def test_who_lacks_verified_tracks_counts_people_not_models(archive):
    """An individual that only a model names looks as if it were known."""
    with archive.database.read() as conn:
        found = [(row.anim_id, row.verified) for row in progress.undersampled(conn)]
        assert found == [("GM", 0), ("FD", 1), ("FI", 4), ("FF", 5)]
        assert progress.undersampled(conn, 5) == [row for row in progress.undersampled(conn) if row.verified < 5]


def test_the_page_shows_the_numbers_and_what_they_rest_on(archive, client):
    """A chart without a table, or a number without its model, cannot be checked."""
    page = client("anna").get("/").text
    for sentence in (
        "Continue (4 ready)", "head 1 (run 2)", "Labels up to decision 10", "160", "+2.5", "typical tracks",
        'aria-label="Accuracy by number of labels"', "12 s", "Nothing to decide",
    ):  # fmt: skip
        assert sentence in page, sentence
    assert page.count("<polyline") == 2
    assert len(re.findall(r"<tr><td>(as asked here|at random)</td>", page)) == 6
    assert "home." not in re.sub(r'"[^"]*"', "", page), "a text is missing"


@pytest.mark.parametrize(("name", "sees", "not_this"), [
    ("lotte", "What the labels achieved", "Continue ("),
    ("vera", "Pairs: same or different", "Tracks to name"),
    ("anna", "Tracks to name", "nothing"),
])  # fmt: skip
def test_everybody_sees_what_is_theirs_to_do(client, name, sees, not_this):
    """A button that leads to a refusal."""
    page = client(name).get("/").text
    assert sees in page
    assert not_this not in page
    assert ("To decide" in page) == (name == "anna")


def test_merges_to_decide_about_are_named(archive, client):
    """Nobody would learn that two entries are one animal."""
    new = event("new_individual", track(6, 2))
    record_events(archive.database, [new, event("same", track(6, 2), other_track_id=track(1, 0))])
    page = client("anna").get("/").text
    assert "Probably the same animal" in page
    assert "Fifi" in page.split("Probably the same animal")[1]


def test_an_empty_home_says_so(home):
    """A first start fails, or shows zeros as if they were measured."""
    with home.database.read() as conn:
        assert progress.learning_progress(conn) == progress.LearningProgress(None, None, None, [])
        assert progress.undersampled(conn) == []


def forecast(db, spent_s, to_go_s, helped_s, named=0.5, **other):
    """One kept forecast: half of the named frames by a person, a tenth on pages."""
    with db.write() as conn:
        conn.execute(
            sa.insert(s.archive_forecast).values(
                {"watermark_seq": 10, "head_model_id": 2, "goal_named": 0.9, "goal_error": 0.05, "n_tracks": 30,
                 "n_frames": 3000, "by_person": named / 2, "by_page": named / 10, "by_machine": named * 0.4,
                 "nameless": 0.02, "expected_error": 0.031, "spent_s": spent_s, "to_go_s": to_go_s,
                 "with_volunteers_s": helped_s, "volunteers_s": 900.0, "created_at": LONG_AGO} | other
            )
        )  # fmt: skip


def test_the_goal_comes_first_with_an_upper_limit_until_forecasts_have_come_true(archive, client):
    """One number would be read as a promise, and nobody would know what to do next."""
    db = archive.database
    assert "frames named" not in client("anna").get("/").text
    forecast(db, 0, 4260.0, 2000.0)
    page = client("anna").get("/").text
    for sentence in (
        "90 % of the frames named, at most 5 % of the names wrong", "At most 71 minutes of yours to go",
        "at most 34 with two volunteers", "An upper limit", "3.1 %", "not tested yet", "By nobody 50 % (2 % looked at",
        "Name tracks (4 ready)",
    ):  # fmt: skip
        assert sentence in page, sentence
    assert page.count('class="button primary continue"') == 1
    said = " ".join(goal_lines(archive_goal_of(db)))
    assert "at most 71 minutes of yours to go if answers taught nothing, at most 33 minutes with two" in said
    for spent, left in ((300, 3660.0), (600, 3060.0), (900, 2460.0)):
        forecast(db, spent, left, left / 2)
    found = archive_goal_of(db)
    assert found.alone == MinutesToGo(pytest.approx(20.5), pytest.approx(20.5))
    assert "20 minutes of yours to go, 10 with two volunteers" in client("anna").get("/").text
    forecast(db, 1200, 2460.0, 1230.0)
    found = archive_goal_of(db)
    assert found.alone.low < 21 < found.alone.high, "the last answers brought nothing"
    assert "minutes of yours to go, " in goal_lines(found)[0]
    forecast(db, 1500, None, None, n_frames=4000)
    assert archive_goal_of(db).alone is None
    assert "No number of answers" in client("anna").get("/").text


def archive_goal_of(db):
    with db.read() as conn:
        return archive_goal(conn)


@pytest.mark.parametrize(("state", "says", "also"), [
    ("auditing", "audits answered, 1 wrong", "Promise: 2 of some"),
    ("kept", "kept since 2020-01-01 (2 audits, 1 wrong)", "at most 4.0% of the names are wrong"),
    ("failed", "not kept yet (2 audits, 1 wrong)", "not kept at look 1"),
    ("ended", "ended on 2020-01-01", "a head was promoted"),
])  # fmt: skip
def test_the_promise_is_told_as_it_stands(archive, client, state, says, also):
    """A promise that has ended, or is still being tested, is believed."""
    db = archive.database
    forecast(db, 0, 0.0, 0.0, named=0.92)
    with db.write() as conn:
        conn.execute(sa.insert(s.promise).values(error=0.05, named=0.9, confidence=0.95, created_at=LONG_AGO))
        conn.execute(
            sa.insert(s.promise_look).values(
                promise_id=1, look_no=1, alpha=0.025, head_model_id=2, threshold=0.8, tested_share=0.5,
                named_share=0.92, expected_error=0.03, n_tracks=9, n_frames=90, seed=1, watermark_seq=1,
                merge_watermark=0, state=state, n_answered=2, n_wrong=1, wealth=1.0, error_bound=0.04,
                frozen_at=LONG_AHEAD, decided_at=LONG_AGO, ended_at=LONG_AGO, end_reason="a head was promoted",
            )
        )  # fmt: skip
        individual = conn.scalar(sa.select(sa.func.min(s.individual.c.individual_id)))
        for draw in range(3):
            conn.execute(
                sa.insert(s.promise_draw).values(
                    look_id=1, draw_no=draw, track_id=track(6, 2), individual_id=individual, source="model"
                )
            )
    page = client("lotte").get("/").text
    assert says in page
    assert "Within reach" in page
    assert 'class="button primary continue"' not in page, "who only looks has nothing to do"
    assert also in " ".join(goal_lines(archive_goal_of(db)))
