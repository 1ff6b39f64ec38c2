"""Boxes of a network elsewhere, kept in the store until their videos are tracked: they stand in place of detecting.

Belongs here: from boxes of a file to files of the store, one a bundle. Does not belong here: their form and reading
them (`vision.detection.imported`), linking them (`vision.tracking`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema
from chimp_assets.database.connection.parameters import in_parts, rows_in_parts
from chimp_assets.exchange.imports.annotations import Box, Medium
from chimp_assets.exchange.imports.intake.page import Times
from chimp_assets.exchange.imports.intake.placing import OtherShapeError, box_times, fractions_of, frame_times
from chimp_assets.exchange.imports.intake.report import TakenIn
from chimp_assets.exchange.imports.intake.rows import detector_row
from chimp_assets.exchange.imports.intake.spool import MatchedMedium, Spool

if TYPE_CHECKING:
    from chimp_assets.home import Home

ANIMAL = "animal"
"""The category that stands for what is looked for: people and vehicles are nobody to be named."""

_SMALLEST = 1e-6


@dataclass
class _BundleBoxes:
    """Boxes of one bundle, as they become a file of the store."""

    spoken: list[int] = field(default_factory=list)
    video_id: list[np.ndarray] = field(default_factory=list)
    time_s: list[np.ndarray] = field(default_factory=list)
    box: list[np.ndarray] = field(default_factory=list)

    def content(self) -> dict[str, np.ndarray]:
        return {
            "spoken": np.array(sorted(set(self.spoken)), np.int64),
            "video_id": np.concatenate([np.zeros(0, np.int64), *self.video_id]),
            "time_s": np.concatenate([np.zeros(0), *self.time_s]),
            "box": np.concatenate([np.zeros((0, 5), np.float32), *self.box]),
        }


def keep_proposals(
    home: Home,
    spool: Spool,
    import_id: int,
    fps: float | None,
    times: Times,
    report: TakenIn,
    tell: Callable[[str, int, int], None],
) -> None:
    """Write the boxes of a file into the store, bundle by bundle, each file before its row. The same boxes change
    nothing. Memory: one bundle's boxes.
    """
    other: Counter[str] = Counter()
    done = 0
    for bundle_id, members in groupby(spool.matched(by_bundle=True), key=lambda one: one.bundle_id):
        boxes = _BundleBoxes()
        tell(f"taking in {report.file}", done, report.media.matched)
        plain: set[int] = set()
        for one in members:
            if spool.is_plain(one.medium):
                plain.add(one.row_id)
                boxes.spoken.append(one.row_id)
            else:
                _add(boxes, spool, one, fps, times, report, other)
            done += 1
        _add_plain(boxes, [row for row in spool.plain_boxes(bundle_id) if row[0] in plain], report, other)
        report.rows.of_videos += len(set(boxes.spoken))
        _settle(home, bundle_id, boxes, import_id, report)
    for name, n in other.most_common():
        report.rows.other_categories.add(f"{name} ({n:,})", n)
    tell(f"taking in {report.file}", done, done)


def _add_plain(boxes: _BundleBoxes, rows: list[tuple[Any, ...]], report: TakenIn, other: Counter[str]) -> None:
    """Boxes that say where they are without a look at their video, all of a bundle at once."""
    report.rows.boxes += len(rows)
    animals = []
    for row in rows:
        if row[7] is not None and row[7].strip().lower() != ANIMAL:
            other[row[7]] += 1
        elif not row[8]:
            animals.append(row)
    if not animals:
        return
    values = np.array([row[1:7] for row in animals], np.float64)
    low = np.clip(values[:, 1:3], 0, 1)
    size = np.clip(values[:, 1:3] + values[:, 3:5], 0, 1) - low
    good = (size > _SMALLEST).all(axis=1)
    report.rows.proposals += int(good.sum())
    if not good.all():
        report.rows.unplaced.add("boxes outside of their picture", int((~good).sum()))
    boxes.video_id.append(np.array([row[0] for row in animals], np.int64)[good])
    boxes.time_s.append(values[good, 0])
    boxes.box.append(np.concatenate([low, size, values[:, 5:]], axis=1)[good].astype(np.float32))


def _add(
    boxes: _BundleBoxes,
    spool: Spool,
    one: MatchedMedium,
    fps: float | None,
    times: Times,
    report: TakenIn,
    other: Counter[str],
) -> None:
    found = spool.boxes(one.medium)
    report.rows.boxes += len(found)
    animals: list[Box] = []
    for box in found:
        if box.category is not None and box.category.strip().lower() != ANIMAL:
            other[box.category] += 1
        elif box.x is not None and not box.outside:
            animals.append(box)
    boxes.spoken.append(one.row_id)
    if not animals:
        return
    try:
        fractions = fractions_of(animals, one.medium, None, None)
    except OtherShapeError as error:
        report.media.other_shape.add(f"{one.medium.path}: {error}")
        return
    moments = _moments(one.medium, animals, one.uri, fps, times, report)
    good = np.isfinite(fractions).all(axis=1) & np.isfinite(moments)
    report.rows.proposals += int(good.sum())
    if not good.all():
        report.rows.unplaced.add(one.medium.path, int((~good).sum()))
    scores = np.array([1.0 if box.score is None else box.score for box in animals])
    boxes.video_id.append(np.full(int(good.sum()), one.row_id, np.int64))
    boxes.time_s.append(moments[good])
    boxes.box.append(np.column_stack([fractions, scores])[good].astype(np.float32))


def _moments(
    medium: Medium, boxes: list[Box], uri: str, fps: float | None, times: Times, report: TakenIn
) -> np.ndarray:
    """Seconds of each box; 0 in a picture."""
    if all(box.time_s is None and box.frame is None for box in boxes):
        return np.zeros(len(boxes))
    numbering = None
    if any(box.time_s is None and box.frame is not None for box in boxes):
        numbering = frame_times(medium, fps, None, times(uri))
        if numbering.times is None:
            report.by_rate.add(f"{medium.path}: {numbering.fps:g} frames a second")
        else:
            report.by_pictures += 1
    return box_times(boxes, numbering)


def _settle(home: Home, bundle_id: int, boxes: _BundleBoxes, import_id: int, report: TakenIn) -> None:
    """Bytes, then the row; videos in which nothing was found so far are tracked again."""
    from safetensors.numpy import save  # beside torch's libraries

    from chimp_assets.vision.models.checkpoint import content_hash

    db, p = home.database, schema.proposal_file
    with db.read() as conn:
        again, settled = _states(conn, boxes.spoken)
        key = conn.scalar(sa.select(schema.bundle.c.bundle_key).where(schema.bundle.c.bundle_id == bundle_id))
        row = conn.execute(
            sa.select(p.c.uri, p.c.content_hash).where(p.c.bundle_id == bundle_id, p.c.import_id == import_id)
        ).first()
    for uri in settled:
        report.rows.already_tracked.add(uri)
    if report.dry_run:
        return
    content = boxes.content()
    data = save(content)
    digest = content_hash(data)
    if row is not None and row.content_hash == digest:
        return
    uri = f"proposals/{key}-{import_id}-{digest[:8]}.safetensors"
    home.store.put(uri, data)

    def work(conn: sa.Connection) -> None:
        f = schema.import_file
        about = conn.execute(sa.select(f).where(f.c.import_id == import_id)).one()
        if about.model_id is None:
            model_id = detector_row(conn, {"format": about.format, "file": about.name, "file_hash": about.content_hash})
            conn.execute(sa.update(f).where(f.c.import_id == import_id).values(model_id=model_id))
        here = sa.and_(p.c.bundle_id == bundle_id, p.c.import_id == import_id)
        conn.execute(sa.delete(p).where(here))
        conn.execute(
            sa.insert(p).values(
                bundle_id=bundle_id, import_id=import_id, uri=uri, content_hash=digest,
                n_videos=len(content["spoken"]), created_at=datetime.now(UTC),
            )
        )  # fmt: skip
        v = schema.video
        for part in in_parts(again):
            conn.execute(
                sa.update(v)
                .where(v.c.video_id.in_(part), v.c.state == "tracked")
                .values(state="decoded", updated_at=datetime.now(UTC))
            )

    db.transact(work)
    if row is not None and row.uri != uri:
        home.store.delete(row.uri)


def _states(conn: sa.Connection, row_ids: list[int]) -> tuple[list[int], Iterator[str]]:
    """(tracked videos without a track that anybody was asked about: they may be tracked again, names of the others)."""
    v, k = schema.video.c, schema.track.c
    tracked = {
        row.video_id: row.uri
        for row in rows_in_parts(
            conn, lambda part: sa.select(v.video_id, v.uri).where(v.video_id.in_(part), v.state == "tracked"), row_ids
        )
    }
    useful = {
        row.video_id
        for row in rows_in_parts(
            conn,
            lambda part: sa.select(k.video_id).where(k.video_id.in_(part), k.state != "junk").distinct(),
            set(tracked),
        )
    }
    return sorted(tracked.keys() - useful), iter(uri for video_id, uri in tracked.items() if video_id in useful)
