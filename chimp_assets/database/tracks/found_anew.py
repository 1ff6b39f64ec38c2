"""Which videos another detector has tracked than the one in use, and what is on record of those that were tracked anew.

Belongs here: reading these facts, and the row that says a video is done. Does not belong here: tracking anew
(`vision.tracking.retracking`), when to stop (`loop.retrack`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as t


@dataclass(frozen=True)
class TrackedBefore:
    """A video that another detector has tracked. answered: its tracks with an answer that stands."""

    video_id: int
    uri: str
    bundle_key: str
    frames: int
    answered: int


def tracked_before(
    conn: sa.Connection, model_id: int, bundle_key: str | None = None, video_id: int | None = None
) -> list[TrackedBefore]:
    """Tracked videos that a detector has not tracked, oldest bundle first.

    A video without tracks tells nobody what looked at it: it counts as tracked by what found the tracks of its bundle.
    Tracks that came from a file of annotations (`imported_track`) were drawn by people: such a video is none of these.
    """
    v, b, k, done = t.video.c, t.bundle.c, t.track.c, t.video_retracking.c
    there = k.state.in_(("live", "junk"))
    others = sa.exists().where(k.video_id == v.video_id, there, k.model_id != model_id)
    tracks = sa.exists().where(k.video_id == v.video_id)
    beside, of_bundle = t.video.alias("beside"), t.track.alias("of_bundle")
    ours = sa.exists().where(
        beside.c.bundle_id == v.bundle_id, of_bundle.c.video_id == beside.c.video_id, of_bundle.c.model_id == model_id
    )
    retracked = sa.exists().where(done.video_id == v.video_id, done.model_id == model_id)
    drawn = sa.exists().where(t.imported_track.c.track_id == k.track_id, k.video_id == v.video_id, there)
    answered = (
        sa.select(sa.func.count())
        .select_from(t.standing_answer)
        .join(t.track, k.track_id == t.standing_answer.c.track_id)
        .where(k.video_id == v.video_id, there)
        .scalar_subquery()
    )
    statement = (
        sa.select(v.video_id, v.uri, b.bundle_key, v.n_frames, answered.label("answered"))
        .join_from(t.video, t.bundle, b.bundle_id == v.bundle_id)
        .where(v.state == "tracked", ~retracked, ~drawn, sa.or_(others, sa.and_(~tracks, ~ours)))
        .order_by(v.bundle_id, v.video_id)
    )
    if bundle_key is not None:
        statement = statement.where(b.bundle_key == bundle_key)
    if video_id is not None:
        statement = statement.where(v.video_id == video_id)
    rows = conn.execute(statement).all()
    return [TrackedBefore(r.video_id, r.uri, r.bundle_key, r.n_frames, r.answered) for r in rows]


def note_retracking(
    conn: sa.Connection,
    video_id: int,
    model_id: int,
    followed: int = 0,
    kept: int = 0,
    unfollowed: int = 0,
    why_kept: str | None = None,
) -> None:
    """Says that a video is done, in the transaction that rewrites its tracks."""
    conn.execute(
        sa.insert(t.video_retracking).values(
            video_id=video_id,
            model_id=model_id,
            kept=why_kept,
            n_followed=followed,
            n_kept=kept,
            n_unfollowed=unfollowed,
            made_at=datetime.now(UTC),
        )
    )


@dataclass(frozen=True)
class KeptVideo:
    """A video whose tracks stayed as they were, and why."""

    uri: str
    why: str


def kept_videos(conn: sa.Connection) -> list[KeptVideo]:
    """All videos that a re-tracking left as they were, in the order of their paths."""
    r, v = t.video_retracking.c, t.video.c
    rows = conn.execute(
        sa.select(v.uri, r.kept)
        .join_from(t.video_retracking, t.video, v.video_id == r.video_id)
        .where(r.kept.is_not(None))
        .order_by(v.uri, r.made_at)
    )
    return [KeptVideo(row.uri, row.kept) for row in rows]


def lost_answers(conn: sa.Connection) -> int:
    """How many tracks that are gone have answers that count for none."""
    gone = sa.table("v_gone_answer", sa.column("track_id"), sa.column("now_track_id"))
    n = sa.select(sa.func.count(gone.c.track_id.distinct())).where(gone.c.now_track_id.is_(None))
    return int(conn.execute(n).scalar_one())


GONE_COLUMNS = (
    "seq", "track_id", "track_state", "uri", "first_s", "last_s", "kind", "anim_id", "annotator", "now_track_id",
    "what_to_do",
)  # fmt: skip
_WHAT_TO_DO = {
    "split": "name the parts: they wait in the queue",
    "merged": "name the joined track",
    "replaced": "look at the video in these seconds; if the animal is there, name its track",
    "undone": "the split or merge that made this track was taken back: name the whole track",
}


def gone_answers(conn: sa.Connection, only_lost: bool = False, states: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """Answers about tracks that are gone and the track for which each counts now, by GONE_COLUMNS, the newest first.

    only_lost: those that count for none. states: only of tracks that are gone for these reasons.
    """
    gone = sa.table("v_gone_answer", *(sa.column(name) for name in GONE_COLUMNS if name != "what_to_do"))
    statement = sa.select(gone).order_by(gone.c.seq.desc())
    if only_lost:
        statement = statement.where(gone.c.now_track_id.is_(None))
    if states:
        statement = statement.where(gone.c.track_state.in_(states))
    return [
        {
            **dict(row._mapping),
            "what_to_do": "" if row.now_track_id is not None else _WHAT_TO_DO.get(row.track_state, ""),
        }
        for row in conn.execute(statement)
    ]
