"""Ways of choosing what an expert is state next: the product's plan, its challengers, an oracle.

Belongs here: strategies, and what a strategy may look at. Does not belong here: the replay that asks them (`replay`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from chimp_assets.acquisition.plan import AUDIT, REPEAT, Policy, plan
from chimp_assets.acquisition.pool import UNLABELLED, LinearHead, TrackPool
from chimp_assets.acquisition.ridge import Ridge
from chimp_assets.loop.plan import half_is_well_known
from chimp_assets.settings import AcquisitionSettings, SpreadBy

SHARPNESS = 6.0
"""Ridge scores times this are logits: only entropy, BADGE and UHerding need chances."""
TRAINING = {k: v for k, v in AcquisitionSettings().warm_shares.items() if k not in (AUDIT, REPEAT)}
WARM = {lane: share / sum(TRAINING.values()) for lane, share in TRAINING.items()}
"""The product's shares among the lanes that teach; --audit says what the others take."""


@dataclass
class ReplayState:
    """What a strategy may look at: vectors of the rows that may be state, and of those answered. All f32 [n, D]."""

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


Strategy = Callable[[ReplayState, int], np.ndarray]


def random_tracks(state: ReplayState, b: int) -> np.ndarray:
    return state.rng.permutation(state.open_rows)[:b]


def _random_frame(state: ReplayState, b: int) -> np.ndarray:
    """As one who labels frames in the order of the archive does: whole sessions, one after the other."""
    groups = np.unique(state.group[state.open_rows])
    place = state.rng.permutation(len(groups))[np.searchsorted(groups, state.group[state.open_rows])]
    return state.open_rows[np.argsort(place, kind="stable")[:b]]


def _smallest(state: ReplayState, score: np.ndarray, b: int) -> np.ndarray:
    return state.open_rows[np.lexsort((state.open_rows, score))[:b]]


def _margin(state: ReplayState, b: int) -> np.ndarray:
    return _smallest(state, state.margins(), b)


def _entropy(state: ReplayState, b: int) -> np.ndarray:
    p = state.chances()
    return _smallest(state, (p * np.log(p + 1e-12)).sum(axis=1), b)


def _k_center(state: ReplayState, b: int) -> np.ndarray:
    """Core-Set (Sener and Savarese 2018), greedy: the row farthest from all that are chosen."""
    open_emb = state.vectors[state.open_rows]
    known = state.vectors[state.labelled]
    nearest = (open_emb @ known.T).max(axis=1) if len(known) else np.full(len(open_emb), -1.0)
    chosen: list[int] = []
    for _ in range(min(b, len(open_emb))):
        at = int(np.argmin(nearest))
        chosen.append(at)
        nearest = np.maximum(nearest, open_emb @ open_emb[at])
        nearest[chosen] = np.inf
    return state.open_rows[chosen]


def _badge(state: ReplayState, b: int) -> np.ndarray:
    """BADGE (Ash 2020): k-means++ on gradient embeddings, their products factorised into chances times vectors."""
    p = state.chances()
    q = -p
    q[np.arange(len(q)), p.argmax(axis=1)] += 1
    x = state.vectors[state.open_rows].astype(float)
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
            chosen.append(int(state.rng.choice(left)))
            continue
        chosen.append(int(state.rng.choice(len(x), p=distance / total)))
    return state.open_rows[chosen]


def _direct(state: ReplayState, b: int) -> np.ndarray:
    """DIRECT (Nuggehalli 2025), reduced to its selection: for each class, rarest first, the rows nearest to its
    one-versus-rest boundary."""
    assert state.ridge is not None
    score = state.scores()
    other = np.partition(score, -2, axis=1)
    best, second = other[:, -1], other[:, -2]
    against = np.where(score == best[:, None], second[:, None], best[:, None])
    distance = np.abs(score - against)
    counts = np.array([(state.names == c).sum() for c in state.ridge.classes])
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
    return state.open_rows[chosen]


def _uherding(state: ReplayState, b: int, most: int = 4_000) -> np.ndarray:
    """UHerding (Bae 2025): greedy coverage of the pool, weighted by uncertainty, on a subsample; the kernel's width
    shrinks with the nearest labelled distance."""
    rows = state.rng.permutation(state.open_rows)[:most]
    place = np.searchsorted(state.open_rows, rows)
    x, known = state.vectors[rows], state.vectors[state.labelled]
    doubt = 1 - state.margins()[place] if state.ridge is not None and len(state.ridge.classes) > 1 else np.ones(len(x))
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


def _oracle(state: ReplayState, b: int) -> np.ndarray:
    """No strategy, but what one could reach that knows which tracks are named wrongly: these first, individuals in
    turns, most wrong tracks first, the most typical of each; then the smallest margins."""
    assert state.ridge is not None
    assert state.truth is not None
    rows = state.open_rows
    wrong = rows[state.ridge.names(state.vectors[rows]) != state.truth[rows]]
    turn, n_wrong = np.empty(len(wrong), int), np.empty(len(wrong), int)
    for who in np.unique(state.truth[wrong]):
        own = np.flatnonzero(state.truth[wrong] == who)
        vectors = state.vectors[wrong[own]]
        turn[own[np.argsort(-(vectors @ vectors.T).mean(axis=1), kind="stable")]] = np.arange(len(own))
        n_wrong[own] = len(own)
    first = wrong[np.lexsort((wrong, -n_wrong, turn))][:b]
    others = replace(state, open_rows=np.setdiff1d(rows, first))
    return np.concatenate([first, _margin(others, b - len(first))])


def _planned(shares: dict[str, float], spread_by: SpreadBy = "distance") -> Strategy:
    """The product's plan: cold until the rule of `planning` calls it warm; always cold without shares."""

    def strategy(state: ReplayState, b: int) -> np.ndarray:
        rows = np.sort(np.concatenate([state.open_rows, state.labelled]))
        label = np.full(len(rows), UNLABELLED, np.int32)
        label[np.searchsorted(rows, state.labelled)] = state.names
        none = np.zeros(len(rows), bool)
        group = state.group[rows].astype(np.int32)
        pool = TrackPool(
            state.vectors[rows].astype(np.float16), rows.astype(np.int64), label, np.ones(len(rows), np.float32),
            none, none, video=group,
        )  # fmt: skip
        ridge = state.ridge
        competent = state.accuracy is not None and (
            state.accuracy >= AcquisitionSettings().warm_accuracy or half_is_well_known(label, none)
        )
        if ridge is None or len(ridge.classes) < 2 or not shares or not competent:
            made = plan(pool, None, Policy("cold", {"typical": 1.0}), b, state.rng)
        else:
            head = LinearHead(
                (SHARPNESS * ridge.weight[:-1].T).astype(np.float32),
                (SHARPNESS * ridge.weight[-1]).astype(np.float32),
                classes=tuple(ridge.classes.tolist()),
            )
            made = plan(pool, head, Policy("warm", shares, video_cap=1 / 3, spread_by=spread_by), b, state.rng)
        return rows[made.rows]

    return strategy


def shuffled_margins(state: ReplayState, b: int) -> np.ndarray:
    """Margin sampling whose margins are shuffled: random, by way of the same code."""
    return _smallest(state, state.rng.permutation(state.margins()), b)


STRATEGIES: dict[str, Strategy] = {
    "random-track": random_tracks,
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
