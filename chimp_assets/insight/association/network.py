"""Everybody with everybody: how closely each two individuals are associated, and where each lies in a drawing.

Belongs here: the counts of `together` for all pairs at once, places of nodes, the export as GraphML. Does not belong
here: frames and intervals of a few individuals (`together`), lines and colours (`web`).

The unit is a day, as there. Counted from tracks alone: by the rule "frame" two are together while their tracks, from
first to last frame, run at once in a clip; `together` asks their boxes, frame by frame.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

import numpy as np
import sqlalchemy as sa

from chimp_assets.arrays import located
from chimp_assets.database import schema as t
from chimp_assets.database.individuals.merges import as_merged, merged_ids
from chimp_assets.database.labels.kinds import NAMING_KINDS
from chimp_assets.database.texts import visible, written_out
from chimp_assets.insight.association.together import TOO_FEW, Scope
from chimp_assets.insight.individual import named_track, newest_communities

UNTIMED = -(2**62)
NO_MODEL = -1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
ROUNDS = 150
"""Steps of a layout from nothing; new nodes among known ones settle in a third of them."""


@dataclass(frozen=True)
class Node:
    """An individual that was seen. days: on which it was, while alive and under study; tracks: all of the scope's."""

    key: int
    anim_id: str
    name: str | None
    sex: str
    community: str | None
    days: int
    tracks: int

    @property
    def label(self) -> str:
        """What people call it."""
        return self.name or self.anim_id


@dataclass(frozen=True)
class Edge:
    """Two individuals that were together on x days; verified: on how many of these by names of persons alone.

    y_a, y_b: days with only the one, y_ab: with both, apart; all while both were alive and under study.
    """

    a: int
    b: int
    x: int
    y_a: int
    y_b: int
    y_ab: int
    verified: int

    @property
    def days(self) -> int:
        """Days on which at least one was seen."""
        return self.x + self.y_a + self.y_b + self.y_ab

    @property
    def sri(self) -> float:
        """Simple ratio."""
        return self.x / self.days

    @property
    def hwi(self) -> float:
        """Half-weight index."""
        return self.x / (self.x + self.y_ab + (self.y_a + self.y_b) / 2)

    @property
    def too_few(self) -> bool:
        """Whether they were together too seldom to say anything."""
        return self.x < TOO_FEW

    @property
    def rests_on_model(self) -> bool:
        """Whether some of its days are there only by names of the model."""
        return self.verified < self.x


@dataclass(frozen=True)
class Network:
    """Who was seen, by code, and every two that were together at least once. label_seq: decisions that were read.

    models: (model_id, name, version) of the heads whose names were counted.
    """

    nodes: list[Node]
    edges: list[Edge]
    label_seq: int
    models: list[tuple[int, str, int]]


@dataclass(frozen=True)
class _Seen:
    """Tracks as columns. who: row of an individual; day: ordinal; begins, ends: microseconds, or UNTIMED."""

    who: np.ndarray
    video: np.ndarray
    day: np.ndarray
    first: np.ndarray
    last: np.ndarray
    person: np.ndarray
    place: np.ndarray
    begins: np.ndarray
    ends: np.ndarray


class Kept:
    """Networks that were counted lately, for the pages that show one after the other; counted anew when anything that
    they rest on has changed, and after some minutes.
    """

    def __init__(self, most: int = 8, seconds: float = 300.0) -> None:
        self._most, self._seconds = most, seconds
        self._lock = threading.Lock()
        self._found: dict[tuple[Any, ...], tuple[float, Network]] = {}
        self._film: tuple[float, tuple[Any, ...], Film | None] = (0.0, (), None)

    def network(self, conn: sa.Connection, asked: Scope) -> Network:
        """The same as `network`."""
        key = (asked, *_state(conn))
        with self._lock:
            counted, found = self._found.get(key, (0.0, None))
        if found is None or time.monotonic() - counted > self._seconds:
            found = network(conn, asked, self._kept_film(conn))
            with self._lock:
                self._found.pop(key, None)
                self._found[key] = (time.monotonic(), found)
                while len(self._found) > self._most:
                    self._found.pop(next(iter(self._found)))
        return found

    def _kept_film(self, conn: sa.Connection) -> Film:
        """What was filmed does not change with an answer."""
        newest = sa.select(sa.func.max(t.track.c.track_id)).scalar_subquery()
        key = tuple(conn.execute(sa.select(newest, sa.select(sa.func.max(t.video.c.video_id)).scalar_subquery())).one())
        with self._lock:
            read, known, film = self._film
        if film is None or known != key or time.monotonic() - read > self._seconds:
            film = film_of(conn)
            with self._lock:
                self._film = time.monotonic(), key, film
        return film


