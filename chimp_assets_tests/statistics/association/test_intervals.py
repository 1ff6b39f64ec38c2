"""Uncertain names: what is kept of a tie, how often an interval holds it, how often a change is told where none is."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.association.__main__ import N, found_changes
from benchmarks.association.worlds import clips, confusion, counts, named
from chimp_assets.statistics.association.intervals import audit_draws, estimates, power, sampled
from chimp_assets.statistics.association.misclassification import FEWEST_ANSWERS, AuditedNames, inverted
from chimp_assets.statistics.association.unit_counts import sums


@pytest.mark.parametrize(("unit", "accuracy"), [("clip", 0.8), ("day", 0.9)])
def test_known_errors_of_names_are_taken_out_of_sums(unit, accuracy):
    """A true tie keeps 64 % of its strength at an accuracy of .8."""
    rng = np.random.default_rng(5)
    who, clip, day = clips(rng, N, 300, 8.0)
    matrix = confusion(rng, N, accuracy)
    found = counts(N, named(rng, who, matrix), clip, day, unit, True)
    made, raw = sums(found, inverted(matrix)), sums(found)
    true = counts(N, who, clip, day, unit, False)
    of = {pair: n for n, pair in enumerate(zip(true.a, true.b, strict=True))}
    both = [n for n, pair in enumerate(zip(found.a, found.b, strict=True)) if pair in of]
    place = [of[found.a[n], found.b[n]] for n in both]
    exact = sums(true)
    ties = exact.x.sum(0)[place] > 0.1 * exact.n.sum(0)[place]
    index, as_named, wanted = (
        (one.x.sum(0) / one.n.sum(0))[rows][ties].mean() for one, rows in ((made, both), (raw, both), (exact, place))
    )
    assert as_named / wanted < 0.9
    assert index / wanted == pytest.approx(1, abs=0.05)


def test_true_names_are_left_as_they_are():
    """The correction moves indices that need none."""
    found = counts(N, *clips(np.random.default_rng(1), N, 30, 4.0), "day", True)
    plain, same = sums(found), sums(found, np.eye(N))
    assert np.allclose(plain.x, same.x, atol=1e-9)
    assert np.allclose(plain.n, same.n, atol=1e-9)
    made = estimates(sampled(found, None), None, 100)
    assert np.allclose(made.value, made.sri, atol=1e-9)
    assert ((made.low <= made.sri) & (made.sri <= made.high)).all()


def test_intervals_hold_the_errors_of_the_audit():
    """An interval from few answers is as narrow as one from many."""
    rng = np.random.default_rng(3)
    who, clip, day = clips(rng, N, 60, 6.0)
    matrix = confusion(rng, N, 0.8)
    found = counts(N, named(rng, who, matrix), clip, day, "clip", True)
    widths = []
    for answers in (40, 4000):
        asked = who[rng.integers(len(who), size=answers)]
        draws = audit_draws(AuditedNames(N, asked, named(rng, asked, matrix)))
        made = estimates(sampled(found, draws), None, 200)
        widths.append((made.high - made.low)[found.met() > 5].mean())
    assert widths[0] > 1.1 * widths[1]


def test_few_answers_say_too_little():
    """A correction by three answers."""
    true = np.zeros(FEWEST_ANSWERS, np.int64)
    assert AuditedNames(2, true, true).says_enough
    assert not AuditedNames(2, true[1:], true[1:]).says_enough
    assert not AuditedNames(2, true, true + 1).says_enough


def test_without_a_change_few_changes_are_told_and_power_is_said():
    """At days that resemble each other, 12 of 100 pairs changed by the Beta posterior though none did."""
    false = np.mean([found_changes(0.3, 0.3, 0.3, (120, 40), seed)[0] for seed in (1, 2)])
    assert false <= 0.08  # 300 pairs: three standard errors above 0.05
    found, said = found_changes(0.5, 0.05, 0.3, (120, 40), 1)
    assert found > 0.8
    assert 0 < said < 1


def test_power_grows_with_days_and_with_the_change():
    """A tie that nobody could have found is called unchanged without a word."""
    tie, n = np.full(3, 0.3), np.array([10.0, 60.0, 400.0])
    chance = power(tie, n, n, np.ones(3))
    assert (np.diff(chance) > 0).all()
    assert chance[0] < 0.5 < chance[2]
    assert power(tie, n, n, np.ones(3), factor=0.2)[1] > chance[1]
    assert power(np.zeros(1), n[:1], n[:1], np.ones(1)) == 0
