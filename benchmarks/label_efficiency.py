"""`python -m benchmarks.label_efficiency --crops CSV`: how many labels asking the right tracks saves, by replay.

The CSV is that of `benchmarks.identity`; a crop stands for a track, its session (photo) for the video. For each seed
and each strategy one expert is replayed from zero labels to the budget:

* a quarter of the sessions is the future: never asked, named at the end of each round. The rest is the pool;
* a fifth of the individuals enters the pool in mid-run, as animals are born and immigrate;
* a share of every round's labels (--audit) is drawn at random from a reserve that teaches nobody: what measuring costs
  is paid from the budget, by every strategy alike;
* after each round a head is fitted anew, the same recipe for all (ridge on indicators, classes balanced).

Regimes: `frozen`, vectors learned from the pool's pictures without any label: dictionaries of patches, what a network
sees that learned from ImageNet, as in the product's embedders (without it: --from-zero), and principal axes;
`product`, the same at first, and whenever labels have grown by half the discriminants of the patches are learned anew
from all names so far, beside it, as `vision.metric_learning` does; with --views also its network (minutes each).

Told for each strategy, with 95 % intervals of a bootstrap over seeds, which are the same for all strategies:

* ratio: labels to reach what random tracks reach with the whole budget, over the budget (means over seeds, running
  maximum, as LabelBench tells it); ratio_macro: the same for the mean over individuals; inf: never;
* pool and macro: accuracy over the pool with the whole budget, labelled tracks as they were named; future: of the
  future sessions; area: mean of pool over the budget; found: individuals named after half of the budget;
* seconds: of CPU for choosing, a round.

`--strategies oracle` is no strategy: it sees which tracks are named wrongly, and asks those first. No upper bound: it
is greedy, and to cover who is new can be better than to correct who is wrong.

Controls: --noise P (of the answers are wrong), --duplicates P (of the pool comes twice), --shuffled (margins in random
order: must be as good as random). Ends with one line of JSON; --plot FILE draws the curves.

Does not belong here: the selectors (`acquisition`); challengers are here because the product does not use them.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.harness import cores
from benchmarks.identity import CropsError, CropTable, held_out, read_table
from chimp_assets.acquisition.plan import plan
from chimp_assets.acquisition.policy import AUDIT, REPEAT, Policy, SpreadBy
from chimp_assets.acquisition.pool import UNLABELLED, Head, TrackPool
from chimp_assets.acquisition.ridge import Ridge, fit_ridge
from chimp_assets.loop.plan import half_is_well_known
from chimp_assets.settings import AcquisitionSettings, GateSettings

FUTURE_SHARE, LATE_SHARE, RESERVE_SHARE = 0.25, 0.2, 0.2
DIMENSIONS = 128
GROWTH = 1.5
LEAST_TO_LEARN = 30
SHARPNESS = 6.0
"""Ridge scores times this are logits: only entropy, BADGE and UHerding need chances."""
RESAMPLED = 1_000
MEASURES = ("labels", "pool", "macro", "future", "found", "seconds")
TRAINING = {k: v for k, v in AcquisitionSettings().warm_shares.items() if k not in (AUDIT, REPEAT)}
WARM = {lane: share / sum(TRAINING.values()) for lane, share in TRAINING.items()}
"""The product's shares among the lanes that teach; --audit says what the others take."""


@dataclass(frozen=True)
class Setting:
    """One replay's rules."""

    budget: int
    query: int
    audit: float
    regime: str
    noise: float = 0.0
    duplicates: float = 0.0
    shuffled: bool = False
    views: int = 0
    from_zero: bool = False


