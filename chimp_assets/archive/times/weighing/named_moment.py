"""Weighing a file whose name says a moment, to the minute or second.

Belongs here: name and container that agree, contradict each other, or the name alone.
Does not belong here: names that say a day (`named_day`), doubts that hold in any case (`doubts`).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from chimp_assets.archive.times.names import WrittenTime
from chimp_assets.archive.times.weighing.case import DAY, DECADE, SAME, YEAR, TimeCase
from chimp_assets.archive.times.weighing.clocks import Stamp, moments_of_clock
from chimp_assets.archive.times.weighing.doubts import was_reset, with_doubts
from chimp_assets.archive.times.witnesses import Certainty, RecordingTime, Witness


def by_named_moment(case: TimeCase, name: WrittenTime) -> RecordingTime:
    stamp = case.stamp
    if stamp is not None:
        for exactly in (True, False):
            for clock in name.clocks:
                found = _matched(case, name, clock, stamp, exactly)
                if found is not None:
                    return found
        return _contradicted(case, name, stamp)
    best: RecordingTime | None = None
    for clock in name.clocks:
        moments = case.moments_of(name, clock)
        for moment in moments:
            if case.file_supports(moment) or (name.zone is None and case.file_supports_digits(clock)):
                certainty: Certainty = "likely" if name.loose or name.rival else "sure"
                return with_doubts(case, RecordingTime(moment, "file_name", certainty, clock=clock))
        if best is None:
            best = _alone(case, name, clock, moments)
    assert best is not None
    return best


def _alone(case: TimeCase, name: WrittenTime, clock: datetime, moments: list[datetime]) -> RecordingTime:
    """Only the name says when."""
    certainty: Certainty = "likely"
    notes: list[str] = []
    disagree: list[Witness] = []
    asks = None
    if name.loose or name.rival:
        certainty = "unsure"
        notes.append("The name may be read in another way." if name.loose else "The name holds two dates.")
    if len(name.readings) > 1:
        certainty, asks = "unsure", "date_order"
        notes.append("Day and month of the name may be exchanged.")
    elif not case.rules.order_is_stated and name.readings[0][0] in ("dmy", "mdy") and clock.day <= 12:
        notes.append("Day and month are read as in other names of this camera.")
    if len(moments) > 1:
        certainty = "unsure"
        notes.append(
            "The clock of the name went back in that hour."
            if _is_twice(clock, case)
            else "No clock of this zone shows that hour."
        )
    if case.file_is_older(moments[0]):
        certainty = "unsure"
        disagree.append("file_time")
        notes.append("The file is older than its name says.")
    found = RecordingTime(moments[0], "file_name", certainty, tuple(disagree), " ".join(notes), clock, asks)
    return with_doubts(case, found)


def _matched(case: TimeCase, name: WrittenTime, clock: datetime, stamp: Stamp, exactly: bool) -> RecordingTime | None:
    """Name and container agree, as moments or as digits."""
    slack = (SAME if name.resolution == "second" else timedelta(minutes=1)) if exactly else case.span
    certainty: Certainty = "sure" if exactly or name.zone is not None else "likely"
    for moment in case.moments_of(name, clock):
        if stamp.as_utc is not None and abs(stamp.as_utc - moment) <= slack:
            # Of beginning and end the beginning is wanted.
            first = stamp.as_utc if exactly and name.resolution == "second" else min(stamp.as_utc, moment)
            if exactly and name.resolution == "minute":
                first = stamp.as_utc
            return with_doubts(case, RecordingTime(first, stamp.witness, certainty, clock=clock))
    if stamp.as_local is not None and name.zone is None and abs(stamp.clock - clock) <= slack:
        moments = [m for m in case.moments_of(name, clock) if case.file_supports(m)] or case.moments_of(name, clock)
        twice = len(moments) > 1
        first = moments[0] + (min(stamp.clock, clock) - clock if not exactly else timedelta(0))
        note = "" if stamp.as_utc is None else f"The {stamp.noun}'s time is local time written as UTC."
        if twice:
            note = f"{note} The clock of the name went back in that hour.".strip()
        # A camera whose zone is set to UTC looks the same: its file was then written just after.
        if stamp.witness == "exif" and exactly and not twice:
            # The same clock, to parts of a second.
            return with_doubts(case, RecordingTime(stamp.as_local, "exif", certainty, clock=stamp.clock))
        by_utc = stamp.as_utc is not None and not stamp.has_one_reading and case.file_supports(stamp.as_utc)
        if by_utc and not case.file_supports(first):
            certainty = "likely"
        return with_doubts(case, RecordingTime(first, "file_name", "unsure" if twice else certainty, (), note, clock))
    return None


def _contradicted(case: TimeCase, name: WrittenTime, stamp: Stamp) -> RecordingTime:
    """Name and container cannot both be right."""
    clock = name.clocks[0]
    moment = case.moments_of(name, clock)[0]
    gap = stamp.likeliest - moment
    asks = "date_order" if len(name.readings) > 1 else None
    clear = not (name.loose or name.rival or asks)
    supported = any(case.file_supports(m) for m in case.moments_of(name, clock)) or case.file_supports_digits(clock)
    if was_reset(case, stamp, gap):
        certainty: Certainty = "unsure"
        if clear and not case.file_is_older(moment) and not case.is_reset(clock):
            certainty = "sure" if supported else "likely"
        note = f"The clock of the {stamp.noun} was reset: it shows {stamp.clock}."
        return with_doubts(case, RecordingTime(moment, "file_name", certainty, (stamp.witness,), note, clock, asks))
    if gap > DAY:
        # Written again later: converted, cut, exported.
        certainty = "likely" if clear and gap > YEAR and not case.file_is_older(moment) else "unsure"
        note = f"The {stamp.noun} was written later ({stamp.clock}) than the name says."
        return with_doubts(case, RecordingTime(moment, "file_name", certainty, (stamp.witness,), note, clock, asks))
    if gap < -DECADE:
        note = f"The {stamp.noun}'s time ({stamp.clock}) is years before the name's."
        return RecordingTime(
            moment, "file_name", "likely" if supported and clear else "unsure", (stamp.witness,), note, clock, asks
        )
    if gap < -DAY:
        note = f"The name says {clock}, the {stamp.noun} {stamp.clock}."
        return with_doubts(
            case, RecordingTime(stamp.likeliest, stamp.witness, "unsure", ("file_name",), note, stamp.clock, asks)
        )
    return _within_a_day(case, name, stamp, clock, moment, asks)


def _within_a_day(
    case: TimeCase, name: WrittenTime, stamp: Stamp, clock: datetime, moment: datetime, asks: str | None
) -> RecordingTime:
    by_file = [m for m in stamp.moments if case.file_supports(m)]
    named = [m for m in case.moments_of(name, clock) if case.file_supports(m)]
    half = timedelta(hours=12)
    for reading in (stamp.as_local, stamp.as_utc):
        if reading is not None and name.zone is None and abs(abs(reading - moment) - half) <= SAME:
            note = f"The name is twelve hours from the {stamp.noun}: AM and PM are not told apart in one of them."
            certainty: Certainty = "likely" if case.file_supports(reading) and not named else "unsure"
            return RecordingTime(reading, stamp.witness, certainty, ("file_name",), note, stamp.clock, asks)
    if named and not by_file and not asks:
        note = f"The {stamp.noun} says {stamp.clock}; the file's date agrees with the name."
        return with_doubts(case, RecordingTime(named[0], "file_name", "likely", (stamp.witness,), note, clock))
    if by_file and not named:
        note = f"The name says {clock}; the file's date agrees with the {stamp.noun}."
        return with_doubts(case, RecordingTime(by_file[0], "container", "likely", ("file_name",), note, stamp.clock))
    quarter = timedelta(minutes=15)
    in_zones = min(abs(stamp.likeliest - moment) % quarter, quarter - abs(stamp.likeliest - moment) % quarter) <= SAME
    note = f"The name says {clock}, the {stamp.noun} {stamp.clock}" + (
        ": the clocks run in different zones." if in_zones else "."
    )
    return RecordingTime(stamp.likeliest, stamp.witness, "unsure", ("file_name",), note, stamp.clock, asks)


def _is_twice(clock: datetime, case: TimeCase) -> bool:
    moment = moments_of_clock(clock, case.rules.zone)[0]
    return moment.astimezone(case.rules.zone).replace(tzinfo=None) == clock
