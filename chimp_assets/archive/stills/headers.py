"""What a picture file says without being decoded, as a listing asks for it.

Belongs here: opening a picture file safely, its EXIF, the answer as values of rows. Pillow is loaded when it is asked.
Does not belong here: EXIF itself (`exif`), pixels (`video.still`), rows (`catalogue.register`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

from chimp_assets.archive.stills.heif import heif_items
from chimp_assets.archive.stills.kinds import HEAD_BYTES, StillKind, kind_of
from chimp_assets.archive.storage.store import BlobStore, MissingBlobError, StoreError

if TYPE_CHECKING:
    from chimp_assets.archive.stills.exif import ExifFacts

_FORMATS = ("JPEG", "PNG", "TIFF")


@dataclass(frozen=True)
class PictureFacts:
    """What a picture says of itself. tags: times as `witnesses.EXIF_TAGS` names them; columns: of `picture_fact`."""

    tags: dict[str, str] = field(default_factory=dict)
    columns: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StillHeader:
    """What a picture file says without being decoded. width, height: as displayed, 0 where they are not known."""

    kind: StillKind
    width: int
    height: int
    exif: ExifFacts


@contextmanager
def opened_image(file: BinaryIO) -> Iterator[Any]:
    """A JPEG, PNG or TIFF (PIL.Image), of which no pixel is read yet: look at their number before you read them."""
    from PIL import Image

    # A limit of the whole process, which no setting moves; ours comes before any pixel is read (decode.max_pixels).
    Image.MAX_IMAGE_PIXELS = None
    file.seek(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about damaged EXIF
        with Image.open(file, formats=_FORMATS) as image:
            yield image


def read_header(file: BinaryIO) -> StillHeader | None:
    """What a picture file says of itself; None if it is no picture, or so damaged that it says nothing."""
    from chimp_assets.archive.stills.exif import ExifFacts, exif_of, exif_of_bytes, facts_of_tags

    try:
        kind = kind_of(file.read(HEAD_BYTES))
        file.seek(0)
        if kind is None:
            return None
        if kind == "heic":
            items = heif_items(file)
            exif = facts_of_tags(exif_of_bytes(items.exif)) if items.exif else ExifFacts()
            return StillHeader(kind, 0, 0, exif)
        with opened_image(file) as image:
            exif = exif_of(image)
            width, height = image.size
    except Exception:  # what strangers wrote; decoding says what is wrong
        return None
    turned = exif.orientation >= 5  # a quarter turn, or mirrored over a diagonal
    return StillHeader(kind, height if turned else width, width if turned else height, exif)


def picture_facts(place: tuple[BlobStore, str]) -> PictureFacts:
    """What a picture (archive, uri) says of itself; nothing where it says nothing, or is none."""
    archive, uri = place
    try:
        with archive.open_reader(uri) as file:
            header = read_header(file)
    except (MissingBlobError, StoreError, OSError):
        return PictureFacts()
    if header is None:
        return PictureFacts()
    exif = header.exif
    columns = {
        "taken": exif.tags.get("exif_original") or exif.tags.get("exif_digitized"),
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
