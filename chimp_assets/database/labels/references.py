"""Reference photos of individuals: as people choose and order them, and by rule where nobody has.

Belongs here: storing a person's choice, the rule, which fills the places that are left. Does not belong here: cutting
the pictures (`vision.item_media`), showing them (`insight.lives`, `web.items`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.connection.parameters import in_parts
from chimp_assets.database.labels.answers import effective_answers
from chimp_assets.database.labels.kinds import NAMING_KINDS
from chimp_assets.database.people.users import PeopleError, user_id_of, write_audit_event

MOST = 5


def set_references(db: Database, individual_id: int, track_ids: Sequence[int], by: str) -> list[int]:
    """Set an individual's reference photos, in this order; returns the tracks of the former ones.

    Each is the best crop of a track that a person gave this name. Raises PeopleError for others or more than five.
    """
    wanted = list(dict.fromkeys(track_ids))
    if len(wanted) > MOST:
        raise PeopleError(f"An individual has at most {MOST} reference photos.", "Take one out first.")

    def work(conn: sa.Connection) -> list[int]:
        i, r = t.individual.c, t.reference_photo.c
        who = conn.execute(sa.select(i.anim_id, i.same_as_id).where(i.individual_id == individual_id)).one()
        if who.same_as_id is not None:
            raise PeopleError(f"{who.anim_id} is merged into another.", "Choose photos of that one.")
        _check(conn, individual_id, wanted)
        before = list(
            conn.scalars(sa.select(r.track_id).where(r.individual_id == individual_id).order_by(r.place)).all()
        )
        conn.execute(sa.delete(t.reference_photo).where(r.individual_id == individual_id))
        user_id, now = user_id_of(conn, by), datetime.now(UTC)
        for place, track_id in enumerate(wanted):
            conn.execute(
                sa.insert(t.reference_photo).values(
                    individual_id=individual_id, place=place, track_id=track_id, user_id=user_id, chosen_at=now
                )
            )
        write_audit_event(conn, "individual.references", who.anim_id, {"before": before, "now": wanted}, by)
        return before

    return db.transact(work)


def _check(conn: sa.Connection, individual_id: int, track_ids: Sequence[int]) -> None:
    if not track_ids:
        return
    answer = effective_answers(of_tracks=list(track_ids)).subquery()
    named = set(
        conn.scalars(
            sa.select(answer.c.track_id).where(answer.c.kind.in_(NAMING_KINDS), answer.c.individual_id == individual_id)
        )
    )
    for track_id in track_ids:
        if track_id not in named:
            raise PeopleError(
                f"Track {track_id} is no track of this individual that a person has named.", "Name the track first."
            )


def choose_references(db: Database, individuals: Collection[int] | None = None) -> int:
    """Gives every individual up to five reference photos; returns how many rows changed. Those that people chose stay.

    The others: tracks that people named, the best of each recording day, the best five of these days, newest first.
    individuals: only these, by key; None: everybody.
    """

    def work(conn: sa.Connection) -> int:
        r = t.reference_photo.c
        there = {
            (row.individual_id, row.place): row
            for row in conn.execute(sa.select(t.reference_photo))
            if individuals is None or row.individual_id in individuals
        }
        chosen = {key: row.track_id for key, row in there.items() if row.user_id is not None}
        wanted = dict(chosen)
        for individual_id, tracks in best_named(conn, individuals).items():
            taken = {track for (who, _), track in chosen.items() if who == individual_id}
            places = [place for place in range(MOST) if (individual_id, place) not in chosen]
            fitting = [track for track in tracks if track not in taken]
            wanted.update({(individual_id, place): track for place, track in zip(places, fitting, strict=False)})
        gone = [key for key in there if key not in wanted]
        new = [key for key in wanted if key not in there or there[key].track_id != wanted[key]]
        for individual_id, place in {*gone, *(key for key in new if key in there)}:
            conn.execute(sa.delete(t.reference_photo).where(r.individual_id == individual_id, r.place == place))
        if new:
            insert_rows(
                conn,
                t.reference_photo,
                {
                    "individual_id": [who for who, _ in new],
                    "place": [place for _, place in new],
                    "track_id": [wanted[key] for key in new],
                    "user_id": [None] * len(new),
                    "chosen_at": [datetime.now(UTC)] * len(new),
                },
            )
        return len(gone) + len(new)

    return db.transact(work)


def stand_for(db: Database, individuals: Collection[int]) -> int:
    """Chooses photos by rule for those of the individuals who have none yet; returns how many rows that made.

    Called when individuals are suggested: a suggestion without a photo is a code to learn by heart.
    """
    with db.read() as conn:
        lacking = without_photos(conn, individuals)
    return choose_references(db, lacking) if lacking else 0


def without_photos(conn: sa.Connection, individuals: Collection[int]) -> list[int]:
    """Those of the individuals without a photo; a merged individual counts as the one it was merged into."""
    i, r = t.individual.c, t.reference_photo.c
    found: set[int] = set()
    for part in in_parts(individuals):
        root = sa.func.coalesce(i.same_as_id, i.individual_id)
        shown = sa.exists().where(r.individual_id == root)
        found.update(conn.scalars(sa.select(root).where(i.individual_id.in_(part), ~shown)))
    return sorted(found)


def best_named(conn: sa.Connection, individuals: Collection[int] | None = None) -> dict[int, list[int]]:
    """Tracks that stand for individuals by rule, at most five each: equal answers give equal photos.

    Tracks that people named: the best of each recording day (by quality, then the lowest track_id), of these days the
    five with the best, newest first.
    """
    best: dict[int, dict[Any, Any]] = {}
    for part in _parts_or_all(individuals):
        for row in conn.execute(_named(part)):
            days = best.setdefault(row.individual_id, {})
            if len(days) < MOST:
                # Where the day is not known, each video counts for one.
                days.setdefault(row.recorded_on or row.video_id, row)
    old = datetime.min.replace(tzinfo=UTC)
    return {
        who: [row.track_id for row in sorted(days.values(), key=lambda row: row.recorded_at or old, reverse=True)]
        for who, days in best.items()
    }


def _named(individuals: list[int] | None) -> sa.Select[Any]:
    """Live tracks that people named, the best of each individual first."""
    k, v, i, a = t.track.c, t.video.c, t.individual.c, t.standing_answer.c
    of_tracks = None
    if individuals is not None:
        # By whom the person named, which has an index: these and who is merged into them.
        members = sa.select(i.individual_id).where(
            sa.or_(i.individual_id.in_(individuals), i.same_as_id.in_(individuals))
        )
        of_tracks = sa.select(a.track_id).where(a.individual_id.in_(members))
    answers = effective_answers(of_tracks=of_tracks).subquery()
    return (
        sa.select(answers.c.individual_id, k.track_id, v.video_id, v.recorded_on, v.recorded_at)
        .join_from(answers, t.track, k.track_id == answers.c.track_id)
        .join(t.video, v.video_id == k.video_id)
        .where(answers.c.kind.in_(NAMING_KINDS), k.state == "live", v.state != "retired")
        .order_by(answers.c.individual_id, k.quality.desc(), k.track_id)
    )


def _parts_or_all(individuals: Collection[int] | None) -> Iterable[list[int] | None]:
    return [None] if individuals is None else in_parts(dict.fromkeys(individuals))
