"""The archive of a replay: tracks with vectors, lengths and a known truth, and the expert who is asked about them.

Belongs here: lengths, who enters late, what an answer says and costs. Does not belong here: what is asked (`policies`),
when it is enough (`replay`), pictures (`vectors`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chimp_assets.acquisition.minutes.prices import Prices

LATE_SHARE = 0.2
LATE_AFTER = 0.1
"""Of the tracks: so many have a name when the late individuals enter."""


@dataclass(frozen=True)
class Archive:
    """n tracks. vectors: f32 [n, D], rows of length 1; target: i64 [n], who it is; group: i64 [n], session; frames:
    f64 [n]; late: bool [n], tracks of individuals that enter in mid-run, as animals are born and immigrate."""

    vectors: np.ndarray
    target: np.ndarray
    group: np.ndarray
    frames: np.ndarray
    late: np.ndarray

    def __len__(self) -> int:
        return len(self.target)

    @property
    def n_individuals(self) -> int:
        """One more than the largest target."""
        return int(self.target.max()) + 1


def archive_of(
    vectors: np.ndarray,
    target: np.ndarray,
    group: np.ndarray,
    seed: int,
    sigma: float,
    lengths: np.ndarray | None = None,
) -> Archive:
    """An archive with known lengths, or lognormal ones of that sigma (0: all tracks are equally long)."""
    rng = np.random.default_rng((seed, 22))
    frames = np.exp(sigma * rng.standard_normal(len(target))) if lengths is None else lengths.astype(float)
    who = np.unique(target)
    late = np.isin(target, rng.permutation(who)[: round(LATE_SHARE * len(who))])
    return Archive(vectors, target, group, frames, late)


@dataclass(frozen=True)
class Mistakes:
    """How people err. missed: share of the wrong tracks of a page that are not taken out; volunteer: share of a
    volunteer's answers that are wrong; expert: share of the names that are wrong."""

    missed: float = 0.1
    volunteer: float = 0.04
    expert: float = 0.0


class Expert:
    """Answers and prices them. Raises nothing."""

    def __init__(self, archive: Archive, prices: Prices, mistakes: Mistakes, rng: np.random.Generator) -> None:
        self._archive, self._prices, self._mistakes, self._rng = archive, prices, mistakes, rng
        self._met = np.zeros(archive.n_individuals, bool)

    def names(self, row: int, proposed: np.ndarray, audit: bool = False) -> tuple[int, float, str]:
        """Who it is, seconds, and which price that was. proposed: i64 [up to 5], the individuals shown."""
        who = int(self._archive.target[row])
        known = self._met[who]
        self._met[who] = True
        kind = (
            "nobody" if not known
            else "audit" if audit
            else "right" if len(proposed) and proposed[0] == who
            else "listed" if who in proposed
            else "named"
        )  # fmt: skip
        if self._mistakes.expert and self._rng.random() < self._mistakes.expert:
            who = int(self._rng.choice(self._archive.target))
        return who, getattr(self._prices, kind), kind

    def keeps(self, rows: np.ndarray, individual: int, hidden: int) -> tuple[np.ndarray, float]:
        """Which tracks of a page stay, bool [n], and the seconds of the page with `hidden` wrong ones among them."""
        wrong = self._archive.target[rows] != individual
        out = wrong & (self._rng.random(len(rows)) >= self._mistakes.missed)
        found = int(self._rng.binomial(hidden, 1 - self._mistakes.missed)) if hidden else 0
        p = self._prices
        return ~out, p.page + p.tile * (len(rows) + hidden) + p.taken_out * (int(out.sum()) + found)

    def agree(self, row: int, individual: int) -> int:
        """What two volunteers say of "is this X?": 1 both yes, 0 both no, -1 they disagree."""
        truly = self._archive.target[row] == individual
        said = [bool(truly) != (self._rng.random() < self._mistakes.volunteer) for _ in range(2)]
        return int(said[0]) if said[0] == said[1] else -1
