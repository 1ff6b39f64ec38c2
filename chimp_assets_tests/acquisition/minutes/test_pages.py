"""Pages of many tracks: what they may hold, and that none costs more than asking one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimp_assets.acquisition.minutes.pages import (
    BY_PEOPLE_ONLY,
    LEAST_TRACKS,
    MOST_TRACKS,
    AskableTracks,
    pages_worth_asking,
    singles_rate,
)
from chimp_assets.acquisition.minutes.prices import Prices


def drawn(seed: int, n: int, individuals: int, sigma: float) -> AskableTracks:
    """n tracks with lengths and chances at random, some without a name, some of them copies."""
    rng = np.random.default_rng(seed)
    chance = rng.beta(2, 1, n) * (rng.random(n) < 0.9)
    individual = np.where(chance > 0, rng.integers(0, individuals, n), -1)
    return AskableTracks(np.round(40 * rng.lognormal(0, sigma, n)), chance, individual, rng.random(n) < 0.9)


CASES = st.tuples(st.integers(0, 1 << 30), st.integers(0, 500), st.integers(1, 9), st.sampled_from([0.0, 0.5, 1.0]))


@settings(max_examples=60, deadline=None)
@given(CASES, st.sampled_from([0.7, 0.9, BY_PEOPLE_ONLY]), st.sampled_from([0.5, 1.0, 2.0]))
def test_a_page_holds_what_pays_and_nothing_else(case: tuple[int, int, int, float], threshold: float, dear: float):
    """A page of what the machine carries for nothing, or of guesses, costs more than it names."""
    tracks = drawn(*case)
    prices = Prices(tile=0.35 * dear, page=2.0 * dear)
    pages = pages_worth_asking(tracks, prices, threshold, 8)
    assert len(pages) <= 8
    shown = np.concatenate([page.rows for page in pages]) if pages else np.empty(0, np.int64)
    assert len(np.unique(shown)) == len(shown), "a track is on one page"
    left = np.ones(len(tracks.frames), bool)
    for page in pages:
        assert LEAST_TRACKS <= len(page.rows) <= MOST_TRACKS
        assert (tracks.individual[page.rows] == page.individual).all()
        assert tracks.on_page is not None
        assert tracks.on_page[page.rows].all()
        assert (page.chance >= prices.least_chance_on_a_page(len(page.rows))).all()
        assert (page.chance < threshold).all()
        alone = AskableTracks(tracks.frames[left], tracks.chance[left], tracks.individual[left])
        assert page.rate > singles_rate(alone, prices, threshold)
        left[page.rows] = False


@settings(max_examples=30, deadline=None)
@given(CASES)
def test_pages_do_not_depend_on_the_order_of_the_tracks(case: tuple[int, int, int, float]):
    """The same labels give the same pages: no two plans of one state may differ."""
    tracks = drawn(*case)
    # Lengths that differ: of equal tracks one must come first, and the order says which.
    tracks = AskableTracks(tracks.frames + np.arange(len(tracks.frames)) / 1e3, tracks.chance, tracks.individual)
    turn = np.random.default_rng(case[0]).permutation(len(tracks.frames))
    turned = AskableTracks(tracks.frames[turn], tracks.chance[turn], tracks.individual[turn])
    one = pages_worth_asking(tracks, Prices(), 0.9, 4)
    other = pages_worth_asking(turned, Prices(), 0.9, 4)
    assert [page.rows.tolist() for page in one] == [turn[page.rows].tolist() for page in other]


def test_long_single_tracks_come_before_a_page_of_short_ones():
    """A page of two dozen glimpses is no better for being a page, if the long ones are still unnamed."""
    short, long = np.full(24, 5.0), np.full(20, 1_000.0)
    chance = np.r_[np.full(24, 0.8), np.full(20, 0.3)]
    individual = np.r_[np.zeros(24, np.int64), np.full(20, 1)]
    both = AskableTracks(np.r_[short, long], chance, individual)
    assert pages_worth_asking(both, Prices(), 0.9, 8) == []
    assert len(pages_worth_asking(AskableTracks(short, chance[:24], individual[:24]), Prices(), 0.9, 8)) == 1


def test_where_people_alone_name_the_surest_are_on_pages_too():
    """Elsewhere the machine carries them; where it may not, they are what a page names fastest."""
    n = 30
    tracks = AskableTracks(np.full(n, 10.0), np.linspace(0.9, 0.99, n), np.zeros(n, np.int64))
    assert pages_worth_asking(tracks, Prices(), 0.9, 8) == []
    (page,) = pages_worth_asking(tracks, Prices(), BY_PEOPLE_ONLY, 1)
    assert len(page.rows) == MOST_TRACKS
    assert page.chance.max() == pytest.approx(0.99)
    assert page.seconds < float(Prices().of_tracks(page.chance).sum())


def test_columns_of_different_lengths_are_refused():
    """A chance beside the wrong track would put strangers on a page."""
    with pytest.raises(ValueError, match="differ in length"):
        AskableTracks(np.ones(3), np.ones(2), np.zeros(3, np.int64))