def _state(conn: sa.Connection) -> tuple[Any, ...]:
    """What changes whenever names, merges, lives or the model's guesses do."""
    m, b = t.model.c, t.bundle_score.c
    head = sa.select(m.model_id).where(m.task == "head", m.state == "champion").scalar_subquery()
    numbers = (t.annotation.c.seq, t.individual_merge.c.merge_id, t.biography_log.c.log_id)
    newest = [sa.func.max(number) for number in numbers]
    row = conn.execute(
        sa.select(
            *(sa.select(one).scalar_subquery() for one in newest),
            head,
            sa.select(sa.func.count()).select_from(t.bundle_score).where(b.model_id == head).scalar_subquery(),
        )
    ).one()
    return tuple(row)


def network(conn: sa.Connection, asked: Scope, film: Film | None = None) -> Network:
    """Counts of all pairs. A few statements and one pass over the tracks that have a name. film: else it is read."""
    label_seq = int(conn.scalar(sa.select(sa.func.coalesce(sa.func.max(t.annotation.c.seq), 0))) or 0)
    keys, seen, heads = _seen(conn, asked, film or film_of(conn))
    alive, people = _people(conn, keys)
    days = np.unique(seen.day)
    was_alive = (alive[:, :1] <= days) & (days <= alive[:, 1:])
    was_seen = np.zeros((len(keys), len(days)), bool)
    was_seen[seen.who, np.searchsorted(days, seen.day)] = True
    was_seen &= was_alive
    edges = _edges(keys, *_met(seen, asked), days, was_seen, was_alive)
    tracks = np.bincount(seen.who, minlength=len(keys))
    n_days = was_seen.sum(axis=1)
    nodes = [Node(key, *people[key], int(n_days[place]), int(tracks[place])) for place, key in enumerate(keys)]
    m = t.model.c
    named = sa.select(m.model_id, m.name, m.version).where(m.model_id.in_(heads)).order_by(m.model_id)
    models = [(row.model_id, row.name, row.version) for row in conn.execute(named)]
    return Network(sorted(nodes, key=lambda node: node.anim_id), edges, label_seq, models)


@dataclass(frozen=True)
class Film:
    """Live tracks of videos whose day is known, as columns i64 [n] by track_id, whoever they show.

    day: ordinal; place: one number for each camera; first, last: frames; begins, ends: microseconds since 1970, UNTIMED
    where nobody knows.
    """

    track: np.ndarray
    video: np.ndarray
    day: np.ndarray
    place: np.ndarray
    first: np.ndarray
    last: np.ndarray
    begins: np.ndarray
    ends: np.ndarray


