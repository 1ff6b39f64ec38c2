"""Row S1: bundles a minute with two workers' hosts over one, and how long a worker waits between two runs.

`python -m benchmarks.scale_out`. Needs what `make test-cluster` needs: hosts are namespaces of this machine, so two
workers need two idle cores, or the ratio says nothing. A repetition starts two clusters and takes some five minutes on
two idle cores.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import av
import dagster as dg

from benchmarks.support.harness import cores
from chimp_assets.automation.launchers.worker import WORKER_TAG
from chimp_assets_tests.archive.clips import make_clip
from chimp_assets_tests.support.cluster.cluster import Cluster, cluster_of, why_no_cluster

SETTINGS = {
    "CHIMP_ARCHIVE__BUNDLE_VIDEOS": "1",
    "CHIMP_DECODE__WORKERS": "0",
    "CHIMP_EMBED__MIN_TRACKS": "100000",  # bundles alone
}
PATIENCE_S = 1800.0


def measure(films: Path, bundles: int, hosts: tuple[str, ...]) -> tuple[float, list[float]]:
    """Seconds from the start of the first run to the end of the last, and the gaps between runs of one worker."""
    with cluster_of(films, ("desk", *hosts), SETTINGS) as cluster:
        for host in hosts:
            cluster.start_worker(host)
        cluster.start_daemon()
        cluster.wait(lambda: len(_ended(cluster)) == bundles, "all bundles are done", PATIENCE_S)
        records = _ended(cluster)
        workers = {_worker(record) for record in records}
        assert len(workers) == len(hosts), f"only {workers} had runs: too few bundles, or too short"
    times = sorted((_worker(record), record.start_time or 0.0, record.end_time or 0.0) for record in records)
    gaps = [after[1] - before[2] for before, after in pairwise(times) if before[0] == after[0]]
    seconds = max(end for _, _, end in times) - min(start for _, start, _ in times)
    _say(f"  {len(hosts)} on {', '.join(hosts)}: {bundles} bundles in {seconds:.1f} s")
    return seconds, gaps


def _ended(cluster: Cluster) -> list[dg.RunRecord]:
    with cluster.instance() as seen:
        return list(
            seen.get_run_records(dg.RunsFilter(job_name="ingest_bundle", statuses=[dg.DagsterRunStatus.SUCCESS]))
        )


def _worker(record: dg.RunRecord) -> str:
    return record.dagster_run.tags[WORKER_TAG]


def _film_again(film: Path, other: Path, hour: int) -> None:
    """The same pictures, as filmed in another hour: encoding them anew would take longer than what is measured."""
    other.parent.mkdir(parents=True)
    with av.open(str(film)) as given, av.open(str(other), "w") as made:
        made.metadata["creation_time"] = f"2020-01-01T{hour % 24:02d}:{hour // 24:02d}:00Z"
        stream = made.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                made.mux(packet)


def _say(line: str) -> None:
    """At once, also into a file: a repetition takes minutes."""
    print(line, flush=True)


def main() -> None:
    """Prints one line for each repetition and the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundles", type=int, default=10)
    parser.add_argument("--frames", type=int, default=2000, help="of each bundle's video: its work must last")
    parser.add_argument("--repeat", type=int, default=3)
    chosen = parser.parse_args()
    if missing := why_no_cluster():
        raise SystemExit(missing)
    ratios, gaps = [], []
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        films = Path(folder) / "films"
        film = make_clip(Path(folder) / "film.mp4", chosen.frames, size=(1280, 720))
        for number in range(chosen.bundles):
            _film_again(film, films / f"site/cam{number}/2020-01-01/clip{number}.mp4", number)
        _say(f"{chosen.bundles} films of {chosen.frames} pictures are made")
        for _ in range(chosen.repeat):
            began = time.monotonic()
            one, first = measure(films, chosen.bundles, ("a",))
            two, second = measure(films, chosen.bundles, ("a", "b"))
            ratios.append(one / two)
            gaps += first + second
            _say(f"one worker {one:.1f} s, two {two:.1f} s: {one / two:.2f}x ({time.monotonic() - began:.0f} s in all)")
    _say(
        f"S1 | two workers over one {statistics.median(ratios):.2f}x (aim 1.6x) | between runs median "
        f"{statistics.median(gaps):.2f} s, longest {max(gaps):.2f} s (aim 2 s) | {cores()} cores"
    )


if __name__ == "__main__":
    main()
