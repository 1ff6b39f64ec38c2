"""PyTorch datasets whose samples are rows: frames with their boxes, or tracks with their crops, straight from SQL.

Belongs here: `SqlFrameDataset`, `SqlTrackDataset` and the stream over either. Does not belong here: the order of an
epoch (`order`), which tracks may teach (`datasets`), training loops.

Memory does not grow with the archive: a dataset holds a few bytes for each video (or track), a stream one mix of blocks
besides. Rows come in short queries over a range of keys, pictures in joined range reads. Each worker process opens its
own connections, whether it was forked or spawned. Usable without Dagster:

    home = Home.open("chimp_home")
    frames = SqlFrameDataset(home.database, home.store, FrameQuery(split="train", targets="identities"))
    loader = DataLoader(frames.stream(seed=1), batch_size=32, num_workers=2, collate_fn=list)
"""

from __future__ import annotations

import gc
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import compress, groupby
from operator import attrgetter
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import simplejpeg
import sqlalchemy as sa
import torch
from torch.utils.data import Dataset, IterableDataset, get_worker_info
from torchvision import tv_tensors

from chimp_assets.archive.storage.store import BlobStore
from chimp_assets.archive.video.pictures import PictureError
from chimp_assets.database import schema
from chimp_assets.database.connection.engine import Database
from chimp_assets.errors import ChimpError
from chimp_assets.vision.datasets.order import EpochOrder, Position, Reader, Uneven
from chimp_assets.vision.pictures.crops import best_crops, crop_square

Sample = dict[str, Any]
Transform = Callable[[Sample], Any]

FRAMES_PER_BLOCK = 64
TRACKS_PER_BLOCK = 16
MIX_BYTES = 64 * 1024 * 1024
"""JPEGs that a stream holds at once, in each worker: some 50 blocks of 64 frames of 20 kB."""

_VIDEO_ID = sa.bindparam("video_id", type_=sa.BigInteger)
_FIRST, _LAST = sa.bindparam("first", type_=sa.Integer), sa.bindparam("last", type_=sa.Integer)
_NAMED = sa.table(
    "v_named_track", sa.column("track_id"), sa.column("video_id"), sa.column("individual_id"), sa.column("source")
)
_CACHE_KIB = 4096
_XYXY = tv_tensors.BoundingBoxFormat.XYXY
# A JPEG whose length nobody wrote down, in estimates.
_JPEG_BYTES = 20_000


class DatasetError(ChimpError):
    """A query selects nothing, or a state does not belong to this dataset."""


@dataclass(frozen=True)
class FrameQuery:
    """Which frames, and what is told of them.

    split: `train`, `validation` or `test`; None: all. videos: only these video_ids. targets: `none`; `boxes`: of live
    tracks; `identities`: boxes whose track has a name, and the name. named_by: whose names, `person` or `model` or None
    for both (only with `identities`).
    """

    split: Literal["train", "validation", "test"] | None = None
    videos: Sequence[int] | None = None
    targets: Literal["none", "boxes", "identities"] = "boxes"
    named_by: Literal["person", "model"] | None = "person"


