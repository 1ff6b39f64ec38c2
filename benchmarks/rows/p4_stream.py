"""P4: SQL and shards to tensors, in random order, one process, one thread: samples per CPU second.

4,000 JPEGs of 640 x 360 (about 20 kB) in 200 videos. Ours: `SqlFrameDataset.stream`, each sample a dict with the image
and its boxes and tracks, two queries a block. Peers hold the same JPEGs and one class number each: torchvision's
ImageFolder with PIL (its default), WebDataset (shuffle 1,000), LitData (shuffled). WebDataset's and LitData's bytes are
decoded by the decoder that we use. All are warm; arms run in turn. "decoder alone" reads nothing: it decodes bytes that
lie in memory, one after the other; no loader with this decoder is faster.
"""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import simplejpeg
import sqlalchemy as sa
import torch

from benchmarks.support.harness import RUNS, Row, cores, timed
from chimp_assets.database import schema
from chimp_assets.database.connection import bulk
from chimp_assets.home import Home, init_home
from chimp_assets.vision.datasets.frames import FrameQuery, SqlFrameDataset

VIDEOS, FRAMES, WIDTH, HEIGHT = 200, 20, 640, 360
BOXES = 2
TARGETS = {"ImageFolder, PIL": 3.0, "WebDataset": 1.1, "LitData": 0.95}
THEN = datetime(2026, 1, 1, tzinfo=UTC)


