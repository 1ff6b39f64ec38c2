"""What the newest listing of the archive found and does not read, and labels that stay behind with replaced files.

Belongs here: reading these facts for people. Does not belong here: finding and keeping them (`archive.listing`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as t


@dataclass(frozen=True)
class PassedOverFiles:
    """counts: by reason, exact as of the last whole listing; endings: of files that are no videos; named: (path,
    reason, detail), of each reason the first."""

    counts: dict[str, int] = field(default_factory=dict)
    endings: dict[str, int] = field(default_factory=dict)
    named: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def n_faults(self) -> int:
        """How many of them a person may want to mend: what cannot be read, stored or followed."""
        return sum(self.counts.get(reason, 0) for reason in ("unreadable", "name", "link"))

    def as_dict(self) -> dict[str, Any]:
        """For the machine-readable line."""
        named = [{"path": path, "reason": reason, "detail": detail} for path, reason, detail in self.named]
        return {"counts": self.counts, "endings": self.endings, "named": named}


def passed_over_files(conn: sa.Connection, limit: int | None = None) -> PassedOverFiles:
    """What is passed over. limit: how many are named of each reason; None: all that are kept."""
    c, p = t.passed_over_count.c, t.passed_over.c
    counts: dict[str, int] = {}
    endings: dict[str, int] = {}
    for row in conn.execute(
        sa.select(t.passed_over_count).where(c.reason.in_(t.PASSED_OVER_REASONS)).order_by(c.reason, c.ending)
    ):
        # Until the first whole listing has ended, what it has found so far.
        n = row.n or row.n_so_far
        counts[row.reason] = counts.get(row.reason, 0) + n
        if row.reason == "not_video":
            endings[row.ending] = n
    named = []
    of: dict[str, int] = {}
    for row in conn.execute(sa.select(p.reason, p.path, p.detail).order_by(p.reason, p.path)):
        of[row.reason] = of.get(row.reason, 0) + 1
        if limit is None or of[row.reason] <= limit:
            named.append((row.path, row.reason, row.detail))
    return PassedOverFiles({k: n for k, n in counts.items() if n}, {k: n for k, n in endings.items() if n}, named)


@dataclass(frozen=True)
class StrandedLabels:
    """A file that was replaced by other pictures after people had answered about it. n_labels: answers that stand."""

    uri: str
    n_labels: int

    def __str__(self) -> str:
        labels = "1 label stays" if self.n_labels == 1 else f"{self.n_labels:,} labels stay"
        return f"{self.uri} was replaced by other pictures: {labels} on the retired version"


def labels_left_behind(conn: sa.Connection) -> list[StrandedLabels]:
    """Replaced files whose answered tracks could not go along, in the order of their paths."""
    old, new = t.video.alias("old"), t.video.alias("new")
    rows = conn.execute(
        sa.select(old.c.uri, sa.func.count().label("n"))
        .join_from(old, t.track, t.track.c.video_id == old.c.video_id)
        .join(t.standing_answer, t.standing_answer.c.track_id == t.track.c.track_id)
        .where(
            old.c.state == "retired",
            sa.exists().where(
                new.c.uri == old.c.uri, new.c.version > old.c.version, new.c.state.in_(("decoded", "tracked"))
            ),
        )
        .group_by(old.c.uri)
        .order_by(old.c.uri)
    )
    return [StrandedLabels(row.uri, row.n) for row in rows]
