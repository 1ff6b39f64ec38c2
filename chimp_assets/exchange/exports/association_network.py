"""The association network as GraphML. Does not belong here: counting (`insight.association`), GraphML itself."""

from __future__ import annotations

from dataclasses import replace
from typing import BinaryIO

from chimp_assets.exchange.exports.export import Export, ExportError, ExportRequest


def _write(request: ExportRequest, stream: BinaryIO) -> int:
    from chimp_assets.insight.association.estimates import counted
    from chimp_assets.insight.association.network import of_counts
    from chimp_assets.insight.association.network_estimates import network_estimates
    from chimp_assets.insight.association.network_export import graphml
    from chimp_assets.insight.association.scope import Scope

    wanted = request.selection
    by_model = wanted.min_probability if {"source", "min_probability"} & set(wanted.keys) else None
    if wanted.sources and wanted.sources != ("person",):
        raise ExportError(
            "The network counts names by people, and with them those of volunteers and the model, but not these alone.",
            "Leave out source, or write source=person or source=any.",
        )
    if wanted.sources:
        by_model = None
    scope = Scope(since=wanted.since, until=wanted.until, probability=by_model)
    with request.read() as conn:
        counts = counted(conn, scope)
        found, estimates = of_counts(conn, counts), network_estimates(conn, counts)
    edges = found.edges
    if wanted.individuals:
        keys = {key for key, _ in wanted.individuals}
        edges = [edge for edge in edges if edge.a in keys and edge.b in keys]
        found = replace(found, nodes=[node for node in found.nodes if node.key in keys])
    names = "verified" if by_model is None else f"model >= {by_model:g}"
    about = {"rule": "frame", "names": names, "label_seq": found.label_seq}
    request.tell(together={"rule": "frame", "names": names})
    stream.write(graphml(found, edges, about, estimates.tell((edge.a, edge.b) for edge in edges)))
    return len(edges)


EXPORT = Export(
    "Who was filmed in one frame with whom, by names that people have verified: indices of association for Gephi, "
    "igraph, Cytoscape and R.",
    ".graphml",
    _write,
    conditions=("individual", "from", "to", "source", "min_probability"),
)
