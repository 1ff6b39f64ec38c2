"""Boxes of one medium as the tracks that a file means.

Belongs here: which boxes are one animal by what the file says. Does not belong here: where they lie in time
(`placing`), which of our tracks they are (`agreement`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from chimp_assets.exchange.imports.annotations import Box


@dataclass
class SourceTrack:
    """One animal as a file has it. source_id: how the file calls it, or `#` and the number of its first box; boxes:
    those with sides; loose: the file gives it no number and no name, so that it may be a part of a track."""

    source_id: str
    boxes: list[Box] = field(default_factory=list)
    loose: bool = False

    @property
    def individuals(self) -> list[str]:
        """Whom the file names, as written, the most frequent first."""
        return [name for name, _ in Counter(box.individual for box in self.boxes if box.individual).most_common()]


def sources_of(boxes: Sequence[Box], is_picture: bool) -> tuple[list[SourceTrack], list[Box]]:
    """Tracks of one medium in the order of the file, and its rows without a box.

    One number is one track. Boxes of a video without a number that name one individual are one as well, where no two
    of them are of one moment.
    """
    found: dict[tuple[str, str], SourceTrack] = {}
    whole: list[Box] = []
    double = set() if is_picture else _names_in_two_places(boxes)
    for number, box in enumerate(boxes):
        if box.x is None and not (box.outside and box.track is not None):
            whole.append(box)
            continue
        if box.track is not None:
            key, name = ("track", box.track), box.track
        elif box.individual is not None and not is_picture and box.individual not in double:
            key, name = ("individual", box.individual), f"#{number}"
        else:
            key, name = ("box", str(number)), f"#{number}"
        track = found.get(key)
        if track is None:
            track = found[key] = SourceTrack(name, loose=key[0] == "box" and box.individual is None)
        track.boxes.append(box)
    taken = {track.source_id for (kind, _), track in found.items() if kind == "track"}
    for (kind, _), track in found.items():
        while kind != "track" and track.source_id in taken:
            track.source_id = f"#{track.source_id}"
        taken.add(track.source_id)
    return list(found.values()), whole


def _names_in_two_places(boxes: Sequence[Box]) -> set[str]:
    seen: set[tuple[str, float | None, int | None]] = set()
    double: set[str] = set()
    for box in boxes:
        if box.track is None and box.individual is not None and box.x is not None:
            key = (box.individual, box.time_s, box.frame)
            if key in seen:
                double.add(box.individual)
            seen.add(key)
    return double
