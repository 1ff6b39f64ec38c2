"""Many processes at one database: some write predictions in bulk, some read as training does, some label.

Belongs here: the processes, what each saw and how long it waited; the tests ask what must hold, the benchmark how long
it takes. No test belongs here.
"""

from __future__ import annotations

import multiprocessing
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.individuals.biographies import upsert_individuals
from chimp_assets.database.labels.events import record_events
from chimp_assets.database.work.chunks import write_chunks
from chimp_assets_tests.database.world import DETECTOR, START, event, make_world

RANKS = 5
FIRST_MODEL = 1_000
MODELS_EACH = 5_000
LABEL_PAUSE_S = 0.05


@dataclass
class Watched:
    """What one process did. waits: seconds of each of its transactions; wrong: what it saw that must not be."""

    name: str
    rows: int = 0
    waits: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def make_crowded_world(db: Database, writers: int, tracks: int = 1_000) -> list[int]:
    """Tracks with boxes, people, individuals, and enough models for every writer; returns the track ids."""
    make_world(db, videos=1, tracks=3, frames=5)
    upsert_individuals(db, [{"anim_id": f"P{n}"} for n in range(RANKS)])
    track_ids = [s.track_id_of(1, ordinal) for ordinal in range(100, 100 + tracks)]
    n_models = writers * MODELS_EACH
    with db.write() as conn:
        insert_rows(
            conn,
            s.track,
            {
                "track_id": track_ids,
                "video_id": [1] * tracks,
                "first_frame_no": [0] * tracks,
                "last_frame_no": [4] * tracks,
                "first_s": [0.0] * tracks,
                "last_s": [0.8] * tracks,
                "n_detections": [1] * tracks,
                "quality": [0.5] * tracks,
                "model_id": [DETECTOR] * tracks,
                "state": ["live"] * tracks,
            },
        )
        insert_rows(
            conn,
            s.model,
            {
                "model_id": list(range(FIRST_MODEL, FIRST_MODEL + n_models)),
                "task": ["head"] * n_models,
                "version": list(range(FIRST_MODEL, FIRST_MODEL + n_models)),
                "name": ["h"] * n_models,
                "state": ["retired"] * n_models,
                "config": ["{}"] * n_models,
                "created_at": [START] * n_models,
            },
        )
    return track_ids


def watch_crowd(
    db: Database, seconds: float, track_ids: list[int], writers: int = 8, readers: int = 4, labellers: int = 2
) -> list[Watched]:
    """Let all of them work at once for some seconds; each in a process of its own. Returns what they did and saw."""
    db.dispose()
    context = multiprocessing.get_context("fork")
    results: Any = context.Queue()
    start = context.Barrier(writers + readers + labellers)
    # anna is an expert, vera a volunteer: both label at once.
    roles: list[tuple[str, Callable[..., None], tuple[Any, ...]]] = [
        *((f"writer {n}", _write, (n, track_ids)) for n in range(writers)),
        *((f"reader {n}", _read, (n, track_ids)) for n in range(readers)),
        *((f"labeller {n}", _label, (("anna", "vera")[n % 2], track_ids)) for n in range(labellers)),
    ]
    processes = [
        context.Process(target=_play, args=(name, role, db.url, seconds, start, results, arguments), daemon=True)
        for name, role, arguments in roles
    ]
    for process in processes:
        process.start()
    seen = [results.get(timeout=seconds + 300) for _ in processes]
    for process in processes:
        process.join(60)
    return sorted(seen, key=lambda watched: watched.name)


def lost_or_doubled(db: Database, seen: list[Watched]) -> list[str]:
    """What the database has that the crowd did not write, or lacks; empty if all is well."""
    p, a = s.prediction.c, s.annotation.c
    told = {kind: sum(w.rows for w in seen if w.name.startswith(kind)) for kind in ("writer", "labeller")}
    with db.read() as conn:
        predictions = conn.scalar(sa.select(sa.func.count()).select_from(s.prediction).where(p.model_id >= FIRST_MODEL))
        ledger = conn.scalar(sa.select(sa.func.coalesce(sa.func.sum(s.bulk_chunk.c.n_rows), 0)))
        labels, last = conn.execute(sa.select(sa.func.count(), sa.func.coalesce(sa.func.max(a.seq), 0))).one()
    found = {
        "predictions": (predictions, told["writer"]),
        "rows in the ledger": (ledger, told["writer"]),
        "labels": (labels, told["labeller"]),
        "newest seq": (last, told["labeller"]),
    }
    return [f"{what}: {there} instead of {wanted}" for what, (there, wanted) in found.items() if there != wanted]


