"""How unlike the blocks before it a week is: p-values against the weeks that a stream had before.

Belongs here: comparing one unit (a week of days, or a day while there are few) with units of a reference, of numbers
and of vectors. Does not belong here: which units are the reference, and alarms (`detectors`).

A week is looked at after each of its days: the mean of its first k days is compared with the means of the first k days
of other weeks. Days next to each other are alike, and so are these in every week: nothing is assumed of how much.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import scipy.special

from chimp_assets.arrays import F64Array, I64Array

CLIP = 4.0
"""Days count as at most so many standard deviations away: one odd day is not a change."""
LEAST_SD = 0.2
"""Least standard deviation between weeks, of that between days."""
LEAST_LOG_SD = 0.25
"""The same for logarithms of distances."""
ALIKE_TRACKS = 3.0
"""How many tracks of a day say as much as one that stands alone, about."""
LEAST_SEASON = 3
"""Weeks of an earlier year below which they say nothing."""
_LEAST_P = 1e-12


class Units(Protocol):
    """Days of a stream in units. size: i64 [u], days of each; first: i64 [u], row of the first of them."""

    size: I64Array
    first: I64Array

    def p_values(self, reference: I64Array, unit: int, seasons: Sequence[I64Array]) -> F64Array:
        """p-values f64 [directions, size of the unit] after each of its days: that it is like the reference units.

        One-sided: of numbers that it is not higher, and not lower; of vectors that it is not farther.

        seasons: units of the same time of each earlier year; a unit that is like one of them is no news.
        """

    def scores(self, reference: I64Array, start: int, stop: int) -> F64Array:
        """f64 [rows]: each day's way from the reference towards the days start..stop-1, in standard deviations between
        days of the reference units; positive there."""

    def sign(self, reference: I64Array, start: int, stop: int) -> float:
        """1.0 where the days start..stop-1 lie higher than the reference, or have no order; else -1.0."""


@dataclass(frozen=True)
class Caution:
    """How much a unit is trusted. inflation: of standard deviations; share: of the units that count as independent."""

    inflation: float = 1.0
    share: float = 1.0

    def tail(self, t: F64Array, units: int) -> F64Array:
        """Chance of more than t under Student's t, f64 of its shape."""
        freedom = max(1.0, units * self.share - 1)
        return np.asarray(scipy.special.stdtr(freedom, -t / self.inflation), np.float64)


def rows_of_units(unit: I64Array) -> tuple[I64Array, I64Array]:
    """First row i64 [u] and number of rows i64 [u] of each unit. unit: i64 [n], ascending."""
    first = np.flatnonzero(np.diff(unit, prepend=unit[:1] - 1))
    return first, np.diff(first, append=len(unit))


