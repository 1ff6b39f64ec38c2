"""D1: what reading signals costs the decoding, on real films; how stored pictures differ; and cameras that were moved.

The cost is measured twice: CPU seconds of decoding with signals against without them, in turn; and the share of the CPU
seconds of decoding that is spent on them, which a noisy machine does not disturb.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np

from benchmarks.support.decoding import job_of
from benchmarks.support.harness import RUNS, Row, cores, timed
from chimp_assets.archive.video.reading import DecodedVideo, decode_video
from chimp_assets.archive.video.signals import NUMBERS, PictureSample, signal_of
from chimp_assets.settings import DecodeSettings
from chimp_assets_tests.paths import SHARED_DATA

FILMS = ("zamba_chimp.mp4", "imageio_cockatoo.mp4", "sam2_01_dog.mp4", "tracktor_spider_video.mp4")


def measure() -> Iterator[Row]:
    """A row for each real film that is on this machine, and one for pictures read back."""
    for name in FILMS:
        film = SHARED_DATA / "videos" / name
        if film.is_file():
            yield _cost(film)
    films = [path for name in FILMS if (path := SHARED_DATA / "videos" / name).is_file()]
    if films:
        yield _read_back(films)


def _decode(film: Path) -> DecodedVideo:
    with tempfile.TemporaryDirectory() as folder:
        found = decode_video(job_of(film, folder, DecodeSettings()))
    assert isinstance(found, DecodedVideo)
    return found


def _cost(film: Path) -> Row:
    spent = [0.0]
    add = PictureSample.add

    def counted(sample: PictureSample, time_s: float, picture: np.ndarray) -> None:
        began = time.process_time()
        add(sample, time_s, picture)
        spent[0] += time.process_time() - began

    shares: list[float] = []

    def with_signals() -> None:
        spent[0] = 0.0
        began = time.process_time()
        with mock.patch.object(PictureSample, "add", counted):
            _decode(film)
        shares.append(spent[0] / (time.process_time() - began))

    def without() -> None:
        with mock.patch.object(PictureSample, "add", return_value=None):
            _decode(film)

    _decode(film)
    found = timed({"with": with_signals, "without": without})
    share = statistics.median(shares)
    return Row(
        "D1", f"signals while decoding, {film.name}", 100 * share, "% of CPU",
        {"decoding without, CPU s": found["without"].cpu_s, "decoding with, CPU s": found["with"].cpu_s},
        {"decoding without": found["with"].cpu_s / found["without"].cpu_s},
        "<= 3 %", share <= 0.03, RUNS, found["with"].spread, cores(),
    )  # fmt: skip


def _read_back(films: list[Path]) -> Row:
    """The largest difference, in per cent, of a signal of stored pictures from that of the decoder."""
    import simplejpeg

    worst = dict.fromkeys(NUMBERS[:4], 0.0)
    for film in films:
        pictures: list[tuple[float, np.ndarray]] = []
        add = PictureSample.add

        def kept(
            sample: PictureSample,
            time_s: float,
            picture: np.ndarray,
            pictures: list[tuple[float, np.ndarray]] = pictures,
            add: object = add,
        ) -> None:
            jpeg = simplejpeg.encode_jpeg(picture, quality=85, colorspace="RGB", colorsubsampling="420")
            if len(pictures) <= time_s:
                pictures.append((time_s, simplejpeg.decode_jpeg(jpeg)))
            add(sample, time_s, picture)  # type: ignore[operator]

        with mock.patch.object(PictureSample, "add", kept):
            direct = _decode(film).signal
        stored = signal_of(pictures)
        assert direct is not None
        assert stored is not None
        for name in worst:
            difference = abs(getattr(stored, name) / getattr(direct, name) - 1)
            worst[name] = max(worst[name], 100 * difference)
    value = max(worst.values())
    return Row(
        "D1", "signals of stored pictures, largest difference", value, "%", worst, {}, "<= 10 %", value <= 10, 1, 0.0,
        cores(),
    )  # fmt: skip


if __name__ == "__main__":
    from benchmarks.support.harness import show

    show(measure())
