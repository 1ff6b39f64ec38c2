"""Every pair of individuals: how closely they are associated.

Belongs here: the counts of `together` for all pairs at once. Does not belong here: frames and intervals of a few
individuals (`together`), places in a drawing (`layout`), exports (`network_export`).

The unit is a day, as in `together`. Only tracks are counted: by the rule "frame" two are together while their tracks,
from first to last frame, overlap in a clip; `together` compares their boxes frame by frame.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.insight.association.filmed_tracks import FilmedTracks, filmed_tracks, named_tracks
from chimp_assets.insight.association.meetings import meetings
from chimp_assets.insight.association.together import TOO_FEW, Scope
from chimp_assets.insight.individuals.directory import newest_communities


@dataclass(frozen=True)
class Node:
    """An individual that was seen. days: number of days on which it was seen while alive and under study; tracks:
    number of its tracks in the scope.
    """

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
    """Two individuals that were together on x days; verified: how many of these days rest on names by persons alone.

    y_a, y_b: days on which only a or only b was seen; y_ab: days on which both were seen but not together. Only days on
    which both were alive and under study count.
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
        """Simple ratio index."""
        return self.x / self.days

    @property
    def hwi(self) -> float:
        """Half-weight index."""
        return self.x / (self.x + self.y_ab + (self.y_a + self.y_b) / 2)

    @property
    def too_few(self) -> bool:
        """Whether there are too few days together for a meaningful index."""
        return self.x < TOO_FEW

    @property
    def rests_on_model(self) -> bool:
        """Whether some of its days rest on names by the model."""
        return self.verified < self.x


@dataclass(frozen=True)
class Network:
    """Individuals that were seen, by code, and every pair that was together at least once. label_seq: number of the
    last decision that was read.

    models: (model_id, name, version) of the heads whose names were counted.
    """

    nodes: list[Node]
    edges: list[Edge]
    label_seq: int
    models: list[tuple[int, str, int]]


def network(conn: sa.Connection, asked: Scope, filmed: FilmedTracks | None = None) -> Network:
    """Counts of all pairs: a few statements, and one pass over the tracks that have a name. filmed: read if None."""
    label_seq = int(conn.scalar(sa.select(sa.func.coalesce(sa.func.max(t.annotation.c.seq), 0))) or 0)
    keys, seen, heads = named_tracks(conn, asked, filmed or filmed_tracks(conn))
    alive, people = _people(conn, keys)
    days = np.unique(seen.day)
    was_alive = (alive[:, :1] <= days) & (days <= alive[:, 1:])
    was_seen = np.zeros((len(keys), len(days)), bool)
    was_seen[seen.who, np.searchsorted(days, seen.day)] = True
    was_seen &= was_alive
    edges = _edges(keys, *meetings(seen, asked), days, was_seen, was_alive)
    tracks = np.bincount(seen.who, minlength=len(keys))
    n_days = was_seen.sum(axis=1)
    nodes = [Node(key, *people[key], int(n_days[place]), int(tracks[place])) for place, key in enumerate(keys)]
    m = t.model.c
    named = sa.select(m.model_id, m.name, m.version).where(m.model_id.in_(heads)).order_by(m.model_id)
    models = [(row.model_id, row.name, row.version) for row in conn.execute(named)]
    return Network(sorted(nodes, key=lambda node: node.anim_id), edges, label_seq, models)


def _people(
    conn: sa.Connection, keys: list[int]
) -> tuple[np.ndarray, dict[int, tuple[str, str | None, str, str | None]]]:
    """First and last day on which each was alive and under study, i64 [n, 2]; code, name, sex and newest community."""
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
    # A day counts if at least one was seen and both were alive.
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
    """Pair and day of each code, without repeats."""
    once = np.unique(code)
    return once // n_days, once % n_days


def strongest(edges: Iterable[Edge], index: str, minimum: float = 0.0) -> list[Edge]:
    """Edges with at least this index, strongest first, then those with more days together."""
    kept = [edge for edge in edges if getattr(edge, index) >= minimum]
    return sorted(kept, key=lambda edge: (-getattr(edge, index), -edge.x, edge.a, edge.b))
