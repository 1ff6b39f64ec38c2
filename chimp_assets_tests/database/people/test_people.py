"""Users: who may answer."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.people.users import PeopleError, add_user, disable_user, ensure_default_users, list_users


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
