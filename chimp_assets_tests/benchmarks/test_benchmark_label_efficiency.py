"""The replay measures what it says: strategies ask what they may, curves are read rightly, controls are controls."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.label_efficiency.__main__ import main
from benchmarks.label_efficiency.curves import reached, summary
from benchmarks.label_efficiency.strategies import NEED_TWO_CLASSES, STRATEGIES, ReplayState, shuffled_margins
from chimp_assets.acquisition.ridge import fit_ridge


def _asking(seed: int, n: int = 300, labelled: int = 60) -> tuple[ReplayState, np.ndarray]:
    rng = np.random.default_rng(seed)
    centre = rng.standard_normal((6, 12))
    truth = rng.choice(6, n, p=[0.4, 0.25, 0.15, 0.1, 0.05, 0.05])
    vectors = centre[truth] / 3.5 + rng.standard_normal((n, 12)) / 3
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    known = np.sort(rng.choice(n, labelled, replace=False))
    ridge = fit_ridge(vectors[known], truth[known]) if labelled else None
    rows = np.setdiff1d(np.arange(n), known)
    return ReplayState(rows, vectors, known, truth[known], np.arange(n) // 4, ridge, rng, truth=truth), truth


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_strategy_asks_open_rows_once_and_no_more_than_there_are(name: str) -> None:
    """An arm that asks twice, or what is answered, would be measured wrongly."""
    asked, _ = _asking(1)
    for b in (1, 20, 239, 240, 400):
        rows = STRATEGIES[name](asked, b)
        assert len(set(rows.tolist())) == len(rows) <= min(b, 240)
        assert np.isin(rows, asked.open_rows).all()
        if name not in ("typical", "cluster-margin", "product"):  # these ask near duplicates once
            assert len(rows) == min(b, 240)
    if name not in NEED_TWO_CLASSES:
        fresh, _ = _asking(2, labelled=0)
        assert len(STRATEGIES[name](fresh, 20)) == 20


def test_margin_asks_what_is_wrong_more_often_than_chance_and_its_control_does_not() -> None:
    """Shuffled scores that still win would mean that the replay leaks."""
    wrong: dict[str, list[float]] = {"margin": [], "shuffled": [], "all": []}
    for seed in range(30):
        asked, truth = _asking(seed)
        assert asked.ridge is not None
        is_wrong = asked.ridge.names(asked.vectors) != truth
        wrong["margin"].append(is_wrong[STRATEGIES["margin"](asked, 30)].mean())
        wrong["shuffled"].append(is_wrong[shuffled_margins(asked, 30)].mean())
        wrong["all"].append(is_wrong[asked.open_rows].mean())
    assert np.mean(wrong["margin"]) > np.mean(wrong["all"]) + 0.15
    assert abs(np.mean(wrong["shuffled"]) - np.mean(wrong["all"])) < 0.03


def test_the_oracle_asks_what_is_wrong_as_long_as_anything_is() -> None:
    """An oracle that does not look at the truth would make every target seem out of reach."""
    asked, truth = _asking(3)
    assert asked.ridge is not None
    wrong = asked.open_rows[asked.ridge.names(asked.vectors[asked.open_rows]) != truth[asked.open_rows]]
    assert 20 < len(wrong) < 200
    assert set(STRATEGIES["oracle"](asked, len(wrong)).tolist()) == set(wrong.tolist())
    assert set(wrong.tolist()) < set(STRATEGIES["oracle"](asked, len(wrong) + 5).tolist())
    first = truth[STRATEGIES["oracle"](asked, len(np.unique(truth[wrong])))]
    assert len(set(first.tolist())) == len(first), "every individual once before any twice"


def test_labels_to_a_goal_are_read_off_the_running_maximum() -> None:
    """A curve that dips must not need more labels than it had reached before."""
    curve = np.zeros((4, 6))
    curve[:, 0], curve[:, 1] = [20, 40, 60, 80], [0.2, 0.6, 0.5, 0.8]
    assert reached(curve, 1, 0.4) == 30
    assert reached(curve, 1, 0.6) == 40
    assert reached(curve, 1, 0.7) == 70
    assert reached(curve, 1, 0.81) == math.inf
    assert reached(curve, 1, 0.1) == 20


def test_a_strategy_that_is_random_saves_nothing_and_one_that_is_twice_as_fast_saves_half() -> None:
    """The number on the first line of the report."""
    rng = np.random.default_rng(0)
    labels = np.arange(20, 420, 20)

    def curves(speed: float) -> np.ndarray:
        found = np.zeros((12, len(labels), 6))
        found[:, :, 0] = labels
        found[:, :, 1] = found[:, :, 2] = 1 - np.exp(-speed * labels / 200) + rng.normal(0, 0.01, (12, len(labels)))
        return found

    told = summary({"random-track": curves(1), "same": curves(1), "fast": curves(2)})
    value, low, high = told["fast"]["ratio"]
    assert low is not None
    assert low <= 0.52
    assert high is not None
    assert high >= 0.48
    assert value == pytest.approx(0.5, abs=0.04)
    assert told["same"]["ratio"][0] == pytest.approx(1, abs=0.08)
    assert told["random-track"]["ratio"] == [1.0, 1.0, 1.0]


def test_what_cannot_be_used_is_one_sentence(tmp_path, capsys) -> None:
    """A misspelt strategy after an hour of replay would be a lost hour."""
    assert main(["--crops", str(tmp_path / "none.csv"), "--strategies", "margn"]) == 2
    assert "no strategy margn" in capsys.readouterr().err
    assert main(["--crops", str(tmp_path / "none.csv")]) == 2
    assert "cannot be read" in capsys.readouterr().err
