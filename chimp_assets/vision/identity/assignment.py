"""One animal is in one place at a time: tracks that overlap in time in one video are named jointly.

Belongs here: the joint names and their probabilities, from arrays alone. Does not belong here: which names are
plausible on a day (`plausibility`), the head that proposes names, SQL.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.optimize
import scipy.sparse

# Rounds of belief propagation between simultaneous tracks: exact for two tracks after one round, close for more.
ROUNDS = 3
LEAST_SHARED = 1e-3  # probability that two tracks share a name, below which they are named independently
TOP = 8  # candidate names of each track in a conflict
NOBODY = -1


@dataclass(frozen=True)
class JointNames:
    """Names of tracks named jointly. probability: f32 [n, C], rows add up to at most 1, the rest is "none of these";
    column: i64 [n], the joint name of each track, or NOBODY if every likely name is another track's; changed: bool [n],
    the joint name differs from the one that the track alone would have."""

    probability: np.ndarray
    column: np.ndarray
    changed: np.ndarray


def name_together(
    probability: np.ndarray,
    unknown: np.ndarray,
    video: np.ndarray,
    first_s: np.ndarray,
    last_s: np.ndarray,
    possible: np.ndarray | None = None,
) -> JointNames:
    """Names and probabilities of tracks, given that overlapping tracks of a video are different animals.

    probability: f32 [n, C], calibrated, of each track alone; unknown: f32 [n] in (0, 1), prior probability that the
    track shows none of the classes; video: i64 [n]; first_s, last_s: f64 [n], both ends belong to the track; possible:
    f32 [n, C] in [0, 1], weight of each name; of weight 0 it has probability 0. A track that overlaps no other keeps
    its probabilities if every name has weight 1. Marginals by belief propagation (exact for two tracks at once); where
    two overlapping tracks would still share a name, the likeliest joint assignment decides (Kuhn 1955, by scipy), and
    ranks follow it.
    Memory: a few arrays n x C and pairs x C of f32.
    """
    alone = probability.argmax(1) if probability.shape[1] else np.zeros(len(probability), dtype=np.int64)
    chance = probability * (1 - unknown)[:, None].astype(np.float32)
    never = None
    if possible is not None:
        chance *= possible
        never = possible == 0
    of_none = unknown.astype(np.float32)
    total = chance.sum(1) + of_none
    chance /= total[:, None]
    of_none = of_none / total
    one, other = overlapping(video, first_s, last_s)
    half = len(one) // 2
    # Two tracks that share no likely name do not influence each other: most pairs, when the head is confident.
    matters = np.tile(np.einsum("ij,ij->i", chance[one[:half]], chance[other[:half]]) > LEAST_SHARED, 2)
    joint, none = _marginals(chance, of_none, one[matters], other[matters])
    # Probabilities of single tracks are conditional on a known animal; keep that scale.
    joint /= (1 - unknown)[:, None].astype(np.float32)
    joint = np.minimum(joint, 1.0) / np.maximum(1.0, joint.sum(1, keepdims=True))
    if never is not None:
        joint[never] = 0
    column = joint.argmax(1)
    clash = column[one] == column[other]
    if clash.any():
        _settle(joint, none, column, one, other, clash, first_s)
    if never is not None and never.any():
        column[joint[np.arange(len(joint)), column] <= 0] = NOBODY
    return JointNames(joint.astype(np.float32), column, column != alone)


def overlapping(video: np.ndarray, first_s: np.ndarray, last_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of tracks of one video that overlap in time, in both orders: i64 [2 p] each."""
    order = np.lexsort((first_s, video))
    v, first, last = video[order], first_s[order], last_s[order]
    ones, others = [], []
    step, still = 1, np.arange(len(order))
    # If the track `step` places later does not overlap, no later one does.
    while True:
        still = still[still + step < len(order)]
        still = still[(v[still + step] == v[still]) & (first[still + step] <= last[still])]
        if not len(still):
            break
        ones.append(order[still])
        others.append(order[still + step])
        step += 1
    if not ones:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    one, other = np.concatenate(ones), np.concatenate(others)
    return np.concatenate([one, other]), np.concatenate([other, one])


