"""Tables that people keep elsewhere, as CSV: read as spreadsheets write them, and written so that none runs a formula.

Belongs here: encodings, delimiters, headers, numbers and dates, cells with their lines; cells that a spreadsheet would
take for formulas. Does not belong here: what a column means (`individual_files`, `effort_files`, `label_files`).

What can be read in two ways is refused with its line and column, never guessed. What was left out or assumed is a note.
"""

from __future__ import annotations

import codecs
import csv
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from chimp_assets.errors import ChimpError

DELIMITERS = ",;\t|"
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection)."""

_MOST_CELL = 1 << 24
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins as UTF-16 does
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WESTERN = "cp1252"
_SEPARATOR_LINE = re.compile(r"\s*\"?sep=(.)\"?[\s,;|]*", re.IGNORECASE)
# How pandas, R and readr call the column that only counts rows, where they call it anything.
_INDEX_NAMES = frozenset({"", "unnamed:0", "index", "level0", "rownames", "x", "1"})
_WHOLE_INDEX = re.compile(r"-?[0-9]+(?:[.,]0+)?")
_GUARDED = re.compile(f"'+[{''.join(map(re.escape, FORMULA_STARTS))}]")
_GUARD = re.compile(f"'*[{''.join(map(re.escape, FORMULA_STARTS))}]")


class TableFileError(ChimpError):
    """A table file cannot be read, or says something that cannot be stored."""


@dataclass(frozen=True)
class Fault:
    """Why a row cannot be stored: its line in the file (the header is line 1), the column at fault, and the reason."""

    line: int
    column: str
    message: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.column}: {self.message}"


@dataclass(frozen=True)
class Row:
    """One row: its line, and its cells by our name of their column; an empty cell is None.

    Cells of numbers are written as Python does. raw: the same cells as the file has them.
    """

    line: int
    cells: Mapping[str, str | None]
    raw: Mapping[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Number:
    """What a column of numbers may hold: whole ones only, from low to high."""

    whole: bool = False
    low: float = -sys.float_info.max
    high: float = sys.float_info.max


KEY = Number(whole=True, low=-(2**63), high=2**63 - 1)
"""Of an integer column of the database."""


@dataclass(frozen=True)
class Layout:
    """A kind of table. needs: our columns by which it is known; columns: plain header to our column; left_out: plain
    headers that are known and not stored; numbers: our columns that hold numbers.
    """

    name: str
    needs: frozenset[str]
    columns: Mapping[str, str]
    left_out: frozenset[str] = frozenset()
    numbers: Mapping[str, Number] = field(default_factory=dict)


@dataclass(frozen=True)
class CsvTable:
    """A file's rows; columns: our names to the file's; left_out: ignored columns of the file; notes: what was assumed
    about the file, in sentences.
    """

    layout: Layout
    columns: Mapping[str, str]
    left_out: list[str]
    rows: list[Row]
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Sheet:
    """How a file is written. header: its names in place, "" where a column has none; header_line: where it stands;
    index: there is a column that counts rows before all others; decimal: the decimal mark that its numbers prove, None
    where none does or two do; filled: places that hold anything in any row; last_line: of the last
    row; ends: the last line has an end.
    """

    file: Path
    encoding: str
    delimiter: str
    header: list[str]
    header_line: int
    index: bool = False
    short_header: bool = False
    decimal: str | None = None
    mixed: bool = False
    filled: frozenset[int] = frozenset()
    last_line: int = 0
    ends: bool = True
    notes: tuple[str, ...] = ()


def plain(header: str) -> str:
    """A header without case, spaces, underscores, dots and hyphens: `Birth Date` and `birth_date` are one."""
    return re.sub(r"[\s_.-]", "", unicodedata.normalize("NFKC", header)).lower()


def read_table(file: Path, layouts: Sequence[Layout]) -> CsvTable:
    """All rows of a CSV file as spreadsheets write them; see `open_sheet`. Empty lines do not count.

    The table is the first of layouts whose needs its header has. A row with more or fewer cells than the header is a
    fault. Raises TableFileError if the file cannot be read, is no such table, or has a column unknown or twice.
    """
    known = {name for layout in layouts for name in (*layout.columns, *layout.left_out)}
    numeric = {name for layout in layouts for name, ours in layout.columns.items() if ours in layout.numbers}
    sheet = open_sheet(file, lambda name: plain(name) in known, lambda name: plain(name) in numeric)
    layout = _layout_of(sheet, layouts)
    kept = _columns(sheet, layout)
    rows: list[Row] = []
    faults: list[Fault] = []
    for row in rows_of(sheet, kept, layout.numbers):
        if isinstance(row, Row):
            rows.append(row)
        else:
            faults.append(row)
    return CsvTable(
        layout=layout,
        columns={ours: sheet.header[place] for ours, place in kept.items()},
        left_out=[name for name in sheet.header if plain(name) in layout.left_out],
        rows=rows,
        faults=faults,
        notes=list(sheet.notes),
    )


def open_sheet(file: Path, is_known: Callable[[str], bool], is_number: Callable[[str], bool]) -> Sheet:
    """How a CSV file is written: in UTF-8, UTF-16 or Windows-1252; with commas, semicolons, tabs or bars; with or
    without a byte order mark, a line `sep=;`, a column that counts rows, empty columns at the end, decimal commas.

    is_known, is_number: of a name in the header. Raises TableFileError if the file cannot be read or is no table.
    """
    try:
        encoding, notes, ends = _encoding_of(file)
        delimiter, header, header_line = _header_of(file, encoding, is_known)
        return _measure(
            Sheet(file, encoding, delimiter, header, header_line, ends=ends, notes=notes), is_known, is_number
        )
    except OSError as error:
        raise TableFileError(f"{file} cannot be read: {error.strerror}.", "Say where the CSV file is.") from None
    except UnicodeError:
        raise _no_text(file) from None
    except csv.Error as error:
        raise _no_csv(file, error) from None


def rows_of(sheet: Sheet, kept: Mapping[str, int], numbers: Mapping[str, Number]) -> Iterator[Row | Fault]:
    """The rows of a file that are not empty, with the cells of our columns; a Fault for one that cannot be read.

    kept: our columns to their places. Raises TableFileError where the file changed or ends inside quotes.
    """
    try:
        for line, cells in _records(sheet):
            try:
                yield _row(sheet, line, cells, kept, numbers)
            except _CellError as error:
                yield Fault(line, error.column, str(error))
    except OSError as error:
        raise TableFileError(f"{sheet.file} cannot be read: {error.strerror}.", "Say where the CSV file is.") from None
    except UnicodeError:
        raise _no_text(sheet.file) from None
    except csv.Error as error:
        raise _no_csv(sheet.file, error) from None


class FaultyTableError(TableFileError):
    """Rows of a table say what cannot be, and nothing of the file was stored. faults: all of them."""

    faults: tuple[Fault, ...] = ()


def refusal_of(file: Path, faults: list[Fault], notes: Sequence[str] = ()) -> FaultyTableError:
    """The error that names every fault of a file, one a line, and then what was assumed about the file."""
    error = FaultyTableError(
        f"{file} cannot be imported: " + ";\n  ".join(map(str, faults)) + "." + "".join(f" {n}." for n in notes),
        "Mend these and import it again (nothing was stored), or leave out bad rows with --skip-bad.",
    )
    error.faults = tuple(faults)
    return error


# --- numbers, dates and truth as spreadsheets write them ---

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


def _proven_mark(text: str) -> str | None:
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


# --- cells that a spreadsheet would take for formulas ---


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


# --- how a file is written ---


class _CellError(Exception):
    def __init__(self, column: str, sentence: str) -> None:
        super().__init__(sentence)
        self.column = column


def _encoding_of(file: Path) -> tuple[str, tuple[str, ...], bool]:
    """Encoding, notes, and whether the last line has an end."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    last = b""
    with file.open("rb") as stream:
        head = stream.read(1 << 20)
        for mark, name in _BOMS:
            if head.startswith(mark):
                tail = head[-4:]
                while chunk := stream.read(1 << 20):
                    tail = (tail + chunk)[-4:]
                return name, (), tail.rstrip(b"\x00")[-1:] in (b"\n", b"\r")
        nuls = head[:4096].count(b"\x00")
        if nuls and nuls * 3 > len(head[:4096]):
            return ("utf-16-le" if head[1:2] == b"\x00" else "utf-16-be"), (), True
        chunk = head
        try:
            while chunk:
                decoder.decode(chunk)
                last = chunk[-1:]
                chunk = stream.read(1 << 20)
            decoder.decode(b"", final=True)
            return "utf-8", (), last in (b"\n", b"\r")
        except UnicodeDecodeError:
            pass
    content = file.read_bytes()
    mangled = content.decode("utf-8", "surrogateescape")
    proper = any("\x7f" < c < "\ud800" or c > "\udfff" for c in mangled)
    # Three such bytes in a row are no word of a Western language: another alphabet, or another encoding.
    strange = re.search(rb"[\x80-\xff]{3}|\xff\xfe|\xfe\xff|\x00", content)
    if proper or strange:
        raise _no_text(file)
    words = re.findall(r"[^\W\d_]*[^\x00-\x7f][^\W\d_]*", content.decode(_WESTERN))
    some = ", ".join(repr(word) for word in list(dict.fromkeys(words))[:3])
    note = f"{file.name} is not UTF-8; it was read as Windows-1252 (Western Europe): check words like {some}"
    return _WESTERN, (note,), content[-1:] in (b"\n", b"\r")


