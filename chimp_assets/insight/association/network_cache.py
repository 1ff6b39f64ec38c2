"""Networks that were counted recently.

Belongs here: how long a network and the filmed tracks behind it stay valid. Does not belong here: counting them
(`network`, `filmed_tracks`).
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.insight.association.estimates import Counted, counted
from chimp_assets.insight.association.filmed_tracks import FilmedTracks, filmed_tracks
from chimp_assets.insight.association.network import Network, of_counts
from chimp_assets.insight.association.network_estimates import NetworkEstimates, network_estimates
from chimp_assets.insight.association.periods.comparison import Comparison, comparison
from chimp_assets.insight.association.scope import Scope


@dataclass
class _Kept:
    counted: Counted
    network: Network
    estimates: NetworkEstimates | None = None


class NetworkCache:
    """Networks that were counted recently, because several pages show the same one. Counted again when anything behind
    them has changed, or after some minutes.
    """

    def __init__(self, most: int = 8, seconds: float = 300.0) -> None:
        self._most, self._seconds = most, seconds
        self._lock = threading.Lock()
        self._found: dict[tuple[Any, ...], tuple[float, _Kept]] = {}
        self._compared: dict[tuple[Any, ...], tuple[float, Comparison]] = {}
        self._filmed: tuple[float, tuple[Any, ...], FilmedTracks | None] = (0.0, (), None)

    def network(self, conn: sa.Connection, asked: Scope) -> Network:
        """The same as `network`."""
        return self._counted(conn, asked).network

    def estimates(self, conn: sa.Connection, asked: Scope) -> NetworkEstimates:
        """The same as `network_estimates`."""
        kept = self._counted(conn, asked)
        if kept.estimates is None:
            kept.estimates = network_estimates(conn, kept.counted)
        return kept.estimates

    def counted(self, conn: sa.Connection, asked: Scope) -> Counted:
        """The same as `counted`."""
        return self._counted(conn, asked).counted

    def comparison(self, conn: sa.Connection, before: Scope, after: Scope) -> Comparison:
        """The same as `comparison` of what was counted in both."""
        key = (before, after, *_state(conn))
        with self._lock:
            at, found = self._compared.get(key, (0.0, None))
        if found is None or time.monotonic() - at > self._seconds:
            found = comparison(conn, self.counted(conn, before), self.counted(conn, after))
            with self._lock:
                self._compared.pop(key, None)
                self._compared[key] = (time.monotonic(), found)
                while len(self._compared) > self._most:
                    self._compared.pop(next(iter(self._compared)))
        return found

    def _counted(self, conn: sa.Connection, asked: Scope) -> _Kept:
        key = (asked, *_state(conn))
        with self._lock:
            at, found = self._found.get(key, (0.0, None))
        if found is None or time.monotonic() - at > self._seconds:
            counts = counted(conn, asked, self.tracks(conn))
            found = _Kept(counts, of_counts(conn, counts))
            with self._lock:
                self._found.pop(key, None)
                self._found[key] = (time.monotonic(), found)
                while len(self._found) > self._most:
                    self._found.pop(next(iter(self._found)))
        return found

    def tracks(self, conn: sa.Connection) -> FilmedTracks:
        """The same as `filmed_tracks`. Separate from the networks: an answer does not change which tracks exist."""
        newest = sa.select(sa.func.max(t.track.c.track_id)).scalar_subquery()
        key = tuple(conn.execute(sa.select(newest, sa.select(sa.func.max(t.video.c.video_id)).scalar_subquery())).one())
        with self._lock:
            read, known, filmed = self._filmed
        if filmed is None or known != key or time.monotonic() - read > self._seconds:
            filmed = filmed_tracks(conn)
            with self._lock:
                self._filmed = time.monotonic(), key, filmed
        return filmed


def _state(conn: sa.Connection) -> tuple[Any, ...]:
    """Numbers that change whenever names, merges, biographies or the predictions of the champion do."""
    m, b = t.model.c, t.bundle_score.c
    head = sa.select(m.model_id).where(m.task == "head", m.state == "champion").scalar_subquery()
    numbers = (t.annotation.c.seq, t.individual_merge.c.merge_id, t.biography_log.c.log_id)
    newest = [sa.func.max(number) for number in numbers]
    row = conn.execute(
        sa.select(
            *(sa.select(one).scalar_subquery() for one in newest),
            head,
            sa.select(sa.func.count()).select_from(t.bundle_score).where(b.model_id == head).scalar_subquery(),
        )
    ).one()
    return tuple(row)
