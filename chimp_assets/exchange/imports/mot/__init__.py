"""MOT Challenge: gt.txt and det.txt with seqinfo.ini, or a folder or zip of sequences, as CVAT's (MOT 1.1) and ours.

Belongs here: the format (`IMPORT`); `sequences` finds tables, `boxes` reads them. Does not belong here: masks (MOTS).
"""

from __future__ import annotations

from chimp_assets.exchange.imports.annotations import ImportFormat
from chimp_assets.exchange.imports.mot.boxes import read

IMPORT = ImportFormat(
    "MOT Challenge: gt.txt or det.txt (seqinfo.ini and labels.txt beside it), or a folder or zip of sequences.",
    (".txt", ".zip"),
    read,
)
