"""Whether there is something new to look at since the last look: the question behind the sensor `drift_watch`."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.work.due import Readiness


def watch_due(conn: sa.Connection, last: datetime | None) -> Readiness:
    """A look is due when tracks or models are newer than the last one, and no video waits to be decoded or tracked.

    last: when the last look ended; None: never. An archive that is being read is looked at every night.
    """
    b, v, m = t.bundle.c, t.video.c, t.model.c
    changed_at = conn.scalar(sa.select(sa.func.max(b.changed_at)))
    if changed_at is None:
        return Readiness(False, "nothing has been tracked yet")
    for state in ("registered", "decoded"):
        if conn.execute(sa.select(v.video_id).where(v.state == state).limit(1)).first() is not None:
            return Readiness(False, "videos are still being decoded or tracked")
    decided_at = conn.scalar(sa.select(sa.func.max(m.decided_at)).where(m.state == "champion"))
    newest = max(at for at in (changed_at, decided_at) if at is not None)
    if last is not None and newest <= last:
        return Readiness(False, "no tracks and no champion since the last look")
    return Readiness(True, "there are new tracks" if newest == changed_at else "there is a new champion")
