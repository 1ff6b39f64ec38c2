"""How a CSV file is written: encoding, delimiter, header, decimal mark; and its rows, cell by cell.

Belongs here: whatever can be seen without knowing what a column means. Does not belong here: kinds of tables
(`csv_tables`), and single cells (`csv_cells`).

What can be read in two ways is refused with its line and column, never guessed. What was left out or assumed is a note.
"""

from __future__ import annotations

import codecs
import csv
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from chimp_assets.database.csv_cells import Number, number_of, proven_mark, unguarded
from chimp_assets.errors import ChimpError

DELIMITERS = ",;\t|"

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


class InvalidValue(Exception):
    """A value cannot be stored: its column, and why. Whoever reads rows makes a Fault of it, with the line."""

    def __init__(self, column: str, sentence: str) -> None:
        super().__init__(sentence)
        self.column = column


@dataclass(frozen=True)
class Row:
    """One row: its line, and its cells by our name of their column; an empty cell is None.

    Cells of numbers are written as Python does. raw: the same cells as the file has them.
    """

    line: int
    cells: Mapping[str, str | None]
    raw: Mapping[str, str] = field(default_factory=dict, compare=False)


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
            except InvalidValue as error:
                yield Fault(line, error.column, str(error))
    except OSError as error:
        raise TableFileError(f"{sheet.file} cannot be read: {error.strerror}.", "Say where the CSV file is.") from None
    except UnicodeError:
        raise _no_text(sheet.file) from None
    except csv.Error as error:
        raise _no_csv(sheet.file, error) from None


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
                    if ("." in cell or "," in cell) and (mark := proven_mark(cell)):
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
        raise InvalidValue(at, f"the row has {word} cells ({len(cells)}) than the header ({width})")
    raw = {ours: (cells[place] if place < len(cells) else "") for ours, place in kept.items()}
    values: dict[str, str | None] = {}
    for ours, cell in raw.items():
        text = cell.strip()
        if text and ours in numbers:
            try:
                text = number_of(unguarded(text), numbers[ours], sheet.decimal, sheet.mixed)
            except ValueError as error:
                raise InvalidValue(ours, str(error)) from None
        values[ours] = unguarded(text) or None
    return Row(line, values, raw)


def _no_text(file: Path) -> TableFileError:
    return TableFileError(f"{file} is not UTF-8 text.", "Save it as CSV UTF-8 and import it again.")


def _no_csv(file: Path, error: csv.Error) -> TableFileError:
    return TableFileError(f"{file} is not a CSV file: {error}.", "Save it as CSV UTF-8 and import it again.")
