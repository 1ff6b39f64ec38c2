"""Weighing films and tapes that were digitised: name or folder speak of a time decades before the container's."""

from __future__ import annotations

from chimp_assets.archive.times.weighing.case import DECADE, Case
from chimp_assets.archive.times.witnesses import Certainty, RecordingTime, Witness


def of_old_material(case: Case) -> RecordingTime | None:
    """A film or tape that was digitised: name or folder speak of a time decades before the container's."""
    said, folder = case.name, case.folder
    witness: Witness = "file_name"
    if (
        folder is not None
        and folder.resolution != "year"
        and (said is None or said.clocks[0] - folder.clocks[0] > DECADE)
    ):
        said, witness = folder, "folder"
    if said is None or len(said.readings) > 1 or said.hidden or said.clocks[0].year >= 2000:
        return None
    clock = said.clocks[0]
    other: Witness = "container" if case.stamp is not None else "file_time"
    made = case.stamp.clock if case.stamp is not None else case.modified and case.modified.replace(tzinfo=None)
    if made is None or made - clock < DECADE or (case.stamp is not None and case.is_reset(made)):
        return None
    certainty: Certainty = "day"
    if said.resolution == "year" or (witness == "folder" and case.name is not None):
        certainty = "unsure"
    elif said.resolution in ("second", "minute"):
        certainty = "unsure" if said.loose or said.rival else "likely"
    what = "folder" if witness == "folder" else "name"
    known = {"year": "Only the year is known.", "day": "Only the day is known."}.get(said.resolution, "")
    note = f"Old material: the {what} says {clock.year}; it was digitised or copied on {made:%Y-%m-%d}. {known}"
    return RecordingTime(case.moments_of(said, clock)[0], witness, certainty, (other,), note.strip(), clock)
