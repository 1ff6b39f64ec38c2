"""COCO: pictures, and videos as COCO-VID, kwcoco, TAO and CVAT write them.

Belongs here: the format (`IMPORT`); `index` knows categories, videos, images and tracks, `boxes` what is drawn on them.
Does not belong here: MegaDetector's results, whose boxes are fractions (`megadetector`).
"""

from __future__ import annotations

from chimp_assets.exchange.imports.annotations import ImportFormat
from chimp_assets.exchange.imports.coco.boxes import read

IMPORT = ImportFormat(
    "COCO as JSON: pictures, and videos with tracks as COCO-VID, kwcoco, TAO and CVAT write them.", (".json",), read
)
