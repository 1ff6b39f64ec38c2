"""The rows of `drift_block`: what each camera's days looked like, one row for each signal and light.

Belongs here: which days are computed anew, and writing them. Does not belong here: how a day's numbers come about
(`block_signals`), what changed between days (`changes`).

A row carries the newest moment of what it was computed from, so that it is out of date exactly where that has moved: a
run that is killed and begun again writes the same rows, in whatever order an archive comes. Of a camera-day without
anything there is a row with n = 0, which says that it was looked at.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.database.connection.parameters import in_parts
from chimp_assets.database.footage.cameras import place_of_video
from chimp_assets.home import Home
from chimp_assets.monitoring.block_signals import FAMILIES, MARKS, PICTURES, PREDICTIONS, TRACKS, VECTORS, Block, Day
from chimp_assets.monitoring.block_signals import blocks_of as _blocks_of
from chimp_assets.vision.models.checkpoint import champion

DAYS_AT_ONCE = 2_000
"""Camera-days of one transaction: 4 MB of sums."""


@dataclass
class _Known:
    """A camera-day. stamp: of each family, of what it comes from (now) or came from (before); videos, tracked: how many
    have signals and tracks."""

    stamp: dict[str, datetime] = field(default_factory=dict)
    videos: int = 0
    tracked: int = 0
    bundles: set[int] = field(default_factory=set)


def write_blocks(home: Home) -> int:
    """Bring `drift_block` up to date with videos, tracks, vectors and predictions; returns the rows written.

    Only camera-days of which something changed are computed; rows of models that are no champions any more are deleted,
    as a new embedder or head has a reference of its own. Memory: DAYS_AT_ONCE camera-days and one file of vectors.
    Raises ModelFileError if a file of vectors is missing or damaged.
    """
    db = home.database
    with db.read() as conn:
        embedder, head = champion(conn, "embedder"), champion(conn, "head")
    models = {
        PICTURES: 0,
        TRACKS: 0,
        VECTORS: 0 if embedder is None else embedder.model_id,
        PREDICTIONS: 0 if head is None else head.model_id,
    }
    with db.read() as conn:
        now = _as_it_is(conn, models)
        before = _as_it_was(conn, models)
    _delete_what_is_gone(home, set(before) - set(now), models)
    wanted = {day: stale for day, known in now.items() if (stale := _stale(known, before.get(day, _Known())))}
    written = 0
    for days in _some(sorted(wanted, key=lambda day: (min(now[day].bundles), day))):
        bundles = sorted(set().union(*(now[day].bundles for day in days)))
        blocks = list(_blocks_of(home, models, {day: wanted[day] for day in days}, bundles))
        written += _replace(home, models, {day: wanted[day] for day in days}, now, blocks)
    return written


def _as_it_is(conn: sa.Connection, models: dict[str, int]) -> dict[Day, _Known]:
    """Every camera-day of the archive with the newest moment of what its blocks are computed from."""
    v, b, s = t.video.c, t.bundle.c, t.video_signal.c
    usable = v.state.in_(("decoded", "tracked"))
    embedded, scored = t.embedding_file.c, t.bundle_score.c
    query = (
        sa.select(
            place_of_video().label("camera"), v.recorded_on, v.bundle_id,
            sa.func.sum(sa.case((sa.and_(usable, s.video_id.is_not(None)), 1), else_=0)).label("videos"),
            sa.func.sum(sa.case((v.state == "tracked", 1), else_=0)).label("tracked"),
            sa.func.max(v.updated_at).label("pictures"), sa.func.max(b.changed_at).label("tracks"),
            sa.func.max(embedded.created_at).label("vectors"), sa.func.max(scored.created_at).label("scores"),
        )
        .select_from(t.video)
        .join(t.bundle, b.bundle_id == v.bundle_id)
        .outerjoin(t.video_signal, s.video_id == v.video_id)
        .outerjoin(
            t.embedding_file, sa.and_(embedded.bundle_id == b.bundle_id, embedded.model_id == models[VECTORS])
        )
        .outerjoin(t.bundle_score, sa.and_(scored.bundle_id == b.bundle_id, scored.model_id == models[PREDICTIONS]))
        .where(v.recorded_on.is_not(None))
        .group_by(v.site, v.camera, v.recorded_on, v.bundle_id)
    )  # fmt: skip
    found: dict[Day, _Known] = defaultdict(_Known)
    for row in conn.execute(query):
        known = found[row.camera, row.recorded_on]
        known.bundles.add(row.bundle_id)
        known.videos += row.videos
        known.tracked += row.tracked
        newest = {
            PICTURES: (row.pictures,),
            TRACKS: (row.pictures, row.tracks),
            VECTORS: (row.vectors, row.vectors and row.pictures, row.vectors and row.tracks),
            PREDICTIONS: (row.scores, row.scores and row.pictures, row.scores and row.tracks),
        }
        for family, moments in newest.items():
            there = [moment for moment in (known.stamp.get(family), *moments) if moment is not None]
            if there and (models[family] or family in (PICTURES, TRACKS)):
                known.stamp[family] = max(there)
    return dict(found)


def _as_it_was(conn: sa.Connection, models: dict[str, int]) -> dict[Day, _Known]:
    """What the rows that there are were computed from."""
    d = t.drift_block.c
    found: dict[Day, _Known] = defaultdict(_Known)
    for family, signal in MARKS.items():
        query = (
            sa.select(d.camera, d.day, sa.func.sum(d.n).label("n"), sa.func.min(d.updated_at).label("stamp"))
            .where(d.signal == signal, d.model_id == models[family])
            .group_by(d.camera, d.day)
        )
        for row in conn.execute(query):
            known = found[row.camera, row.day]
            known.stamp[family] = row.stamp
            if family == PICTURES:
                known.videos = row.n
            elif family == TRACKS:
                known.tracked = row.n
    return dict(found)


def _stale(now: _Known, before: _Known) -> set[str]:
    """Families of which a camera-day is to be computed anew."""
    if (now.videos, now.tracked) != (before.videos, before.tracked):
        return set(now.stamp)
    return {family for family, stamp in now.stamp.items() if before.stamp.get(family) != stamp}


def _some(days: Sequence[Day]) -> Iterator[Sequence[Day]]:
    for start in range(0, len(days), DAYS_AT_ONCE):
        yield days[start : start + DAYS_AT_ONCE]


def _delete_what_is_gone(home: Home, gone: set[Day], models: dict[str, int]) -> None:
    """Rows of models that are not used any more and of days on which nothing was filmed after all."""
    d = t.drift_block.c

    def delete(conn: sa.Connection) -> None:
        conn.execute(sa.delete(t.drift_block).where(d.model_id.not_in(sorted({0, *models.values()}))))
        for camera, days in _by_camera(gone):
            for some in in_parts(days):
                conn.execute(sa.delete(t.drift_block).where(d.camera == camera, d.day.in_(some)))

    with home.database.read() as conn:
        old = conn.scalar(
            sa.select(d.block_id).where(d.model_id.not_in(sorted({0, *models.values()}))).order_by(d.block_id).limit(1)
        )
    if gone or old is not None:
        home.database.transact(delete)


def _replace(
    home: Home, models: dict[str, int], wanted: dict[Day, set[str]], now: dict[Day, _Known], blocks: Iterable[Block]
) -> int:
    """Rows of these camera-days and families in place of those that there are, all at once."""
    d = t.drift_block.c
    held = list(blocks)
    columns = {
        "camera": [one.camera for one in held],
        "day": [one.day for one in held],
        "signal": [one.signal for one in held],
        "model_id": [models[one.family] for one in held],
        "n": [one.n for one in held],
        "value": [one.value for one in held],
        "spread": [one.spread for one in held],
        "sums": [one.sums for one in held],
        "light": [one.light for one in held],
        "updated_at": [now[one.camera, one.day].stamp[one.family] for one in held],
    }

    def replace(conn: sa.Connection) -> None:
        for family, signals in FAMILIES.items():
            days = {day for day, stale in wanted.items() if family in stale}
            for camera, some_days in _by_camera(days):
                for some in in_parts(some_days):
                    conn.execute(
                        sa.delete(t.drift_block).where(
                            d.camera == camera, d.day.in_(some), d.signal.in_(signals), d.model_id == models[family]
                        )
                    )
        if held:
            insert_rows(conn, t.drift_block, columns)

    home.database.transact(replace)
    return len(held)


def _by_camera(days: Iterable[Day]) -> Iterator[tuple[str, list[date]]]:
    found: dict[str, list[date]] = defaultdict(list)
    for camera, day in sorted(days):
        found[camera].append(day)
    yield from found.items()
