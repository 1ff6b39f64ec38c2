"""Which answer stands for each track and each pair of tracks, now or as of a watermark.

An answer is about the track that its author saw. Where that track is no more, it counts for the tracks that
`answer_heir` names, or for none. Of answers that come from elsewhere a name goes before the others: who joins two
tracks of which one is named says that both show that animal.
Belongs here: the rule (the best role, then the newest, nothing that was retracted), and `standing_answer`, which keeps
its result. Does not belong here: storing events (`events`), which track takes the place of which (`rewriting.heirs`),
merging individuals (`individuals.merges`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from chimp_assets.database.connection.parameters import in_parts, rows_in_parts
from chimp_assets.database.individuals.merges import as_merged_at
from chimp_assets.database.labels.kinds import ANSWER_KINDS, NAMING_KINDS, PAIR_ANSWER_KINDS, is_answer, is_word
from chimp_assets.database.schema import annotation, answer_heir, app_user, standing_answer

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
    inherited: bool = True,
) -> sa.Select[Any]:
    """The answers that stand, found among all events: the columns of `standing_answer`, before merges.

    inherited: False where nobody needs to look whose answers count for other tracks, because none of of_tracks has any.
    """
    a, heir = annotation.c, answer_heir.alias("heir")
    subject = sa.func.coalesce(heir.c.heir_track_id, a.track_id) if inherited else a.track_id
    weak = sa.case((sa.and_(heir.c.track_id.is_not(None), a.kind.not_in(NAMING_KINDS)), 1), else_=0)
    place = _place_of(subject, weaker=weak if inherited else None)
    standing = (
        sa.select(
            subject.label("track_id"),
            a.annotation_id,
            a.seq,
            a.kind,
            a.individual_id,
            a.lane,
            a.annotator_id,
            a.propensity,
            place.label("place"),
        )
        .join_from(annotation, app_user, app_user.c.user_id == a.annotator_id)
        .where(
            is_answer(annotation),
            *_standing(watermark_seq),
        )
    )
    if inherited:
        standing = standing.outerjoin(heir, sa.and_(heir.c.track_id == a.track_id, holds_at(heir, watermark_seq)))
        standing = standing.where(counts(heir))
    if of_tracks is not None and inherited:
        source = answer_heir.alias("source")
        sources = sa.select(source.c.track_id).where(
            source.c.heir_track_id.in_(of_tracks), holds_at(source, watermark_seq)
        )
        standing = standing.where(sa.or_(a.track_id.in_(of_tracks), a.track_id.in_(sources)), subject.in_(of_tracks))
    elif of_tracks is not None:
        standing = standing.where(a.track_id.in_(of_tracks))
    ranked = standing.subquery("ranked")
    return sa.select(*(column for column in ranked.c if column.name != "place")).where(ranked.c.place == 1)


def holds_at(heir: sa.FromClause, watermark_seq: int | None) -> sa.ColumnElement[bool]:
    """Whether a row of `answer_heir` or `track_heir` holds, as of a watermark of labels (None: now)."""
    if watermark_seq is None:
        return heir.c.until_seq.is_(None)
    ended = sa.or_(heir.c.until_seq.is_(None), heir.c.until_seq > watermark_seq)
    return sa.and_(heir.c.from_seq <= watermark_seq, ended)


def counts(heir: sa.FromClause) -> sa.ColumnElement[bool]:
    """Whether answers about a track count at all: it is there (heir: outer joined, null), or another took its place."""
    return sa.or_(heir.c.track_id.is_(None), heir.c.heir_track_id != heir.c.track_id)


def effective_pair_answers(watermark_seq: int | None = None) -> sa.Select[Any]:
    """The answer that stands for each pair of tracks with an answer, as of a watermark.

    Columns: track_id < other_track_id, annotation_id, seq, kind (one of PAIR_ANSWER_KINDS), role of its author.
    The same rules as in `effective_answers`.
    """
    a, one, other = annotation.c, answer_heir.alias("one"), answer_heir.alias("other")
    mine = sa.func.coalesce(one.c.heir_track_id, a.track_id)
    theirs = sa.func.coalesce(other.c.heir_track_id, a.other_track_id)
    answers = (
        sa.select(
            mine.label("mine"),
            theirs.label("theirs"),
            a.annotation_id,
            a.seq,
            a.kind,
            app_user.c.role,
        )
        .join_from(annotation, app_user, app_user.c.user_id == a.annotator_id)
        .outerjoin(one, sa.and_(one.c.track_id == a.track_id, holds_at(one, watermark_seq)))
        .outerjoin(other, sa.and_(other.c.track_id == a.other_track_id, holds_at(other, watermark_seq)))
        # Tracks have positive numbers; written as a range, so that the index is read and not every answer.
        .where(a.kind.in_(PAIR_ANSWER_KINDS), a.other_track_id > 0, *_standing(watermark_seq))
        # Of two that were joined nobody needs to say whether they are one.
        .where(counts(one), counts(other), mine != theirs)
        .subquery("answers")
    )
    c = answers.c
    first = sa.case((c.mine < c.theirs, c.mine), else_=c.theirs)
    second = sa.case((c.mine < c.theirs, c.theirs), else_=c.mine)
    ranked = sa.select(
        first.label("track_id"),
        second.label("other_track_id"),
        c.annotation_id,
        c.seq,
        c.kind,
        c.role,
        _ranked(c.role, c.seq, first, second).label("place"),
    ).subquery("ranked")
    return sa.select(*(column for column in ranked.c if column.name != "place")).where(ranked.c.place == 1)


def _standing(watermark_seq: int | None) -> list[sa.ColumnElement[bool]]:
    """Events up to a watermark that were not retracted up to it."""
    taken_back = annotation.alias("taken_back")
    retracted = sa.exists().where(taken_back.c.kind == "retract", taken_back.c.supersedes == annotation.c.annotation_id)
    if watermark_seq is None:
        return [~retracted]
    return [~retracted.where(taken_back.c.seq <= watermark_seq), annotation.c.seq <= watermark_seq]


def _place_of(subject: sa.ColumnElement[Any], weaker: sa.ColumnElement[int] | None = None) -> sa.ColumnElement[int]:
    return _ranked(app_user.c.role, annotation.c.seq, subject, weaker=weaker)


def _ranked(
    role: sa.ColumnElement[str],
    seq: sa.ColumnElement[int],
    *subject: sa.ColumnElement[Any],
    weaker: sa.ColumnElement[int] | None = None,
) -> sa.ColumnElement[int]:
    """1 for the answer about a subject that stands: of the best role, of these none that is weaker, then the newest."""
    order: list[sa.ColumnElement[Any]] = [sa.case(ROLE_ORDER, value=role, else_=OTHER_ROLES)]
    if weaker is not None:
        order.append(weaker)
    return sa.func.row_number().over(partition_by=subject, order_by=[*order, seq.desc()])


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


def touched_tracks(conn: sa.Connection, rows: Sequence[dict[str, Any]]) -> set[int]:
    """The tracks that new events are about, or whose answers they take back."""
    a = annotation.c
    tracks = {row["track_id"] for row in rows if row["kind"] in ANSWER_KINDS and not is_word(row)}
    taken_back = {row["supersedes"] for row in rows if row["kind"] == "retract"}
    return tracks | {
        row.track_id
        for row in rows_in_parts(conn, lambda part: sa.select(a.track_id).where(a.annotation_id.in_(part)), taken_back)
        if row.track_id is not None
    }


def keep_standing(conn: sa.Connection, track_ids: Collection[int]) -> None:
    """Updates `standing_answer` for tracks, in the transaction that stores events or rewrites tracks."""
    for part in in_parts(sorted(track_ids)):
        plain = not conn.execute(_IN_SUCCESSION, {"tracks": part}).first()
        found = conn.execute(_PLAIN if plain else _DERIVED, {"tracks": part}).mappings().all()
        conn.execute(_FORGET, {"tracks": part})
        if found:
            conn.execute(sa.insert(standing_answer), [dict(one) for one in found])


_TRACKS: sa.BindParameter[Any] = sa.bindparam("tracks", value=(), expanding=True)
# Made once: making them takes as long as running them, at every answer.
_PLAIN = derived_answers(of_tracks=_TRACKS, inherited=False)
_DERIVED = derived_answers(of_tracks=_TRACKS)
_FORGET = sa.delete(standing_answer).where(standing_answer.c.track_id.in_(_TRACKS))
# Nearly all tracks are nobody's heirs and have none.
_IN_SUCCESSION = sa.union_all(
    *(
        sa.select(column).where(column.in_(_TRACKS), answer_heir.c.until_seq.is_(None))
        for column in (answer_heir.c.track_id, answer_heir.c.heir_track_id)
    )
)
