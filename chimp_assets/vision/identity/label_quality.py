"""Doubtful labels: names that are contradicted by heads which never saw them.

Belongs here: the ranked list of labels to check. Does not belong here: how often people agree with themselves
(`database.labels.agreement`), which answer counts (`database.labels.events`), changing a label (people do).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.csv_cells import GuardedWriter
from chimp_assets.database.individuals.merges import as_merged, merged_ids
from chimp_assets.vision.datasets.training_set import newest_training_set, read_members
from chimp_assets.vision.embedding.bundle import embeddings_of_tracks
from chimp_assets.vision.identity.cross_validation import out_of_fold_probabilities
from chimp_assets.vision.identity.head import load_head
from chimp_assets.vision.models.checkpoint import ModelError, champion

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.database.connection.engine import Database
    from chimp_assets.settings import Settings

ENOUGH_TRACKS = 5  # of an individual; with fewer, a head that lacks one of them knows too little to contradict


@dataclass(frozen=True)
class DoubtfulLabel:
    """A label contradicted by a head that never saw it. rank: from 1, the most doubtful; quality: 0 to 1, cleanlab's
    normalised margin; suggested: the individual that the head prefers, with its probability; likely_error: cleanlab's
    verdict by confident learning (Northcutt et al. 2021)."""

    rank: int
    track_id: int
    annotation_id: str
    labelled: str
    suggested: str
    probability_labelled: float
    probability_suggested: float
    quality: float
    likely_error: bool


def doubtful_labels(
    db: Database, store: BlobStore, settings: Settings, limit: int | None = None
) -> list[DoubtfulLabel]:
    """Labels of the newest training set, the most doubtful first, as cleanlab ranks them.

    Every label is judged by a head that was fitted on neither it nor its recording day; only individuals with
    ENOUGH_TRACKS labelled tracks or more are judged. limit: the most labels. Raises ModelError without a training set
    or head.
    """
    with db.read() as conn:
        training_set_id, model = newest_training_set(conn), champion(conn, "head")
        same = merged_ids(conn)
        names = {
            r.individual_id: r.anim_id
            for r in conn.execute(sa.select(t.individual.c.individual_id, t.individual.c.anim_id))
        }
    if training_set_id is None or model is None or model.parent_id is None:
        raise ModelError(
            "There is no champion head to judge labels by.", "Label tracks until the first head is promoted."
        )
    members = read_members(db, store, training_set_id)
    found, embedding = embeddings_of_tracks(db, store, model.parent_id, members.track_id)
    y, group = as_merged(members.class_id[found], same), members.group[found]
    classes, count = np.unique(y, return_counts=True)
    kept = np.isin(y, classes[count >= ENOUGH_TRACKS])
    if len(np.unique(y[kept])) < 2:
        return []
    head = load_head(store, model)
    classes, probability = out_of_fold_probabilities(
        embedding[kept], y[kept], group[kept], float(model.config["l2"]), head.temperature, settings.seed
    )
    label = np.searchsorted(classes, y[kept])
    order, quality, error = ranked(label, probability)
    rows = found[kept]
    top = probability.argmax(1)
    return [
        DoubtfulLabel(
            rank=rank,
            track_id=int(members.track_id[rows[i]]),
            annotation_id=members.annotation_id[rows[i]],
            labelled=names[int(classes[label[i]])],
            suggested=names[int(classes[top[i]])],
            probability_labelled=float(probability[i, label[i]]),
            probability_suggested=float(probability[i, top[i]]),
            quality=float(quality[i]),
            likely_error=bool(error[i]),
        )
        for rank, i in enumerate(order[:limit].tolist(), start=1)
    ]


def ranked(label: np.ndarray, probability: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Doubtful rows i64 [k], the most doubtful first; quality f64 [n]; likely errors bool [n].

    label: i64 [n] rows of classes; probability: f32 [n, C] by heads that never saw the row. Doubtful: the head
    prefers another class. Rows that no head could judge (all 0) are never doubtful.
    """
    from cleanlab.filter import find_label_issues  # takes as long as fitting a head
    from cleanlab.rank import get_label_quality_scores

    judged = np.flatnonzero(probability.sum(1) > 0)
    quality, error = np.ones(len(label)), np.zeros(len(label), dtype=bool)
    if not len(judged):
        return judged, quality, error
    # cleanlab requires every class to be present; classes without judged rows are left out.
    present, some = np.unique(label[judged], return_inverse=True)
    p = probability[judged][:, present].astype(np.float64)
    p = np.maximum(p, 1e-12)
    p /= p.sum(1, keepdims=True)
    quality[judged] = get_label_quality_scores(some, p, method="normalized_margin")
    if len(present) > 1:
        error[judged] = find_label_issues(some, p, n_jobs=1, min_examples_per_class=1)
    other = judged[probability[judged].argmax(1) != label[judged]]
    return other[np.argsort(quality[other], kind="stable")], quality, error


def write_csv(labels: list[DoubtfulLabel], file: Path) -> None:
    """The list as CSV in UTF-8, one line each under the names of `DoubtfulLabel`; no cell is a formula."""
    with file.open("w", encoding="utf-8", newline="") as text:
        writer = GuardedWriter(text, lineterminator="\n")
        writer.writerow([field.name for field in fields(DoubtfulLabel)])
        for label in labels:
            writer.writerow(list(asdict(label).values()))
