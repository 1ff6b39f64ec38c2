"""The sampling unit of association indices: the one definition of pages, tables and exports.

Belongs here: the words for a unit. Does not belong here: which tracks appear in which units (`presence`), which two are
together (`meetings`), counting (`estimates`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast

from chimp_assets.errors import ChimpError

Kind = Literal["frame", "clip", "minutes", "day", "burst"]
BURST_GAP = 5
"""Minutes without any animal at a camera that end a burst."""
MOST_MINUTES = 24 * 60


class UnitError(ChimpError):
    """A sampling unit that nobody can count."""


@dataclass(frozen=True)
class SamplingUnit:
    """What counts once. frame: a frame of a clip; clip; minutes: so many minutes of a camera, counted from 1970, half
    open; day: a day of all cameras; burst: animals at one camera with less than BURST_GAP minutes between them."""

    kind: Kind = "day"
    minutes: int = 0

    @classmethod
    def of(cls, words: str) -> SamplingUnit:
        """Reads frame, clip, minutes:10, day or burst. Raises UnitError for anything else."""
        found = re.fullmatch(r"(frame|clip|day|burst)|minutes:(\d{1,4})", words)
        if found is None:
            raise UnitError(
                f"The sampling unit {words[:40]!r} is not known.", "Use frame, clip, minutes:10, day or burst."
            )
        if found[1]:
            return cls(cast(Kind, found[1]))
        minutes = int(found[2])
        if not 1 <= minutes <= MOST_MINUTES:
            raise UnitError(
                f"A sampling unit of {minutes} minutes cannot be counted.", f"Use minutes:1 to minutes:{MOST_MINUTES}."
            )
        return cls("minutes", minutes)

    def __str__(self) -> str:
        return f"minutes:{self.minutes}" if self.kind == "minutes" else self.kind

    @property
    def needs_time(self) -> bool:
        """Whether clips without a time of day are left out."""
        return self.kind in ("minutes", "burst")


DAY = SamplingUnit()
