"""Estimates of all pairs of a network, and what they rest on.

Belongs here: which head's errors are taken out. Does not belong here: the estimates (`estimates`), pages.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from chimp_assets.insight.association.errors import NameErrors, name_errors
from chimp_assets.insight.association.estimates import Counted, EdgeEstimate, Effort, estimate


@dataclass(frozen=True)
class NetworkEstimates:
    """of: estimate of each pair that was together, by keys a < b; errors: what names were corrected by; effort;
    untimed: tracks left out since the unit needs a time of day; dependants: tracks left out of them, None where they
    count."""

    of: dict[tuple[int, int], EdgeEstimate]
    errors: NameErrors
    effort: Effort
    untimed: int
    dependants: int | None = None


def network_estimates(conn: sa.Connection, found: Counted) -> NetworkEstimates:
    """Estimates of what was counted, with the errors of the head that gave names, from the threshold of the scope
    on."""
    head = found.heads[-1] if found.heads else None
    errors = name_errors(conn, head, found.scope.probability or 0.0)
    out = None if found.dependants is None else found.dependants.tracks
    return NetworkEstimates({(e.a, e.b): e for e in estimate(found, errors)}, errors, found.effort, found.untimed, out)
