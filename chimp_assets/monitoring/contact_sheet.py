"""Pictures before and after a change, beside each other: what a person looks at to understand an alert.

Belongs here: which moments are shown. Does not belong here: the pictures (stored frames), the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.work.drifted import filmed_in
from chimp_assets.home import Home
from chimp_assets.monitoring.alerts import Alert

MOMENTS = 8
_NEAR = 6 * MOMENTS
"""Videos next to the change that the moments are spread over."""


@dataclass(frozen=True)
class ContactSheet:
    """Moments as (video_id, frame_no) of stored frames, in order of time, at most MOMENTS of each."""

    before: list[tuple[int, int]] = field(default_factory=list)
    after: list[tuple[int, int]] = field(default_factory=list)


def contact_sheet(home: Home, alert: Alert) -> ContactSheet:
    """Moments of an alert's camera on the days before it began and since then."""
    v = t.video.c
    whose = [v.state.in_(("decoded", "tracked")), v.n_frames > 0, *([v.camera == alert.camera] if alert.camera else [])]
    listed = sa.select(v.video_id).where(*whose).limit(_NEAR)
    before = listed.where(v.recorded_on < alert.since).order_by(v.recorded_on.desc(), v.video_id.desc())
    since = filmed_in(alert.camera, alert.since, alert.until)
    after = listed.where(since).order_by(v.recorded_on, v.video_id)
    with home.database.read() as conn:
        found = list(conn.scalars(before))[::-1], list(conn.scalars(after))
        return ContactSheet(*(_middles(conn, _spread(video_ids)) for video_ids in found))


def _spread(video_ids: list[int]) -> list[int]:
    n = min(MOMENTS, len(video_ids))
    return [video_ids[i * len(video_ids) // n] for i in range(n)]


def _middles(conn: sa.Connection, video_ids: Sequence[int]) -> list[tuple[int, int]]:
    f = t.frame.c
    frames: dict[int, list[int]] = {one: [] for one in video_ids}
    query = sa.select(f.video_id, f.frame_no).where(f.video_id.in_(list(video_ids))).order_by(f.video_id, f.frame_no)
    for row in conn.execute(query):
        frames[row.video_id].append(row.frame_no)
    return [(one, found[len(found) // 2]) for one, found in frames.items() if found]
