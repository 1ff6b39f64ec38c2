"""Ways of spending an expert's minutes: the product's plan, what it did before, its foils, an oracle.

Belongs here: policies. Does not belong here: what they may look at (`moment`), what an answer costs (`archive`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.minutes.moment import Ask, Moment
from benchmarks.minutes.product import FORMER, PlannedLanes, page_of
from chimp_assets.acquisition.minutes.pages import LEAST_TRACKS, MOST_TRACKS
from chimp_assets.acquisition.minutes.worth import NO_NAMES
from chimp_assets.loop.pool import KEPT_AT_LEAST, KEPT_BY_ROOT
from chimp_assets.settings import AcquisitionSettings

PAGE, SMALLEST_PAGE = MOST_TRACKS, LEAST_TRACKS

NAME_OF_THE_LAST = 1 << 30
"""The individual of a page that is known only when the track asked before has its name."""

Choose = Callable[[Moment, int], list[Ask]]


@dataclass(frozen=True)
class Asking:
    """A policy. reserve, reserve_share, reserve_least: the audit keeps tracks for itself, so many times the square root
    of their number or so many, and at most that share of them; unteachable: share of the
    tracks whose answers teach nobody, the reserve among them; volunteers: two answer beside; people_only: machine names
    count for nothing."""

    choose: Choose
    reserve: float = 0
    reserve_share: float = 0.0
    unteachable: float = 0.0
    volunteers: bool = False
    people_only: bool = False
    reserve_least: int = 0

    def set_aside(self, n: int) -> int:
        """Tracks of n that only the audit may ask."""
        return round(min(self.reserve_share * n, max(self.reserve_least, self.reserve * np.sqrt(n))))


def _singles(rows: np.ndarray) -> list[Ask]:
    return [Ask(rows)] if len(rows) else []


def _largest(moment: Moment, rows: np.ndarray, score: np.ndarray, b: int) -> np.ndarray:
    return np.asarray(rows[np.lexsort((rows, -score))[:b]])


def random_tracks(moment: Moment, b: int) -> list[Ask]:
    return _singles(moment.rng.permutation(moment.trainable)[:b])


def longest(moment: Moment, b: int) -> list[Ask]:
    rows = moment.trainable
    return _singles(_largest(moment, rows, moment.frames[rows], b))


def margin(moment: Moment, b: int) -> list[Ask]:
    if moment.guesses is None:
        return random_tracks(moment, b)
    rows = moment.trainable
    return _singles(_largest(moment, rows, -moment.guesses.margins()[rows], b))


def rate(moment: Moment, b: int) -> list[Ask]:
    """Most frames a second."""
    if moment.guesses is None:
        return longest(moment, b)
    rows = moment.trainable
    return _singles(_largest(moment, rows, moment.worth(rows), b))


def oracle(moment: Moment, b: int) -> list[Ask]:
    """No policy: longest first of those that are named wrongly."""
    if moment.guesses is None:
        return longest(moment, b)
    rows = moment.trainable
    wrong = moment.guesses.first[rows] != moment.truth[rows]
    return _singles(_largest(moment, rows, moment.frames[rows] * (1e-6 + wrong), b))


def rate_with_pages(moment: Moment, b: int) -> list[Ask]:
    """Most frames a second, on a page where that is more than the best singles bring."""
    page = page_of(moment, moment.names.chance, moment.reach.threshold)
    return rate(moment, b) if page is None else [page]


def pages_by_people(moment: Moment, b: int) -> list[Ask]:
    """Where only people name: pages from p* on."""
    page = None if moment.guesses is None else page_of(moment, moment.guesses.chance, NO_NAMES)
    return singles_by_people(moment, b) if page is None else [page]


def singles_by_people(moment: Moment, b: int) -> list[Ask]:
    """Where only people name: frames a second, one by one."""
    if moment.guesses is None:
        return longest(moment, b)
    rows = moment.trainable
    return _singles(
        _largest(moment, rows, moment.frames[rows] / moment.prices.of_tracks(moment.guesses.chance[rows]), b)
    )


def todays_page(moment: Moment, b: int) -> list[Ask]:
    """Every second round the page of the surest names of one individual, what is taken out forgotten; margins else."""
    if moment.guesses is None or moment.rng.random() < 0.5:
        return margin(moment, b)
    rows = moment.trainable
    sure = rows[np.argsort(-moment.guesses.raw[rows], kind="stable")]
    if not len(sure):
        return []
    firsts = moment.guesses.first[sure]
    individual = int(np.bincount(firsts[: 4 * PAGE]).argmax())
    return [Ask(sure[firsts == individual][:PAGE], individual, forgotten=True)]


def cluster_then_name(moment: Moment, b: int) -> list[Ask]:
    """The longest track of a group of look-alikes, then the others of the group on a page."""
    rows = moment.trainable
    if not len(rows):
        return []
    seed_row = int(rows[moment.frames[rows].argmax()])
    alike = moment.vectors[rows] @ moment.vectors[seed_row]
    near = rows[np.argsort(-alike, kind="stable")[1 : PAGE // 2 + 1]]
    if moment.guesses is not None:
        near = near[moment.guesses.first[near] == moment.guesses.first[seed_row]]
    asks = [Ask(np.array([seed_row]))]
    if len(near) >= SMALLEST_PAGE:
        asks.append(Ask(near, individual=NAME_OF_THE_LAST))
    return asks


PRODUCT = Asking(
    PlannedLanes(judged=True), KEPT_BY_ROOT, AcquisitionSettings().audit_reserve, reserve_least=KEPT_AT_LEAST
)
"""As a home has it: of the reserve the audit keeps a part, the rest is asked as any track and teaches."""
OPEN_PLAN = Asking(PlannedLanes(), 1.5, 0.05, 0.05)
"""The same plan, warm after 20 answers without a verdict on its head, with a reserve that is small from the start."""

POLICIES: dict[str, Asking] = {
    "random": Asking(random_tracks),
    "lanes": Asking(PlannedLanes(FORMER, judged=True), np.inf, 0.2, 0.2),
    "margin": Asking(margin),
    "longest": Asking(longest),
    "rate": Asking(rate),
    "rate+pages": Asking(rate_with_pages),
    "page-half": Asking(todays_page),
    "cluster": Asking(cluster_then_name),
    "oracle": Asking(oracle),
    "people-random": Asking(random_tracks, people_only=True),
    "people-singles": Asking(singles_by_people, people_only=True),
    "people-pages": Asking(pages_by_people, people_only=True),
    "volunteers": Asking(rate, volunteers=True),
    "product": PRODUCT,
    "product+pages": replace(PRODUCT, choose=PlannedLanes(judged=True, pages=True)),
    "product+volunteers": replace(PRODUCT, volunteers=True),
    "open-plan": OPEN_PLAN,
    "open-plan+pages": replace(OPEN_PLAN, choose=PlannedLanes(pages=True)),
    "open-plan+volunteers": replace(OPEN_PLAN, volunteers=True),
}
