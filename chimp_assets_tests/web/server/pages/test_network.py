"""Everybody with everybody: the same numbers as for two, places that stay, exports that say what they are."""

import csv
import io
import json
import re
from datetime import date
from itertools import combinations
from xml.etree import ElementTree

import numpy as np
import pytest
import sqlalchemy as sa

from chimp_assets.archive.storage.blobs import StoreError
from chimp_assets.database import schema as s
from chimp_assets.database.individuals.merges import merge_individuals
from chimp_assets.database.labels.events import record_events
from chimp_assets.insight.association.layout import StoredLayouts, laid_out
from chimp_assets.insight.association.network import network
from chimp_assets.insight.association.network_cache import NetworkCache
from chimp_assets.insight.association.scope import Scope
from chimp_assets.insight.association.together import TogetherQuery, together
from chimp_assets_tests.database.study_database import make_study, write_study
from chimp_assets_tests.database.world import event, track


@pytest.mark.parametrize(("rule", "probability"), [("clip", 0.0), ("clip", None), ("minutes", 0.0)])
def test_all_pairs_at_once_are_each_pair_alone(home, tmp_path, rule, probability):
    """The network and the page of two individuals contradict each other."""
    study = make_study(3)
    write_study(home.database, study, tmp_path)
    compared = 0
    with home.database.read() as conn:
        found = network(conn, Scope(rule, 15, probability=probability))
        edges = {(e.a, e.b): e for e in found.edges}
        key = {row.anim_id: row.individual_id for row in conn.execute(sa.select(s.individual))}
        for a, b in combinations(sorted(key[who] for who in study.people), 2):
            alone = together(conn, TogetherQuery((a, b), Scope(rule, 15, probability=probability))).indices[0]
            edge = edges.pop((a, b), None)
            assert (edge is not None) == (alone.x > 0), (a, b)
            if edge is not None:
                assert (edge.x, edge.y_a, edge.y_b, edge.y_ab) == (alone.x, alone.y_a, alone.y_b, alone.y_ab)
                assert (edge.sri, edge.hwi) == pytest.approx((alone.sri, alone.hwi))
                compared += 1
    assert edges == {}
    assert compared >= 1 + 2 * (probability is not None)


def by_codes(found):
    code = {node.key: node.anim_id for node in found.nodes}
    return {(code[e.a], code[e.b]): e for e in found.edges}


def test_what_rests_on_the_model_is_told_apart(archive):
    """A dashed line is drawn solid: guesses look like sightings that somebody has verified."""
    with archive.database.read() as conn:
        sure = by_codes(network(conn, Scope()))
        guessed = network(conn, Scope(probability=0.75))
        may = by_codes(network(conn, Scope(since=date(2013, 5, 8), until=date(2013, 5, 10))))
    assert {pair: (e.x, e.verified, e.rests_on_model) for pair, e in sure.items()} == {
        ("FF", "FI"): (3, 3, False), ("FF", "FD"): (1, 1, False), ("FI", "FD"): (1, 1, False),
    }  # fmt: skip
    edge = by_codes(guessed)["FF", "FI"]
    assert (edge.x, edge.verified, edge.rests_on_model, edge.too_few) == (5, 3, True, False)
    assert [key for key, _, _ in guessed.models] == [2]
    assert {pair: e.x for pair, e in may.items()} == {("FF", "FI"): 1, ("FF", "FD"): 1, ("FI", "FD"): 1}


def test_one_after_the_other_in_a_clip_is_not_in_the_same_frame(archive):
    """The rule that is shown is not the rule that was counted."""
    with archive.database.write() as conn:
        k = s.track.c
        conn.execute(sa.update(s.track).where(k.track_id == track(2, 0)).values(last_frame_no=3))
        conn.execute(sa.update(s.track).where(k.track_id == track(2, 1)).values(first_frame_no=6))
    with archive.database.read() as conn:
        assert by_codes(network(conn, Scope("frame")))["FF", "FI"].x == 2
        assert by_codes(network(conn, Scope("clip")))["FF", "FI"].x == 3


