"""The network that turns tracks into vectors: which labels teach its successor, and the verdict on it.

Belongs here: the choice of the training set, the round of verdicts. Does not belong here: networks, their training and
the rule of the verdict (`vision.embedding`), when one is due (`database.work`).
"""

from __future__ import annotations

from dataclasses import dataclass

from chimp_assets.home import Home
from chimp_assets.loop.progress import Progress
from chimp_assets.monitoring.cards.card import keep_cards_after_promotion
from chimp_assets.vision.datasets.training_set import newest_training_set
from chimp_assets.vision.models.checkpoint import candidates


@dataclass(frozen=True)
class EmbedderVerdict:
    """Whether a candidate embedder became the champion, and why or why not."""

    model_id: int
    promoted: bool
    reason: str


def fit_first_embedder(home: Home, progress: Progress | None = None) -> int:
    """The first embedder, which becomes the champion; returns its model_id. Loads torch."""
    from chimp_assets.vision.embedding.embedder import fit_embedder

    model_id = fit_embedder(home.database, home.store, home.settings, progress)
    keep_cards_after_promotion(home)
    return model_id


def training_set_for_embedder(home: Home) -> int | None:
    """The training set of an interrupted fine-tuning, else the newest; None before there is any."""
    from chimp_assets.vision.learning.unfinished import adopt_former_state, unfinished_training

    adopt_former_state(home.settings.home, home.store)
    with home.database.read() as conn:
        return unfinished_training(conn, home.store) or newest_training_set(conn)


def judge_embedders(home: Home) -> list[EmbedderVerdict]:
    """Promotes or refuses every candidate embedder, oldest first. Loads torch."""
    from chimp_assets.vision.evaluation.promotion import decide_embedder

    with home.database.read() as conn:
        waiting = candidates(conn, "embedder")
    verdicts = [EmbedderVerdict(model_id, *decide_embedder(home.database, model_id)) for model_id in waiting]
    keep_cards_after_promotion(home)
    return verdicts
