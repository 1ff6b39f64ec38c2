"""What a video's first picture tells, by way of the decoder that the product uses."""

from __future__ import annotations

from pathlib import Path

from chimp_assets.archive.video.decode import DecodeReport, decode_frames
from chimp_assets.archive.video.probe import VideoFacts
from chimp_assets.settings import DecodeSettings


def facts_of(path: Path, settings: DecodeSettings | None = None) -> VideoFacts:
    """Facts of a readable video; raises UnreadableVideoError as decoding does."""
    report = DecodeReport()
    pictures = decode_frames(path, settings or DecodeSettings(), report)
    next(pictures)
    pictures.close()  # type: ignore[attr-defined]
    assert report.facts is not None
    return report.facts