def _play(
    name: str,
    role: Callable[..., None],
    url: str,
    seconds: float,
    start: Any,
    results: Any,
    arguments: tuple[Any, ...],
) -> None:
    watched = Watched(name)
    db = Database(url)
    try:
        with db.read() as conn:
            conn.execute(sa.select(sa.func.count()).select_from(s.individual))
        start.wait(120)
        role(db, watched, time.monotonic() + seconds, *arguments)
    except BaseException:
        watched.wrong.append(traceback.format_exc())
    finally:
        db.dispose()
        results.put(watched)


def _write(db: Database, watched: Watched, until: float, number: int, track_ids: list[int]) -> None:
    with db.read() as conn:
        people = list(conn.scalars(sa.select(s.individual.c.individual_id).order_by(s.individual.c.individual_id)))
    n = len(track_ids)
    began = 0.0

    def chunks() -> Iterator[dict[str, np.ndarray]]:
        nonlocal began
        for model_id in range(FIRST_MODEL + number * MODELS_EACH, FIRST_MODEL + (number + 1) * MODELS_EACH):
            if time.monotonic() >= until:
                return
            columns = {
                "model_id": np.full(n * RANKS, model_id),
                "track_id": np.repeat(np.array(track_ids), RANKS),
                "rank": np.tile(np.arange(1, RANKS + 1), n),
                "individual_id": np.tile(np.array(people[:RANKS]), n),
                "probability": np.tile(np.array([0.5, 0.2, 0.1, 0.1, 0.1]), n),
            }
            began = time.monotonic()
            yield columns

    def tell(rows: int) -> None:
        watched.waits.append(time.monotonic() - began)

    watched.rows = write_chunks(db, s.prediction, chunks(), f"crowd {number}", tell).n_rows


def _read(db: Database, watched: Watched, until: float, number: int, track_ids: list[int]) -> None:
    """As a loader does: short ranges of keys, a transaction each; and looks whether a chunk is ever seen in part."""
    rng = np.random.default_rng(number)
    p = s.prediction.c
    named = sa.text(
        "SELECT track_id, individual_id FROM v_named_track WHERE source = 'person' AND track_id BETWEEN :a AND :b"
        " ORDER BY track_id"
    )
    boxes = sa.select(s.detection).where(s.detection.c.video_id == 1, s.detection.c.frame_no.between(0, 2))
    numbers = sa.select(sa.func.count(), sa.func.coalesce(sa.func.max(s.annotation.c.seq), 0))
    newest = 0
    while time.monotonic() < until:
        began = time.monotonic()
        with db.read() as conn:
            low = int(rng.integers(len(track_ids)))
            labels = conn.execute(named, {"a": track_ids[low], "b": track_ids[min(low + 200, len(track_ids) - 1)]})
            watched.rows += len(labels.all()) + len(conn.execute(boxes).all())
            count, last = conn.execute(numbers).one()
            model_id = FIRST_MODEL + int(rng.integers(8)) * MODELS_EACH + int(rng.integers(30))
            there = conn.scalar(sa.select(sa.func.count()).select_from(s.prediction).where(p.model_id == model_id))
        watched.waits.append(time.monotonic() - began)
        if count != last or last < newest:
            watched.wrong.append(f"saw seq {last} with {count} labels after seq {newest}")
        if there not in (0, len(track_ids) * RANKS):
            watched.wrong.append(f"saw {there} of {len(track_ids) * RANKS} rows of a chunk")
        newest = last


def _label(db: Database, watched: Watched, until: float, who: str, track_ids: list[int]) -> None:
    rng = np.random.default_rng(len(who))
    while time.monotonic() < until:
        told = event("identify", int(rng.choice(track_ids)), f"P{int(rng.integers(RANKS))}", annotator=who)
        began = time.monotonic()
        (result,) = record_events(db, [told])
        watched.waits.append(time.monotonic() - began)
        if result.status != "stored":
            watched.wrong.append(f"{result}")
        else:
            watched.rows += 1
        time.sleep(LABEL_PAUSE_S)
