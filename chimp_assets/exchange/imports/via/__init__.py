"""VIA, the VGG Image Annotator: projects and exports of VIA 1 and 2 (pictures), projects of VIA 3 (videos too).

Belongs here: the format (`IMPORT`), told apart by its sections; `pictures` is VIA 1 and 2, `videos` VIA 3, `shapes`
boxes around what was drawn. Does not belong here: VIA's CSV, which holds less.
"""

from __future__ import annotations

from chimp_assets.exchange.imports.annotations import ImportFormat
from chimp_assets.exchange.imports.via.project import read

IMPORT = ImportFormat(
    "VIA, the VGG Image Annotator, as JSON: regions on pictures (VIA 2), regions and times of videos (VIA 3).",
    (".json",),
    read,
)
