"""Every live track as columns in memory, for search: who, where, when, how sure.

Belongs here: matching, counting by facet, order. Does not belong here: the words of the address (`query`), reading the
columns (`reading`), keeping them current (`living`), what is shown of a track (`insight.similar.tracks`).

SQL stays the truth: columns say which tracks match, and what a page shows of them is read by their keys. What a model
says of tracks that measure it (audit reserve, test days) is not in the columns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from chimp_assets.arrays import BoolArray, F32Array, F64Array, I8Array, I32Array, I64Array
from chimp_assets.database.footage.light import LIGHTS
from chimp_assets.insight.search.query import FLAGGED, KINDS, NAMED, SOURCES, UNNAMED, SearchQuery

NOBODY = -1
FACETS = ("who", "cam", "status", "by", "sex", "age", "light", "flag")
SLACK = 1e-6
"""Bounds of probabilities and qualities are read in six places; columns have them in 32 bits."""


class Stamp(NamedTuple):
    """What columns are made of. seq: of the last decision; merge_id, log_id: of the last change of who is who, and of
    what is known of individuals; head: the champion, None without one; rest: of videos, tracks and scores."""

    seq: int
    merge_id: int
    log_id: int
    head: int | None
    rest: tuple[Any, ...]


class Person(NamedTuple):
    """An individual that was not merged into another. born: day of birth as an ordinal, 0 where it is not known."""

    individual_id: int
    code: str
    name: str | None
    sex: str
    born: int


class AgeClass(NamedTuple):
    """From low to high (not included) years an animal of this sex is called so. place: of the word in `ages`."""

    sex: str
    place: int
    low: float
    high: float


@dataclass(frozen=True)
class People:
    """Who there is, by code, and what ages are called, from the youngest."""

    persons: tuple[Person, ...]
    ages: tuple[str, ...]
    age_classes: tuple[AgeClass, ...]

    def place(self, code: str) -> int:
        """The place of a code; -2 where there is none."""
        return next((n for n, one in enumerate(self.persons) if one.code == code.upper()), -2)

    def age_of(self, who: I32Array, day: I32Array) -> I8Array:
        """Places in `ages`, NOBODY where nobody knows. who: i32 [n], places; day: i32 [n], ordinals, 0 unknown."""
        found = np.full(len(who), NOBODY, np.int8)
        born = np.array([*(one.born for one in self.persons), 0], np.int32)
        rows = np.flatnonzero((born[who] > 0) & (day > 0))  # NOBODY is the last of born
        sexes = np.array([*(one.sex for one in self.persons), ""])[who[rows]]
        years = (day[rows] - born[who[rows]]) / 365.25
        for one in self.age_classes:
            found[rows[(sexes == one.sex) & (years >= one.low) & (years < one.high)]] = one.place
        return found


class Page(NamedTuple):
    """Tracks of a page in their order. begins: number of the first, from 1; after: where the next page begins, None
    on the last."""

    tracks: list[int]
    begins: int
    after: str | None


@dataclass(frozen=True)
class SearchColumns:
    """Columns of n live tracks, by track. film: i32 [n], place in `films`; who: i32 [n], place in `people`; kind: i8
    [n], place in KINDS; source: i8 [n], place in SOURCES; who and source NOBODY without a name; p, quality: f32 [n];
    camera: i32 [n], place in `cameras`; day: i32 [n], ordinal, 0 unknown; hour: i8 [n], NOBODY unknown; light: i8 [n],
    place in LIGHTS; age: i8 [n], place in `people.ages`, NOBODY unknown; flag: bool [n]; measures: bool [n], no model's
    name may be shown; films: i64 [m], video_ids, increasing."""

    track: I64Array
    film: I32Array
    who: I32Array
    kind: I8Array
    source: I8Array
    p: F32Array
    quality: F32Array
    camera: I32Array
    day: I32Array
    hour: I8Array
    light: I8Array
    age: I8Array
    flag: BoolArray
    measures: BoolArray
    films: I64Array
    people: People
    cameras: tuple[str, ...]
    stamp: Stamp

    def __len__(self) -> int:
        return len(self.track)

    @property
    def seq(self) -> int:
        """Number of the last decision that is in it."""
        return self.stamp.seq

    def parts(self, asked: SearchQuery) -> dict[str, BoolArray]:
        """What each part of the question lets through, bool [n] by facet; all that is no facet under ""."""
        persons, found = self.people.persons, dict[str, BoolArray]()
        if asked.who:
            wanted = [self.people.place(word) for word in asked.who if not word.startswith("!")]
            unwanted = [self.people.place(word[1:]) for word in asked.who if word.startswith("!")]
            among = _table(wanted or range(NOBODY, len(persons)), len(persons)) & ~_table(unwanted, len(persons))
            found["who"] = among[self.who]
        if asked.cameras:
            places = [n for n, one in enumerate(self.cameras) if one in asked.cameras]
            found["cam"] = _table(places, len(self.cameras))[self.camera]
        if asked.status:
            kinds = {KINDS.index(word) for word in asked.status if word != UNNAMED}
            kinds |= set(range(1, len(KINDS))) if UNNAMED in asked.status else set()
            found["status"] = _table(kinds, len(KINDS))[self.kind]
        if asked.sources:
            found["by"] = _table([SOURCES.index(one) for one in asked.sources], len(SOURCES))[self.source]
        if asked.sexes:
            places = [n for n, one in enumerate(persons) if one.sex in asked.sexes]
            found["sex"] = _table(places, len(persons))[self.who]
        if asked.ages:
            places = [n for n, one in enumerate(self.people.ages) if one in asked.ages]
            found["age"] = _table(places, len(self.people.ages))[self.age]
        if asked.lights:
            found["light"] = _table([LIGHTS.index(one) for one in asked.lights], len(LIGHTS))[self.light]
        if asked.flag:
            found["flag"] = self.flag
        others = self._others(asked)
        return found if others is None else {**found, "": others}

    def _others(self, asked: SearchQuery) -> BoolArray | None:
        found: list[BoolArray] = []
        if asked.beside:
            films = np.zeros(len(self.films), bool)
            beside = _table([self.people.place(word) for word in asked.beside], len(self.people.persons))
            films[self.film[beside[self.who]]] = True
            found.append(films[self.film])
        if asked.p is not None:
            found.append((self.who != NOBODY) & (self.p >= asked.p[0] - SLACK) & (self.p <= asked.p[1] + SLACK))
        if asked.quality is not None:
            low, high = asked.quality
            found.append((self.quality >= low - SLACK) & (self.quality <= high + SLACK))
        if asked.hour is not None:
            found.append((self.hour >= asked.hour[0]) & (self.hour <= asked.hour[1]))
        if asked.since is not None:
            found.append(self.day >= asked.since.toordinal())
        if asked.until is not None:
            found.append((self.day > 0) & (self.day <= asked.until.toordinal()))
        if asked.video is not None:
            found.append(self.films[self.film] == asked.video)
        return np.logical_and.reduce(found) if found else None

    def matching(self, asked: SearchQuery) -> BoolArray:
        """Which tracks match: bool [n]."""
        return self.all_of(self.parts(asked))

    def all_of(self, parts: dict[str, BoolArray], but: str | None = None) -> BoolArray:
        """Which tracks all parts let through, without one of them: bool [n]."""
        chosen = [mask for name, mask in parts.items() if name != but]
        return np.logical_and.reduce(chosen) if chosen else np.ones(len(self), bool)

    def facets(self, parts: dict[str, BoolArray]) -> dict[str, list[tuple[str, int]]]:
        """Words of each facet with the tracks that have them, most first; a facet's own choice does not narrow it."""
        whole = self.all_of(parts)
        counts = {}
        for facet in FACETS:
            pairs = self._counted(facet, self.all_of(parts, facet) if facet in parts else whole)
            counts[facet] = sorted(((word, n) for word, n in pairs if n), key=lambda one: (-one[1], one[0]))
        return counts

    def _counted(self, facet: str, mask: BoolArray) -> list[tuple[str, int]]:
        persons = self.people.persons
        if facet == "flag":
            return [(FLAGGED, int((self.flag & mask).sum()))]
        if facet == "sex":
            sexes: Counter[str] = Counter()
            for one, n in zip(persons, _tally(self.who, mask, len(persons)), strict=True):
                sexes[one.sex] += n
            return list(sexes.items())
        columns: dict[str, tuple[np.ndarray, Sequence[str]]] = {
            "who": (self.who, [one.code for one in persons]), "cam": (self.camera, self.cameras),
            "status": (self.kind, KINDS), "by": (self.source, SOURCES), "age": (self.age, self.people.ages),
            "light": (self.light, LIGHTS),
        }  # fmt: skip
        places, words = columns[facet]
        pairs = list(zip(words, _tally(places, mask, len(words)), strict=True))
        if facet == "status":
            pairs.append((UNNAMED, sum(n for word, n in pairs if word != NAMED)))
        return pairs

    def ordered(self, asked: SearchQuery, matching: BoolArray) -> I64Array:
        """Tracks that match, i64 [m], in the order that is asked for."""
        rows = np.flatnonzero(matching)
        return self.track[rows[np.lexsort((self._tie(asked, rows), self._key(asked, rows)))]]

    def page(self, asked: SearchQuery, matching: BoolArray, size: int) -> Page:
        """The page of at most this many tracks that begins behind `asked.after`. Without ordering the rest: of a
        million tracks that takes four times as long."""
        rows = np.flatnonzero(matching)
        key, behind = self._key(asked, rows), 0
        if asked.after is not None:
            last, track = asked.after
            tie = self._tie(asked, rows)
            is_behind = (key < last) | ((key == last) & (tie <= (-track if asked.sort == "new" else track)))
            behind = int(is_behind.sum())
            rows, key = rows[~is_behind], key[~is_behind]
        more = len(rows) > size
        if more:
            bound = np.partition(key, size - 1)[size - 1]
            sooner, same = np.flatnonzero(key < bound), np.flatnonzero(key == bound)
            need = size - len(sooner)
            chosen = np.concatenate([sooner, same[-need:] if asked.sort == "new" else same[:need]])
            rows, key = rows[chosen], key[chosen]
        order = np.lexsort((self._tie(asked, rows), key))
        tracks = self.track[rows[order]].tolist()
        return Page(tracks, behind + 1, f"{float(key[order[-1]])!r}~{tracks[-1]}" if more else None)

    def _key(self, asked: SearchQuery, rows: I64Array) -> F64Array:
        """What is ordered by, smallest first, f64 [m]."""
        named = self.who[rows] != NOBODY
        found: Any = {
            "new": lambda: -self.day[rows],
            "old": lambda: self.day[rows],
            "doubt": lambda: np.where(named, self.p[rows], 2.0),
            "sure": lambda: np.where(named, -self.p[rows], 1.0),
            "quality": lambda: -self.quality[rows],
        }[asked.sort]()
        return np.asarray(found, np.float64)

    def _tie(self, asked: SearchQuery, rows: I64Array) -> I64Array:
        return -self.track[rows] if asked.sort == "new" else self.track[rows]


def _table(places: Any, n: int) -> BoolArray:
    """Whether a place is among some, bool [n + 1]; NOBODY is the last."""
    found = np.zeros(n + 1, bool)
    for place in places:
        if place >= NOBODY:
            found[place] = True
    return found


def _tally(places: np.ndarray, mask: BoolArray, n: int) -> list[int]:
    """Tracks of each place from 0 to n - 1."""
    chosen = places if mask.all() else places[mask]
    return [int(one) for one in np.bincount(chosen + np.intp(1), minlength=n + 1)[1:]]
