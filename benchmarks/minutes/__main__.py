"""The command: reads the crops, replays every seed in processes of their own, prints what was found."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np

import benchmarks.minutes
from benchmarks.minutes.archive import Mistakes
from benchmarks.minutes.policies import POLICIES
from benchmarks.minutes.replay import Setting
from benchmarks.minutes.report import AGAINST, TARGETS, beyond_margin, show, summary
from benchmarks.minutes.seeds import equal_minutes, one_seed
from benchmarks.minutes.vectors import REGIMES, vectors_of
from benchmarks.support.crops import CropsError, CropTable, read_table
from benchmarks.support.harness import cores
from chimp_assets.acquisition.minutes.goal import Goal
from chimp_assets.acquisition.minutes.prices import Prices

DEFAULT = ("random", "lanes", "margin", "longest", "rate", "product", "product+pages", "product+volunteers", "oracle")


def main(arguments: list[str] | None = None) -> int:
    """Replay and print. Exit code 2, with a sentence, for what cannot be used."""
    names = [field.name for field in fields(Prices)]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.minutes", description=(benchmarks.minutes.__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--crops", type=Path, help="CSV with path, individual, session, photo and perhaps frames")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0, help="policies were chosen on the first twenty")
    parser.add_argument("--policies", default=",".join(DEFAULT), help=f"of {', '.join(POLICIES)}; or all")
    parser.add_argument("--end", choices=("ideal", "promise", "both"), default="both")
    parser.add_argument("--error", type=float, default=0.05)
    parser.add_argument("--named", type=float, default=0.9)
    parser.add_argument("--sigma", type=float, default=1.0, help="of the logarithm of frames, where the CSV has none")
    parser.add_argument("--prices-times", type=float, default=1.0)
    parser.add_argument("--price", action="append", default=[], help=f"NAME=TIMES, of {', '.join(names)}")
    parser.add_argument("--missed", type=float, default=0.1, help="of the wrong tracks of a page")
    parser.add_argument("--regime", choices=REGIMES, default="frozen")
    parser.add_argument("--shuffled", action="store_true", help="the control: chances in random order")
    parser.add_argument("--accuracy", action="store_true", help="product and margin at equal minutes")
    parser.add_argument("--kept", type=int, default=0, help="synthetic archives on which promises are tried")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "chimp-benchmark-vectors")
    parser.add_argument("--processes", type=int, default=cores())
    parser.add_argument("--json", action="store_true", help="print the line of JSON alone")
    options = parser.parse_args(arguments)
    chosen = tuple(POLICIES) if options.policies == "all" else tuple(options.policies.split(","))
    if unknown := set(chosen) - set(POLICIES):
        print(f"There is no policy {sorted(unknown)[0]}; there are {', '.join(POLICIES)}.", file=sys.stderr)
        return 2
    prices = replace(Prices(), **{name: getattr(Prices(), name) * options.prices_times for name in names})
    for changed in options.price:
        name, _, times = changed.partition("=")
        if name not in names or not times.replace(".", "", 1).isdigit():
            print(f"--price {changed} is not NAME=TIMES; names: {', '.join(names)}.", file=sys.stderr)
            return 2
        prices = replace(prices, **{name: getattr(prices, name) * float(times)})
    # One core each: two libraries that share out the same cores wait for each other.
    os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    setting = Setting(
        Goal(options.named, options.error), prices, Mistakes(missed=options.missed), shuffled=options.shuffled
    )
    said: dict[str, object] = {"benchmark": "minutes", "setting": asdict(setting), "seeds": options.seeds}
    with ProcessPoolExecutor(options.processes, mp_context=multiprocessing.get_context("spawn")) as workers:
        if options.crops is not None:
            try:
                table = read_table(options.crops)
                vectors = vectors_of(table, options.cache, options.regime, options.seeds)
            except CropsError as error:
                print(error, file=sys.stderr)
                return 2
            said |= _replayed(
                workers, table, vectors, (AGAINST, *(n for n in chosen if n != AGAINST)), setting, options
            )
        if options.kept:
            said["kept"] = _kept(workers, options)
    print(json.dumps(said))
    return 0


def _replayed(
    workers: ProcessPoolExecutor,
    table: CropTable,
    vectors: list[np.ndarray],
    chosen: tuple[str, ...],
    setting: Setting,
    options: argparse.Namespace,
) -> dict[str, object]:
    found: dict[str, object] = {
        "crops": options.crops.name, "tracks": len(table.target), "regime": options.regime,
        "sigma": options.sigma if table.frames is None else "of the tracker",
    }  # fmt: skip
    table = replace(table, pictures=table.pictures[:0])  # they need not travel to other processes
    for end in ("ideal", "promise") if options.end == "both" else (options.end,):
        began, ended = time.monotonic(), replace(setting, end=end)
        waiting = [
            workers.submit(
                one_seed, table, vectors[i], options.first_seed + i, chosen, ended, options.sigma, options.regime
            )
            for i in range(options.seeds)
        ]
        parts = [one.result() for one in waiting]
        runs = {name: [part[name] for part in parts] for name in chosen}
        found[end] = summary(runs)
        target = TARGETS.get((options.crops.stem, end)) if setting.goal == Goal() and not setting.shuffled else None
        if not options.json:
            show(summary(runs), f"{options.crops.name}, {options.seeds} seeds", end, target)
            print(f"{'':20}{time.monotonic() - began:.0f} s on {options.processes} processes")
    if options.accuracy:
        compared = [
            workers.submit(
                equal_minutes, table, vectors[i], options.first_seed + i, setting, options.sigma, options.regime
            )
            for i in range(options.seeds)
        ]
        pairs = [one.result() for one in compared]
        beyond = beyond_margin([one[0] for one in pairs], [one[1] for one in pairs])
        found["beyond_margin"] = beyond
        if not options.json:
            for share, plain, macro in beyond:
                beyond_it = f"product beyond margin {plain:+.3f}, macro {macro:+.3f}"
                print(f"at {share:.0%} of margin's minutes: {beyond_it} (target: >= 0)")
    return found


def _kept(workers: ProcessPoolExecutor, options: argparse.Namespace) -> dict[str, float]:
    from benchmarks.minutes.kept import FOILS, limit_of, said

    asked = [("promise", x, times) for x in (0.02, 0.05, 0.1) for times in (1.02, 1 / 3)]
    asked += [(foil, 0.05, 1.02) for foil in FOILS]
    waiting = {one: workers.submit(said, one[0], one[1], one[1] * one[2], options.kept) for one in asked}
    found = {}
    for (way, x, times), one in waiting.items():
        share = one.result()
        found[f"{way}, {x:g}, {times:.2f} x"] = share
        if not options.json:
            target = (
                f"(target: at most 0.05, {limit_of(options.kept):.3f} by chance)"
                if times > 1
                else "(the more the better)"
            )
            of = f"{options.kept} archives with {x * times:.2%} wrong"
            print(f"{way}: at most {x:.0%} said of {of}: {share:.3f} {target}")
    return found


if __name__ == "__main__":
    sys.exit(main())
