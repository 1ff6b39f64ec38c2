"""Three roles on a real PostgreSQL: each can do its work, and none can rewrite what people said."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.labels.events import record_in
from chimp_assets.database.upkeep.migrations import SQL_SERVER_OPTIONS
from chimp_assets.database.upkeep.views import create_views, drop_views
from chimp_assets.database.work.queue import claim
from chimp_assets.settings import shipped_file
from chimp_assets_tests.database.world import event, make_world, plan, track


@pytest.fixture
def roles(postgresql_db: Database) -> Iterator[Database]:
    """A world, with the roles as the file makes them, and the views made anew afterwards, as an upgrade does."""
    make_world(postgresql_db)
    plan(postgresql_db, [track(1)])
    with postgresql_db.write() as conn:
        conn.exec_driver_sql((shipped_file("sql") / "postgresql" / "roles.sql").read_text())
        drop_views(conn)
        create_views(conn)
        record_in(conn, [event("identify", track(2), "FF")])
    yield postgresql_db
    with postgresql_db.write() as conn:  # roles belong to the whole server
        for role in ("chimp_reader", "chimp_labeller", "chimp_operator"):
            conn.exec_driver_sql(f"DROP OWNED BY {role}")
            conn.exec_driver_sql(f"DROP ROLE {role}")


def _as(db: Database, role: str, statement: object) -> None:
    with db.write() as conn:
        conn.exec_driver_sql(f"SET LOCAL ROLE {role}")
        conn.execute(statement)


FORBIDDEN = {
    "chimp_reader": [
        sa.select(s.app_user),
        sa.select(s.user_session),
        sa.select(s.oidc_identity),
        sa.select(s.quality_check),
        sa.update(s.individual).values(name="x"),
        sa.insert(s.counter).values(name="x", value=1),
    ],
    "chimp_labeller": [
        sa.update(s.annotation).values(kind="skip"),
        sa.delete(s.annotation),
        sa.update(s.individual).values(name="x"),
        sa.delete(s.app_user),
        sa.update(s.audit_event).values(action="nothing"),
        sa.delete(s.audit_event),
        sa.delete(s.detection),
    ],
    "chimp_operator": [
        sa.update(s.annotation).values(kind="skip"),
        sa.delete(s.annotation),
        sa.delete(s.individual_merge),
        sa.text("ALTER TABLE annotation ADD COLUMN x integer"),
    ],
}


@pytest.mark.parametrize("role", FORBIDDEN)
def test_a_role_may_not_do_what_is_not_its_work(roles: Database, role: str) -> None:
    """A page that is broken into must not cost a label, nor a researcher's notebook a password."""
    for statement in FORBIDDEN[role]:
        with pytest.raises(sa.exc.ProgrammingError, match=r"permission denied|must be owner"):
            _as(roles, role, statement)


def test_each_role_can_do_its_work(roles: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A right too few stops the page on the day of its upgrade."""
    _as(roles, "chimp_reader", sa.text("SELECT * FROM v_track_identity"))
    with roles.write() as conn:
        conn.exec_driver_sql("SET LOCAL ROLE chimp_labeller")
        made = [event("new_individual", track(1), name="Somebody"), event("identify", track(1, 1), "GM")]
        made.append(event("not_individual", track(1, 2), "FF"))
        made.append(event("retract", supersedes=made[-1].annotation_id))
        assert {result.status for result in record_in(conn, made)} == {"stored"}
        assert list(conn.execute(sa.text("SELECT * FROM v_named_track")))

    @sa.event.listens_for(roles.engine, "begin")
    def _as_labeller(conn: sa.Connection) -> None:
        conn.exec_driver_sql("SET LOCAL ROLE chimp_labeller")

    assert claim(roles, "vera", 1, 5.0) == []  # its only item was answered; the leases were looked at
    sa.event.remove(roles.engine, "begin", _as_labeller)
    _as(roles, "chimp_operator", sa.delete(s.detection).where(s.detection.c.track_id == track(2, 2)))
    _as(roles, "chimp_operator", sa.insert(s.community).values(comm_id="KK"))


def test_both_files_of_roles_say_the_same() -> None:
    """Two files that drift apart are two products."""
    azure = (shipped_file("sql") / "azure" / "roles.sql").read_text()
    postgresql = (shipped_file("sql") / "postgresql" / "roles.sql").read_text()
    assert "roles" in SQL_SERVER_OPTIONS
    for role, secret in (
        ("chimp_reader", ("app_user", "user_session", "audit_event")),
        ("chimp_operator", ("annotation", "individual_merge", "biography_log", "audit_event")),
    ):
        for table in secret:
            assert f"ON dbo.{table} TO {role};" in azure.split("DENY", 1)[1]
        revoked = next(line for line in postgresql.splitlines() if line.startswith("REVOKE") and role in line)
        assert all(table in revoked for table in secret)