class SqlFrameDataset(Dataset[Any]):
    """Kept frames as samples, by number (0 to len - 1) or by key (`at`), each a dict:

    video_id, frame_no int; time_s float; image: tv_tensors.Image u8 [3, h, w] RGB as displayed; and with targets boxes:
    tv_tensors.BoundingBoxes f32 [k, 4] XYXY in pixels, track_id i64 [k], and with identities individual_id i64 [k].

    transform is given that dict; torchvision.transforms.v2 transforms keep image and boxes together.
    Raises DatasetError if the query selects no frame.
    """

    def __init__(
        self, db: Database, store: BlobStore, query: FrameQuery | None = None, transform: Transform | None = None
    ) -> None:
        self._db = db
        self._store = store
        self.query = query or FrameQuery()
        self._transform = transform
        with _reading(db) as conn:
            found = _videos(conn, self.query)
        # Arrays, not objects: copied on write, a list of objects is copied by every worker.
        self._video_id, self._n_frames, self._jpeg_bytes = found
        # Made once: making a statement takes longer than asking it.
        self._select_frames, self._select_boxes = _frames_statement(), _boxes_statement(self.query)
        self._ends = np.cumsum(self._n_frames, dtype=np.int64)
        if not len(self):
            raise DatasetError("No frame is selected.", "Ask for another split or other videos, or ingest some.")

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
            raise DatasetError(f"The query does not select video {video_id}.", "Ask for one of its videos.")
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
        with _reading(self._db) as conn:
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
                    f"Video {video_id} has no frame {min(missing)}.", "It was ingested again: make the dataset anew."
                )
        return rows, [] if self._select_boxes is None else conn.execute(self._select_boxes, span).all()

    def _with_jpegs(self, video_id: int, rows: Sequence[Any], boxes: Sequence[Any]) -> list[_RawFrame]:
        jpegs: list[bytes] = []
        for uri, members in groupby(rows, key=lambda row: row[2]):
            some = list(members)
            jpegs += self._store.get_ranges(uri, [row[3] for row in some], [row[4] for row in some])
        samples: list[Sample] = [{"video_id": video_id, "frame_no": row[0], "time_s": row[1]} for row in rows]
        if self.query.targets != "none":
            sizes = [_size(jpeg, video_id, row[0]) for row, jpeg in zip(rows, jpegs, strict=True)]
            for sample, targets in zip(samples, _targets(boxes, [row[0] for row in rows], sizes), strict=True):
                sample.update(targets)
                if self.query.targets != "identities":
                    del sample["individual_id"]
        return [_RawFrame(sample, jpeg) for sample, jpeg in zip(samples, jpegs, strict=True)]

    def finished(self, raw: _RawFrame) -> Any:
        """The sample of a frame that was read."""
        sample = dict(raw.sample)  # a frame may be asked for twice
        sample["image"] = _image(_decoded(raw.jpeg, sample["video_id"], sample["frame_no"]))
        return self._transform(sample) if self._transform else sample


class _RawFrame(NamedTuple):
    """A frame as it was read: its sample without the picture, and its JPEG, a tenth of the picture."""

    sample: Sample
    jpeg: bytes


