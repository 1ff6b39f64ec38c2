"""What changed: every camera's signals folded in the order of days, and the changes that have one cause told as one.

Belongs here: streams of blocks, which differences matter, one change for one cause. Does not belong here: the detector
(`statistics.detectors`), blocks (`blocks`), alerts (`alerts`).

Everything is folded anew each time: an archive of decades comes in any order, and a week costs a third of a
millisecond. Only rows whose p-value or evidence has changed are written.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from typing import Any

import numpy as np
import sqlalchemy as sa

from chimp_assets.arrays import F64Array, I64Array
from chimp_assets.database import schema as t
from chimp_assets.database.footage.cameras import place_of_video
from chimp_assets.home import Home
from chimp_assets.monitoring.block_signals import FAMILIES, PICTURES, VECTORS, read_sums
from chimp_assets.statistics.detectors import (
    DAYS,
    LEAST_DAYS,
    FoldedStream,
    alarm_threshold,
    fold_numbers,
    fold_vectors,
)

LEAST: dict[str, tuple[float, float]] = {
    "brightness": (2.0, 0.0),
    "contrast": (1.0, 0.02),
    "sharpness": (0.0, 0.05),
    "colourfulness": (1.0, 0.02),
    "infrared": (0.05, 0.0),
    "background": (0.03, 0.0),
    "detections": (1.0, 0.1),
    "track_length": (0.1, 0.1),
    "unknown_rate": (0.03, 0.0),
    "probability": (0.02, 0.0),
    "entropy": (0.03, 0.05),
}
"""Standard deviation between days below which no change matters: a number, and a share of the median."""
ONE_CAUSE = timedelta(days=14)
"""Signals of one camera that change within so many days have one cause."""
VIDEOS = 8
_DATA = frozenset((*FAMILIES[PICTURES], *FAMILIES[VECTORS], "background"))
_WRITTEN_AT_ONCE = 5_000


@dataclass(frozen=True)
class Change:
    """A change of one camera. kind: data or prediction; since, noticed, until: days, until outside, None while it
    lasts.

    size: standard deviations between days, negative for less; evidence: of the detector when it was noticed. detail:
    before, after (means of the signal; not of vectors), light, model_id (0: none), also (other signals that changed
    with it: signal, light, since, until, size), cameras (that changed so within ONE_CAUSE, this one included), videos
    (up to VIDEOS keys to look at, of its first days).
    """

    kind: str
    signal: str
    camera: str
    since: date
    noticed: date
    until: date | None
    size: float
    evidence: float
    detail: dict[str, Any]


@dataclass(frozen=True)
class _Stream:
    """Blocks of one camera, signal, model and light, in the order of days."""

    camera: str
    signal: str
    model_id: int
    light: str
    block_id: list[int]
    day: I64Array
    n: I64Array
    value: F64Array
    sums: list[bytes]
    p_value: F64Array
    evidence: F64Array


def find_changes(home: Home, today: date) -> list[Change]:
    """All changes of the archive up to `today`, past ones too, in the order in which they would have been noticed.

    Writes p_value and evidence of the blocks. The same blocks give the same changes. The promise: in all streams
    together monitoring.false_alarms_per_year (statistics.detectors). Memory: one stream.
    """
    settings = home.settings.monitoring
    weeks = max(8, settings.reference_days // DAYS)
    with home.database.read() as conn:
        threshold = alarm_threshold(_n_streams(conn, today), settings.false_alarms_per_year)
    found: list[Change] = []
    new: list[dict[str, Any]] = []
    with home.database.read() as conn:
        for stream in _streams(conn, today):
            folded = _folded(stream, threshold, weeks)
            new += _different(stream, folded)
            found += _changes(stream, folded)
    _write(home, new)
    told = _one_for_one_cause(found)
    with home.database.read() as conn:
        return [replace(one, detail={**one.detail, "videos": _videos(conn, one)}) for one in told]


def _n_streams(conn: sa.Connection, today: date) -> int:
    d = t.drift_block.c
    each = (
        sa.select(sa.func.count().label("n"))
        .where(d.n > 0, d.day <= today)
        .group_by(d.camera, d.signal, d.model_id, d.light)
        .having(sa.func.count() > LEAST_DAYS)
        .subquery()
    )
    return max(1, conn.scalar(sa.select(sa.func.count()).select_from(each)) or 0)


def _streams(conn: sa.Connection, today: date) -> Iterator[_Stream]:
    d = t.drift_block.c
    query = (
        sa.select(
            d.camera, d.signal, d.model_id, d.light, d.block_id, d.day, d.n, d.value, d.sums, d.p_value, d.evidence
        )
        .where(d.n > 0, d.day <= today, sa.or_(d.value.is_not(None), d.sums.is_not(None)))
        .order_by(d.camera, d.signal, d.model_id, d.light, d.day)
    )
    held: list[Any] = []
    for rows in conn.execute(query, execution_options={"yield_per": 5_000}).partitions():
        for row in rows:
            if held and held[-1][:4] != row[:4]:
                yield _stream(held)
                held = []
            held.append(row)
    if held:
        yield _stream(held)


def _stream(rows: list[Any]) -> _Stream:
    columns = list(zip(*rows, strict=True))
    value, p_value, evidence = (np.array(columns[i], np.float64) for i in (7, 9, 10))  # None becomes nan
    camera, signal, model_id, light = rows[0][:4]
    day = np.array([one.toordinal() - 1 for one in columns[5]], np.int64)
    sums = [one for one in columns[8] if one is not None]
    n = np.array(columns[6], np.int64)
    return _Stream(camera, signal, model_id, light, list(columns[4]), day, n, value, sums, p_value, evidence)


def _folded(stream: _Stream, threshold: float, weeks: int) -> FoldedStream:
    if stream.sums:
        return fold_vectors(stream.day, read_sums(stream.sums, stream.n), stream.n, threshold, weeks)
    absolute, share = LEAST.get(stream.signal, (0.0, 0.05))
    least = max(absolute, share * abs(float(np.median(stream.value))), 1e-9)
    return fold_numbers(stream.day, stream.value, threshold, least, weeks)


def _different(stream: _Stream, folded: FoldedStream) -> list[dict[str, Any]]:
    """Rows whose p-value or evidence is not what is stored."""
    is_new = ~(
        np.isclose(stream.p_value, folded.p_value, rtol=1e-9, atol=0, equal_nan=True)
        & np.isclose(stream.evidence, folded.evidence, rtol=1e-9, atol=0, equal_nan=True)
    )
    return [
        {"b_id": stream.block_id[i], "b_p": _number(folded.p_value[i]), "b_evidence": _number(folded.evidence[i])}
        for i in np.flatnonzero(is_new)
    ]


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _write(home: Home, rows: list[dict[str, Any]]) -> None:
    statement = (
        sa.update(t.drift_block)
        .where(t.drift_block.c.block_id == sa.bindparam("b_id"))
        .values(p_value=sa.bindparam("b_p"), evidence=sa.bindparam("b_evidence"))
    )
    for start in range(0, len(rows), _WRITTEN_AT_ONCE):
        home.database.transact(partial(_execute_many, statement=statement, rows=rows[start : start + _WRITTEN_AT_ONCE]))


def _execute_many(conn: sa.Connection, statement: sa.Update, rows: list[dict[str, Any]]) -> None:
    conn.execute(statement, rows)


def _changes(stream: _Stream, folded: FoldedStream) -> Iterator[Change]:
    for one in folded.changes:
        detail: dict[str, Any] = {"light": stream.light, "model_id": stream.model_id}
        if not stream.sums:
            inside = (stream.day >= one.since) & (stream.day <= one.noticed)
            before = stream.value[stream.day < one.since][-30:]
            detail |= {"before": round(float(before.mean()), 4), "after": round(float(stream.value[inside].mean()), 4)}
        yield Change(
            "data" if stream.signal in _DATA else "prediction",
            stream.signal,
            stream.camera,
            date.fromordinal(one.since + 1),
            date.fromordinal(one.noticed + 1),
            None if one.until is None else date.fromordinal(one.until + 1),
            round(one.size, 3),
            one.evidence,
            detail,
        )


def _one_for_one_cause(found: list[Change]) -> list[Change]:
    """Changes of one camera that began within ONE_CAUSE, told as the one that was noticed first.

    Of those noticed on one day the strongest. Later ones join it and do not change its name: a person who was told of
    it is told once.
    """
    groups: list[list[Change]] = []
    for one in sorted(found, key=lambda one: (one.noticed, -one.evidence, one.camera, one.signal)):
        for group in groups:
            if group[0].camera == one.camera and abs(one.since - group[0].since) <= ONE_CAUSE:
                group.append(one)
                break
        else:
            groups.append([one])
    told = []
    for first, *others in groups:
        also = [
            {
                "signal": one.signal,
                "light": one.detail["light"],
                "since": one.since.isoformat(),
                "until": one.until and one.until.isoformat(),
                "size": one.size,
            }
            for one in others
        ]
        told.append(replace(first, detail={**first.detail, "also": also}))
    for one in told:
        near = {
            other.camera for other in told
            if other.signal == one.signal and abs(other.since - one.since) <= ONE_CAUSE
        }  # fmt: skip
        one.detail["cameras"] = len(near)
    return told


def _videos(conn: sa.Connection, change: Change) -> list[int]:
    """Videos of the first days of a change."""
    v = t.video.c
    whose = place_of_video() == change.camera
    query = (
        sa.select(v.video_id)
        .where(
            whose, v.recorded_on >= change.since, v.recorded_on <= change.noticed, v.state.in_(("decoded", "tracked"))
        )
        .order_by(v.recorded_on, v.video_id)
        .limit(VIDEOS)
    )
    return list(conn.scalars(query))
