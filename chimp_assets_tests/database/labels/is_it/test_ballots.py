"""The lane "is this X?": nobody is asked twice, two must say the same, three are enough."""

from __future__ import annotations

import random
import threading
from collections import Counter

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mssql

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.labels.events import record_events
from chimp_assets.database.labels.is_it import ballots
from chimp_assets.database.work.queue import claim, pending_count, write_round
from chimp_assets_tests.database.labels.is_it.asked import add_volunteers, ask, key_of, say, state_of, take
from chimp_assets_tests.database.world import EMBEDDER, event, make_world, plan, track


@pytest.fixture
def world(sqlite_db: Database) -> Database:
    return with_people(sqlite_db)


@pytest.fixture
def either(db: Database) -> Database:
    """On SQLite and on PostgreSQL."""
    return with_people(db)


def with_people(db: Database) -> Database:
    make_world(db, videos=3, tracks=5, frames=3)
    add_volunteers(db, "carl", "dora")
    return db


WORDS = {
    "yes": False,
    "no": False,
    "cannot_tell": False,
    "yes yes": True,
    "no no": True,
    "yes no": False,
    "yes cannot_tell": False,
    "cannot_tell cannot_tell": True,
    "yes no yes": True,
    "yes no no": True,
    "no cannot_tell yes": True,
    "skip yes skip": False,
    "skip no no": True,
}
"""What people say one after the other, and whether that settles it."""


def test_two_must_say_the_same_and_three_are_enough(world: Database) -> None:
    """Of one yes and one no a third person decides; more people than that are an expert's work."""
    tracks = [track(video, ordinal) for video in (1, 2, 3) for ordinal in range(5)][: len(WORDS)]
    items = dict(zip(ask(world, tracks), WORDS, strict=True))
    for place, name in enumerate(("vera", "vito", "carl")):
        for item in take(world, name):
            assert (item.individual_id, item.lane) == (key_of(world, "FF"), "is_it")
            words = items[item.item_id].split()
            if place < len(words):
                say(world, name, item, words[place])
        with world.write() as conn:
            conn.execute(sa.update(s.acquisition_queue).where(s.acquisition_queue.c.state == "leased").values(
                state="pending", leased_by=None, leased_until=None))  # fmt: skip
    assert {words: state_of(world, item_id) for item_id, words in items.items()} == {
        words: "answered" if settled else "pending" for words, settled in WORDS.items()
    }
    assert len(take(world, "dora")) == list(WORDS.values()).count(False)


@pytest.mark.parametrize("word", ["yes", "cannot_tell", "skip"])
def test_nobody_gets_what_she_answered_or_skipped_also_not_from_the_next_plan(world: Database, word: str) -> None:
    """A second look by the same eyes is no second person."""
    ask(world, [track(1), track(2)])
    first, second = take(world, "vera")
    say(world, "vera", first, word)
    assert [item.track_id for item in take(world, "vera")] == [second.track_id]
    again, _ = ask(world, [track(1), track(2)])
    assert again != first.item_id
    assert track(1) not in {item.track_id for item in take(world, "vera")}
    with world.read() as conn:
        u = s.app_user.c
        ids = {row.name: row.user_id for row in conn.execute(sa.select(u.name, u.user_id))}
        assert pending_count(conn, ["is_it"], ids["vera"]) == 0
        assert pending_count(conn, ["is_it"], ids["vito"]) == 1
        assert pending_count(conn) == 0
    assert [item.item_id for item in take(world, "vito")] == [again]


def test_only_who_asks_for_the_lane_gets_it(world: Database) -> None:
    ask(world, [track(1)])
    assert claim(world, "anna", 5, 15) == []
    assert claim(world, "vera", 5, 15, ["pairs"]) == []


