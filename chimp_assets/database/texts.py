"""Which texts the three databases can hold, checked before they are sent there.

Belongs here: the length of a text as SQL Server counts it, what no database takes, and how a text is shown that holds
signs which nobody sees. Does not belong here: what a text may mean (`events`, `individuals`, ...) and be called
(`names`).
"""

from __future__ import annotations

import re
import unicodedata

ESCAPE = "/"
# Unicode's Default_Ignorable_Code_Point beyond the categories below (DerivedCoreProperties.txt), and the Braille blank.
_EMPTY_SIGNS = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef"
# Controls, lone surrogates, line and paragraph separators, and format characters: bidirectional marks, zero-width
# joiners, soft hyphens, tags. Of category Cf only Arabic and Kaithi number signs are left out: they are seen.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\ud800-\udfff\ufeff\ufff0-\ufffb\U00013430-\U0001343f\U0001bca0-\U0001bca3"
    f"\U0001d173-\U0001d17a\U000e0000-\U000e0fff{_EMPTY_SIGNS}]"
)
# Between pictures a joiner and a selector are part of what is seen: a family of four is one picture.
_IN_EMOJI = "(?<=[\u2190-\u2bff\U0001f000-\U0001faff\ufe0f])[\u200d\ufe0f]"
_UNSEEN_IN_LINE = re.compile(f"(?!{_IN_EMOJI}){_UNSEEN.pattern}")
_UNSEEN_IN_LINES = re.compile(f"(?![\n\t]|{_IN_EMOJI}){_UNSEEN.pattern}")


def units_of(text: str) -> int:
    """Length in UTF-16 units, as NVARCHAR(n) counts: an emoji is two. Never less than PostgreSQL counts."""
    return len(text) + sum(character > "\uffff" for character in text)


def cut_to(text: str, longest: int) -> str:
    """The text, or its beginning of at most `longest` units; never half of a pair."""
    while units_of(text) > longest:
        text = text[: len(text) - max(1, (units_of(text) - longest) // 2)]
    return text


def is_storable(text: str) -> bool:
    """Whether every database can hold and return it: no NUL (PostgreSQL), no half of a surrogate pair (no UTF-8)."""
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def fault_of(text: str, longest: int) -> str | None:
    """Why a text cannot be stored in a column of `longest` units, to follow its name; None if it can."""
    if "\x00" in text:
        return "holds a NUL character, which no database takes"
    if not is_storable(text):
        return "holds half of a surrogate pair, which is no text"
    units = units_of(text)
    if units > longest:
        more = "" if units == len(text) else " (an emoji counts as two)"
        return f"is longer than {longest} characters: it has {units}{more}"
    return None


def first_unseen(text: str) -> str | None:
    """The first character of a text that nobody sees: a control, a bidirectional mark, a zero-width sign; or None."""
    found = _UNSEEN.search(text)
    return found[0] if found else None


def sign_name(character: str) -> str:
    """A character as people can look it up: U+202E RIGHT-TO-LEFT OVERRIDE."""
    name = unicodedata.name(character, "") or _CONTROLS.get(character, "a control character")
    return f"U+{ord(character):04X} ({name})"


_CONTROLS = {"\x1b": "ESCAPE", "\n": "LINE FEED", "\r": "CARRIAGE RETURN", "\t": "TABULATION", "\x00": "NULL"}


def visible(text: str) -> str:
    """The text with every unseen character written out: \\x1b, \\u202e. Line feeds and tabs stay: they lay out."""
    return _UNSEEN_IN_LINES.sub(lambda found: written_out(found[0]), text)


def visible_line(text: str) -> str:
    """The same for a text that must stay on its line: line feeds and tabs are written out, too."""
    return _UNSEEN_IN_LINE.sub(lambda found: written_out(found[0]), text)


def visible_json(text: str) -> str:
    """JSON of the same meaning in which every unseen character is escaped as JSON does."""
    return _UNSEEN_IN_LINES.sub(lambda found: _json_escape(found[0]), text)


def written_out(character: str) -> str:
    """One character as Python writes it in a string."""
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_escape(character: str) -> str:
    code = ord(character)
    if code < 0x10000:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"


def pattern_within(text: str) -> str:
    """For LIKE with ESCAPE: whatever has this text in it. `[` too has a meaning on SQL Server."""
    return "%" + re.sub(r"([%_/[])", ESCAPE + r"\1", text) + "%"
