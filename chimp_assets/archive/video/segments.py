"""A long video cut at key pictures, so that several processes decode it at once and give the rows of one single pass.

Belongs here: where to cut, decoding one part, putting the parts together, and noticing that they do not fit.
Does not belong here: the processes (`workers`), who decodes what (`ingest`), pictures (`decode`).

The cut is proved, not assumed: the picture at each cut is decoded from both sides and compared, and every part must
give as many pictures as its packets promise. Where anything is uneven (damage, missing times, a codec that needs more
than its key picture), UnevenPartError says so and the video is decoded in one pass.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av.error
import numpy as np

from chimp_assets.archive.video.conversion import Shape, shape_of
from chimp_assets.archive.video.decode import DecodeReport, PictureSum, Steps, VideoPart, decode_frames
from chimp_assets.archive.video.probe import (
    Orientation,
    UnevenPartError,
    decoded_pictures,
    duration_of,
    facts_of,
    limit_pixels,
    opened,
    pixel_aspect,
    seen_rate,
)
from chimp_assets.archive.video.signals import PictureSample

if TYPE_CHECKING:
    from chimp_assets.settings import DecodeSettings

# A part is about at least this long (below, opening the file costs more than it saves) and at most that (its JPEGs wait
# on disk until its turn comes).
_SHORTEST_S, _LONGEST_S = 10.0, 600.0
# Parts for each process: the last ones finish at about the same time.
_ROUNDS = 8


@dataclass(frozen=True)
class DecodedPart:
    """A decoded part. pts i64 [n], time_s f64 [n], byte_length i32 [n] of its JPEGs, one after the other in a file."""

    pts: np.ndarray
    time_s: np.ndarray
    byte_length: np.ndarray
    report: DecodeReport
    seconds: float

    def as_message(self) -> dict[str, Any]:
        """For another process."""
        sample = self.report.sample
        report = {**asdict(replace(self.report, sample=PictureSample())), "sample": sample.as_message()}
        return {**self.__dict__, "report": report}

    @classmethod
    def of_message(cls, message: dict[str, Any]) -> DecodedPart:
        """What `as_message` gave."""
        found = message["report"]
        report = DecodeReport(
            **{
                **found,
                "steps": Steps(**found["steps"]),
                "picture_sum": PictureSum(**found["picture_sum"]),
                "sample": PictureSample.of_message(found["sample"]),
                "ends": (found["ends"][0], found["ends"][1]),
            }
        )
        return cls(**{**message, "report": report})


def part_of_message(message: dict[str, Any]) -> VideoPart:
    """A VideoPart as `dataclasses.asdict` and JSON give it."""
    shape = message["shape"]
    source = tuple(int(n) for n in shape["source"])
    whole = Shape(**{**shape, "source": source, "orientation": Orientation(**shape["orientation"])})
    return VideoPart(**{**message, "shape": whole})


def plan_parts(
    path: Path, settings: DecodeSettings, beat: Callable[[], None], report: DecodeReport | None = None
) -> list[VideoPart]:
    """Where to cut a video; empty if it is short, has no key pictures or gives a reason to doubt its times.

    report: is given the facts of the video, which its first picture completes. Reads all packets and decodes one
    picture: about 1 % of the work of decoding.
    """
    with opened(path) as (container, stream):
        limit_pixels(stream, settings.max_pixels, path.name)
        claimed = duration_of(container, stream)
        if claimed is None or not settings.split_s <= claimed <= settings.max_duration_s:
            return []
        first = next(decoded_pictures(container, stream, None, beat), None)
        if first is None or first.pts is None:
            return []
        if report is not None:
            report.facts = facts_of(container, stream, first)
        shape = shape_of(first, pixel_aspect(stream), settings.longest_side)
        first_pts = int(first.pts)
        seconds = float(stream.time_base)
    stamps, keys = packet_times(path, beat)
    if stamps is None:
        return []
    shown = np.sort(stamps[stamps >= first_pts])
    keys = np.sort(keys[keys > first_pts])
    if len(shown) < 2 or (np.diff(shown) <= 0).any():
        return []
    if report is not None and report.facts is not None and settings.policy == "fps":
        fps = seen_rate(report.facts.avg_fps, len(shown), float(shown[-1] - first_pts) * seconds)
        report.facts = replace(report.facts, avg_fps=fps)
    if (shown[-1] - first_pts) * seconds < 0.9 * claimed:  # it ends before its time: one pass will report that
        return []
    cuts = _even_cuts(keys, first_pts, int(shown[-1]), seconds, settings.workers)
    if not cuts:
        return []
    parts = []
    for start, end in zip([None, *cuts], [*cuts, None], strict=True):
        after = 0 if start is None else int(np.searchsorted(shown, start, "right"))
        until = len(shown) if end is None else int(np.searchsorted(shown, end, "right"))
        parts.append(VideoPart(start, end, first_pts, until - after, shape))
    return parts


def _even_cuts(keys: np.ndarray, first: int, last: int, seconds: float, workers: int) -> list[int]:
    """Key pictures that cut the time from first to last into parts of about one length, as many for each process."""
    length_s = (last - first) * seconds
    n = min(_ROUNDS * workers, max(1, int(length_s / _SHORTEST_S)))
    n = max(n, int(np.ceil(length_s / _LONGEST_S)))
    n = -(-n // workers) * workers
    wanted = first + (last - first) * np.arange(1, n) / n
    at = np.searchsorted(keys, wanted)
    return [int(key) for key in np.unique(keys[at[at < len(keys)]]) if key < last]


def packet_times(path: Path, beat: Callable[[], None]) -> tuple[np.ndarray | None, np.ndarray]:
    """(pts of all packets, pts of those with a key picture), i64; None if any is damaged or has none."""
    stamps, keys = array("q"), array("q")
    with opened(path) as (container, stream):
        try:
            for packet in container.demux(stream):
                beat()
                if packet.size == 0 or packet.is_discard:
                    continue
                if packet.pts is None or packet.is_corrupt:
                    return None, np.empty(0, np.int64)
                stamps.append(packet.pts)
                if packet.is_keyframe:
                    keys.append(packet.pts)
        except (av.error.FFmpegError, OSError):
            return None, np.empty(0, np.int64)
    return np.frombuffer(stamps, np.int64), np.frombuffer(keys, np.int64)


def decode_part(
    path: Path, settings: DecodeSettings, part: VideoPart, jpegs: Path, beat: Callable[[], None]
) -> DecodedPart:
    """Decode one part; its JPEGs are written one after the other to the file `jpegs`. Raises UnevenPartError."""
    began = time.monotonic()
    pts, time_s, byte_length = array("q"), array("d"), array("i")
    report = DecodeReport()
    with jpegs.open("wb") as file:
        for kept in decode_frames(path, settings, report, beat, part):
            file.write(kept.jpeg)
            pts.append(kept.pts)
            time_s.append(kept.time_s)
            byte_length.append(len(kept.jpeg))
    if report.problems:
        raise UnevenPartError(report.problems[0])
    if settings.policy == "fps" and report.pictures != part.n_pictures:
        raise UnevenPartError(f"a part of it gives {report.pictures} pictures instead of {part.n_pictures}")
    return DecodedPart(
        np.frombuffer(pts, np.int64),
        np.frombuffer(time_s, np.float64),
        np.frombuffer(byte_length, np.int32),
        report,
        time.monotonic() - began,
    )


def require_seamless(before: DecodedPart | None, after: DecodedPart) -> None:
    """Raises UnevenPartError unless the picture between two parts decoded to the same pixels from both sides."""
    if before is not None and (not after.report.ends[0] or before.report.ends[1] != after.report.ends[0]):
        raise UnevenPartError("the picture at a cut is not the same from both sides")


def merged(parts: Sequence[DecodedPart], notes: list[str]) -> DecodeReport:
    """What one pass over the whole video would have reported. notes: made before the video was cut."""
    report = DecodeReport()
    for note in [*(note for part in parts for note in part.report.notes), *notes]:
        report.note(note)
    for part in parts:
        report.pictures += part.report.pictures
        report.length_s = part.report.length_s
        report.span_s = part.report.span_s
        report.picture_sum.join(part.report.picture_sum)
        report.sample.join(part.report.sample)
        report.steps.add(part.report.steps)
    return report
