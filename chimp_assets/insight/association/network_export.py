"""The network for other programs: rows of a CSV, and GraphML.

Belongs here: columns and attributes. Does not belong here: files and HTTP (`web.pages.network`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from chimp_assets.database.texts import visible, written_out
from chimp_assets.insight.association.estimates import EdgeEstimate
from chimp_assets.insight.association.network import Edge, Network

Estimated = Mapping[tuple[int, int], EdgeEstimate]
"""Of every edge, by the keys of both."""
EDGE_COLUMNS = (
    "a", "name_a", "b", "name_b", "x", "y_a", "y_b", "y_ab", "days", "sri", "hwi", "too_few", "verified_days",
    "corrected_sri", "low", "high", "is_real", "beta_low", "beta_high",
)  # fmt: skip


def edge_rows(found: Network, edges: Iterable[Edge], estimates: Estimated) -> Iterator[tuple[Any, ...]]:
    """One row of EDGE_COLUMNS for each edge; empty where nothing is known."""
    node = {one.key: one for one in found.nodes}
    for e in edges:
        a, b = node[e.a], node[e.b]
        numbers = (e.x, e.y_a, e.y_b, e.y_ab, e.days, round(e.sri, 6), round(e.hwi, 6), int(e.too_few), e.verified)
        yield (a.anim_id, a.name, b.anim_id, b.name, *numbers, *_estimated(estimates[e.a, e.b]))


def _estimated(of: EdgeEstimate) -> tuple[Any, ...]:
    numbers = of.corrected, of.low, of.high
    corrected, low, high = (None if one is None else round(one, 6) for one in numbers)
    real = None if of.is_real is None else int(of.is_real)
    return corrected, low, high, real, round(of.beta_low, 6), round(of.beta_high, 6)


def graphml(found: Network, edges: Iterable[Edge], about: Mapping[str, Any], estimates: Estimated) -> bytes:
    """The network as GraphML for Gephi, igraph, Cytoscape and R. about: query and state, as attributes of the graph.

    A node is an individual, by code. Edges carry the indices, the days, the number of verified days, and what of the
    corrected index is known.
    """
    root = Element("graphml", xmlns="http://graphml.graphdrawing.org/xmlns")
    kinds = {str: "string", int: "int", float: "double", bool: "boolean"}
    nodes: list[dict[str, Any]] = [
        {"name": n.name or "", "sex": n.sex, "community": n.community or "", "days": n.days, "tracks": n.tracks}
        for n in found.nodes
    ]
    code = {n.key: n.anim_id for n in found.nodes}
    lines: list[tuple[Edge, dict[str, Any]]] = [
        (e, {"weight_sri": e.sri, "weight_hwi": e.hwi, "x": e.x, "y_a": e.y_a, "y_b": e.y_b, "y_ab": e.y_ab,
             "too_few": e.too_few, "verified_days": e.verified, **_attributes(estimates[e.a, e.b])})
        for e in edges
    ]  # fmt: skip
    one_node, one_edge = nodes[0] if nodes else {}, lines[0][1] if lines else {}
    for where, sample in (("graph", about), ("node", one_node), ("edge", one_edge)):
        for name, value in sample.items():
            words = {"id": f"{where}_{name}", "for": where, "attr.name": name, "attr.type": kinds[type(value)]}
            SubElement(root, "key", words)
    graph = SubElement(root, "graph", id="together", edgedefault="undirected")
    _data(graph, "graph", about)
    for one, values in zip(found.nodes, nodes, strict=True):
        _data(SubElement(graph, "node", id=_xml(one.anim_id)), "node", values)
    for edge, values in lines:
        element = SubElement(graph, "edge", source=_xml(code[edge.a]), target=_xml(code[edge.b]))
        _data(element, "edge", values)
    return bytes(tostring(root, encoding="utf-8", xml_declaration=True))


def _attributes(of: EdgeEstimate) -> dict[str, Any]:
    known = {"corrected_sri": of.corrected, "low": of.low, "high": of.high, "is_real": of.is_real}
    known |= {"beta_low": of.beta_low, "beta_high": of.beta_high}
    return {name: value for name, value in known.items() if value is not None}


def _data(element: Element, where: str, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        word = str(value).lower() if isinstance(value, bool) else str(value)
        SubElement(element, "data", key=f"{where}_{name}").text = _xml(word)


def _xml(word: str) -> str:
    """The text with characters that XML forbids, or that nobody can see, written out."""
    return "".join(written_out(c) if c in "\ufffe\uffff" else c for c in visible(word))
