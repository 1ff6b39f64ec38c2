"""Days of two individuals among the chosen tracks: what edge models are made of.

Belongs here: v_dyad_event for a selection, day by day, and its sums over days. Does not belong here: formats, groups
(`groups`). Without a selection the rows are those of the view.

The sampling unit is a day on which at least one of the two was seen while both were alive and under study, as in
v_dyad.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import combinations
from typing import Literal

import sqlalchemy as sa

from chimp_assets.exchange.exports.export import ExportOption
from chimp_assets.exchange.exports.footage import HandedTrack, HandedVideo
from chimp_assets.exchange.exports.pieces.animals import seconds_of_a_frame
from chimp_assets.exchange.exports.pieces.lives import StudyLife, lives_of
from chimp_assets.exchange.exports.pieces.times import day_no_of
from chimp_assets.exchange.exports.selection import Selection
from chimp_assets.exchange.exports.social.groups import parties, sightings

PairRule = Literal["moment", "video", "day"]
PAIR_RULES = ("moment", "video", "day")
RULE_OPTION = ExportOption(
    "rule", "two are together at the same moment, in one video, or at one camera on one day", "video", PAIR_RULES
)
"""Visible at the same moment; in one video; at one camera on one day."""


@dataclass(frozen=True, slots=True)
class PairDay:
    """Two individuals (a.individual_id < b.individual_id) on a day on which one of them was seen.

    together: 0 or 1; seconds: visible at the same moment, 0 where not together; p_joint: that both names are right, of
    the best pair of tracks, None where they were not together; p_a, p_b: of the best sighting of each.
    """

    a: StudyLife
    b: StudyLife
    day: date
    day_no: int
    together: int
    seconds: float
    n_videos: int
    p_joint: float | None
    seen_a: int
    seen_b: int
    p_a: float | None
    p_b: float | None


@dataclass(slots=True)
class PairSum:
    """Two individuals over all days. days: on which one of them was seen; x: together; days_a, days_b: seen."""

    a: StudyLife
    b: StudyLife
    days: int = 0
    x: int = 0
    days_a: int = 0
    days_b: int = 0
    n_videos: int = 0
    seconds: float = 0.0
    p_sum: float = 0.0

    def add(self, one: PairDay) -> None:
        """Counts one more day."""
        self.days += 1
        self.x += one.together
        self.days_a += one.seen_a
        self.days_b += one.seen_b
        self.n_videos += one.n_videos
        self.seconds += one.seconds
        self.p_sum += one.p_joint or 0.0


@dataclass(slots=True)
class _Meeting:
    at_once: bool = False
    seconds: float = 0.0
    n_videos: int = 0
    p_joint: float = 0.0


@dataclass(frozen=True)
class Effort:
    """Days on which any camera recorded, ascending, and the seconds recorded up to each of them."""

    day_nos: list[int]
    seconds: list[float]

    def of(self, a: StudyLife, b: StudyLife) -> tuple[int, float]:
        """Days with recordings, and their seconds, while both were alive and under study."""
        first = bisect_left(self.day_nos, max(a.from_day_no, b.from_day_no))
        last = bisect_right(self.day_nos, min(a.until_day_no, b.until_day_no))
        return (0, 0.0) if last <= first else (last - first, self.seconds[last] - self.seconds[first])

    def on(self, day_no: int) -> float:
        """Seconds recorded on a day."""
        at = bisect_left(self.day_nos, day_no)
        found = at < len(self.day_nos) and self.day_nos[at] == day_no
        return self.seconds[at + 1] - self.seconds[at] if found else 0.0


def effort_of(conn: sa.Connection) -> Effort:
    """What all cameras recorded: v_sampling_day."""
    view = sa.table("v_sampling_day", sa.column("day_no"), sa.column("recorded_s"))
    rows = conn.execute(sa.select(view.c.day_no, view.c.recorded_s).order_by(view.c.day_no)).all()
    seconds = [0.0]
    for row in rows:
        seconds.append(seconds[-1] + float(row.recorded_s))
    return Effort([int(row.day_no) for row in rows], seconds)


def pair_days(conn: sa.Connection, selection: Selection, rule: PairRule) -> Iterator[PairDay]:
    """Day by day, by the keys of both. Memory: one day, and the lives of everybody."""
    lives = lives_of(conn)
    for day, found in parties(conn, selection):
        yield from _pairs_of(day, found, lives, rule)


def pair_sums(days: Iterable[PairDay]) -> dict[tuple[int, int], PairSum]:
    """What days sum up to, by the keys of both. Memory: a row for each two individuals."""
    found: dict[tuple[int, int], PairSum] = {}
    for one in days:
        key = one.a.individual_id, one.b.individual_id
        if key not in found:
            found[key] = PairSum(one.a, one.b)
        found[key].add(one)
    return found


def _pairs_of(
    day: date,
    found: dict[int, list[tuple[HandedVideo, list[HandedTrack]]]],
    lives: list[StudyLife],
    rule: PairRule,
) -> Iterator[PairDay]:
    day_no = day_no_of(day)
    there = [one for one in lives if one.there(day_no)]
    best: dict[int, float] = {}
    videos: dict[tuple[int, int], _Meeting] = defaultdict(_Meeting)
    in_party: dict[tuple[int, int], float] = {}
    for films in found.values():
        _look(films, best, videos, in_party)
    seen_there = [one for one in there if one.individual_id in best]
    for first, a in enumerate(there):
        p_a = best.get(a.individual_id)
        if p_a is None:
            others = [one for one in seen_there if one.individual_id > a.individual_id]
        else:
            others = there[first + 1 :]
        for b in others:
            p_b = best.get(b.individual_id)
            key = a.individual_id, b.individual_id
            meeting = videos.get(key) if p_a is not None and p_b is not None else None
            sure = in_party.get(key)
            if meeting is None and (sure is None or rule != "day"):
                yield PairDay(a, b, day, day_no, 0, 0.0, 0, None, int(p_a is not None), int(p_b is not None), p_a, p_b)
                continue
            met = meeting or _Meeting()
            together = rule == "day" or (met.n_videos > 0 if rule == "video" else met.at_once)
            yield PairDay(
                a, b, day, day_no, int(together), met.seconds if together else 0.0, met.n_videos,
                max(sure or 0.0, met.p_joint) if together else None, 1, 1, p_a, p_b,
            )  # fmt: skip


def _look(
    films: list[tuple[HandedVideo, list[HandedTrack]]],
    best: dict[int, float],
    videos: dict[tuple[int, int], _Meeting],
    in_party: dict[tuple[int, int], float],
) -> None:
    """Adds one party: the best sighting of each, pairs of its videos, and pairs of the party with the product of what
    v_party_member says of each."""
    weighed: dict[int, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for film, tracks in films:
        mine = sightings(film, tracks)
        for one in mine:
            best[one.individual_id] = max(best.get(one.individual_id, 0.0), one.probability)
            weighed[one.individual_id][0] += one.probability * one.n_frames
            weighed[one.individual_id][1] += one.n_frames
        for one, other in combinations(mine, 2):
            meeting = videos[one.individual_id, other.individual_id]
            meeting.n_videos += 1
            for track in one.tracks:
                for second in other.tracks:
                    if track.first_s <= second.last_s and second.first_s <= track.last_s:
                        meeting.at_once = True
                        meeting.seconds += _seconds_at_once(film, track, second)
                    meeting.p_joint = max(meeting.p_joint, (track.probability or 0.0) * (second.probability or 0.0))
    sure = {key: total / n for key, (total, n) in weighed.items()}
    for one_id, other_id in combinations(sorted(sure), 2):
        in_party[one_id, other_id] = max(in_party.get((one_id, other_id), 0.0), sure[one_id] * sure[other_id])


def _seconds_at_once(film: HandedVideo, one: HandedTrack, other: HandedTrack) -> float:
    """How long two tracks that overlap ran at once; 0 where nobody knows how long a frame stands for."""
    return min(one.last_s, other.last_s) - max(one.first_s, other.first_s) + seconds_of_a_frame(film)
