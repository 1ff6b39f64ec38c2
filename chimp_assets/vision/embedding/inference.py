"""Embedding many tracks: pictures are read ahead while the network works, and batches span tracks.

Belongs here: the reading thread and its bound, batches across tracks and videos, smaller batches when a GPU runs out of
memory. Does not belong here: which tracks, and where vectors go (`bundle`); the network (`embedder`).
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch

from chimp_assets.vision.embedding.embedder import Embedder, mean_direction
from chimp_assets.vision.models.checkpoint import ModelError

if TYPE_CHECKING:
    from chimp_assets.vision.pictures.crops import TrackCrops

log = logging.getLogger(__name__)

T = TypeVar("T")

AHEAD = 32
"""Tracks that are read ahead at most: 32 tracks of 5 crops of 96 pixels are 4 MB."""


def embed_tracks(embedder: Embedder, tracks: Iterable[TrackCrops]) -> Generator[tuple[int, np.ndarray]]:
    """(track_id, f32 [dimensions] of unit length) of each track, in their given order.

    A thread reads from tracks, at most AHEAD tracks ahead; what it raises is raised here. Memory: the
    tracks ahead and one batch. The same tracks give the same vectors on one kind of device; a CPU and a GPU differ by
    rounding (full precision: no autocast). Raises ModelError if not even one crop fits into the memory of the GPU.
    """
    most = embedder.at_once
    held: list[TrackCrops] = []
    n = 0
    for track in read_ahead(tracks, AHEAD):
        if held and n + len(track.crops) > most:
            yield from _vectors(embedder, held)
            held, n = [], 0
        held.append(track)
        n += len(track.crops)
    if held:
        yield from _vectors(embedder, held)


def track_vectors(embedder: Embedder, tracks: Iterable[np.ndarray]) -> Generator[np.ndarray]:
    """The vector f32 [dimensions] of each track, in the given order. tracks: their crops u8 [m, s, s, 3], m > 0.

    On a CPU one track at a time, as `Embedder.embed_track`; on a GPU a batch of tracks. Raises ModelError if not even
    one crop fits into the memory of the GPU.
    """
    if embedder.mean.device.type != "cuda":
        yield from (embedder.embed_track(crops) for crops in tracks)
        return
    held: list[np.ndarray] = []
    for crops in tracks:
        if held and sum(map(len, held)) + len(crops) > embedder.at_once:
            yield from _directions(embedder, held)
            held = []
        held.append(crops)
    if held:
        yield from _directions(embedder, held)


def read_ahead(source: Iterable[T], most: int) -> Generator[T]:
    """The same items in the same order, read by a thread up to `most` items ahead.

    What the source raises is raised after the items before it. A reader that stops early ends the thread.
    """
    ready: queue.Queue[tuple[bool, T | BaseException | None]] = queue.Queue(most)
    gone = threading.Event()

    def put(entry: tuple[bool, T | BaseException | None]) -> bool:
        while not gone.is_set():
            try:
                ready.put(entry, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def read() -> None:
        try:
            for item in source:
                if not put((True, item)):
                    return
            put((False, None))
        except BaseException as error:
            put((False, error))

    thread = threading.Thread(target=read, name="read-ahead", daemon=True)
    thread.start()
    try:
        while True:
            more, item = ready.get()
            if more:
                yield item  # type: ignore[misc]
            elif isinstance(item, BaseException):
                raise item
            else:
                return
    finally:
        gone.set()
        thread.join()


def _vectors(embedder: Embedder, tracks: list[TrackCrops]) -> Iterator[tuple[int, np.ndarray]]:
    found = _directions(embedder, [track.crops for track in tracks])
    return zip((track.track_id for track in tracks), found, strict=True)


def _directions(embedder: Embedder, tracks: list[np.ndarray]) -> Iterator[np.ndarray]:
    embedded = _embedded(embedder, np.concatenate(tracks))
    start = 0
    for crops in tracks:
        yield mean_direction(embedded[start : start + len(crops)])
        start += len(crops)


def _embedded(embedder: Embedder, crops: np.ndarray) -> np.ndarray:
    """Vectors of crops; in halves if the GPU runs out of memory."""
    try:
        return embedder.embed(crops)
    except torch.OutOfMemoryError:
        if len(crops) == 1:
            raise ModelError(
                "Not even one crop fits into the memory of the GPU.",
                "Close other programs that use the GPU, then run it again.",
            ) from None
    log.warning("The GPU is out of memory: continuing with %d crops at once.", len(crops) // 2)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    half = len(crops) // 2
    return np.concatenate([_embedded(embedder, crops[:half]), _embedded(embedder, crops[half:])])
