"""Alarms about a stream of days: since when it is not what it was, and until when, with a promise on false alarms.

Belongs here: e-values from p-values, the Shiryaev-Roberts e-detector, folding a stream in the order of its days.
Does not belong here: how unlike a week is (`reference`), and what a stream is of (`monitoring.changes`).

Each week is compared with the weeks before it (at most 40): a reference that grows with the stream. A small fixed one
that is used again and again breaks the promise by a factor of four.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from chimp_assets.arrays import F64Array, I64Array
from chimp_assets.statistics.reference import Caution, NumberUnits, Units, VectorUnits

KAPPA = 0.15
WEEKS_A_YEAR = 52.18
DAYS = 7
LEAST_WEEKS = 5
"""Weeks of reference below which days are compared instead, with caution."""
LEAST_DAYS = 6
MOST_DAYS = 60
YOUNG = Caution(inflation=1.5, share=0.5)
"""Of days in the first weeks, which stand nearer to each other than days of months do."""
ORDINARY = Caution(inflation=1.18)
"""Of weeks: neighbouring ones are alike where days are."""
REFERENCE_WEEKS = 40
"""Of a stream, at most: with fewer the tails of Student's t hide a change of two standard deviations for weeks."""
LAG_WEEKS = 8
"""Newest weeks that are not in the reference: of a change of which each week says a little, the first weeks would hide
the next."""
SEASON_WEEKS = 3
"""Weeks before and after the same time of an earlier year that show its season."""
SEASON_YEARS = 5
SETTLED_DAYS = 91
"""A change that lasts so long is the new reference."""
OLDEST_WEEKS = 104
"""A reference is not older, however long nothing was filmed."""


def e_value(p: F64Array, kappa: float = KAPPA) -> F64Array:
    """Evidence kappa p**(kappa - 1) of p-values, which has an expectation of at most 1 where they are valid.

    Admissible: no other calibrator says at least as much for every p (Vovk and Wang 2021). A small kappa pays for small
    p.
    """
    if not 0 < kappa < 1:
        raise ValueError(f"kappa is {kappa}, and lies between 0 and 1")
    return np.asarray(kappa * np.asarray(p, np.float64) ** (kappa - 1), np.float64)


def alarm_threshold(streams: int, false_alarms_per_year: float, steps_per_year: float = WEEKS_A_YEAR) -> float:
    """At which evidence a stream alarms, so that all together raise so many false alarms a year.

    The mean number of steps to the first false alarm of a Shiryaev-Roberts e-detector is at least its threshold (Shin,
    Ramdas and Rinaldo 2024).
    """
    return max(1.0, streams * steps_per_year / false_alarms_per_year)


class ShiryaevRoberts:
    """E-detectors R' = (1 + R) e, one for each direction of a change, and their mean: evidence that there was one at
    any step so far.

    A week above and a week below is no change: directions are counted apart. The mean of e-detectors is one.
    """

    def __init__(self, evidence: F64Array | None = None) -> None:
        self._each = np.zeros(1) if evidence is None else evidence
        self._log = np.zeros(1)
        self._start = np.zeros(1, np.int64)

    def looked(self, e: F64Array) -> F64Array:
        """Evidence f64 [k] if this step ended with e [directions, k]; nothing is kept."""
        return np.asarray(((1 + self._each[:, None]) * e).mean(0), np.float64)

    def step(self, e: F64Array, number: int) -> float:
        """Ends step `number` with e [directions]; returns the evidence."""
        self._each = (1 + self._each) * e
        self._start = np.where(self._log <= 0, number, self._start)
        self._log = np.maximum(0.0, self._log) + np.log(e)
        return float(self._each.mean())

    def start_if(self, number: int, e: F64Array) -> int:
        """Where the change most likely began, of which the product of e-values since is largest, if step `number` ends
        with e [directions]."""
        each, log, start = np.broadcast_arrays((1 + self._each) * e, self._log, self._start)
        largest = int(np.argmax(each))
        return int(start[largest]) if log[largest] > 0 else number

    def without_start(self) -> ShiryaevRoberts:
        """The same evidence; steps are numbered anew."""
        return ShiryaevRoberts(self._each)


@dataclass(frozen=True)
class ChangePoint:
    """A change of a stream. since, noticed, until: days (until: the first after it, None while it lasts).

    size: standard deviations between days, negative for less; evidence: of the detector when it was noticed. All but
    `until` is as of the day `noticed`, so that later days leave it as it is.
    """

    since: int
    noticed: int
    until: int | None
    size: float
    evidence: float


@dataclass(frozen=True)
class FoldedStream:
    """p_value, evidence: f64 [n] after each day, nan where nothing was compared; changes: in the order of days."""

    p_value: F64Array
    evidence: F64Array
    changes: list[ChangePoint]


