"""A page of media: from boxes of the file to rows and events of one transaction.

Belongs here: what each medium's tracks and rows become, given the footage. Does not belong here: reading the file,
matching (`matching`), the order of things (`taking`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from chimp_assets.database.labels.label_event import LabelEvent
from chimp_assets.exchange.imports.annotations import Box, Medium
from chimp_assets.exchange.imports.intake.agreement import agreeing
from chimp_assets.exchange.imports.intake.footage import Footage, StoredTrack
from chimp_assets.exchange.imports.intake.names import NameBook, event_of
from chimp_assets.exchange.imports.intake.placing import (
    FrameTimes,
    OtherShapeError,
    PlacedBoxes,
    box_times,
    fractions_of,
    frame_times,
    place,
)
from chimp_assets.exchange.imports.intake.report import TakenIn
from chimp_assets.exchange.imports.intake.rows import NewRows
from chimp_assets.exchange.imports.intake.sources import SourceTrack, sources_of
from chimp_assets.exchange.imports.intake.spool import MatchedMedium

Times = Callable[[str], "NDArray[np.float64] | None"]
"""Seconds of every picture of a file of the archive, by its uri; None where it cannot be read."""


@dataclass(frozen=True)
class PageTerms:
    """What is the same for every page. before: the file was taken in before, so that tracks which are gone are not made
    again; users: whom the file names as annotators, by user; fps: as a person states it; times: reads the archive;
    zone: of the cameras' clocks."""

    file_hash: str
    file: str
    annotator: str
    users: Mapping[str, str]
    book: NameBook
    fps: float | None
    before: bool
    times: Times
    zone: ZoneInfo


