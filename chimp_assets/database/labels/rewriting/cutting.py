"""Split and merge do what they say: the event that is stored rewrites tracks, and its retraction undoes it.

Belongs here: making the tracks of a cut and of a join, taking both back, which of them may be taken back. Does not
belong here: storing events (`labels.events`), for which track an answer counts (`heirs`), questions (`questions`),
cutting and joining by appearance (`vision.tracking.purity`).

A cut or a join never changes a box: the tracks that it makes get copies, and those before them keep theirs. So taking
it back is exact. The new tracks are numbered by the event, in the upper half of their video's numbers: the same event
gives the same tracks in every home, whatever happened there meanwhile.

What is cut or joined is what is there. A decision about a track that was cut, joined or found anew since (by somebody
who was offline) is applied to the track in whose life it falls; where that is not one track, it is stored, changes
nothing, and is listed (`v_gone_answer`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import stamps
from chimp_assets.database.connection.parameters import in_parts
from chimp_assets.database.labels.label_event import Rejection
from chimp_assets.database.labels.rewriting import questions
from chimp_assets.database.labels.rewriting.boxes import BoxSeries, FrameTimes, boxes_of, joined, write_track
from chimp_assets.database.labels.rewriting.heirs import Heir, Succession, follow, replace_answers
from chimp_assets.database.labels.rewriting.photos import photos_follow, photos_return
from chimp_assets.database.labels.rewriting.quality import track_quality
from chimp_assets.database.schema import (
    TRACKS_PER_VIDEO,
    acquisition_queue,
    annotation,
    answer_heir,
    app_user,
    detection,
    individual,
    item_media,
    prediction,
    quality_check,
    reference_photo,
    standing_answer,
    track,
    track_evidence,
    track_heir,
    track_id_of,
    track_score,
    training_set,
    unknown_track,
    video,
)

REWRITING_KINDS = ("split", "merge")
MADE_FROM = TRACKS_PER_VIDEO // 2
"""First number of the tracks that people make; trackers count from 0."""


@dataclass
class TrackRewriting:
    """What the events of one batch did to tracks.

    born: new tracks, with video, first and last frame; gone: tracks that others took the place of; back: tracks that
    are there again; asked_by: the item by which a track was cut or joined; reasons: of questions, by new track.
    """

    born: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)
    back: set[int] = field(default_factory=set)
    asked_by: dict[int, int] = field(default_factory=dict)
    reasons: dict[int, str] = field(default_factory=dict)

    def apply(self, conn: sa.Connection, row: dict[str, Any], retracted: dict[str, Any] | None) -> None:
        """Does what a stored event says. retracted: the event that it takes back."""
        if row["kind"] == "split":
            self._split(conn, row)
        elif row["kind"] == "merge":
            self._merge(conn, row)
        elif retracted is not None and retracted["kind"] in REWRITING_KINDS:
            self._undo(conn, retracted["annotation_id"], row["seq"])

    def ask(self, conn: sa.Connection) -> None:
        """Makes the queue follow, once all events of the batch and their items are stored."""
        if self.gone:
            questions.follow_heirs(conn, self.gone, self.asked_by, self.reasons, self.born)
        if self.back:
            questions.give_back(conn, self.back)
            questions.settle(conn, self.back)

    def _split(self, conn: sa.Connection, row: dict[str, Any]) -> None:
        found = Succession.of(conn, [row["track_id"]])
        whole, boxes = _track_around(conn, found.descendants(row["track_id"]), row["frame_no"])
        if whole is None or boxes is None:
            return
        before = boxes.frame_no < row["frame_no"]
        parts = [boxes.part(before), boxes.part(~before)]
        made = _make(conn, whole, row["annotation_id"], parts, whole.track_id)
        self._took_place(conn, [whole.track_id], made, row, "split")

    def _merge(self, conn: sa.Connection, row: dict[str, Any]) -> None:
        found = Succession.of(conn, [row["track_id"], row["other_track_id"]])
        both = [found.descendants(row[name]) for name in ("track_id", "other_track_id")]
        if any(len(there) != 1 for there in both) or both[0] == both[1]:
            return
        tracks = [_track_of(conn, there[0]) for there in both]
        if any(one is None or one.state != "live" for one in tracks):
            return
        one, other = tracks
        assert one is not None
        assert other is not None
        boxes = joined(boxes_of(conn, one.track_id), boxes_of(conn, other.track_id))
        longer = max((one, other), key=lambda k: (k.n_detections, -k.track_id))
        made = _make(conn, longer, row["annotation_id"], [boxes], None)
        self._took_place(conn, [one.track_id, other.track_id], made, row, "merge")

    def _took_place(
        self,
        conn: sa.Connection,
        gone: list[int],
        made: dict[int, tuple[int, int, int]],
        row: dict[str, Any],
        cause: str,
    ) -> None:
        state = {"split": "split", "merge": "merged"}[cause]
        hint = _hint(conn, row, gone, cause)
        _set_state(conn, gone, state)
        n_boxes = {track_id: _n_boxes(conn, track_id) for track_id in (*gone, *made)}
        heirs = [
            Heir(
                track_id, heir, cause, n_boxes[heir] / max(n_boxes[track_id], 1) if cause == "split" else 1.0,
                cause == "merge", row["annotation_id"],
            )
            for track_id in gone
            for heir in made
        ]  # fmt: skip
        follow(conn, heirs, row["seq"])
        photos_follow(conn, gone, list(made) if cause == "merge" else [])
        _mark_changed(conn, gone)
        self.born |= made
        self.gone |= set(gone)
        self.back -= set(gone)
        self.reasons |= dict.fromkeys(made, hint)
        if row["item_id"] is not None:
            self.asked_by |= dict.fromkeys(gone, row["item_id"])

    def _undo(self, conn: sa.Connection, annotation_id: str, seq: int) -> None:
        h = track_heir.c
        links = conn.execute(
            sa.select(h.track_id, h.heir_track_id).where(h.annotation_id == annotation_id, h.until_seq.is_(None))
        ).all()
        if not links:
            return
        whole, parts = sorted({r.track_id for r in links}), sorted({r.heir_track_id for r in links})
        conn.execute(
            sa.update(track_heir).where(h.annotation_id == annotation_id, h.until_seq.is_(None)).values(until_seq=seq)
        )
        _set_state(conn, whole, "live")
        _set_state(conn, parts, "undone")
        replace_answers(conn, [*whole, *parts], seq)
        photos_return(conn, parts, whole)
        questions.follow_heirs(conn, parts)
        _mark_changed(conn, whole)
        self.back |= set(whole)
        self.gone -= set(whole)
        for part in parts:
            self.born.pop(part, None)
            self.gone.add(part)


def check_undo(conn: sa.Connection, annotation_id: str) -> None:
    """Raises Rejection if a cut or a join cannot be taken back: what it made was cut, joined or found anew since."""
    h, later = track_heir.c, track_heir.alias("later")
    row = conn.execute(
        sa.select(later.c.track_id, later.c.cause, later.c.annotation_id, annotation.c.seq, app_user.c.name)
        .join_from(track_heir, later, later.c.track_id == h.heir_track_id)
        .outerjoin(annotation, annotation.c.annotation_id == later.c.annotation_id)
        .outerjoin(app_user, app_user.c.user_id == annotation.c.annotator_id)
        .where(h.annotation_id == annotation_id, h.until_seq.is_(None), later.c.until_seq.is_(None))
        .order_by(annotation.c.seq.desc())
        .limit(1)
    ).first()
    if row is None:
        return
    if row.annotation_id is None:
        raise Rejection(
            "supersedes",
            "the video was tracked anew since then, so this cannot be taken back; split or merge its tracks",
        )
    raise Rejection(
        "supersedes",
        f"take back the {row.cause} number {row.seq} by {row.name} (event {row.annotation_id}) first: "
        f"it changed track {row.track_id}, which this one had made",
    )


def _track_of(conn: sa.Connection, track_id: int) -> sa.Row | None:
    return conn.execute(sa.select(track).where(track.c.track_id == track_id)).first()


def _track_around(
    conn: sa.Connection, track_ids: Sequence[int], frame_no: int
) -> tuple[sa.Row | None, BoxSeries | None]:
    """The first of the tracks that is live and has boxes before a frame and boxes from it on, and its boxes."""
    for track_id in track_ids:
        row = _track_of(conn, track_id)
        if row is not None and row.state == "live" and row.first_frame_no < frame_no <= row.last_frame_no:
            boxes = boxes_of(conn, track_id)
            if len(boxes.frame_no) and boxes.frame_no[0] < frame_no <= boxes.frame_no[-1]:
                return row, boxes
    return None, None


def _make(
    conn: sa.Connection, like: sa.Row, annotation_id: str, parts: Sequence[BoxSeries], parent: int | None
) -> dict[int, tuple[int, int, int]]:
    """Live tracks with these boxes; returns the video, the first and the last frame of each, by track."""
    video_id = like.video_id
    times = FrameTimes.of(conn, video_id)
    made: dict[int, tuple[int, int, int]] = {}
    for track_id, boxes in zip(_numbers(conn, video_id, annotation_id, len(parts)), parts, strict=True):
        quality = track_quality(boxes.frame_no, boxes.box, boxes.score, times.rate)
        write_track(conn, track_id, boxes, times, quality, like.model_id, "live", parent)
        made[track_id] = (video_id, int(boxes.frame_no[0]), int(boxes.frame_no[-1]))
    return made


def _numbers(conn: sa.Connection, video_id: int, annotation_id: str, n: int) -> list[int]:
    """track_id of n new tracks of an event: two numbers are an event's own, unless another event has them."""
    digest = hashlib.blake2b(annotation_id.encode(), digest_size=8).digest()
    pairs = (TRACKS_PER_VIDEO - MADE_FROM) // 2
    place = int.from_bytes(digest, "big") % pairs
    taken = {
        track_id - video_id * TRACKS_PER_VIDEO
        for track_id in conn.scalars(
            sa.select(track.c.track_id).where(
                track.c.track_id.between(track_id_of(video_id, MADE_FROM), track_id_of(video_id, TRACKS_PER_VIDEO - 1))
            )
        )
    }
    while {MADE_FROM + 2 * place, MADE_FROM + 2 * place + 1} & taken:
        place = (place + 1) % pairs
    return [track_id_of(video_id, MADE_FROM + 2 * place + i) for i in range(n)]


