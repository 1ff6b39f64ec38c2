"""JSON files in pieces: the entries of the top object's sections, one after the other.

Belongs here: the reader. Does not belong here: what sections mean.

Every format here is one object whose large sections hold many small entries ({"images": [{...}, ...], ...}). An entry
is decoded by the standard library's C scanner from a buffer that holds little more than it, so a file of any size takes
the memory of its largest entry. What is ours is the loop between entries alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterator
from typing import Any, TextIO

from chimp_assets.exchange.imports.reading.sources import Source, broken, shown

PIECE = 1 << 18
"""Characters read at once; a new size in tests."""
MOST_ENTRY = 1 << 24
"""Characters of one entry: 150,000 detections of one video."""

_AFTER = frozenset(",]}: \t\n\r")
_SPACE = re.compile(r"[ \t\n\r]*")
_REMEDY = "The file is damaged or cut off: copy or export it again."


def json_entries(source: Source, wanted: Container[str] | None = None) -> Iterator[tuple[str, int | str | None, Any]]:
    """(section, key, value) for each entry of the wanted sections (None: all), in the order of the file.

    key: place in a list, name in an object; None for a section that is a single value. The whole file is read, also
    what nobody wants. Within an entry the last of two equal names counts, as everywhere; a section must not come twice.
    Raises ImportFileError where the file is no JSON object, is damaged, cut off, nested too deeply, or has an entry of
    more than 16 million characters.
    """
    with source.text() as text:
        yield from _Reader(source.name, text).entries(wanted)


class _Reader:
    """One pass. place: what is being read, for people."""

    def __init__(self, name: str, text: TextIO) -> None:
        self._name, self._text = name, text
        self._buffer, self._at, self._ended = "", 0, False
        self._scan = json.JSONDecoder().raw_decode
        self.place = "beginning"

    def entries(self, wanted: Container[str] | None) -> Iterator[tuple[str, int | str | None, Any]]:
        if self._peek() == "":
            raise broken(self._name, "", "the file is empty", _REMEDY)
        if self._peek() != "{":
            raise broken(self._name, "", "it does not begin with an object of JSON", "Export it as its program does.")
        seen: set[str] = set()
        for section in self._names():
            if section in seen:
                raise broken(self._name, f"section {shown(section)}", "it is there twice", "Keep one of the two.")
            seen.add(section)
            keep = wanted is None or section in wanted
            for key, value in self._section(section):
                if keep:
                    yield section, key, value
        if self._peek():
            raise broken(self._name, "end", "something follows after the end", _REMEDY)

    def _section(self, section: str) -> Iterator[tuple[int | str | None, Any]]:
        first, named = self._peek(), shown(section)
        if first == "{":
            for name in self._names():
                self.place = f"{named}, {shown(name)}"
                yield name, self._value()
        elif first == "[":
            self._at += 1
            index = 0
            self.place = f"{named}[0]"
            if self._peek() == "]":
                self._at += 1
                return
            while True:
                yield index, self._value()
                if self._next(",]") == "]":
                    return
                index += 1
                self.place = f"{named}[{index}]"
        else:
            self.place = f"section {named}"
            yield None, self._value()

    def _names(self) -> Iterator[str]:
        """Names of the object that begins here; the caller reads the value after each."""
        self._at += 1
        if self._peek() == "}":
            self._at += 1
            return
        while True:
            if self._peek() != '"':
                raise self._damaged("a name in quotes should follow")
            name = self._value()
            self._next(":")
            yield name
            if self._next(",}") == "}":
                return

    def _value(self) -> Any:
        self._peek()
        while True:
            try:
                value, end = self._scan(self._buffer, self._at)
            except json.JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated") or error.pos > len(self._buffer) - 16
                reason = error.msg
            except ValueError as error:  # a number of more than 4,300 digits
                raise self._damaged(shown(str(error))) from None
            else:
                # A number near the end of the buffer may go on: 0 of 0.5, 1 of 1e9.
                if self._buffer[end : end + 1] in _AFTER or end < len(self._buffer) - 16 or self._ended:
                    self._at = end
                    return value
                cut, reason = True, ""
            if not cut or self._ended:
                raise self._damaged(reason if not self._ended else "the file ends in the middle")
            if len(self._buffer) - self._at > MOST_ENTRY:
                raise self._damaged("this entry has more than 16 million characters, or quotes that never close")
            self._more(max(PIECE, len(self._buffer) - self._at))

    def _peek(self) -> str:
        """The next character that is no space; "" at the end."""
        while True:
            found = _SPACE.match(self._buffer, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if self._ended:
                return ""
            self._more(PIECE)

    def _next(self, allowed: str) -> str:
        character = self._peek()
        if not character:
            raise self._damaged("the file ends in the middle")
        if character not in allowed:
            raise self._damaged(f"{shown(character)} stands where {' or '.join(allowed)} should")
        self._at += 1
        return character

    def _more(self, size: int) -> None:
        piece = self._text.read(size)
        self._ended = not piece
        self._buffer, self._at = self._buffer[self._at :] + piece, 0

    def _damaged(self, reason: str) -> Exception:
        return broken(self._name, self.place, reason, _REMEDY)
