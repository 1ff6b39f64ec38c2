"""The association network as GraphML. Does not belong here: counting (`insight.association`), GraphML itself."""

from __future__ import annotations

from typing import BinaryIO

from chimp_assets.exchange.exports.export import Export, ExportRequest


def _write(request: ExportRequest, stream: BinaryIO) -> int:
    from chimp_assets.insight.association.network import network
    from chimp_assets.insight.association.network_export import graphml
    from chimp_assets.insight.association.together import Scope

    with request.database.read() as conn:
        found = network(conn, Scope())
    about = {"rule": "frame", "names": "verified", "label_seq": found.label_seq}
    stream.write(graphml(found, found.edges, about))
    return len(found.edges)


EXPORT = Export(
    "Who was filmed in one frame with whom, by names that people have verified: indices of association for Gephi, "
    "igraph, Cytoscape and R.",
    ".graphml",
    _write,
)
