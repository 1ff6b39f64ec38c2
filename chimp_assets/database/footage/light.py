"""In which light a video was filmed, as its pictures say.

Belongs here: the words for it, and the same in SQL. Does not belong here: measuring pictures (`archive.video.signals`),
the light of an hour of the day (`vision.evaluation.slices`).
"""

from __future__ import annotations

import sqlalchemy as sa

from chimp_assets.database.schema import video_signal

LIGHTS = ("day", "dim", "mixed", "infrared", "not_known")
"""not_known: of videos whose pictures were never looked at."""
INFRARED, COLOUR = 0.8, 0.2
"""Share of pictures without colour from which a video is infrared, and up to which it is not; mixed between, where a
camera changed over."""
DIM = 60.0
"""Mean luma below which pictures in colour are dim."""


def light_of_video() -> sa.ColumnElement[str]:
    """The light of rows of `video_signal`; not_known where an outer join found none."""
    s = video_signal.c
    return sa.case(
        (s.infrared.is_(None), "not_known"),
        (s.infrared >= INFRARED, "infrared"),
        (s.infrared > COLOUR, "mixed"),
        (s.brightness < DIM, "dim"),
        else_="day",
    )
