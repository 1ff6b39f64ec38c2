"""Locks, snapshots and settings of SQL Server, as a real server showed them: claims, reads, upgrades.

The strict stand-in for the drivers, statements as they would be sent, or a promise that holds on every database.
"""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from sqlalchemy.schema import CreateTable

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database, DatabaseError
from chimp_assets.database.upkeep import migrations, server_settings
from chimp_assets.database.work import queue
from chimp_assets_tests.database import t_sql
from chimp_assets_tests.database.connection.drivers import database_of
from chimp_assets_tests.database.fake_sql_server import FakeDriver
from chimp_assets_tests.database.world import make_world, plan, track


def _claim_at_once(db: Database, people: list[str], n: int) -> list[list[int]]:
    gate = threading.Barrier(len(people))

    def claim(name: str) -> list[int]:
        gate.wait()
        return [item.item_id for item in queue.claim(db, name, n, 15.0)]

    with ThreadPoolExecutor(len(people)) as pool:
        return list(pool.map(claim, people))


def test_eight_who_claim_at_once_all_get_work_and_nothing_twice(db: Database) -> None:
    """Of 8 one or two got items: the others passed over what the first had locked while it sorted."""
    make_world(db)
    people = [f"claimer{n}" for n in range(8)]
    now = datetime.now(UTC)
    with db.write() as conn:
        conn.execute(sa.insert(s.app_user), [{"name": name, "role": "expert", "created_at": now} for name in people])
        conn.execute(
            sa.insert(s.track),
            [{"track_id": track(1, 100 + n), "video_id": 1, "first_frame_no": 0, "last_frame_no": 1, "first_s": 0.0,
              "last_s": 1.0, "n_detections": 1, "quality": 0.5, "model_id": 1, "state": "live"} for n in range(40)],
        )  # fmt: skip
    plan(db, [track(1, 100 + n) for n in range(40)])
    got = _claim_at_once(db, people, 5)
    assert [len(items) for items in got] == [5] * 8
    assert len({item for items in got for item in items}) == 40


def test_a_claim_locks_nothing_it_does_not_lease(driver: FakeDriver) -> None:
    """Locks of a sort over every free row grew into one of the whole table; hints mean nothing to some servers."""
    driver.answers = {"FROM app_user": [(1, "anna", "expert", 0)], "FROM acquisition_queue": []}
    queue.claim(database_of(driver), "anna", 5, 15.0)
    asked = [statement for statement in driver.said("acquisition_queue") if statement.startswith("SELECT")]
    assert asked
    assert not [statement for statement in asked if "WITH (" in statement or "FOR UPDATE" in statement]
    assert not [statement for statement in asked if " OR " in statement], "an OR is answered by reading them all"


def test_the_first_items_of_a_plan_are_the_first_of_an_index(sqlite_db: Database) -> None:
    """Without one every claim sorts all that wait."""
    q = s.acquisition_queue.c
    first = (
        sa.select(q.item_id)
        .where(q.state == "pending", queue.in_lanes(None))
        .order_by(q.round_id.desc(), q.position)
        .limit(5)
    )
    text = first.compile(dialect=sqlite_db.engine.dialect, compile_kwargs={"literal_binds": True})
    with sqlite_db.read() as conn:
        steps = [row[3] for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}").all()]
    assert "COVERING INDEX ix_acquisition_queue_state" in steps[0]
    assert not [step for step in steps if "TEMP B-TREE" in step]


def test_a_read_is_a_snapshot_where_the_database_has_them(driver: FakeDriver) -> None:
    """Two statements of one page saw two moments."""
    driver.answers = {"sys.databases": [(1,)]}
    with database_of(driver).read() as conn:
        conn.scalar(sa.select(s.counter.c.value))
    assert driver.said("SET TRANSACTION ISOLATION LEVEL SNAPSHOT")
    driver.log.clear()
    driver.answers = {"sys.databases": [(0,)]}
    with database_of(driver).read() as conn:
        conn.scalar(sa.select(s.counter.c.value))
    assert not driver.said("ISOLATION LEVEL SNAPSHOT"), "its first statement would fail (3952)"


