"""When a video was recorded: what its witnesses say is weighed, and what is not clear is called so.

Belongs here: the witnesses of one file (container, name, folder, date of the file), the kinds of error that clocks
make, and one function from witnesses to a verdict. Everything here can be done again without reading a file.
Does not belong here: reading a file (`probe`), names (`time_names`), rows and neighbours (`time_rows`).

Witnesses are compared, not ranked. A picture's own EXIF would be one more tag beside those of the container.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Literal

from chimp_assets.archive.times.names import Said, folder_says, name_says

Certainty = Literal["sure", "likely", "day", "unsure"]
DateOrder = Literal["auto", "day_first", "month_first", "year_first"]
Witness = Literal["container", "file_name", "folder", "file_time"]
WITNESSES: tuple[Witness, ...] = ("container", "file_name", "folder", "file_time")
CERTAINTIES: tuple[Certainty, ...] = ("sure", "likely", "day", "unsure")
SOURCE_OF: Mapping[str, str] = {"folder": "file_name"}
"""recorded_at_source of a witness, where it has another name: a folder is a part of the path."""

# What a container may be asked for: a key that says the zone of the camera first, then what players and editors write.
TIME_TAGS = (
    "com.apple.quicktime.creationdate",
    "datetimeoriginal",
    "date_recorded",
    "creation_time",
    "date",
    "icrd",
    "idit",
)
_FORMATS = ("%a %b %d %H:%M:%S %Y", "%Y:%m:%d %H:%M:%S", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d/ %H:%M")

ORDERS: Mapping[str, str] = {"day_first": "dmy", "month_first": "mdy", "year_first": "ymd"}
"""Values of archive.date_order, as `time_names` calls the orders."""

SAME = timedelta(seconds=3)
"""Two clocks of one camera that are read one after the other."""
WRITING = timedelta(minutes=2)
"""A camera closes a file within so long after its last picture; a name may be the beginning, a tag the end."""
_DAY = timedelta(days=1)
_YEAR = timedelta(days=365)
_DECADE = 10 * _YEAR
# A card that was collected more than so long after the recording is worth a question.
_COLLECTED = timedelta(days=240)
_FIRST_DIGITAL_YEAR = 1990
_EPOCHS = {(1999, 11, 30), (1979, 12, 31), (1999, 12, 31), (2036, 2, 7)}


@dataclass(frozen=True)
class Witnesses:
    """What was seen of a file, as written. tags: of the container, keys in small letters. modified: the file's date.

    duration_s: how long the container claims to be.
    """

    uri: str
    tags: Mapping[str, str] = field(default_factory=dict)
    modified: datetime | None = None
    duration_s: float | None = None

    def as_text(self) -> str:
        """JSON to be kept beside the row of the video: below 4,000 letters, whatever the tags are."""
        tags = {key.lower(): value[:60] for key, value in self.tags.items() if key.lower() in TIME_TAGS}
        seen: dict[str, Any] = {"tags": tags}
        if self.modified is not None:
            seen["modified"] = self.modified.astimezone(UTC).isoformat()
        if self.duration_s is not None:
            seen["duration_s"] = round(self.duration_s, 3)
        return json.dumps(seen)

    @classmethod
    def of_text(cls, uri: str, text: str) -> Witnesses:
        """What `as_text` gave."""
        seen = json.loads(text)
        modified = seen.get("modified")
        return cls(
            uri,
            seen.get("tags", {}),
            None if modified is None else datetime.fromisoformat(modified),
            seen.get("duration_s"),
        )


@dataclass(frozen=True)
class Correction:
    """What a person said of a clock: it was offset_s seconds slow, ran in a zone, or showed `showed` at `true_at`.

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


@dataclass(frozen=True)
class Rules:
    """How witnesses of one camera are read. zone: of camera clocks; latest: nothing was recorded later.

    container_time: what a container's time without a zone of its own is. date_order: of names where both are possible;
    order_is_stated: whether a person said so, or neighbours show it.
    """

    zone: tzinfo
    latest: datetime
    container_time: Literal["auto", "utc", "local"] = "auto"
    date_order: DateOrder = "auto"
    order_is_stated: bool = True


