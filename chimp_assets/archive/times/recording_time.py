"""When a video was recorded: its witnesses are weighed, and what is not clear is called so.

Belongs here: one function from the witnesses of a file (container or EXIF, name, folder, the file's date) to a verdict.
Everything here can be done again without reading a file. The steps are in `weighing`.
Does not belong here: reading a file (`probe`), names (`names`), rows and neighbours (`rows`, `neighbours`).

Witnesses are compared, not ranked.
"""

from __future__ import annotations

from dataclasses import replace

from chimp_assets.archive.times.names import WrittenTime
from chimp_assets.archive.times.weighing.case import TimeCase
from chimp_assets.archive.times.weighing.named_day import by_named_day
from chimp_assets.archive.times.weighing.named_moment import by_named_moment
from chimp_assets.archive.times.weighing.old_material import of_old_material
from chimp_assets.archive.times.weighing.unnamed import without_name
from chimp_assets.archive.times.witnesses import RecordingTime, Rules, Witnesses


def weigh(seen: Witnesses, rules: Rules) -> RecordingTime:
    """When a video was recorded, from what its file says. Pure: the same witnesses and rules give the same verdict."""
    case = TimeCase(seen, rules)
    verdict = _verdict(case)
    notes = [*case.notes, *([verdict.note] if verdict.note else [])]
    disagree = dict.fromkeys([*case.dropped, *verdict.disagree])
    disagree.pop(verdict.witness, None)  # type: ignore[arg-type]
    clock = verdict.clock
    if clock is None and verdict.moment is not None:
        clock = verdict.moment.astimezone(rules.zone).replace(tzinfo=None)
    return replace(verdict, note=" ".join(notes), disagree=tuple(disagree), clock=clock)


def _verdict(case: TimeCase) -> RecordingTime:
    old = of_old_material(case)
    if old is not None:
        return old
    name = case.name
    if name is not None and (name.resolution == "year" or (name.hidden and not _confirmed(case, name))):
        name = None
    if name is None:
        return without_name(case)
    if name.resolution == "day":
        return by_named_day(case, name)
    return by_named_moment(case, name)


def _confirmed(case: TimeCase, name: WrittenTime) -> bool:
    """Whether digits that may be anything are the day that another witness says."""
    days = {clock.date() for clock in name.clocks}
    if case.stamp is not None and {case.day_of(moment).date() for moment in case.stamp.moments} & days:
        return True
    return case.modified is not None and case.day_of(case.modified).date() in days
