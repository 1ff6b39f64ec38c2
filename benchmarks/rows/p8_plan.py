"""P8: plan 100 of 300,000, 1 and 30 million tracks (128 dimensions, 300 individuals), cold and warm, and its memory.

Each pool lives in a process of its own, so that its peak memory is its own, with one thread, and CPU seconds are what
is shown: unlike wall seconds they mean something on a busy machine, and one thread within the target leaves the second
core of the target as reserve. Peers, on the same pool: `floor`, numpy's
argpartition of N ready-made margins (what choosing alone costs), and `plain`, softmax margins of everything in chunks
of 16,384 rows, then argpartition (what margin sampling costs without cells, lanes, caps or propensities).
30 million tracks are planned once, with all cores, and wall seconds are shown; memory is what the process has beyond
the pool (embeddings and columns; 26 bytes a track).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.support.harness import Row, Timing, cores, timed
from chimp_assets.acquisition.plan import Policy, plan
from chimp_assets.acquisition.pool import CHUNK_ROWS, UNLABELLED, LinearHead, TrackPool
from chimp_assets.settings import AcquisitionSettings

SECONDS = {300_000: 1.0, 1_000_000: 2.5}
LARGE, LARGE_SECONDS = 30_000_000, 60.0
EXTRA_MIB = 200
DRAWN = (100_000, 300_000, 1_000_000, 3_000_000, 10_000_000, LARGE)
N_RARE, ANSWERS_OF_RARE = 16, 4
TRACKS_OF_A_VIDEO, TRACKS_OF_A_PLACE = 40, 1_000
DIMENSIONS, CLASSES, BATCH = 128, 300, 100
_SHARES = AcquisitionSettings()
WARM = Policy("warm", _SHARES.warm_shares)
COLD = Policy("cold", _SHARES.cold_shares)


def measure() -> Iterator[Row]:
    """Rows of each pool size: warm, cold, memory."""
    for n, seconds in SECONDS.items():
        found = json.loads(
            subprocess.run(
                [sys.executable, "-m", "benchmarks.rows.p8_plan", str(n)],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            ).stdout
        )
        timing = {name: Timing(**values) for name, values in found["timing"].items()}
        floors = {name: timing[name].cpu_s for name in ("floor", "plain")}
        for phase in ("warm", "cold"):
            own = timing[phase]
            peers = floors if phase == "warm" else {"floor": floors["floor"]}
            yield Row(
                "P8",
                f"plan {BATCH} of {n:,} tracks, {phase}, one thread",
                own.cpu_s,
                "CPU s",
                peers,
                {name: own.cpu_s / value for name, value in peers.items()},
                f"<= {seconds} s on 2 cores (here: CPU s of one)",
                own.cpu_s <= seconds,
                own.runs,
                own.spread,
                cores(),
            )
        extra = found["peak_mib"] - found["embeddings_mib"]
        yield Row(
            "P8",
            f"memory of planning {n:,} tracks beyond the embeddings",
            extra,
            "MiB",
            {"embeddings": found["embeddings_mib"], "before planning": found["before_mib"] - found["embeddings_mib"]},
            {"embeddings": extra / found["embeddings_mib"]},
            f"<= {EXTRA_MIB} MiB, the process and its libraries included",
            extra <= EXTRA_MIB,
            1,
            0.0,
            cores(),
        )
    yield from measure_large()


def measure_large() -> Iterator[Row]:
    """30 million tracks, once: seconds by the clock on all cores, and memory."""
    found = _once_in_own_process(LARGE)
    for phase in ("warm", "cold"):
        yield Row(
            "P8",
            f"plan {BATCH} of {LARGE:,} tracks, {phase}",
            found[phase],
            "s",
            {"floor": found["floor"]},
            {"floor": found[phase] / found["floor"]},
            f"<= {LARGE_SECONDS} s on 2 cores",
            found[phase] <= LARGE_SECONDS,
            1,
            0.0,
            cores(),
        )
    extra = found["peak_mib"] - found["pool_mib"]
    yield Row(
        "P8",
        f"memory of planning {LARGE:,} tracks beyond the pool",
        extra,
        "MiB",
        {"pool": found["pool_mib"], "of it embeddings": found["embeddings_mib"]},
        {"pool": extra / found["pool_mib"]},
        f"<= {EXTRA_MIB} MiB, the process and its libraries included",
        extra <= EXTRA_MIB,
        1,
        0.0,
        cores(),
    )


def _once_in_own_process(n: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.rows.p8_plan", str(n), "--once"]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return found


def draw(file: Path) -> None:
    """Seconds by the clock and memory of one plan for each size, in a picture: both should follow the straight line."""
    from matplotlib.figure import Figure

    found = {n: _once_in_own_process(n) for n in DRAWN}
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    seconds, memory = figure.subplots(1, 2)
    for phase, colour in (("warm", "#4a7c59"), ("cold", "#8a4b2f")):
        seconds.loglog(list(found), [found[n][phase] for n in found], "o-", color=colour, label=phase)
    whole = found[DRAWN[-1]]["warm"]
    seconds.loglog(DRAWN, [whole * n / DRAWN[-1] for n in DRAWN], ":", color="#8c8c8c", label="in proportion")
    seconds.set_ylabel(f"seconds to plan {BATCH} on {cores()} cores")
    seconds.legend(frameon=False)
    memory.loglog(list(found), [found[n]["pool_mib"] for n in found], "o-", color="#8c8c8c", label="the pool")
    memory.loglog(
        list(found), [found[n]["peak_mib"] - found[n]["pool_mib"] for n in found], "o-", color="#4a7c59",
        label="all else, the process included",
    )  # fmt: skip
    memory.set_ylabel("MiB")
    memory.legend(frameon=False)
    for axes in (seconds, memory):
        axes.set_xlabel("tracks")
    figure.savefig(file, dpi=100)
    for n, of in found.items():
        sys.stdout.write(f"{n:,}: warm {of['warm']:.2f} s, cold {of['cold']:.2f} s, ")
        sys.stdout.write(f"{of['peak_mib'] - of['pool_mib']:.0f} MiB beyond {of['pool_mib']:,.0f}\n")


def synthetic_pool(n: int, seed: int = 20) -> tuple[TrackPool, LinearHead]:
    """n tracks of 300 individuals, sizes by Zipf's law, and a head that is often unsure.

    5 % are answered, of the 16 rarest individuals four tracks each: all lanes have something to look for. 40 tracks a
    video, 1,000 a camera and day.
    """
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((CLASSES, DIMENSIONS), dtype=np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    share = 1 / np.arange(1, CLASSES + 1)
    emb = np.empty((n, DIMENSIONS), np.float16)
    state = np.full(n, UNLABELLED, np.int32)
    reserve, test_day = np.empty(n, bool), np.empty(n, bool)
    n_answered = np.zeros(CLASSES, np.int64)
    most = np.where(np.arange(CLASSES) < CLASSES - N_RARE, n, ANSWERS_OF_RARE)
    for low in range(0, n, CHUNK_ROWS):
        rows = min(CHUNK_ROWS, n - low)
        here = slice(low, low + rows)
        who = rng.choice(CLASSES, rows, p=share / share.sum())
        chunk = centres[who] + rng.standard_normal((rows, DIMENSIONS), dtype=np.float32) * np.float32(0.12)
        emb[here] = chunk / np.linalg.norm(chunk, axis=1, keepdims=True)
        reserve[here], test_day[here] = rng.random((2, rows), dtype=np.float32) < 0.2
        for i in np.flatnonzero(rng.random(rows, dtype=np.float32) < 0.05):
            if n_answered[who[i]] < most[who[i]]:
                state[low + i] = who[i]
                n_answered[who[i]] += not (reserve[low + i] or test_day[low + i])
    pool = TrackPool(
        emb,
        np.arange(n, dtype=np.int64),
        state,
        np.ones(n, np.float32),
        reserve,
        test_day,
        video=np.arange(n, dtype=np.int32) // TRACKS_OF_A_VIDEO,
        place=np.arange(n, dtype=np.int32) // TRACKS_OF_A_PLACE,
    )
    return pool, LinearHead(centres * 12, np.zeros(CLASSES, np.float32), temperature=1.3)


def _plain(pool: TrackPool, head: LinearHead) -> np.ndarray:
    margin = np.empty(len(pool), np.float32)
    for low in range(0, len(pool), CHUNK_ROWS):
        logits = (pool.emb[low : low + CHUNK_ROWS].astype(np.float32) @ head.weight.T + head.bias) / head.temperature
        probability = np.exp(logits - logits.max(axis=1, keepdims=True))
        probability /= probability.sum(axis=1, keepdims=True)
        two = np.partition(probability, -2, axis=1)[:, -2:]
        margin[low : low + CHUNK_ROWS] = two[:, 1] - two[:, 0]
    return np.argpartition(margin, BATCH)[:BATCH]


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _measure_once(n: int) -> dict[str, Any]:
    pool, head = synthetic_pool(n)
    found: dict[str, Any] = {}
    for phase, policy in (("warm", WARM), ("cold", COLD)):
        began = time.perf_counter()
        plan(pool, head, policy, BATCH, np.random.default_rng(1))
        found[phase] = time.perf_counter() - began
    found["peak_mib"] = _peak_mib()
    ready = np.random.default_rng(0).random(n, dtype=np.float32)
    began = time.perf_counter()
    np.argpartition(ready, BATCH)
    found["floor"] = time.perf_counter() - began
    columns = (getattr(pool, field.name) for field in fields(pool))
    found["pool_mib"] = sum(column.nbytes for column in columns if column is not None) / 2**20
    found["embeddings_mib"] = pool.emb.nbytes / 2**20
    return found


def _measure_one(n: int) -> dict[str, Any]:
    pool, head = synthetic_pool(n)
    before = _peak_mib()
    for policy in (WARM, COLD):
        plan(pool, head, policy, BATCH, np.random.default_rng(0))
    peak = _peak_mib()
    ready = np.random.default_rng(0).random(n, dtype=np.float32)
    timing = timed(
        {
            "warm": lambda: plan(pool, head, WARM, BATCH, np.random.default_rng(1)),
            "cold": lambda: plan(pool, head, COLD, BATCH, np.random.default_rng(1)),
            "plain": lambda: _plain(pool, head),
            "floor": lambda: np.argpartition(ready, BATCH)[:BATCH],
        }
    )
    return {
        "timing": {name: asdict(value) for name, value in timing.items()},
        "embeddings_mib": pool.emb.nbytes / 2**20,
        "before_mib": before,
        "peak_mib": peak,
    }


def main() -> int:
    """What the other processes run, and the picture."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rows.p8_plan", description=__doc__)
    parser.add_argument("tracks", nargs="?", type=int)
    parser.add_argument("--once", action="store_true", help="one run by the clock instead of five in CPU seconds")
    parser.add_argument("--plot", type=Path, help="draw cost by size into a file")
    given = parser.parse_args()
    if given.plot:
        draw(given.plot)
    elif given.tracks:
        print(json.dumps(_measure_once(given.tracks) if given.once else _measure_one(given.tracks)))
    else:
        parser.error("a number of tracks, or --plot FILE; `make bench ROWS=P8` runs the row")
    return 0


if __name__ == "__main__":
    sys.exit(main())
