"""The queue, ranked again after each answer: a process of its own, so that nobody waits for it.

A linear namer stands in for the head (`acquisition.ridge.LiveRidge`): it has taken in the labels up to the plan, takes
in each answer to an item of the plan, and the waiting items of the boundary lane change places, those with the smallest
margin first; so do those of the frames lane, those worth most first. Nothing else changes: no item joins or leaves,
other lanes keep their places, so chances stay what they were. Everything follows from SQL: a process that was killed
continues from the database, and without it the queue is in the order of its plan.

Belongs here: reading answers, writing positions. Does not belong here: a full plan (`plan`, requested by the sensor
`queue_low`).
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa

from chimp_assets import private_files
from chimp_assets.acquisition.minutes.worth import FrameWorth
from chimp_assets.acquisition.ridge import LiveRidge
from chimp_assets.database import schema as t
from chimp_assets.database.connection.parameters import rows_in_parts
from chimp_assets.database.individuals.merges import last_merge, merged_ids
from chimp_assets.database.labels.events import last_seq
from chimp_assets.database.labels.kinds import NAMING_KINDS
from chimp_assets.errors import ChimpError
from chimp_assets.home import Home
from chimp_assets.vision.datasets.training_set import training_members
from chimp_assets.vision.embedding.bundle import embeddings_of_tracks

if TYPE_CHECKING:
    from chimp_assets.database.connection.engine import Database

LANES = ("boundary", "frames")
LOOK_S = 0.3
"""Between two looks for new answers: one number, read by its index."""

SHARPNESS = 12.0
"""Of the linear namer's scores, which are no probabilities: exp(12 x score) in proportion."""

_PART = 500


@dataclass
class _Round:
    """What is held of the newest plan. base: the labels up to its watermark; track_id: i64 [k], its tracks with a
    vector, ascending; vector: f32 [k, D]; frames: f32 [k]; worth: what the plan took frames to be worth; given: names
    taken in beyond the base, by track."""

    round_id: int
    base_seq: int
    live: LiveRidge
    track_id: np.ndarray
    vector: np.ndarray
    frames: np.ndarray
    worth: FrameWorth
    given: dict[int, int] = field(default_factory=dict)