def fold_numbers(
    day: I64Array, value: F64Array, threshold: float, least: float = 1e-9, weeks: int = REFERENCE_WEEKS
) -> FoldedStream:
    """A stream of numbers in the order of its days.

    day: i64 [n], days since any Monday, strictly increasing, gaps allowed; value: f64 [n]; threshold: of
    `alarm_threshold`; least: standard deviation between days below which no change matters; weeks: of reference, at
    most. Cost: about 0.2 ms for each week.
    """
    return _fold(day, threshold, weeks, lambda unit, caution: NumberUnits(np.asarray(value), unit, least, caution))


def fold_vectors(
    day: I64Array, sums: F64Array, n: I64Array, threshold: float, weeks: int = REFERENCE_WEEKS
) -> FoldedStream:
    """A stream of sums of Fourier features in the order of its days. sums: [n, f]; n: i64 [n], vectors of each day."""
    return _fold(day, threshold, weeks, lambda unit, caution: VectorUnits(np.asarray(sums), n, unit, caution))


def _fold(day: I64Array, threshold: float, weeks: int, units: Callable[[I64Array, Caution], Units]) -> FoldedStream:
    if len(day) > 1 and np.diff(day).min() <= 0:
        raise ValueError("days of a stream are given once each, in their order")
    if not len(day):
        return FoldedStream(np.zeros(0), np.zeros(0), [])
    fold = _Fold(np.asarray(day, np.int64), threshold, weeks, units)
    for week in range(len(fold.week_no)):
        fold.take(week)
    return FoldedStream(fold.p_value, fold.evidence, fold.changes)


def _two_sided(p: F64Array) -> F64Array:
    """One p-value for all directions, of p [directions, k]."""
    return np.minimum(1.0, p.min(0) * len(p))


