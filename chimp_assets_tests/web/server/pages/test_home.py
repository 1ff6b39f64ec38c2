"""The first page: what it counts, for whom, and what it says where nothing is known."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.labels.events import record_events
from chimp_assets.insight.labelling import progress
from chimp_assets_tests.database.world import event, plan_pairs, track

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


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
