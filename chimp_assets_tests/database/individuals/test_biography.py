"""What can be true of lives taken together, against a checker that was written from the rules alone."""

from __future__ import annotations

import itertools
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimp_assets.database.individuals.rules import (
    Life,
    Membership,
    contradictions,
    membership_contradictions,
    years_after,
)

D = date.fromisoformat


def found(*lives: Life) -> set[tuple[str, str]]:
    """(anim_id, field) of every contradiction."""
    return {(c.about[0], c.field) for c in contradictions({life.anim_id: life for life in lives})}


FIFI = Life("FF", "F", D("1958-01-01"))
GOBLIN = Life("GB", "M", D("1964-09-07"))

WRONG: dict[str, tuple[tuple[Life, ...], set[tuple[str, str]]]] = {
    "a mother who is male": ((GOBLIN, Life("X", mom="GB", birth_date=D("1990-01-01"))), {("X", "mom_id")}),
    "a father who is female": ((FIFI, Life("X", dad="FF", birth_date=D("1990-01-01"))), {("X", "dad_id")}),
    "a mother of seven": ((FIFI, Life("X", mom="FF", birth_date=D("1965-12-31"))), {("X", "mom_id")}),
    "a father of nine": ((GOBLIN, Life("X", dad="GB", birth_date=D("1974-09-06"))), {("X", "dad_id")}),
    "an exact birth before its window": (
        (Life("X", birth_date=D("1990-01-01"), bd_min=D("1990-01-02"), bd_max=D("1990-06-01")),),
        {("X", "birth_date")},
    ),
    "an exact birth after its window": (
        (Life("X", birth_date=D("1990-06-02"), bd_min=D("1990-01-02"), bd_max=D("1990-06-01")),),
        {("X", "birth_date")},
    ),
    "a window that ends first": ((Life("X", bd_min=D("1990-01-02"), bd_max=D("1990-01-01")),), {("X", "bd_min")}),
    "an entry before birth": (
        (Life("X", birth_date=D("1990-01-02"), entry_date=D("1990-01-01")),),
        {("X", "entry_date")},
    ),
    "a departure before entry": (
        (Life("X", entry_date=D("1990-01-02"), depart_date=D("1990-01-01")),),
        {("X", "depart_date")},
    ),
    "a departure before birth": (
        (Life("X", birth_date=D("1990-01-02"), depart_date=D("1990-01-01")),),
        {("X", "depart_date")},
    ),
    "a departure at seventy and a day": (
        (Life("X", birth_date=D("1930-01-01"), depart_date=D("2000-01-02")),),
        {("X", "depart_date")},
    ),
    "its own mother": ((Life("X", "F", mom="X"),), {("X", "mom_id")}),
    "a mother who had died": (
        (
            Life("A", "F", D("1958-01-01"), depart_date=D("1989-12-31"), depart_type="D"),
            Life("X", mom="A", birth_date=D("1990-01-01")),
        ),
        {("X", "mom_id")},
    ),
    "a father who had died a year ago": (
        (
            Life("A", "M", D("1958-01-01"), depart_date=D("1989-03-31"), depart_type="D"),
            Life("X", dad="A", birth_date=D("1990-01-01")),
        ),
        {("X", "dad_id")},
    ),
}