def _targets(rows: Sequence[Any], frame_nos: Sequence[int], sizes: Sequence[tuple[int, int]]) -> Iterator[Sample]:
    """boxes, track_id and individual_id of each frame.

    rows: frame_no, x, y, w, h, track_id, perhaps individual_id, by frame; frame_nos ascending; sizes: (height, width)
    of each. All frames of a block at once: between two pictures that are decoded, the same work takes five times as
    long, since decoding empties the caches of the processor.
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


@contextmanager
def _reading(db: Database) -> Iterator[sa.Connection]:
    """A read transaction that keeps few pages: a loader seldom needs one twice, and each worker would keep 64 MB."""
    with db.read() as conn:
        if conn.dialect.name != "sqlite":
            yield conn
            return
        usual = int(conn.exec_driver_sql("PRAGMA cache_size").scalar_one())
        conn.exec_driver_sql(f"PRAGMA cache_size={-_CACHE_KIB}")
        try:
            yield conn
        finally:
            conn.exec_driver_sql(f"PRAGMA cache_size={usual}")


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
    # 16 bytes a video, grown in place: pages that are put together at the end would be twice as many.
    video_id, n_frames, jpeg_bytes = array("q"), array("i"), array("i")
    for page in conn.execute(statement).partitions():
        chosen = None if wanted is None else np.isin([row.video_id for row in page], wanted)
        for row in page if chosen is None else compress(page, chosen):
            video_id.append(row.video_id)
            n_frames.append(row.n_frames)
            jpeg_bytes.append((row.bytes or 0) // row.n_frames or _JPEG_BYTES)
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
    named = _NAMED.c
    statement = statement.join(_NAMED, named.track_id == d.track_id).add_columns(named.individual_id)
    statement = statement.where(named.video_id == _VIDEO_ID)
    return statement if query.named_by is None else statement.where(named.source == query.named_by)


def _decoded(jpeg: bytes, video_id: int, frame_no: int) -> np.ndarray:
    try:
        picture: np.ndarray = simplejpeg.decode_jpeg(jpeg, colorspace="RGB")
    except ValueError as error:
        raise _no_jpeg(video_id, frame_no, error) from error
    return picture


def _size(jpeg: bytes, video_id: int, frame_no: int) -> tuple[int, int]:
    """(height, width) of a picture, without decoding it."""
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(jpeg)
    except ValueError as error:
        raise _no_jpeg(video_id, frame_no, error) from error
    return height, width


def _no_jpeg(video_id: int, frame_no: int, error: ValueError) -> PictureError:
    return PictureError(
        f"Frame {frame_no} of video {video_id} is not a JPEG: {error}.",
        "Its shard was changed after it was written: restore it, or ingest the video again.",
    )


def _image(picture: np.ndarray) -> tv_tensors.Image:
    """u8 [h, w, 3] as u8 [3, h, w], a view of the same bytes."""
    # What Image(...) does, less its look at what it was given.
    image: tv_tensors.Image = torch.from_numpy(picture.transpose(2, 0, 1)).as_subclass(tv_tensors.Image)
    return image


@dataclass(frozen=True)
class TrackQuery:
    """Which live tracks. split, videos: as in `FrameQuery`. named_by: only tracks that have a name, by a `person`, the
    `model` or `anyone` of the two; None: all live tracks.

    training_set: the members of this training_set_id with their classes instead, as they were at its watermark.
    """

    split: Literal["train", "validation", "test"] | None = None
    videos: Sequence[int] | None = None
    named_by: Literal["person", "model", "anyone"] | None = None
    training_set: int | None = None


class SqlTrackDataset(Dataset[Any]):
    """Tracks as samples, by number or by key (`at`), each a dict:

    track_id, video_id int; crops: tv_tensors.Image u8 [k, 3, side, side], the best crops of the track, ascending in
    time, k <= crops_per_track; frame_no i64 [k]; class_id int, the individual_id, -1 where nobody gave a name.

    class_id of all samples is the attribute `class_id`, i64 [n]. transform is given the dict.
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
            raise DatasetError("No track is selected.", "Ask for another split or other videos, or label some tracks.")

    def _selected(self) -> tuple[np.ndarray, np.ndarray]:
        if self.query.training_set is not None:
            from chimp_assets.vision.datasets.training_set import read_members

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
            raise DatasetError(f"The query does not select track {track_id}.", "Ask for one of its tracks.")
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
        """f64 [n]: drawn by these (WeightedRandomSampler), every class comes equally often, whatever its tracks."""
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
                    f"Track {min(missing)} has no detections any more.",
                    "Its video was tracked anew: make the dataset anew.",
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
            raise PictureError(f"Video {video_id} has no frame {min(missing)}.", "Make the dataset anew.")
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
                crop_square(_decoded(jpeg, video_id, int(n)), tuple(float(v) for v in box), self._side)  # type: ignore[arg-type]
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
    """A track as it was read: its place in the dataset, best frames i64 [k], boxes f64 [k, 4], their JPEGs."""

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
    track, video, split, named = schema.track.c, schema.video.c, schema.split_assignment.c, _NAMED.c
    statement: sa.Select[Any]
    of_video: sa.ColumnElement[Any]
    if query.named_by is None:
        statement = sa.select(track.track_id, sa.literal(-1, sa.BigInteger)).where(track.state == "live")
        of_video = track.video_id
    else:
        statement = sa.select(sa.type_coerce(named.track_id, sa.BigInteger), named.individual_id).select_from(_NAMED)
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


class _Blocks(Protocol):
    """What a stream reads. samples: int [n], of each block."""

    samples: np.ndarray

    def bytes_of(self, blocks: np.ndarray) -> np.ndarray:
        """int [m], about what these blocks (int [m]) take in memory while they are read."""
        ...

    def read(self, blocks: Sequence[int]) -> list[list[Any]]:
        """Of each block as many raw samples as `samples` says."""
        ...

    def finished(self, raw: Any) -> Any:
        """The sample of a raw one."""
        ...


