"""Which days are compared around what happened, and what is said of a planted change and of none."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.home import Home
from chimp_assets.insight.association.estimates import counted
from chimp_assets.insight.association.periods.comparison import Company, company, comparison, scopes
from chimp_assets.insight.association.periods.presets import (
    Period,
    PeriodError,
    around,
    around_birth,
    around_departure,
    from_to,
    life_events,
    of_days,
    seasons,
)
from chimp_assets.insight.association.periods.windows import windows
from chimp_assets.insight.association.scope import Scope, ScopeError
from chimp_assets.insight.questions import ask
from chimp_assets_tests.database.days_together import BIRTH, make_days_together
from chimp_assets_tests.support.homes import copied


@pytest.fixture(scope="module")
def root(empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = copied(empty_home, tmp_path_factory.mktemp("days") / "home")
    make_days_together(made.database)
    made.database.dispose()
    return made.settings.home


@pytest.fixture
def days(root: Path, tmp_path: Path) -> Home:
    return copied(root, tmp_path / "home")


def keys(conn: sa.Connection) -> dict[str, int]:
    i = s.individual.c
    return {row.anim_id: row.individual_id for row in conn.execute(sa.select(i.anim_id, i.individual_id))}


def around_the_birth(home: Home, days: int = 80, dependants: bool = True) -> tuple[Company, dict[str, int]]:
    with home.database.read() as conn:
        key = keys(conn)
        periods = around_birth(conn, key["FI"], days)
        assert (periods.who, periods.about, periods.on) == (key["FF"], key["FI"], BIRTH)
        before, after = (counted(conn, one) for one in scopes(periods, Scope(dependants=dependants)))
        return company(comparison(conn, before, after), periods.who, periods.about), key


def test_a_planted_change_is_found_and_a_planted_non_change_is_not_claimed(days: Home) -> None:
    """The question of the mission: how did the company of a mother change after her infant was born?"""
    found, key = around_the_birth(days)
    (change,) = found.changed
    assert {change.a, change.b} == {key["FF"], key["GM"]}
    assert change.difference < -0.4
    assert change.high < 0
    (same,) = found.unchanged
    assert {same.a, same.b} == {key["FF"], key["FD"]}
    assert same.low < 0 < same.high
    assert found.power == pytest.approx(same.power)
    assert 0.5 < same.power <= 1
    (newborn,) = found.newborn
    assert key["FI"] in (newborn.a, newborn.b)


def test_the_question_of_the_cookbook_has_the_same_counts(days: Home) -> None:
    """Two answers to one question would make two papers of one archive."""
    with days.database.write() as conn:  # Freud is four, and his birthday lies in the days after the birth
        is_freud = s.individual.c.anim_id == "FD"
        conn.execute(sa.update(s.individual).where(is_freud).values(birth_date=date(2008, 8, 10), bd_min=None))
    n_freud = []
    for without_under, dependants in ((0, True), (5, False)):
        found, key = around_the_birth(days, dependants=dependants)
        code = {number: word for word, number in key.items()}
        asked = {"infant": "FI", "days": "80", "group_rule": "moment", "without_under": str(without_under)}
        answer = ask(days.database, "association_around_a_birth", asked)
        told = {row["partner"]: row for row in answer.as_records()}
        pairs = [one for one in found.changed + found.unchanged + found.too_few if key["FI"] not in (one.a, one.b)]
        assert len(pairs) == 2
        for one in pairs:
            row = told[code[one.b if one.a == key["FF"] else one.a]]
            assert (row["x_before"], row["units_before"]) == (one.x_before, one.n_before)
            assert (row["x_after"], row["units_after"]) == (one.x_after, one.n_after)
            assert row["change"] is None or row["change"] == pytest.approx(one.difference)
        n_freud.append((told["FD"]["units_before"], told["FD"]["units_after"]))
    assert n_freud[0] == (80, 80)
    assert n_freud[1][0] == 0
    assert n_freud[1][1] == 80 - (date(2013, 8, 10) - BIRTH).days


def test_with_few_days_nothing_is_claimed(days: Home) -> None:
    found, _ = around_the_birth(days, 6)
    assert found.changed == []


def test_the_day_of_a_birth_belongs_to_the_days_after_it(days: Home) -> None:
    with days.database.read() as conn:
        periods = around_birth(conn, keys(conn)["FI"], 10)
    assert periods.before == Period(BIRTH - timedelta(days=10), BIRTH)
    assert periods.before.last == BIRTH - timedelta(days=1)
    assert periods.after == Period(BIRTH, BIRTH + timedelta(days=10))


def test_the_last_day_of_a_life_belongs_to_the_days_before(days: Home) -> None:
    with days.database.write() as conn:
        conn.execute(
            sa.update(s.individual).where(s.individual.c.anim_id == "GM").values(depart_date=BIRTH, depart_type="D")
        )
    with days.database.read() as conn:
        periods = around_departure(conn, keys(conn)["GM"], 10)
        assert {(one.what, one.anim_id) for one in life_events(conn)} == {("birth", "FI"), ("departure", "GM")}
    assert periods.before.last == BIRTH
    assert periods.after.first == BIRTH + timedelta(days=1)


def test_what_is_not_known_is_a_sentence_with_a_remedy(days: Home) -> None:
    with days.database.read() as conn:
        key = keys(conn)
        for ask in (lambda: around_birth(conn, key["GM"]), lambda: around_departure(conn, key["FF"]),
                    lambda: around_birth(conn, 999)):  # fmt: skip
            with pytest.raises(PeriodError) as caught:
                ask()
            assert caught.value.remedy
    for wrong in (0, 99_999):
        with pytest.raises(PeriodError, match="cannot be compared"):
            around(BIRTH, wrong)
    with pytest.raises(PeriodError, match="around"):
        around(date(1, 1, 5), 10)


def test_windows_are_half_open_and_hold_a_filmed_day(days: Home) -> None:
    """The archive goes from 6 May to 12 October 2013."""
    with days.database.read() as conn:
        assert [one.first.month for one in windows(conn, "month")] == [5, 6, 7, 8, 9, 10]
        quarters, (year,) = windows(conn, "quarter"), windows(conn, "year")
    assert [one.first for one in quarters] == [date(2013, 4, 1), date(2013, 7, 1), date(2013, 10, 1)]
    assert [one.before for one in quarters] == [date(2013, 7, 1), date(2013, 10, 1), date(2014, 1, 1)]
    assert (year.first, year.last) == (date(2013, 1, 1), date(2013, 12, 31))


def test_seasons_hold_the_days_of_their_months_and_together_all_days(days: Home) -> None:
    """The archive goes from 6 May to 12 October 2013: with June to August wet, 92 of its 160 days are."""
    with days.database.read() as conn:
        periods = seasons(conn, [8, 6, 7])
        assert (periods.what, periods.before.months) == ("season", (1, 2, 3, 4, 5, 9, 10, 11, 12))
        assert periods.after.months == (6, 7, 8)
        dry, wet = scopes(periods, Scope())
        counts = [counted(conn, one) for one in (dry, wet)]
        assert [one.effort.days for one in counts] == [68, 92]
        assert all(one.effort.clips == one.effort.days for one in counts)
        everything = counted(conn, Scope())
        assert sum(int(one.days.max()) for one in counts) == int(everything.days.max()) == 160
        summer = counted(conn, Scope(since=date(2013, 6, 1), until=date(2013, 8, 31)))
        found, same = comparison(conn, counts[0], counts[1]), comparison(conn, counts[0], summer)
    assert found.changes == same.changes
    for wrong in ([], list(range(1, 13)), [0], [13]):
        with days.database.read() as conn, pytest.raises(PeriodError) as caught:
            seasons(conn, wrong)
        assert caught.value.remedy
    with pytest.raises(ScopeError, match="month"):
        Scope(months=(13,))


def test_the_whole_network_is_that_of_individuals_seen_in_both_periods(days: Home) -> None:
    """A newborn would make its mother stronger, whatever became of her ties."""
    with days.database.read() as conn:
        key = keys(conn)
        periods = around_birth(conn, key["FI"], 80)
        before, after = (counted(conn, one) for one in scopes(periods, Scope()))
        found = comparison(conn, before, after)
        without = comparison(conn, *(counted(conn, one) for one in scopes(periods, Scope(dependants=False))))
    whole = found.whole
    assert {one.key for one in whole.individuals} == {key["FF"], key["GM"], key["FD"]}
    assert whole.pattern is None, "three individuals are too few to exchange"
    index = {frozenset((one.a, one.b)): one for one in found.changes}
    gremlin, fifi = whole.of(key["GM"]), whole.of(key["FF"])
    assert gremlin is not None
    assert fifi is not None
    assert gremlin.changed
    assert gremlin.difference < 0
    mine = [one for pair, one in index.items() if key["FF"] in pair and key["FI"] not in pair]
    assert fifi.before == pytest.approx(sum(one.before for one in mine))
    assert fifi.difference == pytest.approx(sum(one.difference for one in mine))
    assert whole.mean.difference == pytest.approx(sum(one.difference for one in whole.individuals) / 3)
    assert whole.of(key["FI"]) is None
    assert (found.dependants, without.dependants) == (None, 80)
    assert {frozenset((one.a, one.b)) for one in without.changes} == {p for p in index if key["FI"] not in p}


def test_any_two_periods_are_put_in_order_and_must_not_overlap() -> None:
    late, early = from_to(date(2014, 1, 1), date(2014, 1, 9)), from_to(date(2013, 1, 1), date(2013, 12, 31))
    found = of_days(late, early)
    assert (found.before, found.after) == (early, late)
    with pytest.raises(PeriodError, match="overlap"):
        of_days(late, from_to(date(2014, 1, 9), date(2014, 2, 1)))
    with pytest.raises(PeriodError, match="no day"):
        from_to(date(2014, 1, 9), date(2014, 1, 8))
