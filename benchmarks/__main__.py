"""`python -m benchmarks [ROWS...]`: measures rows of the performance table; all of them without ROWS."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator

from benchmarks.harness import Row, show

ROWS = {
    "P1": "benchmarks.p1_decode",
    "P2": "benchmarks.p2_keyframes",
    "P3": "benchmarks.p3_memory",
    "P4": "benchmarks.p4_stream",
    "P5": "benchmarks.p5_memory",
    "P6": "benchmarks.p6_resume",
    "P7": "benchmarks.p7_write_predictions",
    "P8": "benchmarks.p8_plan",
    "P10": "benchmarks.p10_last_label",
    "P11": "benchmarks.p11_page",
    "P12": "benchmarks.p12_questions",
    "W": "benchmarks.w_pages",
    "T": "benchmarks.tracking",
    "Q": "benchmarks.quiet_tick",
    "K": "benchmarks.kills",
    "C": "benchmarks.concurrency",
    "S": "benchmarks.sign_ins",
}
"""Rows that are measured so far; each module has `measure() -> Iterator[Row]`."""


def main(wanted: list[str]) -> int:
    """Measure and print. Exit code 2 for an unknown row; a target that is missed is no error."""
    unknown = [name for name in wanted if name.upper() not in ROWS]
    if unknown:
        print(f"No benchmark is called {', '.join(unknown)}. There are: {', '.join(ROWS)}.", file=sys.stderr)
        return 2

    def measured() -> Iterator[Row]:
        for name in [name.upper() for name in wanted] or ROWS:
            yield from importlib.import_module(ROWS[name]).measure()

    show(measured())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
