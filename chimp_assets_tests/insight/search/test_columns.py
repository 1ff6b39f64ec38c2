"""Columns of search are the rows of the views, after every decision, and keep what measures the model to themselves."""

from __future__ import annotations

from collections import Counter

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.individuals.merges import merge_individuals, unmerge_individual
from chimp_assets.database.labels.events import record_events
from chimp_assets.insight.individuals.named_tracks import named_track
from chimp_assets.insight.living.stamps import stamp_of
from chimp_assets.insight.search import columns as module
from chimp_assets.insight.search.columns import LiveColumns, read_columns
from chimp_assets.insight.search.query import SORTS, SearchQuery, parse
from chimp_assets_tests.database.world import START, event, make_world, predict, track


@pytest.fixture
def world(db: Database) -> Database:
    make_world(db, videos=3)
    record_events(db, [event("identify", track(1, 0), "FF"), event("identify", track(2, 0), "FF")])
    predict(db, track(1, 1), {"GM": 0.97, "FF": 0.03})
    predict(db, track(2, 1), {"FD": 0.6, "FF": 0.4})
    return db


def by_sql(conn: sa.Connection) -> tuple[Counter[str], Counter[str]]:
    """Names and cameras of live tracks, as GROUP BY counts them."""
    n, v, k = named_track.c, s.video.c, s.track.c
    names = sa.select(n.anim_id, sa.func.count()).join_from(named_track, s.track, k.track_id == n.track_id)
    who = {code: many for code, many in conn.execute(names.where(k.state == "live").group_by(n.anim_id))}
    cams = conn.execute(
        sa.select(v.site, v.camera, sa.func.count())
        .join_from(s.track, s.video, v.video_id == k.video_id)
        .where(k.state == "live")
        .group_by(v.site, v.camera)
    )
    return Counter(who), Counter({f"{site}/{camera}": many for site, camera, many in cams})


def test_facets_are_group_by_after_every_decision(world: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    live = LiveColumns(20, 0.0)
    read: list[int] = []
    real = module.read_columns
    monkeypatch.setattr(module, "read_columns", lambda *given: read.append(1) or real(*given))

    def check() -> None:
        with world.read() as conn:
            found = live.current(conn)
            fresh = real(conn, 20, 0.0, stamp_of(conn))
            facets = found.facets(SearchQuery())
            who, cams = by_sql(conn)
        assert facets == fresh.facets(SearchQuery())
        assert Counter(dict(facets["who"])) == who
        assert Counter(dict(facets["cam"])) == cams
        assert found.seq == fresh.seq

    check()
    told = event("identify", track(3, 2), "FI")
    record_events(world, [told])
    check()
    record_events(world, [event("identify", track(1, 1), "FI"), event("not_animal", track(2, 0))])
    check()
    record_events(world, [event("retract", None, None, supersedes=told.annotation_id)])
    check()
    assert len(read) == 1, "newer decisions are read alone"
    merge_individuals(world, "FI", "FD", why="one animal", force=True)
    check()
    unmerge_individual(world, "FI")
    check()
    assert len(read) == 3


def test_every_word_narrows_as_it_says(world: Database) -> None:
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
        assert dict(found.facets(SearchQuery())["by"]) == {"person": 2}


def test_who_becomes_a_test_day_or_retires_is_known_at_once(world: Database) -> None:
    """Its name by the model was found by a search until something else changed."""
    live = LiveColumns(20, 0.0)
    asked = parse([("who", "GM")])

    def found() -> list[int]:
        with world.read() as conn:
            columns = live.current(conn)
            return list(columns.ordered(asked, columns.matching(asked)).tolist())

    assert found() == [track(1, 1)]
    with world.write() as conn:
        conn.execute(sa.insert(s.split_assignment).values(video_id=1, day_key="d", split="test", assigned_at=START))
    assert found() == []
    with world.write() as conn:
        conn.execute(sa.update(s.split_assignment).values(split="train"))
        conn.execute(
            sa.insert(s.split_move).values(video_id=1, day_key_before="d", split_before="test", moved_at=START)
        )
    assert found() == [track(1, 1)]
    with world.write() as conn:
        conn.execute(sa.update(s.video).where(s.video.c.video_id == 1).values(state="retired"))
    assert found() == []


def test_pages_go_on_behind_a_track_that_no_longer_matches(world: Database) -> None:
    for sort in SORTS:
        with world.read() as conn:
            columns = read_columns(conn, 20, 0.0, stamp_of(conn))
        asked = parse([("sort", sort)])
        ids, keys, _ = columns.ranked(asked, columns.matching(asked))
        for n in range(len(ids)):
            later = parse([("sort", sort), ("after", f"{float(keys[n])!r}~{ids[n]}")])
            gone = columns.matching(later) & (columns.track != ids[n])
            rest, _, behind = columns.ranked(later, gone)
            assert rest[behind:].tolist() == ids[n + 1 :].tolist(), sort


def test_an_empty_archive_is_searched(db: Database) -> None:
    with db.read() as conn:
        found = LiveColumns(20, 0.1).current(conn)
        assert found.facets(SearchQuery())["status"] == []
        assert found.ordered(SearchQuery(), found.matching(SearchQuery())).tolist() == []
