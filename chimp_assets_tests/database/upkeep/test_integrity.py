"""The whole-database check finds each kind of illness, names it, and says nothing of a healthy database."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.labels.events import record_events
from chimp_assets.database.upkeep.integrity import check_database
from chimp_assets.database.work.chunks import write_chunks
from chimp_assets_tests.database.world import HEAD, event, make_world, plan, predict, track

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _make_healthy_world(db: Database) -> None:
    make_world(db)
    with db.write() as conn:
        conn.execute(sa.update(s.frame_shard).values(bytes=2000))  # as long as what lies in it


@pytest.fixture
def world(db: Database) -> Database:
    _make_healthy_world(db)
    plan(db, [track(1), track(2)])
    predict(db, track(1), {"FF": 0.6, "FI": 0.4})
    record_events(db, [event("identify", track(1), "FF")])
    write_chunks(db, s.counter, [{"name": ["a"], "value": [1]}], "job")
    return db


def test_a_healthy_database_has_nothing_to_say(world: Database) -> None:
    """A check that cries wolf is not run."""
    told: list[Any] = []
    assert list(check_database(world, lambda *step: told.append(step))) == []
    assert {what for what, done, total in told if done == total} >= {"check counts", "check ledgers"}


ILL = {
    "a frame is missing": (
        sa.update(s.video).where(s.video.c.video_id == 2).values(n_frames=11),
        "Video 2 should have 11",
    ),
    "a shard is short": (sa.update(s.frame_shard).values(bytes=600), "lies outside its shard"),
    "a box is missing": (
        sa.delete(s.detection).where(s.detection.c.track_id == track(2, 1), s.detection.c.frame_no == 3),
        f"Track {track(2, 1)} should have 10 detections and has 9",
    ),
    "too much probability": (
        sa.update(s.prediction).where(s.prediction.c.model_id == HEAD).values(probability=0.7),
        f"of track {track(1)} by model {HEAD} add up to 1.400",
    ),
    "a number is missing": (sa.update(s.annotation).values(seq=2), "there are 1 decisions"),
    "the counter is behind": (
        sa.update(s.counter).where(s.counter.c.name == "annotation").values(value=0),
        "the counter stands at 0",
    ),
    "an answer is not kept": (sa.delete(s.standing_answer), f"Another answer about track {track(1)} counts"),
    "another answer is kept": (
        sa.update(s.standing_answer).values(
            individual_id=sa.select(s.individual.c.individual_id)
            .where(s.individual.c.anim_id == "GM")
            .scalar_subquery()
        ),
        f"Another answer about track {track(1)} counts",
    ),
    "an answered item waits": (
        sa.update(s.acquisition_queue).values(state="pending"),
        "waits for a track that is answered",
    ),
    "a chunk is missing": (
        sa.insert(s.bulk_chunk).values(run_key="job", chunk_no=2, table_name="t", n_rows=1, written_at=NOW),
        "'job' wrote chunk 2, but only 2",
    ),
}


@pytest.mark.parametrize("what", ILL)
def test_every_illness_is_named(world: Database, what: str) -> None:
    """A sentence for a person: which row, and what is wrong with it."""
    statement, words = ILL[what]
    with world.write() as conn:
        conn.execute(statement)
    found = list(check_database(world))
    assert found
    assert any(words in sentence for sentence in found), found


def test_what_is_kept_of_who_a_track_is_not_must_follow(world: Database) -> None:
    """A denial that is lost lets a name come back which a person took away."""
    record_events(world, [event("not_individual", track(2), "FF")])
    assert list(check_database(world)) == []
    with world.write() as conn:
        conn.execute(sa.delete(s.track_evidence))
    found = [sentence for sentence in check_database(world) if "does not follow from all decisions" in sentence]
    assert [str(track(2)) in sentence for sentence in found] == [True]


def test_a_chain_of_merges_is_named(world: Database) -> None:
    """A name that leads to a name that is no longer shown is shown nowhere."""
    i = s.individual.c
    with world.write() as conn:
        ids = {row.anim_id: row.individual_id for row in conn.execute(sa.select(i.anim_id, i.individual_id))}
        for one, other in (("FI", "FD"), ("FD", "GM")):
            conn.execute(sa.update(s.individual).where(i.anim_id == one).values(same_as_id=ids[other]))
    assert any("FI was merged into FD, who was" in sentence for sentence in check_database(world))


def test_orphans_are_found_on_sqlite(sqlite_db: Database) -> None:
    """Written by a tool that did not switch foreign keys on, as SQLite's own shell does not."""
    make_world(sqlite_db)
    with sqlite_db.write_unchecked() as conn:
        conn.execute(sa.update(s.track).where(s.track.c.track_id == track(1)).values(model_id=99))
        conn.execute(sa.update(s.detection).where(s.detection.c.track_id == track(2)).values(track_id=7))
    found = list(check_database(sqlite_db))
    assert any("of track names a model_id that is not in model" in sentence for sentence in found)
    assert any("of detection names a track_id that is not in track" in sentence for sentence in found)


