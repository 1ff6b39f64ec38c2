"""P12: A with B within t seconds, the cookbook's `together_within`, of 40 pairs of individuals at 30 M frames.

A quarter of the pairs are Fred with his mother and other mothers with their children; the others are drawn from the 20
who are filmed most, from the rare half, or one from each. Each is asked with t = 0, 10 and 60 seconds, as a researcher
would: through the file of the cookbook, all rows of the answer fetched. SQLite works inside the asking process, so its
CPU seconds are what is judged (they mean something on a busy machine); of a server the wall seconds. Warm: each
question was asked once before; first: when it was not (the system's cache cannot be emptied from here).
CHIMP_BENCH_POSTGRESQL names a PostgreSQL database with a generated archive, for a row of its own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import numpy as np
import sqlalchemy as sa

from benchmarks.support.archives import archive
from benchmarks.support.harness import Row, cores
from benchmarks.support.synthetic import Population
from chimp_assets.database import schema
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.upkeep.views import in_words_of, load_query

LIMIT_S = 2.0
SECONDS = (0.0, 10.0, 60.0)
PAIRS = 40
ROUNDS = 3
ROWS = 100


def measure() -> Iterator[Row]:
    """A row for SQLite and, where there is one, for PostgreSQL."""
    yield _asked(archive("30M"), "SQLite")
    url = os.environ.get("CHIMP_BENCH_POSTGRESQL")
    if url:
        yield _asked(Database(url), "PostgreSQL")


def pairs(people: Population, seed: int = 12) -> list[tuple[str, str]]:
    """40 pairs of AnimIDs: mothers with children, frequent with frequent, frequent with rare, rare with rare."""
    rng = np.random.default_rng(seed)
    by_weight = np.argsort(-people.weight)
    frequent, rare = by_weight[:20], by_weight[len(by_weight) // 2 :]
    children = [1, *rng.choice(np.flatnonzero(people.mother >= 0), PAIRS // 4 - 1, replace=False)]
    found = [(int(child), int(people.mother[child])) for child in children]
    for one, other in ((frequent, frequent), (frequent, rare), (rare, rare)):
        for _ in range(PAIRS // 4):
            a = int(rng.choice(one))
            same = other[(people.community[other] == people.community[a]) & (other != a)]
            found.append((a, int(rng.choice(same))))
    return [(people.anim_id[a], people.anim_id[b]) for a, b in found]


def _asked(db: Database, name: str) -> Row:
    statement = sa.text(in_words_of(db.dialect, load_query("together_within")))
    questions = [(one, other, t) for one, other in pairs(Population.of_seed(1)) for t in SECONDS]
    which = 1 if db.dialect == "sqlite" else 0
    first = _round(db, statement, questions)[which]
    rounds = np.array([_round(db, statement, questions) for _ in range(ROUNDS)])
    judged = rounds[:, which]
    warm = np.median(judged, axis=0)
    with db.read() as conn:
        n_frames = conn.scalar(sa.select(sa.func.sum(schema.video.c.n_frames)))
    p50, p95 = np.quantile(warm, [0.5, 0.95])
    return Row(
        "P12",
        f"A with B within t seconds, {len(questions)} questions, {n_frames / 1e6:.0f}M frames, {name}",
        float(p95),
        "CPU s, p95 warm" if which else "s, p95 warm",
        {
            "p50 warm": float(p50),
            "max warm": float(warm.max()),
            "p95 first": float(np.quantile(first, 0.95)),
            "p95 warm, wall": float(np.quantile(np.median(rounds[:, 0], axis=0), 0.95)),
        },
        {},
        f"p95 < {LIMIT_S:.0f} s",
        bool(p95 < LIMIT_S and np.quantile(first, 0.95) < LIMIT_S),
        ROUNDS,
        float((judged.sum(axis=1).max() - judged.sum(axis=1).min()) / warm.sum()),
        cores(),
    )


def _round(db: Database, statement: sa.TextClause, questions: list[tuple[str, str, float]]) -> np.ndarray:
    """Wall and CPU seconds of each question, f64 [2, questions]."""
    spent = []
    for one, other, seconds in questions:
        began, cpu_began = time.perf_counter(), time.process_time()
        with db.read() as conn:
            conn.execute(statement, {"one": one, "other": other, "seconds": seconds, "limit": ROWS}).all()
        spent.append((time.perf_counter() - began, time.process_time() - cpu_began))
    return np.array(spent).T
