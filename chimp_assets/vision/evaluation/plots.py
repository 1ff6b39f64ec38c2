"""Figures of an evaluation: whether probabilities are calibrated, and which individuals are confused.

Belongs here: the figures and their files in the store. Does not belong here: the numbers (`metrics`), metadata
(`assets`).
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema
from chimp_assets.vision.evaluation.audit import NEW, AuditAnswers, AuditTracks, TracksAndAnswers, judge_audit
from chimp_assets.vision.evaluation.metrics import confusions, reliability

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.database.connection.engine import Database
    from chimp_assets.settings import Settings

SHOWN = 20  # pairs of individuals in the figure of confusions
MOST_BYTES = 100_000
OWN, KIN, OTHER = "#4a7c59", "#8a4b2f", "#8c8c8c"


def draw_evaluation(
    db: Database, store: BlobStore, model_id: int, settings: Settings, answers: TracksAndAnswers | None = None
) -> dict[str, bytes]:
    """Figures (PNG, below 100 kB) of a head's audit, by title; also written to evaluations/head-MODEL_ID/ in the store.

    Empty if nothing was audited. Raises ModelError if the model is not a head, StoreError.
    """
    tracks, judged = answers or judge_audit(db, store, model_id, settings)
    named = tracks.truth[judged.row] != NEW
    if not named.any():
        return {}
    with db.read() as conn:
        individual = schema.individual.c
        names = {
            r.individual_id: r.anim_id for r in conn.execute(sa.select(individual.individual_id, individual.anim_id))
        }
    figures = {
        "reliability": reliability_figure(judged.probability[named], judged.correct[named]),
        "confusions": confusion_figure(tracks, judged, names),
    }
    pictures = {title: png(figure) for title, figure in figures.items() if figure is not None}
    for title, picture in pictures.items():
        store.put(f"evaluations/head-{model_id}/{title}.png", picture)
    return pictures


def reliability_figure(probability: np.ndarray, correct: np.ndarray) -> Figure:
    """Share of correct names against the probability of the first name, with 95 % intervals and numbers of tracks."""
    from matplotlib.figure import Figure

    bins = reliability(probability, correct)
    said, share, low, high, n = (np.array(column) for column in zip(*bins, strict=True))
    figure = Figure(figsize=(4.5, 4.5), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color=OTHER, linewidth=1)
    axes.errorbar(said, share, yerr=[share - low, high - share], fmt="o", color=OWN, capsize=3)
    for x, y, count in zip(said, share, n, strict=True):
        axes.annotate(str(int(count)), (x, y), textcoords="offset points", xytext=(6, -10), fontsize="x-small")
    axes.set(
        xlim=(0, 1),
        ylim=(0, 1),
        xlabel="probability of the first name",
        ylabel="share named correctly",
        title="Reliability",
    )
    return figure


def confusion_figure(tracks: AuditTracks, judged: AuditAnswers, names: dict[int, str]) -> Figure | None:
    """The commonest confusions, those between maternal kin marked; None if there are none."""
    from matplotlib.figure import Figure

    found = confusions(tracks, judged)[:SHOWN]
    if not found:
        return None
    figure = Figure(figsize=(6, 0.8 + 0.28 * len(found)), layout="constrained")
    axes = figure.add_subplot()
    axes.barh(range(len(found)), [n for _, _, n, _ in found], color=[KIN if kin else OTHER for *_, kin in found])
    axes.set_yticks(
        range(len(found)),
        [f"{names.get(a, a)} named {names.get(b, b)}{' (kin)' if kin else ''}" for a, b, _, kin in found],
    )
    axes.invert_yaxis()
    axes.set(xlabel="audit tracks", title="Commonest confusions; maternal kin in brown")
    return figure


def png(figure: Figure) -> bytes:
    """A figure as PNG below MOST_BYTES, at the highest resolution that fits."""
    for dpi in (90, 60, 40):
        picture = io.BytesIO()
        figure.savefig(picture, format="png", dpi=dpi)
        if picture.tell() <= MOST_BYTES:
            break
    return picture.getvalue()
