"""From named tracks and their meetings to `UnitCounts`.

Belongs here: blocks of days, who was alive when, units that are alike as one row. Does not belong here: what a unit or
a meeting is (`insight.association`), sums and estimates (`unit_counts`, `intervals`)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chimp_assets.arrays import located
from chimp_assets.statistics.association.unit_counts import UnitCounts

BLOCK_DAYS = 4
"""Days that resemble each other: at a correlation of 0.3 from day to day, blocks of four are nearly independent."""
MOST_BLOCKS = 250
"""More would cost memory and say nothing more about the spread: blocks become longer instead."""


@dataclass(frozen=True)
class Appearances:
    """Individuals in sampling units, a row for each track in each unit: who, unit, day i64 [m], person bool [m], weight
    f64 [m] (of the unit)."""

    who: np.ndarray
    unit: np.ndarray
    day: np.ndarray
    person: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True)
class Meetings:
    """Two tracks that were together, a row each. track, who, person: [2, k]; unit, day, occasion: i64 [k] (an occasion
    is one clip, or one segment of it)."""

    track: np.ndarray
    who: np.ndarray
    person: np.ndarray
    unit: np.ndarray
    day: np.ndarray
    occasion: np.ndarray


def unit_counts(alive: np.ndarray, seen: Appearances, met: Meetings, block_days: int = BLOCK_DAYS) -> UnitCounts:
    """Counts by unit. alive: i64 [n, 2], first and last day of each. Appearances and meetings of individuals that were
    not alive or not under study that day do not count, nor do meetings in a unit in which neither was seen."""
    n = len(alive)
    lives = (alive[seen.who, 0] <= seen.day) & (seen.day <= alive[seen.who, 1])
    units, first = np.unique(seen.unit, return_index=True)
    day, weight = seen.day[first], seen.weight[first]
    block, blocks = _blocks(day, block_days)
    era, of_era = _eras(alive, day)
    code = np.searchsorted(units, seen.unit[lives]) * n + seen.who[lives]
    member, at = np.unique(code, return_inverse=True)
    by_person = np.bincount(at, seen.person[lives], len(member)) > 0
    names = np.bincount(at, ~seen.person[lives], len(member)).astype(np.int64)
    pairs, columns = _met(alive, units, block, weight, member, met)
    kept, of_row, summed = _alike(block, era, weight, member, by_person, names, n)
    inside = kept[member // n]
    return UnitCounts(
        n, blocks, block[kept], summed, era[kept], of_era,
        of_row[member // n][inside], (member % n)[inside], by_person[inside], names[inside],
        pairs // n, pairs % n, columns[0], of_row[columns[1]], *columns[2:],
    )  # fmt: skip


def _blocks(day: np.ndarray, block_days: int) -> tuple[np.ndarray, int]:
    """Block of each day, counting only blocks in which something was filmed; their number."""
    if not len(day):
        return np.zeros(0, np.int64), 0
    length = max(block_days, -(-int(day.max() - day.min() + 1) // MOST_BLOCKS))
    names, block = np.unique((day - day.min()) // length, return_inverse=True)
    return block, len(names)


def _eras(alive: np.ndarray, day: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Era of each day, between two changes of who is alive; who is, bool [eras, n]."""
    changes = np.unique(np.concatenate([alive[:, 0], alive[:, 1] + 1]))
    if len(day):
        changes = changes[(changes > day.min()) & (changes <= day.max())]
    starts = np.concatenate([[day.min() if len(day) else 0], changes])
    lives = (alive[:, 0] <= starts[:, None]) & (starts[:, None] <= alive[:, 1])
    return np.searchsorted(changes, day, side="right"), lives


