"""Estimates of pairs on an archive: the page's counts, every unit, periods."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from chimp_assets.insight.association.errors import name_errors
from chimp_assets.insight.association.estimates import compare, counted, estimate, sampled_pairs, two_periods
from chimp_assets.insight.association.network import network
from chimp_assets.insight.association.scope import Scope
from chimp_assets.insight.association.units import SamplingUnit, UnitError
from chimp_assets_tests.database.study_database import make_study, write_study

UNITS = ("frame", "clip", "minutes:10", "day", "burst")


@pytest.fixture
def study(home, tmp_path):
    found = make_study(3)
    write_study(home.database, found, tmp_path)
    return home.database


def test_estimates_count_what_the_network_counts(study):
    """Numerator and denominator on the page are not those of the interval beside them."""
    with study.read() as conn:
        for words in UNITS:
            scope = Scope("frame", probability=0.0, unit=SamplingUnit.of(words))
            found = counted(conn, scope)
            edges = {(e.a, e.b): (e.x, e.days, e.verified) for e in network(conn, scope).edges}
            made = estimate(sampled_pairs(found, name_errors(conn, None)), resamples=50)
            assert {(e.a, e.b): (e.x, e.n, e.verified) for e in made} == edges
            assert edges or words == "minutes:10"


def test_names_by_persons_are_not_corrected(study):
    """A sure name is taken for an unsure one."""
    with study.read() as conn:
        made = estimate(sampled_pairs(counted(conn, Scope("clip")), name_errors(conn, None)), resamples=100)
    assert made
    assert all(e.corrected == pytest.approx(e.sri, abs=1e-9) and e.low <= e.sri <= e.high for e in made)
    assert all(e.beta_low < e.sri < e.beta_high or e.sri in (0, 1) for e in made)


def test_without_an_audit_names_by_the_model_have_no_corrected_index(study):
    """Errors that nobody measured are said to be taken out."""
    with study.read() as conn:
        found = counted(conn, Scope("clip", probability=0.0))
        assert found.heads
        made = estimate(sampled_pairs(found, name_errors(conn, found.heads[0])), resamples=50)
    assert {(e.corrected, e.low, e.is_real) for e in made} == {(None, None, None)}


def test_a_period_compared_with_itself_has_not_changed(study):
    """A change is claimed where there is none."""
    with study.read() as conn:
        found = counted(conn, Scope("clip"))
        none = name_errors(conn, None)
        made = compare(two_periods(found, found, none), resamples=100)
        late = counted(conn, replace(found.scope, since=date(2100, 1, 1)))
        nothing = compare(two_periods(found, late, none), resamples=100)
    assert made
    assert all(e.difference == 0 and not e.changed for e in made)
    assert all(e.n_after == 0 and e.too_few and not e.changed for e in nothing)


@pytest.mark.parametrize("words", ["week", "minutes:0", "minutes:9999", "minutes:", "minutes:1.5", "day "])
def test_an_unknown_unit_is_refused_with_a_remedy(words):
    """A unit that was misspelt is counted as another one."""
    with pytest.raises(UnitError, match="minutes:1"):
        SamplingUnit.of(words)


def test_frames_are_no_units_of_other_rules():
    """Two that no frame shows together are counted in frames."""
    with pytest.raises(UnitError, match="rule frame"):
        Scope("clip", unit=SamplingUnit.of("frame"))
    assert [str(SamplingUnit.of(words)) for words in UNITS] == list(UNITS)
