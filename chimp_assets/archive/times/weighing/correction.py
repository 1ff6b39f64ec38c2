"""What a correction of a camera's clock does to the verdict on one video.

Belongs here: `Correction` and `corrected`. Does not belong here: rows of corrections (`standing`, `corrections`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo

from chimp_assets.archive.times.names import written_in_name
from chimp_assets.archive.times.weighing.clocks import moment_of, stamp_of
from chimp_assets.archive.times.witnesses import Certainty, RecordingTime, Rules, Witnesses


@dataclass(frozen=True)
class Correction:
    """A person's correction of a clock: it was offset_s seconds slow, ran in a zone, or showed `showed` at `true_at`.

    correction_id: of its row.
    """

    correction_id: int
    offset_s: int | None = None
    zone: tzinfo | None = None
    showed: datetime | None = None
    true_at: datetime | None = None

    @property
    def slow(self) -> timedelta:
        """What is added to what the clock showed."""
        return timedelta(seconds=self.offset_s or 0)


def corrected(seen: Witnesses, rules: Rules, verdict: RecordingTime, correction: Correction) -> RecordingTime:
    """The verdict after a person's correction of the camera's clock; as it was where the correction cannot be applied.

    An offset is added to what was found. A zone says where the digits of the clock (name, else container) belong. A
    reset gives what the clock showed at a true moment: the container's digits, else the name's, are counted from there.
    """
    stamp, name = stamp_of(seen, rules), written_in_name(seen.uri)
    exact = name is not None and name.resolution in ("second", "minute") and not name.hidden
    moment: datetime | None = None
    witness = verdict.witness
    if correction.showed is not None and correction.true_at is not None:
        digits: datetime | None = None
        if stamp is not None:
            digits, witness = stamp.clock, stamp.witness
        elif exact and name is not None:
            digits, witness = name.clocks[0], "file_name"
        elif seen.modified is not None:
            digits, witness = seen.modified.astimezone(rules.zone).replace(tzinfo=None), "file_time"
        if digits is None or not correction.showed <= digits or moment_of(digits, rules.zone) >= correction.true_at:
            return verdict
        moment = correction.true_at + (digits - correction.showed)
    elif correction.zone is not None:
        if exact and name is not None and name.zone is None and verdict.witness in ("file_name", "container", "exif"):
            digits = name.clocks[0] if verdict.clock is None else verdict.clock
            digits = digits if digits in name.clocks else name.clocks[0]
            moment, witness = moment_of(digits, correction.zone), "file_name"
        elif stamp is not None and stamp.as_local is not None and verdict.witness == stamp.witness:
            moment = moment_of(stamp.clock, correction.zone)
        elif verdict.certainty == "day" and verdict.clock is not None:
            moment = moment_of(verdict.clock, correction.zone)
        if moment is None:
            return verdict
        moment += correction.slow
    elif correction.offset_s is not None and verdict.moment is not None:
        moment = verdict.moment + correction.slow
    if moment is None:
        return verdict
    better: dict[str, Certainty] = {"sure": "sure", "likely": "sure", "day": "day", "unsure": "likely"}
    certainty = better[verdict.certainty]
    if correction.showed is not None:
        certainty = "sure" if witness != "file_time" else "unsure"
    elif verdict.asks or verdict.witness in ("file_time", "folder"):
        certainty = verdict.certainty
    note = f"Correction {correction.correction_id} was applied." + (f" {verdict.note}" if verdict.note else "")
    return replace(
        verdict, moment=moment, witness=witness, certainty=certainty, note=note, correction_id=correction.correction_id
    )
