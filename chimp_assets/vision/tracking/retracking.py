"""A video that was tracked already is tracked anew: the tracks of another detector take the place of its tracks, and
what people said follows.

Belongs here: what becomes of each old and each new track, one transaction a video. Does not belong here: who shows
whose animal (`succession`), which videos are due (`database.tracks.found_anew`), budgets (`loop.retrack`), first tracks
(`bundle`).

- A new track takes the place of the old ones that it lies on; their answers carry where `succession` says so.
- Where people said that two animals follow each other in one new track (a cut of theirs, or two names one after the
  other), the new track is cut there. If it jumps back and forth between them, the video stays as it is and is listed.
- An answered track on which nothing new lies stays as it is: an animal that somebody has named is never lost.
- What a person has answered is asked about however short it is: no heir of it is junk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.counters import ANNOTATION, take_numbers
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.connection.parameters import in_parts, rows_in_parts
from chimp_assets.database.labels.kinds import ANSWER_KINDS, EVIDENCE_KINDS, NAMING_KINDS, PAIR_ANSWER_KINDS
from chimp_assets.database.labels.rewriting.boxes import BoxSeries, FrameTimes, boxes_of, write_track
from chimp_assets.database.labels.rewriting.cutting import MADE_FROM
from chimp_assets.database.labels.rewriting.photos import photos_follow
from chimp_assets.database.labels.rewriting.quality import track_quality
from chimp_assets.database.schema import track_id_of
from chimp_assets.database.tracks.found_anew import note_retracking, tracked_before
from chimp_assets.database.tracks.heirs import Heir, follow, follow_none
from chimp_assets.database.work import stamps
from chimp_assets.vision.tracking.bundle import JudgedTrack
from chimp_assets.vision.tracking.succession import LEAST_SHARE, carrying, jumps, likenesses, partners, runs

MOST_CUTS = 3
"""Cuts of one new track: one that needs more follows nobody."""


@dataclass(frozen=True, eq=False)
class OldTrack:
    """A track that is there before. said: people said something about it; meaning: what its answer says, None without
    one; cut_from: the track that a person had cut it from."""

    track_id: int
    state: str
    boxes: BoxSeries
    said: bool
    meaning: tuple[object, ...] | None
    cut_from: int | None


@dataclass(frozen=True)
class NewTrack:
    """A track of the new detector, or a part of one that people's answers cut."""

    boxes: BoxSeries
    state: str


@dataclass
class SuccessionPlan:
    """What becomes of the tracks of a video. new: to write; heirs: (row of old, row of new, share, carries); kept: rows
    of old tracks that stay; conflict: why the video stays as it is, None where it does not."""

    new: list[NewTrack] = field(default_factory=list)
    heirs: list[tuple[int, int, float, bool]] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)
    conflict: str | None = None


@dataclass(frozen=True)
class RetrackedVideo:
    """What re-tracking one video did. followed, kept, unfollowed: its answered tracks; why_kept: None where it was
    tracked anew; done: False if somebody else had done it meanwhile."""

    tracks: int = 0
    followed: int = 0
    kept: int = 0
    unfollowed: int = 0
    why_kept: str | None = None
    done: bool = True


def plan_succession(old: Sequence[OldTrack], new: Sequence[NewTrack]) -> SuccessionPlan:
    """What becomes of the tracks of a video, from boxes and answers alone."""
    cut = _cut_by_people(old, new)
    if isinstance(cut, str):
        return SuccessionPlan(conflict=cut)
    pairs = likenesses([one.boxes for one in old], [one.boxes for one in cut])
    carries = carrying(pairs, [one.boxes for one in cut])
    said = {row for row, one in enumerate(old) if one.said}
    found = {pair.old for pair in pairs if pair.share >= LEAST_SHARE or (pair.old, pair.new) in carries}
    lively = {pair.new for pair in pairs if pair.old in said and (pair.old, pair.new) in carries}
    return SuccessionPlan(
        new=[NewTrack(one.boxes, "live" if row in lively else one.state) for row, one in enumerate(cut)],
        heirs=[
            (pair.old, pair.new, pair.share, (pair.old, pair.new) in carries)
            for pair in pairs
            if pair.share >= LEAST_SHARE or (pair.old, pair.new) in carries
        ],
        kept=sorted(said - found),
    )


