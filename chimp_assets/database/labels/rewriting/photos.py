"""Photos of individuals whose tracks were rewritten.

Belongs here: where a photo that a person chose goes. Does not belong here: choosing photos (`labels.references`).
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from chimp_assets.database.schema import reference_photo, standing_answer


def photos_follow(conn: sa.Connection, gone: Sequence[int], heirs: Sequence[int]) -> None:
    """A photo that people chose goes to the one heir that carries its name; all others are chosen again by rule."""
    p = reference_photo.c
    rows = conn.execute(sa.select(reference_photo).where(p.track_id.in_(gone)).order_by(p.individual_id, p.place)).all()
    moved: set[int] = set()
    for row in rows:
        here = (p.individual_id == row.individual_id, p.place == row.place)
        if row.user_id is not None and len(heirs) == 1 and row.individual_id not in moved:
            moved.add(row.individual_id)
            conn.execute(sa.update(reference_photo).where(*here).values(track_id=heirs[0]))
        else:
            conn.execute(sa.delete(reference_photo).where(*here))


def photos_return(conn: sa.Connection, gone: Sequence[int], back: Sequence[int]) -> None:
    """A photo that people chose goes back to the track that bears its name."""
    p, s = reference_photo.c, standing_answer.c
    rows = conn.execute(sa.select(reference_photo).where(p.track_id.in_(gone))).all()
    for row in rows:
        here = (p.individual_id == row.individual_id, p.place == row.place)
        of = conn.scalar(
            sa.select(sa.func.min(s.track_id)).where(s.track_id.in_(back), s.individual_id == row.individual_id)
        )
        if of is None or row.user_id is None:
            conn.execute(sa.delete(reference_photo).where(*here))
        else:
            conn.execute(sa.update(reference_photo).where(*here).values(track_id=of))