class _Fold:
    """The state of a fold: which weeks and days are normal, the detector, and the change that lasts, if one does."""

    def __init__(
        self, day: I64Array, threshold: float, weeks: int, units: Callable[[I64Array, Caution], Units]
    ) -> None:
        self.day, self.threshold, self.most = day, threshold, weeks
        self.weeks = units(day // DAYS, ORDINARY)
        self.days = units(np.arange(len(day)), YOUNG)
        self.week_no = day[self.weeks.first] // DAYS
        self.p_value = np.full(len(day), np.nan)
        self.evidence = np.full(len(day), np.nan)
        self.changes: list[ChangePoint] = []
        self.detector = ShiryaevRoberts()
        self.normal_weeks: list[int] = []
        self.normal_days: list[int] = []
        self.lasting: _Lasting | None = None
        self.has_settled = False

    def take(self, week: int) -> None:
        first = int(self.weeks.first[week])
        stop = first + int(self.weeks.size[week])
        if self.lasting is not None and not self.has_settled:
            self._watch_end(first, stop)
            return
        reference = self._reference_weeks(week)
        if len(reference) >= LEAST_WEEKS:
            alarmed = self._look_at_week(week, first, stop, reference)
        else:
            alarmed = self._look_at_days(first, stop)
        if not alarmed:
            self.normal_weeks.append(week)
            self.normal_days.extend(range(first, stop))

    def _reference_weeks(self, week: int) -> I64Array:
        """The normal weeks but the last few, in which a change that is not noticed yet may have begun."""
        known = self.normal_weeks
        settled = known[: max(LEAST_WEEKS, len(known) - LAG_WEEKS)]
        recent = np.array(settled[-self.most :], np.int64)
        return recent[self.week_no[recent] >= self.week_no[week] - OLDEST_WEEKS] if len(recent) else recent

    def _seasons(self, week: int) -> list[I64Array]:
        """Weeks of the same time of each earlier year, whether they were normal or not."""
        found = []
        for years in range(1, SEASON_YEARS + 1):
            then = self.week_no[week] - round(years * WEEKS_A_YEAR)
            low, high = np.searchsorted(self.week_no, [then - SEASON_WEEKS, then + SEASON_WEEKS + 1])
            if high == 0:
                break
            if high > low:
                found.append(np.arange(low, high))
        return found

    def _look_at_week(self, week: int, first: int, stop: int, reference: I64Array) -> bool:
        p = self.weeks.p_values(reference, week, self._seasons(week))
        e = e_value(p)
        self.p_value[first:stop] = _two_sided(p)
        self.evidence[first:stop] = self.detector.looked(e)
        over = np.flatnonzero(self.evidence[first:stop] >= self.threshold)
        if not len(over):
            self.detector.step(e[:, -1], week)
            return False
        row = first + int(over[0])
        self.evidence[row + 1 : stop] = self.p_value[row + 1 : stop] = np.nan
        start = int(self.weeks.first[self.detector.start_if(week, e[:, over[0]])])
        self._alarm(self.weeks, reference, start, row)
        return True

    def _look_at_days(self, first: int, stop: int) -> bool:
        for row in range(first, stop):
            reference = np.array(self.normal_days[-MOST_DAYS:] + list(range(first, row)), np.int64)
            if len(reference) < LEAST_DAYS:
                continue
            p = self.days.p_values(reference, row, [])
            e = e_value(p)[:, 0]
            self.p_value[row] = _two_sided(p)[0]
            start = self.detector.start_if(row, e)
            self.evidence[row] = self.detector.step(e, row)
            if self.evidence[row] >= self.threshold:
                self._alarm(self.days, reference, start, row)
                return True
        # Days and weeks count apart: a start that was a day is none among weeks.
        self.detector = self.detector.without_start()
        return False

    def _alarm(self, units: Units, reference: I64Array, start: int, row: int) -> None:
        """A change is there: since when, and how large; or the one that lasted has ended."""
        evidence = float(self.evidence[row])
        self.detector = ShiryaevRoberts()
        before = reference[units.first[reference] < start]
        if len(before) < 2:
            before = reference
        since = self._since(units, before, start, row)
        score = units.scores(before, since, row + 1)
        size = float(score[since : row + 1].mean())
        if self.lasting is not None and self.lasting.is_back(since, row + 1):
            self.changes[-1] = self.lasting.ended(int(self.day[since]), self.changes[-1])
            self._restart(self.lasting.rows, since)
            return
        change = ChangePoint(
            int(self.day[since]), int(self.day[row]), None, size * units.sign(before, since, row + 1), evidence
        )
        self.changes.append(change)
        rows = np.concatenate([np.arange(units.first[u], units.first[u] + units.size[u]) for u in before])
        self.lasting = _Lasting(score, size, rows[rows < since], since)
        self.has_settled = False

    def _since(self, units: Units, before: I64Array, start: int, row: int) -> int:
        """The row with which the change most likely began, from a week before `start` on."""
        earliest = int(np.searchsorted(self.day, self.day[start] - DAYS))
        score = np.clip(units.scores(before, start, row + 1)[earliest : row + 1], -10, 10)
        sums = np.cumsum(score[::-1])[::-1]
        # The likeliest step, where days before it are around 0 (Page 1954).
        return earliest + int(np.argmax(np.maximum(sums, 0) ** 2 / np.arange(len(score), 0, -1)))

    def _watch_end(self, first: int, stop: int) -> None:
        """Days while a change lasts: has it gone back, or has it lasted so long that it is what is normal?"""
        assert self.lasting is not None
        noticed = self.changes[-1].noticed
        for row in range(first, stop):
            if self.day[row] <= noticed:
                continue
            begin = row + 1 - self.lasting.days_to_end
            if begin > self.lasting.since and self.day[begin] > noticed and self.lasting.is_back(begin, row + 1):
                self.changes[-1] = self.lasting.ended(int(self.day[begin]), self.changes[-1])
                self._restart(self.lasting.rows, stop)
                return
        if self.day[stop - 1] - noticed >= SETTLED_DAYS:
            self.has_settled = True
            self._restart(np.zeros(0, np.int64), self.lasting.since, keep=self.lasting, upto=stop)

    def _restart(self, rows: I64Array, since: int, keep: _Lasting | None = None, upto: int | None = None) -> None:
        """What is normal from now on: the days that were before the change, and those from `since` on."""
        upto = since if upto is None else upto
        self.normal_days = [*rows.tolist(), *range(since, upto)]
        inside = np.zeros(len(self.day), bool)
        inside[self.normal_days] = True
        whole = np.logical_and.reduceat(inside, self.weeks.first)
        self.normal_weeks = np.flatnonzero(whole).tolist()
        self.detector = ShiryaevRoberts()
        self.lasting = keep
        self.has_settled = keep is not None


@dataclass(frozen=True)
class _Lasting:
    """A change that lasts. score: f64 [rows], each day's way towards it; rows: what was normal before it."""

    score: F64Array
    size: float
    rows: I64Array
    since: int

    @property
    def days_to_end(self) -> int:
        """Days that show that it went back: the smaller it was, the more."""
        return 3 if self.size >= 6 else 5 if self.size >= 3 else 10

    def is_back(self, start: int, stop: int) -> bool:
        """Whether these days lie nearer to what was before than to the change."""
        return float(np.clip(self.score[start:stop], -2 * self.size, 2 * self.size).mean()) < self.size / 2

    def ended(self, day: int, change: ChangePoint) -> ChangePoint:
        """The change with its end."""
        return ChangePoint(change.since, change.noticed, day, change.size, change.evidence)