def measure() -> Iterator[Row]:
    """A row with boxes and a row of pictures alone."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        pictures = jpegs()
        home = _home(root / "home", pictures)
        peers = {
            "ImageFolder, PIL": _image_folder(root / "folder", pictures),
            "WebDataset": _webdataset(root / "tar", pictures),
            "LitData": _litdata(root / "lit", pictures),
            "decoder alone": lambda: _counted(map(tensor, pictures)),
        }
        for targets in ("boxes", "none"):
            dataset = SqlFrameDataset(home.database, home.store, FrameQuery(targets=targets))
            arms = {"ours": _ours(dataset), **peers}
            for arm in arms.values():
                assert arm() == len(pictures)
            timing = timed(arms, RUNS)
            rate = {name: len(pictures) / found.cpu_s for name, found in timing.items()}
            others = {name: value for name, value in rate.items() if name != "ours"}
            ratio = {name: rate["ours"] / value for name, value in others.items()}
            yield Row(
                "P4",
                f"stream {len(pictures):,} JPEGs of {WIDTH} x {HEIGHT} from SQL"
                + (", with boxes and tracks" if targets == "boxes" else ", pictures alone"),
                rate["ours"],
                "samples / CPU s",
                others,
                ratio,
                ", ".join(f">= {least}x {name}" for name, least in TARGETS.items()),
                all(ratio[name] >= least for name, least in TARGETS.items()),
                RUNS,
                timing["ours"].spread,
                cores(),
            )


def jpegs() -> list[bytes]:
    """Smooth pictures with a little grain, encoded as the product does: about 20 kB each at quality 85."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(VIDEOS * FRAMES):
        coarse = rng.integers(28, 228, (7, 12, 3), dtype=np.uint8)
        picture = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).astype(np.int16)
        grain = cv2.resize(rng.integers(-2, 3, (HEIGHT // 6, WIDTH // 6), dtype=np.int16), (WIDTH, HEIGHT))
        found.append(
            simplejpeg.encode_jpeg(
                np.clip(picture + grain[..., None], 0, 255).astype(np.uint8),
                quality=85,
                colorspace="RGB",
                colorsubsampling="420",
            )
        )
    mean = sum(map(len, found)) / len(found)
    assert 15_000 <= mean <= 25_000, f"{mean:.0f} bytes a JPEG: not the pictures that this row is about"
    return found


def _home(folder: Path, jpegs: list[bytes]) -> Home:
    """A home with these pictures as the frames of videos, two boxes in each."""
    home = init_home(folder)
    lengths = np.array([len(jpeg) for jpeg in jpegs]).reshape(VIDEOS, FRAMES)
    offsets = np.cumsum(lengths, axis=1) - lengths
    videos = np.arange(1, VIDEOS + 1)
    uris = [f"shards/b-0001/{video_id:08d}.tar" for video_id in videos]
    for uri, first in zip(uris, range(0, len(jpegs), FRAMES), strict=True):
        home.store.put(uri, b"".join(jpegs[first : first + FRAMES]))
    shard_id = np.array([schema.shard_id_of(int(video_id), 0) for video_id in videos])
    track_id = np.array([[schema.track_id_of(int(v), ordinal) for ordinal in range(BOXES)] for v in videos])
    frame_no = np.tile(np.arange(FRAMES), VIDEOS)
    n_boxes = len(jpegs) * BOXES
    with home.database.write() as conn:
        conn.execute(sa.insert(schema.bundle).values(bundle_id=1, bundle_key="b-0001", folder="b", created_at=THEN))
        conn.execute(
            sa.insert(schema.model).values(
                model_id=1, task="detector", version=1, name="d", state="champion", config="{}", created_at=THEN
            )
        )
        tables: list[tuple[sa.Table, int, dict[str, Any]]] = [
            (schema.video, VIDEOS, {
                "video_id": videos, "bundle_id": 1, "uri": [f"{video_id}.mp4" for video_id in videos], "version": 1,
                "bytes": 1, "etag": "e", "n_frames": FRAMES, "state": "tracked", "discovered_at": THEN,
                "updated_at": THEN,
            }),
            (schema.frame_shard, VIDEOS, {
                "shard_id": shard_id, "video_id": videos, "uri": uris, "bytes": lengths.sum(axis=1),
                "content_hash": "0" * 64,
            }),
            (schema.frame, len(jpegs), {
                "video_id": np.repeat(videos, FRAMES), "frame_no": frame_no, "pts": frame_no, "time_s": frame_no / 5,
                "shard_id": np.repeat(shard_id, FRAMES), "byte_offset": offsets.ravel(),
                "byte_length": lengths.ravel(),
            }),
            (schema.track, VIDEOS * BOXES, {
                "track_id": track_id.ravel(), "video_id": np.repeat(videos, BOXES), "first_frame_no": 0,
                "last_frame_no": FRAMES - 1, "n_detections": FRAMES, "quality": 1.0,
                "first_s": 0.0, "last_s": (FRAMES - 1) / 5, "model_id": 1, "state": "live",
            }),
            (schema.detection, n_boxes, {
                "video_id": np.repeat(videos, FRAMES * BOXES), "frame_no": np.repeat(frame_no, BOXES),
                "detection_no": np.tile(np.arange(BOXES), len(jpegs)),
                "track_id": np.repeat(track_id, FRAMES, axis=0).ravel(), "x": 0.1, "y": 0.2, "w": 0.3, "h": 0.4,
                "score": 0.9,
            }),
        ]  # fmt: skip
        for table, n, columns in tables:
            filled = {
                name: [v] * n if isinstance(v, int | float | str | datetime) else v for name, v in columns.items()
            }
            bulk.insert_rows(conn, table, filled)
    return home


def _counted(samples: Any) -> int:
    n = 0
    for image in samples:
        assert image.shape == (3, HEIGHT, WIDTH)
        n += 1
    return n


def tensor(jpeg: bytes) -> torch.Tensor:
    return torch.from_numpy(simplejpeg.decode_jpeg(jpeg, colorspace="RGB")).permute(2, 0, 1)


def _ours(dataset: SqlFrameDataset) -> Callable[[], int]:
    stream = dataset.stream(seed=1)
    return lambda: _counted(sample["image"] for sample in stream)


def _image_folder(folder: Path, jpegs: list[bytes]) -> Callable[[], int]:
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import PILToTensor

    for n, jpeg in enumerate(jpegs):
        path = folder / str(n % 10) / f"{n:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg)
    dataset = ImageFolder(str(folder), transform=PILToTensor())
    return lambda: _counted(dataset[int(i)][0] for i in np.random.default_rng(1).permutation(len(dataset)))


def _webdataset(folder: Path, jpegs: list[bytes]) -> Callable[[], int]:
    samples = webdataset_of(folder, jpegs)
    return lambda: _counted(tensor(sample["jpg"]) for sample in samples())


def webdataset_of(folder: Path, jpegs: list[bytes]) -> Callable[[], Any]:
    """Four tar shards of these pictures in a new folder; returns what opens them, shuffled."""
    import webdataset

    folder.mkdir()
    for shard in range(4):
        with tarfile.open(folder / f"{shard}.tar", "w") as tar:
            for n in range(shard, len(jpegs), 4):
                for name, content in ((f"{n:06d}.jpg", jpegs[n]), (f"{n:06d}.cls", str(n % 10).encode())):
                    member = tarfile.TarInfo(name)
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
    urls = [str(folder / f"{shard}.tar") for shard in range(4)]
    return lambda: webdataset.WebDataset(urls, shardshuffle=4).shuffle(1000)


def _litdata(folder: Path, jpegs: list[bytes]) -> Callable[[], int]:
    from litdata import StreamingDataset
    from litdata.streaming.writer import BinaryWriter

    folder.mkdir()
    writer = BinaryWriter(str(folder), chunk_bytes="64MB")
    for n, jpeg in enumerate(jpegs):
        writer[n] = {"jpeg": jpeg, "class": n % 10}
    writer.done()
    writer.merge(1)

    def run() -> int:
        dataset = StreamingDataset(str(folder), shuffle=True)
        return _counted(tensor(sample["jpeg"]) for sample in dataset)

    return run
