"""Every pair of individuals: how closely they are associated.

Belongs here: the counts of `together` for all pairs at once. Does not belong here: frames and intervals of a few
individuals (`together`), places in a drawing (`layout`), exports (`network_export`).

The unit is a day, as in `together`, unless the scope has another one. By the rule "frame" two are together while their
tracks, from first to last frame, overlap in a clip.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.insight.association.estimates import Counted, counted
from chimp_assets.insight.association.filmed_tracks import FilmedTracks
from chimp_assets.insight.association.scope import Scope
from chimp_assets.insight.association.together import TOO_FEW
from chimp_assets.insight.individuals.directory import newest_communities
from chimp_assets.statistics.association.unit_counts import sums


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
    which both were alive and under study count. Days stand for units of any kind.
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
    return of_counts(conn, counted(conn, asked, filmed))


def of_counts(conn: sa.Connection, found: Counted) -> Network:
    """The network of what was counted."""
    label_seq = int(conn.scalar(sa.select(sa.func.coalesce(sa.func.max(t.annotation.c.seq), 0))) or 0)
    people = _people(conn, found.keys)
    nodes = [
        Node(key, *people[key], int(found.days[place]), int(found.tracks[place]))
        for place, key in enumerate(found.keys)
        if found.tracks[place]
    ]
    m = t.model.c
    named = sa.select(m.model_id, m.name, m.version).where(m.model_id.in_(found.heads)).order_by(m.model_id)
    models = [(row.model_id, row.name, row.version) for row in conn.execute(named)]
    return Network(sorted(nodes, key=lambda node: node.anim_id), _edges(found), label_seq, models)


def _people(conn: sa.Connection, keys: list[int]) -> dict[int, tuple[str, str | None, str, str | None]]:
    """Code, name, sex and newest community of each."""
    i = t.individual.c
    community, wanted = newest_communities(conn), set(keys)
    rows = conn.execute(sa.select(i.individual_id, i.anim_id, i.name, i.sex).where(i.same_as_id.is_(None)))
    return {row[0]: (row[1], row[2], row[3], community.get(row[0])) for row in rows if row[0] in wanted}


def _edges(found: Counted) -> list[Edge]:
    counts = found.counts
    n = sums(counts).n.sum(0)
    n_a, n_b = counts.seen_in_common_life
    met = [counts.met_of(seen) for seen in ((True, True), (True, False), (False, True))]
    columns = (counts.met(), n - n_b - met[1], n - n_a - met[2], n_a + n_b - n - met[0], counts.verified())
    rows = zip(
        counts.a.tolist(), counts.b.tolist(), *(np.rint(one).astype(int).tolist() for one in columns), strict=True
    )
    return [Edge(found.keys[a], found.keys[b], *numbers) for a, b, *numbers in rows]


def strongest(edges: Iterable[Edge], index: str, minimum: float = 0.0) -> list[Edge]:
    """Edges with at least this index, strongest first, then those with more days together."""
    kept = [edge for edge in edges if getattr(edge, index) >= minimum]
    return sorted(kept, key=lambda edge: (-getattr(edge, index), -edge.x, edge.a, edge.b))
