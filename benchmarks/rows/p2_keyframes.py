"""P2: decode the key pictures of one video into shards, against ffmpeg with -skip_frame nokey."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.support.decoding import against_ffmpeg
from benchmarks.support.harness import Row
from chimp_assets.settings import DecodeSettings


def measure() -> Iterator[Row]:
    """One thread against ffmpeg."""
    yield from against_ffmpeg("P2", "decode key pictures", DecodeSettings(policy="keyframe"), 0.85)
