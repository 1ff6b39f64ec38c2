"""Stored frames with their boxes as samples of a PyTorch dataset, straight from SQL.

Belongs here: `FrameQuery`, `SqlFrameDataset`, its statements. Does not belong here: the order of an epoch (`order`,
`stream`), tracks (`tracks`), training loops.

Memory does not grow with the archive: a dataset holds a few bytes for each video, a stream one mix of blocks besides.
Rows come in short queries over a range of keys, pictures in joined range reads. Each worker process opens its own
connections, whether it was forked or spawned. Usable without Dagster:

    home = Home.open("chimp_home")
    frames = SqlFrameDataset(home.database, home.store, FrameQuery(split="train", targets="identities"))
    loader = DataLoader(frames.stream(seed=1), batch_size=32, num_workers=2, collate_fn=list)
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress, groupby
from typing import Any, Literal, NamedTuple

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
    as_image,
    decoded_jpeg,
    jpeg_size,
    reading_connection,
)
from chimp_assets.vision.datasets.stream import MIX_BYTES, SqlStream

FRAMES_PER_BLOCK = 64

_VIDEO_ID = sa.bindparam("video_id", type_=sa.BigInteger)
_FIRST, _LAST = sa.bindparam("first", type_=sa.Integer), sa.bindparam("last", type_=sa.Integer)
_XYXY = tv_tensors.BoundingBoxFormat.XYXY


@dataclass(frozen=True)
class FrameQuery:
    """Which frames, and what they come with.

    split: `train`, `validation` or `test`; None: all. videos: only these video_ids. targets: `none`; `boxes`: of live
    tracks; `identities`: boxes whose track has a name, and the name. named_by: whose names, `person` or `model` or None
    for both (only with `identities`).
    """

    split: Literal["train", "validation", "test"] | None = None
    videos: Sequence[int] | None = None
    targets: Literal["none", "boxes", "identities"] = "boxes"
    named_by: Literal["person", "model"] | None = "person"


class SqlFrameDataset(Dataset[Any]):
    """Stored frames as samples, by number (0 to len - 1) or by key (`at`), each a dict:

    video_id, frame_no int; time_s float; image: tv_tensors.Image u8 [3, h, w] RGB as displayed; and with targets boxes:
    tv_tensors.BoundingBoxes f32 [k, 4] XYXY in pixels, track_id i64 [k], and with identities individual_id i64 [k].

    transform receives that dict; torchvision.transforms.v2 transforms keep image and boxes together.
    Raises DatasetError if the query selects no frame.
    """

    def __init__(
        self, db: Database, store: BlobStore, query: FrameQuery | None = None, transform: Transform | None = None
    ) -> None:
        self._db = db
        self._store = store
        self.query = query or FrameQuery()
        self._transform = transform
        with reading_connection(db) as conn:
            found = _videos(conn, self.query)
        # Arrays, not objects: a list of objects, copied on write, is copied by every worker.
        self._video_id, self._n_frames, self._jpeg_bytes = found
        # Built once: building a statement takes longer than executing it.
        self._select_frames, self._select_boxes = _frames_statement(), _boxes_statement(self.query)
        self._ends = np.cumsum(self._n_frames, dtype=np.int64)
        if not len(self):
            raise DatasetError("The query selects no frame.", "Choose another split or other videos, or ingest some.")

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def key(self, index: int) -> tuple[int, int]:
        """(video_id, frame_no) of a sample. Raises IndexError."""
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        at = int(np.searchsorted(self._ends, index, "right"))
        return int(self._video_id[at]), index - int(self._ends[at] - self._n_frames[at])

    def at(self, video_id: int, frame_no: int) -> Any:
        """The sample of a key. Raises DatasetError if the query does not select it."""
        if video_id not in self._video_id:
            raise DatasetError(f"The query does not select video {video_id}.", "Choose one of its videos.")
        return self.finished(self.read(video_id, [frame_no])[0])

    def __getitem__(self, index: int) -> Any:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """Samples of these numbers, in their order; frames of one video are read together."""
        keys = [self.key(i) for i in indices]
        found: dict[tuple[int, int], Any] = {}
        for video_id, members in groupby(sorted(set(keys)), key=lambda key: key[0]):
            raws = self.read(video_id, [frame_no for _, frame_no in members])
            found.update(((video_id, raw.sample["frame_no"]), raw) for raw in raws)
        return [self.finished(found[key]) for key in keys]

    def stream(
        self, *, seed: int = 0, shuffle: bool = True, mix_bytes: int = MIX_BYTES, uneven: Uneven = "keep"
    ) -> SqlStream:
        """All samples once per epoch, in an order that depends on seed and epoch alone; see `SqlStream`."""
        return SqlStream(_FrameBlocks(self), seed=seed, shuffle=shuffle, mix_bytes=mix_bytes, uneven=uneven)

    def read(self, video_id: int, frame_nos: Sequence[int]) -> list[_RawFrame]:
        """Frames of one video with their JPEGs and boxes, in the order of frame_no. frame_nos: ascending, distinct."""
        return self.read_many([(video_id, frame_nos)])[0]

    def read_many(self, wanted: Sequence[tuple[int, Sequence[int]]]) -> list[list[_RawFrame]]:
        """`read` of several: their rows in one transaction, which has ended when the pictures are fetched."""
        with reading_connection(self._db) as conn:
            rows = [self._rows(conn, video_id, frame_nos) for video_id, frame_nos in wanted]
        return [self._with_jpegs(video_id, *found) for (video_id, _), found in zip(wanted, rows, strict=True)]

    def _rows(
        self, conn: sa.Connection, video_id: int, frame_nos: Sequence[int]
    ) -> tuple[Sequence[Any], Sequence[Any]]:
        """Rows of `_frames_statement` and of `_boxes_statement`."""
        span = {"video_id": video_id, "first": frame_nos[0], "last": frame_nos[-1]}
        rows: Sequence[Any] = conn.execute(self._select_frames, span).all()
        if len(rows) != len(frame_nos):
            chosen = set(frame_nos)
            rows = [row for row in rows if row[0] in chosen]
            if missing := chosen - {row[0] for row in rows}:
                raise PictureError(
                    f"Video {video_id} has no frame {min(missing)}.",
                    "The video was ingested again: create the dataset again.",
                )
        return rows, [] if self._select_boxes is None else conn.execute(self._select_boxes, span).all()

    def _with_jpegs(self, video_id: int, rows: Sequence[Any], boxes: Sequence[Any]) -> list[_RawFrame]:
        jpegs: list[bytes] = []
        for uri, members in groupby(rows, key=lambda row: row[2]):
            some = list(members)
            jpegs += self._store.get_ranges(uri, [row[3] for row in some], [row[4] for row in some])
        samples: list[Sample] = [{"video_id": video_id, "frame_no": row[0], "time_s": row[1]} for row in rows]
        if self.query.targets != "none":
            sizes = [jpeg_size(jpeg, video_id, row[0]) for row, jpeg in zip(rows, jpegs, strict=True)]
            for sample, targets in zip(samples, _targets(boxes, [row[0] for row in rows], sizes), strict=True):
                sample.update(targets)
                if self.query.targets != "identities":
                    del sample["individual_id"]
        return [_RawFrame(sample, jpeg) for sample, jpeg in zip(samples, jpegs, strict=True)]

    def finished(self, raw: _RawFrame) -> Any:
        """The sample of a frame that was read."""
        sample = dict(raw.sample)  # a frame may be requested twice
        sample["image"] = as_image(decoded_jpeg(raw.jpeg, sample["video_id"], sample["frame_no"]))
        return self._transform(sample) if self._transform else sample


class _RawFrame(NamedTuple):
    """A frame as read: its sample without the picture, and its JPEG, a tenth of the size of the picture."""

    sample: Sample
    jpeg: bytes


def _targets(rows: Sequence[Any], frame_nos: Sequence[int], sizes: Sequence[tuple[int, int]]) -> Iterator[Sample]:
    """boxes, track_id and individual_id of each frame.

    rows: frame_no, x, y, w, h, track_id, perhaps individual_id, by frame; frame_nos ascending; sizes: (height, width)
    of each. All frames of a block at once: between two decodings the same work takes five times as long, because
    decoding empties the caches of the processor.
    """
    frame_no, x, y, w, h, track_id, *names = zip(*rows, strict=True) if rows else [()] * 6
    numbers = np.array(frame_no, np.int64)
    starts = np.searchsorted(numbers, frame_nos).tolist()
    ends = np.searchsorted(numbers, frame_nos, "right").tolist()
    corners = np.array([x, y, w, h], np.float32)
    corners[2:] += corners[:2]
    pixels = np.ascontiguousarray(corners.T)
    tracks, individuals = np.array(track_id, np.int64), np.array(names[0] if names else track_id, np.int64)
    for first, end, (height, width) in zip(starts, ends, sizes, strict=True):
        scaled = torch.from_numpy(pixels[first:end] * np.array((width, height, width, height), np.float32))
        yield {
            "boxes": tv_tensors.BoundingBoxes(scaled, format=_XYXY, canvas_size=(height, width)),
            "track_id": torch.from_numpy(tracks[first:end]),
            "individual_id": torch.from_numpy(individuals[first:end]),
        }


def _videos(conn: sa.Connection, query: FrameQuery) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(video_id i64 [n], n_frames i32 [n], mean bytes of a JPEG i32 [n]) of the selected videos, ascending."""
    video, shard, split = schema.video.c, schema.frame_shard.c, schema.split_assignment.c
    # Looked up for each video: joined as a table of sums, all of them would be held by SQLite first.
    size = sa.select(sa.func.sum(shard.bytes)).where(shard.video_id == video.video_id).scalar_subquery()
    statement = (
        sa.select(video.video_id, video.n_frames, size.label("bytes"))
        .where(video.state.in_(("decoded", "tracked")), video.n_frames > 0)
        .order_by(video.video_id)
        .execution_options(yield_per=2_000)
    )
    if query.split is not None:
        statement = statement.join(schema.split_assignment, split.video_id == video.video_id).where(
            split.split == query.split
        )
    wanted = None if query.videos is None else np.unique(np.asarray(query.videos, np.int64))
    # 16 bytes a video, grown in place: joining pages at the end would take twice as much.
    video_id, n_frames, jpeg_bytes = array("q"), array("i"), array("i")
    for page in conn.execute(statement).partitions():
        chosen = None if wanted is None else np.isin([row.video_id for row in page], wanted)
        for row in page if chosen is None else compress(page, chosen):
            video_id.append(row.video_id)
            n_frames.append(row.n_frames)
            jpeg_bytes.append((row.bytes or 0) // row.n_frames or JPEG_BYTES)
    return np.frombuffer(video_id, np.int64), np.frombuffer(n_frames, np.int32), np.frombuffer(jpeg_bytes, np.int32)


def _frames_statement() -> sa.Select[Any]:
    """frame_no, time_s, uri, byte_offset, byte_length of the frames `first` to `last` of `video_id`, in order."""
    frame, shard = schema.frame.c, schema.frame_shard.c
    return (
        sa.select(frame.frame_no, frame.time_s, shard.uri, frame.byte_offset, frame.byte_length)
        .join_from(schema.frame, schema.frame_shard, frame.shard_id == shard.shard_id)
        .where(frame.video_id == _VIDEO_ID, frame.frame_no.between(_FIRST, _LAST))
        .order_by(frame.frame_no)
    )


def _boxes_statement(query: FrameQuery) -> sa.Select[Any] | None:
    """frame_no, x, y, w, h, track_id, with identities individual_id, of the boxes in those frames; None: no targets."""
    if query.targets == "none":
        return None
    d = schema.detection.c
    statement: sa.Select[Any] = (
        sa.select(d.frame_no, d.x, d.y, d.w, d.h, d.track_id)
        .where(d.video_id == _VIDEO_ID, d.frame_no.between(_FIRST, _LAST))
        .order_by(d.frame_no, d.detection_no)
    )
    if query.targets == "boxes":
        track = schema.track.c
        return statement.join(schema.track, track.track_id == d.track_id).where(track.state == "live")
    named = NAMED_TRACK.c
    statement = statement.join(NAMED_TRACK, named.track_id == d.track_id).add_columns(named.individual_id)
    statement = statement.where(named.video_id == _VIDEO_ID)
    return statement if query.named_by is None else statement.where(named.source == query.named_by)


class _FrameBlocks:
    """Up to FRAMES_PER_BLOCK frames in a row of one video."""

    def __init__(self, dataset: SqlFrameDataset) -> None:
        self._dataset = dataset
        n_frames = dataset._n_frames
        self._length = FRAMES_PER_BLOCK
        per_video: np.ndarray = -(-n_frames // self._length)
        # What grows with the archive stays small: a byte a block and four a video; the rest is computed from these.
        self._end = np.cumsum(per_video, dtype=np.int32)
        self.samples = np.full(int(self._end[-1]), self._length, np.uint8)
        self.samples[self._end - 1] = n_frames - (per_video - 1) * self._length

    def bytes_of(self, blocks: np.ndarray) -> np.ndarray:
        video = np.searchsorted(self._end, blocks, "right")
        return self._dataset._jpeg_bytes[video].astype(np.int64) * self.samples[blocks]

    def read(self, blocks: Sequence[int]) -> list[list[Any]]:
        wanted = []
        for block in blocks:
            video = int(np.searchsorted(self._end, block, "right"))
            first = (int(block) - (int(self._end[video - 1]) if video else 0)) * self._length
            wanted.append((int(self._dataset._video_id[video]), range(first, first + int(self.samples[block]))))
        return self._dataset.read_many(wanted)

    def finished(self, raw: Any) -> Any:
        return self._dataset.finished(raw)
