"""Doubts that hold whichever witness wins.

Belongs here: clocks that were reset, files older than their time, folders that name another day.
Does not belong here: choosing a witness (`named_moment`, `named_day`, `unnamed`).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from chimp_assets.archive.times.weighing.case import COLLECTED, DAY, DECADE, TimeCase
from chimp_assets.archive.times.weighing.clocks import Stamp
from chimp_assets.archive.times.witnesses import Certainty, RecordingTime


def with_doubts(case: TimeCase, verdict: RecordingTime) -> RecordingTime:
    """Doubts that hold whoever has won: one clock that was reset convinces name, container and file alike."""
    moment = verdict.moment
    if moment is None or verdict.certainty == "unsure":
        return verdict
    clock = verdict.clock or moment.astimezone(case.rules.zone).replace(tzinfo=None)
    local = moment.astimezone(case.rules.zone).replace(tzinfo=None)
    notes, disagree = [], list(verdict.disagree)
    certainty: Certainty = verdict.certainty
    if case.is_reset(clock) or case.is_reset(local):
        # A folder that a person named by the day speaks for it; that both fall on one New Year's Day may be chance.
        by_folder = case.folder_supports(moment)
        certainty = "unsure" if not by_folder else "likely" if certainty == "sure" else certainty
        notes.append("A clock that was reset shows this day.")
    if certainty == "sure" and case.file_is_older(moment):
        certainty = "unsure"
        disagree.append("file_time")
        notes.append("The file is older than that.")
    folder = case.folder
    if folder is not None and folder.resolution != "year" and len(folder.readings) == 1 and not folder.loose:
        later = folder.clocks[0] - local
        if later > COLLECTED and certainty in ("sure", "likely"):
            certainty = "unsure"
            disagree.append("folder")
            notes.append(f"The folder names a much later day ({folder.clocks[0]:%Y-%m-%d}).")
    if folder is not None and folder.resolution == "year" and local - folder.clocks[0] > DECADE:
        certainty = "unsure"
        disagree.append("folder")
        notes.append(f"The folder says {folder.clocks[0].year}: it may be old material that was digitised.")
    note = " ".join([*([verdict.note] if verdict.note else []), *notes])
    return replace(verdict, certainty=certainty, disagree=tuple(disagree), note=note)


def was_reset(case: TimeCase, stamp: Stamp, gap: timedelta) -> bool:
    """Whether the container's clock lies before the name as only a clock can that has lost its time."""
    if gap > -DAY or not case.is_reset(stamp.clock):
        return False
    return gap < -timedelta(days=200) or stamp.clock.hour == 0
