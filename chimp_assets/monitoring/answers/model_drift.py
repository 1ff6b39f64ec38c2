"""Whether the champion names fewer tracks rightly than it did: on the audit, everywhere and at each camera.

Belongs here: the champion's answers in the order in which people gave theirs, and the falls among them. Does not belong
here: the evidence (`falls`), measuring a model once (`vision.evaluation`).

Audit answers never train a model, so the head that is champion now may be judged by all of them, whenever they were
given; the reference is the share of earlier answers. Nothing is concluded from how sure the head is: a head is sure of
animals that it has never met.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import sqlalchemy as sa

from chimp_assets.arrays import BoolArray, I64Array
from chimp_assets.database import schema as t
from chimp_assets.database.connection.parameters import rows_in_parts
from chimp_assets.database.labels.answers import effective_answers
from chimp_assets.home import Home
from chimp_assets.monitoring.alerts import open_one
from chimp_assets.monitoring.answers.falls import PROOF, find_fall
from chimp_assets.vision.evaluation.audit import NEW, AuditJudge
from chimp_assets.vision.models.checkpoint import champion

SIGNAL = "accuracy"
EVERYWHERE = ""


@dataclass(frozen=True)
class JudgedAnswers:
    """The champion head on the audit, in the order of the answers. right: bool [n], it names the animal, or calls one
    unknown that a person called unknown; block: i64 [n], the camera-day; camera: str [n]; day: of recording, None where
    unknown; track_id: i64 [n]."""

    model_id: int
    right: BoolArray
    block: I64Array
    camera: np.ndarray
    day: list[date | None]
    track_id: I64Array


def judged_answers(home: Home, judge: AuditJudge | None = None) -> JudgedAnswers | None:
    """The champion's audit; None where there is no champion head or nothing to judge."""
    with home.database.read() as conn:
        head = champion(conn, "head")
    if head is None or head.parent_id is None:
        return None
    judge = judge or AuditJudge(home.database, home.store, home.settings)
    tracks, judged = judge.answers(head.model_id)
    track_id = tracks.track_id[judged.row]
    if not len(track_id):
        return None
    with home.database.read() as conn:
        seq, day = audit_order(conn, track_id)
    order = np.argsort(seq, kind="stable")
    is_new = tracks.truth[judged.row] == NEW
    right = np.where(is_new, judged.flagged, judged.correct)
    return JudgedAnswers(
        head.model_id,
        right[order],
        tracks.block[judged.row][order],
        tracks.slices["camera"][judged.row][order],
        [day[i] for i in order],
        track_id[order],
    )


def open_model_alerts(home: Home, today: date, judge: AuditJudge | None = None) -> list[int]:
    """Opens an alert where the champion's share of right answers has fallen; the keys of new alerts.

    Everywhere, and at each camera with enough answers; of c cameras each needs c times the proof.
    """
    answers = judged_answers(home, judge)
    if answers is None:
        return []
    opened: list[int] = []
    cameras = sorted({camera for camera in answers.camera if camera})
    for camera in [EVERYWHERE, *cameras]:
        here = np.flatnonzero(answers.camera == camera) if camera else np.arange(len(answers.right))
        fall = find_fall(answers.right[here], answers.block[here])
        if fall is None or fall.evidence < PROOF * (len(cameras) if camera else 1) or fall.after >= fall.before:
            continue
        since = _since(answers, here, today)
        alert_id = open_one(
            home.database,
            kind="model",
            signal=SIGNAL,
            camera=camera,
            since=since,
            noticed=max(today, since),
            size=100 * (fall.after - fall.before),
            evidence=fall.evidence,
            detail={
                "before": round(fall.before, 4), "after": round(fall.after, 4), "answers": len(here) - fall.start,
            },
            model_id=answers.model_id,
        )  # fmt: skip
        if alert_id is not None:
            opened.append(alert_id)
    return opened


def _since(answers: JudgedAnswers, here: I64Array, today: date) -> date:
    """The first recording day of what is named wrongly more often: the fall is told by what was filmed, and since
    when; the order of the answers only proves it."""
    dated = sorted((i for i in here if answers.day[i] is not None), key=lambda i: (answers.day[i], i))
    if not dated:
        return today
    fall = find_fall(answers.right[dated])
    first = answers.day[dated[fall.start]] if fall is not None else answers.day[dated[0]]
    assert first is not None
    return first


def audit_order(conn: sa.Connection, track_id: I64Array) -> tuple[I64Array, list[date | None]]:
    """The number of the answer that stands, and the recording day, of each track."""
    seq: dict[int, int] = {}
    day: dict[int, date | None] = {}

    def of_tracks(part: list[int]) -> sa.Select[Any]:
        answer = effective_answers(of_tracks=part).subquery("answer")
        return (
            sa.select(answer.c.track_id, answer.c.seq, t.video.c.recorded_on)
            .join_from(answer, t.track, t.track.c.track_id == answer.c.track_id)
            .join(t.video, t.video.c.video_id == t.track.c.video_id)
        )

    for row in rows_in_parts(conn, of_tracks, track_id.tolist()):
        seq[row.track_id], day[row.track_id] = row.seq, row.recorded_on
    return np.array([seq.get(i, 0) for i in track_id.tolist()], np.int64), [day.get(i) for i in track_id.tolist()]
