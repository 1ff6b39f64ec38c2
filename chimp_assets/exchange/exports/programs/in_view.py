"""From when to when an individual is in view: its tracks in a video as stretches that do not overlap.

Belongs here: joining tracks. Does not belong here: formats.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from chimp_assets.exchange.exports.footage import HandedTrack, HandedVideo
from chimp_assets.exchange.exports.pieces.animals import seconds_of_a_frame

UNNAMED = "unnamed"
"""Animals without a name, all together. Codes of individuals are upper-case."""
SHORTEST_S = 0.001
"""A stretch ends after it begins, or programs take its end for another beginning."""


@dataclass(frozen=True, slots=True)
class ViewStretch:
    """An individual in view without a break. start_s, stop_s: seconds from the first picture; probability: of the
    tracks, weighed by boxes, None without a name; by_person: whether a person named one of them."""

    who: str
    start_s: float
    stop_s: float
    probability: float | None
    by_person: bool

    @property
    def words(self) -> str:
        """How sure the name is, for people."""
        if self.probability is None:
            return ""
        return "named by a person" if self.by_person else f"named by a model, probability {self.probability:.3f}"


def stretches(film: HandedVideo, tracks: Iterable[HandedTrack]) -> list[ViewStretch]:
    """Stretches of each individual, by name and time. A track lasts from its first frame to the end of its last one,
    within the video; stretches of one individual that overlap or touch are one."""
    of: dict[str, list[HandedTrack]] = defaultdict(list)
    for one in tracks:
        of[one.anim_id or UNNAMED].append(one)
    found = []
    for who, mine in sorted(of.items()):
        begun: list[HandedTrack] = []
        stop = 0.0
        for one in sorted(mine, key=lambda track: (track.first_s, track.track_id)):
            if begun and one.first_s > stop:
                found.append(_joined(who, begun, stop))
                begun = []
            stop = max(stop, _stop(film, one)) if begun else _stop(film, one)
            begun.append(one)
        found.append(_joined(who, begun, stop))
    return found


def _stop(film: HandedVideo, one: HandedTrack) -> float:
    stop = one.last_s + seconds_of_a_frame(film)
    if film.duration_s is not None:
        stop = min(stop, film.duration_s)
    return max(stop, one.last_s, one.first_s + SHORTEST_S)


def _joined(who: str, tracks: list[HandedTrack], stop: float) -> ViewStretch:
    known = [one for one in tracks if one.probability is not None and one.individual_id is not None]
    n = sum(one.n_detections for one in known)
    probability = sum((one.probability or 0.0) * one.n_detections for one in known) / n if n else None
    by_person = any(one.source == "person" for one in known)
    return ViewStretch(who, tracks[0].first_s, stop, probability, by_person)
