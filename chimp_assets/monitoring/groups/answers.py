"""What fairness is computed from: a head's answers to the audit, and those of the lane `groups` with their weights.

Belongs here: reading them, by whom they are about and whom the head named. Does not belong here: comparing
(`comparison`, `individuals`), the weights' formula (`acquisition.lanes.groups`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa

from chimp_assets.acquisition.lanes.groups import lure_weights
from chimp_assets.acquisition.policy import GROUPS
from chimp_assets.arrays import I64Array
from chimp_assets.database import schema as t
from chimp_assets.database.connection.parameters import rows_in_parts
from chimp_assets.database.footage.cameras import place_of_video
from chimp_assets.monitoring.groups.lacking import WAITING
from chimp_assets.vision.evaluation.audit import NEW, AuditJudge, TracksAndAnswers, camera_days, slices_of
from chimp_assets.vision.evaluation.slices import individual_slices

if TYPE_CHECKING:
    from chimp_assets.database.connection.engine import Database

KINDS = ("sex", "age_class", "matriline", "camera", "light", "year", "length", "labels")
CROSSINGS = {"sex_age": ("sex", "age_class"), "camera_light": ("camera", "light")}
LEAST_CROSSING = 30
"""Answers below which a crossing is no group."""


@dataclass(frozen=True)
class JudgedTracks:
    """A head's answers, n tracks.

    known: bool [n], a person named the animal (else: unknown to people); right: bool [n], the head's first name is that
    name; named: bool [n], the head names it, does not call it unknown; taught: bool [n], the head knows the animal;
    probability: f64 [n], of the first name; seconds: f64 [n] of answering, NaN where not timed; block: i64 [n],
    camera-days; weight: f64 [n]; plain: bool [n], of the audit's random sample; of, by: groups by kind, str [n], of the
    animal that it is and of the one that the head named. watermark_seq: labels up to this seq were used.
    """

    known: np.ndarray
    right: np.ndarray
    named: np.ndarray
    taught: np.ndarray
    probability: np.ndarray
    seconds: np.ndarray
    block: np.ndarray
    weight: np.ndarray
    plain: np.ndarray
    of: dict[str, np.ndarray]
    by: dict[str, np.ndarray]
    watermark_seq: int

    def __len__(self) -> int:
        return len(self.known)


def judged_tracks(db: Database, audit: AuditJudge, examined: AuditJudge, model_id: int) -> JudgedTracks:
    """The answers of a head to the audit and to the lane `groups` (examined). Raises ModelError if it is no head."""
    samples = [audit.answers(model_id), examined.answers(model_id)]
    with db.read() as conn:
        weight_of = weights_of_groups(conn, samples[0][0].watermark_seq)
        parts = [_rows(conn, sample) for sample in samples]
    ids, plain = [ids for ids, _ in parts], [True, False]
    weight = np.concatenate([np.ones(len(ids[0])), np.array([weight_of.get(i, 0.0) for i in ids[1].tolist()])])
    both = {name: np.concatenate([part[name] for _, part in parts]) for name in parts[0][1]}
    # Answers out of files, of which no plan says how they were drawn, stand for nothing.
    kept = weight > 0
    both = {name: values[kept] for name, values in both.items()}
    block = camera_days(both.pop("where").tolist())
    of = {name[3:]: both.pop(name) for name in list(both) if name.startswith("of_")}
    by = {name[3:]: both.pop(name) for name in list(both) if name.startswith("by_")}
    lanes = np.repeat(plain, [len(one) for one in ids])[kept]
    return JudgedTracks(
        **both, block=block, weight=weight[kept], plain=lanes, of=_crossed(of), by=_crossed(by),
        watermark_seq=samples[0][0].watermark_seq,
    )  # fmt: skip


def weights_of_groups(conn: sa.Connection, watermark_seq: int) -> dict[int, float]:
    """Weight of each track that the lane `groups` asked and a person answered, whatever the answer."""
    a, q, r = t.annotation.c, t.acquisition_queue.c, t.acquisition_round.c
    items = conn.execute(
        sa.select(q.item_id, q.round_id, q.track_id, q.propensity)
        .where(q.lane == GROUPS)
        .order_by(q.round_id, q.position, q.item_id)
    ).all()
    if not items:
        return {}
    answered = set(
        conn.scalars(sa.select(a.item_id).where(a.lane == GROUPS, a.item_id.is_not(None), a.seq <= watermark_seq))
    )
    policies = rows_in_parts(
        conn,
        lambda part: sa.select(r.round_id, r.policy).where(r.round_id.in_(part)),
        {item.round_id for item in items},
    )
    waiting = {one.round_id: int(json.loads(one.policy).get(WAITING, 0)) for one in policies}
    turn: dict[int, int] = {}
    track, chance, left = [], [], []
    for item in items:
        before = turn.get(item.round_id, 0)
        turn[item.round_id] = before + 1
        if item.item_id in answered and waiting[item.round_id] > before:
            track.append(item.track_id)
            chance.append(item.propensity)
            left.append(waiting[item.round_id] - before)
    weight = lure_weights(np.array(chance, np.float64), np.array(left, np.float64))
    return dict(zip(track, np.maximum(weight, 1e-6).tolist(), strict=True))


def _rows(conn: sa.Connection, sample: TracksAndAnswers) -> tuple[I64Array, dict[str, np.ndarray]]:
    """Tracks i64 [n] of a sample and their columns; `of_` and `by_` precede groups; where: camera, day and
    video."""
    tracks, judged = sample
    ids = tracks.track_id[judged.row]
    truth = tracks.truth[judged.row]
    said = judged.ranked[:, 0] if len(ids) else np.zeros(0, np.int64)
    videos = {i // t.TRACKS_PER_VIDEO for i in ids.tolist()}
    v = t.video.c
    of_video = {
        row.video_id: row
        for row in rows_in_parts(
            conn,
            lambda part: sa.select(v.video_id, place_of_video().label("camera"), v.recorded_on).where(
                v.video_id.in_(part)
            ),
            videos,
        )
    }
    video = [of_video[i // t.TRACKS_PER_VIDEO] for i in ids.tolist()]
    known = individual_slices(conn)
    who = [known.of(int(one), row.recorded_on) for one, row in zip(said, video, strict=True)]
    slices = slices_of(tracks, judged)
    of = {kind: slices[kind] for kind in ("individual", *KINDS) if kind in slices}
    by = {
        kind: np.array([one[kind] for one in who], dtype=object) if kind in known.of(NEW, None) else slices[kind]
        for kind in KINDS
        if kind in slices and kind != "labels"
    }
    places = np.empty(len(video), dtype=object)
    places[:] = [(row.camera, row.recorded_on, row.video_id) for row in video]
    of["labels"] = np.where(truth == NEW, "", of["labels"])
    return ids, {
        "known": truth != NEW,
        "right": judged.correct,
        "named": ~judged.flagged,
        "taught": judged.taught,
        "probability": judged.probability.astype(np.float64),
        "seconds": _seconds(conn, ids),
        "where": places,
        **{f"of_{kind}": values for kind, values in of.items()},
        **{f"by_{kind}": values for kind, values in by.items()},
    }


def _seconds(conn: sa.Connection, track_id: I64Array) -> np.ndarray:
    """Seconds of the newest timed answer of a lane that measures; NaN without one."""
    a = t.annotation.c
    rows = rows_in_parts(
        conn,
        lambda part: (
            sa.select(a.track_id, a.seconds)
            .where(a.track_id.in_(part), a.lane.in_(t.MEASURING_LANES), a.seconds > 0, a.other_track_id.is_(None))
            .order_by(a.seq)
        ),
        track_id.tolist(),
    )
    seconds = {row.track_id: float(row.seconds) for row in rows}
    return np.array([seconds.get(i, np.nan) for i in track_id.tolist()], np.float64)


def _crossed(groups: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The groups and their crossings, of which there are enough answers to look at."""
    found = dict(groups)
    for kind, (one, other) in CROSSINGS.items():
        if one not in groups or other not in groups:
            continue
        both = np.array(
            [f"{a} {b}" if a and b else "" for a, b in zip(groups[one], groups[other], strict=True)], object
        )
        names, of, count = np.unique(both.astype(str), return_inverse=True, return_counts=True)
        found[kind] = np.where(count[of] >= LEAST_CROSSING, both, "") if len(names) else both
    return found
