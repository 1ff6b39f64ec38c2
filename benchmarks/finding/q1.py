"""Q1: finding tracks among a million: those that are alike, and those that a search asks for.

Does not belong here: measuring either (`q1_similar`, `q1_search`).
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.finding import q1_search, q1_similar
from benchmarks.support.harness import Row


def measure() -> Iterator[Row]:
    """Two rows."""
    yield from q1_similar.measure()
    yield from q1_search.measure()
