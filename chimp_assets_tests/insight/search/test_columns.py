"""Columns of search are the rows of the views, after every decision, and keep what measures the model to themselves."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.individuals.biographies import upsert_individuals
from chimp_assets.database.individuals.merges import merge_individuals, unmerge_individual
from chimp_assets.database.labels.events import record_events
from chimp_assets.insight.search import living
from chimp_assets.insight.search.columns import FACETS, SearchColumns
from chimp_assets.insight.search.living import LiveColumns
from chimp_assets.insight.search.query import SORTS, SearchQuery, parse
from chimp_assets.insight.search.reading import read_columns, stamp_of, without_what_measures
from chimp_assets_tests.database import t_sql
from chimp_assets_tests.database.world import HEAD, START, event, make_world, predict, track
from chimp_assets_tests.insight.living.test_names import guesses, rescored


@pytest.fixture
def world(db: Database) -> Database:
    make_world(db, videos=3)
    record_events(db, [event("identify", track(1, 0), "FF"), event("identify", track(2, 0), "FF")])
    predict(db, track(1, 1), {"GM": 0.97, "FF": 0.03})
    predict(db, track(2, 1), {"FD": 0.6, "FF": 0.4})
    return db


IDENTITY = sa.table("v_track_identity", *map(sa.column, ("track_id", "anim_id", "source", "status")))
AGE = sa.table("v_age_at_sighting", *map(sa.column, ("video_id", "anim_id", "age_class", "scheme")))


def by_sql(conn: sa.Connection) -> dict[str, Counter[str]]:
    """Words of live tracks, as GROUP BY counts them."""
    i, v, k, a, one = IDENTITY.c, s.video.c, s.track.c, s.individual.c, sa.func.count()
    found = {}
    for facet, word in (("who", i.anim_id), ("by", i.source), ("status", i.status), ("sex", a.sex)):
        joined = sa.select(word, one).outerjoin_from(IDENTITY, s.individual, a.anim_id == i.anim_id)
        named = joined if facet == "status" else joined.where(i.anim_id.is_not(None))
        found[facet] = Counter(dict(map(tuple, conn.execute(named.group_by(word)))))
    cams = conn.execute(
        sa.select(v.site, v.camera, one)
        .join_from(s.track, s.video, v.video_id == k.video_id)
        .where(k.state == "live")
        .group_by(v.site, v.camera)
    )
    found["cam"] = Counter({f"{site}/{camera}": many for site, camera, many in cams})
    ages = sa.select(AGE.c.age_class, one).join_from(IDENTITY, s.track, k.track_id == i.track_id)
    here = sa.and_(AGE.c.video_id == k.video_id, AGE.c.anim_id == i.anim_id, AGE.c.scheme == "gombe")
    ages = ages.join(AGE, here).where(AGE.c.age_class.is_not(None)).group_by(AGE.c.age_class)
    found["age"] = Counter(dict(map(tuple, conn.execute(ages))))
    return found


def facets(columns: SearchColumns) -> dict[str, Counter[str]]:
    found = {name: Counter(dict(pairs)) for name, pairs in columns.facets(columns.parts(SearchQuery())).items()}
    found["status"].pop("unnamed", None)
    found["status"]["identified"] = found["status"].pop("named", 0)
    return found


def test_facets_are_group_by_after_every_decision(world: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    live = LiveColumns(world.read, 20, 0.0, rest=0.0)
    read: list[Any] = []

    def counted(*given: Any) -> SearchColumns:
        read.append(given)
        return read_columns(*given)

    monkeypatch.setattr(living, "read_columns", counted)

    def check() -> None:
        with world.read() as conn:
            found = live.current(conn)
            fresh = read_columns(conn, 20, 0.0, stamp_of(conn))
            grouped = by_sql(conn)
        assert facets(found) == facets(fresh)
        assert {name: facets(found)[name] for name in grouped} == grouped
        assert found.seq == fresh.seq

    check()
    told = event("identify", track(3, 2), "FI")
    record_events(world, [told])
    check()
    record_events(world, [event("identify", track(1, 1), "FI"), event("not_animal", track(2, 0))])
    check()
    record_events(world, [event("unknown", track(3, 1)), event("new_individual", track(3, 0))])
    check()
    record_events(world, [event("retract", None, None, supersedes=told.annotation_id)])
    check()
    merge_individuals(world, "FI", "FD", why="one animal", force=True)
    check()
    unmerge_individual(world, "FI")
    check()
    upsert_individuals(world, [{"anim_id": "FI", "sex": "F", "birth_date": "2000-01-01"}])
    check()
    assert len(read) == 1, "what decisions and people say of them is read alone"


def promote(db: Database) -> None:
    """Another head, which takes every track of the third video for Gremlin."""
    with db.write() as conn:
        key = conn.scalar(sa.select(s.individual.c.individual_id).where(s.individual.c.anim_id == "GM"))
        conn.execute(sa.update(s.model).where(s.model.c.model_id == HEAD).values(state="retired"))
        conn.execute(
            sa.insert(s.model).values(
                model_id=9, task="head", version=2, name="head", state="champion", config="{}", created_at=START
            )
        )
        for n in range(3):
            conn.execute(
                sa.insert(s.prediction).values(
                    model_id=9, track_id=track(3, n), rank=1, individual_id=key, probability=0.8
                )
            )


def test_a_new_head_is_read_beside_while_the_older_columns_answer(
    world: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    live, gate = LiveColumns(world.read, 20, 0.0, rest=0.0), threading.Event()

    def current() -> SearchColumns:
        with world.read() as conn:
            return live.current(conn)

    before = current()
    promote(world)
    monkeypatch.setattr(living, "read_columns", lambda *given: gate.wait(60) and read_columns(*given))
    assert facets(current()) == facets(before)
    assert current().stamp == before.stamp, "and says as of when"
    gate.set()
    live.settle()
    assert current().stamp.head == 9
    assert facets(current())["who"] == Counter({"GM": 3, "FF": 2})


def test_a_fault_while_reading_beside_leaves_the_older_columns(
    world: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    live = LiveColumns(world.read, 20, 0.0, rest=0.0)
    with world.read() as conn:
        before = live.current(conn)
    promote(world)
    with monkeypatch.context() as broken, world.read() as conn:
        broken.setattr(living, "read_columns", lambda *given: 1 / 0)
        assert live.current(conn).stamp == before.stamp
        live.settle()
        assert "could not be read anew" in caplog.text
        assert live.current(conn).stamp == before.stamp
        live.settle()
    now = time.monotonic
    with monkeypatch.context() as later, world.read() as conn:
        later.setattr(time, "monotonic", lambda: now() + 60)
        live.current(conn)
        live.settle()
    with world.read() as conn:
        assert live.current(conn).stamp.head == 9


def test_what_must_be_exact_is_of_its_own_moment(world: Database) -> None:
    live = LiveColumns(world.read, 20, 0.0, rest=0.0)
    with world.read() as conn:
        live.current(conn)
    promote(world)
    with world.read() as conn:
        assert facets(live.exact(conn))["who"] == Counter({"GM": 3, "FF": 2})


def test_open_flags_are_found_until_a_reviewer_has_decided(world: Database) -> None:
    live, asked = LiveColumns(world.read, 20, 0.0, rest=0.0), parse([("flag", "1")])

    def found() -> list[int]:
        with world.read() as conn:
            columns = live.current(conn)
            again = read_columns(conn, 20, 0.0, stamp_of(conn))
        assert (
            again.ordered(asked, again.matching(asked)).tolist()
            == columns.ordered(asked, columns.matching(asked)).tolist()
        )
        return [int(one) for one in columns.track[columns.matching(asked)]]

    assert found() == []
    flag = event("cannot_tell", track(3, 0), shown='{"mode": "card", "flag": true}')
    record_events(world, [flag, event("unknown", track(3, 1), shown='{"mode": "card", "flag": true}')])
    assert found() == [track(3, 0), track(3, 1)]
    record_events(world, [event("retract", None, None, supersedes=flag.annotation_id)])
    assert found() == [track(3, 1)]
    record_events(world, [event("identify", track(3, 1), "FF", annotator="rita")])
    assert found() == []


def test_every_word_narrows_as_it_says(world: Database) -> None:
    with world.write() as conn:
        for video_id, infrared in ((1, 0.9), (2, 0.0)):
            numbers = dict.fromkeys(("brightness", "contrast", "sharpness", "colourfulness"), 50.0)
            conn.execute(
                sa.insert(s.video_signal).values(
                    video_id=video_id, pictures=3, infrared=infrared, background=bytes(2304), **numbers
                )
            )
    with world.read() as conn:
        found = read_columns(conn, 20, 0.0, stamp_of(conn))

    def ids(*words: tuple[str, str]) -> list[int]:
        asked = parse(words)
        return sorted(found.ordered(asked, found.matching(asked)).tolist())

    everybody = ids()
    assert len(everybody) == 9
    assert ids(("who", "FF")) == [track(1, 0), track(2, 0)]
    assert ids(("who", "ff"), ("who", "GM")) == [track(1, 0), track(1, 1), track(2, 0)]
    assert ids(("who", "!FF"), ("status", "named")) == [track(1, 1), track(2, 1)]
    assert ids(("with", "GM")) == [track(1, n) for n in range(3)]
    assert ids(("cam", "a/cam0")) == [track(2, n) for n in range(3)]
    assert ids(("by", "model"), ("p", "0.9-")) == [track(1, 1)]
    assert ids(("age", "adult")) == [track(1, 0), track(2, 0), track(2, 1)], "whose birth is known"
    assert ids(("age", "infant")) == []
    assert ids(("light", "infrared")) == [track(1, n) for n in range(3)]
    assert ids(("light", "not_known"), ("light", "dim")) == [track(video, n) for video in (2, 3) for n in range(3)]
    assert ids(("status", "unlabelled")) == ids(("status", "unnamed"))
    assert ids(("sex", "F")) == [track(1, 0), track(1, 1), track(2, 0)]
    assert ids(("since", "2013-05-07"), ("until", "2013-05-07")) == [track(2, n) for n in range(3)]
    assert ids(("hour", "7")) == everybody
    assert ids(("hour", "8-9")) == []
    assert ids(("video", "3")) == [track(3, n) for n in range(3)]
    assert len(ids(("status", "unnamed"))) + len(ids(("status", "named"))) == 9
    doubt = parse([("sort", "doubt")])
    assert found.ordered(doubt, found.matching(doubt)).tolist()[0] == track(2, 1)


def test_what_measures_the_model_is_found_without_its_name(world: Database) -> None:
    """Whoever searched for GM would see which tracks of the audit the model takes for her."""
    with world.read() as conn:
        found = read_columns(conn, 20, 1.0, stamp_of(conn))
        asked = parse([("who", "GM")])
        assert found.ordered(asked, found.matching(asked)).tolist() == []
        assert facets(found)["by"] == {"person": 2}


def test_names_that_change_without_a_decision_are_read_again(world: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle that is scored anew, and a volunteer who turns out to guess, say nothing by an event."""
    monkeypatch.setattr(living, "LOOK_S", 0.0)
    live = LiveColumns(world.read, 20, 0.0, rest=0.0)

    def check() -> Counter[str]:
        with world.read() as conn:
            live.current(conn)
        live.settle()
        with world.read() as conn:
            found, fresh = live.current(conn), read_columns(conn, 20, 0.0, stamp_of(conn))
            assert facets(found) == facets(fresh)
        return facets(found)["by"]

    record_events(world, [event("is_individual", track(3, 1), "FI", annotator=who) for who in ("vera", "vito")])
    before = check()
    guesses(world, "vera")
    assert check()["volunteers"] == before["volunteers"] - 1
    rescored(world)
    check()


