"""Crops of labelled tracks in one file on disk, so that a training reads each picture of the archive once a node.

Belongs here: writing the file, its index, reading rows of it. Does not belong here: which tracks (`training_set`), what
is learned from them (`metric_learning`, `fine_tuning`).
"""

from __future__ import annotations

import json
import logging
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch.utils.data import DataLoader, Dataset

from chimp_assets.archive.video.pictures import PictureError
from chimp_assets.errors import FullDiskError
from chimp_assets.vision.datasets.tracks import SqlTrackDataset, TrackQuery
from chimp_assets.vision.learning.ranks import ALONE, Ranks
from chimp_assets.vision.learning.scratch import is_alive, maker_of
from chimp_assets.vision.models.checkpoint import ModelError, content_hash

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.database.connection.engine import Database
    from chimp_assets.vision.datasets.training_set import Members

log = logging.getLogger(__name__)

INDEX_FILE = "tracks.json"
CROPS_FILE = "crops.npy"
SIGN_FILE = "reading"
SILENT_S = 900.0
"""The process that reads crops gives a sign at each batch of 16 tracks; without one for so long it hangs."""


@dataclass(frozen=True)
class CropFile:
    """Crops of labelled tracks as a memory map u8 [n, s, s, 3]; track: i64 [n], row of the member of each crop."""

    pictures: np.ndarray
    track: np.ndarray
    unreadable: list[int]


def crops_on_disk(
    db: Database,
    store: BlobStore,
    training_set_id: int,
    members: Members,
    folder: Path,
    per_track: int,
    side: int,
    workers: int = 0,
    ranks: Ranks = ALONE,
) -> CropFile:
    """Crops of the members, read once by a DataLoader over `SqlTrackDataset` and stored in a file that any step can
    read.

    folder: of this node (`scratch.node_folder`); its first process writes, the others of the node wait for it: no node
    waits for another. A track whose pictures cannot be read is skipped and counted. Memory: one batch of tracks; disk:
    crops * side^2 * 3 bytes on each node. Raises ModelError if no track can be read, or if the first process of this
    node has ended or hangs; FullDiskError.
    """
    index = folder / INDEX_FILE
    wanted = {"members": content_hash(members.track_id.tobytes()), "side": side, "per_track": per_track}
    if not ranks.local and _read_index(index, wanted) is None:
        folder.mkdir(parents=True, exist_ok=True)
        dataset = SqlTrackDataset(
            db, store, TrackQuery(training_set=training_set_id), crops_per_track=per_track, side=side
        )
        _write_crops(folder, dataset, per_track, side, workers, wanted)
    known = _awaited(index, wanted)
    if not known["track"]:
        raise ModelError("No labelled track has a readable picture.", "Run `chimp doctor`.")
    track = np.array(known["track"], dtype=np.int64)
    return CropFile(np.load(folder / CROPS_FILE, mmap_mode="r")[: len(track)], track, known["unreadable"])


def _write_crops(
    folder: Path, dataset: SqlTrackDataset, per_track: int, side: int, workers: int, wanted: dict[str, Any]
) -> None:
    """Write the file of crops, then the index of its rows, without which the file does not count."""
    needed, free = len(dataset) * per_track * side * side * 3, shutil.disk_usage(folder).free
    if needed > free:  # a memory map on a full disk ends the process with a signal, which says nothing
        raise FullDiskError(
            f"The crops of this training take {needed / 1e9:.1f} GB; {folder.parent} has {free / 1e9:.1f} GB free.",
            "Set TMPDIR to a folder on a larger local disk, or lower embed.crops_per_track.",
        )
    file = np.lib.format.open_memmap(
        folder / CROPS_FILE, mode="w+", dtype=np.uint8, shape=(len(dataset) * per_track, side, side, 3)
    )
    tracks: list[int] = []
    unreadable: list[int] = []
    loader = DataLoader(
        _ReadableTracks(dataset), batch_size=16, num_workers=workers, collate_fn=list,
        multiprocessing_context="spawn" if workers else None,
    )  # fmt: skip
    for batch in loader:
        (folder / SIGN_FILE).touch()
        for number, crops in batch:
            if crops is None:
                unreadable.append(int(dataset.track_id[number]))
                continue
            file[len(tracks) : len(tracks) + len(crops)] = crops
            tracks += [number] * len(crops)
    file.flush()
    partial = (folder / INDEX_FILE).with_suffix(".partial")
    partial.write_text(json.dumps({**wanted, "track": tracks, "unreadable": unreadable}))
    partial.replace(folder / INDEX_FILE)


def _awaited(index: Path, wanted: dict[str, Any]) -> dict[str, Any]:
    """The index, as soon as the first process of this node has written it."""
    sign, last, since = index.with_name(SIGN_FILE), 0.0, time.monotonic()
    while (known := _read_index(index, wanted)) is None:
        now = sign.stat().st_mtime if sign.exists() else 0.0
        if now != last:
            last, since = now, time.monotonic()
        silent = time.monotonic() - since
        if silent > SILENT_S or not is_alive(maker_of(index.parent)):
            raise ModelError(
                f"The first process of this node has ended or hangs: no crop was read into {index.parent} for"
                f" {silent:.0f} s.",
                "See what that process says (LOCAL_RANK 0), then run the same command again.",
            )
        time.sleep(0.2)
    return known


class CropRows:
    """Some rows of a memory map, read on access."""

    def __init__(self, pictures: np.ndarray, rows: np.ndarray) -> None:
        self._pictures, self._rows = pictures, rows

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self._rows), *self._pictures.shape[1:])

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, which: Any) -> np.ndarray:
        return np.asarray(self._pictures[self._rows[which]])


class _ReadableTracks(Dataset[Any]):
    """(number, crops u8 [k, s, s, 3], or None where a picture cannot be read) of the tracks of a dataset."""

    def __init__(self, dataset: SqlTrackDataset) -> None:
        self._dataset = dataset

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, number: int) -> Any:
        return self.__getitems__([number])[0]

    def __getitems__(self, numbers: list[int]) -> list[Any]:
        try:
            samples = self._dataset.__getitems__(numbers)
        except PictureError as error:
            if len(numbers) == 1:
                log.warning("Track %d is skipped: %s", self._dataset.track_id[numbers[0]], error)
                return [(numbers[0], None)]
            return [self.__getitems__([number])[0] for number in numbers]
        return [(n, sample["crops"].permute(0, 2, 3, 1).numpy()) for n, sample in zip(numbers, samples, strict=True)]


def _read_index(path: Path, wanted: dict[str, Any]) -> dict[str, Any] | None:
    try:
        known: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return known if all(known.get(name) == value for name, value in wanted.items()) else None
