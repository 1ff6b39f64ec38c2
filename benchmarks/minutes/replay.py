"""One expert, replayed from nothing until the archive is named: by one policy, with a clock that runs on prices.

Belongs here: the loop, both ends. Does not belong here: what is asked (`policies`), what was found (`report`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import numpy as np

from benchmarks.minutes.archive import LATE_AFTER, Archive, Expert, Mistakes
from benchmarks.minutes.guesses import Guesses, guess
from benchmarks.minutes.moment import Ask, Moment
from benchmarks.minutes.policies import NAME_OF_THE_LAST, POLICIES, Asking
from benchmarks.minutes.promise import look
from chimp_assets.acquisition.minutes.goal import (
    BY_A_PERSON,
    NOBODY_ASKED,
    ON_A_PAGE,
    VOLUNTEERS_FROM,
    ArchiveNames,
    Goal,
    reach,
)
from chimp_assets.acquisition.minutes.pages import HIDDEN
from chimp_assets.acquisition.minutes.prices import Prices

REFIT = 20
AFTER_A_FAILURE = 40
"""Answers between a look that failed and the next one."""
VOLUNTEERS = 2


@dataclass(frozen=True)
class Setting:
    """One replay's rules. end: ideal, promise, or time: nothing but `minutes`."""

    goal: Goal = field(default_factory=Goal)
    prices: Prices = field(default_factory=Prices)
    mistakes: Mistakes = field(default_factory=Mistakes)
    end: str = "ideal"
    minutes: float = 0.0
    shuffled: bool = False
    audit_weight: float = 1.0


@dataclass(frozen=True)
class Run:
    """What one replay took. minutes: inf if it never ended; answers: tracks named one by one; pages; audits; looks;
    error: true share of wrong frames among the names at the end; curve: f64 [rounds, 3], minutes, plain and macro
    accuracy over the pool; cpu: seconds."""

    minutes: float
    answers: int
    pages: int
    audits: int
    looks: int
    volunteer_minutes: float
    named: float
    error: float
    curve: np.ndarray
    cpu: float


def replay(archive: Archive, policy: str, setting: Setting, seed: int) -> Run:
    """Until the goal is reached (or everything is named), and for `setting.minutes` at least."""
    began = time.process_time()
    return _Clock(archive, POLICIES[policy], setting, seed).run(began)