def test_who_becomes_a_test_day_or_retires_is_known_at_once(world: Database) -> None:
    """Its name by the model was found by a search until something else changed."""
    live = LiveColumns(world.read, 20, 0.0, rest=0.0)
    asked = parse([("who", "GM")])

    def found() -> list[int]:
        with world.read() as conn:
            columns = live.current(conn)
            ids = list(columns.ordered(asked, columns.matching(asked)).tolist())
        live.settle()
        with world.read() as conn:
            columns = live.current(conn)
            assert ids == [] or columns.ordered(asked, columns.matching(asked)).tolist() == ids
        return ids

    assert found() == [track(1, 1)]
    with world.write() as conn:
        conn.execute(sa.insert(s.split_assignment).values(video_id=1, day_key="d", split="test", assigned_at=START))
    assert found() == []
    with world.write() as conn:
        conn.execute(sa.update(s.split_assignment).values(split="train"))
        conn.execute(
            sa.insert(s.split_move).values(video_id=1, day_key_before="d", split_before="test", moved_at=START)
        )
    found()  # what may be shown again waits until it is read
    assert found() == [track(1, 1)]
    with world.write() as conn:
        conn.execute(sa.update(s.video).where(s.video.c.video_id == 1).values(state="retired"))
    assert found() == []


