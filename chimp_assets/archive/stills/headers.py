"""What a listing asks a picture file: its EXIF, without decoding it. Light to import.

Belongs here: the question, and the answer as values of rows. Does not belong here: EXIF itself (`exif`), rows
(`catalogue.register`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from chimp_assets.archive.storage.store import BlobStore, MissingBlobError, StoreError


@dataclass(frozen=True)
class PictureFacts:
    """What a picture says of itself. tags: times as `witnesses.EXIF_TAGS` names them; columns: of `picture_fact`."""

    tags: dict[str, str] = field(default_factory=dict)
    columns: dict[str, Any] = field(default_factory=dict)


def picture_facts(place: tuple[BlobStore, str]) -> PictureFacts:
    """What a picture (archive, uri) says of itself; nothing where it says nothing, or is none."""
    from chimp_assets.archive.stills.decoding import read_header

    archive, uri = place
    try:
        with archive.open_reader(uri) as file:
            header = read_header(file)
    except (MissingBlobError, StoreError, OSError):
        return PictureFacts()
    if header is None:
        return PictureFacts()
    exif = header.exif
    taken = exif.tags.get("exif_original") or exif.tags.get("exif_digitized")
    columns = {
        "taken": taken,
        "make": exif.make,
        "model": exif.model,
        "serial": exif.serial,
        "latitude": exif.latitude,
        "longitude": exif.longitude,
    }
    return PictureFacts(dict(exif.tags), columns)


def picture_facts_message(message: dict[str, Any], beat: Callable[[], None]) -> dict[str, Any]:
    """`picture_facts` for another process: archive (as a message) and uri."""
    return asdict(picture_facts((BlobStore.of_message(message["archive"]), message["uri"])))
