"""Association indices of all pairs, with the errors of names carried through.

Belongs here: counting a scope, estimates and changes of pairs. Does not belong here: the method
(`statistics.association`), drawing and exports (`network`, `network_export`), presets of periods.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.insight.association.errors import NameErrors
from chimp_assets.insight.association.families.lives import LeftOutDependants, left_out, lives
from chimp_assets.insight.association.filmed_tracks import FilmedTracks, NamedTracks, filmed_tracks, named_tracks
from chimp_assets.insight.association.meetings import meetings
from chimp_assets.insight.association.presence import presence
from chimp_assets.insight.association.scope import Scope
from chimp_assets.insight.association.together import TOO_FEW
from chimp_assets.insight.living.names import NameColumns
from chimp_assets.statistics.association import intervals
from chimp_assets.statistics.association.columns import BLOCK_DAYS, Appearances, unit_counts
from chimp_assets.statistics.association.intervals import RESAMPLES, Sampled, audit_draws, power
from chimp_assets.statistics.association.misclassification import AuditedNames
from chimp_assets.statistics.association.pairs import of_pairs
from chimp_assets.statistics.association.unit_counts import UnitCounts

__all__ = ["Counted", "EdgeChange", "EdgeEstimate", "Effort", "compare", "counted", "estimate", "power"]

AuditDraws = Callable[[AuditedNames], np.ndarray]
"""`audit_draws`, or one that remembers what it made."""

FEWEST_BLOCKS = 3
"""Blocks of days with either of two, below which a period says nothing about the spread."""


@dataclass(frozen=True)
class Effort:
    """What was filmed: days on which any camera recorded, days of each camera summed, hours of video, clips."""

    days: int
    camera_days: int
    hours: float
    clips: int


@dataclass(frozen=True)
class Counted:
    """What was sampled. keys: individuals with a name on any day, ascending; counts: columns by unit, block of days and
    pair (rows of individuals are places in keys); heads: models that gave names; untimed: tracks left out since the
    unit needs a time of day; tracks: number of tracks of each individual; days: on which it was seen alive; dependants:
    what was left out of them, None where they count."""

    scope: Scope
    keys: list[int]
    counts: UnitCounts
    heads: list[int]
    untimed: int
    tracks: np.ndarray
    days: np.ndarray
    effort: Effort
    dependants: LeftOutDependants | None = None


@dataclass(frozen=True)
class EdgeEstimate:
    """Two individuals, a < b by key. x of n: sampling units together, of those in which at least one was seen while
    both were alive and under study, by the names as they are; sri: x / n.

    corrected, low, high: the index with errors of names taken out, and its 95 % interval over blocks of days and
    answers of the audit; None where the audit says too little. is_real: whether low is above 0. beta_low, beta_high: of
    the Beta posterior of x of n (BISoN's binary model). verified: units together by names of persons alone."""

    a: int
    b: int
    x: int
    n: int
    sri: float
    corrected: float | None
    low: float | None
    high: float | None
    is_real: bool | None
    beta_low: float
    beta_high: float
    verified: int = 0

    @property
    def too_few(self) -> bool:
        """Whether there are too few units together for a meaningful index."""
        return self.x < TOO_FEW


@dataclass(frozen=True)
class EdgeChange:
    """What changed between two periods. before, after: corrected indices; low, high: 95 % interval of the difference
    (after less before); changed: whether 0 lies outside of it; power: chance that half the tie before would have been
    found with these days; too_few: too little was sampled to say anything. x and n as in EdgeEstimate, of each period.
    """

    a: int
    b: int
    before: float
    after: float
    difference: float
    low: float
    high: float
    changed: bool
    power: float
    too_few: bool
    x_before: int
    n_before: int
    x_after: int
    n_after: int


def counted(
    conn: sa.Connection, scope: Scope, filmed: FilmedTracks | None = None, names: NameColumns | None = None
) -> Counted:
    """Counts the pairs of a scope: a few statements, and one pass over the tracks that have a name. filmed, names: read
    if None."""
    filmed = filmed or filmed_tracks(conn)
    keys, seen, heads = _everybody(conn, scope, filmed, names)
    where = presence(scope.unit, seen, filmed)
    alive = lives(conn, keys, scope.dependants)
    row = where.row
    counts = unit_counts(
        alive,
        Appearances(seen.who[row], where.unit, seen.day[row], seen.person[row], where.weight),
        meetings(seen, scope, where),
        BLOCK_DAYS,
    )
    lived = (alive[seen.who, 0] <= seen.day) & (seen.day <= alive[seen.who, 1])
    last_day = int(seen.day.max(initial=0)) + 1
    days = np.unique(seen.who[lived] * last_day + seen.day[lived]) // last_day
    of = seen.who if scope.dependants else seen.who[lived]
    return Counted(
        scope, keys, counts, heads, where.untimed, np.bincount(of, minlength=len(keys)),
        np.bincount(days, minlength=len(keys)), effort_of(conn, scope),
        None if scope.dependants else left_out(conn, keys, seen.who, seen.day),
    )  # fmt: skip


def _everybody(
    conn: sa.Connection, scope: Scope, filmed: FilmedTracks, names: NameColumns | None
) -> tuple[list[int], NamedTracks, list[int]]:
    """`named_tracks` of these days, with the keys of individuals named on any day: periods can be compared, and it is
    known who could have been seen."""
    keys, seen, heads = named_tracks(conn, replace(scope, since=None, until=None, months=()), filmed, names)
    if scope.since is None and scope.until is None and not scope.months:
        return keys, seen, heads
    here = scope.holds(seen.day)
    return keys, NamedTracks(*(getattr(seen, field.name)[here] for field in fields(seen))), heads


@dataclass(frozen=True)
class SampledPairs:
    """Counts that `estimate` needs, without what depends on which pairs are asked for. corrected: whether errors of
    names are taken out, or there are none."""

    found: Counted
    sampled: Sampled
    corrected: bool


def sampled_pairs(found: Counted, errors: NameErrors, draws: AuditDraws = audit_draws) -> SampledPairs:
    """Every pair that was together at least once. draws: makes or remembers the inverses."""
    names = _names(found, errors)
    inverses = None if names is None else draws(names)
    return SampledPairs(
        found, intervals.sampled(_wide(found.counts, names), inverses), names is not None or found.counts.by_persons
    )


def estimate(
    made: SampledPairs, rows: np.ndarray | None = None, *, resamples: int = RESAMPLES, seed: int = 0
) -> list[EdgeEstimate]:
    """Pairs that were together at least once, with intervals. rows: which, as places in `counts.a`; None: all."""
    found, corrected = made.found, made.corrected
    rows = np.arange(len(found.counts.a)) if rows is None else rows
    values = intervals.estimates(made.sampled, rows, resamples, seed)
    columns = zip(
        found.counts.a[rows].tolist(), found.counts.b[rows].tolist(), np.rint(values.x).tolist(),
        np.rint(values.n).tolist(), values.sri.tolist(), values.value.tolist(), values.low.tolist(),
        values.high.tolist(), values.is_real.tolist(), values.beta_low.tolist(), values.beta_high.tolist(),
        np.rint(found.counts.verified()[rows]).tolist(), strict=True,
    )  # fmt: skip
    return [
        EdgeEstimate(
            found.keys[a], found.keys[b], int(x), int(n), sri, value if corrected else None,
            low if corrected else None, high if corrected else None, is_real if corrected else None,
            beta_low, beta_high, int(verified),
        )
        for a, b, x, n, sri, value, low, high, is_real, beta_low, beta_high, verified in columns
    ]  # fmt: skip


@dataclass(frozen=True)
class TwoPeriods:
    """Two counted periods beside each other. keys: individuals of both, ascending; a, b: i64 [p], places in keys of
    every pair that was together at least once in one of them; old, new: what `compare` needs; days: i64 [2, n], on
    which each was seen in each."""

    keys: np.ndarray
    a: np.ndarray
    b: np.ndarray
    old: Sampled
    new: Sampled
    days: np.ndarray

    def of(self, who: int | None) -> np.ndarray:
        """Rows of the pairs of one individual; of all without one."""
        if who is None:
            return np.arange(len(self.a))
        return np.flatnonzero((self.keys[self.a] == who) | (self.keys[self.b] == who))


def two_periods(before: Counted, after: Counted, errors: NameErrors, draws: AuditDraws = audit_draws) -> TwoPeriods:
    """Both periods, pair by pair. Where the audit says too little, names count as they are (`errors.says_enough`
    tells)."""
    keys = sorted(set(before.keys) | set(after.keys))
    place = {key: n for n, key in enumerate(keys)}
    rows = [np.array([place[key] for key in one.keys], np.int64) for one in (before, after)]
    codes = [row[one.counts.a] * len(keys) + row[one.counts.b] for row, one in zip(rows, (before, after), strict=True)]
    code = np.unique(np.concatenate(codes))
    a, b = (code // len(keys), code % len(keys)) if keys else (code, code)
    given = errors.of(keys) if errors.model_id is not None and errors.says_enough else None
    size = len(keys) if given is None else given.n
    inverses = None if given is None else draws(given)
    old, new = (
        intervals.sampled(of_pairs(one.counts, row, size, a, b), inverses)
        for row, one in zip(rows, (before, after), strict=True)
    )
    days = np.zeros((2, len(keys)), np.int64)
    for period, row, one in zip(days, rows, (before, after), strict=True):
        period[row] = one.days
    return TwoPeriods(np.array(keys, np.int64), a, b, old, new, days)


def compare(
    both: TwoPeriods, rows: np.ndarray | None = None, *, resamples: int = RESAMPLES, seed: int = 0
) -> list[EdgeChange]:
    """What changed, of pairs that were together at least once in one of two periods. rows: which; None: all."""
    rows = both.of(None) if rows is None else rows
    found = intervals.changes(both.old, both.new, rows, resamples, seed)
    was, now = both.old, both.new
    few = (was.n < TOO_FEW) | (now.n < TOO_FEW) | (was.x + now.x < TOO_FEW)
    few |= (was.blocks < FEWEST_BLOCKS) | (now.blocks < FEWEST_BLOCKS)
    few = few[rows]
    changed = ((found.low > 0) | (found.high < 0)) & ~few
    columns = zip(
        both.keys[both.a[rows]].tolist(), both.keys[both.b[rows]].tolist(), found.before.tolist(), found.after.tolist(),
        found.difference.tolist(), found.low.tolist(), found.high.tolist(), changed.tolist(), found.power.tolist(),
        few.tolist(), *(np.rint(one[rows]).astype(int).tolist() for one in (was.x, was.n, now.x, now.n)), strict=True,
    )  # fmt: skip
    return [EdgeChange(*numbers) for numbers in columns]


def _names(found: Counted, errors: NameErrors) -> AuditedNames | None:
    if found.counts.by_persons or errors.model_id is None or not errors.says_enough:
        return None
    return errors.of(found.keys)


def _wide(counts: UnitCounts, names: AuditedNames | None) -> UnitCounts:
    """The counts with room for individuals that only the audit knows."""
    if names is None or names.n == counts.n:
        return counts
    return of_pairs(counts, np.arange(counts.n), names.n, counts.a, counts.b)


def effort_of(conn: sa.Connection, scope: Scope) -> Effort:
    """What was filmed on the days of a scope."""
    v = t.video.c
    statement = sa.select(
        v.recorded_on, v.site, v.camera, sa.func.count().label("clips"),
        sa.func.sum(sa.func.coalesce(v.duration_s, 0.0)).label("seconds"),
    ).where(v.recorded_on.is_not(None), v.state != "retired").group_by(v.recorded_on, v.site, v.camera)  # fmt: skip
    if scope.since is not None:
        statement = statement.where(v.recorded_on >= scope.since)
    if scope.until is not None:
        statement = statement.where(v.recorded_on <= scope.until)
    rows = conn.execute(statement).all()
    if scope.months:
        rows = [row for row in rows if row.recorded_on.month in scope.months]
    return Effort(
        len({row.recorded_on for row in rows}), len(rows), float(sum(row.seconds for row in rows)) / 3600,
        sum(row.clips for row in rows),
    )  # fmt: skip
