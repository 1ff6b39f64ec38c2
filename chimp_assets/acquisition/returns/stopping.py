"""When asking on hardly pays: three signs for each lane and for the whole, as advice.

No criterion is best everywhere (Pullar-Strecker 2022), so the signs are shown side by side and nothing is locked:

* how likely one of the next answers still changes what the machine says (Crall 2017, "Graph ID": an exponentially
  weighted rate of useful answers, and the Poisson chance of a useful one among those to come);
* how much successive heads agree with each other on tracks that nobody has answered (Cohen's kappa, "stabilising
  predictions", Bloodgood and Vijay-Shanker 2009);
* what the learning curve promises for the expert's next hour, with its interval: the only one in units of accuracy.

Belongs here: the arithmetic. Does not belong here: reading answers and heads (`chimp_assets.loop.returns`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chimp_assets.acquisition.pool import BoolArray, F64Array, I64Array
from chimp_assets.acquisition.returns.curves import FAMILIES

SPAN = 20
AHEAD = 72
TAU = 0.052
"""Crall's own suggestion: a memory of 20 answers, looking 72 ahead, stop below a chance of 5.2 %."""

STABLE_KAPPA = 0.99
STABLE_ROUNDS = 3
WORTH_AN_HOUR = 0.005
"""Half a point of accuracy: below it, and with the rest of its interval, an hour of the expert buys next to nothing."""


@dataclass(frozen=True)
class LaneAdvice:
    """One lane: answers so far, the rate of those that changed the machine's name (weighted, new ones more), the chance
    that one of the next AHEAD does, and whether the rule says stop."""

    lane: str
    n_answers: int
    rate: float
    p_useful: float
    stop: bool


@dataclass(frozen=True)
class NextHour:
    """Accuracy that the next hour of answers is expected to add, its 95 % interval, and the answers in an hour."""

    gain: float
    low: float
    high: float
    answers: float


def useful(changed: BoolArray, lane: str = "", span: int = SPAN, ahead: int = AHEAD, tau: float = TAU) -> LaneAdvice:
    """The rule of Crall (2017). changed: bool [n], in the order of the answers: was the machine's name another one?

    rate_0 = 1, rate_i = alpha x_i + (1 - alpha) rate_(i-1), alpha = 2 / (span + 1); p = 1 - exp(-rate ahead).
    """
    alpha = 2 / (span + 1)
    n = len(changed)
    age = np.arange(n)[::-1]
    rate = float((1 - alpha) ** n + alpha * ((1 - alpha) ** age * changed).sum())
    p = float(1 - np.exp(-rate * ahead))
    return LaneAdvice(lane, n, rate, p, p < tau)


def kappa(one: I64Array, other: I64Array) -> float:
    """Cohen's kappa of two namings of the same tracks, i64 [n] each: agreement beyond chance; 1 where all agree.

    Raises ValueError where lengths differ or nothing is compared.
    """
    if len(one) != len(other) or len(one) == 0:
        raise ValueError(f"two namings of the same tracks, not of {len(one)} and {len(other)}")
    names, index = np.unique(np.concatenate([one, other]), return_inverse=True)
    a = np.bincount(index[: len(one)], minlength=len(names)) / len(one)
    b = np.bincount(index[len(one) :], minlength=len(names)) / len(one)
    chance = float(a @ b)
    agreed = float((one == other).mean())
    return 1.0 if agreed == 1 else (agreed - chance) / (1 - chance)


def is_stable(kappas: list[float], rounds: int = STABLE_ROUNDS, least: float = STABLE_KAPPA) -> bool:
    """Whether the mean of the newest kappas is high enough; False while there are fewer than `rounds`. Newest last."""
    return len(kappas) >= rounds and float(np.mean(kappas[-rounds:])) >= least


def next_hour(n: I64Array, hits: F64Array, seconds: float, seed: int, resampled: int = 400) -> NextHour | None:
    """The gain of one more hour of labels, by carrying the real learning curve on.

    n: i64 [p], labels at each point; hits: f64 [p, a], whether a head of that many labels named the track correctly;
    seconds: of one answer. A bootstrap over audit tracks and families of curves. None where there are fewer than three
    points or the pace is not known.
    """
    if len(n) < 3 or hits.shape[1] == 0 or not seconds > 0:
        return None
    rng = np.random.default_rng(seed)
    answers = 3600 / seconds
    a = hits.shape[1]
    at = n.astype(float)
    gains = np.empty(resampled)
    for r in range(resampled):
        accuracy = hits @ (rng.multinomial(a, np.full(a, 1 / a)) / a)
        curve = FAMILIES[r % len(FAMILIES)](at, accuracy, at)
        gains[r] = curve.at(at[-1] + answers) - curve.at(at[-1])
    low, middle, high = np.quantile(gains, [0.025, 0.5, 0.975])
    return NextHour(float(middle), float(low), float(high), float(answers))
