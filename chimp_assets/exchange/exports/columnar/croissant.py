"""A folder of tables with its description in Croissant: what machine learning tools load, and check by its hashes.

Belongs here: JSON-LD of Croissant 1.0 (docs.mlcommons.org/croissant; #813: SHA-256 of every file). Does not belong
here: the tables (`parquet`), what a column means (`columns`).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chimp_assets.exchange.exports.columnar.columns import PARTITIONED, TABLES
from chimp_assets.exchange.exports.columnar.parquet import PARTITION, columns_of, write_tables
from chimp_assets.exchange.exports.export import Export, ExportRequest
from chimp_assets.exchange.exports.sidecar import file_facts, product_version

FILE = "croissant.json"
_PARQUET = "application/x-parquet"
"""What readers of Croissant know Parquet by."""
_TYPES = {
    "key": "sc:Integer", "count": "sc:Integer", "real": "sc:Float", "share": "sc:Float", "text": "sc:Text",
    "word": "sc:Text", "moment": "sc:DateTime", "day": "sc:Date",
}  # fmt: skip
_ROWS = {
    "boxes": "a box of a track in a kept frame",
    "individuals": "an individual",
    "sightings": "an individual in a video",
    "videos": "a video with such tracks",
}
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The context as readers expect it, key for key."""


def _write(request: ExportRequest, folder: Path) -> int:
    n = write_tables(request, folder)
    by_site = request.options["partition"] == "site_year"
    described = _document(request, folder, by_site)
    text = json.dumps(described, ensure_ascii=False, indent=1) + "\n"
    (folder / FILE).write_text(text, encoding="utf-8", errors="backslashreplace")
    return n


def _document(request: ExportRequest, folder: Path, by_site: bool) -> dict[str, Any]:
    """The description of every file in the folder, and of the columns of each table."""
    project = request.settings.project
    said: dict[str, Any] = {
        "description": project.description or "Who was seen where, when and with whom, from videos of wild animals.",
        "license": project.data_licence,
        "url": project.homepage,
        "citeAs": project.citation,
        "keywords": [word for word in (project.species, project.vernacular, "camera traps") if word],
        "creator": [
            {"@type": "Person", "name": name}
            for one in project.contributors
            if (name := one.partition("<")[0].partition("(")[0].strip())
        ],
        "publisher": project.organisation and {"@type": "Organization", "name": project.organisation},
        "datePublished": datetime.now(UTC).date().isoformat(),
        "version": f"0.0.{request.facts.get('label_seq', 0)}",
    }
    files = sorted(one for one in folder.rglob("*.parquet") if one.is_file())
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": project.title,
        **{key: value for key, value in said.items() if value},
        "sdPublisher": f"chimp-assets {product_version()}",
        "distribution": [*(_file(folder, one) for one in files), *(_file_set(name) for name in TABLES)],
        "recordSet": [_record_set(name, by_site) for name in TABLES],
    }


def _file(folder: Path, file: Path) -> dict[str, Any]:
    path, facts = file.relative_to(folder).as_posix(), file_facts(file)
    return {
        "@type": "cr:FileObject",
        "@id": path,
        "name": path,
        "contentUrl": path,
        "contentSize": f"{facts['bytes']} B",
        "encodingFormat": _PARQUET,
        "sha256": facts["sha256"],
    }


def _file_set(name: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": f"{name}-files",
        "name": f"{name}-files",
        "encodingFormat": _PARQUET,
        "includes": f"{name}/**/*.parquet" if name in PARTITIONED else f"{name}/*.parquet",
    }


def _record_set(name: str, by_site: bool) -> dict[str, Any]:
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"{name}/{one.name}",
            "name": one.name,
            "description": one.what,
            "dataType": _TYPES[one.kind],
            "source": {"fileSet": {"@id": f"{name}-files"}, "extract": {"column": one.name}},
        }
        for one in columns_of(name, by_site)
    ]
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": f"One row is {_ROWS[name]}.",
        "field": [*fields, *_folder_fields(name, by_site)],
    }


def _folder_fields(name: str, by_site: bool) -> list[dict[str, Any]]:
    """Columns that only the names of folders say."""
    if name not in PARTITIONED:
        return []
    found = [("year", "sc:Text", "year of recorded_on, 0: not known", r".*year=([^/\\]+)")]
    if by_site:
        found.append(("site", "sc:Text", "site of the camera, _: not known", r".*site=([^/\\]+)"))
    return [
        {
            "@type": "cr:Field",
            "@id": f"{name}/{key}",
            "name": key,
            "description": f"{what}, from the folder of the file",
            "dataType": kind,
            "source": {
                "fileSet": {"@id": f"{name}-files"},
                "extract": {"fileProperty": "fullpath"},
                "transform": {"regex": regex},
            },
        }
        for key, kind, what, regex in found
    ]


EXPORT = Export(
    "The Parquet tables with croissant.json, which describes each file and column, for machine learning tools.",
    "",
    _write,
    folder=True,
    options=(PARTITION,),
    needs=("title",),
)
