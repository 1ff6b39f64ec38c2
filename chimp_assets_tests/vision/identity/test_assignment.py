"""Names given together: one animal is in one place at a time, alive, and of a community that is seen there."""

from datetime import UTC, date, datetime

import numpy as np
import scipy.special
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from chimp_assets.database import schema as t
from chimp_assets.vision.identity.assignment import NOBODY, name_together, overlapping
from chimp_assets.vision.identity.plausibility import NamePlausibility, read_plausibility


def together(probability, spans, unknown=0.05, video=None, possible=None):
    p = np.array(probability, dtype=np.float32)
    first, last = np.array(spans, dtype=np.float64).T
    video = np.zeros(len(p), dtype=np.int64) if video is None else np.array(video)
    return name_together(p, np.full(len(p), unknown, dtype=np.float32), video, first, last, possible)


def test_two_at_once_are_two_animals():
    """The second track would bear the first one's name although both stand side by side."""
    found = together([[0.9, 0.1, 0.0], [0.6, 0.4, 0.0]], [(0, 5), (3, 8)])
    assert found.column.tolist() == [0, 1]
    # By hand, with 5 % for none: joint chances (A, B) of each pair of names, equal ones struck out.
    a, b = np.array([0.855, 0.095, 0.05]), np.array([0.57, 0.38, 0.05])
    joint = np.outer(a, b) * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 1]])
    assert np.allclose(found.probability[1, :2], (joint.sum(0) / joint.sum())[:2] / 0.95, atol=1e-4)
    assert np.allclose(found.probability[0, :2], (joint.sum(1) / joint.sum())[:2] / 0.95, atol=1e-4)


def test_one_after_the_other_or_in_two_videos_may_be_one_animal():
    """An animal that leaves and comes back would lose its name."""
    p = [[0.9, 0.1], [0.8, 0.2]]
    for found in (together(p, [(0, 5), (5.1, 8)]), together(p, [(0, 5), (0, 5)], video=[1, 2])):
        assert found.column.tolist() == [0, 0]
        assert not found.changed.any()
        assert np.allclose(found.probability, p, atol=1e-6)


def test_three_tracks_and_two_names_leave_one_unknown():
    """A forced third name is surely wrong."""
    found = together([[0.9, 0.1], [0.1, 0.9], [0.55, 0.45]], [(0, 5), (0, 5), (0, 5)])
    assert found.column.tolist() == [0, 1, NOBODY]
    assert found.probability[2].sum() < 0.5


def test_the_first_and_last_of_a_chain_may_be_one_animal():
    """A overlaps B and B overlaps C: that says nothing of A and C."""
    found = together([[0.9, 0.1], [0.7, 0.3], [0.9, 0.1]], [(0, 4), (3, 7), (6, 9)])
    assert found.column.tolist() == [0, 1, 0]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(2, 6), st.integers(0, 10_000))
