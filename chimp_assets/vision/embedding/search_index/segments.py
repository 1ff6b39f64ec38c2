"""One file of vectors, and the numbers of their tracks beside it: written whole, checked before it is mapped.

Belongs here: the two files of a segment. Does not belong here: which segments there are (`catalogue`).
"""

from __future__ import annotations

import hashlib
import io
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chimp_assets import private_files
from chimp_assets.errors import ChimpError

MOST_ROWS = 65_536
"""Vectors in a segment: 17 MB at 128 dimensions, written again in a tenth of a second."""


class SegmentError(ChimpError):
    """A segment that is missing, or no longer what was written."""


@dataclass(frozen=True)
class SegmentFile:
    """A segment as the catalogue names it. name: without suffix; vectors_hash, tracks_hash: sha256 of its two files."""

    name: str
    n: int
    vectors_hash: str
    tracks_hash: str


@dataclass(frozen=True)
class Segment:
    """An open segment. vectors: a faiss index whose codes are mapped, not read; track_id: i64 [n]."""

    file: SegmentFile
    vectors: Any
    track_id: np.ndarray


def write_segment(folder: Path, track_id: np.ndarray, embedding: np.ndarray) -> SegmentFile:
    """Write the vectors of tracks: track_id i64 [n], embedding f16 [n, d], 0 < n <= MOST_ROWS.

    Files are named by what is in them, so that a file is never written over. The inner product of the stored vectors is
    exact: 16 bits are what the embedding files hold.
    """
    import faiss

    if not 0 < len(track_id) <= MOST_ROWS or embedding.shape[0] != len(track_id):
        raise ValueError(f"{len(track_id)} tracks and vectors {embedding.shape} make no segment")
    index = faiss.IndexScalarQuantizer(embedding.shape[1], faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    index.add(np.ascontiguousarray(embedding, dtype=np.float32))
    vectors = faiss.serialize_index(index).tobytes()
    tracks = io.BytesIO()
    np.save(tracks, np.ascontiguousarray(track_id, dtype=np.int64), allow_pickle=False)
    hashes = hashlib.sha256(vectors).hexdigest(), hashlib.sha256(tracks.getvalue()).hexdigest()
    name = "seg-" + hashlib.sha256("".join(hashes).encode()).hexdigest()[:16]
    _write(folder / f"{name}.faiss", vectors)
    _write(folder / f"{name}.npy", tracks.getvalue())
    return SegmentFile(name, len(track_id), *hashes)


def open_segment(folder: Path, file: SegmentFile) -> Segment:
    """Map a segment after its bytes were compared with its hashes. Raises SegmentError if they differ."""
    import faiss

    vectors, tracks = folder / f"{file.name}.faiss", folder / f"{file.name}.npy"
    for path, expected in ((vectors, file.vectors_hash), (tracks, file.tracks_hash)):
        try:
            with path.open("rb") as opened:
                found = hashlib.file_digest(opened, "sha256").hexdigest()
        except OSError as error:
            raise SegmentError(f"The segment {path} cannot be read ({error}).", "It is made again by itself.") from None
        if found != expected:
            raise SegmentError(f"The segment {path} is not what was written.", "It is made again by itself.")
    index = faiss.read_index(str(vectors), faiss.IO_FLAG_MMAP_IFC)
    return Segment(file, index, np.load(tracks, allow_pickle=False))


def remove_others(folder: Path, kept: set[str]) -> None:
    """Remove segments that no catalogue names any more. Who has one mapped keeps it until done."""
    for path in folder.glob("seg-*"):
        if path.stem not in kept:
            with suppress(OSError):  # Windows keeps what is mapped
                path.unlink()


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    with open(part, "wb", opener=private_files.opener) as opened:
        opened.write(content)
    part.replace(path)
