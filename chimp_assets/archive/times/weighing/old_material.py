"""Weighing films and tapes that were digitised: name or folder speak of a time decades before the container's."""

from __future__ import annotations

from chimp_assets.archive.times.weighing.case import DECADE, TimeCase
from chimp_assets.archive.times.witnesses import Certainty, RecordingTime, Witness


def of_old_material(case: TimeCase) -> RecordingTime | None:
    """A film or tape that was digitised: name or folder speak of a time decades before the container's."""
    written, folder = case.name, case.folder
    witness: Witness = "file_name"
    if (
        folder is not None
        and folder.resolution != "year"
        and (written is None or written.clocks[0] - folder.clocks[0] > DECADE)
    ):
        written, witness = folder, "folder"
    if written is None or len(written.readings) > 1 or written.hidden or written.clocks[0].year >= 2000:
        return None
    clock = written.clocks[0]
    other: Witness = case.stamp.witness if case.stamp is not None else "file_time"
    made = case.stamp.clock if case.stamp is not None else case.modified and case.modified.replace(tzinfo=None)
    if made is None or made - clock < DECADE or (case.stamp is not None and case.is_reset(made)):
        return None
    certainty: Certainty = "day"
    if written.resolution == "year" or (witness == "folder" and case.name is not None):
        certainty = "unsure"
    elif written.resolution in ("second", "minute"):
        certainty = "unsure" if written.loose or written.rival else "likely"
    what = "folder" if witness == "folder" else "name"
    known = {"year": "Only the year is known.", "day": "Only the day is known."}.get(written.resolution, "")
    note = f"Old material: the {what} says {clock.year}; it was digitised or copied on {made:%Y-%m-%d}. {known}"
    return RecordingTime(case.moments_of(written, clock)[0], witness, certainty, (other,), note.strip(), clock)