class _Clock:
    def __init__(self, archive: Archive, asking: Asking, setting: Setting, seed: int) -> None:
        n = len(archive)
        self.archive, self.asking, self.setting = archive, asking, setting
        self.rng = np.random.default_rng((seed, 7))
        self.expert = Expert(archive, setting.prices, setting.mistakes, np.random.default_rng((seed, 8)))
        self.entered = ~archive.late
        self.named = np.full(n, -1)
        self.asked = np.full(n, NOBODY_ASKED, np.int8)
        self.denied = np.zeros((n, archive.n_individuals), bool)
        turn = self.rng.permutation(n)
        self.reserve = np.isin(np.arange(n), turn[: asking.set_aside(n)])
        self.unteachable = np.isin(np.arange(n), turn[: round(asking.unteachable * n)]) | self.reserve
        self.taught = np.zeros(n, bool)
        self.audited = np.zeros(n, bool)
        self.guesses: Guesses | None = None
        self.since = 0
        self.seconds = self.volunteer_seconds = 0.0
        self.answers = self.pages = self.audits = self.looks = 0
        self.look_from = 0
        self.last_name = -1
        self.reached: tuple[float, float, float] | None = None
        self.curve: list[tuple[float, float, float]] = []

    def run(self, began: float) -> Run:
        while not self._over():
            moment = self._moment()
            asks = [] if len(moment.open_rows) == 0 else self.asking.choose(moment, REFIT)
            if not asks and self.entered.all():
                break
            for ask in asks:
                self._answer(ask)
                if self._over():
                    break
            if self.asking.volunteers:
                self._volunteers(moment)
            if not asks or int((self.asked != NOBODY_ASKED).sum()) >= LATE_AFTER * len(self.archive):
                self.entered[:] = True
            if self.since >= REFIT or self.guesses is None or not asks:
                self._refit()
        reached = self.reached or (np.inf, *self._best())
        return Run(
            reached[0] / 60, self.answers, self.pages, self.audits, self.looks, self.volunteer_seconds / 60,
            reached[1], reached[2], np.array(self.curve).reshape(-1, 3), time.process_time() - began,
        )  # fmt: skip

    def _over(self) -> bool:
        if self.reached is None and self.setting.end == "ideal" and self.entered.all():
            named, error = self._best()
            if named >= self.setting.goal.named and error <= self.setting.goal.error:
                self.reached = (self.seconds, named, error)
        enough = self.reached is not None or self.setting.end == "time"
        return enough and self.seconds >= 60 * self.setting.minutes

    def _chance(self) -> np.ndarray:
        if self.guesses is None or self.asking.people_only:
            return np.zeros(len(self.archive))
        return np.where(self.entered, self.guesses.chance, 0.0)

    def _names(self) -> ArchiveNames:
        return ArchiveNames(self.archive.frames * self.entered, self._chance(), self.asked)

    def _wrong(self) -> np.ndarray:
        """Of every track, whether the name that it has, or the machine would give it, is wrong. bool [n]."""
        said = self.named.copy()
        if self.guesses is not None:
            said = np.where(self.asked == NOBODY_ASKED, self.guesses.first, said)
        return np.asarray(said != self.archive.target)

    def _best(self) -> tuple[float, float]:
        """Named share and its true error at the threshold that names most with an error of at most the goal's."""
        frames, wrong, chance = self.archive.frames, self._wrong(), self._chance()
        people = self.asked != NOBODY_ASKED
        machine = np.flatnonzero(~people & (chance > 0))
        machine = machine[np.argsort(-chance[machine], kind="stable")]
        carried = np.cumsum(np.r_[frames[people].sum(), frames[machine]])
        bad = np.cumsum(np.r_[(frames * wrong)[people].sum(), (frames * wrong)[machine]])
        error = bad / np.maximum(carried, 1e-12)
        good = np.flatnonzero(error <= self.setting.goal.error)
        k = int(good[-1]) if len(good) else 0
        return float(carried[k] / frames.sum()), float(error[k])

    def _moment(self) -> Moment:
        names = self._names()
        return Moment(
            self.archive.vectors, self.archive.group, self.archive.frames,
            np.flatnonzero(self.entered & (self.asked == NOBODY_ASKED)), self.reserve, self.named, self.denied,
            np.flatnonzero(self.taught), np.flatnonzero(self.audited), self.guesses, names,
            reach(names, self.setting.goal), self.setting.goal, self.setting.prices, self.rng, self.archive.target,
        )  # fmt: skip

    def _answer(self, ask: Ask) -> None:
        if ask.individual >= 0:
            if ask.individual == NAME_OF_THE_LAST:
                ask = replace(ask, individual=self.last_name)
            stays, seconds = self.expert.keeps(ask.rows, ask.individual, HIDDEN)
            self.seconds += seconds
            kept = ask.rows[stays]
            self.named[kept], self.asked[kept], self.taught[kept] = ask.individual, ON_A_PAGE, ~self.unteachable[kept]
            if not ask.forgotten:
                self.denied[ask.rows[~stays], ask.individual] = True
            self.pages += 1
            self.since += len(ask.rows)
            return
        for row in ask.rows.tolist():
            self._single(row, ask.audit)
            if self._over():
                return

    def _single(self, row: int, audit: bool) -> None:
        proposed = np.empty(0, np.int64) if self.guesses is None or audit else self.guesses.proposed(row)
        self.named[row], seconds, _ = self.expert.names(row, proposed, audit)
        self.seconds += seconds
        self.last_name = int(self.named[row])
        self.asked[row] = BY_A_PERSON
        self.since += 1
        self.answers += 1
        self.audits += audit
        self.audited[row], self.taught[row] = self.unteachable[row], not self.unteachable[row]

    def _refit(self) -> None:
        taught, audited = np.flatnonzero(self.taught), np.flatnonzero(self.audited)
        self.since = 0
        if len(np.unique(self.named[taught])) < 2:
            return
        self.guesses = guess(
            self.archive.vectors, taught, self.named[taught], self.denied, audited, self.named[audited],
            self.setting.audit_weight, self.rng if self.setting.shuffled else None,
        )  # fmt: skip
        right = ~self._wrong()
        each = np.bincount(self.archive.target, right) / np.maximum(np.bincount(self.archive.target), 1)
        self.curve.append((self.seconds / 60, float(right.mean()), float(each[np.unique(self.archive.target)].mean())))
        if self.setting.end == "promise" and self.reached is None and self.entered.all():
            self._look()

    def _look(self) -> None:
        if self.answers < self.look_from:
            return
        goal, names = self.setting.goal, self._names()
        found = reach(names, goal)
        if not found.meets(goal):
            return
        self.looks += 1
        wrong = self._wrong()
        carried = (self.asked != NOBODY_ASKED) | (names.chance >= found.threshold)
        tested = carried & (self.asked != BY_A_PERSON)
        frames = self.archive.frames
        kept, drawn = look(frames * tested, wrong, goal.error / max(found.tested, 1e-9), self.looks, self.rng)
        error = float((frames * wrong)[carried].sum() / frames[carried].sum())
        for row in drawn.tolist():
            self._single(row, audit=True)  # what was drawn teaches, where it was not set aside
        if kept:
            self.reached = (self.seconds, found.named, error)
        self.look_from = self.answers + AFTER_A_FAILURE

    def _volunteers(self, moment: Moment) -> None:
        """Two at a time who answer while the expert does: "is this X?" of the head's names that are not carried."""
        if self.guesses is None:
            return
        chance = self._chance()
        may = (self.asked == NOBODY_ASKED) & ~self.reserve & (chance >= VOLUNTEERS_FROM)
        may &= chance < moment.reach.threshold
        rows = np.flatnonzero(may)
        rows = rows[np.argsort(-(self.archive.frames * chance)[rows], kind="stable")]
        price = VOLUNTEERS * self.setting.prices.is_it
        for row in rows.tolist():
            if self.volunteer_seconds + price > VOLUNTEERS * self.seconds:
                return
            self.volunteer_seconds += price
            individual = int(self.guesses.first[row])
            said = self.expert.agree(row, individual)
            if said == 1:
                self.named[row], self.asked[row] = individual, ON_A_PAGE
            else:
                # Who disagreed is not asked again about the same name either.
                self.denied[row, individual] = said == 0 or self.denied[row, individual]
