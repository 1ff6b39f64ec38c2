"""Claims and leases: nobody works twice, nothing stays locked, the newest plan is the one that is asked."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mssql, postgresql

from chimp_assets.database import schema as s
from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.labels.events import record_events
from chimp_assets.database.people.users import PeopleError, add_user, disable_user
from chimp_assets.database.schema import LANES
from chimp_assets.database.work import queue
from chimp_assets.database.work.queue import claim, pending_count, release, write_round
from chimp_assets_tests.database.world import EMBEDDER, HEAD, event, item_states, make_world, plan, track


def waiting(db: Database) -> int:
    with db.read() as conn:
        return pending_count(conn)


def test_a_round_is_stored_as_planned(db: Database) -> None:
    """Every item must say why it is asked and with which chance, or the audit means nothing."""
    make_world(db)
    round_id = write_round(
        db,
        policy='{"phase": "warm"}',
        seed=20,
        embedder_model_id=EMBEDDER,
        head_model_id=HEAD,
        watermark_seq=0,
        n_pool=6,
        track_ids=np.array([track(2), track(1)], dtype=np.int64),
        lanes=["boundary", "audit"],
        propensity=np.array([1.0, 0.25]),
        reasons=["x" * 600, "drawn at random"],
    )
    first, second = claim(db, "anna", 2, 15)
    assert (first.round_id, first.track_id, first.lane, first.position, first.propensity, len(first.reason)) == (
        round_id, track(2), "boundary", 0, 1.0, 500,
    )  # fmt: skip
    assert (second.track_id, second.lane, second.propensity, second.reason) == (
        track(1),
        "audit",
        0.25,
        "drawn at random",
    )


@pytest.mark.parametrize(
    "changed",
    [
        {"lanes": []},
        {"lanes": ["typical"]},
        {"lanes": ["typical", "fast"]},
        {"propensity": [0.5]},
        {"reasons": []},
    ],
)
def test_a_plan_that_does_not_fit_together_is_refused_whole(db: Database, changed: dict[str, object]) -> None:
    """Columns of different lengths would put a lane on the wrong track."""
    make_world(db)
    plan(db, [track(2)])
    with pytest.raises(ValueError):
        plan(db, [track(1), track(1, 1)], **changed)
    with pytest.raises(ValueError, match="once"):
        plan(db, [track(1), track(1)])
    assert item_states(db) == {track(2): "pending"}


def test_a_chance_of_nothing_is_refused_by_the_database(db: Database) -> None:
    """A weight of 1/0 comes out of it."""
    make_world(db)
    with pytest.raises(sa.exc.IntegrityError):
        plan(db, [track(1)], propensity=[0.0])
    assert waiting(db) == 0


def test_a_new_plan_withdraws_what_waits_and_leaves_what_is_being_answered(db: Database) -> None:
    """An old plan asks what the model has learned meanwhile; but nobody's screen is emptied."""
    make_world(db)
    plan(db, [track(1), track(1, 1)])
    claim(db, "anna", 1, 15)
    plan(db, [track(2)])
    assert item_states(db) == {track(1): "leased", track(1, 1): "withdrawn", track(2): "pending"}
    assert waiting(db) == 1


def test_two_people_never_get_the_same_item(db: Database) -> None:
    """The expert's minutes are the cost we minimise."""
    make_world(db)
    plan(db, [track(1), track(1, 1), track(2)])
    hers = claim(db, "anna", 2, 15)
    his = claim(db, "vito", 2, 15)
    assert [item.track_id for item in hers] == [track(1), track(1, 1)]
    assert [item.track_id for item in his] == [track(2)]
    assert claim(db, "vera", 2, 15) == []


def test_asking_again_gives_the_same_items_and_excluding_them_gives_others(db: Database) -> None:
    """A reply lost on the way, or a page loaded anew, must not leave items locked that nobody sees."""
    make_world(db)
    plan(db, [track(1), track(1, 1), track(2), track(2, 1)])
    first = claim(db, "anna", 2, 15)
    assert claim(db, "anna", 2, 15) == first
    more = claim(db, "anna", 2, 15, exclude=[item.item_id for item in first])
    assert {item.track_id for item in more} == {track(2), track(2, 1)}
    assert len(claim(db, "anna", 3, 15)) == 3


