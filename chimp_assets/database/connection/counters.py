"""Gapless numbers and turns: rows of `counter` that a transaction updates first and holds until it commits.

Belongs here: taking numbers from a counter. Does not belong here: what the numbers count.
"""

from __future__ import annotations

import sqlalchemy as sa

from chimp_assets.database.schema import counter

ANNOTATION = "annotation"
"""Numbers label events. Whoever changes which individuals there are takes this turn too: events name them."""


def take_numbers(conn: sa.Connection, name: str, n: int) -> int:
    """Take n numbers of a counter and return the first; the next transaction that asks waits until this one ends.

    Because the row is locked by the update, numbers become visible in the order in which they were taken: who has seen
    number k has seen all before it. n = 0 only takes the turn. Returns the last number taken so far plus one.
    """
    take = sa.update(counter).where(counter.c.name == name).values(value=counter.c.value + n)
    if conn.execute(take).rowcount == 0:
        try:
            with conn.begin_nested():
                conn.execute(sa.insert(counter).values(name=name, value=n))
            return 1
        except sa.exc.IntegrityError:
            # Somebody made it in the same moment and has committed; the next turn is ours.
            conn.execute(take)
    value = conn.execute(sa.select(counter.c.value).where(counter.c.name == name)).scalar_one()
    return int(value) - n + 1