def _header_of(file: Path, encoding: str, is_known: Callable[[str], bool]) -> tuple[str, list[str], int]:
    """Delimiter, header and its line: the delimiter by which most names of the header are known."""
    with file.open(encoding=encoding, newline="") as text:
        line, first = 1, text.readline()
        while first and not first.strip(f'{DELIMITERS} \t\r\n"\ufeff'):
            line, first = line + 1, text.readline()
        said = _SEPARATOR_LINE.fullmatch(first.strip("\r\n\ufeff"))
        if said and said[1] in DELIMITERS:
            line, first = line + 1, text.readline()
    candidates = said[1] if said and said[1] in DELIMITERS else DELIMITERS
    best: tuple[int, int, str, list[str]] | None = None
    for delimiter in candidates:
        names = [name.strip().strip("\ufeff") for name in next(csv.reader([first], delimiter=delimiter), [])]
        while names and not names[-1]:
            names.pop()  # spreadsheets leave empty columns at the end
        score = (sum(map(is_known, names)), first.count(delimiter), delimiter, names)
        if best is None or score[:2] > best[:2]:
            best = score
    if best is None:
        return ",", [], line
    return best[2], best[3], line


def _measure(sheet: Sheet, is_known: Callable[[str], bool], is_number: Callable[[str], bool]) -> Sheet:
    """What only all rows together say: filled columns, the decimal mark, whether the first column counts rows."""
    header = sheet.header
    width = len(header)
    numbers = [place for place, name in enumerate(header) if is_number(name)]
    filled: dict[int, tuple[int, str]] = {}
    marks: dict[int, set[str]] = {0: set(), 1: set()}
    counts, wide, rows, line = True, True, 0, 0
    for line, cells in _records(sheet):
        rows += 1
        counts = counts and bool(_WHOLE_INDEX.fullmatch(cells[0].strip()))
        wide = wide and len(cells) == width + 1
        for place, cell in enumerate(cells):
            if cell and place not in filled and cell.strip():
                filled[place] = (line, cell.strip())
        for shift in (0, 1):
            for place in numbers:
                if place + shift < len(cells):
                    cell = cells[place + shift].strip()
                    if ("." in cell or "," in cell) and (mark := _proven_mark(cell)):
                        marks[shift].add(mark)
    last_line = line
    index = bool(header) and (header[0] == "" or (plain(header[0]) in _INDEX_NAMES and not is_known(header[0])))
    short = bool(rows and counts and wide and width in filled and not index)
    notes = list(sheet.notes)
    if index and (not counts or not is_known(header[1] if width > 1 else "")) and rows:
        index = False
    if index or short:
        notes.append(f"the first column of {sheet.file.name} only counts rows and was left out")
    for place, name in enumerate(header):
        if not name and place in filled and not (index and place == 0):
            at, cell = filled[place]
            raise TableFileError(
                f"{sheet.file}, line {at}: column {place + 1} has no name and holds {cell[:40]!r}.",
                "Give it one in the header, or take it out.",
            )
    shift = 1 if short else 0
    found = marks[shift]
    return replace(
        sheet,
        index=index,
        short_header=short,
        decimal=next(iter(found)) if len(found) == 1 else None,
        mixed=len(found) > 1,
        filled=frozenset(place - shift for place in filled),
        last_line=last_line,
        notes=tuple(notes),
    )