RIGHT: dict[str, tuple[Life, ...]] = {
    "a mother of eight": (FIFI, Life("X", mom="FF", birth_date=D("1966-01-01"))),
    "a father of ten": (GOBLIN, Life("X", dad="GB", birth_date=D("1974-09-07"))),
    "a mother whose sex nobody wrote down": (Life("A"), Life("X", mom="A", birth_date=D("1990-01-01"))),
    "a mother who may be eight": (
        Life("A", "F", D("1980-01-01"), bd_min=D("1979-01-01"), bd_max=D("1981-01-01")),
        Life("X", mom="A", birth_date=D("1987-01-01")),
    ),
    "an entry that may be the birth": (
        Life("X", birth_date=D("1990-06-01"), bd_min=D("1990-01-01"), entry_date=D("1990-03-01")),
    ),
    "a departure at seventy": (Life("X", birth_date=D("1930-01-01"), depart_date=D("2000-01-01")),),
    "one who may still live": (Life("X", birth_date=D("1900-01-01")),),
    "a mother who died in childbed": (
        Life("A", "F", D("1958-01-01"), depart_date=D("1990-01-01"), depart_type="D"),
        Life("X", mom="A", birth_date=D("1990-01-01")),
    ),
    "a mother who went away and had a child": (
        Life("A", "F", D("1958-01-01"), depart_date=D("1985-01-01"), depart_type="E"),
        Life("X", mom="A", birth_date=D("1990-01-01")),
    ),
    "a father who died nine months before": (
        Life("A", "M", D("1958-01-01"), depart_date=D("1989-04-01"), depart_type="D"),
        Life("X", dad="A", birth_date=D("1990-01-01")),
    ),
    "a death of which the year is a guess": (
        Life("A", "F", D("1958-01-01"), depart_date=D("1989-06-30"), depart_type="D", depart_date_error=1.0),
        Life("X", mom="A", birth_date=D("1990-01-01")),
    ),
    "a parent of whom nothing is known here": (Life("X", mom="NOBODY", birth_date=D("1990-01-01")),),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_is_found_and_named(name: str) -> None:
    """Each rule by itself; a rule that never fires would let every file through."""
    lives, wanted = WRONG[name]
    assert found(*lives) == wanted


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_only_unlikely_is_let_through(name: str) -> None:
    """A rule that is stricter than what is known refuses true biographies, and they will be falsified to get in."""
    assert found(*RIGHT[name]) == set()


def test_nobody_is_their_own_ancestor() -> None:
    """Without birth dates no other rule finds a circle, and a recursive query runs for ever in it."""
    a, b, c = Life("A", "F", mom="C"), Life("B", "M", mom="A"), Life("C", "F", dad="B")
    circle = list(contradictions({"A": a, "B": b, "C": c}))
    assert [set(x.about) for x in circle] == [{"A", "B", "C"}]
    assert "is its own ancestor" in circle[0].sentence
    two = [Life("D", "F", mom="E"), Life("E", "F", mom="D")]
    assert len(list(contradictions({life.anim_id: life for life in (a, b, c, *two)}))) == 2


def test_a_long_line_of_mothers_is_walked_without_recursion() -> None:
    """A thousand generations are no circle; a recursive search would die of them."""
    lives = {f"I{n}": Life(f"I{n}", "F", mom=f"I{n - 1}" if n else None) for n in range(5_000)}
    assert list(contradictions(lives)) == []


days = st.integers(0, 40).map(lambda n: date(1990, 1, 1) + timedelta(days=400 * n))
maybe_day = st.none() | days


@st.composite
def some_lives(draw: st.DrawFn) -> dict[str, Life]:
    names = [f"I{n}" for n in range(draw(st.integers(1, 5)))]
    parent = st.none() | st.sampled_from([*names, "ELSEWHERE"])
    return {
        name: Life(
            name,
            draw(st.sampled_from("FMU")),
            draw(maybe_day),
            draw(maybe_day),
            draw(maybe_day),
            draw(parent),
            draw(parent),
            draw(maybe_day),
            draw(maybe_day),
            draw(st.sampled_from([None, "D", "E", "P", "O"])),
            draw(st.sampled_from([None, 0.0, 2.0])),
        )
        for name in names
    }


def can_be(lives: dict[str, Life]) -> bool:
    """The rules said in another way: is there a day of birth for each that goes with everything? Pairs are enough."""

    def births(life: Life) -> list[date]:
        low, high = life.bd_min or life.birth_date, life.bd_max or life.birth_date
        if life.birth_date and not (low <= life.birth_date <= high):
            return []
        if low and high and low > high:
            return []
        ends = [date(1800, 1, 1) if low is None else low, date(2200, 1, 1) if high is None else high]
        return ends if ends[0] <= ends[1] else []

    def death(life: Life) -> date | None:
        slack = timedelta(days=round((life.depart_date_error or 0) * 365.25))
        return life.depart_date + slack if life.depart_date and life.depart_type == "D" else None

    for life in lives.values():
        if not births(life):
            return False
        first, last = births(life)
        slack = timedelta(days=round((life.depart_date_error or 0) * 365.25))
        if life.entry_date and (life.entry_date < first or life.entry_date > years_after(last, 70)):
            return False
        if life.depart_date:
            if life.entry_date and life.entry_date > life.depart_date:
                return False
            if life.depart_date + slack < first or life.depart_date - slack > years_after(last, 70):
                return False
        for parent_id, bad_sex, years, months in ((life.mom, "M", 8, 0), (life.dad, "F", 10, 9)):
            if parent_id == life.anim_id:
                return False
            parent = lives.get(parent_id or "")
            if parent is None:
                continue
            if not births(parent):
                return False
            if parent.sex == bad_sex or last < years_after(births(parent)[0], years):
                return False
            died = death(parent)
            if died and first > (died + timedelta(days=280) if months else died):
                return False
    for name in lives:
        seen, todo = set(), [name]
        while todo:
            life = lives.get(todo.pop())
            for parent_id in (life.mom, life.dad) if life else ():
                if parent_id == name:
                    return False
                if parent_id and parent_id not in seen:
                    seen.add(parent_id)
                    todo.append(parent_id)
    return True


@settings(max_examples=400, deadline=None)
@given(some_lives())
def test_lives_are_refused_exactly_if_they_cannot_be(lives: dict[str, Life]) -> None:
    """An independent reading of the rules: a rule applied to the wrong end of a window shows here."""
    # Days of the generator lie 400 apart, so that nine months are the same in months and in days.
    refused = list(contradictions(lives))
    assert bool(refused) == (not can_be(lives)), refused


def stays(*rows: tuple[str, str, str | None], life: Life | None = None) -> list[tuple[str, str]]:
    life = life or Life("X")
    memberships = [Membership("X", comm, D(start), D(end) if end else None) for comm, start, end in rows]
    return [(c.field, str(c.starts[0])) for c in membership_contradictions({"X": life}, memberships)]


def test_memberships_lie_within_a_life() -> None:
    """Somebody who is a member before birth or after death counts in every party size of those days."""
    life = Life("X", birth_date=D("1990-01-01"), entry_date=D("1995-01-01"), depart_date=D("2000-01-01"))
    assert stays(("KK", "1995-01-01", "2000-01-01"), life=life) == []
    assert stays(("KK", "1995-01-01", None), life=life) == []  # until it departs
    assert stays(("KK", "1994-12-31", "1999-01-01"), life=life) == [("start_date", "1994-12-31")]
    assert stays(("KK", "1999-01-01", "2000-01-02"), life=life) == [("end_date", "1999-01-01")]
    assert stays(("KK", "2001-01-01", None), life=life) == [("start_date", "2001-01-01")]
    assert stays(("KK", "1989-01-01", None), life=Life("X", birth_date=D("1990-01-01"))) == [
        ("start_date", "1989-01-01")
    ]


def test_memberships_do_not_overlap_and_one_stay_is_one_row() -> None:
    """Two communities on one day count an animal twice; two rows of one stay count a transfer that never was."""
    assert stays(("KK", "1990-01-01", "1991-01-01"), ("MT", "1991-01-02", None)) == []
    assert stays(("KK", "1990-01-01", "1991-01-01"), ("KK", "1991-01-03", None)) == []
    assert stays(("KK", "1990-01-01", "1991-01-01"), ("MT", "1991-01-01", None)) == [("start_date", "1991-01-01")]
    assert stays(("KK", "1990-01-01", None), ("MT", "1991-01-01", None)) == [("start_date", "1991-01-01")]
    assert stays(("KK", "1990-01-01", "1991-01-01"), ("KK", "1991-01-02", None)) == [("start_date", "1991-01-02")]
    assert stays(
        ("KK", "1990-01-01", "1999-01-01"), ("MT", "1991-01-01", "1992-01-01"), ("MT", "1995-01-01", "1996-01-01")
    ) == [("start_date", "1991-01-01"), ("start_date", "1995-01-01")]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("AB"), st.integers(0, 30), st.none() | st.integers(0, 8)),
        max_size=4,
        unique_by=lambda r: r[1],
    )
)
def test_memberships_are_refused_exactly_if_they_cannot_be(rows: list[tuple[str, int, int | None]]) -> None:
    """Day by day: nobody is in two communities, and a stay that goes on is not cut."""
    first = date(1990, 1, 1)
    memberships = [
        Membership("X", comm, first + timedelta(days=start), None if n is None else first + timedelta(days=start + n))
        for comm, start, n in rows
    ]
    day_sets: list[tuple[str, set[int]]] = [
        (comm, set(range(start, 60 if n is None else start + n + 1))) for comm, start, n in rows
    ]
    clash = any(a & b for (_, a), (_, b) in itertools.combinations(day_sets, 2))
    cut = any(x == y and max(a) + 1 == min(b) for (x, a), (y, b) in itertools.permutations(day_sets, 2) if max(a) < 59)
    told: list[Any] = list(membership_contradictions({}, memberships))
    assert bool(told) == (clash or cut)