@dataclass
class Asking:
    """What a strategy may look at: vectors of the rows that may be asked, and of those answered. All f32 [n, D]."""

    open_rows: np.ndarray
    vectors: np.ndarray
    labelled: np.ndarray
    names: np.ndarray
    group: np.ndarray
    ridge: Ridge | None
    rng: np.random.Generator
    accuracy: float | None = None
    """Of the ridge, on the audit; None before there are answers enough to promote a head."""
    truth: np.ndarray | None = None
    """Who every row shows. Only the oracle looks."""

    def scores(self) -> np.ndarray:
        """Of open rows, f64 [m, C]."""
        assert self.ridge is not None
        return self.ridge.scores(self.vectors[self.open_rows])

    def chances(self) -> np.ndarray:
        """Softmax of the scores, f64 [m, C]."""
        logits = SHARPNESS * self.scores()
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(p / p.sum(axis=1, keepdims=True))

    def margins(self) -> np.ndarray:
        """Of open rows, f64 [m]."""
        two = np.partition(self.scores(), -2, axis=1)[:, -2:]
        return np.asarray(two[:, 1] - two[:, 0])


Strategy = Callable[[Asking, int], np.ndarray]


def _random(asked: Asking, b: int) -> np.ndarray:
    return asked.rng.permutation(asked.open_rows)[:b]


def _random_frame(asked: Asking, b: int) -> np.ndarray:
    """As one who labels frames in the order of the archive does: whole sessions, one after the other."""
    groups = np.unique(asked.group[asked.open_rows])
    place = asked.rng.permutation(len(groups))[np.searchsorted(groups, asked.group[asked.open_rows])]
    return asked.open_rows[np.argsort(place, kind="stable")[:b]]


def _smallest(asked: Asking, score: np.ndarray, b: int) -> np.ndarray:
    return asked.open_rows[np.lexsort((asked.open_rows, score))[:b]]


def _margin(asked: Asking, b: int) -> np.ndarray:
    return _smallest(asked, asked.margins(), b)


def _entropy(asked: Asking, b: int) -> np.ndarray:
    p = asked.chances()
    return _smallest(asked, (p * np.log(p + 1e-12)).sum(axis=1), b)


def _k_center(asked: Asking, b: int) -> np.ndarray:
    """Core-Set (Sener and Savarese 2018), greedy: the row farthest from all that are chosen."""
    open_emb = asked.vectors[asked.open_rows]
    known = asked.vectors[asked.labelled]
    nearest = (open_emb @ known.T).max(axis=1) if len(known) else np.full(len(open_emb), -1.0)
    chosen: list[int] = []
    for _ in range(min(b, len(open_emb))):
        at = int(np.argmin(nearest))
        chosen.append(at)
        nearest = np.maximum(nearest, open_emb @ open_emb[at])
        nearest[chosen] = np.inf
    return asked.open_rows[chosen]


def _badge(asked: Asking, b: int) -> np.ndarray:
    """BADGE (Ash 2020): k-means++ on gradient embeddings, their products factorised into chances times vectors."""
    p = asked.chances()
    q = -p
    q[np.arange(len(q)), p.argmax(axis=1)] += 1
    x = asked.vectors[asked.open_rows].astype(float)
    norm = (q * q).sum(axis=1) * (x * x).sum(axis=1)
    chosen = [int(np.argmax(norm))]
    distance = np.full(len(x), np.inf)
    for _ in range(min(b, len(x)) - 1):
        last = chosen[-1]
        to_last = norm + norm[last] - 2 * (q @ q[last]) * (x @ x[last])
        distance = np.minimum(distance, np.maximum(to_last, 0))
        distance[chosen] = 0
        total = distance.sum()
        if total <= 0:
            left = np.setdiff1d(np.arange(len(x)), chosen)
            chosen.append(int(asked.rng.choice(left)))
            continue
        chosen.append(int(asked.rng.choice(len(x), p=distance / total)))
    return asked.open_rows[chosen]


