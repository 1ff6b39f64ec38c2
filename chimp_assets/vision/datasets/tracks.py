"""Tracks with their best crops as samples of a PyTorch dataset, straight from SQL.

Belongs here: `TrackQuery`, `SqlTrackDataset`. Does not belong here: which tracks a model may learn from
(`training_set`), which detections are best (`crops`), the order of an epoch (`order`, `stream`), frames (`frames`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any, Literal

import numpy as np
import sqlalchemy as sa
import torch
from torch.utils.data import Dataset
from torchvision import tv_tensors

from chimp_assets.archive.storage.store import BlobStore
from chimp_assets.archive.video.pictures import PictureError
from chimp_assets.database import schema
from chimp_assets.database.connection.engine import Database
from chimp_assets.vision.datasets.order import Uneven
from chimp_assets.vision.datasets.reading import (
    JPEG_BYTES,
    NAMED_TRACK,
    DatasetError,
    Sample,
    Transform,
    decoded_jpeg,
)
from chimp_assets.vision.datasets.stream import MIX_BYTES, SqlStream
from chimp_assets.vision.datasets.training_set import read_members
from chimp_assets.vision.pictures.crops import best_crops, crop_square

TRACKS_PER_BLOCK = 16


@dataclass(frozen=True)
class TrackQuery:
    """Which live tracks. split, videos: as in `FrameQuery`. named_by: only tracks named by a `person`, by the `model`
    or by `anyone` of the two; None: all live tracks.

    training_set: instead, the members of this training_set_id with their classes as of its watermark.
    """

    split: Literal["train", "validation", "test"] | None = None
    videos: Sequence[int] | None = None
    named_by: Literal["person", "model", "anyone"] | None = None
    training_set: int | None = None


class SqlTrackDataset(Dataset[Any]):
    """Tracks as samples, by number or by key (`at`), each a dict:

    track_id, video_id int; crops: tv_tensors.Image u8 [k, 3, side, side], the best crops of the track, ascending in
    time, k <= crops_per_track; frame_no i64 [k]; class_id int, the individual_id, -1 for a track without a name.

    class_id of all samples is the attribute `class_id`, i64 [n]. transform receives the dict.
    Raises DatasetError if the query selects no track.
    """

    def __init__(
        self,
        db: Database,
        store: BlobStore,
        query: TrackQuery | None = None,
        *,
        crops_per_track: int = 5,
        side: int = 96,
        transform: Transform | None = None,
    ) -> None:
        self._db = db
        self._store = store
        self.query = query or TrackQuery()
        self._k = crops_per_track
        self._side = side
        self._transform = transform
        self.track_id, self.class_id = self._selected()
        if not len(self):
            raise DatasetError(
                "The query selects no track.", "Choose another split or other videos, or label some tracks."
            )

    def _selected(self) -> tuple[np.ndarray, np.ndarray]:
        if self.query.training_set is not None:
            members = read_members(self._db, self._store, self.query.training_set)
            return members.track_id, members.class_id
        with self._db.read() as conn:
            return _tracks(conn, self.query)

    def __len__(self) -> int:
        return len(self.track_id)

    def at(self, track_id: int) -> Any:
        """The sample of a track. Raises DatasetError if the query does not select it."""
        index = int(np.searchsorted(self.track_id, track_id))
        if index >= len(self) or self.track_id[index] != track_id:
            raise DatasetError(f"The query does not select track {track_id}.", "Choose one of its tracks.")
        return self[index]

    def __getitem__(self, index: int) -> Any:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """Samples of these numbers, in their order; tracks of one video are read together."""
        numbers = [self._number(i) for i in indices]
        found: dict[int, Any] = {}
        wanted = sorted(set(numbers))
        for _, members in groupby(wanted, key=lambda n: int(self.track_id[n]) // schema.TRACKS_PER_VIDEO):
            found.update((raw.number, raw) for raw in self.read(list(members)))
        return [self.finished(found[n]) for n in numbers]

    def _number(self, index: int) -> int:
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return index % len(self)

    def stream(
        self, *, seed: int = 0, shuffle: bool = True, mix_bytes: int = MIX_BYTES, uneven: Uneven = "keep"
    ) -> SqlStream:
        """All samples once per epoch, in an order that depends on seed and epoch alone; see `SqlStream`."""
        return SqlStream(_TrackBlocks(self), seed=seed, shuffle=shuffle, mix_bytes=mix_bytes, uneven=uneven)

    def balanced_weights(self) -> torch.Tensor:
        """f64 [n], for WeightedRandomSampler: every class is drawn equally often, however many tracks it has."""
        _, which, counts = np.unique(self.class_id, return_inverse=True, return_counts=True)
        return torch.from_numpy(1.0 / counts[which])

    def read(self, numbers: Sequence[int]) -> list[_RawTrack]:
        """Tracks of one video with the JPEGs of their best frames. numbers: ascending, distinct."""
        track_ids = self.track_id[list(numbers)]
        video_id = int(track_ids[0]) // schema.TRACKS_PER_VIDEO
        d, frame, shard = schema.detection.c, schema.frame.c, schema.frame_shard.c
        with self._db.read() as conn:
            rows = conn.execute(
                sa.select(d.track_id, d.frame_no, d.x, d.y, d.w, d.h, d.score)
                .where(d.track_id.between(int(track_ids[0]), int(track_ids[-1])))
                .order_by(d.track_id, d.frame_no)
            ).all()
            chosen = {}
            wanted = {int(track_id) for track_id in track_ids}
            for track_id, members in groupby(rows, key=attrgetter("track_id")):
                if track_id in wanted:
                    chosen[track_id] = _best(list(members), self._k)
            if missing := wanted - chosen.keys():
                raise DatasetError(
                    f"Track {min(missing)} no longer has detections.",
                    "Its video was tracked again: create the dataset again.",
                )
            frame_nos = sorted({int(n) for frames, _ in chosen.values() for n in frames})
            places = {
                row.frame_no: row
                for row in conn.execute(
                    sa.select(frame.frame_no, shard.uri, frame.byte_offset, frame.byte_length)
                    .join_from(schema.frame, schema.frame_shard, frame.shard_id == shard.shard_id)
                    .where(frame.video_id == video_id, frame.frame_no.between(frame_nos[0], frame_nos[-1]))
                )
            }
        jpegs = self._jpegs(video_id, frame_nos, places)
        return [
            _RawTrack(number, int(track_id), *chosen[int(track_id)], [jpegs[int(n)] for n in chosen[int(track_id)][0]])
            for number, track_id in zip(numbers, track_ids, strict=True)
        ]

    def _jpegs(self, video_id: int, frame_nos: Sequence[int], places: dict[int, Any]) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        if missing := set(frame_nos) - places.keys():
            raise PictureError(f"Video {video_id} has no frame {min(missing)}.", "Create the dataset again.")
        for uri, members in groupby(frame_nos, key=lambda n: places[n].uri):
            some = [places[n] for n in members]
            pieces = self._store.get_ranges(uri, [r.byte_offset for r in some], [r.byte_length for r in some])
            found.update((row.frame_no, jpeg) for row, jpeg in zip(some, pieces, strict=True))
        return found

    def finished(self, raw: _RawTrack) -> Any:
        """The sample of a track that was read."""
        video_id = raw.track_id // schema.TRACKS_PER_VIDEO
        crops = np.stack(
            [
                crop_square(decoded_jpeg(jpeg, video_id, int(n)), tuple(float(v) for v in box), self._side)  # type: ignore[arg-type]
                for jpeg, n, box in zip(raw.jpegs, raw.frame_no, raw.boxes, strict=True)
            ]
        )
        sample: Sample = {
            "track_id": raw.track_id,
            "video_id": video_id,
            "crops": tv_tensors.Image(torch.from_numpy(crops).permute(0, 3, 1, 2)),
            "frame_no": torch.from_numpy(raw.frame_no),
            "class_id": int(self.class_id[raw.number]),
        }
        return self._transform(sample) if self._transform else sample


@dataclass(frozen=True)
class _RawTrack:
    """A track as read: its place in the dataset, best frames i64 [k], boxes f64 [k, 4], their JPEGs."""

    number: int
    track_id: int
    frame_no: np.ndarray
    boxes: np.ndarray
    jpegs: list[bytes]


def _best(rows: Sequence[Any], k: int) -> tuple[np.ndarray, np.ndarray]:
    boxes = np.array([row[2:6] for row in rows], np.float64)
    frame_no = np.array([row.frame_no for row in rows], np.int64)
    scores = np.array([row.score for row in rows], np.float32)
    best = best_crops(frame_no, boxes.astype(np.float32), scores, k)
    return frame_no[best], boxes[best]


def _tracks(conn: sa.Connection, query: TrackQuery) -> tuple[np.ndarray, np.ndarray]:
    """(track_id i64 [n] ascending, individual_id i64 [n] or -1) of the selected tracks of usable videos."""
    track, video, split, named = schema.track.c, schema.video.c, schema.split_assignment.c, NAMED_TRACK.c
    statement: sa.Select[Any]
    of_video: sa.ColumnElement[Any]
    if query.named_by is None:
        statement = sa.select(track.track_id, sa.literal(-1, sa.BigInteger)).where(track.state == "live")
        of_video = track.video_id
    else:
        statement = sa.select(sa.type_coerce(named.track_id, sa.BigInteger), named.individual_id).select_from(
            NAMED_TRACK
        )
        of_video = named.video_id
        if query.named_by != "anyone":
            statement = statement.where(named.source == query.named_by)
    statement = statement.join(schema.video, video.video_id == of_video).where(video.state == "tracked")
    if query.split is not None:
        statement = statement.join(schema.split_assignment, split.video_id == of_video).where(
            split.split == query.split
        )
    wanted = None if query.videos is None else np.unique(np.asarray(query.videos, np.int64))
    parts = [np.empty((0, 2), np.int64)]
    for page in conn.execute(statement.execution_options(yield_per=10_000)).partitions():
        part = np.array([tuple(row) for row in page], np.int64)
        parts.append(part if wanted is None else part[np.isin(part[:, 0] // schema.TRACKS_PER_VIDEO, wanted)])
    table = np.concatenate(parts)
    table = table[np.argsort(table[:, 0], kind="stable")]
    return table[:, 0].copy(), table[:, 1].copy()


class _TrackBlocks:
    """Up to TRACKS_PER_BLOCK selected tracks of one video."""

    def __init__(self, dataset: SqlTrackDataset) -> None:
        self._dataset = dataset
        video = dataset.track_id // schema.TRACKS_PER_VIDEO
        _, first, count = np.unique(video, return_index=True, return_counts=True)
        per_video = -(-count // TRACKS_PER_BLOCK)
        of_video = np.arange(int(per_video.sum())) - np.repeat(np.cumsum(per_video) - per_video, per_video)
        self._first = np.repeat(first, per_video) + of_video * TRACKS_PER_BLOCK
        ends = np.repeat(first + count, per_video)
        self.samples = np.minimum(TRACKS_PER_BLOCK, ends - self._first)

    def bytes_of(self, blocks: np.ndarray) -> np.ndarray:
        return self.samples[blocks] * (self._dataset._k * JPEG_BYTES)

    def read(self, blocks: Sequence[int]) -> list[list[Any]]:
        found = []
        for block in blocks:
            first = int(self._first[block])
            found.append(self._dataset.read(range(first, first + int(self.samples[block]))))
        return found

    def finished(self, raw: Any) -> Any:
        return self._dataset.finished(raw)
