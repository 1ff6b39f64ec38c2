"""A folder of ELAN files: one for each video, a tier for each individual.

Belongs here: EAF 3.0 (www.mpi.nl/tools/elan/EAFv3.0.xsd; Sloetjes and Wittenburg 2008). Does not belong here: when
somebody is in view (`in_view`).

Times are milliseconds of the film. Annotations of a tier do not overlap, as ELAN demands.
"""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import sqlalchemy as sa

from chimp_assets.database.files.whole_file import write_rows
from chimp_assets.exchange.exports.export import Export, ExportOption, ExportRequest
from chimp_assets.exchange.exports.footage import HandedVideo
from chimp_assets.exchange.exports.pieces.animals import animals
from chimp_assets.exchange.exports.pieces.media import file_address, film_path, is_still, media_folder
from chimp_assets.exchange.exports.pieces.safe_names import SafeNames
from chimp_assets.exchange.exports.pieces.times import in_utc
from chimp_assets.exchange.exports.programs.in_view import ViewStretch, stretches

_TYPE = "in view"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_NO_XML = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
"""What XML 1.0 cannot hold, even escaped."""
COLUMNS = ("file", "video", "site", "camera", "recorded_at", "individuals", "annotations")


def _write(request: ExportRequest, folder: Path) -> int:
    request.tell(times="milliseconds of the film; recorded_at in UTC")
    with request.read() as conn, (folder / "videos.csv").open("wb") as stream:
        write_rows(stream, COLUMNS, _rows(conn, request, folder))
    return int(request.facts.get("counts", {}).get("annotations", 0))


def _rows(conn: sa.Connection, request: ExportRequest, folder: Path) -> Iterator[list[Any]]:
    names, media = SafeNames(), media_folder(request)
    for film, tracks in animals(conn, request.selection):
        if is_still(film, request.settings):
            request.count(left_out_pictures=1)
            continue
        found = stretches(film, tracks)
        name = names.of(f"{film.video_id}_{Path(film.uri).stem}") + ".eaf"
        tree = ElementTree.ElementTree(_document(film, found, film_path(film, media), request))
        ElementTree.indent(tree)
        tree.write(folder / name, encoding="UTF-8", xml_declaration=True)
        request.count(films=1, annotations=len(found))
        who = sorted({one.who for one in found})
        yield [name, film.uri, film.site, film.camera, in_utc(film.recorded_at), " ".join(who), len(found)]


def _document(film: HandedVideo, found: list[ViewStretch], path: str, request: ExportRequest) -> ElementTree.Element:
    project = request.settings.project
    root = ElementTree.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": _xml(project.organisation or ""),
            "DATE": datetime.now(UTC).isoformat(timespec="seconds"),
            "FORMAT": "3.0",
            "VERSION": "3.0",
            f"{{{_XSI}}}noNamespaceSchemaLocation": _SCHEMA,
        },
    )
    if project.data_licence:
        ElementTree.SubElement(root, "LICENSE", {"LICENSE_URL": ""}).text = _xml(project.data_licence)
    header = ElementTree.SubElement(root, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    kind = mimetypes.guess_type(film.uri)[0] or "video/*"
    address = file_address(path)
    relative = address if not address.startswith("file:") else file_address(film.uri)
    ElementTree.SubElement(
        header,
        "MEDIA_DESCRIPTOR",
        {"MEDIA_URL": _xml(address), "MIME_TYPE": kind, "RELATIVE_MEDIA_URL": _xml(f"./{relative}")},
    )
    for key, value in (("video_id", film.video_id), ("site", film.site), ("camera", film.camera),
                       ("recorded_at", in_utc(film.recorded_at))):  # fmt: skip
        ElementTree.SubElement(header, "PROPERTY", {"NAME": key}).text = _xml(str(value or ""))
    slots = ElementTree.SubElement(root, "TIME_ORDER")
    moments = sorted({_ms(seconds) for one in found for seconds in (one.start_s, one.stop_s)})
    slot_of = {ms: f"ts{n}" for n, ms in enumerate(moments, start=1)}
    for ms, name in slot_of.items():
        ElementTree.SubElement(slots, "TIME_SLOT", {"TIME_SLOT_ID": name, "TIME_VALUE": str(ms)})
    tiers: dict[str, ElementTree.Element] = {}
    for n, one in enumerate(found, start=1):
        if one.who not in tiers:
            names = {"LINGUISTIC_TYPE_REF": _TYPE, "PARTICIPANT": _xml(one.who), "TIER_ID": _xml(one.who)}
            tiers[one.who] = ElementTree.SubElement(root, "TIER", names)
        annotation = ElementTree.SubElement(
            ElementTree.SubElement(tiers[one.who], "ANNOTATION"),
            "ALIGNABLE_ANNOTATION",
            {
                "ANNOTATION_ID": f"a{n}",
                "TIME_SLOT_REF1": slot_of[_ms(one.start_s)],
                "TIME_SLOT_REF2": slot_of[_ms(one.stop_s)],
            },
        )
        ElementTree.SubElement(annotation, "ANNOTATION_VALUE").text = one.words or _TYPE
    ElementTree.SubElement(
        root, "LINGUISTIC_TYPE",
        {"GRAPHIC_REFERENCES": "false", "LINGUISTIC_TYPE_ID": _TYPE, "TIME_ALIGNABLE": "true"},
    )  # fmt: skip
    return root


def _ms(seconds: float) -> int:
    return round(1000 * seconds)


def _xml(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)


EXPORT = Export(
    "ELAN files, one for each video, with a tier for each individual that says when it is in view.",
    "",
    _write,
    folder=True,
    options=(ExportOption("media", "folder of the films where ELAN runs, put before their paths", ""),),
)
