"""What follows from names and same/different answers, and what cannot all be true."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from chimp_assets.acquisition.curation import NOBODY, curate

NONE = np.empty((0, 2), np.int64)


def _links(*links: tuple[int, int]) -> np.ndarray:
    return np.array(links, np.int64).reshape(-1, 2)


def _names(n: int, **said: int) -> np.ndarray:
    name = np.full(n, NOBODY, np.int32)
    for track, who in said.items():
        name[int(track[1:])] = who
    return name


def test_a_name_goes_to_those_who_are_the_same() -> None:
    """Three answers that name five tracks are what pairs are asked for."""
    found = curate(6, _names(6, t0=7), _links((0, 1), (1, 2), (3, 4)), NONE)
    assert found.implied.tolist() == [NOBODY, 7, 7, NOBODY, NOBODY, NOBODY]
    assert found.group[3] == found.group[4] != found.group[0]
    assert found.contradictions == []


def test_two_names_in_one_group_are_shown_by_their_shortest_chain() -> None:
    """A person can judge three tracks, not a group of forty."""
    found = curate(6, _names(6, t0=7, t5=8), _links((0, 1), (1, 2), (2, 5), (1, 5), (3, 4)), NONE)
    (wrong,) = found.contradictions
    assert wrong.kind == "two_names"
    assert wrong.tracks in ((0, 1, 5), (5, 1, 0))
    assert set(wrong.individuals) == {7, 8}
    assert (found.implied == NOBODY).all()


def test_different_within_a_chain_or_a_name_is_a_contradiction() -> None:
    """Somebody was wrong, and no name may follow from it meanwhile."""
    found = curate(5, _names(5, t3=9, t4=9), _links((0, 1), (1, 2)), _links((2, 0), (3, 4)))
    assert [wrong.kind for wrong in found.contradictions] == ["kept_apart", "kept_apart"]
    assert found.contradictions[0].tracks == (2, 1, 0)
    assert found.contradictions[1].tracks == (3, 4)
    assert found.contradictions[1].individuals == (9, 9)


def test_a_working_name_beside_a_name_is_a_merge_to_propose() -> None:
    """NEW-12AB turning out to be Fifi is a discovery, not a quarrel."""
    provisional = np.zeros(10, bool)
    provisional[4] = True
    found = curate(3, _names(3, t0=4, t2=7), _links((0, 1), (1, 2)), NONE, provisional)
    assert found.contradictions == []
    (merge,) = found.proposals
    assert (merge.provisional, merge.individual) == (4, 7)
    assert set(merge.chain) == {0, 1, 2}
    assert found.implied[1] == NOBODY


def test_a_working_name_hides_no_quarrel_of_two_names() -> None:
    """Compared with the working name alone, Fifi and Flo in one group would pass for two merges to propose."""
    provisional = np.zeros(10, bool)
    provisional[1] = True
    found = curate(3, _names(3, t0=1, t1=7, t2=8), _links((0, 1), (0, 2)), NONE, provisional)
    assert [set(wrong.individuals) for wrong in found.contradictions] == [{7, 8}]
    assert [(p.provisional, p.individual) for p in found.proposals] == [(1, 7)]
    assert curate(0, _names(0), NONE, NONE).contradictions == []


@settings(max_examples=100, deadline=None)
@given(
    truth=st.lists(st.integers(0, 3), min_size=1, max_size=14),
    said=st.lists(st.tuples(st.integers(0, 13), st.integers(0, 13)), max_size=20),
    named=st.sets(st.integers(0, 13)),
)
def test_true_answers_never_contradict_each_other_and_imply_only_what_is_true(
    truth: list[int], said: list[tuple[int, int]], named: set[int]
) -> None:
    """A false alarm sends the expert after nothing; a false name is worse."""
    n = len(truth)
    said = [(a, b) for a, b in said if a < n and b < n and a != b]
    same = _links(*[(a, b) for a, b in said if truth[a] == truth[b]])
    different = _links(*[(a, b) for a, b in said if truth[a] != truth[b]])
    name = np.array([who if i in named else NOBODY for i, who in enumerate(truth)], np.int32)
    found = curate(n, name, same, different)
    assert found.contradictions == []
    for i in range(n):
        assert found.implied[i] in (NOBODY, truth[i])


@settings(max_examples=60, deadline=None)
@given(
    truth=st.lists(st.integers(0, 2), min_size=4, max_size=12),
    links=st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), min_size=4, max_size=16),
    lie=st.integers(0, 100),
)
def test_a_lie_that_can_be_seen_is_seen(truth: list[int], links: list[tuple[int, int]], lie: int) -> None:
    """With every track named, a same between two animals and a different within one always show."""
    n = len(truth)
    links = [(a, b) for a, b in links if a < n and b < n and a != b]
    if not links:
        return
    lie %= len(links)
    says_same = [(truth[a] == truth[b]) != (i == lie) for i, (a, b) in enumerate(links)]
    same = _links(*[link for link, is_same in zip(links, says_same, strict=True) if is_same])
    different = _links(*[link for link, is_same in zip(links, says_same, strict=True) if not is_same])
    found = curate(n, np.array(truth, np.int32), same, different)
    assert found.contradictions
    for wrong in found.contradictions:
        for a, b in zip(wrong.tracks, wrong.tracks[1:], strict=False):
            asked = {frozenset(link) for link in links}
            assert frozenset((a, b)) in asked
