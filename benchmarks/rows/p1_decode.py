"""P1: decode one video at 5 pictures a second into shards, against ffmpeg; and a long one over two cores."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator

from benchmarks.support import clips
from benchmarks.support.decoding import against_ffmpeg, job_of, spread
from benchmarks.support.harness import RUNS, Row, cores
from chimp_assets.archive.video.decoders import decoded
from chimp_assets.archive.video.reading import DecodedVideo
from chimp_assets.settings import DecodeSettings

FPS = 5.0


def measure() -> Iterator[Row]:
    """One thread against ffmpeg, then two processes against one."""
    yield from against_ffmpeg("P1", f"decode at {FPS:.0f} fps", DecodeSettings(fps=FPS), 0.90)
    yield _split()


def _split() -> Row:
    clip = clips.repeated(clips.generated(), 3)
    one_pass: list[float] = []
    in_parts: list[float] = []
    for _ in range(RUNS):
        for split_s, seconds in ((1e9, one_pass), (60.0, in_parts)):
            with tempfile.TemporaryDirectory() as folder:
                settings = DecodeSettings(fps=FPS, workers=2, split_s=split_s)
                began = time.perf_counter()
                ((_, outcome),) = decoded([job_of(clip, folder, settings)], lambda length: {})
                seconds.append(time.perf_counter() - began)
                assert isinstance(outcome, DecodedVideo)
    value, peer = statistics.median(in_parts), statistics.median(one_pass)
    return Row(
        "P1", "180 s of 1080p25 in parts over 2 processes, their start included", value, "s", {"one process": peer},
        {"one process": peer / value}, ">= 1.7x", peer >= 1.7 * value, RUNS, spread(in_parts), cores(),
    )  # fmt: skip