class _FrameBlocks:
    """Up to FRAMES_PER_BLOCK frames in a row of one video."""

    def __init__(self, dataset: SqlFrameDataset) -> None:
        self._dataset = dataset
        n_frames = dataset._n_frames
        self._length = FRAMES_PER_BLOCK
        per_video: np.ndarray = -(-n_frames // self._length)
        # What grows with the archive is kept small: a byte a block and four a video; the rest is reckoned from these.
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
        return self.samples[blocks] * (self._dataset._k * _JPEG_BYTES)

    def read(self, blocks: Sequence[int]) -> list[list[Any]]:
        found = []
        for block in blocks:
            first = int(self._first[block])
            found.append(self._dataset.read(range(first, first + int(self.samples[block]))))
        return found

    def finished(self, raw: Any) -> Any:
        return self._dataset.finished(raw)


class SqlStream(IterableDataset[Any]):
    """The samples of a dataset, each once per epoch, in an order that is a function of seed and epoch alone.

    Blocks of neighbours are shuffled; the samples of as many blocks as fit into mix_bytes of JPEGs are shuffled among
    each other. Workers of a DataLoader and ranks (torch.distributed, or rank and world_size) share the blocks; `uneven`
    says what becomes of shares of different length ("drop" or "repeat" where ranks must take equal steps).

    `state_dict` is four integers (seed, epoch, mix, offset) that resume at any sample without reading those before;
    torchdata's StatefulDataLoader keeps them for each worker. After an epoch the next one follows; `set_epoch` chooses.
    """

    def __init__(
        self,
        blocks: _Blocks,
        *,
        seed: int,
        shuffle: bool = True,
        mix_bytes: int = MIX_BYTES,
        uneven: Uneven = "keep",
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        self._blocks = blocks
        self._shuffle = shuffle
        self._mix_bytes = mix_bytes
        self._uneven: Uneven = uneven
        self._rank, self._world_size = rank, world_size
        # seed, epoch, mix, offset: a tuple, since it is written for every sample.
        self._at = (seed, 0, 0, 0)
        self._move(Position(seed, 0))

    def shared(self, rank: int, world_size: int) -> SqlStream:
        """The same stream for one of several ranks, where torch.distributed does not say."""
        return SqlStream(
            self._blocks,
            seed=self._at[0],
            shuffle=self._shuffle,
            mix_bytes=self._mix_bytes,
            uneven=self._uneven,
            rank=rank,
            world_size=world_size,
        )

    def set_epoch(self, epoch: int) -> None:
        """Begin with this epoch. A DataLoader with workers copies the stream: call this before each epoch."""
        self._move(Position(self._at[0], epoch))

    def state_dict(self) -> dict[str, int]:
        """Where this process is: seed, epoch, mix, offset."""
        seed, epoch, mix, offset = self._at
        return {"seed": seed, "epoch": epoch, "mix": mix, "offset": offset}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on from there. Raises DatasetError if it is no state of a stream."""
        try:
            self._move(Position(**{name: int(value) for name, value in state.items()}))
        except (TypeError, ValueError) as error:
            raise DatasetError(f"{state} is no state of a stream: {error}.", "Give what state_dict gave.") from None

    def __iter__(self) -> Iterator[Any]:
        if get_worker_info() is not None and not gc.get_freeze_count():
            # A forked worker shares the memory of its parent until it writes there, and the garbage collector writes to
            # every object it looks at: 100 MB of imports, copied by each worker.
            gc.freeze()
        at = Position(*self._at)
        order = EpochOrder(
            self._blocks.samples,
            self._blocks.bytes_of,
            seed=at.seed,
            epoch=at.epoch,
            reader=self._reader(),
            budget=self._mix_bytes,
            shuffle=self._shuffle,
            uneven=self._uneven,
        )
        for mix, first, end in order.remaining(at):
            raws: list[list[Any]] = self._blocks.read(order.mix(mix).tolist())
            of_block, of_sample = (part[first:end].tolist() for part in order.within(mix))
            for offset, (block, sample) in enumerate(zip(of_block, of_sample, strict=True), first + 1):
                raw, raws[block][sample] = raws[block][sample], None
                self._at = (at.seed, at.epoch, mix, offset)
                yield self._blocks.finished(raw)
            # Before the next mix is read: two at once would be twice the budget.
            del raws, raw
        self._move(Position(at.seed, at.epoch + 1))

    def _move(self, position: Position) -> None:
        self._at = (position.seed, position.epoch, position.mix, position.offset)

    def _reader(self) -> Reader:
        rank, world_size = self._rank, self._world_size
        if rank is None or world_size is None:
            rank, world_size = 0, 1
            if torch.distributed.is_available() and torch.distributed.is_initialized():
                rank, world_size = torch.distributed.get_rank(), torch.distributed.get_world_size()
        worker = get_worker_info()
        if worker is None:
            return Reader(rank, world_size)
        return Reader(rank * worker.num_workers + worker.id, world_size * worker.num_workers)
