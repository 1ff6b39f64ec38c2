"""The command: reads the crops, replays every seed in processes of their own, prints what was found."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

import benchmarks.label_efficiency
from benchmarks.label_efficiency.curves import draw, show, summary
from benchmarks.label_efficiency.replay import Setting, replay
from benchmarks.label_efficiency.strategies import DEFAULT, STRATEGIES
from benchmarks.support.crops import CropsError, read_table
from benchmarks.support.harness import cores


def main(arguments: list[str] | None = None) -> int:
    """Replay and print. Exit code 2, with a sentence, for what cannot be used."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.label_efficiency",
        description=(benchmarks.label_efficiency.__doc__ or "").split("\n")[0],
    )
    parser.add_argument("--crops", required=True, type=Path, help="CSV with path, individual, session, photo")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--budget", type=int, default=600, help="labels, audit ones included")
    parser.add_argument("--query", type=int, default=20, help="labels a round")
    parser.add_argument("--audit", type=float, default=0.15, help="share of the labels that only measure")
    parser.add_argument("--regime", choices=("frozen", "product"), default="frozen")
    parser.add_argument("--views", type=int, default=0, help="product: crops that the network sees at each learning")
    parser.add_argument("--from-zero", action="store_true", help="without what ImageNet teaches")
    parser.add_argument("--strategies", default=",".join(DEFAULT), help=f"of {', '.join(STRATEGIES)}; or all")
    parser.add_argument("--noise", type=float, default=0.0)
    parser.add_argument("--duplicates", type=float, default=0.0)
    parser.add_argument("--shuffled", action="store_true", help="the control: margins in random order")
    parser.add_argument("--processes", type=int, default=cores())
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--json", action="store_true", help="print the line of JSON alone")
    options = parser.parse_args(arguments)
    chosen = tuple(STRATEGIES) if options.strategies == "all" else tuple(options.strategies.split(","))
    if unknown := set(chosen) - set(STRATEGIES):
        print(f"There is no strategy {sorted(unknown)[0]}; there are {', '.join(STRATEGIES)}.", file=sys.stderr)
        return 2
    chosen = ("random-track", *(name for name in chosen if name != "random-track"))
    setting = Setting(
        options.budget,
        options.query,
        options.audit,
        options.regime,
        options.noise,
        options.duplicates,
        options.shuffled,
        options.views,
        options.from_zero,
    )
    began = time.monotonic()
    try:
        table = read_table(options.crops)
    except CropsError as error:
        print(error, file=sys.stderr)
        return 2
    parts: list[dict[str, np.ndarray]] = []
    with ProcessPoolExecutor(options.processes, mp_context=multiprocessing.get_context("spawn")) as workers:
        waiting = [workers.submit(replay, table, seed, chosen, setting) for seed in range(options.seeds)]
        for seed, one in enumerate(waiting):
            parts.append(one.result())
            if not options.json:
                shown = ", ".join(f"{name} {curve[-1, 1]:.3f}" for name, curve in parts[-1].items())
                print(f"seed {seed + 1} of {options.seeds}: {shown}", file=sys.stderr, flush=True)
    rounds = min(len(curve) for part in parts for curve in part.values())
    curves = {name: np.stack([part[name][:rounds] for part in parts]) for name in chosen}
    intervals = summary(curves)
    if not options.json:
        show(intervals)
    if options.plot:
        draw(
            curves,
            options.plot,
            f"{options.crops.stem}, {options.regime}, {options.seeds} seeds, {options.query} a round",
        )
    print(
        json.dumps(
            {
                "benchmark": "label_efficiency", "crops": options.crops.name, "individuals": table.n_individuals,
                "tracks": len(table.target), **vars(setting), "seeds": options.seeds,
                "seconds": round(time.monotonic() - began, 1), "strategies": intervals,
            }
        )
    )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