def _direct(asked: Asking, b: int) -> np.ndarray:
    """DIRECT (Nuggehalli 2025), reduced to its selection: for each class, rarest first, the rows nearest to its
    one-versus-rest boundary."""
    assert asked.ridge is not None
    score = asked.scores()
    other = np.partition(score, -2, axis=1)
    best, second = other[:, -1], other[:, -2]
    against = np.where(score == best[:, None], second[:, None], best[:, None])
    distance = np.abs(score - against)
    counts = np.array([(asked.names == c).sum() for c in asked.ridge.classes])
    taken = np.zeros(len(score), bool)
    chosen: list[int] = []
    order = np.argsort(distance, axis=0, kind="stable")
    at = np.zeros(score.shape[1], int)
    classes = np.argsort(counts, kind="stable")
    while len(chosen) < min(b, len(score)):
        for c in classes.tolist():
            while at[c] < len(order) and taken[order[at[c], c]]:
                at[c] += 1
            if at[c] < len(order) and len(chosen) < b:
                row = int(order[at[c], c])
                taken[row] = True
                chosen.append(row)
    return asked.open_rows[chosen]


def _uherding(asked: Asking, b: int, most: int = 4_000) -> np.ndarray:
    """UHerding (Bae 2025): greedy coverage of the pool, weighted by uncertainty, on a subsample; the kernel's width
    shrinks with the nearest labelled distance."""
    rows = asked.rng.permutation(asked.open_rows)[:most]
    place = np.searchsorted(asked.open_rows, rows)
    x, known = asked.vectors[rows], asked.vectors[asked.labelled]
    doubt = 1 - asked.margins()[place] if asked.ridge is not None and len(asked.ridge.classes) > 1 else np.ones(len(x))
    near = np.sqrt(np.maximum(0, 2 - 2 * (x @ known.T))).min(axis=1) if len(known) else np.ones(len(x))
    width = max(float(np.median(near)) / 2, 1e-3)
    kernel = np.exp(-np.maximum(0, 2 - 2 * (x @ x.T)) / width**2)
    covered = np.exp(-(near**2) / width**2)
    chosen: list[int] = []
    for _ in range(min(b, len(rows))):
        gain = (np.maximum(kernel - covered[:, None], 0) * doubt[:, None]).sum(axis=0)
        gain[chosen] = -1
        at = int(gain.argmax())
        chosen.append(at)
        covered = np.maximum(covered, kernel[:, at])
    return rows[chosen]


def _oracle(asked: Asking, b: int) -> np.ndarray:
    """No strategy, but what one could reach that knows which tracks are named wrongly: these first, individuals in
    turns, most wrong tracks first, the most typical of each; then the smallest margins."""
    assert asked.ridge is not None
    assert asked.truth is not None
    rows = asked.open_rows
    wrong = rows[asked.ridge.names(asked.vectors[rows]) != asked.truth[rows]]
    turn, n_wrong = np.empty(len(wrong), int), np.empty(len(wrong), int)
    for who in np.unique(asked.truth[wrong]):
        own = np.flatnonzero(asked.truth[wrong] == who)
        vectors = asked.vectors[wrong[own]]
        turn[own[np.argsort(-(vectors @ vectors.T).mean(axis=1), kind="stable")]] = np.arange(len(own))
        n_wrong[own] = len(own)
    first = wrong[np.lexsort((wrong, -n_wrong, turn))][:b]
    others = replace(asked, open_rows=np.setdiff1d(rows, first))
    return np.concatenate([first, _margin(others, b - len(first))])


