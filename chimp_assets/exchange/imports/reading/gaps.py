"""Gaps of tracks: where a file looked at a medium and did not see the animal.

Belongs here: finding them. Does not belong here: what lies between two boxes (`intake.placing`), keyframes (`cvat`).

MOT, COCO and VIAME write a box for each frame on which the animal is seen, and say nothing of others. Between two boxes
of a track with a looked-at frame between them the animal is away, as CVAT reads MOT (its `formats/mot.py` inserts
`outside`); a file that looks at every tenth frame leaves no gap where its boxes are ten frames apart.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator

from chimp_assets.exchange.imports.annotations import Box


class LookedAt:
    """Moments or frames of media that a file looked at, told in any order and then asked for in the order of its boxes.

    Nothing is a gap in a file whose boxes go back in time within a track: what it left out is known at its end alone.
    """

    def __init__(self) -> None:
        self._at: dict[str, array[float]] = {}
        self._last: dict[tuple[str, str], float] = {}
        self._sorted = False
        self.ordered = True

    def add(self, medium: str, at: float) -> None:
        """A moment or frame of a medium."""
        found = self._at.setdefault(medium, array("d"))
        if not found or found[-1] != at:
            found.append(at)

    def follow(self, medium: str, track: str | None, at: float) -> None:
        """A box of a track, in the order of the file: notices whether they go back."""
        if track is not None:
            self.ordered = self.ordered and self._last.get((medium, track), at) <= at
            self._last[medium, track] = at

    def before(self, box: Box) -> Iterator[Box]:
        """An end of the track's last box, if the file looked at the medium between that one and this one."""
        at = box.frame if box.time_s is None else box.time_s
        if not self.ordered or box.track is None or at is None:
            return
        if not self._sorted:
            self._at = {medium: array("d", sorted(found)) for medium, found in self._at.items()}
            self._last.clear()
            self._sorted = True
        last = self._last.get((box.medium, box.track), at)
        self._last[box.medium, box.track] = at
        found = self._at.get(box.medium, array("d"))
        place = bisect_right(found, last)
        if place < len(found) and found[place] < at:
            moment = found[place]
            yield Box(
                box.medium,
                time_s=None if box.time_s is None else moment,
                frame=int(moment) if box.time_s is None else None,
                track=box.track,
                category=box.category,
                outside=True,
                place=box.place,
            )