@pytest.mark.parametrize("size", [1, 2, 4, 20])
def test_pages_are_the_whole_order_also_behind_a_track_that_no_longer_matches(world: Database, size: int) -> None:
    with world.read() as conn:
        columns = read_columns(conn, 20, 0.0, stamp_of(conn))
    for sort in SORTS:
        asked = parse([("sort", sort)])
        whole = columns.ordered(asked, columns.matching(asked)).tolist()
        place = 0
        while place < len(whole):
            page = columns.page(asked, columns.matching(asked), size)
            assert page.tracks == whole[place : place + size], sort
            assert page.begins == place + 1
            place += size
            if page.after is None:
                break
            asked = parse([("sort", sort), ("after", page.after)])
            gone = columns.matching(asked) & (columns.track != page.tracks[-1])
            assert columns.page(asked, gone, size).tracks == whole[place : place + size], sort
        assert place >= len(whole)


def test_an_empty_archive_is_searched(db: Database) -> None:
    with db.read() as conn:
        found = LiveColumns(db.read, 20, 0.1).current(conn)
        assert set(found.facets({})) == set(FACETS)
        assert not any(found.facets({}).values())
        assert found.page(SearchQuery(), found.matching(SearchQuery()), 48).tracks == []
        assert found.ordered(SearchQuery(), found.matching(SearchQuery())).tolist() == []


def test_every_statement_speaks_t_sql(world: Database) -> None:
    heard: list[tuple[Any, list[str] | None]] = []

    def listen(conn: Any, element: Any, several: Any, parameters: Any, options: Any) -> None:
        heard.append((element, sorted(several[0]) if several else sorted(parameters) or None))

    live = LiveColumns(world.read, 20, 0.0, rest=0.0)
    sa.event.listen(sa.Engine, "before_execute", listen)
    try:
        with world.read() as conn:
            live.current(conn)
        record_events(world, [event("identify", track(3, 2), "FI")])
        merge_individuals(world, "FI", "FD", why="one animal", force=True)
        heard.clear()
        with world.read() as conn:
            live.current(conn)
            without_what_measures(conn, read_columns(conn, 20, 0.0, stamp_of(conn)))
    finally:
        sa.event.remove(sa.Engine, "before_execute", listen)
    said = [(element, names) for element, names in heard if not isinstance(element, str)]
    assert [found for element, names in said if (found := t_sql.faults_of(t_sql.compiled(element, names)))] == []
    assert len({str(element) for element, _ in said}) >= 15