def test_merged_individuals_are_one_node(archive):
    """Somebody is drawn beside itself."""
    record_events(archive.database, [event("identify", track(8, 1), "GM")])
    merge_individuals(archive.database, "GM", "FF", why="the same scar")
    with archive.database.read() as conn:
        found = network(conn, Scope())
    assert [node.anim_id for node in found.nodes] == ["FD", "FF", "FI"]
    assert next(node for node in found.nodes if node.anim_id == "FF").tracks == 6


def test_what_is_kept_is_counted_anew_when_names_change(archive):
    """A correction is not seen in the network for as long as somebody looks at it."""
    kept = NetworkCache()

    def asked():
        with archive.database.read() as conn:
            return kept.network(conn, Scope(probability=0.5))

    first = asked()
    assert asked() is first
    record_events(archive.database, [event("identify", track(5, 1), "GM")])
    second = asked()
    assert by_codes(second)["FF", "FI"].x == by_codes(first)["FF", "FI"].x - 1
    merge_individuals(archive.database, "GM", "FF", why="the same scar")
    assert "GM" not in {node.anim_id for node in asked().nodes}


def test_places_stay_when_somebody_comes_on_every_replica(archive):
    """Nobody recognises a drawing in which everybody moves whenever a name is added, or another server answers."""
    one, other = (StoredLayouts(lambda: archive.store) for _ in range(2))

    def asked(layouts=one):
        with archive.database.read() as conn:
            found = network(conn, Scope())
        return layouts.places(found, lambda: found, "one")

    first = asked()
    assert len(set(first.values())) == len(first) == 3
    assert asked(other) == first
    record_events(archive.database, [event("identify", track(1, 2), "GM")])
    later = asked()
    assert len(later) == 4
    assert {key: later[key] for key in first} == first
    assert asked(other) == later, "a newcomer to its memory is in the store"
    archive.store.put("layouts/one.json", b"no JSON")
    assert asked() == later
    assert len(asked(StoredLayouts(lambda: archive.store))) == 4
    start = np.full((40, 2), np.nan)
    pairs = np.array([(a, b) for a in range(40) for b in range(a) if a % 2 == b % 2])
    lying = laid_out(start, pairs, np.ones(len(pairs)))
    assert np.array_equal(lying, laid_out(start, pairs, np.ones(len(pairs))))
    apart = np.linalg.norm(lying[:, None] - lying[None], axis=2)
    same = (np.arange(40)[:, None] % 2) == (np.arange(40)[None] % 2)
    assert apart[same].mean() < 0.7 * apart[~same].mean(), "who is seen together does not lie together"


def test_places_are_shown_without_the_store_and_never_replaced_by_others(archive, tmp_path):
    """A store that is away for a minute must take neither the page nor the places that everybody knows."""
    with archive.database.read() as conn:
        found = network(conn, Scope())

    def away():
        raise StoreError("The store cannot be reached.", "Wait.")

    assert len(StoredLayouts(away).places(found, lambda: found, "one")) == 3
    assert archive.store.head("layouts/one.json") is None
    # Those that a version before this one has kept in the home are taken over.
    kept = {str(node.key): (0.25, 0.5) for node in found.nodes}
    (tmp_path / "one.json").write_text(json.dumps(kept))
    layouts = StoredLayouts(lambda: archive.store, tmp_path)
    assert set(layouts.places(found, lambda: found, "one").values()) == {(0.25, 0.5)}
    assert archive.store.head("layouts/one.json") is not None