class Reranker:
    """Keeps the newest plan of a home in memory: its vectors and one matrix for each individual."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._round: _Round | None = None
        self._seen = -1

    def look(self) -> int:
        """Take in what is new; returns how many waiting items changed places."""
        db = self._home.database
        with db.read() as conn:
            seq = last_seq(conn)
            newest = conn.execute(
                sa.select(
                    t.acquisition_round.c.round_id,
                    t.acquisition_round.c.embedder_model_id,
                    t.acquisition_round.c.watermark_seq,
                    t.acquisition_round.c.policy,
                )
                .order_by(t.acquisition_round.c.round_id.desc())
                .limit(1)
            ).first()
        if newest is None:
            return 0
        if self._round is None or self._round.round_id != newest.round_id:
            self._round = self._loaded(
                newest.round_id,
                newest.embedder_model_id,
                newest.watermark_seq,
                FrameWorth.kept(json.loads(newest.policy)),
            )
            self._seen = -1
        if seq == self._seen:
            return 0
        self._take_in(db, self._round)
        moved = sum(self._write(db, self._round, lane) for lane in LANES) if self._round.live.n_classes >= 2 else 0
        self._seen = seq
        return moved

    def _loaded(self, round_id: int, embedder_id: int, watermark: int, worth: FrameWorth) -> _Round:
        home = self._home
        with home.database.read() as conn:
            members = training_members(conn, watermark, last_merge(conn), home.settings)
            item = t.acquisition_queue.c
            length = dict(
                conn.execute(
                    sa.select(item.track_id, t.track.c.n_detections)
                    .join_from(t.acquisition_queue, t.track, t.track.c.track_id == item.track_id)
                    .where(item.round_id == round_id, item.lane.not_in((*t.MEASURING_LANES, t.PROMISE, *t.SIDE_LANES)))
                ).all()
            )
            tracks = np.array(sorted(length), np.int64)
        wanted = np.concatenate([members.track_id, tracks])
        found, vector = embeddings_of_tracks(home.database, home.store, embedder_id, wanted)
        taught = found < len(members.track_id)
        live = LiveRidge(vector.shape[1])
        if taught.any():
            live.take(vector[taught], members.class_id[found[taught]])
        asked = wanted[found[~taught]]
        frames = np.array([length[track] for track in asked.tolist()], np.float32)
        return _Round(round_id, watermark, live, asked, vector[~taught], frames, worth)

    @staticmethod
    def _take_in(db: Database, now: _Round) -> None:
        """The names that people gave to tracks of the plan since it was made, undone ones taken back."""
        names = _newest_names(db, now.track_id, now.base_seq)
        for track in now.given.keys() | names.keys():
            before, after = now.given.get(track), names.get(track)
            if before != after:
                x = now.vector[np.searchsorted(now.track_id, track)][None, :]
                if before is not None:
                    now.live.take(x, np.array([before]), times=-1)
                if after is not None:
                    now.live.take(x, np.array([after]))
        now.given = names

    @staticmethod
    def _write(db: Database, now: _Round, lane: str) -> int:
        item = t.acquisition_queue
        waiting = sa.and_(item.c.round_id == now.round_id, item.c.lane == lane, item.c.state == "pending")

        def work(conn: sa.Connection) -> int:
            rows = conn.execute(
                sa.select(item.c.item_id, item.c.track_id, item.c.position).where(waiting).order_by(item.c.position)
            ).all()
            place = np.searchsorted(now.track_id, [row.track_id for row in rows])
            known = [i for i, p in enumerate(place) if p < len(now.track_id) and now.track_id[p] == rows[i].track_id]
            if len(known) < 2:
                return 0
            here = place[known]
            fitted = now.live.fitted()
            scores = fitted.scores(now.vector[here])
            scores[_denied(conn, now.track_id[here], fitted.classes)] = -np.inf
            order = np.argsort(
                _smallest_margin(scores) if lane == "boundary" else _most_worth(scores, now, here), kind="stable"
            )
            free = [rows[i].position for i in known]
            changed = [
                {"item": rows[known[i]].item_id, "place": position}
                for position, i in zip(free, order.tolist(), strict=True)
                if rows[known[i]].position != position
            ]
            if changed:
                # The state again: an item that was claimed meanwhile keeps its place.
                conn.execute(
                    sa.update(item)
                    .where(item.c.item_id == sa.bindparam("item"), item.c.state == "pending")
                    .values(position=sa.bindparam("place")),
                    changed,
                )
            return len(changed)

        return db.transact(work)


def _denied(conn: sa.Connection, track_id: np.ndarray, classes: np.ndarray) -> tuple[list[int], list[int]]:
    """(rows, columns) of tracks and individuals that people said they do not show: nobody doubts those any more.

    track_id: i64 [k], ascending or not; classes: i64 [C], individuals.
    """
    said, same = t.track_evidence.c, merged_ids(conn)
    row_of = {track: row for row, track in enumerate(track_id.tolist())}
    columns: dict[int, list[int]] = {}
    for column, who in enumerate(classes.tolist()):
        columns.setdefault(same.get(who, who), []).append(column)
    found = rows_in_parts(
        conn,
        lambda part: sa.select(said.track_id, said.individual_id).where(
            said.track_id.in_(part), said.state == "denied"
        ),
        row_of,
    )
    places = [
        (row_of[one.track_id], column)
        for one in found
        for column in columns.get(same.get(one.individual_id, one.individual_id), ())
    ]
    return [row for row, _ in places], [column for _, column in places]


def _smallest_margin(scores: np.ndarray) -> np.ndarray:
    two = np.partition(scores, -2, axis=1)[:, -2:]
    # Where only one name is left there is nothing to doubt; where none is, the model says nothing.
    margin: np.ndarray = np.where(np.isfinite(two).all(axis=1), two[:, 1] - np.nan_to_num(two[:, 0]), np.inf)
    return margin


def _most_worth(scores: np.ndarray, now: _Round, rows: np.ndarray) -> np.ndarray:
    """Of tracks of which every name is denied: as if none were likelier than another."""
    scores = np.where(np.isfinite(scores).any(axis=1, keepdims=True), scores, 0.0)
    others = np.exp(SHARPNESS * (scores - scores.max(axis=1, keepdims=True))).sum(axis=1)
    return -now.worth.of(now.frames[rows], (1 / others).astype(np.float32))


def _newest_names(db: Database, track_id: np.ndarray, after_seq: int) -> dict[int, int]:
    """The individual that the newest standing answer since a watermark gives to each of some tracks, as merged now."""
    a, taken_back, i = t.annotation.c, t.annotation.alias("taken_back"), t.individual.c
    undone = sa.exists().where(taken_back.c.kind == "retract", taken_back.c.supersedes == a.annotation_id)
    named: dict[int, int] = {}
    with db.read() as conn:
        for low in range(0, len(track_id), _PART):
            rows = conn.execute(
                sa.select(a.track_id, a.kind, sa.func.coalesce(i.same_as_id, i.individual_id).label("who"))
                .join_from(t.annotation, t.individual, i.individual_id == a.individual_id)
                .where(a.track_id.in_(track_id[low : low + _PART].tolist()), a.seq > after_seq, ~undone)
                .where(a.kind.in_(NAMING_KINDS))
                .order_by(a.seq)
            )
            named.update({row.track_id: row.who for row in rows})
    return named


def main() -> int:
    """Look for answers until the process is ended. A fault is logged and tried again: the queue works without it."""
    private_files.keep_private()
    try:
        ranker = Reranker(Home.open())
    except ChimpError as error:
        print(f"{error.sentence} {error.remedy or ''}", file=sys.stderr)  # noqa: T201  a log
        return 2
    while True:
        try:
            began = time.perf_counter()
            moved = ranker.look()
            if moved:
                took = 1000 * (time.perf_counter() - began)
                print(f"{moved} waiting items changed places in {took:.0f} ms", flush=True)  # noqa: T201  a log
        except ChimpError as error:
            print(f"{error.sentence} {error.remedy or ''}", file=sys.stderr, flush=True)  # noqa: T201  a log
            time.sleep(10 * LOOK_S)
        time.sleep(LOOK_S)


if __name__ == "__main__":
    sys.exit(main())
