"""Weighing a file whose name says nothing: its container, its folder, its own date.

Belongs here: what remains where no name helps. Does not belong here: films that were digitised (`old_material`).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from chimp_assets.archive.times.weighing.case import COLLECTED, DECADE, TimeCase
from chimp_assets.archive.times.weighing.clocks import Stamp
from chimp_assets.archive.times.weighing.doubts import with_doubts
from chimp_assets.archive.times.witnesses import Certainty, RecordingTime, Witness


def without_name(case: TimeCase) -> RecordingTime:
    stamp = case.stamp
    if stamp is None:
        return without_clock(case)
    by_file = [moment for moment in stamp.moments if case.file_supports(moment)]
    by_folder = [moment for moment in stamp.moments if case.folder_supports(moment)]
    if case.is_reset(stamp.clock) and not by_folder:
        return _lost_time(case, stamp)
    chosen = (by_file or by_folder or stamp.moments)[0]
    notes = []
    certainty: Certainty = "likely"
    if stamp.firm or stamp.has_one_reading:
        certainty = "sure" if by_file or by_folder else "likely"
    elif chosen != stamp.likeliest:
        notes.append(f"The {stamp.noun}'s time is local time written as UTC, by the file's date." if by_file else "")
    elif not by_file:
        notes.append(f"Whether the {stamp.noun}'s time is UTC or local is not known; it is taken for UTC.")
    disagree: list[Witness] = []
    if case.modified is not None and case.modified < min(stamp.moments) - timedelta(hours=26):
        certainty = "unsure"
        disagree.append("file_time")
        notes.append(f"The file is older ({case.modified:%Y-%m-%d}) than its {stamp.noun} says.")
    if not by_folder and not by_file and case.file_is_a_year_later(stamp.likeliest):
        certainty = "unsure"
        disagree.append("file_time")
        notes.append("The file was written a year later to the hour: the year of the camera may be set wrong.")
    if not by_file and case.folder_is_much_earlier(stamp.likeliest):
        certainty = "unsure"
        disagree.append("folder")
        notes.append("The folder names a day more than a year before: the file may have been converted later.")
    folder_and_file = case.modified is not None and case.folder_supports(case.modified)
    if folder_and_file and not by_folder and not by_file:
        certainty = "unsure"
        disagree += ["folder", "file_time"]
        notes.append("The folder and the file's date say another day.")
    note = " ".join(one for one in notes if one)
    return with_doubts(case, RecordingTime(chosen, stamp.witness, certainty, tuple(disagree), note, stamp.clock))


def _lost_time(case: TimeCase, stamp: Stamp) -> RecordingTime:
    """The container alone, and it shows what a clock shows that has lost its time."""
    note = f"The {stamp.noun} shows {stamp.clock}, as a clock does that was reset."
    instead = without_clock(case)
    later = instead.moment is not None and instead.moment - stamp.likeliest > timedelta(days=200)
    if later:
        return replace(instead, certainty="unsure", disagree=(stamp.witness,), note=f"{note} {instead.note}".strip())
    if case.file_supports(stamp.likeliest) and stamp.clock.hour > 0 and stamp.clock.year >= 2005:
        # New Year's Day, and the file was written then: still the same clock.
        return RecordingTime(stamp.likeliest, stamp.witness, "unsure", (), note, stamp.clock)
    return RecordingTime(stamp.likeliest, stamp.witness, "unsure", (), note, stamp.clock)


def without_clock(case: TimeCase) -> RecordingTime:
    """A folder and the date of the file."""
    folder, modified = case.folder, case.modified
    if folder is not None and folder.resolution == "year":
        clock = folder.clocks[0]
        if modified is None or modified.replace(tzinfo=None) - clock > DECADE:
            note = "Only the folder says a year, and the file's date is that of a copy."
            disagree: tuple[Witness, ...] = () if modified is None else ("file_time",)
            return RecordingTime(case.moments_of(folder, clock)[0], "folder", "unsure", disagree, note, clock)
        folder = None
    if folder is None:
        if modified is None:
            return RecordingTime(None, None, "unsure", note="Nothing says when it was recorded.")
        return RecordingTime(
            modified, "file_time", "unsure", note="Only the file's date is known: it may be that of a copy."
        )
    clock = folder.clocks[0]
    moment = case.moments_of(folder, clock)[0]
    asks = "date_order" if len(folder.readings) > 1 else None
    days = {one.date() for one in folder.clocks}
    if modified is not None and folder.resolution != "year":
        if case.day_of(modified).date() in days:
            return RecordingTime(modified, "file_time", "likely", note="The file was written on the day of its folder.")
        before = moment - modified
        if timedelta(0) < before and not asks:
            # Cards are collected after they were filled: the folder says when, the file when it was recorded.
            certainty: Certainty = "likely" if before < COLLECTED and not case.is_reset(modified) else "unsure"
            note = f"The folder ({clock:%Y-%m-%d}) is named by a later day, such as that of collecting the card."
            return RecordingTime(modified, "file_time", certainty, ("folder",), note)
    note = "Only the folder says a day, which may be that of collecting the card."
    return RecordingTime(moment, "folder", "unsure", (), note, clock, asks)
