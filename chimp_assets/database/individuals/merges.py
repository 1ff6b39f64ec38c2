"""Two individuals that turn out to be one, and the way back.

Belongs here: the append-only record of merges and undos, who everybody is because of it, now or as of any moment of it.
Does not belong here: labels (they keep what the person said; `events` reads them through this), biographies.

A merge is an edge from the individual that disappears to another. Each individual has at most one edge that stands, and
there are no circles, so that following them ends at one individual. `individual.same_as_id` says which, for SQL.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import sqlalchemy as sa

from chimp_assets.database.connection.bulk import insert_one
from chimp_assets.database.connection.counters import ANNOTATION, take_numbers
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.evidence import keep_evidence_of_individuals
from chimp_assets.database.people.lookup import individual_called
from chimp_assets.database.people.users import PeopleError, user_id_of
from chimp_assets.database.schema import biography_log, individual, individual_merge
from chimp_assets.database.texts import fault_of

_REASON_LENGTH = 1000


@dataclass(frozen=True)
class MergeReport:
    """What a merge or an undo did. anim_id is now into_anim_id, the last of a chain (itself after an undo)."""

    merge_id: int
    anim_id: str
    into_anim_id: str


def merge_individuals(
    db: Database,
    anim_id: str,
    into_anim_id: str,
    why: str | None = None,
    by: str | None = None,
    force: bool = False,
) -> MergeReport:
    """From now on the first individual is the second, everywhere but in what people said; codes or aliases.

    What was merged into the first goes along. force: also a documented individual into a provisional one, and a female
    and a male. Raises PeopleError where there is no such individual, the first is merged already, or they would go in
    circles.
    """
    _check_reason(why)

    def work(conn: sa.Connection) -> MergeReport:
        take_numbers(conn, ANNOTATION, 0)  # merges are numbered in commit order, and two at once make no circle
        here, into = _known(conn, anim_id), _known(conn, into_anim_id)
        edges = standing_edges(conn)
        last = root_of(into.individual_id, edges)
        names = {key: code for key, code in conn.execute(sa.select(individual.c.individual_id, individual.c.anim_id))}
        if here.individual_id in edges:
            raise PeopleError(
                f"{here.anim_id} is already merged into {names[edges[here.individual_id]]}.",
                f"Undo that first with chimp individuals unmerge {here.anim_id}.",
            )
        if last == here.individual_id:
            raise PeopleError(
                f"{into.anim_id} is already {here.anim_id}, so {here.anim_id} cannot be merged into it.",
                f"Undo that first with chimp individuals unmerge {into.anim_id}."
                if into.individual_id != last
                else "Name two different individuals.",
            )
        target = conn.execute(sa.select(individual).where(individual.c.individual_id == last)).one()
        if not force:
            _check_plausible(here, target)
        merge_id = insert_one(
            conn,
            individual_merge,
            kind="merge",
            individual_id=here.individual_id,
            into_individual_id=into.individual_id,
            user_id=user_id_of(conn, by) if by else None,
            reason=why,
            at=datetime.now(UTC),
        )
        _derive(conn)
        _log(conn, here.individual_id, f"merged into {into.anim_id}", why, by)
        return MergeReport(merge_id, here.anim_id, target.anim_id)

    return db.transact(work)


def unmerge_individual(db: Database, anim_id: str, why: str | None = None, by: str | None = None) -> MergeReport:
    """Undo the merge by which this individual disappeared: it is itself again, with what had been merged into it.

    Raises PeopleError where there is no such individual or it is not merged.
    """
    _check_reason(why)

    def work(conn: sa.Connection) -> MergeReport:
        take_numbers(conn, ANNOTATION, 0)
        here = _known(conn, anim_id)
        undone = _standing().subquery()
        row = conn.execute(sa.select(undone).where(undone.c.individual_id == here.individual_id)).one_or_none()
        if row is None:
            raise PeopleError(f"{here.anim_id} is not merged into anybody.", "See chimp individuals show.")
        merge_id = insert_one(
            conn,
            individual_merge,
            kind="undo",
            individual_id=row.individual_id,
            into_individual_id=row.into_individual_id,
            undoes_merge_id=row.merge_id,
            user_id=user_id_of(conn, by) if by else None,
            reason=why,
            at=datetime.now(UTC),
        )
        _derive(conn)
        _log(conn, here.individual_id, f"no longer merged (undoes merge {row.merge_id})", why, by)
        return MergeReport(merge_id, here.anim_id, here.anim_id)

    return db.transact(work)


def last_merge(conn: sa.Connection) -> int:
    """The number of the newest merge or undo, 0 if there is none. Who has read up to it has read all before it."""
    return int(conn.execute(sa.select(sa.func.coalesce(sa.func.max(individual_merge.c.merge_id), 0))).scalar_one())


def as_merged_at(merge_watermark: int | None = None) -> sa.FromClause:
    """Who merged individuals are, as of a watermark (None: now): individual_id, root_id.

    With a watermark a row is a merged individual; without, an individual, and root_id is null where it is not merged.
    """
    if merge_watermark is None:
        return sa.select(individual.c.individual_id, individual.c.same_as_id.label("root_id")).subquery("same")
    edge = _standing(merge_watermark).cte("standing_merge")
    further = edge.alias("further")
    ends = ~sa.exists().where(further.c.individual_id == edge.c.into_individual_id)
    same = (
        sa.select(edge.c.individual_id, edge.c.into_individual_id.label("root_id"))
        .where(ends)
        .cte("same_individual", recursive=True)
    )
    before = edge.alias("before")
    return same.union_all(
        sa.select(before.c.individual_id, same.c.root_id).join_from(
            before, same, same.c.individual_id == before.c.into_individual_id
        )
    )


def merged_ids(conn: sa.Connection) -> dict[int, int]:
    """Who merged individuals are now: individual_id to the last of its chain."""
    i = individual.c
    rows = conn.execute(sa.select(i.individual_id, i.same_as_id).where(i.same_as_id.is_not(None)))
    return {individual_id: root_id for individual_id, root_id in rows}


def as_merged(individual_ids: np.ndarray, same: Mapping[int, int]) -> np.ndarray:
    """individual_ids: i64 [n], with merged ones replaced by whom they are; others, also negative ones, stay."""
    return np.array([same.get(key, key) for key in individual_ids.tolist()], dtype=np.int64)


def standing_edges(conn: sa.Connection, merge_watermark: int | None = None) -> dict[int, int]:
    """The merges that stand, as of a watermark (None: now): individual_id to into_individual_id."""
    edge = _standing(merge_watermark).subquery()
    return {here: into for here, into in conn.execute(sa.select(edge.c.individual_id, edge.c.into_individual_id))}


def root_of(individual_id: int, edges: Mapping[int, int]) -> int:
    """Who an individual is: the end of its chain, itself if it is not merged."""
    while individual_id in edges:
        individual_id = edges[individual_id]
    return individual_id


def _standing(merge_watermark: int | None = None) -> sa.Select[Any]:
    """Merges that nobody undid: merge_id, individual_id, into_individual_id."""
    m, undo = individual_merge, individual_merge.alias("undo")
    undone = sa.exists().where(undo.c.undoes_merge_id == m.c.merge_id)
    statement = sa.select(m.c.merge_id, m.c.individual_id, m.c.into_individual_id).where(m.c.kind == "merge")
    if merge_watermark is not None:
        undone = undone.where(undo.c.merge_id <= merge_watermark)
        statement = statement.where(m.c.merge_id <= merge_watermark)
    return statement.where(~undone)


def _derive(conn: sa.Connection) -> None:
    """Make individual.same_as_id what follows from the merges that stand, and have evidence follow."""
    edges = standing_edges(conn)
    wanted = {individual_id: root_of(individual_id, edges) for individual_id in edges}
    there = merged_ids(conn)
    were: set[int] = set()
    for individual_id in sorted(wanted.keys() | there.keys()):
        if wanted.get(individual_id) != there.get(individual_id):
            were.add(there.get(individual_id, individual_id))
            conn.execute(
                sa.update(individual)
                .where(individual.c.individual_id == individual_id)
                .values(same_as_id=wanted.get(individual_id))
            )
    keep_evidence_of_individuals(conn, were)


def _known(conn: sa.Connection, code: str) -> sa.Row[Any]:
    found = individual_called(conn, code)
    if found is None:
        raise PeopleError(f"There is no individual {code.strip()!r}.", "See chimp individuals list.")
    return conn.execute(sa.select(individual).where(individual.c.individual_id == found.individual_id)).one()


def _check_plausible(here: sa.Row[Any], target: sa.Row[Any]) -> None:
    if target.provisional and not here.provisional:
        raise PeopleError(
            f"{here.anim_id} is known and {target.anim_id} is provisional: the known one should stay.",
            f"Merge {target.anim_id} into {here.anim_id}, or say --force.",
        )
    if {here.sex, target.sex} == {"F", "M"}:
        raise PeopleError(
            f"{here.anim_id} has sex {here.sex} and {target.anim_id} has sex {target.sex}: they cannot be one.",
            "Mend the sex with chimp individuals import, or say --force.",
        )


def _check_reason(why: str | None) -> None:
    fault = fault_of(why or "", _REASON_LENGTH)
    if fault:
        raise PeopleError(f"The reason {fault}.", "Say it in another way.")


def _log(conn: sa.Connection, individual_id: int, description: str, why: str | None, by: str | None) -> None:
    conn.execute(
        sa.insert(biography_log).values(
            individual_id=individual_id,
            made_at=datetime.now(UTC),
            user_id=user_id_of(conn, by) if by else None,
            description=description,
            rationale=why,
        )
    )
