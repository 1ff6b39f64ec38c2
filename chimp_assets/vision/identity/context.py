"""What is known of tracks beside their vectors, and decides on their names: when and where, and what people denied.

Belongs here: reading it as arrays. Does not belong here: how it is used (`predict`, `assignment`), weights of names by
biographies (`plausibility`), who denies what (`database.labels.evidence`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema
from chimp_assets.database.individuals.merges import merged_ids
from chimp_assets.vision.identity.plausibility import NamePlausibility

NO_PAIRS = np.zeros((0, 2), dtype=np.int64)
ASKED_AT_ONCE = 500  # videos or tracks in one statement: databases limit the number of parameters


@dataclass(frozen=True)
class TrackContext:
    """When and where n tracks were filmed: video i64 [n]; first_s and last_s f64 [n]; possible f32 [v, C]
    (`plausibility`), a row for each video, None if every name is plausible; video_row i64 [n], the row of each
    track; denied i64 [k, 2], the row of a track and the column of a class that people said it is not."""

    video: np.ndarray
    first_s: np.ndarray
    last_s: np.ndarray
    possible: np.ndarray | None
    video_row: np.ndarray
    denied: np.ndarray = field(default_factory=lambda: NO_PAIRS)

    def part(self, rows: slice) -> TrackContext:
        """The same of some of the tracks."""
        here = (self.denied[:, 0] >= rows.start) & (self.denied[:, 0] < rows.stop)
        return TrackContext(
            self.video[rows], self.first_s[rows], self.last_s[rows], self.possible, self.video_row[rows],
            self.denied[here] - (rows.start, 0),
        )  # fmt: skip


def context_of_tracks(conn: sa.Connection, track_id: np.ndarray, lives: NamePlausibility) -> TrackContext:
    """When and where tracks (i64 [n], ascending) were filmed. A track that is no longer live overlaps no other."""
    track, video = schema.track, schema.video
    n = len(track_id)
    videos, video_row = np.unique(track_id // schema.TRACKS_PER_VIDEO, return_inverse=True)
    video_id, first_s, last_s = -1 - np.arange(n), np.zeros(n), np.zeros(n)
    days, sites = np.full(len(videos), np.nan), np.full(len(videos), "", dtype=object)
    for start in range(0, len(videos), ASKED_AT_ONCE):
        some = videos[start : start + ASKED_AT_ONCE].tolist()
        rows = conn.execute(
            sa.select(track.c.track_id, track.c.first_s, track.c.last_s).where(
                track.c.video_id.in_(some), track.c.state == "live"
            )
        ).all()
        if rows:
            ids, first, last = (np.array(column) for column in zip(*rows, strict=True))
            at = np.minimum(np.searchsorted(track_id, ids), n - 1)
            here = track_id[at] == ids
            at = at[here]
            video_id[at], first_s[at], last_s[at] = videos[video_row[at]], first[here], last[here]
        for row in conn.execute(
            sa.select(video.c.video_id, video.c.recorded_on, video.c.site).where(video.c.video_id.in_(some))
        ):
            at_video = int(np.searchsorted(videos, row.video_id))
            sites[at_video] = row.site or ""
            if row.recorded_on is not None:
                days[at_video] = row.recorded_on.toordinal()
    possible = lives.possible(days, sites)
    return TrackContext(video_id, first_s, last_s, None if (possible == 1).all() else possible, video_row)


def denied_pairs(conn: sa.Connection, track_id: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The rows of tracks (i64 [n], ascending) and the columns of classes (i64 [C]) that people said they are not: i64
    [k, 2]. A class counts as whom it is now. One statement: few tracks are denied anything."""
    if not len(track_id):
        return NO_PAIRS
    e = schema.track_evidence.c
    rows = conn.execute(
        sa.select(e.track_id, e.individual_id).where(
            e.track_id.between(int(track_id[0]), int(track_id[-1])), e.state == "denied"
        )
    ).all()
    if not rows:
        return NO_PAIRS
    same = merged_ids(conn)
    columns: dict[int, list[int]] = {}
    for column, key in enumerate(classes.tolist()):
        columns.setdefault(same.get(key, key), []).append(column)
    said = np.array(rows, dtype=np.int64).reshape(-1, 2)
    at = np.minimum(np.searchsorted(track_id, said[:, 0]), len(track_id) - 1)
    here = track_id[at] == said[:, 0]
    pairs = [
        (row, column)
        for row, individual_id in zip(at[here].tolist(), said[here, 1].tolist(), strict=True)
        for column in columns.get(individual_id, [])
    ]
    return np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)
