"""What the names of the demo cost, what random asking would have cost, and how many of them are really wrong.

Belongs here: the numbers of the last table, judged by the truth. Does not belong here: printing (`report`), accuracy by
labels (`baseline`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa

from chimp_assets.acquisition.minutes.prices import Prices
from chimp_assets.acquisition.ridge import fit_ridge
from chimp_assets.database import schema as t
from chimp_assets.database.labels.promises.threshold import name_threshold
from chimp_assets.demo.expert import PROPOSED, ExpertAnswer, SimulatedExpert, price_of
from chimp_assets.insight.goal import ArchiveGoal, archive_goal

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.arrays import BoolArray, F32Array, F64Array, I64Array
    from chimp_assets.database.connection.engine import Database

ANSWERS_A_ROUND = 10
"""After so many random answers the head is fitted again, as the product does."""


@dataclass(frozen=True)
class NamedArchive:
    """The names at the end, by frames. named, wrong: shares of the frames that show one animal and have a name, and of
    these those whose name is wrong, by the truth; spent, volunteers: minutes of the expert and of volunteers together;
    random: minutes with which random asking had got as far, median of draws; None: it never did."""

    goal: ArchiveGoal
    named: float
    wrong: float
    spent: float
    volunteers: float
    random: float | None

    @property
    def holds(self) -> bool:
        """Whether what was to be promised is true."""
        return self.wrong <= self.goal.goal.error


def named_archive(
    db: Database, store: BlobStore, expert: SimulatedExpert, embedder_id: int, seeds: Sequence[int]
) -> NamedArchive | None:
    """Reads names, seconds and the truth; None where nothing was forecast. Writes nothing."""
    with db.read() as conn:
        goal = archive_goal(conn)
        if goal is None:
            return None
        spent, theirs = _seconds(conn)
        frames_of, name_of = _names(conn)
    really = expert.really(frames_of)
    tracks = [track_id for track_id in frames_of if really[track_id].kind == "identify"]
    total = sum(frames_of[track_id] for track_id in tracks)
    named = [track_id for track_id in frames_of if track_id in name_of]
    carried = sum(frames_of[track_id] for track_id in named)
    bad = sum(frames_of[track_id] for track_id in named if really[track_id].anim_id != name_of[track_id])
    share = sum(frames_of[track_id] for track_id in tracks if track_id in name_of) / total if total else 0.0
    wrong = bad / carried if carried else 0.0
    random = _random_minutes(
        db, store, embedder_id, expert, frames_of, really, (share, max(wrong, goal.goal.error)), seeds
    )
    return NamedArchive(goal, share, wrong, spent / 60, theirs / 60, random)


def _seconds(conn: sa.Connection) -> tuple[float, float]:
    """Seconds of answers for names, and of questions that others answer."""
    a = t.annotation.c
    total = sa.func.coalesce(sa.func.sum(a.seconds), 0.0)
    mine = conn.scalar(sa.select(total).where(a.lane.not_in(t.SIDE_LANES))) or 0.0
    theirs = conn.scalar(sa.select(total).where(a.lane == t.IS_IT)) or 0.0
    return float(mine), float(theirs)


def _names(conn: sa.Connection) -> tuple[dict[int, int], dict[int, str]]:
    """Boxes of each live track, and the names that count: of people, and of the head where it is sure enough."""
    f = t.archive_forecast.c
    promised = name_threshold(conn)
    threshold = conn.scalar(sa.select(f.threshold).order_by(f.forecast_id.desc()).limit(1))
    if promised.look_id is not None:  # what was promised is judged, not what might be named beside it
        threshold = promised.probability
    v = sa.table("v_track_identity", *map(sa.column, ("track_id", "anim_id", "source", "status", "probability"))).c
    frames_of: dict[int, int] = {
        track_id: n
        for track_id, n in conn.execute(
            sa.select(t.track.c.track_id, t.track.c.n_detections).where(t.track.c.state == "live")
        )
    }
    rows = conn.execute(sa.select(v.track_id, v.anim_id, v.source, v.probability).where(v.status == "identified")).all()
    sure = 2.0 if threshold is None else threshold
    return frames_of, {
        row.track_id: row.anim_id for row in rows if row.source != "model" or row.probability >= sure - 1e-6
    }


@dataclass(frozen=True)
class _ReplayedArchive:
    emb: F32Array
    frames: F64Array
    name: I64Array
    codes: list[str]
    said: list[ExpertAnswer]


def _random_minutes(
    db: Database,
    store: BlobStore,
    embedder_id: int,
    expert: SimulatedExpert,
    frames_of: dict[int, int],
    really: dict[int, ExpertAnswer],
    reached: tuple[float, float],
    seeds: Sequence[int],
) -> float | None:
    """Minutes of an expert who is asked tracks at random, until as many frames are named with as few wrong: the median
    of the draws. The truth chooses the threshold, so that random asking is given more than it could know."""
    from chimp_assets.vision.embedding.bundle import read_embeddings

    tracks, vectors = [], []
    for _, track_ids, embedding in read_embeddings(db, store, embedder_id):
        tracks += [int(track_id) for track_id in track_ids]
        vectors.append(np.asarray(embedding, np.float32))
    kept = [row for row, track_id in enumerate(tracks) if track_id in frames_of]
    if not kept:
        return None
    said = expert.answers(tracks[row] for row in kept)
    codes = sorted({one.anim_id for one in [*really.values(), *said.values()] if one.anim_id is not None})
    archive = _ReplayedArchive(
        np.concatenate(vectors)[kept],
        np.array([frames_of[tracks[row]] for row in kept], np.float64),
        np.array([_place(codes, really[tracks[row]].anim_id) for row in kept], np.int64),
        codes,
        [said[tracks[row]] for row in kept],
    )
    found = [_replay(archive, expert.prices, reached, np.random.default_rng([seed, 602])) for seed in seeds]
    middle = float(np.median(found)) if found else np.inf
    return middle / 60 if np.isfinite(middle) else None


def _place(codes: list[str], code: str | None) -> int:
    return -1 if code is None else codes.index(code)


def _replay(archive: _ReplayedArchive, prices: Prices, reached: tuple[float, float], rng: np.random.Generator) -> float:
    """Seconds until `reached` = (share named, share of these wrong); inf if never."""
    order = rng.permutation(len(archive.frames))
    given = np.full(len(order), -2, np.int64)  # -2: nobody asked; -1: no name
    scores = np.zeros((len(order), 0))
    classes = np.empty(0, np.int64)
    seconds = 0.0
    for start in range(0, len(order), ANSWERS_A_ROUND):
        for row in order[start : start + ANSWERS_A_ROUND].tolist():
            proposed = [archive.codes[c] for c in classes[np.argsort(-scores[row])[:PROPOSED]].tolist()]
            answer = archive.said[row]
            seconds += price_of(prices, "free", answer.kind, answer.anim_id, proposed)
            given[row] = _place(archive.codes, answer.anim_id)
        taught = given >= 0
        if len(np.unique(given[taught])) >= 2:
            ridge = fit_ridge(archive.emb[taught], given[taught])
            scores, classes = ridge.scores(archive.emb), ridge.classes
        if _gets_there(archive, given, scores, classes, reached):
            return seconds
    return np.inf


def _gets_there(
    archive: _ReplayedArchive, given: I64Array, scores: F64Array, classes: I64Array, reached: tuple[float, float]
) -> bool:
    share, wrong_share = reached
    shows: BoolArray = archive.name >= 0
    total = float(archive.frames[shows].sum())
    by_person = given >= 0
    carried = float(archive.frames[by_person].sum())
    wrong = float(archive.frames[by_person & (given != archive.name)].sum())
    named = float(archive.frames[by_person & shows].sum())
    if named >= share * total and wrong <= wrong_share * carried:
        return True
    rest = np.flatnonzero(given == -2)
    if not len(classes) or not len(rest):
        return False
    rest = rest[np.argsort(-scores[rest].max(axis=1))]
    first = classes[scores[rest].argmax(axis=1)]
    frames = archive.frames[rest]
    all_carried = carried + np.cumsum(frames)
    all_wrong = wrong + np.cumsum(frames * (first != archive.name[rest]))
    all_named = named + np.cumsum(frames * shows[rest])
    return bool(((all_named >= share * total) & (all_wrong <= wrong_share * all_carried)).any())
