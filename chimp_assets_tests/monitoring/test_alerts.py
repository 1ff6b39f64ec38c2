"""A change is noticed once, whoever finds it again, and decided once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.people.users import PeopleError, add_user
from chimp_assets.monitoring.alerts import AlertError, alert, alerts, expect, note_end, open_alert, resolve
from chimp_assets_tests.support.rows import add_model

MAY = date(2024, 5, 3)


def opened(db: Database, since: date = MAY, **values: object) -> int | None:
    what = {"kind": "data", "signal": "brightness", "camera": "C1", "noticed": since + timedelta(9)} | values

    def work(conn: sa.Connection) -> int | None:
        return open_alert(conn, since=since, **what)  # type: ignore[arg-type]

    return db.transact(work)


def test_the_same_change_estimated_anew_opens_no_second_alert(db: Database) -> None:
    first = opened(db)
    assert first is not None
    assert [opened(db, MAY + timedelta(days=d)) for d in (0, 6, -6, 200)] == [None] * 4  # it lasts
    assert opened(db, camera="C2") is not None
    assert opened(db, signal="contrast") is not None


def test_a_decided_change_stays_known_and_a_later_one_is_new(db: Database) -> None:
    first = opened(db)
    assert first is not None
    resolve(db, first, "The lens was cleaned.", until=MAY + timedelta(days=40))
    assert opened(db, MAY + timedelta(days=3)) is None
    assert opened(db, MAY + timedelta(days=90)) is not None


def test_an_ended_change_does_not_hide_the_next(db: Database) -> None:
    first = opened(db)
    assert first is not None
    with db.write() as conn:
        assert note_end(conn, first, MAY + timedelta(days=30))
        assert not note_end(conn, first, MAY + timedelta(days=31))
    assert opened(db, MAY + timedelta(days=60)) is not None
    with db.read() as conn:
        assert alert(conn, first).until == MAY + timedelta(days=30)


def test_the_next_head_that_is_as_wrong_opens_no_second_alert(db: Database) -> None:
    add_model(db, 7, "head", "retired")
    add_model(db, 8, "head")
    assert opened(db, kind="model", signal="accuracy", model_id=7) is not None
    assert opened(db, MAY + timedelta(days=30), kind="model", signal="accuracy", model_id=8) is None


def test_two_at_once_open_one(db: Database) -> None:
    with ThreadPoolExecutor(4) as people:
        found = list(people.map(lambda d: opened(db, MAY + timedelta(days=d)), range(8)))
    assert len([one for one in found if one is not None]) == 1


def test_a_person_decides_once_and_it_is_written_down(db: Database) -> None:
    add_user(db, "rita", "expert")
    one = opened(db)
    assert one is not None
    assert expect(db, one, "A new camera was put up.", "rita")
    assert not expect(db, one, "Again.", "rita")
    with pytest.raises(AlertError, match="expected already"):
        resolve(db, one, "No.")
    with db.read() as conn:
        there = alert(conn, one)
        e = t.audit_event.c
        assert conn.scalars(sa.select(e.subject).where(e.action == "drift.expect")).all() == [f"alert {one}"]
    assert (there.state, there.why) == ("expected", "A new camera was put up.")
    assert there.decided_by is not None
    assert there.decided_at is not None


def test_what_cannot_be_decided_is_refused(db: Database) -> None:
    one = opened(db)
    assert one is not None
    with pytest.raises(AlertError, match="no alert 99"):
        resolve(db, 99, "No.")
    with pytest.raises(AlertError, match="is empty"):
        resolve(db, one, " ")
    with pytest.raises(AlertError, match="longer than 500"):
        resolve(db, one, "x" * 501)
    with pytest.raises(PeopleError):
        expect(db, one, "Why not.", "nobody")
    with db.read() as conn:
        assert [one.state for one in alerts(conn)] == ["open"]
        assert alerts(conn, ["resolved"]) == []


def test_a_long_detail_keeps_its_short_values(db: Database) -> None:
    one = opened(db, detail={"before": 91.5, "after": 40.25, "videos": list(range(10**6, 10**6 + 5000))})
    assert one is not None
    with db.read() as conn:
        detail = alert(conn, one).detail
    assert (detail["before"], detail["after"]) == (91.5, 40.25)
    assert 100 < len(detail["videos"]) < 600
