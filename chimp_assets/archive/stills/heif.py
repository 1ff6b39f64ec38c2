"""The boxes of a HEIC file that its decoder leaves out: where its EXIF lies, and of how many tiles its picture is made.

Belongs here: ISO/IEC 23008-12 as far as a still needs it; every number in it is checked against the file.
Does not belong here: decoding (`video.still`), reading EXIF (`exif`).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

_META_BYTES = 4 * 1024 * 1024
_EXIF_BYTES = 1024 * 1024
_BOXES = 10_000
_TILES = 4_096


@dataclass(frozen=True)
class TileGrid:
    """A picture that is put together: rows and columns of tiles (item ids, row by row), and the size that is shown."""

    rows: int
    columns: int
    width: int
    height: int
    tiles: tuple[int, ...]


@dataclass(frozen=True)
class HeifItems:
    """exif: TIFF bytes, None without any. grid: None where the picture is one item."""

    exif: bytes | None = None
    grid: TileGrid | None = None


def heif_items(file: BinaryIO) -> HeifItems:
    """What a HEIC file holds beside its coded picture; nothing where its boxes cannot be followed. Never raises for
    what is in a file."""
    try:
        return _items(file)
    except (struct.error, ValueError, IndexError, OSError, KeyError):
        return HeifItems()


def _items(file: BinaryIO) -> HeifItems:
    meta = _meta(file)
    if meta is None:
        return HeifItems()
    boxes = {name: body for name, body in _boxes(meta[4:])}
    kinds = _kinds(boxes[b"iinf"])
    places = _places(boxes[b"iloc"])
    idat = boxes.get(b"idat", b"")
    exif = None
    for item, kind in kinds.items():
        if kind == b"Exif" and exif is None:
            block = _content(file, places[item], idat, _EXIF_BYTES)
            skipped = struct.unpack(">I", block[:4])[0] + 4
            exif = block[skipped:] if skipped < len(block) else None
    primary = _number(boxes[b"pitm"], 4, 2 if boxes[b"pitm"][0] == 0 else 4)
    grid = None
    if kinds.get(primary) == b"grid":
        made_of = _references(boxes[b"iref"], primary)
        grid = _grid(_content(file, places[primary], idat, 64), made_of)
    return HeifItems(exif, grid)


def _meta(file: BinaryIO) -> bytes | None:
    at = 0
    for _ in range(100):
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            return None
        length, name = struct.unpack(">I4s", head[:8])
        begin = 8
        if length == 1 and len(head) == 16:
            length, begin = struct.unpack(">Q", head[8:16])[0], 16
        if length < begin:
            return None
        if name == b"meta":
            if length > _META_BYTES:
                return None
            file.seek(at + begin)
            return file.read(length - begin)
        at += length
    return None


def _boxes(content: bytes) -> list[tuple[bytes, bytes]]:
    found: list[tuple[bytes, bytes]] = []
    at = 0
    while at + 8 <= len(content) and len(found) < _BOXES:
        length, name = struct.unpack(">I4s", content[at : at + 8])
        if length < 8 or at + length > len(content):
            break
        found.append((name, content[at + 8 : at + length]))
        at += length
    return found


def _number(content: bytes, at: int, size: int) -> int:
    part = content[at : at + size]
    if len(part) != size:
        raise ValueError("a box ends early")
    return int.from_bytes(part, "big")


def _kinds(body: bytes) -> dict[int, bytes]:
    """The kind of each item."""
    wide = 4 if body[0] else 2
    found = {}
    for name, entry in _boxes(body[4 + wide :]):
        if name == b"infe" and entry[0] in (2, 3):
            size = 2 if entry[0] == 2 else 4
            found[_number(entry, 4, size)] = entry[6 + size : 10 + size]
    return found


def _places(body: bytes) -> dict[int, tuple[int, list[tuple[int, int]]]]:
    """(0 in the file or 1 in `idat`, [(offset, length)]) of each item."""
    version = body[0]
    sizes = _number(body, 4, 2)
    of_offset, of_length, of_base = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    of_index = sizes & 15 if version in (1, 2) else 0
    id_size = 4 if version == 2 else 2
    count, at = _number(body, 6, id_size), 6 + id_size
    found = {}
    for _ in range(min(count, _BOXES)):
        item = _number(body, at, id_size)
        at += id_size
        method = 0
        if version in (1, 2):
            method = _number(body, at, 2) & 15
            at += 2
        at += 2
        base = _number(body, at, of_base)
        at += of_base
        extents, at = _number(body, at, 2), at + 2
        parts = []
        for _ in range(min(extents, _BOXES)):
            at += of_index
            offset = _number(body, at, of_offset)
            length = _number(body, at + of_offset, of_length)
            at += of_offset + of_length
            parts.append((base + offset, length))
        found[item] = (method, parts)
    return found


def _content(file: BinaryIO, place: tuple[int, list[tuple[int, int]]], idat: bytes, most: int) -> bytes:
    method, parts = place
    found = b""
    for offset, length in parts:
        if len(found) + length > most:
            raise ValueError("an item is longer than such items are")
        if method == 1:
            found += idat[offset : offset + length]
        else:
            file.seek(offset)
            found += file.read(length)
    return found


def _references(body: bytes, item: int) -> tuple[int, ...]:
    """Items that this one is made of (`dimg`)."""
    size = 4 if body[0] else 2
    for name, entry in _boxes(body[4:]):
        if name == b"dimg" and _number(entry, 0, size) == item:
            count = _number(entry, size, 2)
            if count > _TILES:
                raise ValueError("more tiles than any camera makes")
            return tuple(_number(entry, size + 2 + size * one, size) for one in range(count))
    raise ValueError("a picture of tiles names none")


def _grid(content: bytes, tiles: tuple[int, ...]) -> TileGrid:
    wide = 4 if content[1] & 1 else 2
    rows, columns = content[2] + 1, content[3] + 1
    width, height = _number(content, 4, wide), _number(content, 4 + wide, wide)
    if rows * columns != len(tiles) or not width or not height:
        raise ValueError("its tiles do not make its rows and columns")
    return TileGrid(rows, columns, width, height, tiles)