def _marginals(
    chance: np.ndarray, of_none: np.ndarray, one: np.ndarray, other: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Belief propagation on pairs: f32 [n, C] and the probability of none f32 [n]. Pearl 1982."""
    if not len(one):
        return chance.copy(), of_none
    n, pairs = len(chance), len(one)
    half = pairs // 2
    back = np.concatenate([np.arange(half, pairs), np.arange(half)])  # the same pair in the other order
    gather = scipy.sparse.csr_matrix((np.ones(pairs, np.float32), (one, np.arange(pairs))), shape=(n, pairs))
    lone = np.bincount(one, minlength=n).max() == 1
    log_chance = np.log(np.maximum(chance, np.float32(1e-30)))
    message = np.log1p(-np.minimum(chance[other], np.float32(1 - 1e-6)))  # messages from `other` to `one`
    for _ in range(0 if lone else ROUNDS - 1):
        evidence = log_chance + gather @ message
        # Belief of `other` without the message of `one`.
        belief = evidence[other] - message[back]
        top = np.maximum(belief.max(1), np.log(of_none[other]))
        belief = np.exp(belief - top[:, None])
        belief /= (belief.sum(1) + np.exp(np.log(of_none[other]) - top))[:, None]
        message = np.log1p(-np.minimum(belief, np.float32(1 - 1e-6)))
    evidence = log_chance + gather @ message
    top = np.maximum(evidence.max(1), np.log(of_none))
    joint, none = np.exp(evidence - top[:, None]), np.exp(np.log(of_none) - top)
    total = joint.sum(1) + none
    return joint / total[:, None], none / total


def _settle(
    joint: np.ndarray,
    none: np.ndarray,
    column: np.ndarray,
    one: np.ndarray,
    other: np.ndarray,
    clash: np.ndarray,
    first_s: np.ndarray,
) -> None:
    """Name the tracks around each clash, moment by moment; changes joint and column in place."""
    n = len(joint)
    neighbours = np.split(other[np.argsort(one, kind="stable")], np.cumsum(np.bincount(one, minlength=n))[:-1])
    rows = np.unique(one[clash])
    decided = np.ones(n, dtype=bool)
    decided[rows] = False
    # Undecided tracks seen at one moment are named jointly; decided ones stay.
    for row in rows[np.argsort(first_s[rows], kind="stable")]:
        if decided[row]:
            continue
        near = neighbours[row]
        # The neighbours of this one that all overlap each other.
        moment = [row]
        for candidate in near[np.argsort(first_s[near], kind="stable")]:
            if not decided[candidate] and np.isin(moment, neighbours[candidate]).all():
                moment.append(candidate)
        taken = [{int(column[j]) for j in neighbours[i] if decided[j]} for i in moment]
        for i, name in zip(moment, _assigned(joint[moment], none[moment], taken), strict=True):
            column[i] = name
            decided[i] = True
    for row in rows:
        theirs = np.unique(column[neighbours[row]])
        theirs = theirs[(theirs != NOBODY) & (theirs != column[row])]
        if not len(theirs):
            continue
        own = joint[row].copy()
        own[theirs] = 0
        most = joint[row, column[row]] if column[row] != NOBODY else own.max()
        # A name of another track at this moment never ranks before the track's own.
        joint[row, theirs] = np.minimum(joint[row, theirs], most * np.float32(0.999))


def _assigned(joint: np.ndarray, none: np.ndarray, taken: list[set[int]]) -> list[int]:
    """The likeliest names of tracks seen at one moment, each name at most once, NOBODY as often as needed."""
    k = len(joint)
    top = min(TOP + k, joint.shape[1])
    names = np.unique(np.argpartition(-joint, top - 1, axis=1)[:, :top])
    cost = np.full((k, len(names) + k), 1e6)
    cost[:, : len(names)] = -np.log(np.maximum(joint[:, names], 1e-12))
    for i, theirs in enumerate(taken):
        cost[i, : len(names)][np.isin(names, list(theirs))] = 1e6
        cost[i, len(names) + i] = -np.log(max(float(none[i]), 1e-12))
    _, chosen = scipy.optimize.linear_sum_assignment(cost)
    return [int(names[j]) if j < len(names) else NOBODY for j in chosen]