def _planned(shares: dict[str, float], spread_by: SpreadBy = "distance") -> Strategy:
    """The product's plan: cold until the rule of `planning` calls it warm; always cold without shares."""

    def strategy(asked: Asking, b: int) -> np.ndarray:
        rows = np.sort(np.concatenate([asked.open_rows, asked.labelled]))
        state = np.full(len(rows), UNLABELLED, np.int32)
        state[np.searchsorted(rows, asked.labelled)] = asked.names
        none = np.zeros(len(rows), bool)
        group = asked.group[rows].astype(np.int32)
        pool = TrackPool(
            asked.vectors[rows].astype(np.float16), rows.astype(np.int64), state, np.ones(len(rows), np.float32),
            none, none, video=group,
        )  # fmt: skip
        ridge = asked.ridge
        competent = asked.accuracy is not None and (
            asked.accuracy >= AcquisitionSettings().warm_accuracy or half_is_well_known(state, none)
        )
        if ridge is None or len(ridge.classes) < 2 or not shares or not competent:
            made = plan(pool, None, Policy("cold", {"typical": 1.0}), b, asked.rng)
        else:
            head = Head(
                (SHARPNESS * ridge.weight[:-1].T).astype(np.float32),
                (SHARPNESS * ridge.weight[-1]).astype(np.float32),
                classes=tuple(ridge.classes.tolist()),
            )
            made = plan(pool, head, Policy("warm", shares, video_cap=1 / 3, spread_by=spread_by), b, asked.rng)
        return rows[made.rows]

    return strategy


STRATEGIES: dict[str, Strategy] = {
    "random-track": _random,
    "random-frame": _random_frame,
    "margin": _margin,
    "entropy": _entropy,
    "k-center": _k_center,
    "badge": _badge,
    "direct": _direct,
    "uherding": _uherding,
    "typical": _planned({}),
    "cluster-margin": _planned({"boundary": 1.0}, "cells"),
    "farthest-margin": _planned({"boundary": 1.0}),
    "product": _planned(WARM),
    "oracle": _oracle,
}
NEED_TWO_CLASSES = ("margin", "entropy", "badge", "direct", "oracle")
DEFAULT = ("random-track", "margin", "entropy", "k-center", "cluster-margin", "product")