def _cut_by_people(old: Sequence[OldTrack], new: Sequence[NewTrack]) -> list[NewTrack] | str:
    """The new tracks, cut where people said that another animal begins; or why that cannot be done."""
    found: list[NewTrack] = []
    on = partners([one.boxes for one in old], [one.boxes for one in new])
    for track, of_frames in zip(new, on, strict=True):
        there = [(old[row], place) for row, place in runs(of_frames) if old[row].meaning or old[row].cut_from]
        frames: list[int] = []
        for (one, _), (other, place) in pairwise(there):
            if _are_two(one, other):
                frames.append(int(track.boxes.frame_no[place]))
        told = [old[row] for row in np.unique(of_frames[of_frames >= 0]).tolist() if old[row].meaning]
        apart = len({one.meaning for one in told}) > 1
        if len(frames) > MOST_CUTS or (apart and jumps(of_frames)):
            ids = ", ".join(str(one.track_id) for one in told)
            return f"the new detector jumps back and forth between animals that people told apart (tracks {ids})"
        found += [NewTrack(part, track.state) for part in _parts(track.boxes, frames)]
    return found


def _are_two(one: OldTrack, other: OldTrack) -> bool:
    """Whether people said that these are two animals."""
    if one.meaning is not None and other.meaning is not None:
        return one.meaning != other.meaning
    return one.cut_from is not None and one.cut_from == other.cut_from


def _parts(boxes: BoxSeries, frames: Sequence[int]) -> list[BoxSeries]:
    edges = [int(boxes.frame_no[0]), *frames, int(boxes.frame_no[-1]) + 1]
    parts = [boxes.part((boxes.frame_no >= low) & (boxes.frame_no < high)) for low, high in pairwise(edges)]
    return [part for part in parts if len(part.frame_no)]


def retrack_video(db: Database, video_id: int, tracks: Sequence[JudgedTrack], model_id: int) -> RetrackedVideo:
    """Writes what a detector found in a video that had tracks, in one transaction; may be killed at any moment.

    No label is stored meanwhile. Predictions and pictures of the tracks before stay and are no longer read; the bundle
    counts as changed, so that vectors and names of the new ones are made.
    """
    found = [
        NewTrack(
            BoxSeries(
                one.linked.frame_nos.astype(np.int64), one.linked.boxes.astype(np.float32),
                one.linked.scores.astype(np.float32),
            ),
            one.state,
        )
        for one in tracks
    ]  # fmt: skip

    def write(conn: sa.Connection) -> RetrackedVideo:
        take_numbers(conn, ANNOTATION, 0)
        if not tracked_before(conn, model_id, video_id=video_id):
            return RetrackedVideo(done=False)
        old = _read_old(conn, video_id)
        plan = plan_succession(old, found)
        answered = {row for row, one in enumerate(old) if one.meaning is not None}
        if plan.conflict is not None:
            note_retracking(conn, video_id, model_id, kept=len(answered), why_kept=plan.conflict)
            return RetrackedVideo(kept=len(answered), why_kept=plan.conflict)
        ids = _write_new(conn, video_id, plan.new, model_id)
        gone = [row for row in range(len(old)) if row not in plan.kept]
        for part in in_parts([old[row].track_id for row in gone]):
            conn.execute(sa.update(t.track).where(t.track.c.track_id.in_(part)).values(state="replaced"))
        lost = _follow(conn, old, plan, ids, gone)
        kept = len(answered & set(plan.kept))
        unfollowed = len(lost & {old[row].track_id for row in answered})
        followed = len(answered) - kept - unfollowed
        note_retracking(conn, video_id, model_id, followed, kept, unfollowed)
        bundle_of = sa.select(t.video.c.bundle_id).where(t.video.c.video_id == video_id)
        stamps.mark_changed(conn, conn.execute(bundle_of).scalar_one())
        return RetrackedVideo(len(ids), followed, kept, unfollowed)

    return db.transact(write)


