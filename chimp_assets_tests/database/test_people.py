"""Users and individuals: who may answer, and who may be named."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.engine import Database
from chimp_assets.database.events import record_events
from chimp_assets.database.people import (
    PeopleError,
    UpsertedIndividuals,
    add_user,
    disable_user,
    ensure_default_users,
    list_users,
    upsert_individuals,
)
from chimp_assets_tests.database.world import event, make_world, track


def individuals(db: Database) -> dict[str, Any]:
    with db.read() as conn:
        return {row.anim_id: row for row in conn.execute(sa.select(s.individual))}


def test_a_fresh_home_has_one_expert_once(db: Database) -> None:
    """Else nobody can answer; and a home whose expert was disabled must not get her back."""
    ensure_default_users(db)
    ensure_default_users(db)
    assert [(user.name, user.role, user.disabled) for user in list_users(db)] == [("expert", "expert", False)]
    disable_user(db, "expert")
    ensure_default_users(db)
    assert [(user.name, user.disabled) for user in list_users(db)] == [("expert", True)]


def test_users_are_added_listed_and_disabled_and_it_is_written_down(db: Database) -> None:
    """Who may answer is a question of trust: it leaves a trace."""
    add_user(db, " Vera ", "volunteer")
    disable_user(db, "Vera")
    assert [(user.name, user.role, user.disabled) for user in list_users(db)] == [("Vera", "volunteer", True)]
    with db.read() as conn:
        actions = conn.execute(sa.select(s.audit_event.c.action, s.audit_event.c.subject)).all()
    assert [tuple(row) for row in actions] == [("user.add", "Vera"), ("user.disable", "Vera")]


@pytest.mark.parametrize(
    ("name", "role"), [("", "expert"), ("x" * 101, "expert"), ("anna", "queen"), ("vera", "expert")]
)
def test_users_that_cannot_be_are_refused_in_words(db: Database, name: str, role: str) -> None:
    """A role that changed would change what past answers weigh, so a name is given once."""
    add_user(db, "vera", "volunteer")
    with pytest.raises(PeopleError):
        add_user(db, name, role)
    with pytest.raises(PeopleError):
        disable_user(db, "nobody")
    assert len(list_users(db)) == 1


def test_individuals_are_added_and_changed_by_their_anim_id(db: Database) -> None:
    """The biography is kept elsewhere too and comes again and again."""
    rows = [
        {"anim_id": "fi", "name": "Fred", "birth_date": "2010-03-01", "mom_id": "ff", "dad_id": None},
        {"anim_id": "FF", "name": "Fifi", "sex": "f", "birth_date": date(1958, 1, 1)},
    ]
    assert upsert_individuals(db, rows) == UpsertedIndividuals(2, 0)
    assert upsert_individuals(db, [{"anim_id": "FI", "sex": "M"}]) == UpsertedIndividuals(0, 1)
    found = individuals(db)
    fred = found["FI"]
    assert (fred.name, fred.sex, fred.birth_date, fred.mom_id) == (
        "Fred",
        "M",
        date(2010, 3, 1),
        found["FF"].individual_id,
    )
    upsert_individuals(db, [{"anim_id": "FI", "mom_id": None}])
    assert individuals(db)["FI"].mom_id is None


def test_a_provisional_individual_that_is_listed_is_provisional_no_more(db: Database) -> None:
    """A newcomer that the biography knows is a member."""
    make_world(db)
    record_events(db, [event("new_individual", track(1), "NEW-1")])
    assert individuals(db)["NEW-1"].provisional
    upsert_individuals(db, [{"anim_id": "NEW-1", "name": "Torn Ear"}])
    assert not individuals(db)["NEW-1"].provisional


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"anim_id": "X", "nmae": "x"}, "nmae"),
        ({"name": "x"}, "anim_id"),
        ({"anim_id": "x" * 41}, "anim_id"),
        ({"anim_id": "X", "birth_date": "1. May"}, "birth_date"),
        ({"anim_id": "X", "sex": "Q"}, "sex"),
        ({"anim_id": "X", "depart_type": "Z"}, "depart_type"),
        ({"anim_id": "X", "bd_min": "2001-01-01", "bd_max": "2000-01-01"}, "bd_max"),
        ({"anim_id": "X", "entry_date": "2001-01-01", "depart_date": "2000-01-01"}, "depart_date"),
        ({"anim_id": "X", "mom_id": "NOBODY"}, "mom_id"),
        ({"anim_id": "X", "mom_id": "FI"}, "mom_id"),
        ({"anim_id": "X", "dad_id": "FF"}, "dad_id"),
        ({"anim_id": "X", "mom_id": "X"}, "mom_id"),
    ],
)
def test_individuals_that_cannot_be_are_named_by_row_and_field(db: Database, row: dict[str, Any], field: str) -> None:
    """SokweDB's rules: a mother is no male; and half a file is not stored."""
    make_world(db)
    with pytest.raises(PeopleError) as caught:
        upsert_individuals(db, [{"anim_id": "GOOD"}, row])
    assert "Individual 2" in caught.value.sentence
    assert f"field {field}" in caught.value.sentence
    assert "GOOD" not in individuals(db)
