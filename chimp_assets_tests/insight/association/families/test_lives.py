"""Who depends on its mother on which day, and what is left out with dependants."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.individuals.biographies import upsert_individuals
from chimp_assets.database.labels.events import record_events
from chimp_assets.insight.association.estimates import counted
from chimp_assets.insight.association.families.lives import DEPENDENT_DAYS, left_out, lives
from chimp_assets.insight.association.network import network
from chimp_assets.insight.association.scope import Scope
from chimp_assets_tests.database.world import event, make_world, track

BORN = date(2010, 3, 1)
FIFTH = BORN + timedelta(days=DEPENDENT_DAYS)


def changed(db: Database, anim_id: str, **values: object) -> None:
    with db.write() as conn:
        conn.execute(sa.update(s.individual).where(s.individual.c.anim_id == anim_id).values(**values))


def begins(db: Database, anim_id: str, dependants: bool = False) -> date:
    """The first day that counts."""
    with db.read() as conn:
        key = conn.scalar(sa.select(s.individual.c.individual_id).where(s.individual.c.anim_id == anim_id))
        return date.fromordinal(int(lives(conn, [key], dependants)[0, 0]))


@pytest.fixture
def world(db: Database) -> Database:
    make_world(db, videos=1)
    return db


def test_a_dependant_counts_from_its_fifth_birthday_on_or_from_the_day_after_its_mother_died(world: Database) -> None:
    assert begins(world, "FI", dependants=True) == BORN
    assert begins(world, "FI") == FIFTH == date(2015, 3, 1)
    for kind in ("E", "O"):  # she left, or nobody looked any longer: it left with her, for all that is known
        changed(world, "FF", depart_date=date(2013, 5, 9), depart_type=kind)
        assert begins(world, "FI") == FIFTH
    for kind in ("D", "P"):
        changed(world, "FF", depart_date=date(2013, 5, 9), depart_type=kind)
        assert begins(world, "FI") == date(2013, 5, 10)
    changed(world, "FF", depart_date=date(2019, 5, 9), depart_type="D")
    assert begins(world, "FI") == FIFTH
    changed(world, "FI", entry_date=date(2018, 1, 1))
    assert begins(world, "FI") == date(2018, 1, 1)


def test_without_a_day_of_birth_the_middle_of_its_range_counts_and_without_either_everything(world: Database) -> None:
    changed(world, "FI", birth_date=None, bd_min=date(2009, 3, 1), bd_max=date(2011, 3, 1))
    assert begins(world, "FI") == FIFTH
    assert begins(world, "GM") == date.min
    assert begins(world, "FF") == date(1963, 1, 1)


def test_what_may_be_of_older_ones_is_told(world: Database) -> None:
    changed(world, "FI", bd_min=date(2009, 3, 1), bd_max=date(2011, 3, 1))
    days = [date(2014, 1, 1), date(2014, 6, 1), date(2016, 1, 1), date(2008, 1, 1)]
    with world.read() as conn:
        keys = list(conn.scalars(sa.select(s.individual.c.individual_id).order_by(s.individual.c.individual_id)))
        who = conn.scalar(sa.select(s.individual.c.individual_id).where(s.individual.c.anim_id == "FI"))
        found = left_out(conn, keys, np.full(4, keys.index(who)), np.array([day.toordinal() for day in days]))
    assert (found.tracks, found.may_be_older, found.individuals) == (2, 1, 1)


def test_left_out_dependants_are_in_no_pair_and_change_no_other(db: Database) -> None:
    """A mother with a newborn has one companion more than she has."""
    make_world(db, videos=6, tracks=3, frames=2)
    who = {0: "FF", 1: "FI", 2: "FD"}
    record_events(db, [event("identify", track(n, k), who[k]) for n in range(1, 7) for k in who if (n + k) % 3])
    with db.read() as conn:
        key = {row.anim_id: row.individual_id for row in conn.execute(sa.select(s.individual))}
        everybody, without = counted(conn, Scope("clip")), counted(conn, Scope("clip", dependants=False))
        with_pairs, without_pairs = (network(conn, Scope("clip", dependants=one)) for one in (True, False))
    assert everybody.dependants is None
    assert without.dependants is not None
    assert (without.dependants.tracks, without.dependants.individuals) == (4, 1)
    infant = {(e.a, e.b) for e in with_pairs.edges if key["FI"] in (e.a, e.b)}
    assert len(infant) == 2
    assert {(e.a, e.b): e for e in with_pairs.edges if (e.a, e.b) not in infant} == {
        (e.a, e.b): e for e in without_pairs.edges
    }
    assert [node.anim_id for node in without_pairs.nodes if node.tracks] == ["FD", "FF"]


def test_an_infant_of_an_unknown_mother_depends_on_her_all_the_same(world: Database) -> None:
    upsert_individuals(world, [{"anim_id": "NN", "sex": "U", "birth_date": "2013-05-06"}])
    assert begins(world, "NN") == date(2013, 5, 6) + timedelta(days=DEPENDENT_DAYS)
