"""The measure in minutes finds what is there, its control finds nothing, and promises are kept where foils break."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.minutes.__main__ import main
from benchmarks.minutes.archive import Archive, archive_of
from benchmarks.minutes.kept import limit_of, said
from benchmarks.minutes.policies import POLICIES, Asking
from benchmarks.minutes.product import PlannedLanes
from benchmarks.minutes.replay import Setting, replay
from benchmarks.minutes.report import ratio


@pytest.fixture
def frames_first(monkeypatch: pytest.MonkeyPatch) -> str:
    """The product's plan with its frames lane and a twentieth of audits."""
    shares = {"frames": 0.95, "audit": 0.05}
    monkeypatch.setitem(POLICIES, "frames-first", Asking(PlannedLanes(shares), 1.5, 0.05, 0.05))
    return "frames-first"


def _archive(seed: int, sigma: float = 1.0, n: int = 240) -> Archive:
    rng = np.random.default_rng(seed)
    centre = rng.standard_normal((8, 24))
    target = rng.integers(8, size=n)
    vectors = centre[target] / 3.5 + rng.standard_normal((n, 24)) / 2
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return archive_of(vectors, target, np.arange(n) // 4, seed, sigma)


def test_the_products_plan_names_an_archive_in_fewer_minutes_than_random(frames_first: str) -> None:
    """Real seconds, real frames: what the frames lane is for."""
    product = np.array([replay(_archive(seed), frames_first, Setting(), seed).minutes for seed in range(4)])
    random = np.array([replay(_archive(seed), "random", Setting(), seed).minutes for seed in range(4)])
    assert ratio(product, random)[0] < 0.85


def test_shuffled_chances_save_nothing_where_all_tracks_are_equally_long() -> None:
    """A control that still won would mean that the replay leaks."""
    shuffled = [replay(_archive(seed, 0.0), "rate", Setting(shuffled=True), seed).minutes for seed in range(4)]
    random = [replay(_archive(seed, 0.0), "random", Setting(), seed).minutes for seed in range(4)]
    assert np.mean(shuffled) > 0.95 * np.mean(random)


def test_equal_prices_of_all_answers_make_minutes_proportional(frames_first: str) -> None:
    """Twice the price of everything is twice the minutes: the clock runs on prices alone."""
    archive, setting = _archive(5), Setting()
    doubled = replace(setting.prices, **{k: 2 * v for k, v in vars(setting.prices).items()})
    once = replay(archive, frames_first, setting, 5)
    assert replay(archive, frames_first, replace(setting, prices=doubled), 5).minutes == pytest.approx(2 * once.minutes)


def test_a_promise_that_ends_a_replay_was_paid_for() -> None:
    """Draws of a look cost the expert's seconds, and they are counted."""
    run = replay(_archive(1), "rate", Setting(end="promise"), 1)
    assert np.isfinite(run.minutes)
    assert run.looks >= 1
    assert run.audits > 0
    assert run.minutes > replay(_archive(1), "rate", Setting(), 1).minutes


@pytest.mark.parametrize("most", [0.02, 0.05, 0.1])
def test_a_promise_just_missed_is_said_of_at_most_one_archive_in_twenty(most: float) -> None:
    """Clips of four tracks are wrong together, pages missed wrong ones: the promise still holds."""
    archives = 60
    assert said("promise", most, 1.02 * most, archives, seed=1) <= limit_of(archives)


def test_a_running_audit_lane_breaks_its_promise() -> None:
    """If this foil held, the measure could not tell a promise that is kept from one that is not."""
    assert said("running audit lane with pages, Wilson", 0.05, 0.051, 120) > 2 * limit_of(120)


def test_a_promise_is_said_where_names_are_well_below_it() -> None:
    """A test that never says anything would keep every promise."""
    assert said("promise", 0.1, 0.1 / 3, 12) > 0.7


def test_an_unknown_policy_or_price_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 and a sentence."""
    assert main(["--policies", "best"]) == 2
    assert main(["--price", "coffee=2"]) == 2
    said_of = capsys.readouterr().err
    assert "no policy best" in said_of
    assert "coffee=2" in said_of