def film_of(conn: sa.Connection) -> Film:
    """Everything that was filmed. Memory: 64 bytes a track."""
    v, k = t.video.c, t.track.c
    videos = conn.execute(
        sa.select(v.video_id, v.recorded_on, v.site, v.camera, v.recorded_at)
        .where(v.recorded_on.is_not(None), v.state != "retired")
        .order_by(v.video_id)
    ).all()
    ordinal: dict[Any, int] = {}
    number: dict[Any, int] = {}
    for row in videos:
        if row[1] not in ordinal:
            ordinal[row[1]] = row[1].toordinal()
    there = np.array([row[0] for row in videos], np.int64)
    days = np.array([ordinal[row[1]] for row in videos], np.int64)
    places = np.array([number.setdefault((row[2], row[3]), len(number)) for row in videos], np.int64)
    at = np.array([UNTIMED if row[4] is None else (row[4] - _EPOCH) // _MICROSECOND for row in videos], np.int64)
    rows = conn.execute(
        sa.select(k.track_id, k.video_id, k.first_frame_no, k.last_frame_no, k.first_s, k.last_s)
        .where(k.state == "live")
        .order_by(k.track_id)
    ).all()
    numbers = np.array([row[:4] for row in rows], np.int64).reshape(-1, 4).T
    seconds = np.array([row[4:] for row in rows], np.float64).reshape(-1, 2).T
    known, which = located(there, numbers[1])
    (track, video, first, last), which = numbers[:, known], which[known]
    begins, ends = at[which] + np.rint(seconds[:, known] * 1e6).astype(np.int64)
    untimed = at[which] == UNTIMED
    begins[untimed] = ends[untimed] = UNTIMED
    return Film(track, video, days[which], places[which], first, last, begins, ends)


def _seen(conn: sa.Connection, asked: Scope, film: Film) -> tuple[list[int], _Seen, list[int]]:
    """Individuals, ascending; their named tracks in videos whose day is known; heads that gave names."""
    names = _by_persons(conn) if asked.probability is None else _by_anybody(conn, asked.probability)
    known, row = located(film.track, names[0])
    since, until = (asked.since or date.min).toordinal(), (asked.until or date.max).toordinal()
    known[known] = (since <= film.day[row[known]]) & (film.day[row[known]] <= until)
    (_, who, model), row = names[:, known], row[known]
    keys, place = np.unique(who, return_inverse=True)
    seen = _Seen(
        place, film.video[row], film.day[row], film.first[row], film.last[row], model == NO_MODEL, film.place[row],
        film.begins[row], film.ends[row],
    )  # fmt: skip
    return keys.tolist(), seen, np.unique(model[model != NO_MODEL]).tolist()


def _by_persons(conn: sa.Connection) -> np.ndarray:
    """`_by_anybody` of names by persons, without the view: a third of the time."""
    s = t.standing_answer.c
    rows = conn.execute(sa.select(s.track_id, s.individual_id).where(s.kind.in_(NAMING_KINDS)).order_by(s.track_id))
    track, who = np.array([tuple(row) for row in rows.all()], np.int64).reshape(-1, 2).T
    return np.stack([track, as_merged(who, merged_ids(conn)), np.full(len(who), NO_MODEL)])


def _by_anybody(conn: sa.Connection, probability: float) -> np.ndarray:
    """Names as i64 [3, n]: track, individual, the head that named it or NO_MODEL."""
    n = named_track.c
    rows = conn.execute(
        sa.select(n.track_id, n.individual_id, sa.func.coalesce(n.model_id, NO_MODEL)).where(
            n.probability >= probability
        )
    )
    return np.array([tuple(row) for row in rows.all()], np.int64).reshape(-1, 3).T


def _people(
    conn: sa.Connection, keys: list[int]
) -> tuple[np.ndarray, dict[int, tuple[str, str | None, str, str | None]]]:
    """From when to when each was alive and under study, i64 [n, 2]; code, name, sex and newest community of each."""
    i = t.individual.c
    community = newest_communities(conn)
    place = {key: n for n, key in enumerate(keys)}
    alive = np.zeros((len(keys), 2), np.int64)
    people = {}
    for row in conn.execute(
        sa.select(i.individual_id, i.anim_id, i.name, i.sex, i.entry_date, i.bd_min, i.birth_date, i.depart_date).where(
            i.same_as_id.is_(None)
        )
    ):
        if row.individual_id not in place:
            continue
        begin = row.entry_date or row.bd_min or row.birth_date or date.min
        alive[place[row.individual_id]] = begin.toordinal(), (row.depart_date or date.max).toordinal()
        people[row.individual_id] = (row.anim_id, row.name, row.sex, community.get(row.individual_id))
    return alive, people


def _met(seen: _Seen, asked: Scope) -> tuple[np.ndarray, np.ndarray]:
    """Occasions of two: i64 [n, 3] (a < b, rows of individuals; day), and whether persons named both, bool [n]."""
    one, other, day = _near(seen, asked.minutes) if asked.rule == "minutes" else _in_clips(seen, asked.rule == "frame")
    differ = seen.who[one] != seen.who[other]
    one, other, day = one[differ], other[differ], day[differ]
    a, b = np.minimum(seen.who[one], seen.who[other]), np.maximum(seen.who[one], seen.who[other])
    return np.stack([a, b, day], axis=1).reshape(-1, 3), seen.person[one] & seen.person[other]


def _in_clips(seen: _Seen, at_once: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of tracks of one clip: rows of each, and the day."""
    order = np.lexsort((seen.first, seen.video))
    video, first, last = seen.video[order], seen.first[order], seen.last[order]
    ones, others = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for step in range(1, len(order)):
        same = video[step:] == video[:-step]
        if not same.any():
            break
        if at_once:
            same &= first[step:] <= last[:-step]
        ones.append(order[:-step][same])
        others.append(order[step:][same])
    one, other = np.concatenate(ones), np.concatenate(others)
    return one, other, seen.day[one]


def _near(seen: _Seen, minutes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of tracks at one camera of which the later begins at most so long after the earlier has ended: of every two
    individuals, day and kind of name, one."""
    gap = minutes * 60_000_000
    timed = np.flatnonzero(seen.begins != UNTIMED)
    order = timed[np.lexsort((seen.begins[timed], seen.place[timed]))]
    place, begins, ends = seen.place[order], seen.begins[order], seen.ends[order]
    who, person, day = seen.who[order], seen.person[order], seen.day[order]
    reach = gap + int((ends - begins).max(initial=0))
    n_who, days = int(who.max(initial=0)) + 1, np.unique(day)
    on = np.searchsorted(days, day)
    found, ones, others = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for step in range(1, len(order)):
        here = place[step:] == place[:-step]
        if not (here & (begins[step:] - begins[:-step] <= reach)).any():
            break
        one = np.flatnonzero(here & (begins[step:] - ends[:-step] <= gap) & (who[step:] != who[:-step]))
        other = one + step
        low, high = np.minimum(who[one], who[other]), np.maximum(who[one], who[other])
        code = ((low * n_who + high) * len(days) + on[other]) * 2 + (person[one] & person[other])
        once, first = np.unique(code, return_index=True)
        found.append(once)
        ones.append(order[one[first]])
        others.append(order[other[first]])
    _, first = np.unique(np.concatenate(found), return_index=True)
    one, other = np.concatenate(ones)[first], np.concatenate(others)[first]
    return one, other, seen.day[other]


def _edges(
    keys: list[int],
    met: np.ndarray,
    by_persons: np.ndarray,
    days: np.ndarray,
    was_seen: np.ndarray,
    was_alive: np.ndarray,
) -> list[Edge]:
    if not len(met) or not len(days):
        return []
    place = np.clip(np.searchsorted(days, met[:, 2]), 0, len(days) - 1)
    a, b = met[:, 0], met[:, 1]
    # A day counts on which at least one was seen and both were alive.
    counts = (days[place] == met[:, 2]) & was_alive[a, place] & was_alive[b, place]
    counts &= was_seen[a, place] | was_seen[b, place]
    code = (a * len(keys) + b) * len(days) + place
    pair, both = _days_of(code[counts], len(days))
    sure_pair, _ = _days_of(code[counts & by_persons], len(days))
    pairs, x = np.unique(pair, return_counts=True)
    verified = dict(zip(*(column.tolist() for column in np.unique(sure_pair, return_counts=True)), strict=True))
    low, high = pairs // len(keys), pairs % len(keys)
    at = np.searchsorted(pairs, pair)
    together_a = np.bincount(at, was_seen[low[at], both], len(pairs))
    together_b = np.bincount(at, was_seen[high[at], both], len(pairs))
    together_ab = np.bincount(at, was_seen[low[at], both] & was_seen[high[at], both], len(pairs))
    seen_, alive_ = was_seen.astype(np.float32), was_alive.astype(np.float32)
    in_life = seen_ @ alive_.T
    both_seen = seen_ @ seen_.T
    n_both = both_seen[low, high]
    y_ab = n_both - together_ab
    y_a = in_life[low, high] - n_both - (together_a - together_ab)
    y_b = in_life[high, low] - n_both - (together_b - together_ab)
    return [
        Edge(keys[i], keys[j], int(n), round(float(only_a)), round(float(only_b)), round(float(apart)),
             verified.get(int(p), 0))
        for i, j, n, only_a, only_b, apart, p in zip(
            low.tolist(), high.tolist(), x, y_a, y_b, y_ab, pairs.tolist(), strict=True
        )
    ]  # fmt: skip


def _days_of(code: np.ndarray, n_days: int) -> tuple[np.ndarray, np.ndarray]:
    """Pair and day of each code, every pair and day once."""
    once = np.unique(code)
    return once // n_days, once % n_days


def strongest(edges: Iterable[Edge], index: str, minimum: float = 0.0) -> list[Edge]:
    """Edges of at least this index, the strongest first; of equals the one of more days."""
    kept = [edge for edge in edges if getattr(edge, index) >= minimum]
    return sorted(kept, key=lambda edge: (-getattr(edge, index), -edge.x, edge.a, edge.b))


# --- where they lie ---------------------------------------------------------------------------------------------------


def places(
    found: Network, whole: Callable[[], Network], file: Path | None, index: str = "sri"
) -> dict[int, tuple[float, float]]:
    """Where each individual lies, 0 to 1 both ways: where it lay before; newcomers beside those they are seen with.

    whole: the network of all days, asked only where somebody is new: what days somebody looks at moves nobody. file:
    where places are kept; None or a file that cannot be written: as if all were new, which gives the same each time.
    """
    known = _known(file)
    if any(node.key not in known for node in found.nodes):
        everybody = whole()
        keys = [node.key for node in everybody.nodes]
        at = {key: n for n, key in enumerate(keys)}
        pairs = np.array([(at[e.a], at[e.b]) for e in everybody.edges], np.int64).reshape(-1, 2)
        weight = np.array([getattr(e, index) for e in everybody.edges], np.float64)
        start = np.array([known.get(key, (np.nan, np.nan)) for key in keys], np.float64)
        lying = laid_out(start, pairs, weight)
        known |= {key: (round(float(x), 4), round(float(y), 4)) for key, (x, y) in zip(keys, lying, strict=True)}
        _keep(file, known)
    return {node.key: known.get(node.key, (0.5, 0.5)) for node in found.nodes}


def laid_out(start: np.ndarray, pairs: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Places f64 [n, 2] in 0 to 1 (Fruchterman and Reingold 1991, with a pull to the middle). The same each time.

    start: f64 [n, 2], nan where a node has no place yet; only these move, unless none has one. pairs: i64 [m, 2].
    """
    n = len(start)
    if not n:
        return start
    fixed = ~np.isnan(start[:, 0])
    turn = np.pi * (3 - np.sqrt(5)) * np.arange(n)
    out = np.sqrt((np.arange(n) + 0.5) / n) * 0.5
    place = np.where(fixed[:, None], start, 0.5 + np.stack([out * np.cos(turn), out * np.sin(turn)], axis=1))
    pull = np.zeros((n, n))
    if len(pairs):
        strength = np.sqrt(weight / weight.max())
        pull[pairs[:, 0], pairs[:, 1]] = pull[pairs[:, 1], pairs[:, 0]] = strength
        # Who is seen with many is pulled by each of them less: else all lie in one heap.
        many = np.maximum(pull.sum(axis=1), 1e-9)
        pull *= 2 / np.sqrt(many[:, None] * many[None, :])
    if fixed.any() and len(pairs):
        # A newcomer begins in the middle of those it is seen with.
        towards = pull * fixed[None, :]
        some = ~fixed & (towards.sum(axis=1) > 0)
        middle = towards[some] @ np.nan_to_num(place) / towards[some].sum(axis=1, keepdims=True)
        place[some] = middle + 0.02 * (place[some] - 0.5)
    spread = 0.9 / np.sqrt(n)
    rounds = ROUNDS // 3 if fixed.any() else ROUNDS
    drawn = (pull / spread).astype(np.float32)
    for step in range(rounds):
        x, y = place.astype(np.float32).T
        dx, dy = x[:, None] - x[None, :], y[:, None] - y[None, :]
        squared = np.maximum(dx * dx + dy * dy, np.float32(1e-8))
        # A node pushes itself nowhere: its own dx and dy are 0.
        force = np.float32(spread**2) / squared - drawn * np.sqrt(squared)
        move = np.stack([(dx * force).sum(axis=1), (dy * force).sum(axis=1)], axis=1) - 0.8 * (place - 0.5)
        length = np.maximum(np.sqrt((move**2).sum(axis=1, keepdims=True)), 1e-9)
        heat = 0.08 * (1 - step / rounds) + 0.001
        place = np.where(fixed[:, None], place, place + move / length * np.minimum(length, heat))
    if not fixed.any():
        # Who is seen with nobody is thrown far out: the others have the sheet.
        some = place[pull.any(axis=1)] if pull.any() else place
        low, high = some.min(axis=0), some.max(axis=0)
        place = (place - low) / np.maximum(high - low, 1e-9)
    return np.clip(_apart(place, fixed), 0.0, 1.0)


def _apart(place: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """So that no dot lies on another."""
    least = min(0.04, 0.5 / np.sqrt(len(place)))
    for _ in range(40):
        between = place[:, None, :] - place[None, :, :]
        distance = np.sqrt((between**2).sum(axis=2))
        np.fill_diagonal(distance, 1.0)
        push = np.maximum(least - distance, 0.0) / np.maximum(distance, 1e-6) / 2
        if not push.any():
            break
        place = np.where(fixed[:, None], place, place + (between * push[:, :, None]).sum(axis=1))
    return place


def _known(file: Path | None) -> dict[int, tuple[float, float]]:
    try:
        said = json.loads(file.read_text(encoding="utf-8")) if file else {}
        return {int(key): (float(x), float(y)) for key, (x, y) in said.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _keep(file: Path | None, known: Mapping[int, tuple[float, float]]) -> None:
    if file is None:
        return
    partial = file.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps({str(key): place for key, place in sorted(known.items())}), encoding="utf-8")
        partial.replace(file)
    except OSError:
        partial.unlink(missing_ok=True)


# --- for other programs -----------------------------------------------------------------------------------------------

EDGE_COLUMNS = (
    "a", "name_a", "b", "name_b", "x", "y_a", "y_b", "y_ab", "days", "sri", "hwi", "too_few", "verified_days",
)  # fmt: skip


def edge_rows(found: Network, edges: Iterable[Edge]) -> Iterator[tuple[Any, ...]]:
    """Rows of EDGE_COLUMNS."""
    node = {one.key: one for one in found.nodes}
    for e in edges:
        a, b = node[e.a], node[e.b]
        numbers = (e.x, e.y_a, e.y_b, e.y_ab, e.days, round(e.sri, 6), round(e.hwi, 6), int(e.too_few), e.verified)
        yield (a.anim_id, a.name, b.anim_id, b.name, *numbers)


def graphml(found: Network, edges: Iterable[Edge], about: Mapping[str, Any]) -> bytes:
    """The network for Gephi, igraph, Cytoscape and R. about: what was asked of which state, as attributes of the graph.

    An individual is a node by its code; indices, days and how many of them are verified are attributes of edges.
    """
    root = Element("graphml", xmlns="http://graphml.graphdrawing.org/xmlns")
    kinds = {str: "string", int: "int", float: "double", bool: "boolean"}
    nodes: list[dict[str, Any]] = [
        {"name": n.name or "", "sex": n.sex, "community": n.community or "", "days": n.days, "tracks": n.tracks}
        for n in found.nodes
    ]
    code = {n.key: n.anim_id for n in found.nodes}
    lines: list[tuple[Edge, dict[str, Any]]] = [
        (e, {"weight_sri": e.sri, "weight_hwi": e.hwi, "x": e.x, "y_a": e.y_a, "y_b": e.y_b, "y_ab": e.y_ab,
             "too_few": e.too_few, "verified_days": e.verified})
        for e in edges
    ]  # fmt: skip
    one_node, one_edge = nodes[0] if nodes else {}, lines[0][1] if lines else {}
    for where, sample in (("graph", about), ("node", one_node), ("edge", one_edge)):
        for name, value in sample.items():
            words = {"id": f"{where}_{name}", "for": where, "attr.name": name, "attr.type": kinds[type(value)]}
            SubElement(root, "key", words)
    graph = SubElement(root, "graph", id="together", edgedefault="undirected")
    _data(graph, "graph", about)
    for one, values in zip(found.nodes, nodes, strict=True):
        _data(SubElement(graph, "node", id=_xml(one.anim_id)), "node", values)
    for edge, values in lines:
        element = SubElement(graph, "edge", source=_xml(code[edge.a]), target=_xml(code[edge.b]))
        _data(element, "edge", values)
    return bytes(tostring(root, encoding="utf-8", xml_declaration=True))


def _data(element: Element, where: str, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        word = str(value).lower() if isinstance(value, bool) else str(value)
        SubElement(element, "data", key=f"{where}_{name}").text = _xml(word)


def _xml(word: str) -> str:
    """With the signs that XML cannot say, and those that nobody sees, written out."""
    return "".join(written_out(c) if c in "\ufffe\uffff" else c for c in visible(word))