def test_probabilities_stay_probabilities_and_no_name_is_twice_at_once(n, classes, seed):
    """Any crowd: names adding to more than 1, or one animal twice in a frame, would break what views promise."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(classes, 0.4), n).astype(np.float32)
    first = rng.uniform(0, 10, n)
    last = first + rng.exponential(3, n)
    video = rng.integers(0, 2, n)
    possible = rng.choice([1.0, 0.001], (n, classes), p=[0.8, 0.2]).astype(np.float32)
    found = name_together(p, rng.choice([0.05, 0.5], n).astype(np.float32), video, first, last, possible)
    assert np.isfinite(found.probability).all()
    assert (found.probability >= 0).all()
    assert (found.probability.sum(1) <= 1 + 1e-5).all()
    one, other = overlapping(video, first, last)
    named = found.column[one] != NOBODY
    assert (found.column[one] != found.column[other])[named].all()
    first_rank = found.probability.argmax(1)
    has = found.column != NOBODY
    assert (first_rank[has] == found.column[has]).all()


def crowd(seed: int = 0, videos: int = 400, classes: int = 12, noise: float = 1.3):
    """Videos of 1 to 5 different animals at once, and calibrated probabilities of each alone."""
    rng = np.random.default_rng(seed)
    truth, video = [], []
    for v in range(videos):
        who = rng.choice(classes, rng.integers(1, 6), replace=False)
        truth += who.tolist()
        video += [v] * len(who)
    truth = np.array(truth)
    # Logits of a Gaussian observation: their softmax is the true posterior.
    logits = rng.normal(size=(len(truth), classes)) / noise
    logits[np.arange(len(truth)), truth] += 1 / noise**2
    return truth, np.array(video), scipy.special.softmax(logits, axis=1).astype(np.float32)


def ece(probability, correct):
    bins = np.minimum((probability * 10).astype(int), 9)
    return sum(abs((probability - correct)[bins == b].sum()) for b in range(10)) / len(correct)


def test_naming_together_is_more_often_right_and_as_honest():
    """A constraint that costs accuracy or makes probabilities boast would be worse than none."""
    truth, video, p = crowd(noise=0.4)
    spans = np.zeros(len(truth)), np.ones(len(truth))
    found = name_together(p, np.full(len(truth), 0.01, dtype=np.float32), video, *spans)
    alone, now = p.argmax(1) == truth, found.probability.argmax(1) == truth
    assert now.mean() > alone.mean() + 0.01
    assert ece(found.probability.max(1), now) < max(0.05, ece(p.max(1), alone))


DEAD, YOUNG, ELSEWHERE, PLAIN = range(4)


def lives() -> NamePlausibility:
    day = date(2020, 6, 1).toordinal()
    born = np.array([np.nan, day, np.nan, np.nan])
    gone = np.array([day, np.nan, np.nan, np.nan])
    died = np.array([True, False, False, False])
    return NamePlausibility(
        born, gone, died, [(PLAIN, 1, 0, np.inf), (ELSEWHERE, 2, 0, np.inf)], {"kk": {1: 200, 2: 1}}
    )


def test_the_dead_and_the_unborn_fade_and_are_never_quite_impossible():
    """A wrong date in a biography must not hide an animal for ever; a right one must speak."""
    day = float(date(2020, 6, 1).toordinal())
    weight = lives().possible(np.array([day, day + 365, day - 365, np.nan]), np.array(["", "", "", "kk"], dtype=object))
    assert weight[0].tolist() == [1, 1, 1, 1]
    assert weight[1, DEAD] < 0.01 < weight[1, YOUNG] == 1
    assert weight[2, YOUNG] < 0.01 < weight[2, DEAD] == 1
    assert (weight > 0).all()
    assert weight[3].tolist() == [1, 1, 1, 1]


def test_a_community_that_is_not_seen_at_a_site_is_less_likely_there():
    """A look-alike of the neighbours would be named far from home."""
    day = float(date(2020, 6, 1).toordinal())
    weight = lives().possible(np.array([day, day]), np.array(["kk", "mitumba"], dtype=object))
    assert weight[0, ELSEWHERE] == np.float32(0.05)
    assert weight[0, PLAIN] == 1
    assert weight[1, ELSEWHERE] == 1


def test_lives_are_read_from_biographies(home):
    """A date in the wrong column, or one of who was merged away, would strike living animals from the list."""
    with home.database.write() as conn:
        common = {"sex": "F", "created_at": datetime(2026, 1, 1, tzinfo=UTC)}
        rows = [
            {"individual_id": 1, "anim_id": "A", "birth_date": date(2000, 1, 1), "bd_min": date(1999, 1, 1)},
            {
                "individual_id": 2, "anim_id": "B", "depart_date": date(2010, 1, 1), "depart_date_error": 1.0,
                "depart_type": "D",
            },
            {"individual_id": 3, "anim_id": "C", "same_as_id": 2},
        ]  # fmt: skip
        for row in rows:
            conn.execute(sa.insert(t.individual).values(**common, **row))
        conn.execute(sa.insert(t.community).values(community_id=1, comm_id="KK"))
        conn.execute(
            sa.insert(t.community_membership).values(individual_id=3, community_id=1, start_date=date(2001, 1, 1))
        )
    with home.database.read() as conn:
        known = read_plausibility(conn, np.array([1, 3, 9]))
    assert known.born_first[0] == date(1999, 1, 1).toordinal()
    assert known.departed[1] == date(2010, 1, 1).toordinal() + 365.25
    assert known.died.tolist() == [False, True, False]
    assert [member[:2] for member in known.members] == [(1, 1)]
    assert np.isnan(known.born_first[2])
