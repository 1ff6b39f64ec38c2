"""Moments in the names of files and folders: every common way to write one, and how far it is clear.

Belongs here: reading dates and times out of a text, orders of day and month, AM and PM, zones, pieces of one recording.
Does not belong here: which witness is believed (`recording_time`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Literal

Order = Literal["ymd", "dmy", "mdy"]
Resolution = Literal["second", "minute", "day", "year"]

EARLIEST_YEAR = 1960
"""When the oldest field studies began."""
_UNSET = {(1970, 1, 1), (1980, 1, 1)}
"""Where clocks begin that nobody has set: Unix, and the FAT file system of memory cards."""


@dataclass(frozen=True)
class WrittenTime:
    """A moment as a text writes it. readings: (order, clock without zone), the likeliest first; more than one where day
    and month may be exchanged. zone: as written, else None. resolution: a day is midnight, a year its first midnight.

    loose: digits that may well be something else, such as a counter: believed where another witness agrees.
    hidden: so loose that it says nothing alone. rival: the text names another day too. short: a year of two digits.
    """

    readings: tuple[tuple[Order, datetime], ...]
    zone: tzinfo | None
    resolution: Resolution
    loose: bool = False
    hidden: bool = False
    rival: bool = False
    short: bool = False

    @property
    def clocks(self) -> tuple[datetime, ...]:
        """The readings without their orders."""
        return tuple(clock for _, clock in self.readings)


@lru_cache(maxsize=2048)  # each name is read when its video is registered and weighed, each folder for all its videos
def written_time(text: str) -> WrittenTime | None:
    """The clearest moment in a name or folder, the first of equally clear ones; None if there is none."""
    plain = _plain(text)
    found = list(_all_in(plain))
    if not found:
        return None
    best = min(enumerate(found), key=lambda pair: (_rank(pair[1]), pair[0]))[1]
    days = {clock.date() for clock in best.clocks}
    others = [one for one in found if not (one.loose or one.hidden or one.resolution == "year")]
    rival = any(abs((clock.date() - day).days) > 1 for one in others for clock in one.clocks[:1] for day in days) and (
        not any(clock.date() in days for one in others if one is not best for clock in one.clocks)
    )
    return replace(best, rival=rival and len(best.readings) == 1)


def written_in_name(key: str) -> WrittenTime | None:
    """The moment in the name of a file, with the zone of phones that name files in UTC."""
    stem = PurePosixPath(key).stem
    found = written_time(stem)
    # Google's camera names its files in UTC: PXL_20230506_113000123.mp4
    if found is not None and found.zone is None and found.resolution != "day" and stem.upper().startswith("PXL_"):
        return replace(found, zone=UTC)
    # WhatsApp names files by when they were sent.
    if found is not None and _SENT.search(stem):
        return replace(found, loose=True)
    return None if found is not None and found.resolution == "year" and _COUNTED.match(stem) else found


def written_in_folder(key: str) -> WrittenTime | None:
    """The moment in the nearest dated folder of a path."""
    for part in reversed(PurePosixPath(key).parts[:-1]):
        found = written_time(part)
        if found is not None and not found.hidden:
            return found
    return None


def time_of_name(key: str) -> datetime | None:
    """The moment of recording that the file's name or, failing that, its nearest dated folder says; where it names a
    zone, with that zone.

    Midnight where only the day is said. None if nothing is, if day and month may be exchanged, before 1960, when the
    oldest field studies began, or the day on which an unset clock begins.
    """
    for found in (written_in_name(key), written_in_folder(key)):
        if found is None or found.hidden or found.resolution == "year":
            continue
        orders = {order for order, _ in found.readings}
        if len(found.readings) == 1 or "ymd" in orders:
            clock = found.readings[0][1]
            return clock.replace(tzinfo=found.zone) if found.zone else clock
    return None


@dataclass(frozen=True)
class Piece:
    """A piece of a recording that the camera has cut. number: from 1; names: of all pieces, the first first."""

    number: int
    names: tuple[str, ...]


_GOPRO = re.compile(r"^(?P<kind>G[HXSL])(?P<piece>\d\d)(?P<clip>\d{4})$", re.I)
_OLD_GOPRO = re.compile(r"^(?:GOPR|GP(?P<piece>\d\d))(?P<clip>\d{4})$", re.I)
_INSTA360 = re.compile(r"^(?P<kind>(?:VID|LRV|PRO_VID)_\d{8}_\d{6}_\d\d_)(?P<piece>\d{3})$", re.I)
_PART = re.compile(
    r"^(?P<kind>(?:.*[-_ .(])?(?:part|pt|chapter|chap|segment|seg|split|teil|partie|parte)[-_ .]*)"
    r"(?P<piece>\d{1,3})(?P<end>\)?)$",
    re.I,
)
_PIECES = 30


def piece_of(key: str) -> Piece | None:
    """Whether a file is a piece of a longer recording by its name: GoPro's chapters, Insta360's, "part 2"."""
    path = PurePosixPath(key)
    here, stem, suffix = str(path.parent), path.stem, path.suffix
    lead = "" if here == "." else here + "/"

    def all_named(names: list[str]) -> tuple[str, ...]:
        return tuple(f"{lead}{name}{suffix}" for name in names)

    if match := _GOPRO.match(stem):
        names = [f"{match['kind']}{n:02d}{match['clip']}" for n in range(1, _PIECES + 1)]
        number = int(match["piece"])
    elif match := _OLD_GOPRO.match(stem):
        upper = stem[:2].isupper()
        first, later = ("GOPR", "GP") if upper else ("gopr", "gp")
        names = [f"{first}{match['clip']}", *(f"{later}{n:02d}{match['clip']}" for n in range(1, _PIECES))]
        number = 1 if match["piece"] is None else int(match["piece"]) + 1
    elif match := _INSTA360.match(stem):
        names = [f"{match['kind']}{n:03d}" for n in range(1, _PIECES + 1)]
        number = int(match["piece"])
    elif match := _PART.match(stem):
        width = len(match["piece"])
        names = [f"{match['kind']}{n:0{width}d}{match['end']}" for n in range(1, _PIECES + 1)]
        number = int(match["piece"])
    else:
        return None
    return Piece(number, all_named(names)) if 1 <= number <= _PIECES else None


_SENT = re.compile(r"whatsapp|-WA\d{4}", re.I)
# A running number of four digits that looks like a year.
_COUNTED = re.compile(r"^(?:[A-Z]{2,4}|[Cc]lip|[Vv]ideo|[Mm]ovie|[Ff]ile|[Ii]mg|[Uu]ntitled)[ -]?\d{4}$")

# Long hexadecimal names and pictures' sizes are full of digits that are no dates.
_NOISE = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    r"|(?<![0-9a-z])(?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{16,}(?![0-9a-z])"
    r"|(?<!\d)\d{3,4}x\d{3,4}(?!\d)",
    re.I,
)


def _plain(text: str) -> str:
    """One kind of space, no accents, East Asian marks as hyphens, noise blanked; letters keep their case."""
    text = unicodedata.normalize("NFKC", text)
    text = re.sub(r"(\d)\s*[年月년월]\s*(?=\d)", r"\1-", text)
    text = re.sub(r"(\d)\s*[日일]", r"\1 ", text)
    text = "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
    text = "".join(" " if c.isspace() else c for c in text)
    return _NOISE.sub(lambda match: "#" * len(match[0]), text)


_MONTH_NAMES = (
    "january jan januari januar janvier janv enero ene janeiro gennaio",
    "february feb februari februar fevrier fevr fev febrero fevereiro febbraio",
    "march mar mars marz maerz marzo marco machi maart mrz",
    "april apr aprili avril avr abril abr aprile",
    "may mai mayo maio mei maggio",
    "june jun juni juin junio junho giugno",
    "july jul juli juillet juil julio julho julai luglio",
    "august aug aout agosto ago agosti augustus",
    "september sep sept septembre septiembre setembro septemba settembre",
    "october oct oktober okt octobre octubre outubro out oktoba ottobre",
    "november nov novembre noviembre novembro novemba",
    "december dec dezember dez decembre diciembre dic dezembro desemba dicembre",
)
_MONTHS = {name: number for number, names in enumerate(_MONTH_NAMES, start=1) for name in names.split()}
_MONTH = r"(?P<name>" + "|".join(sorted(_MONTHS, key=len, reverse=True)) + r")\.?"
_YEAR = r"(?P<year>(?:19|20)\d\d)"
_TH = r"(?:st|nd|rd|th|er)?"

# A day that is followed by the digits of a time.
_CLOCK = r"(?:[01]\d|2[0-4])[0-5]\d"
_YMD = re.compile(rf"(?<!\d){_YEAR}(?P<sep>[-_. :])(?P<month>\d{{1,2}})(?P=sep)(?P<day>\d{{1,2}})(?!\d)")
_COMPACT = re.compile(rf"(?<!\d){_YEAR}(?P<month>\d\d)(?P<day>\d\d)(?=\D|$|{_CLOCK}(?:[0-5]\d(?:\d{{3}})?)?(?!\d))")
_DMY = re.compile(rf"(?<!\d)(?P<a>\d{{1,2}})(?P<sep>[-_. ])(?P<b>\d{{1,2}})(?P=sep){_YEAR}(?!\d)")
_COMPACT_DMY = re.compile(rf"(?<!\d)(?P<a>\d\d)(?P<b>\d\d){_YEAR}(?=\D|$)")
_NAMED = (
    (
        "dmy",
        re.compile(rf"(?<!\d)(?P<day>\d{{1,2}}){_TH}[-_. ]*(?:of |de )?{_MONTH}[-_., ]*(?:de )?{_YEAR}(?!\d)", re.I),
    ),
    ("mdy", re.compile(rf"(?<![a-z]){_MONTH}[-_. ]*(?P<day>\d{{1,2}}){_TH}[-_., ]+{_YEAR}(?!\d)", re.I)),
    ("ymd", re.compile(rf"(?<!\d){_YEAR}[-_., ]*{_MONTH}[-_. ]*(?P<day>\d{{1,2}}){_TH}(?!\d)", re.I)),
)
_NAMED_SHORT = re.compile(rf"(?<!\d)(?P<a>\d\d)[-_. ]?{_MONTH}[-_. ]?(?P<b>\d\d)(?!\d)", re.I)
_SHORT = re.compile(r"(?<!\d)(?P<a>\d\d)(?P<sep>[-_. ]?)(?P<b>\d\d)(?P=sep)(?P<c>\d\d)(?!\d)")
_EPOCH = re.compile(r"(?<![\dA-Za-z.])(?P<digits>1\d{9}|1\d{12}|1\d{15})(?![\dA-Za-z])")
_DAY_OF_YEAR = re.compile(rf"(?<!\d){_YEAR}(?P<sep>[-_]?)(?P<day>[0-3]\d\d)(?!\d)")
_OLD_YEAR = re.compile(r"(?:^|(?<=[ (\[-]))(?P<year>19[2-9]\d)(?=$|[ )\],.-])")

_LEAD = r"(?:[T_ .,-]*(?:\b|(?<=[_ ]))(?:at|um|kl|a las|a|saa)\b[ _.-]*|[T_ .,-]*)"
_HALF = r"(?:[ _.-]*(?P<half>[AaPp])\.?[ ]?[Mm]\b\.?(?![A-Za-z]))"
_TIMES = (
    re.compile(
        rf"{_LEAD}(?P<h>\d{{1,2}})(?P<sep>[-_:.h;])(?P<m>[0-5]\d)"
        rf"(?:(?:[-_:.m;])(?P<s>[0-5]\d)s?(?:[.,]\d{{1,6}}(?!\d))?)?(?!\d){_HALF}?"
    ),
    re.compile(rf"{_LEAD}(?P<h>\d\d)(?P<m>[0-5]\d)(?P<s>[0-5]\d)(?:\d{{3}})?(?!\d){_HALF}?"),
    re.compile(rf"T?(?P<h>\d\d)(?P<m>[0-5]\d)(?!\d){_HALF}?"),
    re.compile(rf"{_LEAD}(?P<h>\d{{1,2}})(?P<m>[0-5]\d)(?!\d){_HALF}"),
    re.compile(rf"{_LEAD}(?P<h>\d\d)(?P<m>[0-5]\d)(?:h|hrs?)\b"),
)
_TIME_BEFORE = re.compile(
    r"(?<!\d)(?P<h>\d{1,2})[-:.h](?P<m>[0-5]\d)[-:.m](?P<s>[0-5]\d)s?"
    r"(?:[ _.-]*(?P<half>[AaPp])\.?[ ]?[Mm]\.?)?[T_ ,-]+(?:on )?$"
)

_ZONE_HOURS = {
    "UTC": 0, "GMT": 0, "WET": 0, "WEST": 1, "CET": 1, "CEST": 2, "EET": 2, "EEST": 3, "MSK": 3, "SAST": 2, "EAT": 3,
    "CAT": 2, "WAT": 1, "WIB": 7, "WITA": 8, "ICT": 7, "JST": 9, "KST": 9, "AEST": 10, "AEDT": 11, "NZST": 12,
    "NZDT": 13, "BRT": -3, "COT": -5, "PET": -5, "EST": -5, "EDT": -4, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8,
    "PDT": -7,
}  # fmt: skip
_WORDS_TOO = {"CAT", "EAT", "WAT", "PET", "EST", "WEST"}
"""Abbreviations of zones that are also words on labels: an animal, what it does, a camera that looks west."""
_ZONE = re.compile(
    r"[ _]?(?:(?P<z>Z)(?![A-Za-z0-9])"
    r"|(?:(?P<abbreviation>UTC|GMT)[ _]?)?(?P<sign>[+-])(?P<hh>\d{1,2})(?:(?P<colon>[:.h]?)(?P<mm>\d\d))?(?!\d)"
    r"|[ _(-]?(?P<word>" + "|".join(sorted(_ZONE_HOURS, key=len, reverse=True)) + r")(?![A-Za-z0-9]))"
)


def _rank(said: WrittenTime) -> tuple[int, ...]:
    with_time = said.resolution in ("second", "minute")
    return (said.hidden, said.resolution == "year", said.loose, not with_time, len(said.readings) > 1)


def _all_in(text: str) -> Iterator[WrittenTime]:
    taken: list[tuple[int, int]] = []

    def free(match: re.Match[str]) -> bool:
        return not any(match.start() < end and start < match.end() for start, end in taken)

    def dated(match: re.Match[str], readings: list[tuple[Order, datetime]], **how: bool) -> Iterator[WrittenTime]:
        if readings and free(match):
            taken.append(match.span())
            yield _with_time(text, match, readings, **how)

    for pattern in (_YMD, _COMPACT):
        for match in pattern.finditer(text):
            yield from dated(match, _days((("ymd", match["year"], match["month"], match["day"]),)))
    for order, pattern in _NAMED:
        for match in pattern.finditer(text):
            month = str(_MONTHS[match["name"].lower()])
            yield from dated(match, _days(((order, match["year"], month, match["day"]),)))  # type: ignore[arg-type]
    for match in (*_DMY.finditer(text), *_COMPACT_DMY.finditer(text)):
        year, a, b = match["year"], match["a"], match["b"]
        yield from dated(match, _days((("dmy", year, b, a), ("mdy", year, a, b))))
    for match in _NAMED_SHORT.finditer(text):
        month = str(_MONTHS[match["name"].lower()])
        a, b = match["a"], match["b"]
        yield from dated(match, _days((("dmy", _long(b), month, a), ("ymd", _long(a), month, b))))
    for match in _EPOCH.finditer(text):
        digits = match["digits"]
        seconds = int(digits) / 10 ** (len(digits) - 10)
        alone = match.span() == (0, len(text)) or len(digits) == 13
        if free(match):
            taken.append(match.span())
            clock = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
            yield WrittenTime((("ymd", clock),), UTC, "second", loose=not alone)
    for match in _SHORT.finditer(text):
        a, b, c = match["a"], match["b"], match["c"]
        readings = _days((("ymd", _long(a), b, c), ("dmy", _long(c), b, a), ("mdy", _long(c), a, b)))
        leads = match.start() == 0
        for said in dated(match, readings):
            with_time = said.resolution in ("second", "minute")
            yield replace(said, loose=True, short=True, hidden=not (leads or (with_time and not said.loose)))
    for match in _DAY_OF_YEAR.finditer(text):
        day = int(match["day"])
        if 1 <= day <= 366 and free(match):
            clock = datetime(int(match["year"]), 1, 1) + timedelta(days=day - 1)
            if clock.year == int(match["year"]):
                yield WrittenTime((("ymd", clock),), None, "day", loose=True, hidden=True)
    for match in _OLD_YEAR.finditer(text):
        if free(match) and int(match["year"]) >= EARLIEST_YEAR - 40:
            yield WrittenTime((("ymd", datetime(int(match["year"]), 1, 1)),), None, "year", loose=True)


def _long(year: str) -> str:
    """A year of two digits: the field has been filmed since 1960."""
    return str((1900 if int(year) >= EARLIEST_YEAR % 100 else 2000) + int(year))


def _days(parts: tuple[tuple[Order, str, str, str], ...]) -> list[tuple[Order, datetime]]:
    found: dict[datetime, Order] = {}
    for order, year, month, day in parts:
        try:
            clock = datetime(int(year), int(month), int(day))
        except ValueError:
            continue
        if clock.year >= EARLIEST_YEAR and (clock.year, clock.month, clock.day) not in _UNSET:
            found.setdefault(clock, order)
    return [(order, clock) for clock, order in found.items()]


def _with_time(
    text: str, date: re.Match[str], readings: list[tuple[Order, datetime]], loose: bool = False, hidden: bool = False
) -> WrittenTime:
    after = next((match for time in _TIMES if (match := _time_at(time, text, date.end()))), None)
    time = after or next((match for match in [_TIME_BEFORE.search(text[: date.start()])] if match), None)
    span = None if time is None else _since_midnight(time)
    if time is None or span is None:
        return WrittenTime(tuple(readings), None, "day", loose, hidden)
    given = time.groupdict()
    zone, doubtful = (None, False) if after is None else _zone_at(text, time)
    # A counter behind a day looks like 01_23: hours and minutes with nothing else to them.
    counter = given.get("s") is None and given.get("half") is None and given.get("sep") in ("_", "-")
    clocks = tuple((order, clock + span) for order, clock in readings)
    resolution: Resolution = "minute" if given.get("s") is None else "second"
    return WrittenTime(clocks, zone, resolution, loose or doubtful or counter or after is None, hidden)


def _time_at(pattern: re.Pattern[str], text: str, start: int) -> re.Match[str] | None:
    match = pattern.match(text, start)
    if match is None or _since_midnight(match) is None:
        return None
    given = match.groupdict()
    # One digit of an hour only where more says that it is a time: clips are counted as 1_23 too.
    if len(match["h"]) == 1 and given.get("half") is None and (given.get("s") is None or given.get("sep") == "_"):
        return None
    return match


def _since_midnight(time: re.Match[str]) -> timedelta | None:
    given = time.groupdict()
    hour, minute, second = int(given["h"]), int(given["m"]), int(given.get("s") or 0)
    half = (given.get("half") or "").lower()
    if half and 1 <= hour <= 12:
        hour = hour % 12 + (12 if half == "p" else 0)
    if hour > 24 or (hour == 24 and (minute or second)):
        return None
    return timedelta(hours=hour, minutes=minute, seconds=second)


def _zone_at(text: str, time: re.Match[str]) -> tuple[tzinfo | None, bool]:
    """The zone that is written behind a time, and whether it may be something else."""
    match = _ZONE.match(text, time.end())
    if match is None:
        return None, False
    if match["z"]:
        return UTC, False
    if match["word"]:
        return timezone(timedelta(hours=_ZONE_HOURS[match["word"]])), match["word"] in _WORDS_TOO
    hours, minutes = int(match["hh"]), int(match["mm"] or 0)
    if hours > 14 or minutes not in (0, 15, 30, 45):
        return None, False
    # _143000-0100 may count clips: a west zone of a compact time needs a colon, a T or the letters UTC.
    written = match["abbreviation"] or match["colon"] or "T" in text[: time.end()][-8:]
    if match["sign"] == "-" and not written:
        return None, False
    if match["sign"] == "+" and match["mm"] is None and not match["abbreviation"] and len(match["hh"]) == 1:
        return None, False
    span = timedelta(hours=hours, minutes=minutes)
    return timezone(span if match["sign"] == "+" else -span), False
