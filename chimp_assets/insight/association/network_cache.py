"""Networks that were counted recently.

Belongs here: how long a network, and the names and filmed tracks behind it, stay valid. Does not belong here: counting
them (`network`, `filmed_tracks`, `living.names`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import sqlalchemy as sa

from chimp_assets.insight.association.errors import LiveErrors, NameErrors
from chimp_assets.insight.association.estimates import Counted, counted
from chimp_assets.insight.association.filmed_tracks import FilmedTracks, filmed_tracks
from chimp_assets.insight.association.network import Network, of_counts
from chimp_assets.insight.association.network_estimates import NetworkEstimates, network_estimates
from chimp_assets.insight.association.periods.comparison import Comparison, comparison
from chimp_assets.insight.association.scope import Scope
from chimp_assets.insight.living.names import LiveNames
from chimp_assets.insight.living.stamps import Stamp, stamp_of
from chimp_assets.statistics.association.intervals import audit_draws
from chimp_assets.statistics.association.misclassification import AuditedNames

Key = TypeVar("Key")
Made = TypeVar("Made")


@dataclass
class _Kept:
    counted: Counted
    network: Network
    estimates: NetworkEstimates | None = None


class NetworkCache:
    """Networks that were counted recently, because several pages show the same one. Counted again when anything behind
    them has changed; of the tracks and their names only what changed is read again.
    """

    def __init__(self, most: int = 8) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._networks: dict[tuple[Scope, Stamp], _Kept] = {}
        self._compared: dict[tuple[Scope, Scope, int | None, Stamp], Comparison] = {}
        self._names = LiveNames()
        self._errors = LiveErrors()
        self._filmed: tuple[tuple[object, ...], FilmedTracks] | None = None
        self._draws: tuple[tuple[int, bytes, bytes], np.ndarray] | None = None

    def network(self, conn: sa.Connection, asked: Scope) -> Network:
        """The same as `network`."""
        return self._counted(conn, asked).network

    def estimates(self, conn: sa.Connection, asked: Scope) -> NetworkEstimates:
        """The same as `network_estimates`."""
        kept = self._counted(conn, asked)
        if kept.estimates is None:
            kept.estimates = network_estimates(conn, kept.counted, self._audit_draws, self._errors_of)
        return kept.estimates

    def counted(self, conn: sa.Connection, asked: Scope) -> Counted:
        """The same as `counted`."""
        return self._counted(conn, asked).counted

    def comparison(self, conn: sa.Connection, before: Scope, after: Scope, who: int | None = None) -> Comparison:
        """The same as `comparison` of what was counted in both."""
        return self._kept(
            self._compared,
            (before, after, who, stamp_of(conn)),
            lambda: comparison(
                conn, self.counted(conn, before), self.counted(conn, after), who, self._audit_draws, self._errors_of
            ),
        )

    def _counted(self, conn: sa.Connection, asked: Scope) -> _Kept:
        stamp = stamp_of(conn)

        def count() -> _Kept:
            counts = counted(conn, asked, self._filmed_tracks(conn, stamp), self._names.current(conn, stamp))
            return _Kept(counts, of_counts(conn, counts))

        return self._kept(self._networks, (asked, stamp), count)

    def _kept(self, kept: dict[Key, Made], key: Key, make: Callable[[], Made]) -> Made:
        with self._lock:
            found = kept.get(key)
        if found is None:
            found = make()
            with self._lock:
                kept.pop(key, None)
                kept[key] = found
                while len(kept) > self._most:
                    kept.pop(next(iter(kept)))
        return found

    def tracks(self, conn: sa.Connection) -> FilmedTracks:
        """The same as `filmed_tracks`."""
        return self._filmed_tracks(conn, stamp_of(conn))

    def _filmed_tracks(self, conn: sa.Connection, stamp: Stamp) -> FilmedTracks:
        """Separate from the networks: an answer does not change which tracks exist."""
        with self._lock:
            known = self._filmed
        if known is None or known[0] != stamp.filmed:
            known = stamp.filmed, filmed_tracks(conn)
            with self._lock:
                self._filmed = known
        return known[1]

    def _errors_of(self, conn: sa.Connection, model_id: int | None, probability: float) -> NameErrors:
        return self._errors.current(conn, stamp_of(conn), model_id, probability)

    def _audit_draws(self, names: AuditedNames) -> np.ndarray:
        """The same as `audit_draws`: most answers are none of the audit, and leave it as it is."""
        key = names.n, names.true.tobytes(), names.named.tobytes()
        with self._lock:
            known = self._draws
        if known is None or known[0] != key:
            known = key, audit_draws(names)
            with self._lock:
                self._draws = known
        return known[1]
