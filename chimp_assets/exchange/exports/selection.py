"""Which tracks an export is about.

Belongs here: conditions as people write them, and the statement that selects the tracks. Does not belong here: formats.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

_IDENTITY = sa.table(
    "v_track_identity",
    *(
        sa.column(name)
        for name in (
            "track_id", "video_id", "individual_id", "anim_id", "source", "status", "probability", "annotation_id",
            "model_id",
        )
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Selection:
    """Conditions on tracks, all of which must hold; without any, every live track of the archive."""

    def tracks(self) -> sa.Select[Any]:
        """The columns of v_track_identity of the tracks that are wanted."""
        return sa.select(*_IDENTITY.c)
