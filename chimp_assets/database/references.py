"""The photos by which an individual is recognised, as people choose and order them.

Belongs here: storing a person's choice. Does not belong here: the choice by rule, which fills the places that are left
(`vision.item_media.choose_references`), and showing them (`insight.lives`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.engine import Database
from chimp_assets.database.events import NAMING_KINDS, effective_answers
from chimp_assets.database.people import PeopleError, user_id_of, write_audit_event

MOST = 5


def set_references(db: Database, individual_id: int, track_ids: Sequence[int], by: str) -> list[int]:
    """From now on these are an individual's photos, in this order; returns those until now. Who else is left stays.

    Each is the best crop of a track that a person named so. Raises PeopleError where one is not, or for more than five.
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
    m = t.item_media.c
    pictured = sa.exists().where(m.track_id == answer.c.track_id, m.kind == "crop", m.place == 0)
    named = set(
        conn.scalars(
            sa.select(answer.c.track_id).where(
                answer.c.kind.in_(NAMING_KINDS), answer.c.individual_id == individual_id, pictured
            )
        )
    )
    for track_id in track_ids:
        if track_id not in named:
            raise PeopleError(
                f"Track {track_id} is no track of this individual that a person has named and that has a picture.",
                "Name the track first; its picture is made soon after.",
            )
