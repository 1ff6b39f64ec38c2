"""Vectors and names of the champions for what lacks them: the whole archive within a budget, and first what is asked.

Belongs here: which bundles come next, and when to stop. Does not belong here: embedding and naming (`vision`), one
bundle on its way (`bundle`).
"""

from __future__ import annotations

from dataclasses import dataclass

from chimp_assets.database.labels.evidence import tracks_to_name_again
from chimp_assets.database.work import due
from chimp_assets.home import Home
from chimp_assets.loop.bundle import scoring_head
from chimp_assets.loop.progress import Progress
from chimp_assets.vision.embedding.bundle import embed_bundle
from chimp_assets.vision.identity.predict import predict_bundles, predict_tracks
from chimp_assets.vision.identity.unknowns import propose_individuals

NAMED_AGAIN = 500
"""Tracks that are named anew at once because of what people denied; more wait for the next time."""


@dataclass(frozen=True)
class RescoreReport:
    """What one budgeted re-scoring did; `left` bundles wait for the next run.

    bundles: those that the champions have embedded now; with_predictions: whether there was a head to score them too.
    """

    bundles: list[str]
    with_predictions: bool
    embedded_tracks: int
    predicted_tracks: int
    left: int


def rescore(home: Home, progress: Progress | None = None, budget: int | None = None) -> RescoreReport:
    """Embeddings and predictions of the champions for bundles that lack them, until the budget of tracks is spent.

    budget: tracks; None takes settings.score.tracks_per_run. A run stops after the bundle that passes it. Without a
    head of the champion embedder bundles are embedded only: the next head needs those vectors.
    """
    limit = home.settings.score.tracks_per_run if budget is None else budget
    name_asked_tracks(home)
    with home.database.read() as conn:
        waiting = due.unscored_bundles(conn)
    if scoring_head(home) is None:
        return _embed(home, waiting, limit, progress)
    return _predict(home, waiting, limit, progress)


def _predict(home: Home, waiting: list[str], limit: int, progress: Progress | None) -> RescoreReport:
    scored = predict_bundles(home.database, home.store, waiting, home.settings, progress, limit)
    done = waiting[: scored.n_bundles]
    if done and len(done) == len(waiting):
        propose_individuals(home.database, home.store)
    return RescoreReport(done, True, scored.n_embedded, scored.n_tracks, len(waiting) - len(done))


def _embed(home: Home, waiting: list[str], limit: int, progress: Progress | None) -> RescoreReport:
    done: list[str] = []
    embedded = 0
    for number, key in enumerate(waiting):
        if progress:
            progress(f"score {key}", number, len(waiting))
        embedded += embed_bundle(home.database, home.store, key, home.settings).n_tracks
        done.append(key)
        if embedded >= limit:
            break
    if progress and waiting:
        progress("score", len(done), len(waiting))
    return RescoreReport(done, False, embedded, 0, len(waiting) - len(done))


def name_asked_tracks(home: Home) -> int:
    """Predictions of the champion head for tracks that wait to be answered and have none, and anew for those of which
    people have said since whom they do not show, or taken that back; returns how many.

    Scoring the archive with a new champion takes half a minute for 300,000 tracks, and more for more; whoever answers
    meanwhile sees its candidates all the same.
    """
    with home.database.read() as conn:
        asked, again = due.asked_tracks(conn), tracks_to_name_again(conn, NAMED_AGAIN)
    return predict_tracks(home.database, home.store, asked, again)


def name_denied_tracks(home: Home) -> int:
    """Of `name_asked_tracks` only the tracks that are named anew: before a plan, which chooses by names and doubts."""
    with home.database.read() as conn:
        again = tracks_to_name_again(conn, NAMED_AGAIN)
    return predict_tracks(home.database, home.store, (), again)
