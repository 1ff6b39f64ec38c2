"""What must hold in the database beyond its constraints: each question returns the rows that break it, capped.

Belongs here: invariants that span rows or tables. Does not belong here: how they are shown (`checks`, `doctor`).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.parameters import in_parts, rows_in_parts
from chimp_assets.database.labels.answers import answered_pairs, derived_answers, effective_answers
from chimp_assets.database.labels.events import AHEAD, EARLIEST
from chimp_assets.database.labels.evidence import TrackEvidence, evidence_of, tracks_with_evidence
from chimp_assets.database.labels.provenance import imported

SAMPLE = 20
"""Offending rows shown; more are not read."""


def _in_bundle(bundle_key: str) -> sa.Select[tuple[int]]:
    return (
        sa.select(t.video.c.video_id)
        .join(t.bundle, t.bundle.c.bundle_id == t.video.c.bundle_id)
        .where(t.bundle.c.bundle_key == bundle_key)
    )


def videos_whose_frames_do_not_count(conn: sa.Connection, bundle_key: str) -> list[tuple[int, int, int]]:
    """(video_id, n_frames said by the video, rows in `frame`) where they differ, in usable videos of a bundle."""
    counted = (
        sa.select(t.video.c.video_id, t.video.c.n_frames, sa.func.count(t.frame.c.frame_no).label("rows"))
        .outerjoin(t.frame, t.frame.c.video_id == t.video.c.video_id)
        .where(t.video.c.video_id.in_(_in_bundle(bundle_key)), t.video.c.state.in_(("decoded", "tracked")))
        .group_by(t.video.c.video_id, t.video.c.n_frames)
        .subquery()
    )
    rows = conn.execute(sa.select(counted).where(counted.c.n_frames != counted.c.rows).limit(SAMPLE))
    return [(row.video_id, row.n_frames, row.rows) for row in rows]


def frames_outside_their_shard(conn: sa.Connection, bundle_key: str) -> list[tuple[int, int]]:
    """(video_id, frame_no) of pictures that would lie beyond the end of their shard."""
    rows = conn.execute(
        sa.select(t.frame.c.video_id, t.frame.c.frame_no)
        .join(t.frame_shard, t.frame_shard.c.shard_id == t.frame.c.shard_id)
        .where(
            t.frame.c.video_id.in_(_in_bundle(bundle_key)),
            t.frame.c.byte_offset + t.frame.c.byte_length > t.frame_shard.c.bytes,
        )
        .limit(SAMPLE)
    )
    return [(row.video_id, row.frame_no) for row in rows]


def tracks_whose_detections_do_not_count(conn: sa.Connection, bundle_key: str) -> list[tuple[int, int, int]]:
    """(track_id, n_detections said by the track, rows in `detection`) where they differ."""
    counted = (
        sa.select(t.track.c.track_id, t.track.c.n_detections, sa.func.count(t.detection.c.frame_no).label("rows"))
        .outerjoin(t.detection, t.detection.c.track_id == t.track.c.track_id)
        .where(t.track.c.video_id.in_(_in_bundle(bundle_key)), t.track.c.state.in_(("live", "junk")))
        .group_by(t.track.c.track_id, t.track.c.n_detections)
        .subquery()
    )
    rows = conn.execute(sa.select(counted).where(counted.c.n_detections != counted.c.rows).limit(SAMPLE))
    return [(row.track_id, row.n_detections, row.rows) for row in rows]


def gap_in_annotation_numbers(conn: sa.Connection) -> tuple[int, int]:
    """(largest seq, rows): equal where the numbering has no gap."""
    row = conn.execute(
        sa.select(sa.func.coalesce(sa.func.max(t.annotation.c.seq), 0), sa.func.count(t.annotation.c.seq))
    ).one()
    return int(row[0]), int(row[1])


def leaked_members(conn: sa.Connection, track_ids: np.ndarray) -> list[int]:
    """Of these training tracks, those whose video is in the test split or that a lane that measures ever asked.

    track_ids: i64 [n]; returns at most SAMPLE of them.
    """
    leaked: list[int] = []
    for start in range(0, len(track_ids), 500):
        some = [int(i) for i in track_ids[start : start + 500]]
        test_day = (
            sa.select(t.track.c.track_id)
            .join(t.split_assignment, t.split_assignment.c.video_id == t.track.c.video_id)
            .where(t.track.c.track_id.in_(some), t.split_assignment.c.split == "test")
        )
        audited = sa.select(t.annotation.c.track_id).where(
            t.annotation.c.track_id.in_(some), t.annotation.c.lane.in_(t.MEASURING_LANES)
        )
        leaked += conn.scalars(test_day.union(audited)).all()
        if len(leaked) >= SAMPLE:
            break
    return leaked[:SAMPLE]


def predictions_that_do_not_add_up(conn: sa.Connection, model_id: int) -> list[tuple[int, float]]:
    """(track_id, sum of probabilities) above 1 (beyond rounding) for a head."""
    total = sa.func.sum(t.prediction.c.probability)
    rows = conn.execute(
        sa.select(t.prediction.c.track_id, total.label("total"))
        .where(t.prediction.c.model_id == model_id)
        .group_by(t.prediction.c.track_id)
        .having(total > 1.001)
        .limit(SAMPLE)
    )
    return [(row.track_id, row.total) for row in rows]


def answers_that_do_not_stand(conn: sa.Connection) -> list[int]:
    """track_id of tracks whose standing answer is kept as another than follows from all events, or not at all."""
    follows = derived_answers().subquery("follows").c
    kept = t.standing_answer.c
    one, other = (sa.select(c.track_id, c.annotation_id, c.individual_id) for c in (follows, kept))
    wrong = sa.union_all(sa.except_(one, other).subquery().select(), sa.except_(other, one).subquery().select())
    found = wrong.subquery()  # SQL Server has no limit for a union itself
    return sorted(set(conn.scalars(sa.select(found.c.track_id).limit(SAMPLE))))


def evidence_that_does_not_follow(conn: sa.Connection) -> list[int]:
    """track_id of tracks of which other evidence is kept than follows from all events, or none though some does."""
    wrong: set[int] = set()
    e = t.track_evidence.c
    for part in in_parts(tracks_with_evidence(conn)):
        tracks, follows = evidence_of(conn, part)
        rows = rows_in_parts(conn, lambda some: sa.select(t.track_evidence).where(e.track_id.in_(some)), tracks)
        # A chance is kept with the precision of its column, and follows from the number of people.
        kept = {replace(TrackEvidence(*row), probability=None) for row in rows}
        wrong |= {one.track_id for one in kept ^ {replace(one, probability=None) for one in follows}}
        if len(wrong) >= SAMPLE:
            break
    return sorted(wrong)[:SAMPLE]


def tracks_that_are_there_and_gone(conn: sa.Connection) -> list[int]:
    """track_id of tracks that are live though another took their place, or split or merged though none did."""
    k, h = t.track.c, t.track_heir.c
    succeeded = sa.exists().where(h.track_id == k.track_id, h.until_seq.is_(None))
    wrong = sa.or_(
        sa.and_(k.state.in_(("live", "junk")), succeeded), sa.and_(k.state.in_(("split", "merged")), ~succeeded)
    )
    return list(conn.scalars(sa.select(k.track_id).where(wrong).order_by(k.track_id).limit(SAMPLE)))


def decisions_that_no_item_asked(conn: sa.Connection) -> list[tuple[int, str]]:
    """(seq, lane) of decisions that claim a lane or a chance of having been asked that no item of the queue gave them.

    Before revision 0011 the page stored what a client said of both. Decisions out of files are vouched for by who
    imported them. A chance that is missing harms nobody.
    """
    a, q = t.annotation.c, t.acquisition_queue.c
    unlike = sa.or_(a.lane != q.lane, sa.func.abs(a.propensity - q.propensity) > 1e-9)
    claimed = sa.or_(a.lane.in_(_MEASURING), a.propensity.is_not(None))
    rows = conn.execute(
        sa.select(a.seq, a.lane)
        .outerjoin_from(t.annotation, t.acquisition_queue, q.item_id == a.item_id)
        .where(a.kind != "retract")
        .where(
            sa.or_(
                sa.and_(a.item_id.is_not(None), unlike),
                sa.and_(a.item_id.is_(None), a.lane != "import", claimed),
                a.propensity <= 0,
                a.propensity > 1,
            )
        )
        .order_by(a.seq)
    )
    return _not_imported(conn, [(row.seq, row.lane) for row in rows])


# What is measured by these lanes would be another number if others got into them.
_MEASURING = (*t.MEASURING_LANES, t.PROMISE, "repeat")


def decisions_of_no_clock(conn: sa.Connection) -> list[tuple[int, str]]:
    """(seq, column) of decisions whose client_time or seconds cannot be."""
    a = t.annotation.c
    timeless = sa.or_(a.client_time < EARLIEST, a.client_time > datetime.now(UTC) + AHEAD)
    column = sa.case((timeless, "client_time"), else_="seconds")
    rows = conn.execute(
        sa.select(a.seq, column.label("name"))
        .where(sa.or_(timeless, a.seconds > LONGEST_S), a.lane != "import")
        .order_by(a.seq)
    )
    return _not_imported(conn, [(row.seq, row.name) for row in rows])


LONGEST_S = 86_400.0
"""Of one look at a track: earlier versions kept longer ones than `events.LONGEST_S`, of screens that were left on."""


def _not_imported(conn: sa.Connection, found: list[tuple[int, str]]) -> list[tuple[int, str]]:
    known = imported(conn) if found else ()
    return [one for one in found if one[0] not in known][:SAMPLE]


def items_that_should_not_wait(conn: sa.Connection) -> list[int]:
    """item_id of waiting items of which a track is no longer live, or whose question a person has answered already.

    A pair needs no question of its own once one of its tracks is answered, but for `unknown`. Repeats and what is
    disputed ask on purpose about what was answered.
    """
    item, other = t.acquisition_queue.c, t.track.alias("other")
    answered = effective_answers().subquery()
    rows = conn.scalars(
        sa.select(item.item_id)
        .join_from(t.acquisition_queue, t.track, t.track.c.track_id == item.track_id)
        .outerjoin(other, other.c.track_id == item.other_track_id)
        .outerjoin(answered, answered.c.track_id == item.track_id)
        .where(
            item.state == "pending",
            sa.or_(
                t.track.c.state != "live",
                other.c.state != "live",
                sa.and_(
                    sa.or_(item.lane.not_in((*t.REPEATED_LANES, *t.SIDE_LANES)), item.lane == t.IS_IT),
                    answered.c.track_id.is_not(None),
                ),
            ),
        )
        .limit(SAMPLE)
    )
    wrong = list(rows)
    pairs = {
        row.item_id: frozenset({row.track_id, row.other_track_id})
        for row in conn.execute(
            sa.select(item.item_id, item.track_id, item.other_track_id).where(
                item.state == "pending", item.lane == t.PAIRS
            )
        )
    }
    settled = answered_pairs(conn, set(pairs.values()))
    return [*wrong, *(item_id for item_id, pair in pairs.items() if pair in settled and item_id not in wrong)][:SAMPLE]


def failed_videos(
    conn: sa.Connection, bundle_key: str | None = None, limit: int | None = None
) -> list[tuple[str, str]]:
    """(uri, reason) of videos that failed, and of usable ones that lost something, in order of their uri."""
    statement = (
        sa.select(t.video.c.uri, t.video.c.error)
        .where(t.video.c.error.is_not(None), t.video.c.state != "retired")
        .order_by(t.video.c.uri)
        .limit(limit)
    )
    if bundle_key is not None:
        statement = statement.where(t.video.c.video_id.in_(_in_bundle(bundle_key)))
    return [(row.uri, row.error) for row in conn.execute(statement)]