def test_an_upgrade_sets_what_a_server_should_be_set_to(driver: FakeDriver, caplog: pytest.LogCaptureFixture) -> None:
    """READ_COMMITTED_SNAPSHOT is off on one's own servers, and nothing asked for it."""
    driver.answers = {"delayed_durability": [(0, 0, 1)]}
    names = ["READ_COMMITTED_SNAPSHOT", "ALLOW_SNAPSHOT_ISOLATION", "DELAYED_DURABILITY"]
    assert [setting.name for setting in server_settings.mend_settings(database_of(driver))] == names
    said = driver.said("ALTER DATABASE CURRENT SET")
    assert [name for name in names if any(name in statement for statement in said)] == names
    assert [record.levelname for record in caplog.records].count("WARNING") >= 3
    driver.answers = {}
    driver.log.clear()
    assert server_settings.mend_settings(database_of(driver)) == []
    assert not driver.said("ALTER DATABASE")


def test_a_server_that_may_lose_what_was_saved_is_a_finding(postgresql_db: Database) -> None:
    """synchronous_commit off: "Saved", and after a power cut it is not there."""
    name = sa.make_url(postgresql_db.url).database
    with postgresql_db.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as conn:
        conn.exec_driver_sql(f"ALTER DATABASE {name} SET synchronous_commit = on")
    postgresql_db.dispose()
    assert "synchronous_commit" not in [found.name for found in server_settings.wrong_settings(postgresql_db)]
    with postgresql_db.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as conn:
        conn.exec_driver_sql(f"ALTER DATABASE {name} SET synchronous_commit = off")
    postgresql_db.dispose()
    found = {wrong.name: wrong for wrong in server_settings.wrong_settings(postgresql_db)}
    assert "power cut" in str(found["synchronous_commit"])
    assert "synchronous_commit = on" in found["synchronous_commit"].remedy


def test_the_lock_of_an_upgrade_is_taken_inside_a_transaction_and_its_answer_is_read(driver: FakeDriver) -> None:
    """EXEC opens no transaction, so the lock was refused with -999, which nobody read."""
    driver.answers = {"sp_getapplock": [(0,)]}
    with database_of(driver).write() as conn:
        migrations._take_turn(conn)
    said = [statement for _, statement, _ in driver.log]
    lock = next(place for place, statement in enumerate(said) if "sp_getapplock" in statement)
    assert said[lock - 1].startswith("SELECT")
    assert "FROM sys.objects" in said[lock - 1]


@pytest.mark.parametrize("code", [-1, -2, -3])
def test_an_upgrade_beside_another_is_refused(driver: FakeDriver, code: int) -> None:
    """Two at once collide in the middle."""
    driver.answers = {"sp_getapplock": [(code,)]}
    with pytest.raises(DatabaseError, match="Another upgrade"), database_of(driver).write() as conn:
        migrations._take_turn(conn)


def test_a_lock_that_cannot_be_taken_is_a_warning(driver: FakeDriver, caplog: pytest.LogCaptureFixture) -> None:
    """Not every server has application locks."""
    driver.answers = {"sp_getapplock": [(-999,)]}
    with database_of(driver).write() as conn:
        migrations._take_turn(conn)
    assert "-999" in caplog.text


def test_annotations_lie_in_the_order_in_which_they_come() -> None:
    """Clustered on a random UUID, every insert splits a page somewhere in a million."""
    text = t_sql.compiled(CreateTable(s.annotation))
    assert re.search(r"PRIMARY KEY NONCLUSTERED \(annotation_id\)", text)
    assert re.search(r"UNIQUE CLUSTERED \(seq\)", text)
    said = "\n".join(t_sql.migrations())
    assert "PRIMARY KEY NONCLUSTERED (annotation_id)" in said
    assert said.count("LOCK_ESCALATION = DISABLE") >= 4