def _records(sheet: Sheet) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not empty, with their lines, behind the header."""
    csv.field_size_limit(max(csv.field_size_limit(), _MOST_CELL))
    with sheet.file.open(encoding=sheet.encoding, newline="") as text:
        for _ in range(sheet.header_line - 1):
            text.readline()
        before = sheet.header_line - 1
        reader = csv.reader(text, delimiter=sheet.delimiter, strict=True)
        next(reader, None)
        line = before + reader.line_num + 1
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, cells
            line = before + reader.line_num + 1


def _row(sheet: Sheet, line: int, cells: list[str], kept: Mapping[str, int], numbers: Mapping[str, Number]) -> Row:
    width = len(sheet.header)
    if sheet.short_header:
        cells = cells[1:]
    missing = range(len(cells), width)
    # Spreadsheets leave out empty cells at the end of a line; a line that the file breaks off has lost some.
    broken_off = bool(missing) and not sheet.ends and line == sheet.last_line
    if any(cell.strip() for cell in cells[width:]) or any(place in sheet.filled for place in missing) or broken_off:
        word = "fewer" if len(cells) < width else "more"
        at = sheet.header[min(len(cells), width) - 1]
        raise _CellError(at, f"the row has {word} cells ({len(cells)}) than the header ({width})")
    raw = {ours: (cells[place] if place < len(cells) else "") for ours, place in kept.items()}
    values: dict[str, str | None] = {}
    for ours, cell in raw.items():
        text = cell.strip()
        if text and ours in numbers:
            try:
                text = number_of(unguarded(text), numbers[ours], sheet.decimal, sheet.mixed)
            except ValueError as error:
                raise _CellError(ours, str(error)) from None
        values[ours] = unguarded(text) or None
    return Row(line, values, raw)


def _layout_of(sheet: Sheet, layouts: Sequence[Layout]) -> Layout:
    there = {plain(name) for name in sheet.header}
    for layout in layouts:
        if layout.needs <= {ours for name, ours in layout.columns.items() if name in there}:
            return layout
    forms = "; or ".join(f"{layout.name}: {', '.join(sorted(layout.needs))}" for layout in layouts)
    raise TableFileError(
        f"{sheet.file}, line {sheet.header_line}: these are the columns of no table that can be imported.",
        f"Needed: {forms}.",
    )


def _columns(sheet: Sheet, layout: Layout) -> dict[str, int]:
    kept: dict[str, int] = {}
    where = f"{sheet.file}, line {sheet.header_line}"
    for place, name in enumerate(sheet.header):
        if not name or (place == 0 and sheet.index):
            continue
        ours = layout.columns.get(plain(name))
        if ours is None and plain(name) not in layout.left_out:
            known = ", ".join(dict.fromkeys(layout.columns.values()))
            raise TableFileError(
                f"{where}: the column {name!r} is not known.", f"A table of {layout.name} may have {known}."
            )
        if ours in kept:
            raise TableFileError(
                f"{where}: the columns {sheet.header[kept[ours]]!r} and {name!r} mean the same.", "Leave one of them."
            )
        if ours is not None:
            kept[ours] = place
    return kept


def _no_text(file: Path) -> TableFileError:
    return TableFileError(f"{file} is not UTF-8 text.", "Save it as CSV UTF-8 and import it again.")


def _no_csv(file: Path, error: csv.Error) -> TableFileError:
    return TableFileError(f"{file} is not a CSV file: {error}.", "Save it as CSV UTF-8 and import it again.")
