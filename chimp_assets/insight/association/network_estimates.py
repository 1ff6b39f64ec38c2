"""Estimates of all pairs of a network, and what they rest on.

Belongs here: which head's errors are taken out. Does not belong here: the estimates (`estimates`), pages.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import sqlalchemy as sa

from chimp_assets.insight.association.errors import NameErrors, name_errors
from chimp_assets.insight.association.estimates import (
    AuditDraws,
    Counted,
    EdgeEstimate,
    Effort,
    SampledPairs,
    estimate,
    sampled_pairs,
)
from chimp_assets.statistics.association.intervals import audit_draws


@dataclass
class NetworkEstimates:
    """of: estimate of each pair that was asked for, by keys a < b; errors: what names were corrected by; effort;
    untimed: tracks left out since the unit needs a time of day. Intervals take a second for ten thousand pairs, and a
    page shows a few hundred: `tell` reckons those that are missing."""

    made: SampledPairs
    errors: NameErrors
    effort: Effort
    untimed: int
    of: dict[tuple[int, int], EdgeEstimate] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def tell(self, pairs: Iterable[tuple[int, int]] | None = None) -> dict[tuple[int, int], EdgeEstimate]:
        """`of`, with these pairs of individuals that were together; with every one if None."""
        found, counts = self.made.found, self.made.found.counts
        with self._lock:
            if pairs is None:
                rows = None
            else:
                missing = [pair for pair in pairs if pair not in self.of]
                place = {key: n for n, key in enumerate(found.keys)}
                code = np.array([place[a] * counts.n + place[b] for a, b in missing], np.int64)
                rows = np.searchsorted(counts.a * counts.n + counts.b, code)
            if rows is None or len(rows):
                self.of |= {(e.a, e.b): e for e in estimate(self.made, rows)}
        return self.of


def network_estimates(conn: sa.Connection, found: Counted, draws: AuditDraws = audit_draws) -> NetworkEstimates:
    """Estimates of what was counted, with the errors of the head that gave names, from the threshold of the scope on;
    of no pair yet. draws: makes or remembers inverses of errors."""
    head = found.heads[-1] if found.heads else None
    errors = name_errors(conn, head, found.scope.probability or 0.0)
    return NetworkEstimates(sampled_pairs(found, errors, draws), errors, found.effort, found.untimed)
