"""How sure times of recording are, counted: by witness, certainty and camera, with those whose witnesses quarrel.

Belongs here: these counts. Does not belong here: weighing times (`archive.recording_time`), corrections
(`archive.time_corrections`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as t

CAMERAS_SHOWN = 20


@dataclass(frozen=True)
class CameraTimes:
    """A camera's videos: by the witness that was believed ("user": corrected) and by certainty.

    n_quarrels: videos whose witnesses disagree without a reason that explains it, or that show a clock that was wrong;
    example and note: one of them, and why; asks: what a person should say.
    """

    site: str | None
    camera: str | None
    n_videos: int
    by_witness: dict[str, int]
    by_certainty: dict[str, int]
    n_quarrels: int
    example: str | None = None
    note: str | None = None
    asks: str | None = None

    @property
    def name(self) -> str:
        """site/camera."""
        return f"{self.site or '–'}/{self.camera or '–'}"


@dataclass(frozen=True)
class Times:
    """The archive's videos, without those that are retired. by_witness: container, exif, file_name, folder, file_time,
    user (corrected), none. by_certainty: sure, likely, day, unsure, not_weighed. quarrels: cameras with quarrels, the
    most first, at most CAMERAS_SHOWN; n_asks: names whose day and month may be exchanged. n_corrections: that stand."""

    by_witness: dict[str, int]
    by_certainty: dict[str, int]
    quarrels: list[CameraTimes] = field(default_factory=list)
    n_quarrelling_cameras: int = 0
    n_asks: int = 0
    n_corrections: int = 0

    def as_dict(self) -> dict[str, Any]:
        """For the machine-readable line."""
        return asdict(self)


def times_of(conn: sa.Connection) -> Times:
    """Counts of the whole archive and the cameras whose witnesses quarrel."""
    cameras = camera_times(conn)
    by_witness: dict[str, int] = {}
    by_certainty: dict[str, int] = {}
    for one in cameras:
        for total, part in ((by_witness, one.by_witness), (by_certainty, one.by_certainty)):
            for key, n in part.items():
                total[key] = total.get(key, 0) + n
    quarrels = sorted((one for one in cameras if one.n_quarrels), key=lambda one: (-one.n_quarrels, one.name))
    kept, v = t.video_time.c, t.video.c
    asks = conn.scalar(
        sa.select(sa.func.count())
        .select_from(t.video_time.join(t.video, v.video_id == kept.video_id))
        .where(kept.asks.is_not(None), v.state != "retired")
    )
    standing = conn.scalar(
        sa.select(sa.func.count()).select_from(t.time_correction).where(t.time_correction.c.revoked_at.is_(None))
    )
    return Times(
        dict(sorted(by_witness.items())),
        dict(sorted(by_certainty.items())),
        _with_examples(conn, quarrels[:CAMERAS_SHOWN]),
        len(quarrels),
        asks or 0,
        standing or 0,
    )


def camera_times(conn: sa.Connection) -> list[CameraTimes]:
    """Counts of every camera, in the order of their names."""
    v, kept = t.video.c, t.video_time.c
    who = sa.case(
        (v.recorded_at_source == "user", sa.literal("user")),
        (kept.witness.is_not(None), kept.witness),
        (v.recorded_at_source.is_not(None), v.recorded_at_source),
        else_=sa.literal("none"),
    ).label("who")
    sure = sa.func.coalesce(v.recorded_at_certainty, "not_weighed").label("sure")
    quarrel = sa.case((_quarrels(), 1), else_=0).label("quarrel")
    counted = (
        sa.select(v.site, v.camera, who, sure, quarrel)
        .outerjoin_from(t.video, t.video_time, kept.video_id == v.video_id)
        .where(v.state != "retired")
        .subquery()
    )
    c = counted.c
    rows = conn.execute(
        sa.select(c.site, c.camera, c.who, c.sure, c.quarrel, sa.func.count().label("n"))
        .group_by(c.site, c.camera, c.who, c.sure, c.quarrel)
        .order_by(c.site, c.camera)
    )
    found: dict[tuple[str | None, str | None], list[Any]] = {}
    for row in rows:
        witness, certainty, total = found.setdefault((row.site, row.camera), [{}, {}, [0, 0]])
        witness[row.who] = witness.get(row.who, 0) + row.n
        certainty[row.sure] = certainty.get(row.sure, 0) + row.n
        total[0] += row.n
        total[1] += row.n * row.quarrel
    return [
        CameraTimes(site, camera, total[0], witness, certainty, total[1])
        for (site, camera), (witness, certainty, total) in found.items()
    ]


def _quarrels() -> sa.ColumnElement[bool]:
    v, kept = t.video.c, t.video_time.c
    # Folders and dates of files are often of another day; that is worth a look only where nothing explains it.
    strong = sa.or_(*(kept.disagree.contains(witness) for witness in ("container", "exif", "file_name")))
    doubted = sa.and_(kept.disagree != "", v.recorded_at_certainty == "unsure")
    return sa.and_(v.recorded_at_source != "user", sa.or_(doubted, strong, kept.asks.is_not(None)))


def _with_examples(conn: sa.Connection, cameras: list[CameraTimes]) -> list[CameraTimes]:
    v, kept = t.video.c, t.video_time.c
    found = []
    for one in cameras:
        row = conn.execute(
            sa.select(v.uri, kept.note, kept.asks)
            .join_from(t.video, t.video_time, kept.video_id == v.video_id)
            .where(
                v.site.is_(None) if one.site is None else v.site == one.site,
                v.camera.is_(None) if one.camera is None else v.camera == one.camera,
                v.state != "retired",
                _quarrels(),
            )
            .order_by(v.video_id)
            .limit(1)
        ).first()
        if row is None:
            found.append(one)
        else:
            values = {**one.__dict__, "example": row.uri, "note": row.note, "asks": row.asks}
            found.append(CameraTimes(**values))
    return found


def in_words(counts: dict[str, int]) -> str:
    """Counts by a key, the most first."""
    said = {
        "file_name": "file name",
        "file_time": "file's date",
        "user": "corrected by a person",
        "none": "nobody",
        "not_weighed": "not weighed yet",
        "day": "the day only",
    }
    rows = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{n:,} {said.get(key, key)}" for key, n in rows) or "none"


def quarrel_in_words(one: CameraTimes) -> str:
    """A camera whose witnesses quarrel, in a sentence."""
    why = f": {one.note}" if one.note else ""
    return f"{one.name}, {one.n_quarrels:,} of {one.n_videos:,} videos (such as {one.example}){why}"
