"""The rare lane: tracks like the few named tracks of an individual. Margins forget an animal with two labels."""

from __future__ import annotations

import numpy as np

from chimp_assets.acquisition.lanes.draft import Draft, LanePicks
from chimp_assets.acquisition.pool import I64Array, TrackPool
from chimp_assets.acquisition.pool_pass.arithmetic import Neighbours, ScoredRows
from chimp_assets.acquisition.scores import margins_of
from chimp_assets.acquisition.selectors import AnchorNeighbours, Candidates

MOST_ANCHORS = 64
"""Named tracks of rare individuals whose neighbours are looked for: their cosines cost what 64 classes cost."""

ANCHOR_NEIGHBOURS = 20
FEW_TRACKS = 5
"""Individuals with fewer named tracks are rare."""


def rare(draft: Draft, count: int, rng: np.random.Generator) -> LanePicks:
    """Neighbours of the anchors with small margins and large cosines; the individuals take turns, the rarest first."""
    assert draft.head is not None  # the lane needs a head, so the pass was made
    assert draft.found is not None
    pool, near = draft.pool, _nearest_anchors(_not_denied(draft, draft.found.neighbours))
    margin = margins_of(pool, draft.head, near.rows)
    nothing = np.zeros(len(near.rows), np.int32)
    found = draft.choosable(ScoredRows(near.rows, margin, nothing, near.likeness))
    place = {int(row): i for i, row in zip(near.anchor, near.rows, strict=True)}
    anchor = np.array([place[int(row)] for row in found.rows], np.int64)
    who = pool.state[draft.anchors[anchor]] if len(anchor) else np.empty(0, np.int32)
    n_named = pool.named_tracks()
    rarest = np.lexsort((who, [n_named[w] for w in who])) if len(who) else np.empty(0, np.int64)
    rank = {int(w): i for i, w in reversed(list(enumerate(who[rarest])))}
    anchor_of = np.array([rank[int(w)] for w in who], np.int32)
    candidates = Candidates.of(found.rows, pool.emb[found.rows], score=found.margin - found.maxlogit, top1=found.top1)
    choice = AnchorNeighbours(anchor_of).select(candidates, count, rng)
    reasons = [
        f"Looks like {draft.head.name_of_individual(int(w))}, of whom {n_named[w]} "
        + ("track is" if n_named[w] == 1 else "tracks are")
        + " named so far."
        for w in who[choice.positions]
    ]
    return LanePicks(found.rows[choice.positions], choice.propensity, reasons)


def rare_anchors(pool: TrackPool) -> I64Array:
    """Named tracks of individuals with fewer than FEW_TRACKS of them, the rarest first, at most MOST_ANCHORS. i64.

    Answers of the audit lane are not looked at.
    """
    n_named = pool.named_tracks()
    named = pool.learnt_of(np.flatnonzero((n_named > 0) & (n_named < FEW_TRACKS)))
    who = pool.state[named]
    return named[np.lexsort((named, who, n_named[who]))][:MOST_ANCHORS]


def _not_denied(draft: Draft, near: Neighbours) -> Neighbours:
    """Without rows beside anchors of an individual that people said they do not show."""
    denied, head = draft.pool.denied, draft.head
    if denied is None or not len(denied) or head is None:
        return near
    classes = np.array(head.classes or range(head.n_classes), np.int64)
    said = {(row, int(classes[class_no])) for row, class_no in denied.tolist()}
    who = draft.pool.state[draft.anchors[near.anchor]]
    kept = np.array([pair not in said for pair in zip(near.rows.tolist(), who.tolist(), strict=True)], bool)
    return Neighbours(near.anchor[kept], near.rows[kept], near.likeness[kept])


def _nearest_anchors(near: Neighbours) -> Neighbours:
    """Each row once, as the neighbour of the anchor that it is most like; the most alike first."""
    order = np.lexsort((near.anchor, -near.likeness, near.rows))
    order = order[np.r_[True, near.rows[order][1:] != near.rows[order][:-1]]] if len(order) else order
    order = order[np.argsort(-near.likeness[order], kind="stable")]
    return Neighbours(near.anchor[order], near.rows[order], near.likeness[order])
