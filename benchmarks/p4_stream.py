"""P4: SQL and shards to tensors, in random order, one process, one thread: samples per CPU second.

4,000 JPEGs of 640 x 360 (about 20 kB) in 200 videos. Ours: `SqlFrameDataset.stream`, each sample a dict with the image
and its boxes and tracks, two queries a block. Peers hold the same JPEGs and one class number each: torchvision's
ImageFolder with PIL (its default), WebDataset (shuffle 1,000), LitData (shuffled). WebDataset's and LitData's bytes are
decoded by the decoder that we use. All are warm; arms run in turn.
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

from benchmarks.harness import RUNS, Row, cores, timed
from chimp_assets.database import bulk, schema
from chimp_assets.home import Home, init_home
from chimp_assets.vision.sql_datasets import FrameQuery, SqlFrameDataset

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
        jpegs = _jpegs()
        home = _home(root / "home", jpegs)
        peers = {
            "ImageFolder, PIL": _image_folder(root / "folder", jpegs),
            "WebDataset": _webdataset(root / "tar", jpegs),
            "LitData": _litdata(root / "lit", jpegs),
        }
        for targets in ("boxes", "none"):
            dataset = SqlFrameDataset(home.database, home.store, FrameQuery(targets=targets))
            arms = {"ours": _ours(dataset), **peers}
            for arm in arms.values():
                assert arm() == len(jpegs)
            timing = timed(arms, RUNS)
            rate = {name: len(jpegs) / found.cpu_s for name, found in timing.items()}
            others = {name: value for name, value in rate.items() if name != "ours"}
            ratio = {name: rate["ours"] / value for name, value in others.items()}
            yield Row(
                "P4",
                f"stream {len(jpegs):,} JPEGs of {WIDTH} x {HEIGHT} from SQL"
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


def _jpegs() -> list[bytes]:
    """Smooth pictures with some grain: about 20 kB each at quality 85."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(VIDEOS * FRAMES):
        coarse = rng.integers(0, 256, (24, 40, 3), dtype=np.uint8)
        picture = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).astype(np.int16)
        grain = cv2.resize(rng.integers(-9, 10, (HEIGHT // 2, WIDTH // 2), dtype=np.int16), (WIDTH, HEIGHT))
        found.append(
            simplejpeg.encode_jpeg(
                np.clip(picture + grain[..., None], 0, 255).astype(np.uint8), quality=85, colorspace="RGB"
            )
        )
    return found


def _home(folder: Path, jpegs: list[bytes]) -> Home:
    """A home with these pictures as the frames of videos, two boxes in each."""
    home = init_home(folder)
    with home.database.write() as conn:
        conn.execute(sa.insert(schema.bundle).values(bundle_id=1, bundle_key="b-0001", folder="b", created_at=THEN))
        conn.execute(
            sa.insert(schema.model).values(
                model_id=1, task="detector", version=1, name="d", state="champion", config="{}", created_at=THEN
            )
        )
    for video_id in range(1, VIDEOS + 1):
        own = jpegs[(video_id - 1) * FRAMES : video_id * FRAMES]
        _add_video(home, video_id, own)
    return home


def _add_video(home: Home, video_id: int, jpegs: list[bytes]) -> None:
    n = len(jpegs)
    ends = np.cumsum([len(jpeg) for jpeg in jpegs])
    content = b"".join(jpegs)
    uri = f"shards/b-0001/{video_id:08d}.tar"
    home.store.put(uri, content)
    shard_id = schema.shard_id_of(video_id, 0)
    tracks = [schema.track_id_of(video_id, ordinal) for ordinal in range(BOXES)]
    with home.database.write() as conn:
        conn.execute(
            sa.insert(schema.video).values(
                video_id=video_id, bundle_id=1, uri=f"{video_id}.mp4", version=1, bytes=1, etag="e", n_frames=n,
                state="tracked", discovered_at=THEN, updated_at=THEN,
            )
        )  # fmt: skip
        conn.execute(
            sa.insert(schema.frame_shard).values(
                shard_id=shard_id, video_id=video_id, uri=uri, bytes=len(content), content_hash="0" * 64
            )
        )
        bulk.insert_rows(
            conn,
            schema.frame,
            {
                "video_id": [video_id] * n, "frame_no": list(range(n)), "pts": list(range(n)),
                "time_s": [k / 5 for k in range(n)], "shard_id": [shard_id] * n,
                "byte_offset": [int(end) - len(jpeg) for end, jpeg in zip(ends, jpegs, strict=True)],
                "byte_length": [len(jpeg) for jpeg in jpegs],
            },
        )  # fmt: skip
        bulk.insert_rows(
            conn,
            schema.track,
            {
                "track_id": tracks, "video_id": [video_id] * BOXES, "first_frame_no": [0] * BOXES,
                "last_frame_no": [n - 1] * BOXES, "n_detections": [n] * BOXES, "quality": [1.0] * BOXES,
                "model_id": [1] * BOXES, "state": ["live"] * BOXES,
            },
        )  # fmt: skip
        frames = [k for k in range(n) for _ in range(BOXES)]
        bulk.insert_rows(
            conn,
            schema.detection,
            {
                "video_id": [video_id] * len(frames), "frame_no": frames,
                "detection_no": list(range(BOXES)) * n, "track_id": tracks * n,
                "x": [0.1] * len(frames), "y": [0.2] * len(frames), "w": [0.3] * len(frames), "h": [0.4] * len(frames),
                "score": [0.9] * len(frames),
            },
        )  # fmt: skip


def _counted(samples: Any) -> int:
    n = 0
    for image in samples:
        assert image.shape == (3, HEIGHT, WIDTH)
        n += 1
    return n


def _tensor(jpeg: bytes) -> torch.Tensor:
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

    def run() -> int:
        dataset = webdataset.WebDataset(urls, shardshuffle=4).shuffle(1000)
        return _counted(_tensor(sample["jpg"]) for sample in dataset)

    return run


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
        return _counted(_tensor(sample["jpeg"]) for sample in dataset)

    return run
