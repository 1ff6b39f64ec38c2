"""Which answer stands for each track and each pair of tracks, now or as of a watermark.

Belongs here: the rule (the best role, then the newest, nothing that was retracted), and `standing_answer`, which keeps
its result. Does not belong here: storing events (`events`) and merging individuals (`individuals.merges`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from chimp_assets.database.connection.parameters import in_parts, rows_in_parts
from chimp_assets.database.individuals.merges import as_merged_at
from chimp_assets.database.labels.kinds import ANSWER_KINDS, PAIR_ANSWER_KINDS
from chimp_assets.database.schema import annotation, app_user, standing_answer

# Whose answer stands when several people answered one track: a smaller number wins, then the later answer.
ROLE_ORDER = {"expert": 0, "admin": 1, "reviewer": 1}
OTHER_ROLES = 2


def effective_answers(
    watermark_seq: int | None = None,
    merge_watermark: int | None = None,
    of_tracks: sa.Select[tuple[int]] | Sequence[int] | None = None,
) -> sa.Select[Any]:
    """The answer that stands for each answered track, as of a watermark of labels and one of merges (None: now).

    of_tracks: only these, by their ids or by a statement that selects them; None: all.
    Columns: track_id, annotation_id, seq, kind (one of ANSWER_KINDS), individual_id, lane, annotator_id, propensity.
    Retracted answers and those about a pair do not count; of the others the best role wins (expert; admin and reviewer;
    others), then the newest. individual_id: the individual after the merges, not the one the person named.
    Without a watermark of labels `standing_answer` is read, which says the same; so does `v_effective_answer`.
    """
    standing: sa.FromClause = standing_answer
    if watermark_seq is not None:
        standing = derived_answers(watermark_seq, of_tracks).subquery("standing")
    same = as_merged_at(merge_watermark)
    merged = sa.func.coalesce(same.c.root_id, standing.c.individual_id).label("individual_id")
    answers = sa.select(
        *(merged if column.name == "individual_id" else column for column in standing.c)
    ).outerjoin_from(standing, same, same.c.individual_id == standing.c.individual_id)
    if of_tracks is not None and watermark_seq is None:
        answers = answers.where(standing.c.track_id.in_(of_tracks))
    return answers


def derived_answers(
    watermark_seq: int | None = None,
    of_tracks: sa.Select[tuple[int]] | Sequence[int] | sa.BindParameter[Any] | None = None,
) -> sa.Select[Any]:
    """The answers that stand, found among all events: the columns of `standing_answer`, before merges."""
    place = _place_of(annotation.c.track_id)
    standing = (
        sa.select(
            annotation.c.track_id,
            annotation.c.annotation_id,
            annotation.c.seq,
            annotation.c.kind,
            annotation.c.individual_id,
            annotation.c.lane,
            annotation.c.annotator_id,
            annotation.c.propensity,
            place.label("place"),
        )
        .join(app_user, app_user.c.user_id == annotation.c.annotator_id)
        .where(
            annotation.c.kind.in_(ANSWER_KINDS),
            ~sa.and_(annotation.c.kind == "cannot_tell", annotation.c.other_track_id.is_not(None)),
            *_standing(watermark_seq),
        )
    )
    if of_tracks is not None:
        standing = standing.where(annotation.c.track_id.in_(of_tracks))
    ranked = standing.subquery("ranked")
    return sa.select(*(column for column in ranked.c if column.name != "place")).where(ranked.c.place == 1)


def effective_pair_answers(watermark_seq: int | None = None) -> sa.Select[Any]:
    """The answer that stands for each pair of tracks with an answer, as of a watermark.

    Columns: track_id < other_track_id, annotation_id, seq, kind (one of PAIR_ANSWER_KINDS), role of its author.
    The same rules as in `effective_answers`.
    """
    a = annotation.c
    first = sa.case((a.track_id < a.other_track_id, a.track_id), else_=a.other_track_id)
    second = sa.case((a.track_id < a.other_track_id, a.other_track_id), else_=a.track_id)
    ranked = (
        sa.select(
            first.label("track_id"),
            second.label("other_track_id"),
            a.annotation_id,
            a.seq,
            a.kind,
            app_user.c.role,
            _place_of(first, second).label("place"),
        )
        .join(app_user, app_user.c.user_id == a.annotator_id)
        # Tracks have positive numbers; written as a range, so that the index is read and not every answer.
        .where(a.kind.in_(PAIR_ANSWER_KINDS), a.other_track_id > 0, *_standing(watermark_seq))
        .subquery("ranked")
    )
    return sa.select(*(column for column in ranked.c if column.name != "place")).where(ranked.c.place == 1)


def _standing(watermark_seq: int | None) -> list[sa.ColumnElement[bool]]:
    """Events up to a watermark that were not retracted up to it."""
    taken_back = annotation.alias("taken_back")
    retracted = sa.exists().where(taken_back.c.kind == "retract", taken_back.c.supersedes == annotation.c.annotation_id)
    if watermark_seq is None:
        return [~retracted]
    return [~retracted.where(taken_back.c.seq <= watermark_seq), annotation.c.seq <= watermark_seq]


def _place_of(*subject: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    """1 for the answer about a subject that stands: of the best role, and of these the newest."""
    role_order = sa.case(ROLE_ORDER, value=app_user.c.role, else_=OTHER_ROLES)
    return sa.func.row_number().over(partition_by=subject, order_by=[role_order, annotation.c.seq.desc()])


def answered_pairs(conn: sa.Connection, pairs: Collection[frozenset[int]]) -> set[frozenset[int]]:
    """Those of the pairs that need no question: an answer about the pair stands, or one about either track that says
    more than `unknown`."""
    answer = effective_pair_answers().subquery().c
    kinds = answer_kinds(conn, {track_id for pair in pairs for track_id in pair})
    found = {pair for pair in pairs if any(kinds.get(track_id, "unknown") != "unknown" for track_id in pair)}
    rows = rows_in_parts(
        conn,
        lambda part: sa.select(answer.track_id, answer.other_track_id).where(answer.track_id.in_(part)),
        {min(pair) for pair in pairs},
    )
    return found | (set(pairs) & {frozenset({row.track_id, row.other_track_id}) for row in rows})


def answer_kinds(conn: sa.Connection, track_ids: Iterable[int]) -> dict[int, str]:
    """The kind of the answer that stands for each of some tracks, where there is one."""
    answer = effective_answers().subquery().c
    kinds = sa.select(answer.track_id, answer.kind)
    rows = rows_in_parts(conn, lambda part: kinds.where(answer.track_id.in_(part)), track_ids)
    return {row.track_id: row.kind for row in rows}


def keep_standing(conn: sa.Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Updates `standing_answer` for the tracks of new events, in the transaction that stores them."""
    a = annotation.c
    tracks = {row["track_id"] for row in rows if row["kind"] in ANSWER_KINDS}
    taken_back = {row["supersedes"] for row in rows if row["kind"] == "retract"}
    tracks |= {
        row.track_id
        for row in rows_in_parts(conn, lambda part: sa.select(a.track_id).where(a.annotation_id.in_(part)), taken_back)
        if row.track_id is not None
    }
    for part in in_parts(sorted(tracks)):
        found = conn.execute(_DERIVED, {"tracks": part}).mappings().all()
        conn.execute(_FORGET, {"tracks": part})
        if found:
            conn.execute(sa.insert(standing_answer), [dict(one) for one in found])


_TRACKS: sa.BindParameter[Any] = sa.bindparam("tracks", value=(), expanding=True)
# Made once: making them takes as long as running them, at every answer.
_DERIVED = derived_answers(of_tracks=_TRACKS)
_FORGET = sa.delete(standing_answer).where(standing_answer.c.track_id.in_(_TRACKS))
