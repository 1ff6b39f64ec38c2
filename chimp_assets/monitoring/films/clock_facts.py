"""What a camera's clocks show: back at their first day, shifted by an hour, or running backwards from file to file.

Belongs here: reading clocks from what their witnesses said (`archive.times`), on plain values. Does not belong here:
which time a video is given (`archive.times.weighing`), rows and alerts (`facts`).

A clock that is wrong alone cannot be seen; two that no longer differ as they used to, can: the moment in a file's name,
in its container and the date of the file are written one after the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import PurePosixPath
from statistics import median

from chimp_assets.archive.times.names import written_in_name
from chimp_assets.archive.times.neighbours import rules_of
from chimp_assets.archive.times.weighing.clocks import stamp_of
from chimp_assets.archive.times.witnesses import Witnesses
from chimp_assets.settings import Settings

HOUR_S = 3600.0
SLACK_S = 180.0
"""Between two clocks that say the same: a file is closed some time after its name was made."""
_DAY_S = 86_400.0
_HABIT = 5
_MOST_OF = 0.8
# A file that was copied may have the date of the copy: days of difference say nothing.
_HOURS_ONLY = ("file_name|file_time", "container|file_time", "exif|file_time")
_COUNTED = re.compile(r"^(?P<prefix>.*?)(?P<counter>\d{3,6})$")
_NEXT = 3
_EPOCHS = {(1999, 11, 30), (1979, 12, 31), (1999, 12, 31), (2036, 2, 7)}


@dataclass(frozen=True)
class ClockChange:
    """A clock that changed: `clock_hour` or `clock_jump`, in words before and after, and by how many minutes."""

    signal: str
    before: str
    after: str
    value: int


def is_at_factory_day(day: date, certainty: str | None) -> bool:
    """Whether a day that the weighing of times doubts is one on which clocks begin that have lost their time."""
    starts = (day.month, day.day) == (1, 1) or (day.year, day.month, day.day) in _EPOCHS or day.year < 1995
    return certainty == "unsure" and starts


def clock_offsets(uri: str, witnesses: str | None, duration_s: float | None, settings: Settings) -> dict[str, float]:
    """Seconds between each two clocks of a file, by `one|other`; without those that it has not."""
    if witnesses is None:
        return {}
    seen = Witnesses.of_text(uri, witnesses)
    clocks: dict[str, datetime] = {}
    written = written_in_name(uri)
    if written is not None and written.resolution not in ("day", "year") and len(written.readings) == 1:
        clocks["file_name"] = written.clocks[0].replace(tzinfo=None)
    stamp = stamp_of(seen, rules_of(settings, datetime.max.replace(year=9000, tzinfo=UTC)))
    inside = "container" if stamp is None else stamp.witness
    if stamp is not None:
        clocks[inside] = stamp.clock
    found = {}
    if seen.modified is not None:
        clocks["file_time"] = seen.modified.replace(tzinfo=None)
    for one, other in (("file_name", inside), ("file_name", "file_time"), (inside, "file_time")):
        if one in clocks and other in clocks:
            length = (duration_s or 0.0) if other == "file_time" else 0.0
            found[f"{one}|{other}"] = (clocks[other] - clocks[one]).total_seconds() - length
    return found


def shifted(before: Sequence[Mapping[str, float]], here: Mapping[str, float]) -> ClockChange | None:
    """How a file's clocks differ from the habit of the files before it; None if as ever, or if there is no habit."""
    for pair, offset in here.items():
        others = [one[pair] for one in before if pair in one]
        if len(others) < _HABIT or any(abs(one - offset) <= SLACK_S for one in others):
            continue
        usual = median(others)
        if sum(abs(one - usual) <= SLACK_S for one in others) < _MOST_OF * len(others):
            continue
        change = offset - usual
        an_hour = abs(abs(change) - HOUR_S) <= SLACK_S
        if an_hour or (abs(change) >= _DAY_S and pair not in _HOURS_ONLY):
            signal = "clock_hour" if an_hour else "clock_jump"
            return ClockChange(signal, _words(pair, usual), _words(pair, offset), round(change / 60))
    return None


def back_in_sequence(files: Sequence[tuple[str, datetime]]) -> Iterator[tuple[int, ClockChange]]:
    """Files (uri, time) whose name counts on from another that is later than they are: their place, and the change."""
    counted: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for place, (uri, _) in enumerate(files):
        path = PurePosixPath(uri)
        if (match := _COUNTED.match(path.stem)) and written_in_name(uri) is None:
            counted.setdefault((str(path.parent), match["prefix"]), []).append((int(match["counter"]), place))
    for run in counted.values():
        run.sort()
        for (number, earlier), (following, later) in pairwise(run):
            back_s = (files[earlier][1] - files[later][1]).total_seconds()
            if 0 < following - number <= _NEXT and back_s > SLACK_S:
                signal = "clock_hour" if back_s <= HOUR_S + SLACK_S else "clock_jump"
                before, after = (f"{files[n][1]:%Y-%m-%d %H:%M}" for n in (earlier, later))
                yield later, ClockChange(signal, before, after, -round(back_s / 60))


def _words(pair: str, offset: float) -> str:
    one, other = (name.replace("_", " ") for name in pair.split("|"))
    return f"{other} {offset / 60:+.0f} min from {one}"
