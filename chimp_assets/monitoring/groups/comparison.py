"""Groups compared with all others: which is treated worse, how sure that is, and how many answers would tell.

Tracks of one camera-day share light, place and company, so a camera-day counts as one. A report compares some hundred
groups: with Wilson's interval for each it names a dozen of equals. Here all comparisons of one report together name a
group that is like the others in at most ALPHA of reports. The budget is spent where it matters most: recall by sex and
age class (ANIMALS of it), individuals (INDIVIDUALS), all else the rest, each a family of its own (Holm 1979;
individuals Benjamini and Hochberg 1995).

Belongs here: comparing values by group, on plain arrays. Does not belong here: where the rows come from (`answers`),
individuals (`individuals`), writing (`monitoring.fairness`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.special

from chimp_assets.statistics.blocks import simultaneous
from chimp_assets.statistics.multiplicity import holm

ALPHA = 0.05
ANIMALS, INDIVIDUALS, REST = 0.03, 0.01, 0.01
GAP = 0.2
"""A group may be called like the others only if a gap of this size would have been found with POWER."""
POWER = 0.8
PRIMARY = ("sex", "age_class")
ALL = "all"
Family = str


@dataclass(frozen=True)
class GroupMetric:
    """A row of `fairness_metric`: one metric of one group. value, low, high: NaN where nothing can be said."""

    slice_kind: str
    slice_value: str
    name: str
    value: float
    low: float
    high: float
    adjusted_p: float | None
    n: int
    blocks: int
    state: str
    needed: int | None


@dataclass(frozen=True)
class MetricRows:
    """The values of one metric: row i64 [k] of the answers, value f64 [k] within limits; higher_is_better; gap: what
    must be told (in units of the value)."""

    name: str
    row: np.ndarray
    value: np.ndarray
    limits: tuple[float, float]
    higher_is_better: bool
    gap: float = GAP


@dataclass(frozen=True)
class _Contrast:
    """A group against all other rows of its kind. z: standard errors that it is better (above 0) or worse; p:
    two-sided; group_variance, other_variance: what the group's and the others' answers add to the gap's variance."""

    z: float
    p: float
    group_variance: float
    other_variance: float
    n: int
    blocks: int
    df: float


@dataclass(frozen=True)
class _Compared:
    """A contrast of the told row `place`; question: what counts as one comparison."""

    place: int
    family: Family
    question: tuple[str, str, str]
    found: _Contrast


def compare(
    metrics: Sequence[MetricRows],
    slices: Mapping[str, Mapping[str, np.ndarray]],
    block: np.ndarray,
    weight: np.ndarray,
    least: int,
    rng: np.random.Generator,
    draws: int = 2000,
) -> list[GroupMetric]:
    """Every metric by every group.

    slices: for each metric's name, the groups of all answers by kind: str [n], "" is no group; block: i64 [n]; weight:
    f64 [n] above 0, how many tracks of the archive an answer stands for. least: answers below which a group is not
    compared. Intervals of all groups of one kind hold together in 95 %.
    """
    told: list[GroupMetric] = []
    contrasts: list[_Compared] = []
    for metric in metrics:
        told.append(_whole(metric, block, weight, least, rng, draws))
        for kind, labels in slices[metric.name].items():
            here = labels[metric.row]
            names = sorted(set(here.tolist()) - {""})
            number = {name: g for g, name in enumerate(names)}
            group = np.array([number.get(one, -1) for one in here], np.int64)
            mine, by, w = metric.value, block[metric.row], weight[metric.row]
            intervals = simultaneous(mine, by, group, rng, draws, weight=w, limits=metric.limits)
            for g, name in enumerate(names):
                one = intervals[g]
                # Of a group alone in its kind there is nothing to compare.
                state = "same" if len(names) == 1 and one.n >= least else "too_few"
                told.append(
                    GroupMetric(
                        kind, name, metric.name, one.value, one.low, one.high, None, one.n, one.blocks, state, None
                    )
                )
                if len(names) > 1 and one.n >= least:
                    found = _contrast(mine, by, w, group, g, metric)
                    # Of two groups each is the other's others: one comparison, not two.
                    question = (kind, metric.name, name if len(names) > 2 else "")
                    contrasts.append(_Compared(len(told) - 1, _family(kind, metric.name), question, found))
    return _judged(told, contrasts, {metric.name: metric for metric in metrics}, least)


def answers_needed(n: int, group_variance: float, other_variance: float, gap: float, level: float, df: float) -> int:
    """More answers of a group that would tell a gap, at a two-sided level, with POWER; 0 where there are enough.

    The group's part of the variance shrinks with its answers, the others' stays.
    """
    reach = -float(scipy.special.stdtrit(max(df, 4.0), level / 2)) + float(scipy.special.ndtri(POWER))
    room = (gap / reach) ** 2 - other_variance
    if room <= 0:  # the others are too few as well: all must grow
        return max(1, math.ceil(n * ((group_variance + other_variance) * (reach / gap) ** 2 - 1)))
    return max(0, math.ceil(n * group_variance / room - n))