def test_a_lease_that_ran_out_is_free_without_anybody_sweeping(db: Database) -> None:
    """Elsewhere one absent user blocked a job for days."""
    make_world(db)
    plan(db, [track(1)])
    claim(db, "anna", 1, lease_minutes=0.0001)
    time.sleep(0.02)
    assert waiting(db) == 1
    assert [item.track_id for item in claim(db, "vito", 1, 15)] == [track(1)]
    assert claim(db, "anna", 1, 15) == []


def test_a_claim_prolongs_what_its_user_holds(db: Database) -> None:
    """Who works through a long list must not lose its end."""
    make_world(db)
    plan(db, [track(1), track(2)])
    held = claim(db, "anna", 1, lease_minutes=0.0001)
    claim(db, "anna", 1, 15, exclude=[held[0].item_id])
    time.sleep(0.02)
    assert claim(db, "vito", 2, 15) == []


def test_items_given_back_are_free_at_once(db: Database) -> None:
    """'Return my items' on sign-out."""
    make_world(db)
    plan(db, [track(1), track(2)])
    claim(db, "anna", 2, 15)
    assert release(db, "anna") == 2
    assert release(db, "anna") == 0
    assert len(claim(db, "vito", 2, 15)) == 2


def test_only_the_lanes_asked_for_are_given(db: Database) -> None:
    """Volunteers get no audit items."""
    make_world(db)
    plan(db, [track(1), track(1, 1), track(2)], lanes=["typical", "audit", "typical"])
    assert [item.track_id for item in claim(db, "vito", 5, 15, lanes=["audit"])] == [track(1, 1)]
    assert claim(db, "vito", 5, 15, lanes=[]) == []


def test_pairs_and_disputes_go_only_to_who_asks_for_them(db: Database) -> None:
    """The expert's page would show one picture of two and ask for a name; a volunteer cannot judge the expert."""
    make_world(db)
    one, other, third = track(1), track(1, 1), track(2)
    plan(
        db,
        [one, one, one, third],
        lanes=["typical", "pairs", "disputed", "disputed"],
        other_track_ids=[None, other, third, None],
    )
    with db.read() as conn:
        assert [pending_count(conn, lanes) for lanes in (None, ["pairs"], ["disputed"], LANES)] == [1, 1, 2, 4]
    assert [(i.track_id, i.other_track_id) for i in claim(db, "vera", 9, 15, lanes=["pairs", "disputed"])] == [
        (one, other)
    ]
    assert [i.lane for i in claim(db, "rita", 9, 15)] == ["typical"]
    assert [(i.track_id, i.other_track_id) for i in claim(db, "rita", 9, 15, lanes=["disputed"])] == [
        (one, third),
        (third, None),
    ]
    with db.read() as conn:
        assert pending_count(conn, LANES) == 0
    assert [i.lane for i in claim(db, "rita", 9, 15)] == ["typical"], "what she holds of other lanes is not given here"


@pytest.mark.parametrize(
    ("tracks", "lanes", "others"),
    [
        ([track(1)], ["pairs"], None),
        ([track(1)], ["boundary"], [track(2)]),
        ([track(1), track(2)], ["pairs", "disputed"], [track(2), track(1)]),
        ([track(1)], ["pairs"], [track(2), None]),
    ],
)
def test_a_pair_in_the_wrong_lane_or_twice_is_refused(
    db: Database, tracks: list[int], lanes: list[str], others: list[int | None] | None
) -> None:
    """A pair in a naming lane would be answered by half of its question."""
    make_world(db)
    with pytest.raises(ValueError):
        plan(db, tracks, lanes=lanes, propensity=[1.0] * len(tracks), other_track_ids=others)


def test_strangers_and_disabled_users_get_nothing(db: Database) -> None:
    """And are told why."""
    make_world(db)
    plan(db, [track(1)])
    disable_user(db, "vito")
    for who in ("vito", "nobody"):
        with pytest.raises(PeopleError):
            claim(db, who, 1, 15)
    for n in (0, 1_001):
        with pytest.raises(ValueError):
            claim(db, "anna", n, 15)


