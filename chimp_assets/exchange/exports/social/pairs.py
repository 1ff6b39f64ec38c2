"""Days of two individuals among the chosen tracks: what edge models are made of.

Belongs here: v_dyad_event for a selection, day by day, and its sums over days. Does not belong here: formats, groups
(`groups`). Without a selection the rows are those of the view.

The sampling unit is a day on which at least one of the two was seen while both were alive and under study, as in
v_dyad; or a video, or some minutes of the clock, instead of a day.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import combinations
from typing import Literal

import sqlalchemy as sa

from chimp_assets.exchange.exports.export import ExportError, ExportOption
from chimp_assets.exchange.exports.footage import HandedTrack, HandedVideo
from chimp_assets.exchange.exports.pieces.animals import seconds_of_a_frame
from chimp_assets.exchange.exports.pieces.lives import StudyLife, lives_of
from chimp_assets.exchange.exports.pieces.times import day_no_of, in_utc
from chimp_assets.exchange.exports.selection import Selection
from chimp_assets.exchange.exports.social.groups import parties, sightings

PairRule = Literal["moment", "video", "day"]
PAIR_RULES = ("moment", "video", "day")
RULE_OPTION = ExportOption(
    "rule", "two are together at the same moment, in one video, or at one camera on one day", "video", PAIR_RULES
)
"""Visible at the same moment; in one video; at one camera on one day."""
UNIT_OPTION = ExportOption(
    "unit", "what counts once: a day, a video, or a number of minutes of the clock, such as 10", "day"
)
_LONGEST_MINUTES = 1440


@dataclass(frozen=True)
class Unit:
    """A sampling unit. minutes: of the clock (UTC), from midnight on, where kind is `minutes`."""

    kind: Literal["day", "video", "minutes"]
    minutes: int = 0

    @property
    def words(self) -> str:
        """For people: one unit."""
        return f"window of {self.minutes} minutes" if self.kind == "minutes" else self.kind

    @property
    def file(self) -> str:
        """What its rows are called."""
        return "days.csv" if self.kind == "day" else "units.csv"


DAY = Unit("day")


def unit_of(text: str, rule: str) -> Unit:
    """The unit that an option says. Raises ExportError where it is none, or the rule is about whole days."""
    if text == "day":
        return DAY
    if rule == "day":
        raise ExportError("Together at one camera on one day needs the day as unit.", "Write unit=day, or rule=video.")
    if text == "video":
        return Unit("video")
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= _LONGEST_MINUTES):
        raise ExportError(
            f"{text!r} is no sampling unit.", f"Write day, video, or minutes from 1 to {_LONGEST_MINUTES}: unit=10."
        )
    return Unit("minutes", int(text))


@dataclass(frozen=True, slots=True)
class PairDay:
    """Two individuals (a.individual_id < b.individual_id) in a unit in which one of them was seen.

    unit: the day, the video_id, or the moment at which the window begins; together: 0 or 1; seconds: visible at the
    same moment, 0 where not together; p_joint: that both names are right, of the best pair of tracks, None where they
    were not together; p_a, p_b: of the best sighting of each.
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
    unit: str = ""


@dataclass(slots=True)
class PairSum:
    """Two individuals over all units (days). days: in which one of them was seen; x: together; days_a, days_b: seen;
    p_sum: of p_joint, the units together that are expected where each name is as sure as it says."""

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


_Films = dict[int, list[tuple[HandedVideo, list[HandedTrack]]]]
"""Videos with their tracks, by party_id."""


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
    return pair_units(conn, selection, rule, DAY)


def pair_units(
    conn: sa.Connection,
    selection: Selection,
    rule: PairRule,
    unit: Unit,
    left_out: Callable[[int], None] = lambda n: None,
) -> Iterator[PairDay]:
    """Unit by unit, by the keys of both. left_out: told of videos without a recording time, which no window of minutes
    can hold. Memory: one day, and the lives of everybody."""
    lives = lives_of(conn)
    for day, found in parties(conn, selection):
        for name, films in _units(day, found, unit, left_out):
            yield from _pairs_of(day, films, lives, rule, name)


def _units(day: date, found: _Films, unit: Unit, left_out: Callable[[int], None]) -> Iterator[tuple[str, _Films]]:
    if unit.kind == "day":
        yield day.isoformat(), found
    elif unit.kind == "video":
        for party, films in found.items():
            for film, tracks in films:
                yield str(film.video_id), {party: [(film, tracks)]}
    else:
        windows: dict[int, _Films] = defaultdict(lambda: defaultdict(list))
        length = 60 * unit.minutes
        for party, films in found.items():
            for film, tracks in films:
                if film.recorded_at is None:
                    left_out(1)
                else:
                    windows[int(film.recorded_at.timestamp()) // length][party].append((film, tracks))
        for number, inside in sorted(windows.items()):
            yield in_utc(datetime.fromtimestamp(number * length, UTC)), dict(inside)


def pair_sums(days: Iterable[PairDay]) -> dict[tuple[int, int], PairSum]:
    """What days sum up to, by the keys of both. Memory: a row for each two individuals."""
    found: dict[tuple[int, int], PairSum] = {}
    for one in days:
        key = one.a.individual_id, one.b.individual_id
        if key not in found:
            found[key] = PairSum(one.a, one.b)
        found[key].add(one)
    return found


def _pairs_of(day: date, found: _Films, lives: list[StudyLife], rule: PairRule, unit: str) -> Iterator[PairDay]:
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
                seen_a, seen_b = int(p_a is not None), int(p_b is not None)
                yield PairDay(a, b, day, day_no, 0, 0.0, 0, None, seen_a, seen_b, p_a, p_b, unit)
                continue
            met = meeting or _Meeting()
            together = rule == "day" or (met.n_videos > 0 if rule == "video" else met.at_once)
            yield PairDay(
                a, b, day, day_no, int(together), met.seconds if together else 0.0, met.n_videos,
                max(sure or 0.0, met.p_joint) if together else None, 1, 1, p_a, p_b, unit,
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