@dataclass
class Page:
    """Media of one transaction as they become rows. events: names, in the order of the file; stated: recording times by
    video_id."""

    terms: PageTerms
    report: TakenIn
    rows: NewRows
    known: dict[tuple[int, str], int]
    done: set[int]
    events: list[LabelEvent] = field(default_factory=list)
    stated: dict[int, tuple[datetime, Literal["sure", "day"]]] = field(default_factory=dict)

    def take(self, one: MatchedMedium, footage: Footage | None, boxes: Sequence[Box]) -> None:
        """One medium. footage: None where its video is gone since it was matched."""
        media = self.report.media
        medium = one.medium
        if footage is None or not footage.is_decoded:
            media.waiting.add(medium.path)
            self.report.rows.boxes += len(boxes)
            return
        self._state_time(medium, footage)
        self.report.rows.boxes += len(boxes)
        sources, whole = sources_of(boxes, footage.is_picture)
        try:
            numbering = self._numbering(medium, footage, boxes)
            placed = [_placed(source, medium, footage, numbering) for source in sources]
        except OtherShapeError as error:
            media.other_shape.add(f"{medium.path}: {error}")
            return
        if not footage.is_picture:
            sources, placed = _linked(sources, placed, footage)
        for source, track in zip(sources, placed, strict=True):
            self._count(medium, source, track)
        self._take_tracks(one, footage, sources, placed)
        self._take_whole(one, footage, whole, numbering)

    def _numbering(self, medium: Medium, footage: Footage, boxes: Sequence[Box]) -> FrameTimes | None:
        if footage.is_picture or not any(box.time_s is None and box.frame is not None for box in boxes):
            return None
        times = self.terms.times(footage.uri)
        numbering = frame_times(medium, self.terms.fps, footage.fps, times)
        if numbering.times is None:
            unread = ", as its file cannot be read" if times is None else ""
            self.report.by_rate.add(f"{medium.path}: {numbering.fps:g} frames a second{unread}")
        else:
            self.report.by_pictures += 1
        return numbering

    def _count(self, medium: Medium, source: SourceTrack, track: PlacedBoxes) -> None:
        rows = self.report.rows
        rows.on_frame += track.exact
        rows.interpolated += track.interpolated
        if track.moved_s:
            rows.moved.add(f"{medium.path}, track {source.source_id}: by up to {track.moved_s:.2f} s", len(track.boxes))
        if track.unplaced:
            place = f", {source.boxes[0].place}" if source.boxes[0].place else ""
            rows.unplaced.add(f"{medium.path}, track {source.source_id}{place}", track.unplaced)
        moved = len(track.boxes) if track.moved_s else 0
        rows.between += max(0, len(source.boxes) - track.exact - track.unplaced - moved)

    def _take_tracks(
        self, one: MatchedMedium, footage: Footage, sources: list[SourceTrack], placed: list[PlacedBoxes]
    ) -> None:
        rows = self.report.rows
        tracks: list[int | None] = [self.known.get((one.number, source.source_id)) for source in sources]
        fresh = [n for n, track_id in enumerate(tracks) if track_id is None and len(placed[n].frame_nos)]
        rows.known_tracks += sum(track_id is not None for track_id in tracks)
        stored = list(footage.tracks)
        for n, same in zip(fresh, agreeing([placed[n] for n in fresh], stored), strict=True):
            if same is not None:
                tracks[n] = stored[same].track_id
                rows.same_tracks += 1
            elif one.number in self.done:
                # It was written, and somebody has cut, joined or replaced it since: that decision stands.
                rows.gone_tracks.add(f"{one.medium.path}, track {sources[n].source_id}")
                continue
            else:
                tracks[n] = self.rows.add(footage, placed[n])
                rows.new_tracks += 1
            self.rows.name(one.number, sources[n].source_id, tracks[n] or 0)
        for source, track_id in zip(sources, tracks, strict=True):
            if track_id is not None:
                self._say(one, source.source_id, source.individuals, track_id, source.boxes)

    def _take_whole(
        self, one: MatchedMedium, footage: Footage, whole: Sequence[Box], numbering: FrameTimes | None
    ) -> None:
        """Rows without a box: what they say is about the one track that is meant, if there is one."""
        rows = self.report.rows
        said: dict[tuple[float | None, str], list[Box]] = {}
        times = box_times(whole, numbering)
        for box, moment in zip(whole, times.tolist(), strict=True):
            if box.individual is None:
                continue
            rows.whole += 1
            at = None if np.isnan(moment) or footage.is_picture else moment
            said.setdefault((at, box.individual), []).append(box)
        for (at, who), boxes in said.items():
            people = sum(moment is None or moment == at for moment, _ in said) if at is not None else len(said)
            source_id = f"{who[:150]} {'' if at is None else f'{at:.3f} s'}".strip()
            track_id = self.known.get((one.number, source_id))
            if track_id is None:
                track_id = self._meant(one, footage, at, people, boxes[0])
                if track_id is None:
                    continue
                self.rows.name(one.number, source_id, track_id)
            else:
                rows.known_tracks += 1
            self._say(one, source_id, [who], track_id, boxes)

    def _meant(self, one: MatchedMedium, footage: Footage, at: float | None, people: int, box: Box) -> int | None:
        """The track that a row without a box is about; None, counted, where that is not clear."""
        rows = self.report.rows
        where = f"{one.medium.path}{f', {box.place}' if box.place else ''}"
        there = [track for track in footage.tracks if _is_at(track, footage, at)]
        if len(there) == 1 and people == 1:
            rows.same_tracks += 1
            return there[0].track_id
        if not there and footage.is_picture and people == 1 and one.number not in self.done:
            rows.new_tracks += 1
            return self.rows.add(footage, _whole_picture(footage))
        if people > 1:
            rows.unclear.add(f"{where}: {people} individuals are named, and no boxes say which is which")
        elif there:
            listed = ", ".join(str(track.track_id) for track in there[:5])
            rows.unclear.add(f"{where}: {len(there)} tracks could be meant ({listed})")
        else:
            why = "it has not been tracked yet" if footage.state == "decoded" else "there is no track"
            rows.unclear.add(f"{where}: {why}")
        return None

    def _say(
        self, one: MatchedMedium, source_id: str, individuals: Sequence[str], track_id: int, boxes: Sequence[Box]
    ) -> None:
        """The name of a track as an event."""
        names = self.report.names
        named = [text for text in individuals if text not in self.terms.book.nobody]
        codes = dict.fromkeys(self.terms.book.codes.get(text, f"\x00{text}") for text in named)
        if len(codes) > 1:
            names.mixed.add(f"{one.medium.path}, track {source_id}: {', '.join(named[:5])}")
        elif named and (code := self.terms.book.codes.get(named[0])) is not None:
            speaking = next((box for box in boxes if box.individual in named), boxes[0])
            note = f"{self.terms.file}{f', {speaking.place}' if speaking.place else ''}"
            annotator = self.terms.users.get(speaking.annotator or "", self.terms.annotator)
            self.events.append(
                event_of(self.terms.file_hash, one.medium.path, source_id, code, track_id, annotator, note)
            )

    def _state_time(self, medium: Medium, footage: Footage) -> None:
        """A time of recording that the file knows and the archive does not."""
        if medium.recorded_at is None and medium.recorded_on is None:
            return
        certainty: Literal["sure", "day"] = "sure" if medium.recorded_at is not None else "day"
        if medium.recorded_at is not None:
            moment = medium.recorded_at
        else:
            assert medium.recorded_on is not None
            moment = datetime.combine(medium.recorded_on, time(12))
        moment = (moment if moment.tzinfo is not None else moment.replace(tzinfo=self.terms.zone)).astimezone(UTC)
        day = moment.astimezone(self.terms.zone).date()
        open_question = (
            footage.recorded_at is None
            or footage.certainty in (None, "unsure")
            or footage.time_source == "file_time"
            or (footage.certainty == "day" and certainty == "sure" and footage.recorded_on == day)
        )
        is_first_file = footage.row_id == footage.video_id  # the others of a burst follow from it
        if open_question and is_first_file:
            if footage.time_source != "user":
                self.stated[footage.video_id] = (moment, certainty)
                self.report.times_set += 1
        elif footage.recorded_on != day:
            self.report.times_other.add(f"{medium.path}: {day} in the file, {footage.recorded_on} here")


