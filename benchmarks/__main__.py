"""`python -m benchmarks [ROWS...]`: measures rows of the performance table; all of them without ROWS."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator

from benchmarks.support.harness import Row, show

ROWS = {
    "P1": "benchmarks.rows.p1_decode",
    "P2": "benchmarks.rows.p2_keyframes",
    "P3": "benchmarks.rows.p3_memory",
    "P4": "benchmarks.rows.p4_stream",
    "P5": "benchmarks.rows.p5_memory",
    "P6": "benchmarks.rows.p6_resume",
    "P7": "benchmarks.rows.p7_write_predictions",
    "P8": "benchmarks.rows.p8_plan",
    "P10": "benchmarks.running.p10_last_label",
    "P11": "benchmarks.rows.p11_page",
    "P12": "benchmarks.rows.p12_questions",
    "V": "benchmarks.finding.video_page",
    "Q1": "benchmarks.finding.q1",
    "W": "benchmarks.rows.w_pages",
    "W2": "benchmarks.finding.w2_insight",
    "T": "benchmarks.tracking",
    "Q": "benchmarks.rows.quiet_tick",
    "K": "benchmarks.kills",
    "C": "benchmarks.rows.concurrency",
    "S": "benchmarks.running.sign_ins",
    "D1": "benchmarks.drift",
    "D1D": "benchmarks.signals.while_decoding",
    "X1": "benchmarks.exchange.x1_exports",
    "X2": "benchmarks.exchange.x2_tables",
    "G1": "benchmarks.machines.g1_gpu",
    "X": "benchmarks.machines.onnx_files",
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
