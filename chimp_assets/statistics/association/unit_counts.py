"""Who was seen in which sampling unit and which two were together, as columns; and sums of them for each block of days.

A name by the model is one draw of the misclassification matrix M (row: who it is, column: the name). With W the inverse
of M, the vector W[name] has the true individual as its expectation, so products over independent names are unbiased:
"nobody of this unit is i" is the product of 1 - W[name, i] over its names. Names by persons are taken as true.

Belongs here: the columns, and numerators and denominators by block with and without the correction. Does not belong
here: the matrix (`misclassification`), intervals (`intervals`), what a unit is (`insight.association.units`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse

_UNITS_AT_A_TIME = 2_000
"""Units that are in memory as rows of all individuals, if no block has more."""
MOST_FACTOR = 0.9
"""A factor 1 - W[name, name] is kept inside of -MOST_FACTOR, so that products of many names of one individual end."""


@dataclass(frozen=True)
class UnitPart:
    """Units of some blocks, block by block. blocks: their numbers; starts: place of the first unit of each, and how
    many there are; units: rows of units; members, met: rows of members and of pairs that met in them; at, met_at: the
    place of their unit here."""

    blocks: np.ndarray
    starts: np.ndarray
    units: np.ndarray
    members: np.ndarray
    at: np.ndarray
    met: np.ndarray
    met_at: np.ndarray


@dataclass(frozen=True)
class UnitCounts:
    """What was sampled of n individuals in `blocks` blocks of consecutive days, for pairs a < b that met.

    Of each unit (a row stands for `weight` units that are alike): block i64 [u], weight f64 [u], era i64 [u].
    alive: bool [eras, n], who was alive and under study. Of each individual in a unit: member_unit, member_who i64 [m],
    member_person bool [m] (a person named it there), member_names i64 [m] (names by the model).
    a, b: i64 [p]. Of each pair in a unit in which it met: met_pair, met_unit, met_block i64 [q], met_weight f64 [q],
    met_seen bool [2, q] (whether a, b were seen in that unit); met_sure bool [q]: at one occasion persons named both.
    Of each occasion of these, in their order: at i64 [o] (row of q), at_occasion i64 [o], at_names i64 [2, o]: tracks
    of a, of b that the model named, 0 where a person named one. alone_who, alone_names i64 [s], alone_weight f64 [s]:
    individuals whose name several tracks of one occasion have, so many of them by the model; alone_sure bool [s]: and
    one by a person."""

    n: int
    blocks: int
    block: np.ndarray
    weight: np.ndarray
    era: np.ndarray
    alive: np.ndarray
    member_unit: np.ndarray
    member_who: np.ndarray
    member_person: np.ndarray
    member_names: np.ndarray
    a: np.ndarray
    b: np.ndarray
    met_pair: np.ndarray
    met_unit: np.ndarray
    met_block: np.ndarray
    met_weight: np.ndarray
    met_seen: np.ndarray
    met_sure: np.ndarray
    at: np.ndarray
    at_occasion: np.ndarray
    at_names: np.ndarray
    alone_who: np.ndarray
    alone_names: np.ndarray
    alone_sure: np.ndarray
    alone_weight: np.ndarray

    @property
    def by_persons(self) -> bool:
        """Whether persons gave every name."""
        return not self.member_names.any()

    @cached_property
    def parts(self) -> list[UnitPart]:
        """All units in some parts of whole blocks."""
        order = np.argsort(self.block, kind="stable")
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        at, met_at = place[self.member_unit], place[self.met_unit]
        members, met = np.argsort(at, kind="stable"), np.argsort(met_at, kind="stable")
        starts = np.searchsorted(self.block[order], np.arange(self.blocks + 1))
        found, first = [], 0
        while first < self.blocks:
            last = max(first + 1, int(np.searchsorted(starts, starts[first] + _UNITS_AT_A_TIME, side="right")) - 1)
            low, high = starts[first], starts[last]
            mine, ours = (
                some[slice(*np.searchsorted(where[some], (low, high)))]
                for some, where in ((members, at), (met, met_at))
            )
            found.append(
                UnitPart(
                    np.arange(first, last), starts[first : last + 1] - low, order[low:high], mine, at[mine] - low,
                    ours, met_at[ours] - low,
                )
            )  # fmt: skip
            first = last
        return found

    @cached_property
    def seen_in_common_life(self) -> tuple[np.ndarray, np.ndarray]:
        """Units in which a, and in which b, was seen while both were alive, by the names as they are: f64 [p] each."""
        eras = len(self.alive)
        code = self.era[self.member_unit] * self.n + self.member_who
        seen = np.bincount(code, self.weight[self.member_unit], eras * self.n).reshape(eras, self.n)
        in_life = seen.T @ self.alive.astype(float)
        return in_life[self.a, self.b], in_life[self.b, self.a]

    @cached_property
    def as_named(self) -> BlockSums:
        """Sums of each block by the names as they are."""
        return BlockSums(_by_block(self, self.met_weight), _seen_as_named(self))

    def met(self) -> np.ndarray:
        """Units together, by the names as they are: f64 [p]."""
        return np.bincount(self.met_pair, self.met_weight, len(self.a))

    def met_of(self, seen: tuple[bool, bool]) -> np.ndarray:
        """Units together in which a and b were seen or not: f64 [p]. By minutes, one may have left before the unit."""
        kept = (self.met_seen == np.array(seen)[:, None]).all(0)
        return np.bincount(self.met_pair[kept], self.met_weight[kept], len(self.a))

    def verified(self) -> np.ndarray:
        """Units together by names of persons alone: f64 [p]."""
        return np.bincount(self.met_pair, self.met_weight * self.met_sure, len(self.a))


_NONE = np.zeros(0, np.int64)
_AT_A_TIME = 20_000
"""Occasions whose row of all individuals is in memory at once."""


@dataclass(frozen=True)
class BlockSums:
    """x: units together, n: units in which at least one was seen, both f64 [blocks, p]."""

    x: np.ndarray
    n: np.ndarray


def sums(counts: UnitCounts, inverse: np.ndarray | None = None) -> BlockSums:
    """Sums of each block. inverse: f64 [n, n], W; None: names as they are."""
    if not counts.blocks:
        return BlockSums(_empty(counts), _empty(counts))
    if inverse is None or counts.by_persons:
        return counts.as_named
    n = np.concatenate([_seen(counts, part, inverse) for part in counts.parts])
    chance, mistaken = _met_chance(counts, inverse)
    x, total = _by_block(counts, counts.met_weight * chance), n.sum(0)
    mistaken *= 1 - _in_met_units(counts, inverse, chance)
    return BlockSums(x + n * _over(mistaken, total), n)


def _over(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.zeros_like(below, dtype=float), where=below > 0)


def _by_block(counts: UnitCounts, weight: np.ndarray) -> np.ndarray:
    pairs = len(counts.a)
    code = counts.met_block * pairs + counts.met_pair
    return np.bincount(code, weight, counts.blocks * pairs).reshape(counts.blocks, pairs)


def _seen_as_named(counts: UnitCounts) -> np.ndarray:
    """Units in which at least one was seen while both were alive, by block and pair: where a was, and where b was, less
    those where both were, of which there are few: f64 [blocks, p]."""
    n, units = counts.n, len(counts.block)
    block, who, weight = counts.block[counts.member_unit], counts.member_who, counts.weight[counts.member_unit]
    seen = scipy.sparse.csr_matrix((weight, (block * n + who, counts.member_unit)), (counts.blocks * n, units))
    there = scipy.sparse.csr_matrix((np.ones(len(who)), (counts.member_unit, who)), (units, n))
    row_of = np.full(n * n, -1)
    row_of[counts.a * n + counts.b] = np.arange(len(counts.a))
    # Of each block a row for each of its eras: (a was seen) x (b was alive).
    cell, of_unit = np.unique(counts.block * len(counts.alive) + counts.era, return_inverse=True)
    in_cell = np.bincount(of_unit[counts.member_unit] * n + who, weight, len(cell) * n).reshape(-1, n)
    lives = counts.alive[cell % len(counts.alive)].astype(float)
    starts = np.searchsorted(cell // len(counts.alive), np.arange(counts.blocks + 1))
    both = seen @ there
    edges = both.indptr[::n]
    row = np.repeat(np.arange(counts.blocks * n) % n, np.diff(both.indptr))
    pair = row_of[row * n + both.indices]
    found = np.zeros((counts.blocks, len(counts.a)))
    for which in range(counts.blocks):
        cells, some = slice(starts[which], starts[which + 1]), slice(edges[which], edges[which + 1])
        in_life = in_cell[cells].T @ lives[cells]
        found[which] = in_life[counts.a, counts.b] + in_life[counts.b, counts.a]
        at = pair[some]
        found[which][at[at >= 0]] -= both.data[some][at >= 0]
    return np.asarray(np.rint(found * 1e6) / 1e6)


def _seen(counts: UnitCounts, part: UnitPart, inverse: np.ndarray) -> np.ndarray:
    """The same with names corrected, for the blocks of a part: f64 [blocks of the part, p]."""
    n, many, era = counts.n, len(part.blocks), counts.era[part.units]
    weight = counts.weight[part.units]
    missing = _not_seen(counts, part, inverse)
    missing *= counts.alive[era]
    # Where i has one name, that name is not also j's: (1 - W[i, i] - W[i, j]) instead of the product of both factors.
    once = (counts.member_names[part.members] == 1) & ~counts.member_person[part.members]
    at, who = part.at[once], counts.member_who[part.members][once]
    block = np.repeat(np.arange(many), np.diff(part.starts))
    single = scipy.sparse.csr_matrix((weight[at], (block[at] * n + who, at)), (many * n, len(part.units)))
    of_one, chance = single @ missing, inverse * inverse.diagonal()[:, None]
    first = n * np.arange(many)[:, None]
    found = of_one[first + counts.a, counts.b] * chance[counts.a, counts.b]
    found += of_one[first + counts.b, counts.a] * chance[counts.b, counts.a]
    for which in range(many):
        units = slice(part.starts[which], part.starts[which + 1])
        eras, here = np.unique(era[units], return_inverse=True)
        lives = counts.alive[eras].astype(float)
        both = _product(lives, np.bincount(here, weight[units], len(eras))[:, None])
        found[which] += (both - _product(missing[units], weight[units, None]))[counts.a, counts.b]
    return np.asarray(found)


def _not_seen(counts: UnitCounts, part: UnitPart, inverse: np.ndarray) -> np.ndarray:
    """Whether nobody of each unit is i, in expectation: f64 [units of the part, n]."""
    at, who = part.at, counts.member_who[part.members]
    others = np.log1p(-np.minimum(inverse, 0.5))
    np.fill_diagonal(others, 0.0)
    names = counts.member_names[part.members].astype(float)
    missing = np.exp(
        np.clip(scipy.sparse.csr_matrix((names, (at, who)), (len(part.units), counts.n)) @ others, -2.0, 2.0)
    )
    own = np.clip(1 - inverse.diagonal(), -MOST_FACTOR, 1.0)[who] ** counts.member_names[part.members]
    missing[at, who] *= np.where(counts.member_person[part.members], 0.0, own)
    return np.asarray(missing)


def _there(own: np.ndarray, names: np.ndarray) -> np.ndarray:
    """Whether an individual was at an occasion, in expectation, by so many names of it; 1 where a person named it."""
    factor = np.where(names > 1, np.clip(1 - own, -MOST_FACTOR, 1.0), 1 - own)
    return np.asarray(np.where(names == 0, 1.0, 1 - factor**names))


def _met_chance(counts: UnitCounts, inverse: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether a pair that met in a unit truly did, in expectation: f64 [q]; and what each pair has of occasions on
    which one of both has no name, since names of others stand for it: f64 [p], mostly below 0 (mistaken meetings)."""
    if not len(counts.met_pair):
        return np.zeros(0), np.zeros(len(counts.a))
    pair = counts.met_pair[counts.at]
    there = np.stack([
        _there(inverse.diagonal()[who[pair]], names)
        for who, names in zip((counts.a, counts.b), counts.at_names, strict=True)
    ])  # fmt: skip
    others = _by_others(counts, inverse, pair)
    not_met = 1 - np.prod(there + others - there * others, axis=0)
    starts = np.searchsorted(counts.at, np.arange(len(counts.met_pair)))
    several = np.diff(np.append(starts, len(counts.at)))[counts.at] > 1
    not_met = np.where(several, np.clip(not_met, -MOST_FACTOR, 1.0), not_met)
    counted = there[0] * others[1] + there[1] * others[0] + others[0] * others[1]
    mistaken = _mistaken(counts, inverse, there)
    mistaken -= np.bincount(pair, counted * counts.met_weight[counts.at], len(counts.a))
    return 1 - np.multiply.reduceat(not_met, starts), mistaken