def test_one_person_at_a_time_holds_an_item_and_late_answers_count(world: Database) -> None:
    """Who comes back from the field has looked at the track as well as anybody."""
    (item_id,) = ask(world, [track(1)])
    (item,) = claim(world, "vera", 1, 0.00001, ["is_it"])
    assert take(world, "vito") == [item]
    assert take(world, "carl") == []
    say(world, "vera", item, "yes")
    assert state_of(world, item_id) == "leased", "it stays with whoever holds it"
    say(world, "vito", item, "yes")
    assert state_of(world, item_id) == "answered"
    with world.read() as conn:
        lanes = conn.execute(sa.select(s.annotation.c.lane, s.annotation.c.item_id, s.annotation.c.propensity)).all()
    assert {tuple(row) for row in lanes} == {("is_it", item_id, 1.0)}


def test_what_is_taken_back_is_asked_again(world: Database) -> None:
    (item_id,) = ask(world, [track(1)])
    events = {}
    for name in ("vera", "vito"):
        (item,) = take(world, name)
        events[name] = say(world, name, item, "yes")
    assert state_of(world, item_id) == "answered"
    record_events(world, [event("retract", supersedes=events["vito"], annotator="vito")])
    assert state_of(world, item_id) == "pending"
    assert take(world, "vera") == []
    assert [item.item_id for item in take(world, "vito")] == [item_id]


def test_an_answer_about_the_track_withdraws_the_question(world: Database) -> None:
    """Nobody's minute goes to what an expert has said."""
    ids = ask(world, [track(1), track(2), track(1, 1), track(2, 1)])
    take(world, "vera", 2)
    record_events(world, [event("identify", track(1), "GM"), event("unknown", track(2)), event("bad_box", track(1, 1)),
                          event("cannot_tell", track(2, 1))])  # fmt: skip
    assert {state_of(world, item_id) for item_id in ids} == {"withdrawn"}
    assert take(world, "vito") == []


def test_cannot_tell_here_is_no_answer_of_the_track(world: Database) -> None:
    """A volunteer who cannot tell whether it is Fifi has not said that nobody can tell who it is."""
    (item_id,) = ask(world, [track(1)])
    (item,) = take(world, "vera")
    say(world, "vera", item, "cannot_tell")
    with world.read() as conn:
        assert conn.execute(sa.select(s.standing_answer)).all() == []
        assert conn.execute(sa.text("SELECT track_id FROM v_effective_answer")).all() == []
    assert state_of(world, item_id) == "pending"


def test_a_no_of_somebody_who_names_animals_settles_it(world: Database) -> None:
    (item_id,) = ask(world, [track(1)])
    (item,) = take(world, "rita")
    say(world, "rita", item, "no")
    assert state_of(world, item_id) == "answered"


def test_an_answer_about_somebody_else_does_not_settle_it(world: Database) -> None:
    (item_id,) = ask(world, [track(1)])
    for name in ("vera", "vito"):
        say(world, name, item_id, "no", "GM")
    assert state_of(world, item_id) == "pending"


