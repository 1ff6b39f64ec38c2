"""Cells of CSV files: numbers, dates and yes or no as spreadsheets write them, and texts that no spreadsheet runs.

Belongs here: one cell at a time. Does not belong here: how a whole file is written (`csv_sheets`), and what a column
means (`csv_tables`, `database.files`).

A cell that can be read in two ways is refused with a sentence, never guessed.
"""

from __future__ import annotations

import csv
import re
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Protocol

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection)."""


@dataclass(frozen=True)
class Number:
    """What a column of numbers may hold: whole ones only, from low to high."""

    whole: bool = False
    low: float = -sys.float_info.max
    high: float = sys.float_info.max


KEY = Number(whole=True, low=-(2**63), high=2**63 - 1)
"""Of an integer column of the database."""


_BLANKS = "\u0020\u00a0\u2007\u2009\u202f"
_GROUPED = re.compile(rf"([0-9]{{1,3}})((?:[{_BLANKS}][0-9]{{3}})+|(?:['’][0-9]{{3}})+)(?=[.,]|$)")
_PLAIN = re.compile(r"[0-9]+")
_SHORT_KEY = re.compile(r"0|[1-9][0-9]{0,17}")
_SHORT_NUMBER = re.compile(r"-?[0-9]{1,15}\.[0-9]{1,15}")
_EXPONENT = re.compile(r"(?P<mantissa>[0-9]+(?:[.,](?P<places>[0-9]+))?)[eE](?P<power>[+-]?[0-9]{1,3})")


def number_of(text: str, rule: Number, decimal: str | None = None, mixed: bool = False) -> str:
    """A number as Python writes it, from a cell like `1,0`, `9437186.0`, `9.437.186` or `1 234,5`.

    decimal: the mark that the file proves; mixed: it proves both. Raises ValueError with a sentence for what is no
    number of the rule, or is one in two ways.
    """
    if rule.whole and _SHORT_KEY.fullmatch(text):
        return text  # nearly all keys; the rest takes ten times as long
    if not rule.whole and not mixed and decimal != "," and _SHORT_NUMBER.fullmatch(text):
        short = float(text)
        if rule.low <= short <= rule.high:
            return repr(short)
    what = "a whole number" if rule.whole else "a number"
    by_mark = _readings(text)
    if decimal is not None:
        found = {decimal: by_mark[decimal]} if decimal in by_mark else {}
    elif "." in by_mark and not mixed and "," not in text and not rule.whole:
        found = {".": by_mark["."]}  # what sql/README.md asks for
    else:
        found = by_mark
    if rule.whole and text.lower().count("e") and found:
        _require_all_digits(text)
    values = {value for value in found.values() if _allows(rule, value)}
    if len(values) > 1 or (rule.whole and len(set(found.values())) > 1 and "." in text and "," not in text):
        both = " or ".join(_written(value) for value in sorted(set(found.values())))
        raise ValueError(f"{text!r} can be read as {both}; write it without separators of thousands")
    if not values:
        if found and not rule.whole:
            raise ValueError(f"{text!r} lies outside of {rule.low:g} to {rule.high:g}")
        raise ValueError(f"{text!r} is not {what}")
    value = values.pop()
    return str(int(value)) if rule.whole else _written(value)


def _readings(text: str) -> dict[str, Decimal]:
    """What a text is with a decimal point and with a decimal comma, where it is a number."""
    body = text.strip().replace("−", "-")
    sign, body = (body[0], body[1:]) if body[:1] in ("+", "-") else ("", body)
    body = _GROUPED.sub(lambda found: re.sub(r"[^0-9]", "", found[0]), body) if _GROUPED.match(body) else body
    exponent = _EXPONENT.fullmatch(body)
    if exponent:
        value = Decimal(f"{sign}{exponent['mantissa'].replace(',', '.')}e{exponent['power']}")
        return {".": value} if "." in body else {",": value} if "," in body else {".": value, ",": value}
    found = {}
    for mark, group in ((".", ","), (",", ".")):
        whole, comma, part = body.partition(mark)
        if group in part or mark in part or (comma and not _PLAIN.fullmatch(part or "0")):
            continue
        if group in whole:
            if not re.fullmatch(rf"[1-9][0-9]{{0,2}}(?:{re.escape(group)}[0-9]{{3}})+", whole):
                continue
            whole = whole.replace(group, "")
        if _PLAIN.fullmatch(whole) or (not whole and part):
            found[mark] = Decimal(f"{sign}{whole or '0'}.{part or '0'}")
    return found


def proven_mark(text: str) -> str | None:
    """The decimal mark of a number that is one with this mark only; None if there is no such mark."""
    found = _readings(text)
    return next(iter(found)) if len(found) == 1 else None


def _require_all_digits(text: str) -> None:
    """A spreadsheet shows large numbers as 9.43719E+06: where digits are missing the number is another."""
    exponent = _EXPONENT.fullmatch(text.strip().lstrip("+-"))
    if exponent and int(exponent["power"]) != len(exponent["places"] or ""):
        raise ValueError(
            f"{text!r} is a number that a spreadsheet has shortened; show all of its digits and save again"
        )


def _allows(rule: Number, value: Decimal) -> bool:
    return rule.low <= value <= rule.high and (not rule.whole or value == value.to_integral_value())


def _written(value: Decimal) -> str:
    return repr(float(value)) if value != value.to_integral_value() or abs(value) >= 2**53 else f"{int(value)}.0"


_DATE = re.compile(r"(?P<year>\d{4})(?P<mark>[-/.]?)(?P<month>\d\d?)(?P=mark)(?P<day>\d\d?)", re.ASCII)
_MIDNIGHT = re.compile(r"[ T]0?0:00(?::00(?:[.,]0+)?)?$|[ T]12:00(?::00)? ?AM$", re.ASCII | re.IGNORECASE)
_TWO_READINGS = re.compile(r"(\d{1,2})([/.-]) ?(\d{1,2})\2 ?(\d{4}|\d{2})", re.ASCII)
_IN_WORDS = re.compile(r"(\d{1,2})(?:st|nd|rd|th|er|º)?[\s.-]+(?:de )?([^\W\d_]+)\.?[\s.-]+(?:de )?(\d{2,4})")
_MONTH_FIRST = re.compile(r"([^\W\d_]+)\.? (\d{1,2})(?:st|nd|rd|th)?,? (\d{4})")
_SERIAL = re.compile(r"\d{4,5}(?:[.,]0+)?", re.ASCII)
# English, German, French, Spanish, Portuguese, Italian, Dutch, in full or as spreadsheets shorten them; no accents.
_MONTHS = (
    "january jan januar janner janvier janv enero ene janeiro gennaio gen januari",
    "february feb februar feber fevrier fevr febrero fevereiro fev febbraio februari",
    "march mar marz mrz mars marzo marco maart mrt",
    "april apr avril avr abril abr aprile",
    "may mai mayo maio maggio mag mei",
    "june jun juni juin junio junho giugno giu",
    "july jul juli juillet juil julio julho luglio lug",
    "august aug aout agosto ago augustus",
    "september sep sept septembre septiembre setembro set settembre",
    "october oct oktober okt octobre octubre outubro out ottobre ott",
    "november nov novembre noviembre novembro",
    "december dec dezember dez decembre diciembre dic dezembro dicembre",
)
_MONTH_OF = {word: number for number, words in enumerate(_MONTHS, start=1) for word in words.split()}
_YES = (
    "true",
    "wahr",
    "vrai",
    "verdadero",
    "verdadeiro",
    "vero",
    "waar",
    "yes",
    "y",
    "ja",
    "j",
    "oui",
    "si",
    "sim",
    "1",
)
_NO = ("false", "falsch", "faux", "falso", "onwaar", "no", "n", "nein", "non", "nao", "nee", "0")


def date_of(text: str) -> date:
    """A date as ISO or a spreadsheet writes it, where it can be only one day. Raises ValueError with a sentence."""
    body = _MIDNIGHT.sub("", text.strip())
    matched = _DATE.fullmatch(body)
    if matched and (matched["mark"] or len(body) == 8):
        return _day(text, int(matched["year"]), int(matched["month"]), int(matched["day"]))
    matched = _TWO_READINGS.fullmatch(body)
    if matched:
        first, _, second, year = matched.groups()
        if len(year) == 4 and (max(int(first), int(second)) > 12 or int(first) == int(second)):
            month, day = sorted((int(first), int(second)))
            return _day(text, int(year), month, day)
        raise ValueError(f"{text!r} can be read in several ways; write year-month-day, like 1976-03-24")
    day_word_year = _IN_WORDS.fullmatch(body)
    word_day_year = _MONTH_FIRST.fullmatch(body)
    if day_word_year or word_day_year:
        day_text, word, year = (
            day_word_year.groups() if day_word_year else (word_day_year[2], word_day_year[1], word_day_year[3])  # type: ignore[index]
        )
        found = _MONTH_OF.get(_without_accents(word))
        if found is not None and len(year) == 4:
            return _day(text, int(year), found, int(day_text))
        if found is not None:
            raise ValueError(f"{text!r} has a year of two digits; write year-month-day, like 1976-03-24")
    if _SERIAL.fullmatch(body):
        raise ValueError(f"{text!r} is a spreadsheet's number of a day; format the column as a date, like 1976-03-24")
    raise ValueError(f"{text!r} is not a date like 1976-03-24")


def truth_of(text: str) -> bool | None:
    """Yes or no as spreadsheets of many languages write it: TRUE, WAHR, VRAI, ja, 0; None for any other word."""
    word = _without_accents(text)
    return True if word in _YES else False if word in _NO else None


def _without_accents(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text.strip().casefold()) if not unicodedata.combining(c))


def _day(text: str, year: int, month: int, day: int) -> date:
    try:
        return date(year, month, day)
    except ValueError:
        raise ValueError(f"there is no day {text[:30]}") from None


_GUARDED = re.compile(f"'+[{''.join(map(re.escape, FORMULA_STARTS))}]")
_GUARD = re.compile(f"'*[{''.join(map(re.escape, FORMULA_STARTS))}]")


class Writer(Protocol):
    """What writes rows of cells."""

    def writerow(self, row: Sequence[Any], /) -> Any: ...


class GuardedWriter:
    """Writes CSV that no spreadsheet runs: a text that looks like a formula begins with an apostrophe.

    A text that begins with apostrophes before such a sign gets one more, so that `unguarded` gives back every text.
    """

    def __init__(self, stream: Any, lineterminator: str = "\r\n") -> None:
        self._writer = csv.writer(stream, lineterminator=lineterminator)

    def writerow(self, row: Sequence[Any], /) -> None:
        """One line; None is an empty cell."""
        self._writer.writerow([guarded(value) if isinstance(value, str) else value for value in row])


def guarded(text: str) -> str:
    """A text as a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if _GUARD.match(text) else text


def unguarded(text: str) -> str:
    """The text of a guarded cell."""
    return text[1:] if _GUARDED.match(text) else text
