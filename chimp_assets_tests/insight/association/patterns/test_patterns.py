"""Patterns of a study's network: the labels are those of the individuals, and too few are said to be too few."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from chimp_assets.home import Home
from chimp_assets.insight.association.network import Edge, Network, Node, network
from chimp_assets.insight.association.patterns.tested import patterns
from chimp_assets.insight.association.scope import Scope
from chimp_assets_tests.database.study_database import make_study, write_study


def test_a_planted_pattern_of_sex_is_found_and_no_other(home: Home) -> None:
    rng = np.random.default_rng(4)
    nodes = [Node(n + 1, f"I{n}", None, "F" if n < 8 else "M", None, 10, 10) for n in range(16)]
    edges = []
    for a in range(16):
        for b in range(a + 1, 16):
            x = int(rng.binomial(20, 0.5 if (a < 8) == (b < 8) else 0.15))
            if x:
                edges.append(Edge(a + 1, b + 1, x, 10, 10 - x // 2, 0, x))
    with home.database.read() as conn:
        found = {(one.kind, one.label): one.test for one in patterns(conn, Network(nodes, edges, 0, []), 499)}
    sex = found["within", "sex"]
    assert sex is not None
    assert sex.p < 0.01
    assert sex.observed > sex.high
    assert found["within", "community"] is None, "nobody's community is known"
    assert found["within", "matriline"] is None
    strength = found["strength", "sex"]
    assert strength is not None
    assert strength.n == 16


def test_a_small_study_says_too_few_and_nothing_fails(home: Home, tmp_path: Path) -> None:
    with home.database.read() as conn:
        assert all(one.test is None for one in patterns(conn, network(conn, Scope()), 9))
    write_study(home.database, make_study(3), tmp_path)
    with home.database.read() as conn:
        assert len(patterns(conn, network(conn, Scope("clip", probability=0.0)), 49)) == 4
