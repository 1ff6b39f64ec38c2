"""Animals that the champion head does not know, clustered by appearance: proposals for new individuals.

Unknown animals are normal and are never one class: each cluster is a proposal that a person may name (Rastegar et al.
and E2OAL 2026: separate clusters beat one class "unknown"). Written to `unknown_track`, read by `v_unknown_animal`.

Belongs here: which tracks are clustered, their clusters, their rows. Does not belong here: who is unknown (`head`,
`predict`), what is asked next (`acquisition`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.cluster.hierarchy
import scipy.sparse
import scipy.spatial.distance
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.database.labels.answers import effective_answers
from chimp_assets.vision.embedding.bundle import embeddings_of_tracks
from chimp_assets.vision.identity.assignment import overlapping
from chimp_assets.vision.identity.head import load_head
from chimp_assets.vision.models.checkpoint import champion

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.database.connection.engine import Database

# Tracks that are clustered, those least like any labelled one first: their neighbours are found in seconds.
MOST_TRACKS = 20_000
NEIGHBOURS = 10
# Tracks of one group whose distances are all computed: 32 MB.
MOST_TOGETHER = 2_000
# Share of pairs of different labelled animals that are more alike than the cut: the price of finding an animal again.
CONFUSED_PAIRS = 0.01
FEW_MEMBERS = 20  # with fewer labelled tracks, or of one animal only, the cut is DEFAULT_CUT
DEFAULT_CUT = 0.7
SAMPLE = 2_000


@dataclass(frozen=True)
class UnknownClusters:
    """Result of the clustering. n_unknown: tracks that the head does not know; n_looked_at: those of them that were
    compared; n_clusters, n_tracks: clusters of two tracks or more, and tracks in them; cut: least mean cosine within a
    cluster."""

    n_unknown: int
    n_looked_at: int
    n_clusters: int
    n_tracks: int
    cut: float


def propose_individuals(db: Database, store: BlobStore) -> UnknownClusters | None:
    """Cluster the live tracks that the champion head does not know and no person has named; replaces its rows.

    None without a champion head. A second run writes the same rows. Memory: MOST_TRACKS vectors and their neighbours.
    """
    with db.read() as conn:
        model = champion(conn, "head")
        if model is None or model.parent_id is None:
            return None
        track_id, video, first_s, last_s, n_unknown = _unknown_tracks(conn, model.model_id)
    head = load_head(store, model)
    found, embedding = embeddings_of_tracks(db, store, model.parent_id, track_id)
    cut = cut_of(head.member.astype(np.float32), head.member_class)
    cluster, likeness = clusters(embedding, cut, *overlapping(video[found], first_s[found], last_s[found]))
    inside = cluster > 0

    def write(conn: sa.Connection) -> None:
        conn.execute(sa.delete(t.unknown_track).where(t.unknown_track.c.model_id == model.model_id))
        insert_rows(
            conn,
            t.unknown_track,
            {
                "model_id": np.full(int(inside.sum()), model.model_id, dtype=np.int64),
                "track_id": track_id[found][inside],
                "cluster_no": cluster[inside],
                "likeness": likeness[inside].astype(np.float64),
            },
        )

    db.transact(write)
    return UnknownClusters(n_unknown, len(found), int(cluster.max(initial=0)), int(inside.sum()), cut)


def clusters(
    embedding: np.ndarray, cut: float, apart_one: np.ndarray, apart_other: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Clusters of unit vectors f32 [n, d] by average linkage: number of each row i64 [n], from 1 by size, 0 for a row
    alone; and the cosine f32 [n] to the mean of its cluster.

    cut: least mean cosine of two parts that are joined; apart: pairs of rows that are certainly two animals (seen at
    one moment). Rows are compared within groups of linked nearest neighbours of at most MOST_TOGETHER rows; a larger
    group is cut by raising the cosine of a link until it falls apart.
    """
    n = len(embedding)
    number, likeness = np.zeros(n, dtype=np.int64), np.ones(n, dtype=np.float32)
    if n < 2:
        return number, likeness
    one, other, cosine = _neighbours(embedding)
    label = np.zeros(n, dtype=np.int64)
    next_label = 1
    groups = _groups(np.arange(n), one, other, cosine, cut)
    group_of, of_row = np.full(n, -1), np.zeros(n, dtype=np.int64)
    for group, rows in enumerate(groups):
        group_of[rows] = group
        of_row[rows] = np.arange(len(rows))
    within = np.flatnonzero((group_of[apart_one] >= 0) & (group_of[apart_one] == group_of[apart_other]))
    within = within[np.argsort(group_of[apart_one[within]], kind="stable")]
    begins = np.searchsorted(group_of[apart_one[within]], np.arange(len(groups) + 1))
    for group, rows in enumerate(groups):
        pairs = within[begins[group] : begins[group + 1]]
        for part in _joined(embedding, rows, cut, of_row[apart_one[pairs]], of_row[apart_other[pairs]]):
            label[part] = next_label
            next_label += 1
    names, size = np.unique(label[label > 0], return_counts=True)
    first = {int(name): int(np.flatnonzero(label == name)[0]) for name in names}
    order = sorted(range(len(names)), key=lambda i: (-int(size[i]), first[int(names[i])]))
    for place, i in enumerate(order, start=1):
        rows = np.flatnonzero(label == names[i])
        middle = embedding[rows].mean(0)
        number[rows] = place
        likeness[rows] = embedding[rows] @ (middle / max(float(np.linalg.norm(middle)), 1e-9))
    return number, likeness


