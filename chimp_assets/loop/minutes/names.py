"""How far the archive is named: the chance of each track's name, calibrated on the audit.

Belongs here: reading names, answers and what was denied; the line between what the champion head says and what is true.
Does not belong here: thresholds, errors and forecasts (`acquisition.minutes.goal`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa

from chimp_assets.acquisition.minutes.calibration import ChanceLine, fit
from chimp_assets.acquisition.minutes.goal import (
    BY_A_PERSON,
    NAMELESS,
    NOBODY_ASKED,
    ON_A_PAGE,
    ArchiveNames,
    Reach,
)
from chimp_assets.acquisition.minutes.prices import Prices
from chimp_assets.arrays import F64Array, I8Array, I64Array, located, rows_of
from chimp_assets.database import schema as t
from chimp_assets.database.individuals.merges import as_merged, merged_ids
from chimp_assets.database.labels.answers import effective_answers
from chimp_assets.database.labels.events import last_seq
from chimp_assets.database.labels.kinds import NAMING_KINDS
from chimp_assets.database.labels.shown import TOGETHER
from chimp_assets.loop.minutes.prices import learned_prices
from chimp_assets.loop.pool import columns_of, pages_of
from chimp_assets.vision.datasets.training_set import audited
from chimp_assets.vision.models.checkpoint import champion

if TYPE_CHECKING:
    from chimp_assets.settings import Settings

_NOT_AN_ANIMAL = -1  # beside NOBODY_ASKED and the others; never seen outside
_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class TrackNaming:
    """Every live track of the archive that may show an animal, and its name, as of a watermark of labels.

    track_id: i64 [n], ascending. names: frames, chances and who was asked. probability: f64 [n], what the champion
    head gives its first name, before calibration; 0 where it gives none, finds the animal unknown to it, or people
    denied the name. individual_id: i64 [n] of that name, as merged; -1 without. line: from the probability to the
    chance. prices: what answers cost. About 100 bytes a track.
    """

    track_id: I64Array
    names: ArchiveNames
    probability: F64Array
    individual_id: I64Array
    line: ChanceLine
    head_model_id: int
    watermark_seq: int
    prices: Prices

    def threshold_probability(self, reach: Reach) -> float:
        """The head's probability from which its names count; above 1 where none do."""
        counted = (self.names.asked == NOBODY_ASKED) & (self.names.chance > 0)
        counted &= self.names.chance >= reach.threshold
        # Of the tracks themselves: the way back through the line rounds, and the last track would be lost.
        return float(self.probability[counted].min()) if counted.any() else self.line.back(reach.threshold)


def read_archive_names(conn: sa.Connection, settings: Settings) -> TrackNaming | None:
    """The names of the archive now, in one snapshot; None where there is no champion head.

    Tracks that people called no animal are no part of it.
    """
    head = champion(conn, "head")
    if head is None:
        return None
    watermark = last_seq(conn)
    same = merged_ids(conn)
    track_id, frames = columns_of(
        conn,
        sa.select(t.track.c.track_id, t.track.c.n_detections)
        .join(t.video, t.video.c.video_id == t.track.c.video_id)
        .where(t.track.c.state == "live", t.video.c.state != "retired")
        .order_by(t.track.c.track_id),
    )
    asked = _asked(conn, track_id)
    if (asked == _NOT_AN_ANIMAL).any():
        kept = asked != _NOT_AN_ANIMAL
        track_id, frames, asked = track_id[kept], frames[kept], asked[kept]
    probability, individual_id = first_names(conn, head.model_id, track_id, same)
    audit, truth = audit_truth(conn, watermark, same)
    here, row = located(track_id, audit)
    here &= probability[row] > 0
    line = fit(probability[row[here]], individual_id[row[here]] == truth[here])
    return TrackNaming(
        track_id,
        ArchiveNames(frames.astype(np.float64), _chances(line, probability), asked),
        probability,
        individual_id,
        line,
        head.model_id,
        watermark,
        learned_prices(conn, watermark),
    )


