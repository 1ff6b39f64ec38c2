"""The columns of an imported table: their names in SQL, what they hold, and what their values name.

Belongs here: what can be seen in a file. Does not belong here: whom or what a value means (`matching`), storing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from chimp_assets.database.csv_cells import KEY, Number, date_of, number_of
from chimp_assets.database.csv_sheets import plain

ROW = "row_no"
"""Key of every imported table: the line of a row in its file."""
LONGEST_NAME = 40
ORDERS = ("ymd", "dmy", "mdy")
_REAL = Number()
_ORDERED = re.compile(r"([0-9]{1,2})[./-]([0-9]{1,2})[./-]([0-9]{4})")
# Headers that say what a column names.
HEADERS: Mapping[str, tuple[str, ...]] = {
    "individual": (
        "animid", "individual", "individualid", "anim", "animal", "animalid", "chimp", "chimpanzee", "id", "idcode",
        "code",
    ),
    "camera": ("camera", "cameraid", "cam", "station", "locationname", "deployment"),
    "place": ("site", "place", "location", "area"),
    "day": ("date", "day", "recordedon", "obsdate", "observationdate"),
    "moment": ("time", "moment", "datetime", "timestamp", "recordedat", "eventstart"),
    "video": ("video", "uri", "file", "filename", "clip"),
}  # fmt: skip


@dataclass
class SeenColumn:
    """A column while its cells are read. longest: characters; filled: cells that hold something."""

    header: str
    name: str
    longest: int = 0
    filled: int = 0
    kinds: set[str] = field(default_factory=lambda: {"integer", "real", "date", "moment"})
    ambiguous: tuple[int, str] | None = None

    def look(self, line: int, text: str, read: Readers) -> None:
        """Take one cell that holds something."""
        self.filled += 1
        self.longest = max(self.longest, len(text))
        for kind in tuple(self.kinds):
            try:
                read[kind](text)
            except ValueError as error:
                if kind == "date" and "several ways" in str(error):
                    self.ambiguous = self.ambiguous or (line, text)
                    continue  # a date all the same: in which order, somebody must say
                self.kinds.discard(kind)

    @property
    def kind(self) -> str:
        """What all cells are."""
        if not self.filled:
            return "text"
        return next((kind for kind in ("integer", "real", "date", "moment") if kind in self.kinds), "text")


Readers = Mapping[str, Callable[[str], Any]]


def readers(decimal: str | None, mixed: bool, order: str | None) -> Readers:
    """How a cell of each kind is read: each raises ValueError with a sentence. order: of the parts of a date."""

    def day(text: str) -> date:
        found = _ORDERED.fullmatch(text.strip()) if order in ("dmy", "mdy") else None
        if found is None:
            return date_of(text)
        first, second, year = map(int, found.groups())
        number, month = (first, second) if order == "dmy" else (second, first)
        try:
            return date(year, month, number)
        except ValueError:
            raise ValueError(f"there is no day {text[:30]} in the order {order}") from None

    def moment(text: str) -> datetime:
        body = text.strip()
        day_part, space, clock = body.replace("T", " ", 1).partition(" ")
        if space and order in ("dmy", "mdy") and _ORDERED.fullmatch(day_part):
            body = f"{day(day_part).isoformat()} {clock}"
        try:
            found = datetime.fromisoformat(body.replace("/", "-", 2))
        except ValueError:
            raise ValueError(f"{text[:40]!r} is no moment like 2013-05-06 07:08:09") from None
        if found.tzinfo is not None:
            found.utctimetuple()
        return found

    return {
        "integer": lambda text: int(number_of(text, KEY, decimal, mixed)),
        "real": lambda text: float(number_of(text, _REAL, decimal, mixed)),
        "date": day,
        "moment": moment,
        "text": str,
    }


def sql_names(headers: Sequence[str]) -> list[str]:
    """A name for each header that every database takes: lower case, letters, digits and underscores, each once."""
    found: list[str] = []
    for place, header in enumerate(headers):
        ascii_ = unicodedata.normalize("NFKD", header).encode("ascii", "ignore").decode().lower()
        word = re.sub(r"[^a-z0-9]+", "_", ascii_).strip("_")[:LONGEST_NAME]
        word = word if word and word[0].isalpha() else f"c_{word}" if word else f"column_{place + 1}"
        name, n = word, 2
        while name in found or name == ROW:
            name, n = f"{word}_{n}", n + 1
        found.append(name)
    return found


def said_by_header(header: str) -> str | None:
    """What a column names, by its header alone."""
    return next((joins for joins, words in HEADERS.items() if plain(header) in words), None)
