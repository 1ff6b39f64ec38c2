"""The savings that the product states are true, where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from chimp_assets.acquisition.returns.savings import Savings, savings

ANIMALS, DIMENSIONS, POOL, ELSEWHERE = 12, 20, 2_000, 1_500


def _world(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Vectors f32 [n, D] of a few common and many rare animals, some pictures worse than others, and who they are."""
    rng = np.random.default_rng(seed)
    centre = rng.standard_normal((ANIMALS, DIMENSIONS))
    centre /= np.linalg.norm(centre, axis=1, keepdims=True)
    share = 1 / np.arange(1, ANIMALS + 1)
    who = rng.choice(ANIMALS, POOL + ELSEWHERE, p=share / share.sum())
    noise = rng.standard_normal((len(who), DIMENSIONS)) * rng.choice([0.5, 1.0, 1.6], len(who))[:, None]
    emb = centre[who] + noise * 1.1 / np.sqrt(DIMENSIONS)
    emb /= np.linalg.norm(emb, axis=1, keepdims=True)
    return emb.astype(np.float32), who.astype(np.int64)


def _scores(emb: np.ndarray, who: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Classes and scores of a ridge classifier that gives every class the same weight."""
    classes, index = np.unique(who, return_inverse=True)
    weight = 1 / np.bincount(index)[index]
    x = np.c_[emb, np.ones(len(emb))]
    target = np.where(np.arange(len(classes)) == index[:, None], 1.0, -1 / max(1, len(classes) - 1))
    normal = (x * weight[:, None]).T @ x
    normal[np.diag_indices_from(normal)] += weight.sum() / 100
    return classes, np.c_[others, np.ones(len(others))] @ np.linalg.solve(normal, (x * weight[:, None]).T @ target)


def _name(emb: np.ndarray, who: np.ndarray, others: np.ndarray) -> np.ndarray:
    classes, score = _scores(emb, who, others)
    named: np.ndarray = classes[score.argmax(axis=1)]
    return named


def _margin_policy(emb: np.ndarray, who: np.ndarray, open_rows: np.ndarray, n: int, batch: int) -> np.ndarray:
    """Rows in the order in which margin sampling asks them; the first batch is random (open_rows are shuffled)."""
    asked = open_rows[:batch]
    left = open_rows[batch:]
    while len(asked) < n:
        _, score = _scores(emb[asked], who[asked], emb[left])
        two = np.partition(score, -2, axis=1)[:, -2:] if score.shape[1] > 1 else np.zeros((len(left), 2))
        order = np.argsort(two[:, 1] - two[:, 0], kind="stable")
        asked, left = np.concatenate([asked, left[order[:batch]]]), left[order[batch:]]
    return asked[:n]


def _replay(seed: int, n_audit: int = 160, n_taught: int = 200) -> tuple[float, Savings]:
    """Labels that random asking truly needs for what margin sampling reached, and the estimate."""
    emb, who = _world(seed)
    rng = np.random.default_rng([seed, 1])
    order = rng.permutation(POOL)
    audit = order[:n_audit]
    asked = _margin_policy(emb, who, order[n_audit:], n_taught, 25)
    elsewhere, truth = emb[POOL:], who[POOL:]
    goal = (_name(emb[asked], who[asked], elsewhere) == truth).mean()
    sizes = np.unique(np.geomspace(20, POOL, 16).astype(int))
    reached = np.zeros(len(sizes))
    for _ in range(5):
        some = rng.permutation(POOL)
        reached += [(_name(emb[some[:k]], who[some[:k]], elsewhere) == truth).mean() / 5 for k in sizes]
    reached = np.maximum.accumulate(reached)
    needed = float(np.exp(np.interp(goal, reached, np.log(sizes)))) if goal <= reached[-1] else float("inf")
    found = savings(emb[asked], who[asked], emb[audit], who[audit], _name, seed, divisions=8)
    assert found is not None
    return needed, found


@pytest.mark.slow
def test_the_interval_covers_the_true_saving_in_ninety_of_a_hundred_runs() -> None:
    """A saving with an interval that lies is advertising."""
    covered = narrow = 0
    for seed in range(100):
        needed, found = _replay(seed)
        covered += found.n_random_low <= needed <= found.n_random_high
        narrow += found.n_random_high < 4 * POOL and found.n_random_low > 20
    assert covered >= 90
    assert narrow >= 40, "an interval from nothing to infinity would cover everything"


def test_random_asking_saves_nothing() -> None:
    """Where the policy is random itself, what random needs is what was spent to teach."""
    ratios = []
    for seed in range(8):
        emb, who = _world(seed)
        order = np.random.default_rng([seed, 2]).permutation(POOL)
        audit, asked = order[:250], order[250:400]
        found = savings(emb[asked], who[asked], emb[audit], who[audit], _name, seed, divisions=8)
        assert found is not None
        ratios.append(np.log(found.n_random / len(asked)))
    assert abs(np.median(ratios)) < np.log(1.4)


def test_it_says_what_it_rests_on_and_repeats_itself() -> None:
    """A page shows the curves beside the number."""
    _, found = _replay(3)
    _, again = _replay(3)
    assert found == again
    assert found.n_labels == 360
    assert [point.n for point in found.real][-1] == 200
    assert [point.n for point in found.random][-1] == 106
    assert all(0 <= p.low <= p.accuracy <= p.high <= 1 for p in (*found.real, *found.random))
    assert found.n_random_low <= found.n_random <= found.n_random_high
    assert found.accuracy_low <= found.accuracy <= found.accuracy_high


def test_with_few_audit_labels_nothing_is_said() -> None:
    """An interval from ten labels would be noise that looks like a number."""
    emb, who = _world(0)
    assert savings(emb[:100], who[:100], emb[100:129], who[100:129], _name, 0) is None
    assert savings(emb[:5], who[:5], emb[100:200], who[100:200], _name, 0) is None
