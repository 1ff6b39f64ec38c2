"""Metrics of this process for monitoring: requests, seconds, refusals, in Prometheus' text format.

Belongs here: counting and writing. Does not belong here: numbers from SQL (`api.health` adds them).
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Counters and one histogram. Threads may share one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, tuple[tuple[str, str], ...]], float] = defaultdict(float)
        self._buckets: dict[str, list[int]] = {}
        self._sums: dict[str, float] = defaultdict(float)

    def count(self, name: str, by: float = 1, **labels: str) -> None:
        """Add to a counter."""
        with self._lock:
            self._counts[(name, tuple(sorted(labels.items())))] += by

    def note(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answered request. route: its pattern, not its path, or each picture would have a line."""
        with self._lock:
            labels = (("method", method), ("route", route), ("status", str(status)))
            self._counts[("chimp_requests_total", labels)] += 1
            buckets = self._buckets.setdefault(route, [0] * (len(BUCKETS_S) + 1))
            for place, edge in enumerate(BUCKETS_S):
                buckets[place] += seconds <= edge
            buckets[-1] += 1
            self._sums[route] += seconds

    def lines(self) -> Iterable[str]:
        """All metrics as lines of text."""
        with self._lock:
            counts, buckets, sums = dict(self._counts), {k: list(v) for k, v in self._buckets.items()}, dict(self._sums)
        last = None
        for (name, labels), value in sorted(counts.items()):
            if name != last:
                yield f"# TYPE {name} counter"
                last = name
            yield f"{name}{_braces(dict(labels))} {value:g}"
        if buckets:
            yield "# TYPE chimp_request_seconds histogram"
        for route, found in sorted(buckets.items()):
            for edge, n in zip((*map(str, BUCKETS_S), "+Inf"), found, strict=True):
                yield f"chimp_request_seconds_bucket{_braces({'route': route, 'le': edge})} {n}"
            yield f"chimp_request_seconds_sum{_braces({'route': route})} {sums[route]:.6f}"
            yield f"chimp_request_seconds_count{_braces({'route': route})} {found[-1]}"


def gauge(name: str, value: float, **labels: str) -> str:
    """One current number as lines of text."""
    return f"# TYPE {name} gauge\n{name}{_braces(labels)} {value:g}"


def _braces(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    inner = ",".join(f'{k}="{_escaped(v)}"' for k, v in labels.items())
    return "{" + inner + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
