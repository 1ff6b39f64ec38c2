"""How often the champion takes one individual for another, from the answers of the audit.

Belongs here: reading the answers. Does not belong here: the matrix and its inverse
(`statistics.association.misclassification`), what it does to networks (`estimates`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.parameters import rows_in_parts
from chimp_assets.insight.living.newer_decisions import tracks_told_of, with_heirs
from chimp_assets.insight.living.stamps import Stamp
from chimp_assets.statistics.association.misclassification import NO_NAME, AuditedNames

_audit = sa.table(
    "v_audit_answer",
    sa.column("model_id", sa.BigInteger),
    sa.column("track_id", sa.BigInteger),
    sa.column("true_id", sa.BigInteger),
    sa.column("predicted_id", sa.BigInteger),
    sa.column("probability", sa.Double),
)


@dataclass(frozen=True)
class NameErrors:
    """Answers of the audit beside the names of a head. true, named: keys of individuals, i64 [n_answers]; named is
    NO_NAME where the head gave no name, or one below the threshold. strangers: audited tracks of individuals that
    people did not know, which the matrix does not hold."""

    model_id: int | None
    true: np.ndarray
    named: np.ndarray
    strangers: int = 0

    @property
    def n_answers(self) -> int:
        """Answers that the matrix rests on."""
        return len(self.true)

    @property
    def accuracy(self) -> float | None:
        """Share of names given that are right; None without one."""
        given = self.named != NO_NAME
        return float((self.named == self.true)[given].mean()) if given.any() else None

    @property
    def says_enough(self) -> bool:
        """Whether names can be corrected with it; so it is without names by a model."""
        return self.model_id is None or self.of([]).says_enough

    def of(self, keys: Sequence[int]) -> AuditedNames:
        """The answers by place in keys; individuals of answers that are not among them come after."""
        given = self.named[self.named != NO_NAME]
        more = np.setdiff1d(np.concatenate([self.true, given]), np.asarray(keys, np.int64))
        everybody = np.concatenate([np.asarray(keys, np.int64), more])
        order = np.argsort(everybody)
        true = order[np.searchsorted(everybody, self.true, sorter=order)] if len(everybody) else self.true
        named = np.full(len(self.named), NO_NAME)
        at = self.named != NO_NAME
        named[at] = order[np.searchsorted(everybody, given, sorter=order)]
        return AuditedNames(len(everybody), true, named)


ErrorsOf = Callable[[sa.Connection, int | None, float], NameErrors]
"""`name_errors`, or one that remembers what it read."""
AuditRows = dict[int, tuple[int | None, int | None, float | None]]
"""Of each audited track: who it is (None: people do not know), whom the head names (None: nobody), how probable."""


def champion_errors(conn: sa.Connection, probability: float = 0.0) -> NameErrors:
    """Answers about names of the champion head; none before there is one."""
    m = t.model.c
    return name_errors(
        conn, conn.scalar(sa.select(m.model_id).where(m.task == "head", m.state == "champion")), probability
    )


def name_errors(conn: sa.Connection, model_id: int | None, probability: float = 0.0) -> NameErrors:
    """Answers about names of this head from this probability on; None: names by persons, which are taken as true."""
    return errors_of({} if model_id is None else audit_rows(conn, model_id), model_id, probability)


def audit_rows(conn: sa.Connection, model_id: int, tracks: Collection[int] | None = None) -> AuditRows:
    """Answers of the audit about these tracks, or about all. The view is asked about some tracks at a time: asked about
    all, it looks up for each of a million answers whether the audit drew it."""
    v = _audit.c
    rows = rows_in_parts(
        conn,
        lambda part: sa.select(v.track_id, v.true_id, v.predicted_id, v.probability).where(
            v.model_id == model_id, v.track_id.in_(part)
        ),
        with_heirs(conn, audited_tracks(conn)) if tracks is None else tracks,
    )
    return {row.track_id: (row.true_id, row.predicted_id, row.probability) for row in rows}


def audited_tracks(conn: sa.Connection, after: int = 0) -> set[int]:
    """Tracks that the audit asked about, by decisions after a number."""
    a = t.annotation.c
    return set(conn.scalars(sa.select(a.track_id).where(a.lane == "audit", a.track_id > 0, a.seq > after)))


def errors_of(rows: AuditRows, model_id: int | None, probability: float) -> NameErrors:
    """The answers as columns, by ascending track."""
    known = [rows[track] for track in sorted(rows) if rows[track][0] is not None]
    named = [who if who is not None and (chance or 0.0) >= probability else NO_NAME for _, who, chance in known]
    true = np.array([one[0] for one in known], np.int64)
    return NameErrors(model_id, true, np.array(named, np.int64), len(rows) - len(known))


class LiveErrors:
    """Answers of the audit that are read once and kept current: what newer decisions are about is read again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: tuple[int, set[int]] = (0, set())
        self._kept: tuple[Stamp, int, AuditRows] | None = None

    def current(self, conn: sa.Connection, stamp: Stamp, model_id: int | None, probability: float) -> NameErrors:
        """The same as `name_errors`. stamp: read in the same snapshot."""
        if model_id is None:
            return errors_of({}, None, probability)
        with self._lock:
            rows = self._with_newer(conn, stamp, model_id)
            if rows is None:
                # Events stay, so those of the audit are looked for once, whatever else changes.
                if stamp.seq > self._asked[0]:
                    self._asked = stamp.seq, self._asked[1] | audited_tracks(conn, self._asked[0])
                rows = audit_rows(conn, model_id, with_heirs(conn, self._asked[1]))
            self._kept = stamp, model_id, rows
        return errors_of(rows, model_id, probability)

    def _with_newer(self, conn: sa.Connection, stamp: Stamp, model_id: int) -> AuditRows | None:
        if self._kept is None:
            return None
        known, of_model, rows = self._kept
        if (known.names, known.filmed, of_model) != (stamp.names, stamp.filmed, model_id) or known.seq > stamp.seq:
            return None
        if known.seq == stamp.seq:
            return rows
        again = tracks_told_of(conn, known.seq, stamp.seq)
        if again is None:
            return None
        told = set(again)
        left = {track: row for track, row in rows.items() if track not in told}
        return left | audit_rows(conn, model_id, again)