def _alike(
    block: np.ndarray, era: np.ndarray, weight: np.ndarray, member: np.ndarray, person: np.ndarray,
    names: np.ndarray, n: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Units with the same members in one block and era as one row: which units stand for theirs, bool [u]; the row of
    each unit; the summed weight of each row."""
    many = len(block)
    rng = np.random.default_rng(0)
    mark = rng.integers(1, 2**63, (2, n), dtype=np.uint64)
    signature = np.zeros(many, np.uint64)
    with np.errstate(over="ignore"):
        of = mark[0][member % n] * (names.astype(np.uint64) + np.uint64(1)) + mark[1][member % n] * person
        np.add.at(signature, member // n, of)
        signature = signature * np.uint64(1_000_003) + block.astype(np.uint64) * np.uint64(8191) + era.astype(np.uint64)
    _, first, row = np.unique(signature, return_index=True, return_inverse=True)
    kept = np.zeros(many, bool)
    kept[first] = True
    rank = np.cumsum(kept) - 1  # rows in the order of the units that stand for them
    row = rank[first[row]]
    return kept, row, np.bincount(row, weight, len(first))


def _met(
    alive: np.ndarray, units: np.ndarray, block: np.ndarray, weight: np.ndarray, member: np.ndarray, met: Meetings
) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Codes a * n + b of the pairs that met; the columns of `UnitCounts` from met_pair on."""
    n, many = len(alive), max(1, len(units))
    lives = np.ones(len(met.unit), bool)
    for whom in met.who:
        lives &= (alive[whom, 0] <= met.day) & (met.day <= alive[whom, 1])
    at = np.clip(np.searchsorted(units, met.unit), 0, many - 1)
    lives &= (units[at] == met.unit) if len(units) else False
    at, occasion = at[lives], met.occasion[lives]
    turned = (met.who[0] > met.who[1])[lives]
    who, track, person = (np.where(turned, one[::-1, lives], one[:, lives]) for one in (met.who, met.track, met.person))
    twice = who[0] == who[1]
    alone = _alone(who[0], at, occasion, track, person, twice)
    seen = np.stack([located(member, at * n + one)[0] for one in who])
    kept = ~twice & seen.any(0)
    (a, b), seen, at, occasion = who[:, kept], seen[:, kept], at[kept], occasion[kept]
    track, person = track[:, kept], person[:, kept]
    first, row = _groups(a, b, at, occasion)
    names = np.stack([_names(row, len(first), track[side], person[side]) for side in (0, 1)])
    pair, met_pair = np.unique(a[first] * n + b[first], return_inverse=True)
    code, of_row = np.unique(met_pair * many + at[first], return_inverse=True)
    order = np.argsort(of_row, kind="stable")
    was_seen = np.zeros((2, len(code)), bool)
    was_seen[:, of_row] = seen[:, first]
    sure = np.bincount(of_row, (names == 0).all(0), len(code)) > 0
    alone_unit, alone_columns = alone[0], alone[1:]
    return pair, (
        code // many, code % many, block[code % many], weight[code % many], was_seen, sure, of_row[order],
        np.unique(occasion[first][order], return_inverse=True)[1], names[:, order],
        *alone_columns, weight[alone_unit],
    )  # fmt: skip


def _alone(
    who: np.ndarray, at: np.ndarray, occasion: np.ndarray, track: np.ndarray, person: np.ndarray, twice: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Individuals that several tracks of an occasion name: unit, who, tracks by the model, whether one by a person."""
    who, at, occasion = who[twice], at[twice], occasion[twice]
    first, row = _groups(who, at, occasion)
    named = ~person[:, twice]
    found = _once(np.tile(row, 2)[named.ravel()], track[:, twice].ravel()[named.ravel()])
    sure = np.bincount(row, (~named).any(0), len(first)) > 0
    return at[first], who[first], np.bincount(found, minlength=len(first)), sure


def _names(row: np.ndarray, many: int, track: np.ndarray, person: np.ndarray) -> np.ndarray:
    """Tracks by the model of each group of meetings, 0 where a person named one of them."""
    names = np.bincount(_once(row[~person], track[~person]), minlength=many)
    names[row[person]] = 0
    return names


def _once(row: np.ndarray, track: np.ndarray) -> np.ndarray:
    """The rows of every two (row, track) that differ, ascending."""
    stride = int(track.max(initial=0)) + 1
    code = np.sort(row * stride + track)
    return np.asarray(code[np.diff(code, prepend=-1) > 0] // stride)


def _groups(*columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First row of each group of rows that are alike, in ascending order of the columns; the group of each row."""
    order = np.lexsort(columns[::-1])
    key = np.stack(columns)[:, order]
    new = np.ones(len(order), bool)
    new[1:] = (key[:, 1:] != key[:, :-1]).any(0)
    row = np.empty(len(order), np.int64)
    row[order] = np.cumsum(new) - 1
    return order[new], row
