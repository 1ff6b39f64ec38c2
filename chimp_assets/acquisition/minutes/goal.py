"""How much of an archive is named, how far its names can be trusted, and what is left to do until both are enough.

A goal (A, x): at least A of the frames carry a name, of which at most x are wrong. A frame carries the name of its
track: a person's, a page's, or the machine's where its chance to be right reaches a threshold. Of all thresholds that
keep the expected error low enough the lowest names most.

Belongs here: thresholds, expected errors, forecasts. Does not belong here: where chances come from (`calibration`),
proof by a fresh sample (`promises`): what is expected here is no promise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from chimp_assets.acquisition.minutes.prices import Prices
from chimp_assets.arrays import F64Array, I8Array, I64Array

NOBODY_ASKED, BY_A_PERSON, ON_A_PAGE, NAMELESS = 0, 1, 2, 3
SPARE = 0.8
"""A promise is worth testing where the expected error is this share of the one that is promised."""
VOLUNTEERS_FROM = 0.3
"""Chance of the first name from which volunteers are asked whether it is right."""
PAGE_ERROR = 0.02
"""Of names given on pages or by volunteers, before audits say better."""


@dataclass(frozen=True)
class Goal:
    """named: least share of the frames with a name; error: largest share of those whose name is wrong."""

    named: float = 0.9
    error: float = 0.05


@dataclass(frozen=True)
class ArchiveNames:
    """Every live track that may show an animal, n of them.

    frames: f64 [n], boxes; chance: f64 [n], that the machine's name is right (0: it has none); asked: i8 [n],
    NOBODY_ASKED, BY_A_PERSON (somebody looked at this track and named it), ON_A_PAGE (confirmed with others, or by
    volunteers), NAMELESS (somebody looked, and it has no name).
    """

    frames: F64Array
    chance: F64Array
    asked: I8Array


@dataclass(frozen=True)
class Reach:
    """Where an archive stands. threshold: chance from which machine names are carried (above 1: none are); named: share
    of the frames that carry a name; error: expected share of these whose name is wrong; tested: share of these that
    no person named alone, which is what a sample can find wrong."""

    threshold: float
    named: float
    error: float
    tested: float

    def meets(self, goal: Goal) -> bool:
        """Whether a promise of the goal is worth testing."""
        return self.named >= goal.named and self.error <= SPARE * goal.error


@dataclass(frozen=True)
class ToGo:
    """What is left until a goal is within reach: answers and seconds of the expert, and seconds of volunteers
    together. inf where no number of answers reaches it."""

    answers: float
    seconds: float
    volunteer_seconds: float = 0.0


def reach(names: ArchiveNames, goal: Goal, page_error: float = PAGE_ERROR) -> Reach:
    """The lowest threshold that keeps the expected error at SPARE x goal.error, and what it names."""
    order = np.argsort(-names.chance, kind="stable")
    return _reach(names, order, names.asked, goal, page_error)


def worth(frames: F64Array, chance: F64Array, threshold: float, prices: Prices) -> F64Array:
    """Frames that an answer to each track names, for each second that it takes: f64 [n].

    Where the machine's name is carried already (chance >= threshold) only what is wrong is gained.
    """
    gained = frames * np.where(chance >= threshold, 1 - chance, 1.0)
    rate: F64Array = gained / prices.of_tracks(chance)
    return rate


def to_go(
    names: ArchiveNames, goal: Goal, prices: Prices, volunteers: bool = False, page_error: float = PAGE_ERROR
) -> ToGo:
    """Answers until the goal is within reach, if the tracks worth most are asked first and nothing is learned.

    An upper limit: answers also teach. volunteers: "is it X?" is answered by others where the first name is likely, and
    the expert names what they do not confirm.
    """
    order = np.argsort(-names.chance, kind="stable")
    now = _reach(names, order, names.asked, goal, page_error)
    if now.meets(goal):
        return ToGo(0, 0.0)
    open_to_ask = np.flatnonzero(names.asked == NOBODY_ASKED)
    rate = worth(names.frames[open_to_ask], names.chance[open_to_ask], now.threshold, prices)
    turn = open_to_ask[np.argsort(-rate, kind="stable")]

    def enough(n: int) -> bool:
        asked = names.asked.copy()
        asked[turn[:n]] = BY_A_PERSON
        return _reach(names, order, asked, goal, page_error).meets(goal)

    if not enough(len(turn)):
        return ToGo(float("inf"), float("inf"))
    low, high = 0, len(turn)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    chance = names.chance[turn[:high]]
    if not volunteers:
        return ToGo(high, float(prices.of_tracks(chance).sum()))
    theirs = chance >= VOLUNTEERS_FROM
    mine = np.where(theirs, 1 - chance, 1.0)
    seconds = float((mine * np.where(theirs, prices.other, prices.of_tracks(chance))).sum())
    return ToGo(float(mine.sum()), seconds, float(2 * prices.is_it * theirs.sum()))


def _reach(
    names: ArchiveNames, by_chance: I64Array, asked: npt.NDArray[np.int8], goal: Goal, page_error: float
) -> Reach:
    total = float(names.frames.sum())
    if total <= 0:
        return Reach(2.0, 0.0, 0.0, 0.0)
    person = float(names.frames[asked == BY_A_PERSON].sum())
    page = float(names.frames[asked == ON_A_PAGE].sum())
    machine = by_chance[(asked[by_chance] == NOBODY_ASKED) & (names.chance[by_chance] > 0)]
    chance, frames = names.chance[machine], names.frames[machine]
    carried = person + page + np.concatenate([[0.0], np.cumsum(frames)])
    wrong = page * page_error + np.concatenate([[0.0], np.cumsum(frames * (1 - chance))])
    error = wrong / np.maximum(carried, 1e-12)
    # A threshold takes all tracks of one chance or none.
    ends = np.concatenate([[True], np.r_[chance[1:] < chance[:-1], True] if len(chance) else []]).astype(bool)
    good = np.flatnonzero(ends & (error <= SPARE * goal.error + 1e-12))
    k = int(good[-1]) if len(good) else 0
    threshold = float(chance[k - 1]) if k else 2.0
    tested = (carried[k] - person) / carried[k] if carried[k] > 0 else 0.0
    return Reach(threshold, float(carried[k] / total), float(error[k]), float(tested))
