"""One video decoded into shards, and by the ffmpeg command line: what P1 and P2 have in common.

Ours is all of it: reading and hashing the file, its facts, decoding, scaling, JPEGs, tar shards on disk with fsync, the
arrays of the rows; in this process, warm, one thread, CPU seconds of the process. The peer is the ffmpeg command line,
one thread, the same sampling and scaling, to JPEG files; CPU seconds of its process. Value: pictures of the source per
CPU second. Both arms run in turn.
"""

from __future__ import annotations

import gc
import resource
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import av

from benchmarks.support import clips
from benchmarks.support.harness import RUNS, Row, cores
from chimp_assets.archive.storage.store import BlobStore
from chimp_assets.archive.video.reading import DecodedVideo, DecodeJob, decode_video
from chimp_assets.settings import DecodeSettings

SIDE = 640


def against_ffmpeg(row: str, what: str, settings: DecodeSettings, target: float) -> Iterator[Row]:
    """A row for the generated clip and one for the real one. target: least ratio of pictures per CPU second."""
    for kind, clip in (("generated 1080p25", clips.generated()), ("real 1080p60", clips.real())):
        if clip is not None:
            yield _on(row, f"{what}, {kind}", clip, settings, target)


def _on(row: str, what: str, clip: Path, settings: DecodeSettings, target: float) -> Row:
    pictures = _n_pictures(clip)
    ours, theirs = [], []
    kept = files = 0
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as folder:
            job = job_of(clip, folder, settings)
            spent, found = _cpu_seconds(resource.RUSAGE_SELF, partial(decode_video, job))
            ours.append(spent)
            assert isinstance(found, DecodedVideo)
            kept = len(found.pts)
        with tempfile.TemporaryDirectory() as folder:
            command = _ffmpeg(clip, settings, folder)
            spent, _ = _cpu_seconds(resource.RUSAGE_CHILDREN, partial(subprocess.run, command, check=True))
            theirs.append(spent)
            files = len(list(Path(folder).iterdir()))
    assert abs(kept - files) <= 1, f"{kept} pictures against {files}"
    value, peer = pictures / statistics.median(ours), pictures / statistics.median(theirs)
    name = f"ffmpeg {clips.ffmpeg_version()}, one thread"
    return Row(
        row, f"{what}, {kept} kept", value, "pictures / CPU s", {name: peer}, {name: value / peer},
        f">= {target:.2f}x", value >= target * peer, RUNS, spread(ours), cores(),
    )  # fmt: skip


def job_of(clip: Path, folder: str, settings: DecodeSettings) -> DecodeJob:
    archive = BlobStore.open(str(clip.parent))
    info = archive.head(clip.name)
    assert info is not None
    return DecodeJob(1, clip.name, info.etag, info.size, "b", archive, BlobStore.open(folder), settings, {})


def _ffmpeg(clip: Path, settings: DecodeSettings, folder: str) -> list[str]:
    keyframes = settings.policy == "keyframe"
    scale = f"scale={SIDE}:-2:flags=area"
    return [
        clips.FFMPEG, "-v", "error", "-nostdin", "-threads", "1", *(["-skip_frame", "nokey"] if keyframes else []),
        "-i", str(clip), "-an", "-vf", scale if keyframes else f"fps={settings.fps},{scale}",
        *(["-fps_mode", "passthrough"] if keyframes else []), "-filter_threads", "1", "-threads", "1",
        "-q:v", "3", "-pix_fmt", "yuvj420p", f"{folder}/%06d.jpg",
    ]  # fmt: skip


def _n_pictures(clip: Path) -> int:
    with av.open(str(clip)) as container:
        return sum(packet.size > 0 for packet in container.demux(container.streams.video[0]))


def _cpu_seconds(who: int, work: Callable[[], object]) -> tuple[float, object]:
    gc.collect()
    before = resource.getrusage(who)
    found = work()
    after = resource.getrusage(who)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, found


def spread(seconds: list[float]) -> float:
    return (max(seconds) - min(seconds)) / statistics.median(seconds)
