"""Some individuals seen together: clips, frames, counts, and association indices of each pair.

Belongs here: the definition of "together", counting it from named tracks, indices with intervals. Does not belong here:
all pairs at once (`network`, `v_dyad`), drawing.

Three rules: in the same frame; in the same clip, not necessarily at the same time; within some minutes at one camera.
An index counts days on which cameras saw at least one of the two while both were alive and under study (as in
`v_individual_day`): x days together by the rule, y_a and y_b with only one of them, y_ab with both but not together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.parameters import in_parts
from chimp_assets.insight.association.scope import Scope
from chimp_assets.insight.individuals.named_tracks import named_track
from chimp_assets.insight.measuring import kept_for_measuring

MAX_TOGETHER = 6
EVERYTHING = Scope()
TOO_FEW = 5
"""Days together below which an index is not meaningful."""
RESAMPLES = 2_000


@dataclass(frozen=True)
class TogetherQuery:
    """Individuals and scope. keys: of two or more individuals."""

    keys: tuple[int, ...]
    scope: Scope = EVERYTHING


@dataclass(frozen=True)
class NamedTrack:
    """A track that is named as one of the individuals."""

    track_id: int
    video_id: int
    key: int
    verified: bool
    probability: float
    model_id: int | None
    first_frame_no: int
    last_frame_no: int
    first_s: float
    last_s: float
    site: str | None
    camera: str | None
    uri: str
    recorded_at: datetime | None
    recorded_on: date | None

    @property
    def place(self) -> tuple[str | None, str | None]:
        """Site and camera."""
        return self.site, self.camera

    @cached_property
    def begins(self) -> datetime | None:
        """When the track begins; None if unknown."""
        return None if self.recorded_at is None else self.recorded_at + timedelta(seconds=self.first_s)

    @cached_property
    def ends(self) -> datetime | None:
        """When the track ends; None if unknown."""
        return None if self.recorded_at is None else self.recorded_at + timedelta(seconds=self.last_s)


@dataclass(frozen=True)
class Occasion:
    """One occasion together. tracks: those of each individual that make it; video_id: of the last to arrive.

    frames: numbers of frames in this clip that show all individuals.
    """

    video_id: int
    day: date | None
    at: datetime | None
    tracks: tuple[NamedTrack, ...]
    frames: list[int]

    @property
    def verified(self) -> bool:
        """Whether persons named every individual in it."""
        return all(any(t.verified for t in self.tracks if t.key == key) for key in {t.key for t in self.tracks})


@dataclass(frozen=True)
class AssociationIndex:
    """Association indices of two individuals, with 95 % intervals; None without a counted day."""

    a: int
    b: int
    x: int
    y_a: int
    y_b: int
    y_ab: int
    sri: float | None
    sri_low: float | None
    sri_high: float | None
    hwi: float | None
    hwi_low: float | None
    hwi_high: float | None

    @property
    def days(self) -> int:
        """Days on which at least one was seen."""
        return self.x + self.y_a + self.y_b + self.y_ab

    @property
    def too_few(self) -> bool:
        """Whether there are too few days together for a meaningful index."""
        return self.x < TOO_FEW


@dataclass(frozen=True)
class TogetherResult:
    """Occasions, newest first, and indices of each pair. label_seq: number of the last decision that was read.

    models: (model_id, name, version) of the heads whose names were counted.
    """

    occasions: list[Occasion]
    n_frames: int
    n_clips: int
    n_days: int
    n_tracks: dict[int, int]
    indices: list[AssociationIndex]
    label_seq: int
    models: list[tuple[int, str, int]]


@dataclass(frozen=True)
class NamedBox:
    """A box of one of the individuals in a shown frame, as fractions of the picture."""

    key: int
    verified: bool
    x: float
    y: float
    w: float
    h: float


@dataclass(frozen=True)
class ExampleFrame:
    """A frame to show, with the boxes of the individuals."""

    video_id: int
    frame_no: int
    boxes: list[NamedBox]


def together(conn: sa.Connection, asked: TogetherQuery) -> TogetherResult:
    """All occasions and indices of some individuals."""
    label_seq = int(conn.scalar(sa.select(sa.func.coalesce(sa.func.max(t.annotation.c.seq), 0))) or 0)
    tracks = _tracks(conn, asked)
    shared = _shared_frames(conn, asked.keys, tracks)
    occasions = _occasions(asked.keys, asked.scope, tracks, shared)
    occasions.sort(key=lambda o: (o.day or date.min, o.at.timestamp() if o.at else 0.0, o.video_id), reverse=True)
    clips = {track.video_id for occasion in occasions for track in occasion.tracks}
    heads = sorted({track.model_id for track in tracks if track.model_id is not None})
    m = t.model.c
    named = sa.select(m.model_id, m.name, m.version).where(m.model_id.in_(heads)).order_by(m.model_id)
    return TogetherResult(
        occasions=occasions,
        n_frames=sum(len(shared.get(video_id, [])) for video_id in clips),
        n_clips=len(clips),
        n_days=len({o.day for o in occasions if o.day is not None}),
        n_tracks={key: sum(track.key == key for track in tracks) for key in asked.keys},
        indices=_indices(conn, asked, tracks, occasions),
        label_seq=label_seq,
        models=[(row.model_id, row.name, row.version) for row in conn.execute(named)],
    )


def occasions_to_tell(
    conn: sa.Connection, occasions: Sequence[Occasion], seed: int, share: float
) -> tuple[list[Occasion], int]:
    """The occasions that a page may show one by one, in their order, and how many it may not: those that rest on what
    the model says of tracks that measure it (`insight.measuring`). They are counted like the others."""
    said = sorted({track.track_id for one in occasions for track in one.tracks if not track.verified})
    kept = kept_for_measuring(conn, said, seed, share)
    told = [one for one in occasions if all(track.verified or track.track_id not in kept for track in one.tracks)]
    return told, len(occasions) - len(told)


def example_frames(conn: sa.Connection, occasions: Sequence[Occasion]) -> list[list[ExampleFrame]]:
    """For each occasion the middle frame of those that show all individuals; else one frame of each individual."""
    apart: dict[int, dict[int, NamedTrack]] = {}
    tracks: dict[int, NamedTrack] = {}
    for n, occasion in enumerate(occasions):
        tracks |= {track.track_id: track for track in occasion.tracks}
        if not occasion.frames:
            apart[n] = {track.key: track for track in reversed(occasion.tracks)}
    middle = _middle_frames(conn, sorted({track.track_id for of in apart.values() for track in of.values()}))
    wanted: list[list[tuple[int, int]]] = []
    for n, occasion in enumerate(occasions):
        if occasion.frames:
            wanted.append([(occasion.video_id, occasion.frames[len(occasion.frames) // 2])])
        else:
            frames = [(k.video_id, middle[k.track_id]) for k in apart[n].values() if k.track_id in middle]
            wanted.append(list(dict.fromkeys(frames)))
    d = t.detection.c
    boxes: dict[tuple[int, int], list[NamedBox]] = defaultdict(list)
    numbers = sorted({frame_no for frames in wanted for _, frame_no in frames})
    for part in in_parts(sorted(tracks)):
        for some in in_parts(numbers):
            for row in conn.execute(
                sa.select(d.track_id, d.video_id, d.frame_no, d.x, d.y, d.w, d.h)
                .where(d.track_id.in_(part), d.frame_no.in_(some))
                .order_by(d.track_id)
            ):
                track = tracks[row.track_id]
                boxes[row.video_id, row.frame_no].append(
                    NamedBox(track.key, track.verified, row.x, row.y, row.w, row.h)
                )
    return [[ExampleFrame(*frame, boxes[frame]) for frame in frames] for frames in wanted]


def clips_of(conn: sa.Connection, occasions: Sequence[Occasion]) -> dict[int, str]:
    """Content hash of a stored clip with one of the individuals, by video of the occasions."""
    of = {track.track_id: track.video_id for o in occasions for track in o.tracks if track.video_id == o.video_id}
    m = t.item_media.c
    found: dict[int, str] = {}
    for part in in_parts(sorted(of)):
        rows = conn.execute(
            sa.select(m.track_id, m.content_hash).where(m.kind == "clip", m.track_id.in_(part)).order_by(m.track_id)
        )
        for row in rows:
            found.setdefault(of[row.track_id], row.content_hash)
    return found


def _middle_frames(conn: sa.Connection, track_ids: Sequence[int]) -> dict[int, int]:
    """Number of the middle frame with a box, by track."""
    d = t.detection.c
    frames: dict[int, list[int]] = defaultdict(list)
    for part in in_parts(track_ids):
        for row in conn.execute(
            sa.select(d.track_id, d.frame_no).where(d.track_id.in_(part)).order_by(d.track_id, d.frame_no)
        ):
            frames[row.track_id].append(row.frame_no)
    return {track_id: numbers[len(numbers) // 2] for track_id, numbers in frames.items()}


def _tracks(conn: sa.Connection, asked: TogetherQuery) -> list[NamedTrack]:
    n, k, v = named_track.c, t.track.c, t.video.c
    statement = (
        sa.select(
            n.track_id, n.video_id, n.individual_id, n.source, n.probability, n.model_id, k.first_frame_no,
            k.last_frame_no, k.first_s, k.last_s, v.site, v.camera, v.uri, v.recorded_at, v.recorded_on,
        )  # as the fields of Track
        .join_from(named_track, t.track, k.track_id == n.track_id)
        .join(t.video, v.video_id == n.video_id)
        .where(n.individual_id.in_(asked.keys))
        .order_by(n.track_id)
    )  # fmt: skip
    statement = asked.scope.narrowed(statement)
    # By position: access by name takes a tenth of the time of a page of 20,000 tracks.
    rows: Sequence[Any] = conn.execute(statement).all()
    return [
        NamedTrack(track_id, video_id, key, source == "person", *others)
        for track_id, video_id, key, source, *others in rows
    ]


def _occasions(
    keys: tuple[int, ...], scope: Scope, tracks: Sequence[NamedTrack], shared: dict[int, list[int]]
) -> list[Occasion]:
    if scope.rule == "minutes":
        return _within(keys, tracks, timedelta(minutes=scope.minutes), shared)
    return _in_clips(keys, tracks, shared, at_once=scope.rule == "frame")


def _by_video(tracks: Sequence[NamedTrack]) -> dict[int, list[NamedTrack]]:
    videos: dict[int, list[NamedTrack]] = defaultdict(list)
    for track in tracks:
        videos[track.video_id].append(track)
    return videos


def _shared_frames(conn: sa.Connection, keys: tuple[int, ...], tracks: Sequence[NamedTrack]) -> dict[int, list[int]]:
    """Numbers of frames that show all individuals, by clip, in order."""
    candidates = [here for here in _by_video(tracks).values() if {track.key for track in here} == set(keys)]
    frames: dict[int, dict[int, set[int]]] = defaultdict(lambda: defaultdict(set))
    of = {track.track_id: track for here in candidates for track in here}
    d = t.detection.c
    for part in in_parts(sorted(of)):
        for row in conn.execute(sa.select(d.track_id, d.frame_no).where(d.track_id.in_(part))):
            track = of[row.track_id]
            frames[track.video_id][track.key].add(row.frame_no)
    found = {video_id: sorted(set.intersection(*(by_key[key] for key in keys))) for video_id, by_key in frames.items()}
    return {video_id: numbers for video_id, numbers in found.items() if numbers}


def _in_clips(
    keys: tuple[int, ...], tracks: Sequence[NamedTrack], shared: dict[int, list[int]], at_once: bool
) -> list[Occasion]:
    found = []
    for video_id, here in _by_video(tracks).items():
        if {track.key for track in here} != set(keys) or (at_once and not _at_once(keys, here)):
            continue
        first = here[0]
        found.append(Occasion(video_id, first.recorded_on, first.recorded_at, tuple(here), shared.get(video_id, [])))
    return found


def _at_once(keys: tuple[int, ...], here: Sequence[NamedTrack]) -> bool:
    """Whether tracks of all individuals, from first to last frame, overlap: a still is one frame, and a track goes on
    where a box is missing."""
    return any(
        {other.key for other in here if other.first_frame_no <= track.first_frame_no <= other.last_frame_no}
        >= set(keys)
        for track in here
    )


def _within(
    keys: tuple[int, ...], tracks: Sequence[NamedTrack], gap: timedelta, shared: dict[int, list[int]]
) -> list[Occasion]:
    """One occasion for each clip in which the last individual arrives; the others left at most `gap` before."""
    places: dict[tuple[str | None, str | None], list[NamedTrack]] = defaultdict(list)
    for track in tracks:
        if track.recorded_at is not None:
            places[track.place].append(track)
    found: dict[int, dict[int, NamedTrack]] = {}
    for here in places.values():
        here.sort(key=lambda track: (track.begins, track.track_id))
        last: dict[int, NamedTrack] = {}
        for track in here:
            of_key = last.get(track.key)
            if of_key is None or of_key.ends is None or (track.ends is not None and track.ends >= of_key.ends):
                last[track.key] = track
            begins = track.begins
            assert begins is not None
            near = [other for key in keys if (other := last.get(key)) and other.ends and begins - other.ends <= gap]
            if len(near) == len(keys):
                found.setdefault(track.video_id, {}).update({k.track_id: k for k in (*near, track)})
    occasions = []
    for video_id, of in found.items():
        one = next(track for track in of.values() if track.video_id == video_id)
        everybody = tuple(sorted(of.values(), key=lambda track: track.track_id))
        occasions.append(Occasion(video_id, one.recorded_on, one.recorded_at, everybody, shared.get(video_id, [])))
    return occasions


def _indices(
    conn: sa.Connection, asked: TogetherQuery, tracks: Sequence[NamedTrack], occasions: Sequence[Occasion]
) -> list[AssociationIndex]:
    """Indices of each pair, by the same rule; for two individuals, from the occasions."""
    alive = _alive(conn, asked.keys)
    found = []
    for a, b in combinations(asked.keys, 2):
        theirs = [track for track in tracks if track.key in (a, b)]
        if len(asked.keys) > 2:
            occasions = _occasions((a, b), asked.scope, theirs, _shared_frames(conn, (a, b), theirs))
        since = max(alive[a][0], alive[b][0])
        until = min(alive[a][1], alive[b][1])
        seen = {
            key: {track.recorded_on for track in theirs if track.key == key and track.recorded_on is not None}
            for key in (a, b)
        }
        days = [day for day in sorted(seen[a] | seen[b]) if since <= day <= until]
        met = {occasion.day for occasion in occasions}
        found.append(index_of(a, b, [(day in met, day in seen[a], day in seen[b]) for day in days]))
    return found


def index_of(a: int, b: int, days: Sequence[tuple[bool, bool, bool]]) -> AssociationIndex:
    """Simple ratio and half-weight index of two. days: (together, a seen, b seen); intervals by resampling days."""
    kinds = np.array([0 if x else 3 if in_a and in_b else 1 if in_a else 2 for x, in_a, in_b in days], np.int64)
    return index_of_counts(a, b, *np.bincount(kinds, minlength=4).tolist())


def index_of_counts(a: int, b: int, x: int, y_a: int, y_b: int, y_ab: int) -> AssociationIndex:
    """The same from the number of days of each kind."""
    n = x + y_a + y_b + y_ab
    if not n:
        return AssociationIndex(a, b, 0, 0, 0, 0, None, None, None, None, None, None)
    counts = np.array([x, y_a, y_b, y_ab])
    drawn = np.random.default_rng(0).multinomial(n, counts / n, size=RESAMPLES).astype(float)
    together_, only_a, only_b, apart = drawn.T
    sri = together_ / (together_ + apart + only_a + only_b)
    hwi = together_ / (together_ + apart + (only_a + only_b) / 2)
    sri_low, sri_high = (float(v) for v in np.quantile(sri, (0.025, 0.975)))
    hwi_low, hwi_high = (float(v) for v in np.quantile(hwi, (0.025, 0.975)))
    return AssociationIndex(
        a, b, x, y_a, y_b, y_ab, x / (x + y_ab + y_a + y_b), sri_low, sri_high,
        x / (x + y_ab + (y_a + y_b) / 2), hwi_low, hwi_high,
    )  # fmt: skip


def _alive(conn: sa.Connection, keys: tuple[int, ...]) -> dict[int, tuple[date, date]]:
    """First and last day on which each was alive and under study (entry, else earliest birth; departure), if known."""
    i = t.individual.c
    return {
        row.individual_id: (
            row.entry_date or row.bd_min or row.birth_date or date.min,
            row.depart_date or date.max,
        )
        for row in conn.execute(
            sa.select(i.individual_id, i.entry_date, i.bd_min, i.birth_date, i.depart_date).where(
                i.individual_id.in_(keys)
            )
        )
    }