def test_drawing_matrix_and_table_hold_the_same(client):
    """Who cannot see the drawing learns less, or something else."""
    anna = client("anna")
    query = "few=1&names=model&p=0.5"
    drawing, matrix, table = (anna.get(f"/together/{tab}?{query}").text for tab in ("network", "matrix", "table"))
    assert drawing.count('class="edge') - 4 == 3, "three lines, and those of the key"
    assert 'class="edge by-model' in drawing
    assert '<a href="/individual/FF">Fifi</a> + <a href="/individual/FI">Fred</a>' in table
    for page in (matrix, table):
        assert "/together?with=FF,FI&amp;rule=frame&amp;names=model&amp;p=0.5" in page
    for page in (drawing, matrix, table):
        assert "head 1 (run 2)" in page
        assert "Labels up to decision 10" in page
        assert not re.search(r"\b(?:together|association)\.", page.replace("together.js", ""))
    assert "5 days or more. 3 pairs were together on fewer" in anna.get("/together/network").text
    assert "Nobody was seen" in anna.get("/together/table?since=2030-01-01").text


def test_exports_say_what_was_asked_of_which_state(client):
    """A network in a paper that nobody can make again."""
    anna = client("lotte")
    query = "few=1&names=model&p=0.5&rule=clip&until=2013-05-31&index=hwi"
    rows = list(csv.DictReader(io.StringIO(anna.get(f"/together/network.csv?{query}").text)))
    assert [rows[0][name] for name in ("a", "b", "x", "verified_days")] == ["FF", "FI", "5", "3"]
    assert {(row["rule"], row["until"], row["names"], row["models"], row["label_seq"]) for row in rows} == {
        ("clip", "2013-05-31", "model >= 0.5", "head 1 (run 2)", "10")
    }
    answer = anna.get(f"/together/network.graphml?{query}")
    assert "together_network.graphml" in answer.headers["content-disposition"]
    tree = ElementTree.fromstring(answer.content)
    space = {"g": "http://graphml.graphdrawing.org/xmlns"}
    graph = tree.find("g:graph", space)
    said = {data.get("key"): data.text for data in graph.findall("g:data", space)}
    assert (said["graph_rule"], said["graph_models"], said["graph_label_seq"]) == ("clip", "head 1 (run 2)", "10")
    assert {node.get("id") for node in graph.findall("g:node", space)} == {"FF", "FI", "FD", "GM"}
    declared = {key.get("id") for key in tree.findall("g:key", space)}
    used = {data.get("key") for data in tree.iter("{http://graphml.graphdrawing.org/xmlns}data")}
    assert used <= declared
    assert len(graph.findall("g:edge", space)) == len(rows) == 3


@pytest.mark.parametrize(
    "query",
    ["rule=magic", "p=7", "unit=frame&rule=clip", "least=2", "index=x", "minutes=99999", "least=nan", "unit=week"],
)
def test_what_cannot_be_asked_is_refused(client, query):
    """An error of the server, or an answer to another question."""
    assert client("lotte").get(f"/together/network?{query}").status_code == 422


@pytest.mark.parametrize("page", ["network", "matrix", "table", "network.csv", "network.graphml"])
def test_a_day_that_is_none_is_refused_and_not_passed_over(client, page):
    """`since=abc` showed everything there ever was, under an address that says otherwise."""
    lotte = client("lotte")
    for query in ("since=abc", "until=2013-02-30", "since=06.05.2013", "until=1", "since=2013-05-08&until=2013-05-07"):
        for path in (f"/together/{page}?{query}", f"/together?with=FF,FI&{query}", f"/together.csv?with=FF,FI&{query}"):
            answer = lotte.get(path)
            assert (answer.status_code, answer.json()["code"]) == (422, "malformed"), path
            assert answer.json()["error"].startswith(("since: ", "until: "))
    for query in ("since=", "since=0001-01-01&until=9999-12-31", "until=0001-01-01", "since=9999-12-31"):
        for path in (f"/together/{page}?{query}", f"/together?with=FF,FI&{query}"):
            assert lotte.get(path).status_code == 200, path
