"""Camtrap DP 1.0: packages of camera trap data (camtrap-dp.tdwg.org).

Belongs here: the format (`IMPORT`); `package` finds the tables, `observations` reads them. Does not belong here: what
the package says about projects and places, which is not taken in.
"""

from __future__ import annotations

from chimp_assets.exchange.imports.annotations import ImportFormat
from chimp_assets.exchange.imports.camtrapdp.observations import read

IMPORT = ImportFormat(
    "Camtrap DP 1.0: datapackage.json, its folder or a zip; observations of pictures and videos, with individuals.",
    (".json", ".zip"),
    read,
)