@pytest.mark.slow
def test_a_million_rows_take_no_more_memory_than_a_thousand(sqlite_db: Database) -> None:
    """30 million rows do not fit into a list."""
    _make_healthy_world(sqlite_db)
    peaks = []
    n = 1000
    for rows in (1_000, 1_000_000):
        with sqlite_db.write() as conn:
            insert_rows(conn, s.counter, {"name": [f"{n}-{i}" for i in range(rows)], "value": [1] * rows})
        n += 1
        tracemalloc.start()
        assert list(check_database(sqlite_db)) == []
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 1_000_000


FORGED = {
    "an audit answer without an item": {"lane": "audit"},
    "a repeat without an item": {"lane": "repeat"},
    "a chance without an item": {"propensity": 0.0001},
    "a time to come": {"client_time": datetime(2099, 1, 1, tzinfo=UTC)},
    "a time before there were any": {"client_time": datetime(1970, 1, 1, tzinfo=UTC)},
    "a look of two weeks": {"seconds": 1_300_000.0},
}


@pytest.mark.parametrize("what", FORGED)
def test_what_no_item_asked_and_no_clock_said_is_named(world: Database, what: str) -> None:
    """Eighteen forged rows moved the audit from 38 to 56 tracks, and the check said that all was well."""
    result = record_events(world, [event("identify", track(1, 1), "FF", **FORGED[what])])[0]
    assert result.status == "stored"
    found = list(check_database(world))
    assert len(found) == 1
    assert f"decision {result.seq}" in found[0].lower()


def test_a_decision_with_another_lane_or_chance_than_its_item_is_named(world: Database) -> None:
    """Whoever writes into the table by hand."""
    a, q = s.annotation, s.acquisition_queue.c
    with world.read() as conn:
        item = conn.execute(sa.select(s.acquisition_queue).where(q.track_id == track(2))).one()
    record_events(world, [event("unknown", track(2), item_id=item.item_id)])
    assert list(check_database(world)) == []
    for change in ({"lane": "audit"}, {"lane": item.lane, "propensity": item.propensity / 2}):
        with world.write() as conn:
            conn.execute(sa.update(a).where(a.c.item_id == item.item_id).values(**change))
            conn.execute(sa.update(s.standing_answer).where(s.standing_answer.c.track_id == track(2)).values(**change))
        assert [sentence for sentence in check_database(world) if "Decision 2" in sentence]


def test_a_lane_that_came_out_of_a_file_is_vouched_for(world: Database, tmp_path: Path) -> None:
    """Labels move between homes with the lanes in which they were asked; importing them again vouches for old ones."""
    from chimp_assets.database.files.label_files import export_labels, import_labels

    record_events(world, [event("identify", track(1, n), "FF", lane="audit", propensity=0.25) for n in (1, 2)])
    assert len(list(check_database(world))) == 2
    export_labels(world, tmp_path / "labels.csv", all_events=True)
    report = import_labels(world, tmp_path / "labels.csv")
    assert (report.stored, report.duplicates) == (0, 3)
    assert list(check_database(world)) == []
    forged = record_events(world, [event("skip", track(2, 1), lane="audit")])[0]
    assert [f"Decision {forged.seq}" in sentence for sentence in check_database(world)] == [True]


def test_numbers_of_imports_are_found_again_however_many_they_are(world: Database) -> None:
    """A file of every second decision is a long list."""
    from chimp_assets.database.labels.provenance import imported, note_import

    rng = np.random.default_rng(5)
    kept: set[int] = set()
    with world.write() as conn:
        for size in (1, 2, 900, 3_000):
            some = set(rng.integers(1, 9_000, size).tolist())
            note_import(conn, "labels.csv", some)
            kept |= some
        note_import(conn, "empty.csv", [])
        known = imported(conn)
    assert {n for n in range(10_000) if n in known} == kept
