"""Which VIA wrote a file.

Belongs here: telling the versions apart. Does not belong here: their contents (`pictures`, `videos`).
"""

from __future__ import annotations

from pathlib import Path

from chimp_assets.exchange.imports.annotations import Reading, ReadOptions
from chimp_assets.exchange.imports.reading.json_stream import json_entries
from chimp_assets.exchange.imports.reading.sources import broken, file_source
from chimp_assets.exchange.imports.reading.values import convention
from chimp_assets.exchange.imports.via import pictures, videos


def read(path: Path, options: ReadOptions) -> Reading:
    """A project or export of VIA, read to its end to see which it is. Raises ImportFileError."""
    source = file_source(path)
    sections: set[str] = set()
    is_export = False
    for section, key, _ in json_entries(source):
        if section.startswith("_via_") or section in ("metadata", "file", "view"):
            sections.add(section)
        is_export = is_export or key == "filename"
    base, said_by = convention(options, 0)
    notes: list[str] = []
    if "_via_img_metadata" in sections or "_via_image_id_list" in sections:
        whole = True
    elif {"metadata", "file"} & sections:
        project = videos.read_project(source)
        return Reading(videos.media(project), videos.boxes(project, notes), base, said_by, notes)
    elif is_export:
        whole = False
    else:
        raise broken(source.name, "", "it holds nothing that VIA writes", "Save the project of VIA as JSON.")
    return Reading(pictures.media(source, whole), pictures.boxes(source, whole, notes), base, said_by, notes)
