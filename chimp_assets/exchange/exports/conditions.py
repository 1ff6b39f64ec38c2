"""Conditions as people write them: `individual=FLO,FIFI`, `camera=site/cam01`, `from=2013-05-01`.

Belongs here: reading them, on the command line and in the address of a page. Does not belong here: the statement that
follows from them (`selection`).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, TypeVar

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.footage.cameras import in_words, name_key
from chimp_assets.database.footage.light import LIGHTS
from chimp_assets.database.labels.promises.threshold import name_threshold
from chimp_assets.database.people.lookup import individual_called, nearest_individual
from chimp_assets.database.texts import ESCAPE, fault_of, pattern_within
from chimp_assets.errors import ChimpError
from chimp_assets.exchange.exports.selection import SOURCES, STATUSES, Selection, below
from chimp_assets.insight.search.query import SearchError, read_range
from chimp_assets.insight.search.reading import UNKNOWN_PLACE, read_people

MOST = 300
"""Values of one condition. SQL Server takes 2,100 parameters a statement, and all conditions stand in one."""
CONDITIONS = {
    "individual": "codes, aliases or names: FLO,FIFI",
    "camera": "cameras as SITE/CAMERA, or CAMERA of any site",
    "site": "sites",
    "video": "the path of a video in the archive, or of a folder with / at its end",
    "from": "the first day, as 2013-05-01, where the cameras are",
    "to": "the last day",
    "source": "person, volunteers, model or any: who has judged the track",
    "status": f"{', '.join(STATUSES)} or any; default: all but not_animal and bad_box",
    "min_probability": "from which a name of the model counts; 0: every name; default: the threshold of the promise"
    " that holds, else 0.9",
    "state": f"of tracks: {', '.join(t.TRACK_STATES)} or any; default: live",
    "not": "codes, aliases or names: tracks that are named otherwise, or have no name",
    "with": "codes, aliases or names: tracks in one video with one of these",
    "sex": f"{', '.join(t.SEXES)}: of who is named",
    "age_class": "of who is named, on the day of the video: infant,juvenile",
    "light": f"of the video: {', '.join(LIGHTS)}",
    "flag": "yes: tracks that a reviewer is asked to look at",
    "p": "probability of the name, from and to: 0.5-0.9",
    "quality": "of the track, from and to: 0.5-1",
    "hour": "first and last hour of the day, UTC: 6-9",
    "video_id": "numbers of videos, as in the address of their pages",
}
"""Every condition and what it takes."""
ANY = "any"
Reader = Callable[[sa.Connection, str, list[str]], dict[str, Any]]
"""Reads the values of a condition into fields of a selection."""


class ConditionError(ChimpError):
    """A condition is not known, or names nothing that there is."""


def selection_of(conn: sa.Connection, given: Iterable[str]) -> Selection:
    """The selection of conditions like `camera=site/cam01`. Values of one condition are alternatives, by commas or by
    repeating it. Raises ConditionError, with the nearest name, for what is not known.
    """
    pairs = []
    for text in given:
        key, equals, value = text.partition("=")
        if not equals:
            raise ConditionError(f"{text!r} is no condition.", f"Write --where name=value; {_TAKES}")
        pairs.append((key.strip(), value.strip()))
    return selection_of_pairs(conn, pairs)


def selection_of_pairs(conn: sa.Connection, given: Sequence[tuple[str, str]]) -> Selection:
    """The same of names and values, as the query of an address has them."""
    values: dict[str, list[str]] = {}
    for key, text in given:
        if key not in CONDITIONS:
            near = difflib.get_close_matches(key, CONDITIONS, 1)
            raise ConditionError(f"There is no condition {key!r}.", f"Did you mean {near[0]}?" if near else _TAKES)
        parts = [text] if key == "video" else [part.strip() for part in text.split(",")]  # paths may hold commas
        parts = [part for part in parts if part]
        if not parts:
            raise ConditionError(f"The condition {key} names nothing.", f"It takes {CONDITIONS[key]}.")
        values.setdefault(key, []).extend(parts)
    usual = name_threshold(conn)
    chosen = Selection(
        given=tuple(f"{key}={text}" for key, text in given),
        min_probability=usual.shown,
        promised_on=usual.promised_on,
    )
    further = dict[str, Any]()
    for key, parts in values.items():
        if len(parts) > MOST:
            raise ConditionError(f"The condition {key} has {len(parts)} values.", f"Write at most {MOST}.")
        told = _READERS[key](conn, key, parts)
        if key in _FURTHER:
            further |= told
        else:
            chosen = replace(chosen, **told)
    chosen = replace(chosen, further=replace(chosen.further, **further))
    if chosen.since and chosen.until and chosen.until < chosen.since:
        raise ConditionError(f"The days from {chosen.since} to {chosen.until} end before they begin.", "Swap them.")
    return chosen


def _individuals(name: str) -> Reader:
    return lambda conn, key, parts: {name: _individuals_called(conn, parts)}


def _individuals_called(conn: sa.Connection, parts: list[str]) -> tuple[tuple[int, str], ...]:
    found: dict[int, str] = {}
    for text in parts:
        called = individual_called(conn, text, by_name=True)
        if called is None:
            near = nearest_individual(conn, text)
            hint = f"Did you mean {near}?" if near else "`chimp individuals list` shows them all."
            raise ConditionError(f"There is no individual {text!r}.", hint)
        i = t.individual.c
        found[called.root_id] = str(conn.scalar(sa.select(i.anim_id).where(i.individual_id == called.root_id)))
    return tuple(found.items())


def _cameras(conn: sa.Connection, key: str, parts: list[str]) -> dict[str, Any]:
    v = t.video.c
    places = [tuple(row) for row in conn.execute(sa.select(v.site, v.camera).where(v.camera.is_not(None)).distinct())]
    by_name: dict[str, tuple[str | None, str]] = {}
    for site, camera in places:
        by_name[f"{name_key(site)}/{name_key(camera)}"] = (site, camera)
    whole = {in_words(site, camera): place for place in places for site, camera in [place]}
    found: dict[tuple[str | None, str], None] = {}
    for text in parts:
        site, slash, camera = text.rpartition("/")
        if slash and UNKNOWN_PLACE in (site, camera):  # as a search names cameras
            own = "" if camera == UNKNOWN_PLACE else _spelt(text, camera, {c for _, c in places}, whole)
            found["" if site == UNKNOWN_PLACE else _spelt(text, site, {s or "" for s, _ in places}, whole), own] = None
            continue
        if slash and (known := by_name.get(f"{name_key(site)}/{name_key(camera)}")) is not None:
            found[known] = None
            continue
        alone = {c for _, c in places if name_key(c) == name_key(text)}
        if not alone or slash:
            raise ConditionError(f"There is no camera {text!r}.", _nearest(text, whole, "`chimp cameras list`"))
        found |= {(None, one): None for one in sorted(alone)}
    return {"cameras": tuple(found)}


def _spelt(text: str, name: str, known: Iterable[str], places: Iterable[str]) -> str:
    for one in known:
        if name_key(one) == name_key(name):
            return one
    raise ConditionError(f"There is no camera {text!r}.", _nearest(text, places, "`chimp cameras list`"))


def _sites(conn: sa.Connection, key: str, parts: list[str]) -> dict[str, Any]:
    v = t.video.c
    known = {str(site) for site in conn.scalars(sa.select(v.site).where(v.site.is_not(None)).distinct())}
    found: dict[str, None] = {}
    for text in parts:
        same = sorted(site for site in known if name_key(site) == name_key(text))
        if not same:
            raise ConditionError(f"There is no site {text!r}.", _nearest(text, known, "`chimp cameras list`"))
        found |= dict.fromkeys(same)
    return {"sites": tuple(found)}


def _videos(conn: sa.Connection, key: str, parts: list[str]) -> dict[str, Any]:
    """Files by path, to the rows that hold their frames: of duplicates and of bursts those are others."""
    videos: dict[int, str] = {}
    folders: dict[str, None] = {}
    v = t.video.c
    for text in parts:
        if fault_of(text, 800) is not None:
            raise ConditionError(f"{text!r} is no path of the archive.", f"It takes {CONDITIONS[key]}.")
        if text.endswith("/"):
            folder = text.rstrip("/")
            if conn.execute(sa.select(v.video_id).where(below(v.uri, folder))).first() is None:
                raise ConditionError(f"There is no folder {text!r} with videos.", "`chimp query effort_by_camera`")
            folders[folder] = None
            continue
        row = _row_of_file(conn, v.uri == text)
        if row is None:
            name = text.rpartition("/")[2]
            like = conn.scalars(
                sa.select(v.uri).where(v.uri.like(pattern_within(name), escape=ESCAPE)).limit(200)
            ).all()
            raise ConditionError(
                f"There is no video {text!r}.",
                _nearest(text, like, "Paths begin at the root of the archive, without /"),
            )
        videos[row.video_id] = row.uri
    return {"videos": tuple(videos.items()), "folders": tuple(folders)}


def _row_of_file(conn: sa.Connection, which: sa.ColumnElement[bool]) -> Any:
    v = t.video.c
    for _ in range(4):  # of a duplicate of a picture of a burst
        row = conn.execute(
            sa.select(v.video_id, v.uri, v.duplicate_of_video_id, v.burst_video_id)
            .where(which)
            .order_by(v.version.desc())
        ).first()
        further = None if row is None else row.burst_video_id or row.duplicate_of_video_id
        if further is None:
            return row
        which = v.video_id == further
    return row


def _day(name: str) -> Reader:
    def read(conn: sa.Connection, key: str, parts: list[str]) -> dict[str, Any]:
        text = _only(key, parts)
        try:
            return {name: date.fromisoformat(text)}
        except ValueError:
            raise ConditionError(f"The condition {key} is no day: {text!r}.", "Write it as 2013-05-01.") from None

    return read


def _words(name: str, known: Sequence[str]) -> Reader:
    def read(conn: sa.Connection, key: str, parts: list[str]) -> dict[str, Any]:
        for text in parts:
            if text not in (*known, ANY):
                near = difflib.get_close_matches(text, (*known, ANY), 1)
                hint = f"Did you mean {near[0]}? " if near else ""
                raise ConditionError(f"There is no {key} {text!r}.", f"{hint}It takes {CONDITIONS[key]}.")
        return {name: tuple(known) if ANY in parts else tuple(dict.fromkeys(parts))}

    return read


def _source(conn: sa.Connection, key: str, parts: list[str]) -> dict[str, Any]:
    words = _words("sources", SOURCES)(conn, key, parts)["sources"]
    return {"sources": () if set(words) == set(SOURCES) and ANY in parts else words}


def _one_of(name: str, known: Sequence[str]) -> Reader:
    """As `_words`, where leaving the condition out means any."""

    def read(conn: sa.Connection, key: str, parts: list[str]) -> dict[str, Any]:
        words = _words(name, known)(conn, key, parts)[name]
        return {name: () if ANY in parts else words}

    return read


def _ages(conn: sa.Connection, key: str, parts: list[str]) -> dict[str, Any]:
    known = read_people(conn).ages
    for text in parts:
        if text not in (*known, ANY):
            near = difflib.get_close_matches(text, known, 1)
            hint = f"Did you mean {near[0]}? " if near else ""
            raise ConditionError(f"There is no age class {text!r}.", f"{hint}There are {', '.join(known)}.")
    return {"ages": () if ANY in parts else tuple(dict.fromkeys(parts))}


def _flag(conn: sa.Connection, key: str, parts: list[str]) -> dict[str, Any]:
    if set(parts) != {"yes"}:
        raise ConditionError(f"There is no flag {parts[0]!r}.", f"It takes {CONDITIONS[key]}.")
    return {"flagged": True}


def _span(name: str, most: float = 1.0) -> Reader:
    """From and to, as in the address of a search: 0.5-0.9, 0.5-, 7."""

    def read(conn: sa.Connection, key: str, parts: list[str]) -> dict[str, Any]:
        try:
            low, high = read_range(key, _only(key, parts), most)
        except SearchError as error:
            raise ConditionError(error.sentence, error.remedy) from None
        if most > 1:
            if low % 1 or high % 1:
                raise ConditionError(f"The condition {key} is no range of whole hours.", f"It takes {CONDITIONS[key]}.")
            return {name: (int(low), int(high))}
        return {name: (low, high)}

    return read


def _video_ids(conn: sa.Connection, key: str, parts: list[str]) -> dict[str, Any]:
    v = t.video.c
    for text in parts:
        known = text.isascii() and text.isdigit() and len(text) <= 16
        if not known or conn.scalar(sa.select(v.video_id).where(v.video_id == int(text))) is None:
            raise ConditionError(f"There is no video number {text[:40]!r}.", "Take it from the address of its page.")
    return {"video_ids": tuple(dict.fromkeys(map(int, parts)))}


def _probability(conn: sa.Connection, key: str, parts: list[str]) -> dict[str, Any]:
    text = _only(key, parts)
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ConditionError(f"The condition {key} is no probability: {text!r}.", "Write it as 0.9.")
    return {"min_probability": value, "promised_on": None}


def _only(key: str, parts: list[str]) -> str:
    if len(parts) > 1:
        raise ConditionError(f"The condition {key} stands there {len(parts)} times.", "Write it once.")
    return parts[0]


Word = TypeVar("Word", bound=str)


def _nearest(text: str, known: Iterable[Word], otherwise: str) -> str:
    near = difflib.get_close_matches(text, list(known), 1, cutoff=0.4)
    return (
        f"Did you mean {near[0]}?" if near else f"{otherwise} shows them all." if "`" in otherwise else f"{otherwise}."
    )


_READERS: dict[str, Reader] = {
    "individual": _individuals("individuals"),
    "camera": _cameras,
    "site": _sites,
    "video": _videos,
    "from": _day("since"),
    "to": _day("until"),
    "source": _source,
    "status": _words("statuses", STATUSES),
    "min_probability": _probability,
    "state": _words("states", t.TRACK_STATES),
}
_FURTHER: dict[str, Reader] = {
    "not": _individuals("without"),
    "with": _individuals("beside"),
    "sex": _one_of("sexes", t.SEXES),
    "age_class": _ages,
    "light": _one_of("lights", LIGHTS),
    "flag": _flag,
    "p": _span("p"),
    "quality": _span("quality"),
    "hour": _span("hours", 23.0),
    "video_id": _video_ids,
}
_READERS |= _FURTHER
_TAKES = f"it takes {', '.join(CONDITIONS)}."
