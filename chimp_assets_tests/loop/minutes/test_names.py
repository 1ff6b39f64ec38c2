"""How far an archive is named, and what answers cost in it, as read from real events."""

from __future__ import annotations

import json

import numpy as np
import pytest
import sqlalchemy as sa

from chimp_assets.acquisition.minutes.calibration import ChanceLine
from chimp_assets.acquisition.minutes.goal import BY_A_PERSON, NAMELESS, NOBODY_ASKED, ON_A_PAGE, Goal, reach
from chimp_assets.acquisition.minutes.prices import PRIOR_ANSWERS, Prices
from chimp_assets.database import schema as t
from chimp_assets.database.individuals.merges import merge_individuals
from chimp_assets.database.labels.events import LabelEvent, record_events
from chimp_assets.home import Home
from chimp_assets.loop.minutes.names import TrackNaming, read_archive_names
from chimp_assets.loop.minutes.prices import learned_prices
from chimp_assets_tests.database.world import HEAD, START, event, make_world, track


@pytest.fixture
def named(home: Home) -> Home:
    """Two videos of ten tracks; the head names each Fifi (0.6 to 0.95), but the last of the second Gremlin."""
    db = home.database
    make_world(db, videos=2, tracks=10)
    who = _individuals(home)
    rows = [
        {
            "model_id": HEAD, "track_id": track(video, n), "rank": 1, "probability": 0.6 + 0.0375 * n,
            "individual_id": who["GM"] if (video, n) == (2, 9) else who["FF"],
        }
        for video in (1, 2)
        for n in range(10)
    ]  # fmt: skip
    with db.write() as conn:
        conn.execute(sa.insert(t.prediction), rows)
    return home


def _individuals(home: Home) -> dict[str, int]:
    with home.database.read() as conn:
        rows = conn.execute(sa.select(t.individual.c.anim_id, t.individual.c.individual_id))
        return {code: key for code, key in rows}


def _read(home: Home) -> TrackNaming:
    with home.database.read() as conn:
        found = read_archive_names(conn, home.settings)
    assert found is not None
    return found


def _row(found: TrackNaming, video: int, n: int) -> int:
    return int(np.flatnonzero(found.track_id == track(video, n))[0])


def test_an_archive_says_who_was_asked_and_whose_name_counts(named: Home) -> None:
    """A denied name that still counts, or a junk track that is waited for, breaks the goal."""
    db, who = named.database, _individuals(named)
    shown = {"mode": "grid", "candidates": []}
    record_events(
        db,
        [
            event("identify", track(1, 0), "FI"),
            event("identify", track(1, 1), "FF", shown=json.dumps(shown), lane="free"),
            event("unknown", track(1, 2)),
            event("not_animal", track(1, 3)),
        ],
    )
    with db.write() as conn:
        for n, state, code in ((4, "denied", "FF"), (5, "agreed", "FF"), (6, "denied", "GM")):
            conn.execute(
                sa.insert(t.track_evidence).values(
                    track_id=track(1, n), individual_id=who[code], n_yes=0, n_no=0, state=state, seq=1
                )
            )
        conn.execute(
            sa.insert(t.track_score).values(
                model_id=HEAD, track_id=track(1, 7), margin=0.1, max_logit=0, novelty=0, entropy=0, is_unknown=True
            )
        )
        conn.execute(sa.update(t.track).where(t.track.c.track_id == track(1, 8)).values(state="junk"))
    found = _read(named)
    assert len(found.track_id) == 18
    assert not {track(1, 3), track(1, 8)} & set(found.track_id.tolist())
    asked = {n: int(found.names.asked[_row(found, 1, n)]) for n in (0, 1, 2, 4, 5, 6, 7, 9)}
    assert asked == {
        0: BY_A_PERSON, 1: ON_A_PAGE, 2: NAMELESS, 4: NOBODY_ASKED, 5: ON_A_PAGE, 6: NOBODY_ASKED, 7: NOBODY_ASKED,
        9: NOBODY_ASKED,
    }  # fmt: skip
    for n in (4, 7):
        row = _row(found, 1, n)
        assert (found.names.chance[row], found.probability[row], found.individual_id[row]) == (0, 0, -1)
    assert found.names.chance[_row(found, 1, 6)] > 0.5, "another name was denied"
    assert (found.names.frames == 10).all()
    assert (found.watermark_seq, found.head_model_id) == (4, HEAD)