@dataclass(frozen=True)
class _Scale:
    """On which days are counted in standard deviations: by their rank among the days of a reference, whatever these are
    distributed like, and by their distance outside of them.

    days: f64 [n] ascending; usual: standard deviation between days as their bulk says, at least the least that matters.
    """

    days: F64Array
    middle: float
    usual: float
    shrink: float
    spread: float

    @classmethod
    def of(cls, days: F64Array, least: float) -> _Scale:
        days = np.sort(days)
        n = len(days)
        # Where most days are equal, the others say how much they differ.
        spread = max((days[int(0.84 * (n - 1))] - days[int(0.16 * (n - 1))]) / 2, 0.5 * float(days.std()), 1e-12)
        usual = max(spread, least)
        return cls(days, float(days[n // 2] + days[(n - 1) // 2]) / 2, usual, spread / usual, spread)

    def scores(self, value: F64Array) -> F64Array:
        """Scores of any shape, within CLIP; 0 for nan."""
        n = len(self.days)
        score = _normal_scores(n)[self.days.searchsorted(value) + self.days.searchsorted(value, "right")]
        most = -_normal_scores(n)[0]
        low, high = self.days[0], self.days[-1]
        # Where days hardly differ, their extremes lie nearer to the middle than as many standard deviations.
        least = most * self.spread
        over = np.maximum(value - high, 0) * (most / max(high - self.middle, least))
        under = np.maximum(low - value, 0) * (most / max(self.middle - low, least))
        score = np.minimum(np.maximum((score + over - under) * self.shrink, -CLIP), CLIP)
        return np.asarray(np.where(np.isnan(value), 0.0, score), np.float64)


@lru_cache(maxsize=512)
def _normal_scores(n: int) -> F64Array:
    """f64 [2 n + 1]: scores of values that have i / 2 of n days below them, equal days counting as half."""
    return np.asarray(scipy.special.ndtri((np.arange(2 * n + 1) + 1) / (2 * n + 2)), np.float64)


class NumberUnits:
    """Units of a stream of numbers. value: f64 [n]; unit: i64 [n] ascending; least: standard deviation between days
    below which no change matters."""

    def __init__(self, value: F64Array, unit: I64Array, least: float, caution: Caution) -> None:
        self.first, self.size = rows_of_units(unit)
        self._value, self._least, self._caution = value, least, caution
        length = int(self.size.max()) if len(self.size) else 1
        self._is_day = np.arange(length)[None, :] < self.size[:, None]
        # Days of a unit in a row of their own; one that is not there has no score.
        self._days = np.full(self._is_day.shape, np.nan)
        self._days[self._is_day] = value
        self._so_many = np.minimum(np.arange(1, length + 1)[None, :], self.size[:, None])

    def _scale(self, reference: I64Array) -> _Scale:
        return _Scale.of(self._days[reference][self._is_day[reference]], self._least)

    def _means(self, units: I64Array, scale: _Scale) -> F64Array:
        """Means f64 [units, k] of the scores of the first k days."""
        return np.asarray(np.cumsum(scale.scores(self._days[units]), axis=1) / self._so_many[units], np.float64)

    def p_values(self, reference: I64Array, unit: int, seasons: Sequence[I64Array]) -> F64Array:
        """See `Units`. Student's t of the means of weeks."""
        n, m = int(self.size[unit]), len(reference)
        seasons = [season for season in seasons if len(season) >= LEAST_SEASON]
        # One look at all of them: a week costs calls, not numbers.
        together = self._means(np.concatenate([reference, [unit], *seasons]), self._scale(reference))[:, :n]
        own = together[m]
        mean, variance = _mean_and_variance(together[:m])
        variance = np.maximum(variance, LEAST_SD**2)
        p = self._caution.tail(_both((own - mean) / np.sqrt(variance * (1 + 1 / m))), m)
        begin = m + 1
        for season in seasons:
            k = len(season)
            middle, around = _mean_and_variance(together[begin : begin + k])
            begin += k
            pooled = ((m - 1) * variance + (k - 1) * around) / (m + k - 2)
            like = self._caution.tail(_both((own - middle) / np.sqrt(pooled * (1 + 1 / k))), m + k - 1)
            p = np.maximum(p, like)
        return np.clip(p, _LEAST_P, 1.0)

    def sign(self, reference: I64Array, start: int, stop: int) -> float:
        """See `Units`."""
        return 1.0 if self._value[start:stop].mean() >= self._scale(reference).middle else -1.0

    def scores(self, reference: I64Array, start: int, stop: int) -> F64Array:
        """See `Units`."""
        scale = self._scale(reference)
        return np.asarray(self.sign(reference, start, stop) * (self._value - scale.middle) / scale.usual, np.float64)


def _both(t: F64Array) -> F64Array:
    return np.stack([t, -t])


def _mean_and_variance(rows: F64Array) -> tuple[F64Array, F64Array]:
    """Of columns; a fifth of the time that numpy's own take for some tens of rows."""
    n = len(rows)
    mean = rows.sum(0) / n
    apart = rows - mean
    return mean, np.einsum("ij,ij->j", apart, apart) / (n - 1)


class VectorUnits:
    """Units of a stream of vectors. sums: f64 [n, f]; n_vectors: i64 [n], above 0; unit: i64 [n] ascending."""

    def __init__(self, sums: F64Array, n_vectors: I64Array, unit: I64Array, caution: Caution) -> None:
        self.first, self.size = rows_of_units(unit)
        self._caution = caution
        self._mean = np.asarray(sums / n_vectors[:, None], np.float32)
        length = int(self.size.max()) if len(self.size) else 1
        row = self.first[:, None] + np.minimum(np.arange(length)[None, :], self.size[:, None] - 1)
        is_day = np.arange(length)[None, :] < self.size[:, None]
        so_many = np.cumsum(is_day, axis=1)
        self._means = np.cumsum(self._mean[row] * is_day[..., None], axis=1) / so_many[..., None].astype(np.float32)
        # The noise of the mean of days is that of as many vectors as their harmonic mean says.
        self._noise = ALIKE_TRACKS * np.cumsum(is_day / n_vectors[row], axis=1) / so_many**2
        self._whole = self._means[:, -1]

    def p_values(self, reference: I64Array, unit: int, seasons: Sequence[I64Array]) -> F64Array:
        """See `Units`. One-sided: the logarithm of the squared distance from the mean of the reference, by Student's t
        against those of each reference week from the mean of the others."""
        n, m = int(self.size[unit]), len(reference)
        whole = self._whole[reference]
        total = whole.sum(0)
        centre = total / m
        others = (total - whole) / (m - 1)
        apart = np.square(self._means[reference][:, :n] - others[:, None]).sum(2)
        inside = max(0.05, 1.0 - float(centre @ centre))
        within = inside * self._noise[reference][:, :n]
        between = np.maximum((apart - within).mean(0), 0.1 * apart.mean(0)) + 1e-9
        usual = np.log(np.maximum(apart, 1e-12) / (between + within))
        mean, sd = usual.mean(0), np.maximum(usual.std(0, ddof=1), LEAST_LOG_SD)
        expected = between + inside * self._noise[unit, :n]
        p = np.zeros(n)
        for k, far in [(m, centre), *((len(s), self._whole[s].mean(0)) for s in seasons if len(s) >= LEAST_SEASON)]:
            own = np.log(np.square(self._means[unit, :n] - far).sum(1) / (expected * (1 + 1 / k) / (1 + 1 / m)) + 1e-12)
            p = np.maximum(p, self._caution.tail((own - mean) / (sd * np.sqrt(1 + 1 / m)), m))
        return np.clip(p, _LEAST_P, 1.0)[None, :]

    def sign(self, reference: I64Array, start: int, stop: int) -> float:
        """See `Units`."""
        return 1.0

    def scores(self, reference: I64Array, start: int, stop: int) -> F64Array:
        """See `Units`. Along the line from the middle of the reference to that of the days."""
        rows = np.concatenate([np.arange(self.first[u], self.first[u] + self.size[u]) for u in reference])
        middle = self._mean[rows].mean(0)
        along = (self._mean - middle) @ (self._mean[start:stop].mean(0) - middle)
        return np.asarray(along / max(float(along[rows].std()), 1e-9), np.float64)
