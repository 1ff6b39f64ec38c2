"""The address of a search says what is searched for, and nothing that nobody knows."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimp_assets.database.footage.light import LIGHTS
from chimp_assets.insight.search.query import SEXES, SORTS, SOURCES, STATUSES, SearchError, SearchQuery, parse

shares = st.floats(0, 1, allow_subnormal=False)
ranges = st.tuples(shares, shares).map(lambda pair: (min(pair), max(pair)))
names = st.lists(st.sampled_from(["FF", "FI", "!GM", "Ä B"]), max_size=3, unique=True).map(tuple)


def some(values: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), max_size=3, unique=True).map(tuple)


@given(
    st.builds(
        SearchQuery, who=names, beside=names, cameras=some(("a/cam1", "–/x y")), status=some(STATUSES),
        sources=some(SOURCES), sexes=some(SEXES),
        ages=some(("infant", "old adult")), lights=some(LIGHTS), flag=some(("1",)),
        p=st.none() | ranges, quality=st.none() | ranges,
        hour=st.none() | st.tuples(st.integers(0, 11), st.integers(11, 23)),
        since=st.none() | st.dates(), until=st.none() | st.dates(), video=st.none() | st.integers(0, 2**50),
        sort=st.sampled_from(SORTS),
    )
)  # fmt: skip
def test_the_words_of_a_search_say_it_again(asked: SearchQuery) -> None:
    assert parse(asked.words()) == asked
    for key, value in asked.words():
        assert (key, value) not in asked.without(key, value).words()


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("colour", "red", "nothing to search by"), ("status", "maybe", "named"), ("by", "me", "person"),
        ("sort", "x", "new"), ("p", "2", "range"), ("p", "0.9-0.1", "range"), ("p", "a-b", "range"),
        ("hour", "6-30", "range"), ("hour", "6.5-9", "whole hours"),
        ("light", "red", "infrared"), ("flag", "yes", "1"), ("at", "10", "moment"), ("at", "1.2.x", "number"),
        ("after", "5", "place"), ("after", "nan~5", "place"),
        ("since", "yesterday", "not a day"), ("video", "-1", "number"),
        ("video", "٣", "number"), ("who", "x" * 300, "too long"),
    ],
)  # fmt: skip
def test_a_word_that_is_not_known_is_named(key: str, value: str, said: str) -> None:
    with pytest.raises(SearchError) as caught:
        parse([(key, value)])
    assert said in f"{caught.value.sentence} {caught.value.remedy}"
    assert caught.value.remedy


def test_the_moment_of_an_address_is_no_part_of_what_is_searched_for() -> None:
    kept = parse([("who", "FF"), ("at", "10234.41.1198"), ("after", "0.5~7")])
    assert kept.at == (10234, 41, 1198)
    assert kept.words() == [("who", "FF")]
    assert kept.without("who", "FF") == kept.toggled("who", "FF") == SearchQuery()


def test_too_many_words_and_empty_ones() -> None:
    with pytest.raises(SearchError):
        parse([("who", f"A{n}") for n in range(60)])
    assert parse([("who", " "), ("since", "")]) == SearchQuery()
    assert parse([("who", "ff"), ("who", "FF"), ("with", "!gm")]) == SearchQuery(who=("FF",), beside=("!GM",))
    assert parse([("since", "2013-05-06"), ("hour", "6-9")]).since == date(2013, 5, 6)