def test_many_workers_at_once_do_each_item_once(db: Database) -> None:
    """Without locks 3,000 items were claimed 5,545 times (labelling-page reference, section 3.1)."""
    make_world(db, videos=10, tracks=4, frames=2)
    tracks = [track(video, ordinal) for video in range(1, 11) for ordinal in range(4)]
    plan(db, tracks)
    claimed: list[int] = []
    errors: list[BaseException] = []

    def work(who: str) -> None:
        own = Database(db.url)
        try:
            while items := claim(own, who, 3, 15):
                claimed.extend(item.track_id for item in items)
                record_events(
                    own, [event("unknown", item.track_id, annotator=who, item_id=item.item_id) for item in items]
                )
        except BaseException as error:
            errors.append(error)
        finally:
            own.dispose()

    threads = [threading.Thread(target=work, args=(who,)) for who in ("anna", "rita", "vera", "vito")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(claimed) == sorted(tracks)
    assert set(item_states(db).values()) == {"answered"}


def test_sixteen_people_get_each_of_three_thousand_items_once(db: Database) -> None:
    """Two people on one track is an expert's minute thrown away; an error is an expert who waits."""
    make_world(db, videos=1, tracks=1)
    names = [f"w{n}" for n in range(16)]
    for name in names:
        add_user(db, name, "identifier")
    ids = [track(1, ordinal) for ordinal in range(1, 3_001)]
    with db.write() as conn:
        same = conn.execute(sa.select(s.track).where(s.track.c.track_id == track(1))).one()._mapping
        columns = {name: [value] * len(ids) for name, value in same.items()}
        insert_rows(conn, s.track, {**columns, "track_id": ids})
    plan(db, ids)
    got: dict[str, list[int]] = {name: [] for name in names}
    errors: list[Exception] = []

    def work(name: str) -> None:
        own = Database(db.url)
        try:
            while fresh := queue.claim(own, name, 50, 15.0, exclude=got[name]):
                got[name] += [item.item_id for item in fresh]
        except Exception as error:
            errors.append(error)
        finally:
            own.dispose()

    threads = [threading.Thread(target=work, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(item_id for items in got.values() for item_id in items) == list(range(1, 3_001))
    with db.read() as conn:
        q, u = s.acquisition_queue.c, s.app_user.c
        rows = conn.execute(
            sa.select(u.name, sa.func.count().label("n"))
            .join_from(s.acquisition_queue, s.app_user, u.user_id == q.leased_by)
            .where(q.state == "leased")
            .group_by(u.name)
        )
        assert {row.name: row.n for row in rows} == {name: len(items) for name, items in got.items() if items}


def test_two_plans_at_once_leave_one_to_be_asked(db: Database) -> None:
    """Both would be asked, each with chances that are wrong for the other."""
    make_world(db, videos=2, tracks=3)
    barrier = threading.Barrier(2)

    def write(video: int) -> None:
        own = Database(db.url)
        barrier.wait()
        plan(own, [track(video, ordinal) for ordinal in range(3)])
        own.dispose()

    threads = [threading.Thread(target=write, args=(video,)) for video in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert waiting(db) == 3
    with db.read() as conn:
        q = s.acquisition_queue.c
        assert len(conn.scalars(sa.select(q.round_id).where(q.state == "pending").distinct()).all()) == 1


def test_a_claim_asks_for_free_items_without_locks_and_leases_only_what_is_still_free(db: Database) -> None:
    """Lock hints left all claimers but one with nothing on SQL Server: the sort reads and locks every free row."""
    make_world(db)
    plan(db, [track(1), track(1, 1), track(2)])
    seen: list[str] = []

    @sa.event.listens_for(db.engine, "before_execute")
    def note(conn, statement, *others) -> None:
        for dialect in (postgresql.dialect(), mssql.dialect()):
            seen.append(str(statement.compile(dialect=dialect)))

    assert len(queue.claim(db, "anna", 3, 15)) == 3
    assert not [text for text in seen if "FOR UPDATE" in text or "UPDLOCK" in text or "READPAST" in text]
    updates = [text for text in seen if text.startswith("UPDATE acquisition_queue")]
    assert updates
    assert all("acquisition_queue.state" in text.partition("WHERE")[2] for text in updates)
