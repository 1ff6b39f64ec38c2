"""Patterns of a network by sex, community and matriline, each with a node-label permutation test.

Belongs here: labels of individuals, and which tests are made. Does not belong here: the test (`statistics`), counting
(`network`), words.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from chimp_assets.insight.association.network import Network
from chimp_assets.statistics.association.label_permutation import (
    DRAWS,
    PermutationTest,
    strength_of_groups,
    within_groups,
)

LABELS = ("sex", "community", "matriline")


@dataclass(frozen=True)
class Pattern:
    """What was tested. kind: within (pairs of one label against other pairs) or strength (a group against all others);
    label: sex, community or matriline; group: of strength; test: None where there are too few individuals."""

    kind: str
    label: str
    group: str | None
    test: PermutationTest | None


def patterns(conn: sa.Connection, found: Network, draws: int = DRAWS) -> list[Pattern]:
    """Every test of a network, on simple ratio indices; pairs that were never together count as 0.

    Individuals that were not seen are left out. Many tests are made: see `holm` in `statistics.multiplicity`.
    """
    nodes = [node for node in found.nodes if node.days]
    place = {node.key: n for n, node in enumerate(nodes)}
    weight = np.zeros((len(nodes), len(nodes)))
    for edge in found.edges:
        if edge.a in place and edge.b in place:
            weight[place[edge.a], place[edge.b]] = weight[place[edge.b], place[edge.a]] = edge.sri
    line = _matrilines(conn)
    words = {
        "sex": [node.sex if node.sex in ("F", "M") else None for node in nodes],
        "community": [node.community for node in nodes],
        "matriline": [line.get(node.key) for node in nodes],
    }
    made = [Pattern("within", label, None, within_groups(weight, _numbers(words[label]), draws)) for label in LABELS]
    return [
        *made,
        Pattern("strength", "sex", "F", strength_of_groups(weight, _sexes(words["sex"]), 0, draws)),
    ]


def _numbers(words: list[str | None]) -> np.ndarray:
    known = sorted({word for word in words if word is not None})
    return np.array([-1 if word is None else known.index(word) for word in words], np.int64)


def _sexes(words: list[str | None]) -> np.ndarray:
    return np.array([{"F": 0, "M": 1}.get(word or "", -1) for word in words], np.int64)


def _matrilines(conn: sa.Connection) -> dict[int, str]:
    v = sa.table("v_matriline", sa.column("individual_id"), sa.column("matriline")).c
    return {int(key): line for key, line in conn.execute(sa.select(v.individual_id, v.matriline))}
