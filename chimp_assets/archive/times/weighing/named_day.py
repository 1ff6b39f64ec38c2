"""Weighing a file whose name says a day.

Belongs here: the day of the name with the time of day that container or file give it.
Does not belong here: names that say a moment (`named_moment`), doubts that hold in any case (`doubts`).
"""

from __future__ import annotations

from dataclasses import replace

from chimp_assets.archive.times.names import WrittenTime
from chimp_assets.archive.times.weighing.case import DAY, DECADE, YEAR, TimeCase
from chimp_assets.archive.times.weighing.doubts import was_reset, with_doubts
from chimp_assets.archive.times.witnesses import Certainty, RecordingTime, Witness


def by_named_day(case: TimeCase, name: WrittenTime) -> RecordingTime:
    days = {clock.date(): clock for clock in name.clocks}
    stamp = case.stamp
    asks = "date_order" if len(name.readings) > 1 else None
    if stamp is not None:
        fits = [moment for moment in stamp.moments if case.day_of(moment).date() in days]
        if fits:
            by_file = [moment for moment in fits if case.file_supports(moment)]
            both = len(set(fits)) > 1
            chosen = (by_file or fits)[0]
            # A card's date that is read as UTC agrees with local time written as UTC: it proves only the local reading.
            settled = stamp.has_one_reading or stamp.firm or (len(by_file) == 1 and chosen == stamp.as_local)
            certainty: Certainty = "sure" if settled and not name.rival and len(days) == 1 else "likely"
            note = "" if chosen == stamp.likeliest else f"The {stamp.noun}'s time is local time written as UTC."
            if both and not by_file:
                note = f"Whether the {stamp.noun}'s time is UTC or local is not known; it is taken for UTC."
            return with_doubts(case, RecordingTime(chosen, stamp.witness, certainty, (), note, stamp.clock))
        clock = name.clocks[0]
        moment = case.moments_of(name, clock)[0]
        gap = stamp.likeliest - moment
        if was_reset(case, stamp, gap):
            note = f"The clock of the {stamp.noun} was reset: it shows {stamp.clock}."
            return _day_of_name(case, name, note, (stamp.witness,), asks)
        if gap > YEAR:
            note = f"The {stamp.noun} was written later ({stamp.clock}) than the name says."
            return _day_of_name(case, name, note, (stamp.witness,), asks)
        if gap > DAY and case.file_supports(stamp.likeliest) and not asks:
            note = f"The {stamp.noun} was written later ({stamp.clock}) than the name says."
            verdict = _day_of_name(case, name, note, (stamp.witness,), asks)
            return replace(verdict, certainty="unsure")
        note = f"The name says {clock:%Y-%m-%d}, the {stamp.noun} {stamp.clock}."
        certainty = "unsure"
        if gap < -DECADE:
            return replace(_day_of_name(case, name, note, (stamp.witness,), asks), certainty="unsure")
        return RecordingTime(stamp.likeliest, stamp.witness, certainty, ("file_name",), note, stamp.clock, asks)
    return _day_of_name(case, name, "", (), asks)


def _day_of_name(
    case: TimeCase, name: WrittenTime, note: str, disagree: tuple[Witness, ...], asks: str | None
) -> RecordingTime:
    """The name's day, with the time of day of the file where it was written on that day."""
    days = {clock.date(): clock for clock in name.clocks}
    if case.modified is not None and case.day_of(case.modified).date() in days:
        text = f"{note} The file was written on the day of its name.".strip()
        certainty: Certainty = "unsure" if name.rival or len(days) > 1 else "likely"
        return with_doubts(case, RecordingTime(case.modified, "file_time", certainty, disagree, text))
    clock = name.clocks[0]
    moment = case.moments_of(name, clock)[0]
    certainty = "unsure" if asks or name.rival or name.loose else "day"
    if asks:
        note = f"{note} Day and month of the name may be exchanged.".strip()
    if case.file_is_older(moment):
        certainty, disagree = "unsure", (*disagree, "file_time")
        note = f"{note} The file is older than its name says.".strip()
    note = f"{note} Only the day is known.".strip()
    return with_doubts(case, RecordingTime(moment, "file_name", certainty, disagree, note, clock, asks))