@dataclass(frozen=True)
class Verdict:
    """When (UTC; None: nobody knows), who says so, how sure that is, who disagrees and what came of it, in words.

    clock: what the clock of the camera showed, without zone: what corrections are counted from. asks: what a person
    should say: "date_order". correction_id: the correction that was applied.
    """

    moment: datetime | None
    witness: Witness | None
    certainty: Certainty
    disagree: tuple[Witness, ...] = ()
    note: str = ""
    clock: datetime | None = None
    asks: str | None = None
    correction_id: int | None = None

    @property
    def source(self) -> str | None:
        """The value of video.recorded_at_source."""
        if self.correction_id is not None:
            return "user"
        return None if self.witness is None else SOURCE_OF.get(self.witness, self.witness)


@dataclass(frozen=True)
class _Stamp:
    """The container's time. clock: the digits; as_utc, as_local: the moments that they may be, None where they cannot.

    firm: the digits carry the zone of the camera.
    """

    clock: datetime
    as_utc: datetime | None
    as_local: datetime | None
    firm: bool

    @property
    def moments(self) -> list[datetime]:
        return [one for one in (self.as_utc, self.as_local) if one is not None]

    @property
    def likeliest(self) -> datetime:
        return self.moments[0]

    @property
    def has_one_reading(self) -> bool:
        return len(set(self.moments)) == 1


def weigh(seen: Witnesses, rules: Rules) -> Verdict:
    """When a video was recorded, from what its file says. Pure: the same witnesses and rules give the same verdict."""
    case = _Case(seen, rules)
    verdict = _verdict(case)
    notes = [*case.notes, *([verdict.note] if verdict.note else [])]
    disagree = dict.fromkeys([*case.dropped, *verdict.disagree])
    disagree.pop(verdict.witness, None)  # type: ignore[arg-type]
    clock = verdict.clock
    if clock is None and verdict.moment is not None:
        clock = verdict.moment.astimezone(rules.zone).replace(tzinfo=None)
    return replace(verdict, note=" ".join(notes), disagree=tuple(disagree), clock=clock)


def corrected(seen: Witnesses, rules: Rules, verdict: Verdict, said: Correction) -> Verdict:
    """The verdict after a person's correction of the camera's clock; as it was where the correction cannot be applied.

    An offset is added to what was found. A zone says where the digits of the clock (name, else container) belong. A
    reset gives what the clock showed at a true moment: the container's digits, else the name's, are counted from there.
    """
    stamp, name = _stamp_of(seen, rules), name_says(seen.uri)
    exact = name is not None and name.resolution in ("second", "minute") and not name.hidden
    moment: datetime | None = None
    witness = verdict.witness
    if said.showed is not None and said.true_at is not None:
        digits: datetime | None = None
        if stamp is not None:
            digits, witness = stamp.clock, "container"
        elif exact and name is not None:
            digits, witness = name.clocks[0], "file_name"
        elif seen.modified is not None:
            digits, witness = seen.modified.astimezone(rules.zone).replace(tzinfo=None), "file_time"
        if digits is None or not said.showed <= digits or _at(digits, rules.zone) >= said.true_at:
            return verdict
        moment = said.true_at + (digits - said.showed)
    elif said.zone is not None:
        if exact and name is not None and name.zone is None and verdict.witness in ("file_name", "container"):
            digits = name.clocks[0] if verdict.clock is None else verdict.clock
            digits = digits if digits in name.clocks else name.clocks[0]
            moment, witness = _at(digits, said.zone), "file_name"
        elif stamp is not None and stamp.as_local is not None and verdict.witness == "container":
            moment = _at(stamp.clock, said.zone)
        elif verdict.certainty == "day" and verdict.clock is not None:
            moment = _at(verdict.clock, said.zone)
        if moment is None:
            return verdict
        moment += said.slow
    elif said.offset_s is not None and verdict.moment is not None:
        moment = verdict.moment + said.slow
    if moment is None:
        return verdict
    better: dict[str, Certainty] = {"sure": "sure", "likely": "sure", "day": "day", "unsure": "likely"}
    certainty = better[verdict.certainty]
    if said.showed is not None:
        certainty = "sure" if witness != "file_time" else "unsure"
    elif verdict.asks or verdict.witness in ("file_time", "folder"):
        certainty = verdict.certainty
    note = f"Correction {said.correction_id} was applied." + (f" {verdict.note}" if verdict.note else "")
    return replace(
        verdict, moment=moment, witness=witness, certainty=certainty, note=note, correction_id=said.correction_id
    )


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


