"""The association network as GraphML. Does not belong here: counting (`insight.association`), GraphML itself."""

from __future__ import annotations

from typing import BinaryIO

from chimp_assets.database.connection.engine import Database
from chimp_assets.insight.exports.export import Export


def _write(db: Database, stream: BinaryIO) -> int:
    from chimp_assets.insight.association.network import network
    from chimp_assets.insight.association.network_export import graphml
    from chimp_assets.insight.association.together import Scope

    with db.read() as conn:
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