def _placed(source: SourceTrack, medium: Medium, footage: Footage, numbering: FrameTimes | None) -> PlacedBoxes:
    """A track of the file on the stored pictures of its medium."""
    sided = [box for box in source.boxes if box.x is not None]
    boxes = np.full((len(source.boxes), 4), np.nan)
    if sided:
        fractions = fractions_of(sided, medium, footage.width, footage.height)
        boxes[[n for n, box in enumerate(source.boxes) if box.x is not None]] = fractions
    scores = np.array([1.0 if box.score is None else box.score for box in source.boxes])
    outside = np.array([box.outside for box in source.boxes])
    if footage.is_picture:
        good = np.flatnonzero(np.isfinite(boxes).all(axis=1) & ~outside)[:1]
        return PlacedBoxes(
            footage.frame_nos[: len(good)], boxes[good], scores[good], len(good), 0, 0.0, int(not len(good))
        )
    times = box_times(source.boxes, numbering)
    half = numbering.half if numbering is not None else 0.5 / (medium.fps or footage.fps or 25.0)
    # Times that programs write are rounded, to milliseconds at best.
    return place(times, boxes, scores, outside, max(half, 1e-3), footage.frame_nos, footage.times)


def _linked(
    sources: list[SourceTrack], placed: list[PlacedBoxes], footage: Footage
) -> tuple[list[SourceTrack], list[PlacedBoxes]]:
    """Boxes of a video that the file gives no number and no name, joined to tracks by our tracker."""
    loose = [n for n, source in enumerate(sources) if source.loose and len(placed[n].frame_nos) == 1]
    if len(loose) < 2:
        return sources, placed
    from chimp_assets.vision.tracking.tracker import link  # brings the tracker's libraries

    by_frame: dict[int, list[int]] = {}
    for n in loose:
        by_frame.setdefault(int(placed[n].frame_nos[0]), []).append(n)
    rows = {
        frame_no: np.concatenate(
            [np.concatenate([placed[n].boxes for n in members]), np.full((len(members), 1), 1.0)], axis=1
        ).astype(np.float32)
        for frame_no, members in sorted(by_frame.items())
    }
    place_of = {
        (frame_no, tuple(rows[frame_no][place, :4].tolist())): n
        for frame_no, members in by_frame.items()
        for place, n in enumerate(members)
    }
    joined: set[int] = set()
    tracks: list[tuple[SourceTrack, PlacedBoxes]] = []
    gap_s = max(1.0, 2.5 * footage.spacing)
    for track in link(iter(rows.items()), footage.frame_rate, gap_s):
        members = [
            place_of[int(frame_no), tuple(box.tolist())]
            for frame_no, box in zip(track.frame_nos, track.boxes, strict=True)
        ]
        members = [n for n in dict.fromkeys(members) if n not in joined]
        if members:
            joined.update(members)
            tracks.append(_join([(sources[n], placed[n]) for n in members]))
    rest = [(sources[n], placed[n]) for n in range(len(sources)) if n not in joined]
    everything = [*rest, *tracks]
    return [source for source, _ in everything], [track for _, track in everything]


def _join(members: list[tuple[SourceTrack, PlacedBoxes]]) -> tuple[SourceTrack, PlacedBoxes]:
    first = members[0][0]
    parts = [part for _, part in members]
    source = SourceTrack(first.source_id, [box for one, _ in members for box in one.boxes])
    joined = PlacedBoxes(
        np.concatenate([part.frame_nos for part in parts]), np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.scores for part in parts]), sum(part.exact for part in parts),
        sum(part.interpolated for part in parts), max(part.moved_s for part in parts),
        sum(part.unplaced for part in parts),
    )  # fmt: skip
    order = np.argsort(joined.frame_nos, kind="stable")
    numbers, boxes, scores = joined.frame_nos[order], joined.boxes[order], joined.scores[order]
    return source, replace(joined, frame_nos=numbers, boxes=boxes, scores=scores)


def _is_at(track: StoredTrack, footage: Footage, at: float | None) -> bool:
    """Whether a track is seen in this medium, at a moment where one is said."""
    if len(footage.frame_nos) < footage.all_frames and not np.isin(track.frame_nos, footage.frame_nos).any():
        return False
    reach = footage.spacing / 2 + 1e-3
    return at is None or track.first_s - reach <= at <= track.last_s + reach


def _whole_picture(footage: Footage) -> PlacedBoxes:
    return PlacedBoxes(footage.frame_nos[:1], np.array([[0.0, 0.0, 1.0, 1.0]]), np.ones(1))


def pages(media: Iterator[MatchedMedium], most: int) -> Iterator[list[MatchedMedium]]:
    """Media in parts of at most so many."""
    page: list[MatchedMedium] = []
    for one in media:
        page.append(one)
        if len(page) == most:
            yield page
            page = []
    if page:
        yield page