class _Case:
    """The witnesses of one file as moments; what cannot be true at all is dropped and noted."""

    def __init__(self, seen: Witnesses, rules: Rules) -> None:
        self.rules = rules
        self.notes: list[str] = []
        self.dropped: list[Witness] = []
        self.span = timedelta(seconds=min(max(seen.duration_s or 0.0, 0.0), 86_400.0)) + WRITING
        self.stamp = self._possible_stamp(_stamp_of(seen, rules))
        self.name = self._possible(name_says(seen.uri), "file_name")
        self.folder = self._possible(folder_says(seen.uri), "folder")
        self.modified = seen.modified
        # The end of a list of unset clocks: FAT's first day, Unix's.
        if self.modified is not None and self.modified.year < _FIRST_DIGITAL_YEAR:
            self.dropped.append("file_time")
            self.modified = None
        if self.modified is not None and self.modified > rules.latest:
            self.dropped.append("file_time")
            self.notes.append("The file's date lies in the future.")
            self.modified = None

    def _possible_stamp(self, stamp: _Stamp | None) -> _Stamp | None:
        if stamp is None:
            return None
        if stamp.clock.year < _FIRST_DIGITAL_YEAR:
            self.dropped.append("container")
            self.notes.append(f"The clock that the container shows ({stamp.clock}) was never set.")
            return None
        if stamp.likeliest > self.rules.latest:
            self.dropped.append("container")
            self.notes.append(f"The container's time ({stamp.clock}) lies in the future: a clock that was wrong.")
            return None
        return stamp

    def _possible(self, said: Said | None, witness: Witness) -> Said | None:
        if said is None:
            return None
        kept = tuple(r for r in said.readings if self.moments_of(said, r[1])[0] <= self.rules.latest)
        if not kept:
            self.dropped.append(witness)
            what = "name" if witness == "file_name" else "folder"
            self.notes.append(f"The {what} names a moment in the future: a clock that was wrong.")
            return None
        said = replace(said, readings=kept)
        wanted = ORDERS.get(self.rules.date_order)
        chosen = tuple(one for one in kept if one[0] == wanted)
        if len(kept) > 1 and chosen:
            return replace(said, readings=chosen, loose=said.loose and not self.rules.order_is_stated)
        return said

    def moments_of(self, said: Said, clock: datetime) -> list[datetime]:
        """What a clock of a name may be in UTC: two where the hour was there twice."""
        if said.zone is not None:
            return [clock.replace(tzinfo=said.zone).astimezone(UTC)]
        return _both(clock, self.rules.zone)

    def day_of(self, moment: datetime) -> datetime:
        """Midnight of the local day, without zone."""
        return moment.astimezone(self.rules.zone).replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0)

    def agrees(self, one: datetime, other: datetime) -> bool:
        """Whether two moments may be the beginning and the end of the recording, or the same."""
        return abs(one - other) <= self.span

    def file_supports(self, moment: datetime) -> bool:
        """Whether the file was written when the recording ended."""
        return self.modified is not None and -SAME <= self.modified - moment <= self.span

    def file_supports_digits(self, clock: datetime) -> bool:
        """The same where the card's date is the clock's digits, taken for UTC."""
        if self.modified is None:
            return False
        return -SAME <= self.modified.replace(tzinfo=None) - clock <= self.span

    def file_is_older(self, moment: datetime) -> bool:
        """Whether the file was there well before the recording, whatever zones were mixed up."""
        return self.modified is not None and self.modified < moment - timedelta(hours=26)

    def is_reset(self, clock: datetime) -> bool:
        """Whether a clock shows what clocks show that have lost their time: the first of a January, or their makers'
        other beginnings. Real recordings of a New Year's Day fit too: they are doubted, not refused."""
        day = (clock.year, clock.month, clock.day)
        return (clock.month, clock.day) == (1, 1) or day in _EPOCHS or clock.year < 1995

    def folder_supports(self, moment: datetime) -> bool:
        """Whether the folder is named by the very day."""
        return (
            self.folder is not None
            and self.folder.resolution != "year"
            and any(clock.date() == self.day_of(moment).date() for clock in self.folder.clocks)
        )


def _verdict(case: _Case) -> Verdict:
    old = _old_material(case)
    if old is not None:
        return old
    name = case.name
    if name is not None and (name.resolution == "year" or (name.hidden and not _confirmed(case, name))):
        name = None
    if name is None:
        return _without_name(case)
    if name.resolution == "day":
        return _with_day(case, name)
    return _with_moment(case, name)


