"""What can be true of lives taken together: SokweDB's rules, without any database.

Belongs here: lives, memberships, and the rules that no file and no row alone can break. Does not belong here: reading
files (`individual_files`) and storing (`individuals`).

Births are often known to a window only. A rule refuses what cannot be for any day of the window, never what is merely
unlikely; an individual without a departure may still live.
"""

from __future__ import annotations

import calendar
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from graphlib import CycleError, TopologicalSorter

MOTHER_AGE_Y = 8
FATHER_AGE_Y = 10
MAX_AGE_Y = 70
FATHER_DIED_BEFORE_MONTHS = 9
DAYS_A_YEAR = 365.25

UNKNOWN_ANIM_ID = "UNK"
"""SokweDB's row for an animal that nobody could name; never an individual of ours."""


@dataclass(frozen=True)
class Life:
    """What is known of an individual. mom, dad: anim_id or None. depart_date_error: years either way."""

    anim_id: str
    sex: str = "U"
    birth_date: date | None = None
    bd_min: date | None = None
    bd_max: date | None = None
    mom: str | None = None
    dad: str | None = None
    entry_date: date | None = None
    depart_date: date | None = None
    depart_type: str | None = None
    depart_date_error: float | None = None

    @property
    def born_from(self) -> date:
        """The earliest day of birth; date.min where nothing is known."""
        return self.bd_min or self.birth_date or date.min

    @property
    def born_to(self) -> date:
        """The latest day of birth; date.max where nothing is known."""
        return self.bd_max or self.birth_date or date.max

    @property
    def here_to(self) -> date:
        """The latest day on which it may have been there; date.max where nothing is known."""
        if self.depart_date is None:
            return date.max
        return _days_after(self.depart_date, round((self.depart_date_error or 0) * DAYS_A_YEAR))


@dataclass(frozen=True)
class Membership:
    """Days on which an individual belonged to a community, both ends included. end None: until it departs."""

    anim_id: str
    community: str
    start: date
    end: date | None = None


@dataclass(frozen=True)
class Contradiction:
    """A rule that is broken. about: the anim_ids whose rows could mend it, who says it first; field: of the first.

    Of memberships: starts, the start_date of those at fault; life_field, the biography's field that could mend it too.
    """

    about: tuple[str, ...]
    field: str
    sentence: str
    starts: tuple[date, ...] = ()
    life_field: str | None = None


def contradictions(lives: Mapping[str, Life]) -> Iterator[Contradiction]:
    """Everything in these lives that cannot be. A parent that is not among them is no contradiction here."""
    for life in lives.values():
        yield from _of_one_life(life)
        for field, parent_id in (("mom_id", life.mom), ("dad_id", life.dad)):
            parent = lives.get(parent_id or "")
            if parent is not None and parent_id != life.anim_id:
                yield from _of_a_parent(life, field, parent)
    yield from _circles(lives)


def membership_contradictions(lives: Mapping[str, Life], memberships: Iterable[Membership]) -> Iterator[Contradiction]:
    """Everything in these memberships that cannot be, given the lives of those who are members."""
    of: dict[str, list[Membership]] = defaultdict(list)
    for membership in memberships:
        of[membership.anim_id].append(membership)
    for anim_id, theirs in of.items():
        life = lives.get(anim_id, Life(anim_id))
        theirs.sort(key=lambda membership: membership.start)
        for membership in theirs:
            yield from _of_a_membership(life, membership)
        longest = theirs[0]
        for later in theirs[1:]:
            yield from _of_neighbours(longest, later)
            if longest.end is not None and (later.end is None or later.end > longest.end):
                longest = later


def years_after(day: date, years: int) -> date:
    """The same day of another year; 28 February for 29 where there is none. Stays inside the calendar."""
    return _months_after(day, 12 * years)


def _of_one_life(life: Life) -> Iterator[Contradiction]:
    def wrong(field: str, sentence: str) -> Contradiction:
        return Contradiction((life.anim_id,), field, sentence)

    born = life.birth_date
    if life.bd_min and life.bd_max and life.bd_min > life.bd_max:
        yield wrong("bd_min", f"{life.anim_id} is born at the earliest on {life.bd_min}, after bd_max {life.bd_max}")
    elif born and not life.born_from <= born <= life.born_to:
        yield wrong(
            "birth_date", f"{born} lies outside of {life.anim_id}'s bd_min {life.bd_min} to bd_max {life.bd_max}"
        )
    if life.entry_date and life.entry_date < life.born_from:
        yield wrong("entry_date", f"{life.anim_id} enters on {life.entry_date}, before the birth on {life.born_from}")
    if life.depart_date and life.entry_date and life.depart_date < life.entry_date:
        yield wrong(
            "depart_date", f"{life.anim_id} departs on {life.depart_date}, before the entry on {life.entry_date}"
        )
    elif life.depart_date and life.here_to < life.born_from:
        yield wrong(
            "depart_date", f"{life.anim_id} departs on {life.depart_date}, before the birth on {life.born_from}"
        )
    for field in ("entry_date", "depart_date"):
        day: date | None = getattr(life, field)
        error = life.depart_date_error if field == "depart_date" else None
        if day and _days_after(day, -round((error or 0) * DAYS_A_YEAR)) > years_after(life.born_to, MAX_AGE_Y):
            yield wrong(field, f"on {day} {life.anim_id} is older than {MAX_AGE_Y} years, born by {life.born_to}")
    if life.anim_id in (life.mom, life.dad):
        yield wrong("mom_id" if life.mom == life.anim_id else "dad_id", f"{life.anim_id} cannot be its own parent")


