"""How a row is measured and shown: medians of interleaved runs, CPU seconds, one JSON line and a table.

Belongs here: timing, the record of a row, its two forms. Does not belong here: what a row runs.
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

RUNS = 5


@dataclass(frozen=True)
class Row:
    """One line of the table. value: median; ratio: value against each peer, as its target compares them; met: whether
    all of the target holds; spread: (slowest - fastest) / median of the runs; cores: what the process may use."""

    row: str
    what: str
    value: float
    unit: str
    peers: dict[str, float]
    ratio: dict[str, float]
    target: str
    met: bool
    runs: int
    spread: float
    cores: int

    def as_json(self) -> str:
        """One line for machines."""
        return json.dumps({key: _rounded(value) for key, value in asdict(self).items()})


@dataclass(frozen=True)
class Timing:
    """Medians over runs: wall and CPU seconds (of all threads), and the spread of the CPU seconds."""

    wall_s: float
    cpu_s: float
    spread: float
    runs: int


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def timed(arms: Mapping[str, Callable[[], object]], runs: int = RUNS) -> dict[str, Timing]:
    """Run all arms in turn, `runs` times, so that a noisy minute hits all of them alike."""
    wall: dict[str, list[float]] = {name: [] for name in arms}
    cpu: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(runs):
        for name, arm in arms.items():
            gc.collect()
            began, cpu_began = time.perf_counter(), time.process_time()
            arm()
            wall[name].append(time.perf_counter() - began)
            cpu[name].append(time.process_time() - cpu_began)
    return {
        name: Timing(
            statistics.median(wall[name]),
            statistics.median(cpu[name]),
            (max(cpu[name]) - min(cpu[name])) / statistics.median(cpu[name]),
            runs,
        )
        for name in arms
    }


def show(rows: Iterable[Row]) -> None:
    """Print each row as JSON as soon as it is there, and a table at the end."""
    from rich.console import Console
    from rich.table import Table

    table = Table("row", "what", "value", "peers", "ratio", "target", "met", "spread")
    for row in rows:
        print(row.as_json(), flush=True)
        table.add_row(
            row.row,
            row.what,
            f"{row.value:,.4g} {row.unit}",
            "\n".join(f"{name} {value:,.4g}" for name, value in row.peers.items()),
            "\n".join(f"{value:.2f}x {name}" for name, value in row.ratio.items()),
            row.target,
            "yes" if row.met else "NO",
            f"{row.spread:.0%}",
        )
    Console().print(table)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    return {key: _rounded(inner) for key, inner in value.items()} if isinstance(value, dict) else value