def _old_material(case: _Case) -> Verdict | None:
    """A film or tape that was digitised: name or folder speak of a time decades before the container's."""
    said, folder = case.name, case.folder
    witness: Witness = "file_name"
    if (
        folder is not None
        and folder.resolution != "year"
        and (said is None or said.clocks[0] - folder.clocks[0] > _DECADE)
    ):
        said, witness = folder, "folder"
    if said is None or len(said.readings) > 1 or said.hidden or said.clocks[0].year >= 2000:
        return None
    clock = said.clocks[0]
    other: Witness = "container" if case.stamp is not None else "file_time"
    made = case.stamp.clock if case.stamp is not None else case.modified and case.modified.replace(tzinfo=None)
    if made is None or made - clock < _DECADE or (case.stamp is not None and case.is_reset(made)):
        return None
    certainty: Certainty = "day"
    if said.resolution == "year" or (witness == "folder" and case.name is not None):
        certainty = "unsure"
    elif said.resolution in ("second", "minute"):
        certainty = "unsure" if said.loose or said.rival else "likely"
    what = "folder" if witness == "folder" else "name"
    known = {"year": "Only the year is known.", "day": "Only the day is known."}.get(said.resolution, "")
    note = f"Old material: the {what} says {clock.year}; it was digitised or copied on {made:%Y-%m-%d}. {known}"
    return Verdict(case.moments_of(said, clock)[0], witness, certainty, (other,), note.strip(), clock)


def _confirmed(case: _Case, name: Said) -> bool:
    """Whether digits that may be anything are the day that another witness says."""
    days = {clock.date() for clock in name.clocks}
    if case.stamp is not None and {case.day_of(moment).date() for moment in case.stamp.moments} & days:
        return True
    return case.modified is not None and case.day_of(case.modified).date() in days


# --- the name says a moment ------------------------------------------------------------------------------------------


def _with_moment(case: _Case, name: Said) -> Verdict:
    stamp = case.stamp
    if stamp is not None:
        for exactly in (True, False):
            for clock in name.clocks:
                found = _matched(case, name, clock, stamp, exactly)
                if found is not None:
                    return found
        return _contradicted(case, name, stamp)
    best: Verdict | None = None
    for clock in name.clocks:
        moments = case.moments_of(name, clock)
        for moment in moments:
            if case.file_supports(moment) or (name.zone is None and case.file_supports_digits(clock)):
                certainty: Certainty = "likely" if name.loose or name.rival else "sure"
                return _careful(case, Verdict(moment, "file_name", certainty, clock=clock))
        if best is None:
            best = _alone(case, name, clock, moments)
    assert best is not None
    return best


def _alone(case: _Case, name: Said, clock: datetime, moments: list[datetime]) -> Verdict:
    """Only the name says when."""
    certainty: Certainty = "likely"
    notes, disagree, asks = [], [], None
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
    return _careful(case, Verdict(moments[0], "file_name", certainty, tuple(disagree), " ".join(notes), clock, asks))  # type: ignore[arg-type]


def _matched(case: _Case, name: Said, clock: datetime, stamp: _Stamp, exactly: bool) -> Verdict | None:
    """Name and container agree, as moments or as digits."""
    slack = (SAME if name.resolution == "second" else timedelta(minutes=1)) if exactly else case.span
    certainty: Certainty = "sure" if exactly or name.zone is not None else "likely"
    for moment in case.moments_of(name, clock):
        if stamp.as_utc is not None and abs(stamp.as_utc - moment) <= slack:
            # Of beginning and end the beginning is wanted.
            first = stamp.as_utc if exactly and name.resolution == "second" else min(stamp.as_utc, moment)
            if exactly and name.resolution == "minute":
                first = stamp.as_utc
            return _careful(case, Verdict(first, "container", certainty, clock=clock))
    if stamp.as_local is not None and name.zone is None and abs(stamp.clock - clock) <= slack:
        moments = [m for m in case.moments_of(name, clock) if case.file_supports(m)] or case.moments_of(name, clock)
        twice = len(moments) > 1
        first = moments[0] + (min(stamp.clock, clock) - clock if not exactly else timedelta(0))
        note = "" if stamp.as_utc is None else "The container's time is local time written as UTC."
        if twice:
            note = f"{note} The clock of the name went back in that hour.".strip()
        # A camera whose zone is set to UTC looks the same: its file was then written just after.
        by_utc = stamp.as_utc is not None and not stamp.has_one_reading and case.file_supports(stamp.as_utc)
        if by_utc and not case.file_supports(first):
            certainty = "likely"
        return _careful(case, Verdict(first, "file_name", "unsure" if twice else certainty, (), note, clock))
    return None


