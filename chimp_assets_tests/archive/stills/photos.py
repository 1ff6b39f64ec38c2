"""Pictures with EXIF as cameras write them, for tests."""

import numpy as np
from PIL import ExifTags, Image

MAKE, MODEL, ORIENTATION, SERIAL = 271, 272, 274, 42033
ORIGINAL, SUBSEC, OFFSET = 36867, 37521, 36881


def scene(seed=0, size=(320, 240)):
    """A picture of coloured squares (PIL.Image) that no other seed gives."""
    width, height = size
    squares = np.random.default_rng(seed).integers(30, 225, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    return Image.fromarray(squares.repeat(8, 0).repeat(8, 1)[:height, :width])


def exif(taken=None, *, parts=None, zone=None, camera="RECONYX", serial=None, orientation=None, gps=None):
    """EXIF of a picture. taken: `2023:05:06 07:08:09`; gps: (latitude, longitude) in degrees."""
    tags = Image.Exif()
    for tag, value in ((MAKE, camera), (ORIENTATION, orientation)):
        if value is not None:
            tags[tag] = value
    more = tags.get_ifd(ExifTags.IFD.Exif)
    for tag, value in ((ORIGINAL, taken), (SUBSEC, parts), (OFFSET, zone), (SERIAL, serial)):
        if value is not None:
            more[tag] = value
    if gps is not None:
        place = tags.get_ifd(ExifTags.IFD.GPSInfo)
        for tag, value, sides in ((1, gps[0], "NS"), (3, gps[1], "EW")):
            place[tag] = sides[value < 0]
            place[tag + 1] = (abs(value), 0.0, 0.0)
    return tags


def photo(path, taken=None, *, seed=None, size=(320, 240), image=None, **facts):
    """Write a JPEG, PNG or TIFF by its ending. seed: of what it shows; by default its own name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shown = image or scene(sum(path.name.encode()) if seed is None else seed, size)
    shown.save(
        path,
        exif=exif(taken, **facts).tobytes(),
        **({"quality": 92} if path.suffix.lower() in (".jpg", ".jpeg") else {}),
    )
    return path
