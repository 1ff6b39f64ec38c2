"""Everything that is watched, one after the other: what changed, who errs, what is over.

Belongs here: the order. Does not belong here: any of the steps. Each can be killed and run again: it opens and closes
nothing twice.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from chimp_assets.monitoring.alerts import OPEN, alerts
from chimp_assets.monitoring.answers.annotators import open_annotator_alerts
from chimp_assets.monitoring.answers.model_drift import open_model_alerts
from chimp_assets.monitoring.blocks import write_blocks
from chimp_assets.monitoring.cards.card import keep_cards_after_promotion
from chimp_assets.monitoring.changes import find_changes
from chimp_assets.monitoring.closing import close_alerts
from chimp_assets.monitoring.films.backfill import fill_signals
from chimp_assets.monitoring.films.camera_moved import note_moves
from chimp_assets.monitoring.noticing import notice
from chimp_assets.monitoring.words import sentence
from chimp_assets.vision.evaluation.audit import AuditJudge

if TYPE_CHECKING:
    from chimp_assets.home import Home


@dataclass(frozen=True)
class WatchReport:
    """What a look found. blocks: camera-days that were written; signals: older videos whose signals were read from
    their frames; opened, closed: keys of alerts; sentences: of those that are open now."""

    blocks: int
    signals: int
    opened: list[int]
    closed: list[int]
    sentences: list[str]
    seconds: float


def watch_archive(home: Home, today: date | None = None) -> WatchReport:
    """Looks at the archive, the champion and the people; opens alerts and closes them. today: of UTC if None."""
    began = time.perf_counter()
    today = today or datetime.now(UTC).date()
    judge = AuditJudge(home.database, home.store, home.settings)
    signals = fill_signals(home)
    blocks = write_blocks(home)
    opened = [
        *note_moves(home.database),
        *notice(home, find_changes(home, today)),
        *open_model_alerts(home, today, judge),
        *open_annotator_alerts(home, today),
    ]
    closed = close_alerts(home, judge)
    keep_cards_after_promotion(home)  # of promotions whose process died before it wrote one
    with home.database.read() as conn:
        sentences = [sentence(one) for one in alerts(conn, [OPEN])]
    return WatchReport(blocks, signals, opened, closed, sentences, time.perf_counter() - began)
