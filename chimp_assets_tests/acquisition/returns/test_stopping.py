"""Advice to stop says what its sources say, and what is known of simulated experts."""

from __future__ import annotations

import numpy as np
import pytest

from chimp_assets.acquisition.returns.curves import LogitCurve, PowerCurve, fit_logit, fit_power
from chimp_assets.acquisition.returns.stopping import is_stable, kappa, next_hour, useful


def test_the_rate_is_the_recursion_of_its_source() -> None:
    """Crall 2017: mu <- alpha x + (1 - alpha) mu, mu_0 = 1, alpha = 2 / 21; stop when 1 - exp(-72 mu) < 0.052."""
    changed = np.random.default_rng(0).random(57) < 0.2
    mu = 1.0
    for x in changed:
        mu = 2 / 21 * x + (1 - 2 / 21) * mu
    found = useful(changed)
    assert found.rate == pytest.approx(mu)
    assert found.p_useful == pytest.approx(1 - np.exp(-72 * mu))
    assert not found.stop
    assert not useful(np.zeros(0, bool)).stop


def test_it_stops_after_a_long_row_of_answers_that_change_nothing_and_not_before() -> None:
    """A lane that is exhausted must say so; one hit in the last few means there is more."""
    silent = next(n for n in range(200) if useful(np.zeros(n, bool)).stop)
    assert 60 < silent < 80
    late_hit = np.zeros(200, bool)
    late_hit[-5] = True
    assert not useful(late_hit).stop


def test_kappa_is_the_textbook_one() -> None:
    """Agreement by chance must not count: two heads that call everybody Fifi agree about nothing."""
    one, other = np.array([0] * 20 + [1] * 30), np.array([0] * 15 + [1] * 5 + [0] * 10 + [1] * 20)
    assert kappa(one, other) == pytest.approx((0.7 - 0.5) / 0.5)
    assert kappa(one, one) == 1
    assert kappa(np.zeros(9, int), np.zeros(9, int)) == 1
    with pytest.raises(ValueError, match="same tracks"):
        kappa(one, other[:3])
    assert is_stable([0.2, 0.99, 1.0, 0.995])
    assert not is_stable([0.99, 1.0])
    assert not is_stable([0.9, 0.999, 0.999])


def test_curves_are_found_again_and_read_backwards() -> None:
    """A curve that cannot find itself cannot be carried on."""
    n = np.geomspace(8, 500, 8)
    power = PowerCurve(0.93, 1.4, 0.52)
    fitted = fit_power(n, np.array([power.at(x) for x in n]), n)
    assert fitted.at(1500) == pytest.approx(power.at(1500), abs=0.01)
    assert fitted.labels_for(fitted.at(900)) == pytest.approx(900, rel=1e-3)
    assert fitted.labels_for(0.99) == np.inf
    logit = LogitCurve(-2, 0.7)
    fitted2 = fit_logit(n, np.array([logit.at(x) for x in n]), n)
    assert (fitted2.intercept, fitted2.slope) == pytest.approx((-2, 0.7), abs=1e-3)
    assert fitted2.labels_for(fitted2.at(70)) == pytest.approx(70, rel=1e-3)


def test_the_next_hour_is_worth_much_on_a_steep_curve_and_little_on_a_flat_one() -> None:
    """The only sign in units of accuracy: it must tell a beginning from an end."""
    rng = np.random.default_rng(1)
    n = np.array([20, 40, 80, 160, 320])
    luck = rng.random(150)
    steep = np.stack([luck < p for p in (0.2, 0.3, 0.4, 0.5, 0.6)]).astype(float)
    flat = np.stack([luck < p for p in (0.8, 0.85, 0.86, 0.86, 0.86)]).astype(float)
    up, level = next_hour(n, steep, 6.0, 0), next_hour(n, flat, 6.0, 0)
    assert up is not None
    assert level is not None
    assert up.answers == 600
    assert up.low <= up.gain <= up.high
    assert up.low > level.gain
    assert 0 <= level.gain < 0.06
    assert next_hour(n[:2], flat[:2], 6.0, 0) is None
    assert next_hour(n, flat, 0.0, 0) is None
