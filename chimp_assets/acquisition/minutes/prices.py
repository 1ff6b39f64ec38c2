"""What an answer costs, in seconds of a person: learned from the archive's own answers, with a prior where it has few.

Belongs here: `Prices` and how they are learned from seconds. Does not belong here: reading the seconds
(`chimp_assets.loop.prices`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from chimp_assets.arrays import F64Array

PRIOR_ANSWERS = 20
"""Answers that the prior weighs."""
LONGEST = 8.0
"""A person who takes so many times the prior's seconds did something else meanwhile; more counts as this."""


@dataclass(frozen=True)
class Prices:
    """Seconds of one person for each kind of answer.

    right: the first proposed name is confirmed; listed: another of the five proposed; named: typed or searched; nobody:
    unknown, or an individual that is new; other: any answer where the first proposed name is not right; audit: a name
    without proposals; page, tile, taken_out: of a page of many tracks, once, for each track, for each that is taken
    out more; is_it: a yes or no.
    """

    right: float = 2.5
    listed: float = 3.5
    named: float = 6.0
    nobody: float = 8.0
    other: float = 4.5
    audit: float = 4.5
    page: float = 2.0
    tile: float = 0.35
    taken_out: float = 2.0
    is_it: float = 3.0

    def of_tracks(self, chance: F64Array) -> F64Array:
        """Expected seconds of tracks that are asked one by one. chance: f64 [n], that the first name is right."""
        seconds: F64Array = self.right * chance + self.other * (1 - chance)
        return seconds

    def of_page(self, chance: F64Array, hidden: int = 0) -> float:
        """Expected seconds of one page with these tracks. chance: f64 [n], that a track shows the page's individual;
        hidden: tracks of others beside them, which a person takes out."""
        out = hidden + float((1 - chance).sum())
        return self.page + self.tile * (len(chance) + hidden) + self.taken_out * out

    def least_chance_on_a_page(self, n: int) -> float:
        """The chance from which a track is cheaper on a page of n than alone, if what is taken out is asked alone too.

        page / n + tile + (taken_out + ...) (1 - p) <= right p + other (1 - p), solved for p.
        """
        return min(1.0, (self.page / n + self.tile + self.taken_out) / max(1e-9, self.right + self.taken_out))


def learned(seconds: Mapping[str, F64Array], prior: Prices | None = None) -> Prices:
    """The prices that answers show: means, shrunk to the prior as if that were PRIOR_ANSWERS answers more.

    seconds: by the name of a price, f64 [n] of single answers; unknown names raise ValueError. Seconds above LONGEST
    times the prior count as so many: one tea break must not double a price.
    """
    known = prior or Prices()
    names = {field.name for field in fields(Prices)}
    if unknown := set(seconds) - names:
        raise ValueError(f"no price is called {', '.join(sorted(unknown))}")
    found = {}
    for name, taken in seconds.items():
        before = getattr(known, name)
        kept = np.minimum(taken[np.isfinite(taken) & (taken > 0)], LONGEST * before)
        found[name] = float((PRIOR_ANSWERS * before + kept.sum()) / (PRIOR_ANSWERS + len(kept)))
    return replace(known, **found)
