"""Small seeded versions of `benchmarks.fairness`, and the arithmetic of states."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.fairness import by_wilson, names_any, report, simulated_audit
from chimp_assets.monitoring.groups.association import factor
from chimp_assets.monitoring.groups.comparison import MetricRows, answers_needed, compare
from chimp_assets.monitoring.groups.individuals import alikeness, compare_individuals


def told_of(right: np.ndarray, labels: np.ndarray, block: np.ndarray, least: int = 5):
    rows = [MetricRows("recall", np.arange(len(right)), right.astype(float), (0.0, 1.0), higher_is_better=True)]
    slices = {"recall": {"age_class": labels.astype(object)}}
    told = compare(rows, slices, block, np.ones(len(right)), least, np.random.default_rng(0), draws=200)
    return {one.slice_value: one for one in told}


def test_without_a_difference_hardly_a_report_names_a_group() -> None:
    """Wilson marks a dozen of equals in every report; whoever follows that looks for reasons that do not exist."""
    rng = np.random.default_rng(1)
    audits = [simulated_audit(rng) for _ in range(12)]
    assert sum(names_any(one, rng) for one in audits) <= 2
    assert np.mean([by_wilson(one) for one in audits]) > 5, "the foil names equals, or nothing was tested"


def test_infants_twenty_points_worse_are_named() -> None:
    """They are few, change fast and carry the questions about mothers."""
    rng = np.random.default_rng(2)
    found = done = 0
    while done < 10:
        audit = simulated_audit(rng, 1000, 0.2, gap=0.2)
        if (audit.slices["age_class"] == "infant").sum() < 150:
            continue
        done += 1
        told = report(audit, rng)
        found += any((one.slice_value, one.name, one.state) == ("infant", "recall", "worse") for one in told)
    assert found >= 8


def test_a_few_answers_are_no_verdict_and_it_is_said_how_many_would_be() -> None:
    """Five wrong ones of one afternoon are one event: all that follows from them is to ask more."""
    right = np.r_[np.ones(160), np.zeros(40), np.zeros(5)]
    labels = np.r_[np.repeat("adult", 200), np.repeat("infant", 5)]
    spread = np.random.default_rng(0).permutation(200) // 2
    told = told_of(right, labels, np.r_[spread, np.full(5, 100)])
    assert told["infant"].state == "too_few"
    assert told["infant"].needed > 20
    assert (told["infant"].n, told["infant"].blocks) == (5, 1)
    assert told_of(right, labels, np.r_[spread, np.full(5, 100)], least=6)["infant"].needed == 1
    alone = told_of(right, np.repeat("adult", 205), np.arange(205))
    assert alone["adult"].state == "same", "alone in its kind it is compared with nobody"


def test_enough_answers_say_that_a_group_is_like_the_others() -> None:
    """'Not worse' without the power to see it is no news."""
    rng = np.random.default_rng(3)
    right, labels = rng.random(4000) < 0.8, np.repeat(["adult", "infant"], [2000, 2000])
    told = told_of(right, labels, np.arange(4000))
    assert {one.state for name, one in told.items() if name} == {"same"}
    assert told["infant"].low < 0.8 < told["infant"].high
    worse = told_of(right & ((labels == "adult") | (rng.random(4000) < 0.7)), labels, np.arange(4000))
    assert (worse["infant"].state, worse["adult"].state) == ("worse", "better")
    assert worse["infant"].adjusted_p == worse["adult"].adjusted_p, "one comparison, told twice"


def test_as_many_answers_as_are_said_to_be_needed_tell() -> None:
    """A promise of '23 more would tell' that 23 do not keep is worse than none."""
    variance, others, n = 0.16 / 40, 0.16 / 1000, 40
    more = answers_needed(n, variance, others, 0.2, 0.005, 100)
    assert more > 0
    assert answers_needed(n + more, variance * n / (n + more), others, 0.2, 0.005, 100) == 0
    assert answers_needed(n, variance, 1.0, 0.2, 0.005, 100) > n, "where the others are too few, all must grow"


def test_individuals_are_pooled_and_only_the_certain_ones_named() -> None:
    """The worst of 40 equals stands near 0 by chance; one that is never named rightly does not."""
    rng = np.random.default_rng(4)
    who = np.repeat([f"i{n}" for n in range(40)], 5)
    right = rng.random(200) < 0.85
    told = {one.slice_value: one for one in compare_individuals(right, who, np.arange(200), 5)}
    assert {one.state for one in told.values()} == {"too_few"}
    plain = min(right[who == name].mean() for name in told)
    assert min(one.value for one in told.values()) > plain + 0.1
    bad = np.r_[who, np.repeat("bad", 30)]
    with_bad = compare_individuals(np.r_[right, np.zeros(30, bool)], bad, np.arange(230), 5)
    assert {one.slice_value: one.state for one in with_bad}["bad"] == "worse"
    assert [one.slice_value for one in with_bad if one.state == "worse"] == ["bad"]
    day = compare_individuals(np.r_[right, np.zeros(30, bool)], bad, np.r_[np.arange(200), np.full(30, 200)], 5)
    assert {one.slice_value: one.state for one in day}["bad"] == "too_few", "one bad day is one bad day"
    assert compare_individuals(np.empty(0, bool), np.empty(0, object), np.empty(0, np.int64), 5) == []


def test_how_alike_answers_of_a_day_are_is_found() -> None:
    """Taken as independent, thirty answers of one clip condemn an individual."""
    rng = np.random.default_rng(5)
    apart = rng.binomial(4, 0.8, 400)
    together = 4 * (rng.random(400) < 0.8)
    four = np.full(400, 4)
    assert alikeness(apart, four) < 0.08
    assert alikeness(together, four) > 0.9
    assert alikeness(apart[:3], four[:3]) == 0.5, "with few days, the worst that was seen"


def test_wrong_names_make_indices_smaller_by_the_stated_factor() -> None:
    """A researcher reads a bias of -36 % as: a true index of 0.50 is seen as 0.32."""
    assert factor(0.8, 0.8, 0.8, 0.8) == pytest.approx(-0.36)
    assert factor(1.0, 1.0, 1.0, 1.0) == 0
    assert factor(0.5, 0.9, 1.0, 1.0) < factor(0.9, 0.9, 1.0, 1.0)
    assert math.isnan(factor(0.0, 1.0, 1.0, 1.0))
