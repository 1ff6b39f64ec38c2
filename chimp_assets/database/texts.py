"""Which texts the three databases can hold, told before they are sent there.

Belongs here: the length of a text as SQL Server counts it, and what no database takes. Does not belong here: what a
text may mean (`events`, `individuals`, ...).
"""

from __future__ import annotations

import re

ESCAPE = "/"


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


def pattern_within(text: str) -> str:
    """For LIKE with ESCAPE: whatever has this text in it. `[` too has a meaning on SQL Server."""
    return "%" + re.sub(r"([%_/[])", ESCAPE + r"\1", text) + "%"