def _contradicted(case: _Case, name: Said, stamp: _Stamp) -> Verdict:
    """Name and container cannot both be right."""
    clock = name.clocks[0]
    moment = case.moments_of(name, clock)[0]
    gap = stamp.likeliest - moment
    asks = "date_order" if len(name.readings) > 1 else None
    clear = not (name.loose or name.rival or asks)
    supported = any(case.file_supports(m) for m in case.moments_of(name, clock)) or case.file_supports_digits(clock)
    if _was_reset(case, stamp, gap):
        certainty: Certainty = "unsure"
        if clear and not case.file_is_older(moment) and not case.is_reset(clock):
            certainty = "sure" if supported else "likely"
        note = f"The clock of the container was reset: it shows {stamp.clock}."
        return Verdict(moment, "file_name", certainty, ("container",), note, clock, asks)
    if gap > _DAY:
        # Written again later: converted, cut, exported.
        certainty = "likely" if clear and gap > _YEAR and not case.file_is_older(moment) else "unsure"
        note = f"The container was written later ({stamp.clock}) than the name says."
        return _careful(case, Verdict(moment, "file_name", certainty, ("container",), note, clock, asks))
    if gap < -_DECADE:
        note = f"The container's time ({stamp.clock}) is years before the name's."
        return Verdict(
            moment, "file_name", "likely" if supported and clear else "unsure", ("container",), note, clock, asks
        )
    if gap < -_DAY:
        note = f"The name says {clock}, the container {stamp.clock}."
        return _careful(case, Verdict(stamp.likeliest, "container", "unsure", ("file_name",), note, stamp.clock, asks))
    return _within_a_day(case, name, stamp, clock, moment, asks)


def _within_a_day(
    case: _Case, name: Said, stamp: _Stamp, clock: datetime, moment: datetime, asks: str | None
) -> Verdict:
    by_file = [m for m in stamp.moments if case.file_supports(m)]
    named = [m for m in case.moments_of(name, clock) if case.file_supports(m)]
    half = timedelta(hours=12)
    for reading in (stamp.as_local, stamp.as_utc):
        if reading is not None and name.zone is None and abs(abs(reading - moment) - half) <= SAME:
            note = "The name is twelve hours from the container: AM and PM are not told apart in one of them."
            certainty: Certainty = "likely" if case.file_supports(reading) and not named else "unsure"
            return Verdict(reading, "container", certainty, ("file_name",), note, stamp.clock, asks)
    if named and not by_file and not asks:
        note = f"The container says {stamp.clock}; the file's date agrees with the name."
        return _careful(case, Verdict(named[0], "file_name", "likely", ("container",), note, clock))
    if by_file and not named:
        note = f"The name says {clock}; the file's date agrees with the container."
        return _careful(case, Verdict(by_file[0], "container", "likely", ("file_name",), note, stamp.clock))
    quarter = timedelta(minutes=15)
    in_zones = min(abs(stamp.likeliest - moment) % quarter, quarter - abs(stamp.likeliest - moment) % quarter) <= SAME
    note = f"The name says {clock}, the container {stamp.clock}" + (
        ": the clocks run in different zones." if in_zones else "."
    )
    return Verdict(stamp.likeliest, "container", "unsure", ("file_name",), note, stamp.clock, asks)


def _was_reset(case: _Case, stamp: _Stamp, gap: timedelta) -> bool:
    """Whether the container's clock lies before the name as only a clock can that has lost its time."""
    if gap > -_DAY or not case.is_reset(stamp.clock):
        return False
    return gap < -timedelta(days=200) or stamp.clock.hour == 0


# --- the name says a day ---------------------------------------------------------------------------------------------


