"""Which pictures make one clip, and when each of them was taken in it: plain functions of names and EXIF.

Belongs here: grouping by camera, folder and time, and times within a second. Does not belong here: rows
(`catalogue.burst_rows`), decoding (`video.clip`), whether a time is right (`times`): only differences count here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby, pairwise

from chimp_assets.archive.times.weighing.clocks import FIRST_DIGITAL_YEAR, parsed_stamp

MOST_A_SECOND = 30
"""More pictures with the very same time come from a clock that stands still, or from a program that copied it."""


@dataclass(frozen=True)
class StillFile:
    """A picture file to be decoded. uri, etag, bytes: as discovered. time_s: seconds since the first of its clip."""

    video_id: int
    uri: str
    etag: str
    bytes: int
    time_s: float = 0.0


@dataclass(frozen=True)
class DatedStill:
    """A picture and what says which burst it is of. camera: make, model, serial. taken: as `picture_fact` has it."""

    file: StillFile
    camera: tuple[str | None, str | None, str | None]
    taken: str | None


def bursts_of(stills: Iterable[DatedStill], burst_s: float) -> list[list[StillFile]]:
    """The clips that these pictures are, each in order of time, then name, with its times from 0.

    Pictures of one folder and camera of which each was taken at most burst_s after the one before are one clip; burst_s
    0, or no EXIF time: each is its own. Pictures of one second are spread over it in the order of their names. Clips
    come in the order of their first pictures' numbers.
    """
    alone: list[StillFile] = []
    dated: dict[tuple[object, ...], list[tuple[float, float, StillFile]]] = {}
    for still in stills:
        moment = _moment(still.taken)
        if moment is None or not burst_s > 0:
            alone.append(replace(still.file, time_s=0.0))
            continue
        key = (still.file.uri.rpartition("/")[0], *still.camera)
        dated.setdefault(key, []).append((*moment, still.file))
    clips = [[file] for file in alone]
    for group in dated.values():
        group.sort(key=lambda one: (one[0], one[2].uri))
        clips += _cut(_spread(group), burst_s)
    return sorted(clips, key=lambda clip: min(file.video_id for file in clip))


def _moment(taken: str | None) -> tuple[float, float] | None:
    """(seconds on the clock of the camera, how exact they are); None where nothing was written, or never set."""
    found = parsed_stamp(taken or "")
    if found is None or found.year < FIRST_DIGITAL_YEAR:
        return None
    seconds = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    return (seconds - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds(), _exactness(str(taken))


def _exactness(taken: str) -> float:
    """Seconds that a time is exact to: 1 without parts of a second, or with parts that are nought as cameras write
    them that do not know any."""
    digits = taken.partition(".")[2].partition("+")[0].partition("-")[0]
    return 10.0 ** -len(digits) if digits.strip("0") else 1.0


def _spread(group: Sequence[tuple[float, float, StillFile]]) -> list[tuple[float, StillFile]]:
    """Times that grow from picture to picture: those with the same time share what the clock does not tell apart."""
    same = [list(some) for _, some in groupby(group, key=lambda one: one[0])]
    found: list[tuple[float, StillFile]] = []
    following = [some[0][0] for some in same[1:]]
    for number, some in enumerate(same):
        at, exact, _ = some[0]
        room = min(exact, following[number] - at) if number < len(following) else exact
        if len(some) > MOST_A_SECOND:
            # Times that say nothing: far from each other, so that each is a clip of its own.
            found += [(float("nan"), file) for _, _, file in some]
        else:
            found += [(at + room * place / len(some), file) for place, (_, _, file) in enumerate(some)]
    return found


def _cut(timed: Sequence[tuple[float, StillFile]], burst_s: float) -> list[list[StillFile]]:
    slack = 1e-6  # sums of parts of a second
    clips: list[list[tuple[float, StillFile]]] = [[timed[0]]] if timed else []
    for (before, _), (at, file) in pairwise(timed):
        if at - before <= burst_s + slack:  # never with a time that is no number
            clips[-1].append((at, file))
        else:
            clips.append([(at, file)])
    return [
        [replace(file, time_s=round(at - clip[0][0], 6) if len(clip) > 1 else 0.0) for at, file in clip]
        for clip in clips
    ]
