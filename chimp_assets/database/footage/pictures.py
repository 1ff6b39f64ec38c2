"""How many pictures an archive holds beside its films, and which of them are one clip.

Belongs here: counting rows of pictures. Does not belong here: making bursts (`archive.stills`), printing (`console`).
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from chimp_assets.database import schema as t


@dataclass(frozen=True)
class PictureCounts:
    """files: picture files that are there or whose frames stay; bursts: clips of several of them; in_bursts: files of
    these; gone: files of bursts that are no longer in the archive, while their frames stay."""

    files: int = 0
    bursts: int = 0
    in_bursts: int = 0
    gone: int = 0

    def __str__(self) -> str:
        parts = [f"{self.files:,} files"]
        if self.bursts:
            parts.append(f"{self.in_bursts:,} of them in {self.bursts:,} bursts")
        if self.gone:
            parts.append(f"the files of {self.gone:,} of these are gone")
        return ", ".join(parts)


def picture_counts(conn: sa.Connection) -> PictureCounts:
    """Pictures of the archive, without copies and what was replaced."""
    video, fact, burst = t.video.c, t.picture_fact.c, t.video.alias("burst")
    state = sa.func.coalesce(burst.c.state, video.state)
    of_burst = sa.and_(burst.c.video_id.is_not(None), state != "retired")
    row = conn.execute(
        sa.select(
            sa.func.sum(sa.case((state != "retired", 1), else_=0)).label("files"),
            sa.func.count(sa.distinct(sa.case((of_burst, burst.c.video_id)))).label("bursts"),
            sa.func.sum(sa.case((of_burst, 1), else_=0)).label("members"),
            sa.func.sum(sa.case((sa.and_(state != "retired", fact.gone_at.is_not(None)), 1), else_=0)).label("gone"),
        )
        .join_from(t.picture_fact, t.video, video.video_id == fact.video_id)
        .outerjoin(burst, burst.c.video_id == video.burst_video_id)
    ).one()
    bursts = int(row.bursts or 0)
    return PictureCounts(int(row.files or 0), bursts, int(row.members or 0) + bursts, int(row.gone or 0))