class Eyes:
    """Vectors of all crops of a seed: learned without labels, and learned anew from names."""

    def __init__(self, pictures: np.ndarray, pool: np.ndarray, seed: int, from_zero: bool) -> None:
        from chimp_assets.vision.embedding.backbones import pretrained_network
        from chimp_assets.vision.embedding.patches import Patches
        from chimp_assets.vision.embedding.self_supervision import principal_axes

        self._pictures, self._seed, self._from_zero = pictures, seed, from_zero
        patches = Patches()
        patches.learn(pictures[pool], seed)
        self._described = patches.describe(pictures)
        if not from_zero:
            network = pretrained_network()
            assert network is not None
            self._described = np.concatenate([self._described, network.describe(pictures)], axis=1)
        centred = self._described - self._described[pool].mean(axis=0)
        axes = principal_axes(self._described[pool], 2_000)
        seen = centred @ axes.T
        # Half-way whitened: neither does the first axis drown all others nor does noise count like signal.
        scale = seen[pool].std(axis=0)
        self._plain = (seen / np.sqrt(np.maximum(scale, 1e-6)))[:, :DIMENSIONS].astype(np.float32)

    def without_labels(self) -> np.ndarray:
        """f32 [n, D]."""
        return _unit(self._plain)

    def with_names(self, rows: np.ndarray, names: np.ndarray, group: np.ndarray, views: int) -> np.ndarray:
        """Vectors of all crops that learned from some: f32 [n, D]."""
        if views:
            from chimp_assets.vision.embedding.metric_learning import Crops, Recipe, learn

            recipe = replace(Recipe(), epochs=0, min_views=views, pretrained=not self._from_zero)
            return learn(Crops(self._pictures[rows], names, group=group), recipe, seed=self._seed).embedder.embed(
                self._pictures
            )
        from chimp_assets.vision.embedding.self_supervision import fit_projection

        mean, weight = fit_projection(self._described[rows], names, DIMENSIONS // 2, 2_000)
        told = _unit((self._described - mean) @ weight.T)
        return _unit(np.concatenate([_unit(self._plain[:, : DIMENSIONS // 2]), 2 * told], axis=1))


def _unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.maximum(1e-9, np.linalg.norm(rows, axis=1, keepdims=True))).astype(np.float32)


def replay(table: CropTable, seed: int, names: tuple[str, ...], setting: Setting) -> dict[str, np.ndarray]:
    """All strategies of one seed: f64 [rounds, MEASURES] each."""
    import torch

    torch.set_num_threads(1)
    rng = np.random.default_rng((seed, 6))
    future = held_out(table.target, table.group, rng, FUTURE_SHARE)
    pool = np.flatnonzero(~future)
    pictures, target, group = table.pictures, table.target, table.group
    if setting.duplicates:
        again = rng.choice(pool, round(setting.duplicates * len(pool)), replace=False)
        pictures = np.concatenate([pictures, pictures[again]])
        pool = np.concatenate([pool, np.arange(len(target), len(target) + len(again))])
        target, group = np.concatenate([target, target[again]]), np.concatenate([group, group[again]])
    eyes = Eyes(pictures, pool, seed, setting.from_zero)
    late = np.isin(target, rng.permutation(table.n_individuals)[: round(LATE_SHARE * table.n_individuals)])
    reserve = np.isin(pool, rng.choice(pool, round(RESERVE_SHARE * len(pool)), replace=False))
    wrong = rng.random(len(target)) < setting.noise
    said = np.where(wrong, rng.integers(0, table.n_individuals, len(target)), target)
    world = _World(target, said, group, pool, pool[reserve], np.flatnonzero(future), late)
    return {name: _one(world, eyes, name, seed, setting) for name in names}


@dataclass(frozen=True)
class _World:
    target: np.ndarray
    said: np.ndarray
    group: np.ndarray
    pool: np.ndarray
    reserve: np.ndarray
    future: np.ndarray
    late: np.ndarray


def _one(world: _World, eyes: Eyes, name: str, seed: int, setting: Setting) -> np.ndarray:
    rng = np.random.default_rng((seed, 7))
    vectors = eyes.without_labels()
    taught = np.empty(0, np.int64)
    audited = np.empty(0, np.int64)
    learned_from, rounds = 0, []
    teachable = np.setdiff1d(world.pool, world.reserve)
    ridge: Ridge | None = None
    while len(taught) + len(audited) < setting.budget:
        spent = len(taught) + len(audited)
        b = min(setting.query, setting.budget - spent)
        here = ~world.late if spent < setting.budget / 2 else np.ones(len(world.late), bool)
        due = round(setting.audit * (spent + b)) - len(audited)
        waiting = np.setdiff1d(world.reserve[here[world.reserve]], audited)
        audited = np.concatenate([audited, rng.permutation(waiting)[: max(0, min(due, b))]])
        b -= max(0, min(due, b, len(waiting)))
        open_rows = np.setdiff1d(teachable[here[teachable]], taught)
        if len(open_rows) == 0:
            break
        began = time.process_time()
        if b > 0:
            accuracy = None
            if ridge is not None and len(audited) >= GateSettings().min_audit_labels:
                accuracy = float((ridge.names(vectors[audited]) == world.said[audited]).mean())
            asked = Asking(
                open_rows, vectors, taught, world.said[taught], world.group, ridge, rng, accuracy, world.target
            )
            cold = ridge is None or len(ridge.classes) < 2
            strategy = _random if cold and name in NEED_TWO_CLASSES else STRATEGIES[name]
            if setting.shuffled and not cold:
                strategy = _shuffled
            taught = np.concatenate([taught, strategy(asked, b)])
        seconds = time.process_time() - began
        names = world.said[taught]
        grown = len(taught) >= max(LEAST_TO_LEARN, GROWTH * learned_from)
        if setting.regime == "product" and grown and len(np.unique(names)) > 1:
            vectors = eyes.with_names(taught, names, world.group[taught], setting.views)
            learned_from = len(taught)
        ridge = fit_ridge(vectors[taught], names)
        rounds.append((len(taught) + len(audited), *_measured(world, vectors, ridge, taught, audited), seconds))
    return np.array(rounds)


def _shuffled(asked: Asking, b: int) -> np.ndarray:
    """Margin sampling whose margins are shuffled: random, by way of the same code."""
    return _smallest(asked, asked.rng.permutation(asked.margins()), b)


def _measured(
    world: _World, vectors: np.ndarray, ridge: Ridge, taught: np.ndarray, audited: np.ndarray
) -> tuple[float, float, float, int]:
    named = ridge.names(vectors[world.pool])
    for rows in (taught, audited):
        place = np.searchsorted(world.pool, rows)
        named[place] = world.said[rows]
    truth = world.target[world.pool]
    right = named == truth
    each = np.bincount(truth, right)[np.bincount(truth) > 0] / np.bincount(truth)[np.bincount(truth) > 0]
    future = (ridge.names(vectors[world.future]) == world.target[world.future]).mean()
    return float(right.mean()), float(each.mean()), float(future), len(np.unique(world.target[taught]))


def reached(curve: np.ndarray, column: int, goal: float) -> float:
    """Labels at which the running maximum of a mean curve f64 [rounds, MEASURES] reaches a goal; inf if never."""
    best = np.maximum.accumulate(curve[:, column])
    if best[-1] < goal:
        return math.inf
    at = int(np.argmax(best >= goal))
    if at == 0:
        return float(curve[0, 0])
    share = (goal - best[at - 1]) / (best[at] - best[at - 1])
    return float(curve[at - 1, 0] + share * (curve[at, 0] - curve[at - 1, 0]))


def summary(curves: dict[str, np.ndarray], seed: int = 0) -> dict[str, dict[str, list[float | None]]]:
    """What is told of each strategy: [value, low, high]. curves: f64 [seeds, rounds, MEASURES]; random-track is one."""
    n = len(next(iter(curves.values())))
    rng = np.random.default_rng(seed)
    draws = [np.arange(n), *(rng.integers(n, size=n) for _ in range(RESAMPLED if n > 1 else 0))]
    values: dict[str, dict[str, list[float]]] = {name: {} for name in curves}
    for draw in draws:
        means = {name: curve[draw].mean(axis=0) for name, curve in curves.items()}
        random = means["random-track"]
        for name, mean in means.items():
            found = {
                "ratio": reached(mean, 1, random[:, 1].max()) / random[-1, 0],
                "ratio_macro": reached(mean, 2, random[:, 2].max()) / random[-1, 0],
                "pool": mean[-1, 1],
                "macro": mean[-1, 2],
                "future": mean[-1, 3],
                "area": mean[:, 1].mean(),
                "found": mean[np.searchsorted(mean[:, 0], mean[-1, 0] / 2), 4],
                "seconds": mean[:, 5].mean(),
                "pool_beyond_margin": mean[-1, 1] - means.get("margin", mean)[-1, 1],
                "macro_beyond_margin": mean[-1, 2] - means.get("margin", mean)[-1, 2],
            }
            for key, value in found.items():
                values[name].setdefault(key, []).append(float(value))
    told: dict[str, dict[str, list[float | None]]] = {}
    for name, found_ in values.items():
        told[name] = {}
        for key, all_values in found_.items():
            ordered = np.sort(all_values[1:] or all_values)
            low, high = (ordered[round(q * (len(ordered) - 1))] for q in (0.025, 0.975))
            told[name][key] = [_rounded(all_values[0]), _rounded(low), _rounded(high)]
    return told


def _rounded(value: float) -> float | None:
    return round(float(value), 4) if math.isfinite(value) else None


def draw(curves: dict[str, np.ndarray], file: Path, title: str) -> None:
    """Pool and macro accuracy by labels, mean and 95 % of the mean over seeds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    for axes, column in zip(figure.subplots(1, 2), (1, 2), strict=True):
        for name, curve in curves.items():
            mean = curve.mean(axis=0)
            half = 1.96 * curve[:, :, column].std(axis=0) / math.sqrt(len(curve))
            (line,) = axes.plot(mean[:, 0], mean[:, column], label=name, linewidth=2 if name == "product" else 1)
            axes.fill_between(
                mean[:, 0], mean[:, column] - half, mean[:, column] + half, alpha=0.15, color=line.get_color()
            )
        axes.set_xlabel("labels")
        axes.set_ylabel(f"{MEASURES[column]} accuracy")
    axes.legend(frameon=False, fontsize=8)
    figure.suptitle(title)
    figure.savefig(file)


def main(arguments: list[str] | None = None) -> int:
    """Replay and print. Exit code 2, with a sentence, for what cannot be used."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.label_efficiency", description=(__doc__ or "").split("\n")[0]
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
    asked = parser.parse_args(arguments)
    chosen = tuple(STRATEGIES) if asked.strategies == "all" else tuple(asked.strategies.split(","))
    if unknown := set(chosen) - set(STRATEGIES):
        print(f"There is no strategy {sorted(unknown)[0]}; there are {', '.join(STRATEGIES)}.", file=sys.stderr)
        return 2
    chosen = ("random-track", *(name for name in chosen if name != "random-track"))
    setting = Setting(
        asked.budget,
        asked.query,
        asked.audit,
        asked.regime,
        asked.noise,
        asked.duplicates,
        asked.shuffled,
        asked.views,
        asked.from_zero,
    )
    began = time.monotonic()
    try:
        table = read_table(asked.crops)
    except CropsError as error:
        print(error, file=sys.stderr)
        return 2
    parts: list[dict[str, np.ndarray]] = []
    with ProcessPoolExecutor(asked.processes, mp_context=multiprocessing.get_context("spawn")) as workers:
        waiting = [workers.submit(replay, table, seed, chosen, setting) for seed in range(asked.seeds)]
        for seed, one in enumerate(waiting):
            parts.append(one.result())
            if not asked.json:
                shown = ", ".join(f"{name} {curve[-1, 1]:.3f}" for name, curve in parts[-1].items())
                print(f"seed {seed + 1} of {asked.seeds}: {shown}", file=sys.stderr, flush=True)
    rounds = min(len(curve) for part in parts for curve in part.values())
    curves = {name: np.stack([part[name][:rounds] for part in parts]) for name in chosen}
    told = summary(curves)
    if not asked.json:
        show(told)
    if asked.plot:
        draw(curves, asked.plot, f"{asked.crops.stem}, {asked.regime}, {asked.seeds} seeds, {asked.query} a round")
    print(
        json.dumps(
            {
                "benchmark": "label_efficiency", "crops": asked.crops.name, "individuals": table.n_individuals,
                "tracks": len(table.target), **vars(setting), "seeds": asked.seeds,
                "seconds": round(time.monotonic() - began, 1), "strategies": told,
            }
        )
    )  # fmt: skip
    return 0


def show(told: dict[str, dict[str, list[float | None]]]) -> None:
    """A table for people."""
    shown = ("pool", "macro", "future", "area")
    head = "".join(f"{name:>8}" for name in shown)
    print(f"{'':16}{'ratio':>23}{'ratio macro':>23}{head}{'found':>7}{'CPU s':>8}")
    for name, one in told.items():
        cells = [
            " to ".join("never" if v is None else f"{v:.2f}" for v in one[key][1:]) for key in ("ratio", "ratio_macro")
        ]
        firsts = ["never" if one[key][0] is None else f"{one[key][0]:.2f}" for key in ("ratio", "ratio_macro")]
        print(
            f"{name:16}"
            + "".join(f"{first:>7} ({cell:>14})" for first, cell in zip(firsts, cells, strict=True))
            + "".join(f"{one[key][0] or 0:8.3f}" for key in shown)
            + f"{one['found'][0] or 0:7.1f}{one['seconds'][0] or 0:8.3f}"
        )


if __name__ == "__main__":
    sys.exit(main())