def _follow(
    conn: sa.Connection, old: Sequence[OldTrack], plan: SuccessionPlan, ids: Sequence[int], gone: Sequence[int]
) -> set[int]:
    """Records the heirs; returns the old tracks whose answers count for none."""
    heirs = [
        Heir(old[o].track_id, ids[n], "retrack", share, carries)
        for o, n, share, carries in plan.heirs
        if o in set(gone)
    ]
    lost = set(follow(conn, heirs).unfollowed)
    succeeded = {heir.track_id for heir in heirs}
    alone = [old[row].track_id for row in gone if old[row].track_id not in succeeded]
    if alone:
        lost |= set(follow_none(conn, alone).unfollowed)
    for row in gone:
        track_id = old[row].track_id
        theirs = [heir.heir_track_id for heir in heirs if heir.track_id == track_id and heir.carries]
        photos_follow(conn, [track_id], theirs[:1])
    return lost


def _write_new(conn: sa.Connection, video_id: int, new: Sequence[NewTrack], model_id: int) -> list[int]:
    k = t.track.c
    first = track_id_of(video_id, 0)
    last = conn.scalar(
        sa.select(sa.func.max(k.track_id)).where(k.track_id.between(first, track_id_of(video_id, MADE_FROM - 1)))
    )
    start = 0 if last is None else last - first + 1
    times = FrameTimes.of(conn, video_id)
    ids = [track_id_of(video_id, start + row) for row in range(len(new))]
    for track_id, one in zip(ids, new, strict=True):
        quality = track_quality(one.boxes.frame_no, one.boxes.box, one.boxes.score, times.rate)
        write_track(conn, track_id, one.boxes, times, quality, model_id, one.state)
    return ids


def _read_old(conn: sa.Connection, video_id: int) -> list[OldTrack]:
    k, s, i, h = t.track.c, t.standing_answer.c, t.individual.c, t.track_heir.c
    rows = conn.execute(
        sa.select(k.track_id, k.state, s.kind, sa.func.coalesce(i.same_as_id, s.individual_id).label("who"))
        .outerjoin_from(t.track, t.standing_answer, s.track_id == k.track_id)
        .outerjoin(t.individual, i.individual_id == s.individual_id)
        .where(k.video_id == video_id, k.state.in_(("live", "junk")))
        .order_by(k.first_frame_no, k.track_id)
    ).all()
    ids = [row.track_id for row in rows]
    said = {row.track_id for row in rows if row.kind is not None} | _spoken_of(conn, ids)
    cuts = rows_in_parts(
        conn,
        lambda part: sa.select(h.heir_track_id, h.track_id).where(
            h.heir_track_id.in_(part), h.cause == "split", h.until_seq.is_(None)
        ),
        ids,
    )
    cut_from = {row.heir_track_id: row.track_id for row in cuts}
    return [
        OldTrack(
            row.track_id,
            row.state,
            boxes_of(conn, row.track_id),
            row.track_id in said or row.track_id in cut_from,
            None if row.kind is None else ("name", row.who) if row.kind in NAMING_KINDS else (row.kind,),
            cut_from.get(row.track_id),
        )
        for row in rows
    ]


def _spoken_of(conn: sa.Connection, track_ids: Sequence[int]) -> set[int]:
    """Tracks about which somebody said something that was not taken back, alone or as one of a pair."""
    a, back = t.annotation.c, t.annotation.alias("back").c
    stands = ~sa.exists().where(back.kind == "retract", back.supersedes == a.annotation_id)
    found: set[int] = set()
    alone = sa.select(a.track_id).where(a.kind.in_((*ANSWER_KINDS, *PAIR_ANSWER_KINDS, *EVIDENCE_KINDS)), stands)
    other = sa.select(a.other_track_id.label("track_id")).where(a.kind.in_(PAIR_ANSWER_KINDS), stands)
    for part in in_parts(track_ids):
        found |= set(conn.scalars(alone.where(a.track_id.in_(part))))
        found |= set(conn.scalars(other.where(a.other_track_id.in_(part))))
    return found
