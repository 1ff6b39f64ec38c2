"""Where and when an individual was seen: counts for each month and camera, and every track as a row.

Belongs here: these numbers, each as "verified" (a person's name that stands) or "model" (the first name of the champion
head). Does not belong here: pictures (`pictures`), individuals seen together (`insight.association`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.insight.individuals.named_tracks import named_track

_PART = 1_000


@dataclass(frozen=True)
class MonthlyCount:
    """Tracks of an individual in a month at a camera."""

    month: str
    site: str
    camera: str
    verified: int
    model: int


@dataclass(frozen=True)
class SightingSummary:
    """When and where an individual was seen. first, last: days; undated: tracks of videos without a known
    recording day.

    models: (model_id, name, version) of the heads whose names are counted.
    """

    verified: int
    volunteers: int
    model: int
    first: date | None
    last: date | None
    first_verified: date | None
    last_verified: date | None
    undated: int
    counts: list[MonthlyCount]
    models: list[tuple[int, str, int]]

    def months(self) -> list[tuple[str, int, int]]:
        """(month, verified, model), in order."""
        return _summed((count.month, count) for count in self.counts)

    def cameras(self) -> list[tuple[str, int, int]]:
        """(site / camera, verified, model), in order."""
        return _summed((f"{count.site} / {count.camera}", count) for count in self.counts)


def sighting_summary(conn: sa.Connection, key: int) -> SightingSummary:
    """When and where an individual was seen, verified and by the model."""
    n, v = named_track.c, t.video.c
    rows = conn.execute(
        sa.select(v.site, v.camera, v.recorded_on, n.source, n.model_id, sa.func.count().label("n"))
        .join_from(named_track, t.video, v.video_id == n.video_id)
        .where(n.individual_id == key)
        .group_by(v.site, v.camera, v.recorded_on, n.source, n.model_id)
    ).all()
    counts: dict[tuple[str, str, str], list[int]] = {}
    for row in rows:
        if row.recorded_on is not None:
            pair = counts.setdefault((str(row.recorded_on)[:7], row.site or "–", row.camera or "–"), [0, 0])
            pair[row.source == "model"] += row.n
    days = sorted(row.recorded_on for row in rows if row.recorded_on is not None)
    sure = sorted(row.recorded_on for row in rows if row.recorded_on is not None and row.source == "person")
    heads = sorted({row.model_id for row in rows if row.model_id is not None})
    m = t.model.c
    models = conn.execute(
        sa.select(m.model_id, m.name, m.version).where(m.model_id.in_(heads)).order_by(m.model_id)
    ).all()
    return SightingSummary(
        verified=sum(row.n for row in rows if row.source == "person"),
        volunteers=sum(row.n for row in rows if row.source == "volunteers"),
        model=sum(row.n for row in rows if row.source == "model"),
        first=days[0] if days else None,
        last=days[-1] if days else None,
        first_verified=sure[0] if sure else None,
        last_verified=sure[-1] if sure else None,
        undated=sum(row.n for row in rows if row.recorded_on is None),
        counts=[MonthlyCount(*where, *pair) for where, pair in sorted(counts.items())],
        models=[(row.model_id, row.name, row.version) for row in models],
    )


SIGHTING_COLUMNS = (
    "anim_id", "track_id", "uri", "site", "camera", "recorded_at", "recorded_at_source", "first_s", "last_s", "source",
    "probability", "annotation_id", "model_id",
)  # fmt: skip


def sightings(conn: sa.Connection, key: int) -> Iterator[Sequence[Any]]:
    """Every track of an individual as a row of SIGHTING_COLUMNS, in order of track_id, in parts."""
    n, v, k = named_track.c, t.video.c, t.track.c
    after = 0
    while True:
        rows = conn.execute(
            sa.select(
                n.anim_id, n.track_id, v.uri, v.site, v.camera, v.recorded_at, v.recorded_at_source, k.first_s,
                k.last_s, n.source, n.probability, n.annotation_id, n.model_id,
            )
            .join_from(named_track, t.video, v.video_id == n.video_id)
            .join(t.track, k.track_id == n.track_id)
            .where(n.individual_id == key, n.track_id > after)
            .order_by(n.track_id)
            .limit(_PART)
        ).all()  # fmt: skip
        yield from (tuple(row) for row in rows)
        if len(rows) < _PART:
            return
        after = rows[-1].track_id


def _summed(rows: Iterator[tuple[str, MonthlyCount]]) -> list[tuple[str, int, int]]:
    sums: dict[str, list[int]] = {}
    for word, count in rows:
        pair = sums.setdefault(word, [0, 0])
        pair[0] += count.verified
        pair[1] += count.model
    return [(word, verified, model) for word, (verified, model) in sorted(sums.items())]