def _with_day(case: _Case, name: Said) -> Verdict:
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
            note = "" if chosen == stamp.likeliest else "The container's time is local time written as UTC."
            if both and not by_file:
                note = "Whether the container's time is UTC or local is not known; it is taken for UTC."
            return _careful(case, Verdict(chosen, "container", certainty, (), note, stamp.clock))
        clock = name.clocks[0]
        moment = case.moments_of(name, clock)[0]
        gap = stamp.likeliest - moment
        if _was_reset(case, stamp, gap):
            note = f"The clock of the container was reset: it shows {stamp.clock}."
            return _day_of_name(case, name, note, ("container",), asks)
        if gap > _YEAR:
            note = f"The container was written later ({stamp.clock}) than the name says."
            return _day_of_name(case, name, note, ("container",), asks)
        if gap > _DAY and case.file_supports(stamp.likeliest) and not asks:
            note = f"The container was written later ({stamp.clock}) than the name says."
            verdict = _day_of_name(case, name, note, ("container",), asks)
            return replace(verdict, certainty="unsure")
        note = f"The name says {clock:%Y-%m-%d}, the container {stamp.clock}."
        certainty = "unsure"
        if gap < -_DECADE:
            return replace(_day_of_name(case, name, note, ("container",), asks), certainty="unsure")
        return Verdict(stamp.likeliest, "container", certainty, ("file_name",), note, stamp.clock, asks)
    return _day_of_name(case, name, "", (), asks)


def _day_of_name(case: _Case, name: Said, note: str, disagree: tuple[Witness, ...], asks: str | None) -> Verdict:
    """The name's day, with the time of day of the file where it was written on that day."""
    days = {clock.date(): clock for clock in name.clocks}
    if case.modified is not None and case.day_of(case.modified).date() in days:
        text = f"{note} The file was written on the day of its name.".strip()
        certainty: Certainty = "unsure" if name.rival or len(days) > 1 else "likely"
        return _careful(case, Verdict(case.modified, "file_time", certainty, disagree, text))
    clock = name.clocks[0]
    moment = case.moments_of(name, clock)[0]
    certainty = "unsure" if asks or name.rival or name.loose else "day"
    if asks:
        note = f"{note} Day and month of the name may be exchanged.".strip()
    if case.file_is_older(moment):
        certainty, disagree = "unsure", (*disagree, "file_time")
        note = f"{note} The file is older than its name says.".strip()
    note = f"{note} Only the day is known.".strip()
    return _careful(case, Verdict(moment, "file_name", certainty, disagree, note, clock, asks))


# --- the name says nothing -------------------------------------------------------------------------------------------


def _without_name(case: _Case) -> Verdict:
    stamp = case.stamp
    if stamp is None:
        return _without_clock(case)
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
        notes.append("The container's time is local time written as UTC, by the file's date." if by_file else "")
    elif not by_file:
        notes.append("Whether the container's time is UTC or local is not known; it is taken for UTC.")
    disagree: list[Witness] = []
    if case.modified is not None and case.modified < min(stamp.moments) - timedelta(hours=26):
        certainty = "unsure"
        disagree.append("file_time")
        notes.append(f"The file is older ({case.modified:%Y-%m-%d}) than its container says.")
    folder_and_file = case.modified is not None and case.folder_supports(case.modified)
    if folder_and_file and not by_folder and not by_file:
        certainty = "unsure"
        disagree += ["folder", "file_time"]
        notes.append("The folder and the file's date say another day.")
    note = " ".join(one for one in notes if one)
    return _careful(case, Verdict(chosen, "container", certainty, tuple(disagree), note, stamp.clock))


def _lost_time(case: _Case, stamp: _Stamp) -> Verdict:
    """The container alone, and it shows what a clock shows that has lost its time."""
    note = f"The container shows {stamp.clock}, as a clock does that was reset."
    instead = _without_clock(case)
    later = instead.moment is not None and instead.moment - stamp.likeliest > timedelta(days=200)
    if later:
        return replace(instead, certainty="unsure", disagree=("container",), note=f"{note} {instead.note}".strip())
    if case.file_supports(stamp.likeliest) and stamp.clock.hour > 0 and stamp.clock.year >= 2005:
        # New Year's Day, and the file was written then: still the same clock.
        return Verdict(stamp.likeliest, "container", "unsure", (), note, stamp.clock)
    return Verdict(stamp.likeliest, "container", "unsure", (), note, stamp.clock)


