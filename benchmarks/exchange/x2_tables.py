"""X2: hand on a million boxes as Parquet, and the days of pairs, groups and stretches in view of the same archive.

Ours is `chimp export` without the command line, with every name, on the generated archive of 1 M frames in SQLite. The
peer of Parquet reads v_frame_identity into pandas at once and writes one file, as a script would. Each runs in a
process of its own, once: seconds on the clock with CPU seconds beside them (a busy machine shows the difference), and
the peak of its memory, imports and all.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.exchange.children import measured
from benchmarks.support.archives import archive
from benchmarks.support.harness import Row, cores
from chimp_assets.database.connection.engine import Database

SECONDS, MIB = 60.0, 400
BOXES = 1_000_000
FORMATS = {"parquet": "rows", "bisonr": "days of pairs", "asnipe": "memberships", "boris": "observations"}
PEERS = {"parquet": ("pandas", "SELECT * FROM v_frame_identity")}


def measure() -> Iterator[Row]:
    """Time and memory of each format."""
    url = archive("1M").url
    for name, what in FORMATS.items():
        own = measured("x2_tables", name, url)
        peer = measured("x2_tables", f"peer-{name}", url) if name in PEERS else None
        yield Row(
            "X2", f"{own['n']:,.0f} {what} to {name}", own["wall_s"], "s",
            {"CPU s of ours": own["cpu_s"], **({PEERS[name][0]: peer["wall_s"]} if peer else {})},
            {PEERS[name][0]: own["wall_s"] / peer["wall_s"]} if peer else {},
            f"<= {SECONDS:g} s", own["wall_s"] <= SECONDS, 1, 0.0, cores(),
        )  # fmt: skip
        yield Row(
            "X2", f"peak memory of {own['n']:,.0f} {what} to {name}", own["peak_mib"], "MiB",
            {PEERS[name][0]: peer["peak_mib"]} if peer else {},
            {PEERS[name][0]: own["peak_mib"] / peer["peak_mib"]} if peer else {},
            f"<= {MIB} MiB", own["peak_mib"] <= MIB, 1, 0.0, cores(),
        )  # fmt: skip


def _ours(name: str, db: Database, out: Path) -> int:
    from chimp_assets.exchange.exports import export
    from chimp_assets.exchange.exports.export import ExportRequest, write_export
    from chimp_assets.exchange.exports.selection import Selection
    from chimp_assets.settings import Settings

    request = ExportRequest(db, Settings(), selection=Selection(min_probability=0.0))
    return write_export(export(name), request, out / name, name=name)


def _peer(name: str, db: Database, out: Path) -> int:
    import pandas as pd

    with db.engine.connect() as conn:
        table = pd.read_sql(PEERS[name][1], conn)
    table.to_parquet(out / "peer.parquet")
    return len(table)


def _run(name: str, url: str) -> None:
    db = Database(url)
    with tempfile.TemporaryDirectory() as folder:
        began, cpu_began = time.perf_counter(), time.process_time()
        peer = name.removeprefix("peer-")
        n = _peer(peer, db, Path(folder)) if peer != name else _ours(name, db, Path(folder))
        wall_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu_began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"n": n, "wall_s": wall_s, "cpu_s": cpu_s, "peak_mib": peak}))


if __name__ == "__main__":
    given = argparse.ArgumentParser()
    given.add_argument("name")
    given.add_argument("url")
    asked = given.parse_args()
    _run(asked.name, asked.url)
