"""The files of a burst come and go: its row, tracks and labels stay while one of its pictures is there.

Belongs here: what a listing does to rows whose file has gone or is back, for single files and those of a burst; the
facts of pictures that move with them. Does not belong here: which pictures make a burst (`stills.bursts`), two files
with the same bytes (`duplicates`), comparing a listing (`comparison`).

A burst is one row (its first picture) with the frames of all; the others are `retired` rows that name it in
burst_video_id. A picture whose file has gone keeps its frame and its row, and picture_fact.gone_at says since when.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema
from chimp_assets.database.connection import bulk

_SOME = 500
_GONE = re.compile(r" ?The files? of \d+ of its \d+ pictures (?:is|are) gone\.")


def files_are_gone(conn: sa.Connection, video_ids: Collection[int], at: datetime) -> int:
    """Rows whose files are no longer there: alone they retire; of a burst they are marked, and the burst retires with
    its last file. Returns how many were not gone before. conn: inside a write transaction.
    """
    video, fact = schema.video.c, schema.picture_fact.c
    changed = 0
    for some in _chunks(video_ids):
        members = _burst_of(conn, some)
        lone = [video_id for video_id in some if video_id not in members]
        changed += conn.execute(
            sa.update(schema.video)
            .where(video.video_id.in_(lone), video.state != "retired")
            .values(state="retired", updated_at=at)
        ).rowcount
        if not members:
            continue
        changed += conn.execute(
            sa.update(schema.picture_fact).where(fact.video_id.in_(members), fact.gone_at.is_(None)).values(gone_at=at)
        ).rowcount
        for burst_id in sorted(set(members.values())):
            _settle(conn, burst_id, at)
    return changed


def files_are_back(conn: sa.Connection, video_ids: Collection[int], at: datetime) -> None:
    """The opposite, for rows of bursts: a burst that was retired goes on. conn: inside a write transaction."""
    fact = schema.picture_fact.c
    for some in _chunks(video_ids):
        members = _burst_of(conn, some)
        conn.execute(sa.update(schema.picture_fact).where(fact.video_id.in_(members)).values(gone_at=None))
        for burst_id in sorted(set(members.values())):
            _settle(conn, burst_id, at)


def is_of_burst(conn: sa.Connection, video_id: int) -> bool:
    """Whether a row is a burst, or a picture of one."""
    return bool(_burst_of(conn, [video_id]))


def reached_state(conn: sa.Connection, video_id: int) -> str:
    """The step that the rows of a video prove."""
    for table, reached in ((schema.track, "tracked"), (schema.frame, "decoded")):
        if conn.execute(sa.select(table.c.video_id).where(table.c.video_id == video_id).limit(1)).first():
            return reached
    return "registered"


def exchange_facts(conn: sa.Connection, one: int, other: int) -> None:
    """What two picture files say of themselves changes rows, as the files do; both files are there."""
    fact = schema.picture_fact
    rows = {
        row.video_id: dict(row._mapping)
        for row in conn.execute(sa.select(fact).where(fact.c.video_id.in_((one, other))))
    }
    conn.execute(sa.delete(fact).where(fact.c.video_id.in_(rows)))
    swapped = {one: other, other: one}
    moved = [{**row, "video_id": swapped[video_id], "gone_at": None} for video_id, row in rows.items()]
    if moved:
        bulk.insert_rows(conn, fact, {name: [row[name] for row in moved] for name in moved[0]})


def _burst_of(conn: sa.Connection, video_ids: Iterable[int]) -> dict[int, int]:
    """The burst of each of these rows that is one or belongs to one."""
    video = schema.video.c
    ids = list(video_ids)
    found = {
        int(row.video_id): int(row.burst_video_id)
        for row in conn.execute(
            sa.select(video.video_id, video.burst_video_id).where(
                video.video_id.in_(ids), video.burst_video_id.is_not(None)
            )
        )
    }
    bursts = conn.execute(sa.select(video.burst_video_id).where(video.burst_video_id.in_(ids)).distinct()).scalars()
    return {**found, **{int(one): int(one) for one in bursts}}


def _settle(conn: sa.Connection, burst_id: int, at: datetime) -> None:
    """Bring a burst's row in line with what is there of its files, and say what is not."""
    video, fact = schema.video.c, schema.picture_fact.c
    total, gone = conn.execute(
        sa.select(sa.func.count(), sa.func.sum(sa.case((fact.gone_at.is_not(None), 1), else_=0)))
        .join_from(schema.video, schema.picture_fact, fact.video_id == video.video_id)
        .where(sa.or_(video.video_id == burst_id, video.burst_video_id == burst_id))
    ).one()
    row: Any = conn.execute(sa.select(video.state, video.note).where(video.video_id == burst_id)).one()
    gone = int(gone or 0)
    note = _GONE.sub("", row.note or "")
    if gone:
        words = "The file of 1" if gone == 1 else f"The files of {gone}"
        note = f"{note} {words} of its {total} pictures {'is' if gone == 1 else 'are'} gone.".strip()
    state = row.state
    if gone == total:
        state = "retired"
    elif state == "retired":
        state = reached_state(conn, burst_id)
    if (state, note or None) != (row.state, row.note):
        conn.execute(
            sa.update(schema.video)
            .where(video.video_id == burst_id)
            .values(state=state, note=note[-1000:] or None, updated_at=at)
        )


def _chunks(video_ids: Collection[int]) -> Iterable[list[int]]:
    ids = sorted(video_ids)
    for start in range(0, len(ids), _SOME):
        yield ids[start : start + _SOME]