def _by_others(counts: UnitCounts, inverse: np.ndarray, pair: np.ndarray) -> np.ndarray:
    """Whether names of others at an occasion stand for a, for b, in expectation: f64 [2, o]."""
    others = inverse - np.diag(inverse.diagonal())
    a, b = counts.a[pair], counts.b[pair]
    code = np.concatenate([counts.at_occasion * counts.n + a, counts.at_occasion * counts.n + b])
    code, first = np.unique(code, return_index=True)
    names = counts.at_names.ravel()[first].astype(float)
    many = int(counts.at_occasion.max()) + 1
    matrix = scipy.sparse.csr_matrix((names, (code // counts.n, code % counts.n)), (many, counts.n))
    found = np.zeros((2, len(pair)))
    order = np.argsort(counts.at_occasion, kind="stable")
    for start in range(0, len(order), _AT_A_TIME):
        rows = order[start : start + _AT_A_TIME]
        there, at = np.unique(counts.at_occasion[rows], return_inverse=True)
        stand_for = matrix[there] @ others
        found[0, rows] = stand_for[at, a[rows]] - counts.at_names[1, rows] * others[b[rows], a[rows]]
        found[1, rows] = stand_for[at, b[rows]] - counts.at_names[0, rows] * others[a[rows], b[rows]]
    return found


def _mistaken(counts: UnitCounts, inverse: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Meetings of each pair by names of which at least one is another's, on all occasions: f64 [p], linear in names."""
    n, own = counts.n, inverse.diagonal()
    a, b = (who[counts.met_pair[counts.at]] for who in (counts.a, counts.b))
    weight = counts.met_weight[counts.at]
    names_a, names_b = counts.at_names
    beside = np.bincount(a * n + b, weight * there[0] * names_b, n * n)
    beside += np.bincount(b * n + a, weight * there[1] * names_a, n * n)
    both = np.bincount(a * n + b, weight * names_a * names_b, n * n).reshape(n, n)
    others = inverse - np.diag(own)
    one = beside.reshape(n, n) @ others
    k = counts.alone_names
    factor = np.clip(1 - own[counts.alone_who], -MOST_FACTOR, 1.0)
    more = k * np.where(counts.alone_sure, 1.0, 1 - factor ** np.maximum(k - 1, 0))
    alone = np.bincount(counts.alone_who, counts.alone_weight * more, n)[:, None] * others
    twice = np.bincount(counts.alone_who, counts.alone_weight * k * (k - 1), n)
    two = others.T @ (both + both.T + np.diag(twice)) @ others
    return np.asarray((one + one.T + two + alone + alone.T)[counts.a, counts.b])


def _in_met_units(counts: UnitCounts, inverse: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Share of the mistaken meetings of each pair that fall into units in which it truly met: f64 [p]. There they
    change nothing. By how often names of others stand for the one in units with the other, beside occasions with
    both."""
    p = len(counts.a)
    if len(counts.met_pair) == len(counts.at):  # one occasion a unit
        return np.zeros(p)
    others = inverse - np.diag(inverse.diagonal())
    taken = np.stack([np.bincount(counts.at, np.maximum(names, 1), len(counts.met_pair)) for names in counts.at_names])
    inside, everywhere, size = np.zeros(p), np.zeros(p), np.zeros(p)
    for part in counts.parts:
        at, who = part.at, counts.member_who[part.members]
        shape, weight = (len(part.units), counts.n), counts.weight[part.units]
        names = counts.member_names[part.members].astype(float)
        stand_for = scipy.sparse.csr_matrix((names, (at, who)), shape) @ others
        present = scipy.sparse.csr_matrix((np.maximum(names, 1), (at, who)), shape)
        here = present.toarray()
        total = present.multiply(weight[:, None]).T @ stand_for
        whole = total[counts.a, counts.b] + total[counts.b, counts.a]
        everywhere += whole
        size += np.abs(whole)
        rows, unit = part.met, part.met_at
        pair, times = counts.met_pair[rows], counts.met_weight[rows]
        a, b = counts.a[pair], counts.b[pair]
        beside = stand_for[unit, b], stand_for[unit, a]
        left = [np.maximum(here[unit, one] - taken[side, rows], 0) for side, one in enumerate((a, b))]
        inside += np.bincount(pair, times * chance[rows] * (left[0] * beside[0] + left[1] * beside[1]), p)
        everywhere -= np.bincount(pair, times * (taken[0, rows] * beside[0] + taken[1, rows] * beside[1]), p)
    there = everywhere < -1e-9 * size - 1e-12  # of what rounding leaves of nothing, no share is taken
    return np.asarray(np.clip(np.divide(inside, everywhere, out=np.zeros(p), where=there), 0, 1))


def _product(columns: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return np.asarray((columns * weight).T @ columns)


def _empty(counts: UnitCounts) -> np.ndarray:
    return np.zeros((0, len(counts.a)))
