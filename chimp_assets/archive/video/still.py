"""One picture file as pixels: upright, scaled, with what its header says. JPEG, PNG, TIFF by Pillow, HEIC by FFmpeg.

Belongs here: limits, damage, turning, scaling. Does not belong here: several files (`clip`), headers and EXIF
(`stills`), stored pictures (`pictures`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

import cv2
import numpy as np
from PIL import ImageFile

from chimp_assets.archive.stills.exif import ExifFacts, exif_of, exif_of_bytes, facts_of_tags
from chimp_assets.archive.stills.headers import opened_image
from chimp_assets.archive.stills.heif import heif_items
from chimp_assets.archive.stills.kinds import HEAD_BYTES, StillKind, kind_of
from chimp_assets.archive.video.conversion import Converter
from chimp_assets.archive.video.probe import (
    QUARTER_LEFT,
    QUARTER_RIGHT,
    UPRIGHT,
    UPSIDE_DOWN,
    Losses,
    Orientation,
    Readable,
    UnreadableVideoError,
    VideoFacts,
    decoded_pictures,
    facts_of,
    limit_pixels,
    opened,
    pixel_aspect,
    refuse_larger,
    unreadable_pictures,
)

TIME_BASE = (1, 1000)
"""Of the `pts` of pictures: milliseconds since the first of their clip."""
_REMEDY = "Open the file to see whether it is whole; if it opens, save it as JPEG and put that in its place."
# EXIF 2.32, 4.6.4 D: how rows and columns lie.
_ORIENTATIONS = {
    1: UPRIGHT,
    2: Orientation(mirror_x=True),
    3: UPSIDE_DOWN,
    4: Orientation(mirror_y=True),
    5: Orientation(transposed=True),
    6: QUARTER_RIGHT,
    7: Orientation(True, True, True),
    8: QUARTER_LEFT,
}
_NARROW_MODES = ("1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV")
_CLEAR_MODES = ("LA", "PA", "La", "RGBA", "RGBa", "RGBX")
# Whether cut files are read is a switch of the whole process.
_CUT_FILES = Lock()


@dataclass(frozen=True)
class StillPicture:
    """One decoded picture. picture u8 [h, w, 3] RGB, as displayed. facts: width and height are those of the file as
    displayed. picture_hash: of its pixels; None where all are alike. problems: what was lost; notes: what is different.
    """

    picture: np.ndarray
    facts: VideoFacts
    exif: ExifFacts
    picture_hash: str | None
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_still(path: Path, longest_side: int | None, max_pixels: int) -> StillPicture:
    """Decode one picture file. Memory: the picture once or twice; a JPEG is decoded smaller where that is enough.

    longest_side: pixels it is scaled down to; None: as it is. Raises UnreadableVideoError, also for more than
    max_pixels.
    """
    with path.open("rb") as file:
        kind = kind_of(file.read(HEAD_BYTES))
        if kind is None:
            raise UnreadableVideoError(
                f"{path.name} cannot be opened as a picture: {'it is empty' if _is_empty(path) else _NO_PICTURE}.",
                _REMEDY,
            )
        if kind == "heic":
            return _read_heic(path, file, longest_side, max_pixels)
        return _read_plain(path.name, file, kind, longest_side, max_pixels)


_NO_PICTURE = "its content is damaged or that of another kind of file"


def _is_empty(path: Path) -> bool:
    return path.stat().st_size == 0


def _read_plain(name: str, file: BinaryIO, kind: StillKind, longest_side: int | None, max_pixels: int) -> StillPicture:
    problems: list[str] = []
    try:
        picture, size, frames, exif = _pixels(name, file, longest_side, max_pixels)
    except UnreadableVideoError:
        raise
    except Exception as error:  # a dozen kinds for damaged files
        picture, size, frames, exif = _cut_off(name, file, longest_side, max_pixels, error)
        problems.append(f"{name} is cut off or damaged ({_why(error)}): what could be decoded was kept.")
    notes = []
    if frames > 1:
        notes.append(f"{name} holds {frames} pictures; only the first was read.")
    orientation = _ORIENTATIONS[exif.orientation]
    width, height = size[::-1] if orientation.transposed else size
    facts = _facts(kind, width, height, orientation)
    shown = np.ascontiguousarray(_scaled(orientation.applied(picture), longest_side))
    return StillPicture(shown, facts, exif, _hash_of(picture, facts), problems, notes)


def _pixels(
    name: str, file: BinaryIO, longest_side: int | None, max_pixels: int
) -> tuple[np.ndarray, tuple[int, int], int, ExifFacts]:
    """(u8 [h, w, 3], perhaps smaller than the file's, (width, height) of the file, pictures in it, EXIF)."""
    with opened_image(file) as image:
        exif = exif_of(image)
        size = image.size
        refuse_larger(size[0], size[1], max_pixels, name)
        frames = _frames_in(image)
        if longest_side is not None and max(size) > longest_side:
            share = longest_side / max(size)
            # A JPEG gives a half, a quarter or an eighth of its size for less work (libjpeg's scaled DCT).
            image.draft("RGB", (max(1, int(size[0] * share)), max(1, int(size[1] * share))))
        return _rgb(image, name), size, frames, exif


def _frames_in(image: Any) -> int:
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception:  # a damaged directory of further pictures
        return 1


def _cut_off(
    name: str, file: BinaryIO, longest_side: int | None, max_pixels: int, error: Exception
) -> tuple[np.ndarray, tuple[int, int], int, ExifFacts]:
    """What can be decoded of a damaged file. Raises UnreadableVideoError if that is nothing."""
    refusal = UnreadableVideoError(f"{name} has no picture that can be decoded: {_why(error)}.", _REMEDY)
    with _CUT_FILES:
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        try:
            found = _pixels(name, file, longest_side, max_pixels)
        except UnreadableVideoError:
            raise
        except Exception:
            raise refusal from None
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = False
    if _is_one_colour(found[0]):
        raise refusal
    return found


def _why(error: Exception) -> str:
    text = " ".join(str(error).split()).rstrip(".")[:200]
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    if not text or "cannot identify image file" in text:
        return _NO_PICTURE
    return text


def _rgb(image: Any, name: str) -> np.ndarray:
    """Pixels of an open image, u8 [h, w, 3]. Deep greys are brought to 8 bits by their highest bit, clear parts are
    black."""
    mode = image.mode
    if mode.startswith("I"):
        grey = np.asarray(image).astype(np.int64).clip(0, None)
        grey = (grey >> max(0, int(grey.max(initial=0)).bit_length() - 8)).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if mode == "F":
        values = np.nan_to_num(np.asarray(image, np.float32))
        low, high = float(values.min(initial=0.0)), float(values.max(initial=1.0))
        grey = ((values - low) * (255.0 / max(high - low, 1e-9))).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if mode in _CLEAR_MODES or "transparency" in image.info:
        image = image.convert("RGBA")
        seen = np.asarray(image)
        return (seen[..., :3].astype(np.uint16) * seen[..., 3:] // 255).astype(np.uint8)
    if mode not in _NARROW_MODES:
        raise UnreadableVideoError(f"{name} has pixels of a kind that is not read ({mode}).", _REMEDY)
    return np.asarray(image.convert("RGB"))


def _scaled(picture: np.ndarray, longest_side: int | None) -> np.ndarray:
    height, width = picture.shape[:2]
    scale = 1.0 if longest_side is None else min(1.0, longest_side / max(height, width))
    if scale == 1.0:
        return picture
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(np.ascontiguousarray(picture), size, interpolation=cv2.INTER_AREA), np.uint8)


def _facts(kind: StillKind, width: int, height: int, orientation: Orientation) -> VideoFacts:
    return VideoFacts(
        duration_s=0.0, width=width, height=height, sar_num=1, sar_den=1, rotation=orientation.clockwise, avg_fps=None,
        codec=kind, time_base_num=TIME_BASE[0], time_base_den=TIME_BASE[1], n_video_streams=1, interlaced=False,
        color_transfer=None, mirrored=_is_mirrored(orientation),
    )  # fmt: skip


def _is_mirrored(orientation: Orientation) -> bool:
    return (orientation.mirror_x == orientation.mirror_y) == orientation.transposed


def _hash_of(picture: np.ndarray, facts: VideoFacts) -> str | None:
    """Of the pixels as the file holds them: the same when its EXIF was written anew; None for a uniform picture."""
    if _is_one_colour(picture):
        return None
    digest = hashlib.blake2b(digest_size=32)
    digest.update(f"1|still|{facts.width}x{facts.height}|{facts.rotation}|{facts.mirrored}|{picture.shape}".encode())
    digest.update(np.ascontiguousarray(picture).data)
    return digest.hexdigest()


def _is_one_colour(picture: np.ndarray) -> bool:
    return bool((picture == picture[:1, :1]).all())


def _read_heic(path: Path, file: BinaryIO, longest_side: int | None, max_pixels: int) -> StillPicture:
    """FFmpeg's reader turns a picture by the file's own boxes; its EXIF says that once more, and is not asked."""
    items = heif_items(file)
    if items.grid is not None:
        refuse_larger(items.grid.width, items.grid.height, max_pixels, path.name)
        raise UnreadableVideoError(
            f"{path.name} is a HEIC picture of {len(items.grid.tiles)} tiles, which cannot be read yet.",
            "Save it as JPEG and put that in its place.",
        )
    exif = facts_of_tags(exif_of_bytes(items.exif)) if items.exif else ExifFacts()
    readable: Readable = path
    with opened(readable) as (container, stream):
        limit_pixels(stream, max_pixels, path.name)
        losses = Losses()
        notes: list[str] = []
        frame = next(iter(decoded_pictures(container, stream, losses)), None)
        if frame is None:
            raise unreadable_pictures(path.name, losses)
        found = facts_of(container, stream, frame)
        if found.n_video_streams > 1:
            notes.append(f"{path.name} holds {found.n_video_streams} pictures; only the first was read.")
        convert = Converter(pixel_aspect(stream), longest_side, max_pixels, path.name, notes.append)
        picture = convert(frame)
    facts = replace(
        found,
        codec="heic",
        duration_s=0.0,
        avg_fps=None,
        n_video_streams=1,
        time_base_num=TIME_BASE[0],
        time_base_den=TIME_BASE[1],
    )
    return StillPicture(picture, facts, exif, _hash_of(picture, facts), [], notes)