def _without_clock(case: _Case) -> Verdict:
    """A folder and the date of the file."""
    folder, modified = case.folder, case.modified
    if folder is not None and folder.resolution == "year":
        clock = folder.clocks[0]
        if modified is None or modified.replace(tzinfo=None) - clock > _DECADE:
            note = "Only the folder says a year, and the file's date is that of a copy."
            disagree: tuple[Witness, ...] = () if modified is None else ("file_time",)
            return Verdict(case.moments_of(folder, clock)[0], "folder", "unsure", disagree, note, clock)
        folder = None
    if folder is None:
        if modified is None:
            return Verdict(None, None, "unsure", note="Nothing says when it was recorded.")
        return Verdict(modified, "file_time", "unsure", note="Only the file's date is known: it may be that of a copy.")
    clock = folder.clocks[0]
    moment = case.moments_of(folder, clock)[0]
    asks = "date_order" if len(folder.readings) > 1 else None
    days = {one.date() for one in folder.clocks}
    if modified is not None and folder.resolution != "year":
        if case.day_of(modified).date() in days:
            return Verdict(modified, "file_time", "likely", note="The file was written on the day of its folder.")
        before = moment - modified
        if timedelta(0) < before and not asks:
            # Cards are collected after they were filled: the folder says when, the file when it was recorded.
            certainty: Certainty = "likely" if before < _COLLECTED and not case.is_reset(modified) else "unsure"
            note = f"The folder ({clock:%Y-%m-%d}) is named by a later day, such as that of collecting the card."
            return Verdict(modified, "file_time", certainty, ("folder",), note)
    note = "Only the folder says a day, which may be that of collecting the card."
    return Verdict(moment, "folder", "unsure", (), note, clock, asks)


def _careful(case: _Case, verdict: Verdict) -> Verdict:
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
        if later > _COLLECTED and certainty in ("sure", "likely"):
            certainty = "unsure"
            disagree.append("folder")
            notes.append(f"The folder names a much later day ({folder.clocks[0]:%Y-%m-%d}).")
    if folder is not None and folder.resolution == "year" and local - folder.clocks[0] > _DECADE:
        certainty = "unsure"
        disagree.append("folder")
        notes.append(f"The folder says {folder.clocks[0].year}: it may be old material that was digitised.")
    note = " ".join([*([verdict.note] if verdict.note else []), *notes])
    return replace(verdict, certainty=certainty, disagree=tuple(disagree), note=note)


# --- clocks ----------------------------------------------------------------------------------------------------------


def _stamp_of(seen: Witnesses, rules: Rules) -> _Stamp | None:
    """The container's time; of several tags the one that carries the camera's zone, else the earliest kind."""
    known = {key.lower(): value for key, value in seen.tags.items()}
    for key in TIME_TAGS:
        found = parsed_stamp(known.get(key, ""))
        if found is None:
            continue
        stamp = _stamp(found, key, rules)
        if stamp.clock.year >= _FIRST_DIGITAL_YEAR or key == TIME_TAGS[-1]:
            return stamp
    for key in TIME_TAGS:
        found = parsed_stamp(known.get(key, ""))
        if found is not None:
            return _stamp(found, key, rules)
    return None


def _stamp(found: datetime, key: str, rules: Rules) -> _Stamp:
    digits = found.replace(tzinfo=None)
    if found.tzinfo is None:
        return _Stamp(digits, None, _at(digits, rules.zone), firm=True)
    as_utc = found.astimezone(UTC)
    if found.utcoffset() or key == TIME_TAGS[0]:
        return _Stamp(digits, as_utc, None, firm=True)
    as_local = _at(digits, rules.zone)
    if rules.container_time == "utc":
        return _Stamp(digits, as_utc, None, firm=True)
    if rules.container_time == "local":
        return _Stamp(digits, None, as_local, firm=True)
    return _Stamp(digits, as_utc, as_local, firm=False)


def _at(clock: datetime, zone: tzinfo) -> datetime:
    return clock.replace(tzinfo=zone).astimezone(UTC)


def _both(clock: datetime, zone: tzinfo) -> list[datetime]:
    """The moments that a clock may show; two where it was put back or forward."""
    first, second = (clock.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return [first] if first == second else sorted((first, second))


def _is_twice(clock: datetime, case: _Case) -> bool:
    moment = _both(clock, case.rules.zone)[0]
    return moment.astimezone(case.rules.zone).replace(tzinfo=None) == clock
