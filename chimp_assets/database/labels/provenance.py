"""Which decisions came from files: an operator vouches for their lanes and propensities, which no queue item confirms.

Belongs here: recording what an import stored or found there already, and reading it. Does not belong here: the files
themselves (`label_files`), what must hold of decisions (`invariants`).

A file that was imported before this was recorded can be imported again: nothing is stored twice, and from then on its
rows are known.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator
from itertools import pairwise

import sqlalchemy as sa

from chimp_assets.database.people.users import write_audit_event
from chimp_assets.database.schema import audit_event

ACTION = "labels.import"
_LONGEST = 1_400
"""Characters of numbers in one event: longer texts are cut there (`people`)."""


def note_import(conn: sa.Connection, file: str, seqs: Collection[int]) -> None:
    """Records that decisions with these numbers are in a file that an operator imported."""
    for part in _parts(_spans(seqs)):
        write_audit_event(conn, ACTION, file, {"seq": part})


class ImportedSeqs:
    """The numbers of all decisions that came from files."""

    def __init__(self, spans: Iterable[tuple[int, int]]) -> None:
        spans = sorted(spans)
        self._first = [first for first, _ in spans]
        # Spans may overlap: up to where any of the earlier ones reaches.
        self._last: list[int] = []
        for _, last in spans:
            self._last.append(max(last, self._last[-1]) if self._last else last)

    def __contains__(self, seq: int) -> bool:
        place = bisect_right(self._first, seq) - 1
        return place >= 0 and seq <= self._last[place]


def imported(conn: sa.Connection) -> ImportedSeqs:
    """Everything recorded so far."""
    e = audit_event.c
    spans = []
    for detail in conn.scalars(sa.select(e.detail).where(e.action == ACTION)):
        for span in str(json.loads(detail or "{}").get("seq", "")).split(","):
            first, _, last = span.partition("-")
            if first.isdecimal() and (not last or last.isdecimal()):
                spans.append((int(first), int(last or first)))
    return ImportedSeqs(spans)


def _spans(seqs: Collection[int]) -> Iterator[str]:
    """Neighbouring numbers as `first-last`."""
    ordered = sorted(set(seqs))
    if not ordered:
        return
    first = ordered[0]
    for one, other in pairwise([*ordered, ordered[-1] + 2]):
        if other != one + 1:
            yield f"{first}-{one}" if one > first else str(one)
            first = other


def _parts(spans: Iterable[str]) -> Iterator[str]:
    part = ""
    for span in spans:
        if part and len(part) + len(span) + 1 > _LONGEST:
            yield part
            part = ""
        part = f"{part},{span}" if part else span
    if part:
        yield part