def cut_of(member: np.ndarray, member_class: np.ndarray, seed: int = 0) -> float:
    """The cosine that few pairs of different labelled animals exceed. member: f32 [m, d] unit vectors."""
    if len(member) < FEW_MEMBERS or len(np.unique(member_class)) < 2:
        return DEFAULT_CUT
    rows = np.random.default_rng(seed).permutation(len(member))[:SAMPLE]
    cosine = member[rows] @ member[rows].T
    different = member_class[rows][:, None] != member_class[rows][None, :]
    return float(np.quantile(cosine[different], 1 - CONFUSED_PAIRS))


def _unknown_tracks(conn: sa.Connection, model_id: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]:
    """track_id ascending, video_id, first_s, last_s of the most novel, and the number of all."""
    score, track = t.track_score, t.track
    rows = conn.execute(
        sa.select(score.c.track_id, track.c.video_id, track.c.first_s, track.c.last_s, score.c.novelty)
        .join_from(score, track, track.c.track_id == score.c.track_id)
        .where(score.c.model_id == model_id, score.c.is_unknown == sa.true(), track.c.state == "live")
    ).all()
    if not rows:
        none = np.zeros(0, dtype=np.int64)
        return none, none, none.astype(np.float64), none.astype(np.float64), 0
    # A join would make the database read all answers for each track: minutes for 100,000 labels.
    answer = effective_answers().subquery("answered")
    answered = np.array(conn.scalars(sa.select(answer.c.track_id).where(answer.c.kind != "unknown")).all(), np.int64)
    track_id, video, first_s, last_s, novelty = (np.array(column) for column in zip(*rows, strict=True))
    left = np.flatnonzero(~np.isin(track_id, answered))
    least_known = left[np.lexsort((track_id[left], -novelty[left]))[:MOST_TRACKS]]
    kept = least_known[np.argsort(track_id[least_known])]
    return track_id[kept], video[kept], first_s[kept].astype(np.float64), last_s[kept].astype(np.float64), len(left)


def _neighbours(embedding: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of rows of which one is among the nearest of the other, and their cosines."""
    import faiss  # half a second

    index = faiss.IndexFlatIP(embedding.shape[1])
    index.add(np.ascontiguousarray(embedding, dtype=np.float32))
    k = min(NEIGHBOURS + 1, len(embedding))
    cosine, other = index.search(np.ascontiguousarray(embedding, dtype=np.float32), k)
    one = np.repeat(np.arange(len(embedding)), k)
    keep = (other.ravel() >= 0) & (other.ravel() != one)
    return one[keep], other.ravel()[keep].astype(np.int64), cosine.ravel()[keep]


def _groups(rows: np.ndarray, one: np.ndarray, other: np.ndarray, cosine: np.ndarray, cut: float) -> list[np.ndarray]:
    """Rows linked by a cosine of at least cut, in groups of 2 to MOST_TOGETHER."""
    place = np.full(int(rows.max()) + 1, -1)
    place[rows] = np.arange(len(rows))
    inside = (cosine >= cut) & (one < len(place)) & (other < len(place))
    inside[inside] &= (place[one[inside]] >= 0) & (place[other[inside]] >= 0)
    links = scipy.sparse.coo_matrix(
        (np.ones(int(inside.sum()), bool), (place[one[inside]], place[other[inside]])), shape=(len(rows), len(rows))
    )
    _, group = scipy.sparse.csgraph.connected_components(links, directed=False)
    order = np.argsort(group, kind="stable")
    found: list[np.ndarray] = []
    for part in np.split(rows[order], np.cumsum(np.bincount(group))[:-1]):
        if len(part) > MOST_TOGETHER and cut < 1:
            found += _groups(part, one, other, cosine, min(1.0, cut + (1 - cut) / 4 + 1e-3))
        elif 2 <= len(part) <= MOST_TOGETHER:
            found.append(part)
        elif len(part) > MOST_TOGETHER:  # identical pictures: any split will do
            found += np.array_split(part, -(-len(part) // MOST_TOGETHER))
    return found


def _joined(
    embedding: np.ndarray, rows: np.ndarray, cut: float, apart_one: np.ndarray, apart_other: np.ndarray
) -> list[np.ndarray]:
    """Parts of two rows or more by average linkage. apart: places among rows."""
    distance = np.clip(1 - embedding[rows] @ embedding[rows].T, 0, 2).astype(np.float64)
    # So far apart that no mean with it can fall below the cut.
    distance[apart_one, apart_other] = 2.0 * len(rows) ** 2
    distance = (distance + distance.T) / 2
    np.fill_diagonal(distance, 0)
    tree = scipy.cluster.hierarchy.linkage(scipy.spatial.distance.squareform(distance, checks=False), "average")
    label = scipy.cluster.hierarchy.fcluster(tree, 1 - cut, criterion="distance")
    return [rows[label == name] for name in np.unique(label) if (label == name).sum() > 1]
