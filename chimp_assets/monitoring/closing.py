"""When an alert closes by itself: the signal is back, the model has caught up, or nothing is left to ask.

Belongs here: these three questions, and writing the answer into `why`. Does not belong here: what people decide
(`alerts`), when a change ended (`changes`, `facts`).

A closed alert stays known: its change, found again, opens no second one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import numpy as np
import sqlalchemy as sa
from scipy.stats import fisher_exact

from chimp_assets.arrays import I64Array
from chimp_assets.database import schema as t
from chimp_assets.database.work.drifted import filmed_in, tracks_filmed_in
from chimp_assets.home import Home
from chimp_assets.monitoring.alerts import OPEN, PAST, Alert, AlertError, alerts, resolve
from chimp_assets.monitoring.answers.annotators import outcomes
from chimp_assets.monitoring.answers.model_drift import JudgedAnswers, judged_answers
from chimp_assets.monitoring.words import day_of
from chimp_assets.vision.datasets.training_set import read_members
from chimp_assets.vision.evaluation.audit import AuditJudge

NEWEST_ANSWERS = 20
"""Answers of a person that say whether she is back; WITHIN what she was before."""
WITHIN = 0.05
WORSE = 0.05
"""p-value (Fisher's exact test, one-sided) from which the champion is worse in a slice than elsewhere."""


@dataclass(frozen=True)
class _Champion:
    """The head that names now. learned: i64 [n], tracks that it was trained on, ascending."""

    model_id: int
    since: datetime
    learned: I64Array


class _Evidence:
    """What several alerts are closed by, read once and only if an alert asks."""

    def __init__(self, home: Home, judge: AuditJudge | None) -> None:
        self._home, self._judge = home, judge

    @cached_property
    def champion(self) -> _Champion | None:
        m = t.model.c
        with self._home.database.read() as conn:
            row = conn.execute(
                sa.select(m.model_id, m.training_set_id, m.decided_at, m.created_at).where(
                    m.task == "head", m.state == "champion"
                )
            ).first()
        if row is None or row.training_set_id is None:
            return None
        learned = read_members(self._home.database, self._home.store, row.training_set_id).track_id
        return _Champion(row.model_id, row.decided_at or row.created_at, np.sort(learned))

    @cached_property
    def judged(self) -> JudgedAnswers | None:
        return judged_answers(self._home, self._judge)


def close_alerts(home: Home, judge: AuditJudge | None = None) -> list[int]:
    """Closes the open alerts that are over; their keys. Run again, it closes nothing twice."""
    with home.database.read() as conn:
        waiting = alerts(conn, [OPEN])
    evidence = _Evidence(home, judge)
    closed = []
    for alert in sorted(waiting, key=lambda one: one.alert_id):
        why = next((said for ask in QUESTIONS if (said := ask(home, alert, evidence)) is not None), None)
        if why is None:
            continue
        with suppress(AlertError):  # a person has decided in the meantime: that stands
            if resolve(home.database, alert.alert_id, why):
                closed.append(alert.alert_id)
    return closed


def _is_back(home: Home, alert: Alert, evidence: _Evidence) -> str | None:
    if alert.kind == "annotator":
        return _answers_as_before(home, alert)
    if alert.until is None or alert.detail.get(PAST):
        return None
    return f"It has been as before since {day_of(alert.until)}."


def _answers_as_before(home: Home, alert: Alert) -> str | None:
    opened = alert.opened_at.astimezone(UTC).date()
    with home.database.read() as conn:
        every = outcomes(conn)
    for one in every:
        if (one.annotator_id, one.signal) == (alert.annotator_id, alert.signal):
            later = [bool(right) for right, day in zip(one.right, one.day, strict=True) if day > opened]
            newest = later[-NEWEST_ANSWERS:]
            if len(newest) == NEWEST_ANSWERS and np.mean(newest) >= float(alert.detail["before"]) - WITHIN:
                return f"{sum(newest)} of the newest {NEWEST_ANSWERS} answers are right, as before."
    return None


def _has_caught_up(home: Home, alert: Alert, evidence: _Evidence) -> str | None:
    head = evidence.champion
    if alert.kind == "annotator" or head is None or head.since <= alert.opened_at:
        return None
    track_id = _tracks(home, alert)
    learned = int(np.isin(track_id, head.learned).sum())
    if learned < home.settings.monitoring.labels_to_close:
        return None
    how_well = _compared(alert, track_id, evidence.judged, home.settings.monitoring.least_group)
    return (
        None if how_well is None else f"Head {head.model_id} has learned from {learned} answers about it; {how_well}."
    )


def _compared(alert: Alert, track_id: I64Array, judged: JudgedAnswers | None, least: int) -> str | None:
    """How well the champion names what it did not learn from, here and elsewhere; None where it is worse here.

    Elsewhere is the same camera at other times; where it has too few answers, the whole archive.
    """
    few = "too few audit answers there to compare"
    if judged is None:
        return few
    here = np.isin(judged.track_id, track_id)
    others = ~here & (judged.camera == alert.camera)
    if others.sum() < least:
        others = ~here
    if here.sum() < least or others.sum() < least:
        return few
    right, other = judged.right[here], judged.right[others]
    table = [[int(right.sum()), int((~right).sum())], [int(other.sum()), int((~other).sum())]]
    if fisher_exact(table, alternative="less").pvalue < WORSE:
        return None
    return (
        f"it names {table[0][0]} of {len(right)} audit tracks of it rightly, elsewhere"
        f" {table[1][0]} of {len(other)}"
    )  # fmt: skip


def _is_exhausted(home: Home, alert: Alert, evidence: _Evidence) -> str | None:
    """A plan that knew of the alert found nothing of it to ask, and nothing of it is still being decoded or tracked."""
    if alert.kind == "annotator":
        return None
    r, q, v = t.acquisition_round.c, t.acquisition_queue.c, t.video.c
    slice_of = (alert.camera, alert.since, alert.until)
    with home.database.read() as conn:
        newest = conn.execute(sa.select(r.round_id, r.policy).order_by(r.round_id.desc()).limit(1)).first()
        if newest is None or alert.alert_id not in json.loads(newest.policy).get("alerts", ()):
            return None
        asked = sa.select(q.item_id).where(
            q.round_id == newest.round_id,
            q.lane.not_in(("audit", "repeat", *t.SIDE_LANES)),
            q.track_id.in_(tracks_filmed_in(*slice_of)),
        )
        unfinished = sa.select(v.video_id).where(filmed_in(*slice_of), v.state.in_(("registered", "decoded")))
        if any(conn.execute(query.limit(1)).first() is not None for query in (asked, unfinished)):
            return None
        tracks = tracks_filmed_in(*slice_of).add_columns(t.track.c.video_id).subquery()
        split = t.split_assignment.c
        n = conn.scalar(sa.select(sa.func.count()).select_from(tracks)) or 0
        kept = conn.scalar(
            sa.select(sa.func.count())
            .select_from(tracks)
            .join(t.split_assignment, split.video_id == tracks.c.video_id)
            .where(split.split == "test")
        )
    if not n:
        return None
    return f"None of its {n} tracks is left to ask" + (f"; {kept} lie on days kept for testing." if kept else ".")


QUESTIONS: tuple[Callable[[Home, Alert, _Evidence], str | None], ...] = (_is_back, _has_caught_up, _is_exhausted)
"""In the order in which they are asked; each says why an alert closes, or None."""


def _tracks(home: Home, alert: Alert) -> I64Array:
    with home.database.read() as conn:
        return np.array(list(conn.scalars(tracks_filmed_in(alert.camera, alert.since, alert.until))), np.int64)
