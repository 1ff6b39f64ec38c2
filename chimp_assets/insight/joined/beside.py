"""Sightings beside the rows of an imported table: who was seen at that place and day, who around an event of a life.

Belongs here: the two joins, what a table needs for each, and the rows about one individual. Does not belong here:
tables (`database.joined`), pages.

Sightings are those of v_sighting with a name that counts (`counts` = 1: of people, or above the promised threshold).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from chimp_assets.database.joined.columns import ROW
from chimp_assets.database.joined.tables import ImportedColumn, ImportedTable, JoinedTableError, imported_tables
from chimp_assets.database.schema import individual

DAYS = 30
MOST_DAYS = 3_660
CHUNK = 1_000
_SIGHTING = sa.table(
    "v_sighting",
    *map(
        sa.column,
        ("individual_id", "anim_id", "video_id", "site", "camera", "recorded_on", "seconds_visible", "counts"),
    ),
)


@dataclass(frozen=True)
class Joined:
    """The answer: a header, and rows by it; the first value is the number of the row."""

    header: tuple[str, ...]
    rows: Iterator[tuple[Any, ...]]


def can_be_placed(table: ImportedTable) -> bool:
    """Whether its rows say a day, and a camera, a site, or a video."""
    return table.joining("video") is not None or (
        table.day is not None and (table.joining("camera") is not None or table.joining("place") is not None)
    )


def tells_of_lives(table: ImportedTable) -> bool:
    """Whether its rows say an individual and a day."""
    return table.joining("individual") is not None and table.day is not None


def seen_there(conn: sa.Connection, table: ImportedTable, after: int = 0, limit: int | None = None) -> Joined:
    """Who was seen where and when each row is: at its camera, else its site, on its local day; or in its video.

    One row for each row of the table and individual, with the sightings of that day there; a row beside which nobody
    was seen has none. Raises JoinedTableError where the rows name no place and day.
    """
    if not can_be_placed(table):
        raise JoinedTableError(
            f"The rows of {table.name} name no place and day.",
            "Say which columns do: chimp tables import FILE --camera COLUMN --day COLUMN --replace.",
        )
    made, s = table.table, _SIGHTING.c
    film = table.joining("video")
    if film is not None:
        same = [s.video_id == made.c[f"{film.name}_video_id"]]
    else:
        same = [s.recorded_on == made.c[str(table.day)]]
        if (camera := table.joining("camera")) is not None:
            site = made.c[f"{camera.name}_site"]
            same += [s.camera == made.c[f"{camera.name}_camera"], sa.or_(s.site == site, _both_null(s.site, site))]
        else:
            place: ImportedColumn | None = table.joining("place")
            assert place is not None
            same.append(s.site == made.c[f"{place.name}_site"])
    own = _values(table, made)
    asked = (
        sa.select(
            made.c[ROW], *own, s.anim_id.label("seen"), sa.func.count().label("videos"),
            sa.func.sum(s.seconds_visible).label("seconds"),
        )
        .join_from(made, _SIGHTING, sa.and_(s.counts == 1, *same))
        .group_by(made.c[ROW], *own, s.anim_id)
        .order_by(made.c[ROW], s.anim_id)
    )  # fmt: skip
    header = (ROW, *(one.name for one in own), "seen", "videos", "seconds")
    return Joined(header, _in_parts(conn, asked, made, after, limit))


def seen_around(
    conn: sa.Connection, table: ImportedTable, days: int = DAYS, after: int = 0, limit: int | None = None
) -> Joined:
    """How often the individual of each row was seen before and from its day on: days in [day - days, day) and in
    [day, day + days), with the days on which any camera recorded. Joins follow merges.

    One row for each row of the table that says a known individual and a day. Raises JoinedTableError where the rows
    say none, or for more days than MOST_DAYS.
    """
    if not tells_of_lives(table):
        raise JoinedTableError(
            f"The rows of {table.name} name no individual and day.",
            "Say which columns do: chimp tables import FILE --individual COLUMN --day COLUMN --replace.",
        )
    if not 1 <= days <= MOST_DAYS:
        raise JoinedTableError(f"{days} days cannot be looked at.", f"Say 1 to {MOST_DAYS}.")
    made, s, i = table.table, _SIGHTING.c, individual.c
    who = table.joining("individual")
    assert who is not None
    day = made.c[str(table.day)]
    own = _values(table, made)
    sampling = sa.table("v_sampling_day", sa.column("recorded_on"))
    d = sampling.c
    seen = sa.select(sa.func.count(sa.distinct(s.recorded_on))).where(
        s.individual_id == sa.func.coalesce(i.same_as_id, i.individual_id), s.counts == 1
    )
    filmed = sa.select(sa.func.count()).select_from(sampling)
    first, last = _shifted(conn, day, -days), _shifted(conn, day, days)
    asked = (
        sa.select(
            made.c[ROW], *own, i.anim_id.label("anim_id"),
            seen.where(s.recorded_on >= first, s.recorded_on < day).scalar_subquery().label("days_seen_before"),
            filmed.where(d.recorded_on >= first, d.recorded_on < day).scalar_subquery().label("days_filmed_before"),
            seen.where(s.recorded_on >= day, s.recorded_on < last).scalar_subquery().label("days_seen_after"),
            filmed.where(d.recorded_on >= day, d.recorded_on < last).scalar_subquery().label("days_filmed_after"),
        )
        .join_from(made, individual, i.individual_id == made.c[f"{who.name}_id"])
        .where(day.is_not(None))
        .order_by(made.c[ROW])
    )  # fmt: skip
    header = (
        ROW, *(one.name for one in own), "anim_id", "days_seen_before", "days_filmed_before", "days_seen_after",
        "days_filmed_after",
    )  # fmt: skip
    return Joined(header, _in_parts(conn, asked, made, after, limit))


def rows_about(conn: sa.Connection, table: ImportedTable, individual_id: int, limit: int = 20) -> list[sa.Row[Any]]:
    """The rows about an individual, and about those who were merged into it."""
    who = table.joining("individual")
    if who is None:
        return []
    made, i = table.table, individual.c
    same = sa.select(i.individual_id).where(sa.func.coalesce(i.same_as_id, i.individual_id) == individual_id)
    return list(
        conn.execute(sa.select(made).where(made.c[f"{who.name}_id"].in_(same)).order_by(made.c[ROW]).limit(limit)).all()
    )


@dataclass(frozen=True)
class RowsAbout:
    """What an imported table says of one individual: the columns of its file, the first rows by them, and whether there
    are more."""

    table: ImportedTable
    header: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    more: bool


def said_of(conn: sa.Connection, individual_id: int, limit: int = 20) -> list[RowsAbout]:
    """Every imported table with rows about an individual, by name; at most `limit` rows of each."""
    found = []
    for table in imported_tables(conn):
        rows = rows_about(conn, table, individual_id, limit + 1)
        if rows:
            own = [(column.header, column.name) for column in table.columns if column.header]
            cells = [tuple(row._mapping[name] for _, name in own) for row in rows[:limit]]
            found.append(RowsAbout(table, tuple(header for header, _ in own), cells, len(rows) > limit))
    return found


def _values(table: ImportedTable, made: sa.Table) -> list[sa.Column[Any]]:
    """The columns that the file has."""
    return [made.c[column.name] for column in table.columns if column.header]


def _both_null(one: sa.ColumnElement[Any], other: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    return sa.and_(one.is_(None), other.is_(None))


def _shifted(conn: sa.Connection, day: sa.ColumnElement[Any], days: int) -> sa.ColumnElement[Any]:
    """A day so many days later, in the words of each database."""
    match conn.dialect.name:
        case "sqlite":
            return sa.func.date(day, f"{days:+d} days")
        case "mssql":
            return sa.func.dateadd(sa.text("day"), days, day)
        case _:
            return day + sa.literal(days, sa.Integer())


def _in_parts(
    conn: sa.Connection, asked: sa.Select[Any], made: sa.Table, after: int, limit: int | None
) -> Iterator[tuple[Any, ...]]:
    """The answer for CHUNK rows of the table at a time. limit: rows of the table."""
    left = limit
    while left is None or left > 0:
        n = CHUNK if left is None else min(CHUNK, left)
        keys = list(conn.scalars(sa.select(made.c[ROW]).where(made.c[ROW] > after).order_by(made.c[ROW]).limit(n)))
        if not keys:
            return
        part = asked.where(made.c[ROW] > after, made.c[ROW] <= keys[-1])
        yield from (tuple(row) for row in conn.execute(part).all())
        after = keys[-1]
        left = None if left is None else left - len(keys)