def first_names(
    conn: sa.Connection, head_model_id: int, track_id: I64Array, same: dict[int, int]
) -> tuple[F64Array, I64Array]:
    """A head's first names of tracks that count: probability f64 [n], 0 without; individual_id i64 [n], -1 without.

    track_id: i64 [n], ascending; same: `merged_ids`. No name counts of an animal that is unknown to the head, nor one
    that people denied.
    """
    probability, individual_id = np.zeros(len(track_id)), np.full(len(track_id), -1, np.int64)
    p, score, said = t.prediction.c, t.track_score.c, t.track_evidence.c
    # A literal: SQLite uses a partial index only if it sees the value.
    first = sa.select(p.track_id, p.individual_id, p.probability).where(
        p.model_id == head_model_id, p.rank == sa.literal_column("1")
    )
    for page in pages_of(conn, first):
        ids, who, share = zip(*page, strict=True)
        here, row = located(track_id, np.array(ids, np.int64))
        probability[row[here]] = np.array(share, np.float64)[here]
        individual_id[row[here]] = _merged(np.array(who, np.int64)[here], same)
    unknown = sa.select(score.track_id).where(score.model_id == head_model_id, score.is_unknown.is_(sa.true()))
    unnamed = rows_of(track_id, columns_of(conn, unknown)[0])
    denied, of = columns_of(conn, sa.select(said.track_id, said.individual_id).where(said.state == "denied"))
    here, row = located(track_id, denied)
    no = row[here][individual_id[row[here]] == _merged(of[here], same)]
    for rows in (unnamed, no):
        probability[rows], individual_id[rows] = 0, -1
    return probability, individual_id


def audit_truth(conn: sa.Connection, watermark_seq: int, same: dict[int, int]) -> tuple[I64Array, I64Array]:
    """Tracks of the audit that a person named or called unknown, i64 [k], and who they are, i64 [k], below 0: unknown.

    They alone say how far a head's names are true: the audit asked whatever a head thought, and no head learned from
    it. What other lanes asked was chosen by the head, and has taught it since. same: `merged_ids`.
    """
    answer = effective_answers().subquery("answer")
    asked, who = columns_of(
        conn,
        sa.select(answer.c.track_id, sa.case((answer.c.kind == "unknown", -2), else_=answer.c.individual_id)).where(
            answer.c.kind.in_((*NAMING_KINDS, "unknown")),
            audited(answer.c.track_id, watermark_seq, ("audit",), answer.c.annotation_id),
        ),
    )
    return asked, _merged(who, same)


def _asked(conn: sa.Connection, track_id: I64Array) -> I8Array:
    """Of each track whether somebody named it, as in `ArchiveNames`; _NOT_AN_ANIMAL where people said so. i8 [n]."""
    asked = np.full(len(track_id), NOBODY_ASKED, np.int8)
    said, answer = t.track_evidence.c, effective_answers().subquery("answer")
    agreed = columns_of(conn, sa.select(said.track_id).where(said.state == "agreed"))[0]
    asked[rows_of(track_id, agreed)] = ON_A_PAGE
    one = t.annotation.c
    together = sa.or_(answer.c.lane == t.GRID, one.shown_mode.in_(TOGETHER))
    meaning: sa.ColumnElement[Any] = sa.case(
        (sa.and_(answer.c.kind.in_(NAMING_KINDS), together), ON_A_PAGE),
        (answer.c.kind.in_(NAMING_KINDS), BY_A_PERSON),
        (answer.c.kind.in_(("not_animal", "bad_box")), _NOT_AN_ANIMAL),
        else_=NAMELESS,
    )
    answers = sa.select(answer.c.track_id, meaning).join_from(
        answer, t.annotation, one.annotation_id == answer.c.annotation_id
    )
    answered, how = columns_of(conn, answers)
    here, row = located(track_id, answered)
    asked[row[here]] = how[here]
    return asked


def _chances(line: ChanceLine, probability: F64Array) -> F64Array:
    """The chance of each name, 0 without one; a piece at a time, in no more memory than the result."""
    chance = np.zeros(len(probability))
    for low in range(0, len(probability), _AT_ONCE):
        piece = probability[low : low + _AT_ONCE]
        chance[low : low + _AT_ONCE] = np.where(piece > 0, line.of(piece), 0.0)
    return chance


def _merged(individual_id: I64Array, same: dict[int, int]) -> I64Array:
    return as_merged(individual_id, same) if same else individual_id
