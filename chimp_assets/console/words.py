"""Numbers as people read them: counts, durations, shares with their interval, values in a cell.

Belongs here: short phrases that several screens share. Does not belong here: sentences of one screen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping


def counted(n: int, one: str, many: str) -> str:
    """A number with its noun in singular or plural: 1 file, 1,200 files."""
    return f"{n:,} {one if n == 1 else many}"


def counts_in_words(counts: Mapping[str, int]) -> str:
    """12 tracked, 1 failed; "none" for no counts."""
    return ", ".join(f"{n:,} {name}" for name, n in counts.items()) or "none"


def hours_in_words(hours: float) -> str:
    """2.5 h, or minutes below one hour."""
    return f"{hours:,.1f} h" if hours >= 1 else f"{hours * 60:.1f} min"


def duration_in_words(seconds: float) -> str:
    """40 s, 12 min, 3 h 20 min, 5 days."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes / 60 / 24:.0f} days"


def accuracy_in_words(value: float, low: float | None, high: float | None, n: int) -> str:
    """A share of n with its interval: 80% (70% to 88%, n = 60)."""
    return f"{value:.0%} ({low or 0:.0%} to {high or 0:.0%}, n = {n})"


def cell_of(value: object) -> str:
    """A value of a cell: four significant digits, moments without fractions of seconds, None as an empty text."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
    text = str(value)
    return re.sub(r"(\d\d:\d\d:\d\d)\.\d+(?:\+00:00)?$", r"\1", text)