def _set_state(conn: sa.Connection, track_ids: Sequence[int], state: str) -> None:
    conn.execute(sa.update(track).where(track.c.track_id.in_(track_ids)).values(state=state))


def _n_boxes(conn: sa.Connection, track_id: int) -> int:
    return conn.scalar(sa.select(track.c.n_detections).where(track.c.track_id == track_id)) or 0


def _mark_changed(conn: sa.Connection, track_ids: Sequence[int]) -> None:
    videos = {track_id // TRACKS_PER_VIDEO for track_id in track_ids}
    bundles = sa.select(video.c.bundle_id).where(video.c.video_id.in_(sorted(videos))).distinct()
    for bundle_id in sorted(conn.scalars(bundles)):
        stamps.mark_changed(conn, bundle_id)


def _hint(conn: sa.Connection, row: dict[str, Any], gone: Sequence[int], cause: str) -> str:
    """Why the new tracks are asked, with what people had said before."""
    if cause == "merge":
        return questions.MERGED
    s, i = standing_answer.c, individual.c
    said = conn.scalar(
        sa.select(sa.func.coalesce(i.name, i.anim_id))
        .join_from(standing_answer, individual, i.individual_id == s.individual_id)
        .where(s.track_id.in_(gone))
        .limit(1)
    )
    return questions.SPLIT if said is None else questions.SPLIT_NAMED.format(name=said)


def forget_undone(conn: sa.Connection) -> int:
    """Deletes the boxes of tracks that a cut or a join had made which was taken back, and of these tracks all on which
    nothing hangs; returns the tracks that had boxes. conn: inside a write transaction.

    Not done where it is taken back: the page has no right to delete a box.
    """
    here = sa.exists().where(detection.c.track_id == track.c.track_id)
    left = conn.scalars(sa.select(track.c.track_id).where(track.c.state == "undone", here)).all()
    for part in in_parts(sorted(left)):
        conn.execute(sa.delete(detection).where(detection.c.track_id.in_(part)))
    for track_id in left:
        asked = sa.select(track_heir.c.annotation_id).where(track_heir.c.heir_track_id == track_id).limit(1)
        annotation_id = conn.scalar(asked)
        if annotation_id is not None and _is_forgettable(conn, track_id, annotation_id):
            _forget(conn, track_id)
    return len(left)


def _is_forgettable(conn: sa.Connection, track_id: int, annotation_id: str) -> bool:
    """Whether nothing hangs on a track that a cut or a join had made which was taken back: nobody has answered, scored
    or pictured it, and no training set was made while it was there."""
    seq = conn.scalar(sa.select(annotation.c.seq).where(annotation.c.annotation_id == annotation_id)) or 0
    q, h, a = acquisition_queue.c, track_heir.c, annotation.c
    hanging = [
        sa.exists().where(a.track_id == track_id),
        sa.exists().where(a.other_track_id == track_id),
        sa.exists().where(q.track_id == track_id, q.state != "withdrawn"),
        sa.exists().where(q.other_track_id == track_id),
        sa.exists().where(h.track_id == track_id),
        sa.exists().where(training_set.c.watermark_seq >= seq),
        *(
            sa.exists().where(table.c.track_id == track_id)
            for table in (
                item_media,
                prediction,
                track_score,
                unknown_track,
                quality_check,
                reference_photo,
                track_evidence,
            )
        ),
    ]
    return not any(conn.execute(sa.select(sa.literal(1)).where(one)).first() for one in hanging)


def _forget(conn: sa.Connection, track_id: int) -> None:
    conn.execute(sa.delete(acquisition_queue).where(acquisition_queue.c.track_id == track_id))
    for column in (answer_heir.c.track_id, answer_heir.c.heir_track_id):
        conn.execute(sa.delete(answer_heir).where(column == track_id))
    conn.execute(sa.delete(track_heir).where(track_heir.c.heir_track_id == track_id))
    conn.execute(sa.delete(track).where(track.c.track_id == track_id))