@pytest.mark.parametrize(
    "changed",
    [{"individual_ids": [None]}, {"individual_ids": None}, {"individual_ids": [1, 2]}, {"lanes": ["boundary"]}],
)
def test_a_question_without_its_individual_is_refused(world: Database, changed: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        plan(world, [track(1)], **({"lanes": ["is_it"], "individual_ids": [1]} | changed))


def test_a_plan_asks_about_a_track_once_whatever_the_lane(world: Database) -> None:
    with pytest.raises(ValueError, match="once"):
        write_round(
            world, policy="{}", seed=1, embedder_model_id=EMBEDDER, watermark_seq=0, n_pool=2, propensity=[1.0, 1.0],
            track_ids=[track(1), track(1)], lanes=["is_it", "boundary"], individual_ids=[1, None], reasons=["", ""],
        )  # fmt: skip


@pytest.mark.parametrize("seed", range(2))
def test_whatever_people_do_nobody_is_asked_twice_and_items_follow_the_answers(world: Database, seed: int) -> None:
    """Any order of claims, words, skips, second thoughts and new plans."""
    rng = random.Random(seed)
    tracks = [track(video, ordinal) for video in (1, 2) for ordinal in range(3)]
    people = ["vera", "vito", "carl", "dora"]
    items = dict(zip(ask(world, tracks), tracks, strict=True))
    said: dict[tuple[str, int], tuple[str, str]] = {}
    for _ in range(45):
        name = rng.choice(people)
        if said and rng.random() < 0.15:
            who, of = rng.choice(sorted(said))
            record_events(world, [event("retract", supersedes=said.pop((who, of))[1], annotator=who)])
        elif rng.random() < 0.05:
            # As a plan does: what is on a screen now is not asked again.
            kept = {item_id: of for item_id, of in items.items() if state_of(world, item_id) == "leased"}
            free = [of for of in tracks if of not in kept.values()]
            items = kept | dict(zip(ask(world, free), free, strict=True))
        else:
            for item in take(world, name, 2):
                assert (name, item.track_id) not in said
                if rng.random() < 0.7:
                    word = rng.choice(["yes", "yes", "no", "cannot_tell", "skip"])
                    said[name, item.track_id] = (word, say(world, name, item, word))
        for item_id, of in items.items():
            words = Counter(word for (_, track_id), (word, _) in said.items() if track_id == of)
            ballot = ballots.Ballot(words["yes"], words["no"], words["cannot_tell"])
            state = state_of(world, item_id)
            # A new plan does not know yet that enough has been said: its items wait until somebody says more.
            assert (state == "answered") <= (not ballot.needed), (words, state)
    with world.read() as conn:
        a = s.annotation.c
        twice = sa.select(a.annotator_id).where(a.kind.not_in(("retract",))).group_by(a.annotator_id, a.item_id)
        retracted = conn.scalars(sa.select(a.supersedes).where(a.kind == "retract")).all()
        standing = twice.where(a.annotation_id.not_in(retracted)).having(sa.func.count() > 1)
        assert conn.execute(standing).all() == []


def test_several_people_at_once_get_each_item_once_each(either: Database) -> None:
    """Without lock hints: who comes second finds it leased and asks for the next."""
    tracks = [track(video, ordinal) for video in (1, 2) for ordinal in range(3)]
    ids = ask(either, tracks)
    got: dict[str, list[int]] = {name: [] for name in ("vera", "vito", "carl", "dora")}
    errors: list[BaseException] = []
    left = threading.Barrier(len(got))

    def work(name: str) -> None:
        own = Database(either.url)
        try:
            left.wait()
            idle = 0
            while idle < 3:
                mine = take(own, name, 2)
                idle = 0 if mine else idle + 1
                for item in mine:
                    got[name].append(item.item_id)
                    say(own, name, item, "no" if name == "vera" else "yes")
        except BaseException as error:
            errors.append(error)
            left.abort()
        finally:
            own.dispose()

    threads = [threading.Thread(target=work, args=(name,)) for name in got]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Somebody may have stopped while others held the last items; nobody holds anything now.
    for name in got:
        for item in take(either, name):
            got[name].append(item.item_id)
            say(either, name, item, "no" if name == "vera" else "yes")
    assert errors == []
    assert all(len(mine) == len(set(mine)) for mine in got.values()), got
    assert {state_of(either, item_id) for item_id in ids} == {"answered"}
    asked = Counter(item_id for mine in got.values() for item_id in mine)
    assert set(asked.values()) <= {2, 3}


def test_the_statements_are_those_of_sql_server_too() -> None:
    q = s.acquisition_queue
    text = str(
        sa.update(q).where(q.c.item_id.in_([1]), ballots.asked_already(q.c.leased_by)).values(state="pending")
        .compile(dialect=mssql.dialect())
    )  # fmt: skip
    assert "EXISTS (SELECT *" in text
    assert "FROM annotation AS mine" in text
    assert "UPDLOCK" not in text
