"""Clocks as moments: the time that a container holds, and what the digits of a clock are in UTC.

Belongs here: reading the tags of a container, zones, hours that a clock shows twice.
Does not belong here: reading a file (`probe`), which clock is believed (`recording_time`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from chimp_assets.archive.times.witnesses import EXIF_TAGS, TIME_TAGS, Rules, Witness, Witnesses

_FORMATS = ("%a %b %d %H:%M:%S %Y", "%Y:%m:%d %H:%M:%S", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d/ %H:%M")
FIRST_DIGITAL_YEAR = 1990


@dataclass(frozen=True)
class Stamp:
    """The time inside a file. clock: the digits; as_utc, as_local: moments that they may be, None where they cannot.

    firm: the digits carry the zone of the camera. witness: the container of a film, or the EXIF of a picture.
    """

    clock: datetime
    as_utc: datetime | None
    as_local: datetime | None
    firm: bool
    witness: Witness = "container"

    @property
    def noun(self) -> str:
        """What the witness is called in a sentence."""
        return "EXIF" if self.witness == "exif" else "container"

    @property
    def moments(self) -> list[datetime]:
        return [one for one in (self.as_utc, self.as_local) if one is not None]

    @property
    def likeliest(self) -> datetime:
        return self.moments[0]

    @property
    def has_one_reading(self) -> bool:
        return len(set(self.moments)) == 1


def parsed_stamp(text: str) -> datetime | None:
    """A moment as containers write it, with its zone if it has one; None if it is none. A bare year or day is none."""
    text = text.strip()
    if len(text) <= 10:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        for form in _FORMATS:
            try:
                return datetime.strptime(text, form)
            except ValueError:
                continue
    return None


def stamp_of(seen: Witnesses, rules: Rules) -> Stamp | None:
    """The container's time; of several tags the one that carries the camera's zone, else the earliest kind."""
    known = {key.lower(): value for key, value in seen.tags.items()}
    of_picture = _exif_stamp(known, rules)
    if of_picture is not None:
        return of_picture
    for key in TIME_TAGS:
        found = parsed_stamp(known.get(key, ""))
        if found is None:
            continue
        stamp = _stamp(found, key, rules)
        if stamp.clock.year >= FIRST_DIGITAL_YEAR or key == TIME_TAGS[-1]:
            return stamp
    for key in TIME_TAGS:
        found = parsed_stamp(known.get(key, ""))
        if found is not None:
            return _stamp(found, key, rules)
    return None


def _exif_stamp(known: Mapping[str, str], rules: Rules) -> Stamp | None:
    """The time of a picture's EXIF: the clock of the camera, with its zone where the camera wrote one."""
    stamps = []
    for key in EXIF_TAGS:
        found = parsed_stamp(known.get(key, ""))
        if found is None:
            continue
        digits = found.replace(tzinfo=None)
        if found.tzinfo is None:
            stamps.append(Stamp(digits, None, moment_of(digits, rules.zone), True, "exif"))
        else:
            stamps.append(Stamp(digits, found.astimezone(UTC), None, True, "exif"))
    set_clocks = [stamp for stamp in stamps if stamp.clock.year >= FIRST_DIGITAL_YEAR]
    return next(iter([*set_clocks, *stamps]), None)


def _stamp(found: datetime, key: str, rules: Rules) -> Stamp:
    digits = found.replace(tzinfo=None)
    if found.tzinfo is None:
        return Stamp(digits, None, moment_of(digits, rules.zone), firm=True)
    as_utc = found.astimezone(UTC)
    if found.utcoffset() or key == TIME_TAGS[0]:
        return Stamp(digits, as_utc, None, firm=True)
    as_local = moment_of(digits, rules.zone)
    if rules.container_time == "utc":
        return Stamp(digits, as_utc, None, firm=True)
    if rules.container_time == "local":
        return Stamp(digits, None, as_local, firm=True)
    return Stamp(digits, as_utc, as_local, firm=False)


def moment_of(clock: datetime, zone: tzinfo) -> datetime:
    return clock.replace(tzinfo=zone).astimezone(UTC)


def moments_of_clock(clock: datetime, zone: tzinfo) -> list[datetime]:
    """The moments that a clock may show; two where it was put back or forward."""
    first, second = (clock.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return [first] if first == second else sorted((first, second))
