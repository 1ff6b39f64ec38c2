"""What follows from names and same/different answers together: groups, contradictions, merges to propose.

Tracks are the nodes of a graph. "Same" joins two, "different" keeps two apart, a name belongs to one. From that follow
names that nobody had to give, and contradictions: somebody was wrong, and the shortest chain of answers that cannot all
be true is what a person should look at (Crall 2017 and LCA re-review the same chains).

Belongs here: the graph. Does not belong here: reading answers (`chimp_assets.loop.plan`), asking (`pairs`, `plan`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from chimp_assets.acquisition.pool import BoolArray, I32Array, I64Array

# scipy takes a quarter of a second to import, and most commands that may show conclusions have none to draw.
if TYPE_CHECKING:
    import scipy.sparse

NOBODY = -1


@dataclass(frozen=True)
class AnswerContradiction:
    """Answers that cannot all be true.

    two_names: a chain of "same" joins two individuals; kept_apart: a chain of "same", or one name, joins two tracks
    that somebody called "different". tracks: the chain, from one end to the other; individuals: the names of its ends
    (NOBODY: none).
    """

    kind: Literal["two_names", "kept_apart"]
    tracks: tuple[int, ...]
    individuals: tuple[int, int]


@dataclass(frozen=True)
class MergeProposal:
    """Two individuals that "same" answers join, one of them provisional: probably one animal. chain: the tracks."""

    provisional: int
    individual: int
    chain: tuple[int, ...]


@dataclass(frozen=True)
class Conclusions:
    """group: i32 [n], tracks that "same" answers join share one; implied: i32 [n], the name that follows for a track
    without one, else NOBODY: only where its group has a single name and no contradiction."""

    group: I32Array
    implied: I32Array
    contradictions: list[AnswerContradiction]
    proposals: list[MergeProposal]


def curate(
    n: int, name: I32Array, same: I64Array, different: I64Array, provisional: BoolArray | None = None
) -> Conclusions:
    """n tracks; name: i32 [n], NOBODY or an individual; same, different: i64 [m, 2], numbers of tracks.

    provisional: bool by individual: a name that is only a working name does not contradict another, it is proposed to
    be merged. Time and memory are linear in tracks and answers, but for the chains of what is wrong.
    """
    from scipy.sparse.csgraph import connected_components

    joined = _graph(n, same)
    _, group = connected_components(joined, directed=False)
    group = group.astype(np.int32)
    contradictions, proposals = _two_names(joined, group, name, provisional)
    contradictions += _kept_apart(joined, group, name, different)
    implied = np.full(n, NOBODY, np.int32)
    wrong = {int(group[found.tracks[0]]) for found in contradictions}
    wrong |= {int(group[found.chain[0]]) for found in proposals}
    named = np.flatnonzero(name != NOBODY)
    name_of_group = np.full(int(group.max(initial=-1)) + 1, NOBODY, np.int32)
    name_of_group[group[named]] = name[named]
    name_of_group[sorted(wrong)] = NOBODY
    silent = name == NOBODY
    implied[silent] = name_of_group[group[silent]]
    return Conclusions(group, implied, contradictions, proposals)


def _graph(n: int, same: I64Array) -> scipy.sparse.csr_array:
    import scipy.sparse

    one, other = (same[:, 0], same[:, 1]) if len(same) else (np.empty(0, np.int64), np.empty(0, np.int64))
    return scipy.sparse.csr_array((np.ones(len(one)), (one, other)), shape=(n, n))


def _two_names(
    joined: scipy.sparse.csr_array, group: I32Array, name: I32Array, provisional: BoolArray | None
) -> tuple[list[AnswerContradiction], list[MergeProposal]]:
    named = np.flatnonzero(name != NOBODY)
    group_names = np.unique(np.stack([group[named], name[named]]), axis=1)
    several = np.flatnonzero(np.bincount(group_names[0], minlength=1) > 1)
    contradictions: list[AnswerContradiction] = []
    proposals: list[MergeProposal] = []
    for g in several:
        members = np.flatnonzero(group == g)
        names = group_names[1][group_names[0] == g].tolist()
        # A documented name first: compared with a working one alone, two documented names would not be seen to quarrel.
        first = next((who for who in names if provisional is None or not provisional[who]), names[0])
        for other in (who for who in names if who != first):
            chain = _chain(joined, members, members[name[members] == first], members[name[members] == other])
            working = [who for who in (first, other) if provisional is not None and provisional[who]]
            if working:
                kept = other if working[0] == first else first
                proposals.append(MergeProposal(working[0], kept, chain))
            else:
                contradictions.append(AnswerContradiction("two_names", chain, (first, other)))
    return contradictions, proposals


def _kept_apart(
    joined: scipy.sparse.csr_array, group: I32Array, name: I32Array, different: I64Array
) -> list[AnswerContradiction]:
    found = []
    for one, other in different.tolist():
        ends = (int(name[one]), int(name[other]))
        if group[one] == group[other]:
            members = np.flatnonzero(group == group[one])
            found.append(AnswerContradiction("kept_apart", _chain(joined, members, [one], [other]), ends))
        elif ends[0] == ends[1] != NOBODY:
            found.append(AnswerContradiction("kept_apart", (one, other), ends))
    return found


def _chain(joined: scipy.sparse.csr_array, members: I64Array, starts: object, ends: object) -> tuple[int, ...]:
    """The shortest chain of "same" from any start to any end, within one group."""
    from scipy.sparse.csgraph import dijkstra

    place = {int(m): i for i, m in enumerate(members)}
    inside = joined[members][:, members]
    first = [place[int(s)] for s in np.asarray(starts)]
    last = [place[int(e)] for e in np.asarray(ends)]
    distance, before, _ = dijkstra(
        inside, directed=False, indices=first, unweighted=True, min_only=True, return_predecessors=True
    )
    at = min(last, key=lambda i: (distance[i], i))
    chain = [at]
    while before[chain[-1]] >= 0:
        chain.append(int(before[chain[-1]]))
    return tuple(int(members[i]) for i in reversed(chain))