def _family(kind: str, metric: str) -> Family:
    return "animals" if metric == "recall" and kind in PRIMARY else "rest"


def _contrast(
    value: np.ndarray, block: np.ndarray, weight: np.ndarray, group: np.ndarray, which: int, metric: MetricRows
) -> _Contrast:
    """Is the group's mean that of the others? A score test: residuals from the mean of all, summed by block, so that a
    handful of like answers is no certainty (Rao 1948; clusters: Liang and Zeger 1986). Degrees of freedom follow how
    unequally blocks weigh (Carter, Schnepel and Steigerwald 2017)."""
    inside = group >= 0
    mine, others = group == which, inside & (group != which)
    row, w_mine, w_others = np.unique(block, return_inverse=True)[1], weight[mine].sum(), weight[others].sum()
    pull = np.where(mine, weight / w_mine, np.where(others, -weight / w_others, 0.0))
    mean = float((weight[inside] * value[inside]).sum() / weight[inside].sum())
    residual = value - mean
    spread = _spread(value[inside], weight[inside], mean, metric.limits)
    gap = float((pull * value).sum())
    variance = {
        side: max(
            float((np.bincount(row, where * pull * residual) ** 2).sum()),
            spread * float((pull[where] ** 2).sum()) if residual[where].any() or not residual.any() else 0.0,
        )
        for side, where in (("mine", mine), ("others", others))
    }
    sums = np.bincount(row, pull * residual)
    error = math.sqrt(max(float((sums**2).sum()), 1e-18))
    size = np.bincount(row, pull**2)
    df = max(1.0, float(size.sum() ** 2 / (size**2).sum()) - 1)
    z = 0.0 if not residual.any() else gap / error
    p = 2 * float(scipy.special.stdtr(df, -abs(z)))
    better = z if metric.higher_is_better else -z
    blocks = len(np.unique(block[mine]))
    return _Contrast(better, p, variance["mine"], variance["others"], int(mine.sum()), blocks, df)


def _spread(value: np.ndarray, weight: np.ndarray, mean: float, limits: tuple[float, float]) -> float:
    """Variance of one value, never 0: with all alike, as if two more answers had been each of the limits."""
    plain = float((weight * (value - mean) ** 2).sum() / weight.sum())
    if plain > 0:
        return plain
    share = (np.sum(value - limits[0]) / (limits[1] - limits[0]) + 2) / (len(value) + 4)
    return float(share * (1 - share)) * (limits[1] - limits[0]) ** 2


def _whole(
    metric: MetricRows, block: np.ndarray, weight: np.ndarray, least: int, rng: np.random.Generator, draws: int
) -> GroupMetric:
    nobody = np.zeros(len(metric.row), np.int64)
    at = block[metric.row]
    found = simultaneous(metric.value, at, nobody, rng, draws, weight=weight[metric.row], limits=metric.limits)
    if not found:
        return GroupMetric(ALL, "", metric.name, math.nan, math.nan, math.nan, None, 0, 0, "too_few", least)
    one = found[0]
    state = "same" if one.n >= least else "too_few"
    needed = None if one.n >= least else least - one.n
    return GroupMetric(ALL, "", metric.name, one.value, one.low, one.high, None, one.n, one.blocks, state, needed)


def _judged(
    told: list[GroupMetric],
    contrasts: list[_Compared],
    metrics: Mapping[str, MetricRows],
    least: int,
) -> list[GroupMetric]:
    for i, one in enumerate(told):
        if one.slice_kind != ALL and one.n < least:
            told[i] = replace(one, needed=least - one.n)
    for family, budget in (("animals", ANIMALS), ("rest", REST)):
        mine = [one for one in contrasts if one.family == family]
        asked = {one.question: one.found.p for one in mine}
        adjusted = dict(zip(asked, holm(np.array(list(asked.values()))) * ALPHA / budget, strict=True))
        for compared in mine:
            one, found = told[compared.place], compared.found
            metric = metrics[one.name]
            level = budget / len(asked)
            needed = answers_needed(found.n, found.group_variance, found.other_variance, metric.gap, level, found.df)
            p = min(1.0, float(adjusted[compared.question]))
            state = "too_few" if needed else "same"
            if p <= ALPHA:
                state = "better" if found.z > 0 else "worse"
            told[compared.place] = replace(
                one, adjusted_p=p, state=state, needed=needed if state == "too_few" else None
            )
    return told