def test_the_audit_says_how_far_the_head_is_right(named: Home) -> None:
    """Answers that the head chose would turn the line round; merged names are right by either."""
    wrong = [event("identify", track(2, n), "FI", lane="boundary") for n in range(5)]
    record_events(named.database, wrong)
    assert _read(named).line == ChanceLine()
    record_events(named.database, [event("identify", track(1, n), "FI", lane="audit") for n in range(10)])
    mistaken = _read(named)
    assert mistaken.line.of(np.array([0.8]))[0] < 0.6
    merge_individuals(named.database, "FI", "FF", force=True)
    right = _read(named)
    assert right.line.of(np.array([0.8]))[0] > 0.85
    assert right.individual_id[0] == _individuals(named)["FF"]


def test_the_threshold_of_the_chance_is_one_of_the_head(named: Home) -> None:
    """SQL compares what the head said: by a threshold a hair above it the last tracks would lose their names."""
    record_events(named.database, [event("identify", track(1, n), "FF", lane="audit") for n in range(10)])
    found = _read(named)
    for goal in (Goal(0.9, 0.05), Goal(0.9, 0.3), Goal(0.9, 0.01)):
        there = reach(found.names, goal)
        carried = (found.names.asked == NOBODY_ASKED) & (found.names.chance >= there.threshold)
        above = (found.names.asked == NOBODY_ASKED) & (found.probability >= found.threshold_probability(there))
        assert (carried == above).all()


def test_without_a_head_nobody_knows_how_far_names_are_right(home: Home) -> None:
    """Chances of a head that is not there."""
    with home.database.read() as conn:
        assert read_archive_names(conn, home.settings) is None


def test_answers_say_what_they_cost(named: Home) -> None:
    """A price that is learned from other answers than it is about sends the expert to the wrong tracks."""

    def told(
        kind: str, n: int, anim_id: str | None, seconds: float, codes: tuple[str, ...] = (), **more: str
    ) -> LabelEvent:
        shown = {"mode": more.pop("mode", "single"), "candidates": [[code, 0.5] for code in codes]}
        return event(kind, track(1, n), anim_id, seconds=seconds, shown=json.dumps(shown), **more)

    events = [
        told("identify", 0, "FF", 1.0, ("FF", "GM")),
        told("identify", 1, "GM", 9.0, ("FF", "GM")),
        told("identify", 2, "FI", 11.0, ("FF", "GM")),
        told("unknown", 3, None, 20.0, ("FF", "GM")),
        told("identify", 4, "FF", 7.0, lane="audit", mode="blind"),
        told("identify", 5, "FF", 50.0, ("FF",), mode="grid"),
        told("identify", 6, "FF", 50.0, ("FF",), mode="review"),
        told("identify", 7, "FF", 60.0, ("FF", "GM")),
    ]
    record_events(named.database, events)
    with named.database.read() as conn:
        all_of_them, before = learned_prices(conn), learned_prices(conn, 7)
    prior = Prices()

    def mean(name: str, *seconds: float) -> float:
        return (PRIOR_ANSWERS * getattr(prior, name) + sum(seconds)) / (PRIOR_ANSWERS + len(seconds))

    assert before.right == pytest.approx(mean("right", 1.0))
    assert all_of_them.right == pytest.approx(mean("right", 1.0, 20.0)), "a tea break counts as eight answers"
    assert before.listed == pytest.approx(mean("listed", 9.0))
    assert before.named == pytest.approx(mean("named", 11.0))
    assert before.nobody == pytest.approx(mean("nobody", 20.0))
    assert before.other == pytest.approx(mean("other", 9.0, 11.0, 20.0))
    assert before.audit == pytest.approx(mean("audit", 7.0))
    assert (before.page, before.tile, before.is_it) == (prior.page, prior.tile, prior.is_it)


def test_pages_say_what_they_cost(named: Home) -> None:
    """The planner compares pages with single questions by their prices."""
    prior = Prices()
    with named.database.write() as conn:
        conn.execute(
            sa.insert(t.grid_page).values(
                page_id=1, individual_id=_individuals(named)["FF"], head_model_id=HEAD, position=0, propensity=1.0,
                reason="r", state="answered", seconds=2 * (prior.page + 10 * prior.tile + prior.taken_out),
                n_taken_out=1, created_at=START,
            )
        )  # fmt: skip
        for n in range(10):
            conn.execute(sa.insert(t.grid_member).values(page_id=1, track_id=track(1, n), position=n, probability=0.8))
    with named.database.read() as conn:
        prices = learned_prices(conn)
    for name in ("page", "tile", "taken_out"):
        before = getattr(prior, name)
        assert getattr(prices, name) == pytest.approx((PRIOR_ANSWERS + 2) / (PRIOR_ANSWERS + 1) * before)
    assert prices.right == prior.right
