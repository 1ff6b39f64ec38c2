"""How often the champion takes one individual for another, from the answers of the audit.

Belongs here: reading the answers. Does not belong here: the matrix and its inverse
(`statistics.association.misclassification`), what it does to networks (`estimates`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema as t
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


def champion_errors(conn: sa.Connection, probability: float = 0.0) -> NameErrors:
    """Answers about names of the champion head; none before there is one."""
    m = t.model.c
    return name_errors(
        conn, conn.scalar(sa.select(m.model_id).where(m.task == "head", m.state == "champion")), probability
    )


def name_errors(conn: sa.Connection, model_id: int | None, probability: float = 0.0) -> NameErrors:
    """Answers about names of this head from this probability on; None: names by persons, which are taken as true."""
    nothing = np.zeros(0, np.int64)
    if model_id is None:
        return NameErrors(None, nothing, nothing)
    a = _audit.c
    found = conn.execute(
        sa.select(a.true_id, a.predicted_id, a.probability).where(a.model_id == model_id).order_by(a.track_id)
    ).all()
    known = [row for row in found if row.true_id is not None]
    named = [
        row.predicted_id if row.predicted_id is not None and (row.probability or 0.0) >= probability else NO_NAME
        for row in known
    ]
    true = np.array([row.true_id for row in known], np.int64)
    return NameErrors(model_id, true, np.array(named, np.int64), len(found) - len(known))