def _of_a_parent(life: Life, field: str, parent: Life) -> Iterator[Contradiction]:
    def wrong(sentence: str) -> Contradiction:
        return Contradiction((life.anim_id, parent.anim_id), field, sentence)

    mother = field == "mom_id"
    word, least, never = ("mother", MOTHER_AGE_Y, "M") if mother else ("father", FATHER_AGE_Y, "F")
    if parent.sex == never:
        yield wrong(f"{parent.anim_id} cannot be the {word} of {life.anim_id}: its sex is {never}")
    if life.born_to < years_after(parent.born_from, least):
        yield wrong(
            f"{parent.anim_id}, born on {parent.born_from} at the earliest, is not {least} years older than"
            f" {life.anim_id}, born by {life.born_to}"
        )
    if parent.depart_type == "D":
        last = parent.here_to if mother else _months_after(parent.here_to, FATHER_DIED_BEFORE_MONTHS)
        if last < life.born_from:
            yield wrong(
                f"{parent.anim_id} died on {parent.depart_date},"
                f"{'' if mother else f' more than {FATHER_DIED_BEFORE_MONTHS} months'} before {life.anim_id} was born"
                f" ({life.born_from} at the earliest)"
            )


def _circles(lives: Mapping[str, Life]) -> Iterator[Contradiction]:
    """Individuals that are their own ancestors over one or more others."""
    parents = {a: {p for p in (life.mom, life.dad) if p in lives and p != a} for a, life in lives.items()}
    while True:
        try:
            TopologicalSorter(parents).prepare()
            return
        except CycleError as error:
            circle: list[str] = error.args[1]  # each is a parent of the next; the first is the last
        parent, child = circle[0], circle[1]
        parents[child].discard(parent)
        field = "mom_id" if lives[child].mom == parent else "dad_id"
        line = " is a parent of ".join(circle)
        yield Contradiction((child, *circle[2:]), field, f"{child} is its own ancestor: {line}")


def _of_a_membership(life: Life, membership: Membership) -> Iterator[Contradiction]:
    def wrong(field: str, sentence: str, life_field: str | None = None) -> Contradiction:
        return Contradiction((life.anim_id,), field, sentence, (membership.start,), life_field)

    start, end = membership.start, membership.end
    where = f"{life.anim_id}'s membership of {membership.community}"
    if end is not None and end < start:
        yield wrong("end_date", f"{where} ends on {end}, before it starts on {start}")
    if life.entry_date and start < life.entry_date:
        yield wrong("start_date", f"{where} starts on {start}, before the entry on {life.entry_date}", "entry_date")
    elif start < life.born_from:
        yield wrong("start_date", f"{where} starts on {start}, before the birth on {life.born_from}", "birth_date")
    departed = f"after {life.anim_id} departed on {life.depart_date}"
    if start > life.here_to:
        yield wrong("start_date", f"{where} starts on {start}, {departed}", "depart_date")
    elif end is not None and end > life.here_to:
        yield wrong("end_date", f"{where} ends on {end}, {departed}", "depart_date")


def _of_neighbours(earlier: Membership, later: Membership) -> Iterator[Contradiction]:
    def wrong(sentence: str) -> Contradiction:
        return Contradiction((later.anim_id,), "start_date", sentence, (later.start, earlier.start))

    if earlier.end is None or later.start <= earlier.end:
        until = "has no end" if earlier.end is None else f"lasts until {earlier.end}"
        yield wrong(
            f"{later.anim_id} joins {later.community} on {later.start}, but the membership of {earlier.community}"
            f" from {earlier.start} {until}"
        )
    elif earlier.community == later.community and later.start == _days_after(earlier.end, 1):
        yield wrong(
            f"{later.anim_id}'s membership of {later.community} goes on from {earlier.start} without a gap:"
            " write it as one row"
        )


def _months_after(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if not date.min.year <= year <= date.max.year:
        return date.max if year > date.max.year else date.min
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _days_after(day: date, days: int) -> date:
    return date.fromordinal(min(max(day.toordinal() + days, 1), date.max.toordinal()))
