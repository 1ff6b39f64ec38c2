"""Merges of individuals: reversible, chained, seen by every reader of identities and by nothing else."""

from __future__ import annotations

import multiprocessing
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.individuals.aliases import add_alias
from chimp_assets.database.individuals.batch import Terms
from chimp_assets.database.individuals.biographies import upsert_individuals
from chimp_assets.database.individuals.listing import show_individual
from chimp_assets.database.individuals.merges import (
    as_merged,
    as_merged_at,
    last_merge,
    merge_individuals,
    merged_ids,
    root_of,
    standing_edges,
    unmerge_individual,
)
from chimp_assets.database.labels.answers import effective_answers
from chimp_assets.database.labels.events import record_events
from chimp_assets.database.people.users import PeopleError
from chimp_assets.database.work import due as work
from chimp_assets.settings import Settings
from chimp_assets_tests.database.world import event, make_world, predict, track

ON_ONE_DATABASE = (HealthCheck.function_scoped_fixture,)


def codes_of(conn: sa.Connection) -> dict[int, str]:
    return dict(conn.execute(sa.select(s.individual.c.individual_id, s.individual.c.anim_id)).all())


def named(db: Database) -> dict[int, tuple[str, str]]:
    """v_named_track: track_id to (anim_id, source)."""
    with db.read() as conn:
        return {
            row.track_id: (row.anim_id, row.source)
            for row in conn.execute(sa.text("SELECT track_id, anim_id, source FROM v_named_track"))
        }


def answers(db: Database, merge_watermark: int | None = None) -> dict[int, str]:
    with db.read() as conn:
        codes = codes_of(conn)
        return {
            row.track_id: codes[row.individual_id] for row in conn.execute(effective_answers(None, merge_watermark))
        }


def same_as(db: Database) -> dict[str, str]:
    """Merged individuals: who they are now, as the column says."""
    with db.read() as conn:
        codes = codes_of(conn)
        return {codes[a]: codes[b] for a, b in merged_ids(conn).items()}


@pytest.fixture
def newcomers(db: Database) -> Database:
    """Tracks of video 1 named NEW-1, NEW-2 and FF; the model calls those of video 2 so."""
    make_world(db)
    record_events(
        db,
        [
            event("new_individual", track(1, 0), "NEW-1"),
            event("new_individual", track(1, 1), "NEW-2"),
            event("identify", track(1, 2), "FF"),
        ],
    )
    predict(db, track(2, 0), {"NEW-1": 0.5, "NEW-2": 0.3})
    predict(db, track(2, 1), {"NEW-2": 0.9, "FF": 0.1})
    return db


def test_a_merge_is_seen_wherever_identities_are_read_and_can_be_undone(newcomers: Database) -> None:
    """What a person or an old model called NEW-1 is Fifi from now on, and NEW-1 again if that was an error."""
    db = newcomers
    before, said = named(db), answers(db)
    done = merge_individuals(db, "new-1", "FF", why="the notch", by="anna")
    assert (done.anim_id, done.into_anim_id) == ("NEW-1", "FF")
    assert named(db) == {
        track(1, 0): ("FF", "person"),
        track(1, 1): ("NEW-2", "person"),
        track(1, 2): ("FF", "person"),
        track(2, 0): ("FF", "model"),
        track(2, 1): ("NEW-2", "model"),
    }
    assert answers(db) == {track(1, 0): "FF", track(1, 1): "NEW-2", track(1, 2): "FF"}
    with db.read() as conn:
        row = conn.execute(sa.text("SELECT individual_id FROM v_effective_answer WHERE track_id = :t"), {"t": track(1)})
        assert row.scalar_one() == conn.scalar(
            sa.select(s.individual.c.individual_id).where(s.individual.c.anim_id == "FF")
        )
        known = show_individual(conn, "NEW-1")
        kept = conn.execute(sa.select(s.annotation.c.individual_id).where(s.annotation.c.track_id == track(1)))
        assert kept.scalar_one() != known  # the label keeps what was said
    assert (known["same_as"], known["merges"][0]["reason"], known["log"][0]["made_by"]) == ("FF", "the notch", "anna")
    unmerge_individual(db, "NEW-1")
    assert (named(db), answers(db)) == (before, said)


def test_a_label_keeps_what_the_person_said(newcomers: Database) -> None:
    """A merge that rewrote labels could not be undone."""
    c = s.annotation.c
    with newcomers.read() as conn:
        before = conn.execute(sa.select(c.annotation_id, c.individual_id, c.fingerprint)).all()
    merge_individuals(newcomers, "NEW-1", "FF")
    with newcomers.read() as conn:
        assert conn.execute(sa.select(c.annotation_id, c.individual_id, c.fingerprint)).all() == before


def test_chains_end_at_the_last_and_come_apart_where_they_were_joined(newcomers: Database) -> None:
    """NEW-1 is NEW-2 is Fifi; if NEW-2 was not Fifi after all, NEW-1 still is NEW-2."""
    db = newcomers
    merge_individuals(db, "NEW-1", "NEW-2")
    merge_individuals(db, "NEW-2", "FF")
    assert same_as(db) == {"NEW-1": "FF", "NEW-2": "FF"}
    unmerge_individual(db, "NEW-2")
    assert same_as(db) == {"NEW-1": "NEW-2"}
    merge_individuals(db, "NEW-2", "GM")
    assert same_as(db) == {"NEW-1": "GM", "NEW-2": "GM"}
    unmerge_individual(db, "NEW-1")
    assert same_as(db) == {"NEW-2": "GM"}


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        ("NEW-1", "NEW-1", "is already"),
        ("NEW-2", "NEW-1", "is already NEW-2"),
        ("NEW-1", "GM", "already merged into NEW-2"),
        ("GM", "NEW-2", "provisional"),
        ("FF", "FI", "sex F and FI has sex M"),
        ("NOBODY", "FF", "no individual 'NOBODY'"),
        ("FF", "NO\0BODY", "no individual"),
    ],
)
def test_merges_that_cannot_be_are_refused_in_words(newcomers: Database, one: str, other: str, why: str) -> None:
    """A circle has no end, and a documented animal that vanishes into a provisional one takes its biography along."""
    merge_individuals(newcomers, "NEW-1", "NEW-2")
    with pytest.raises(PeopleError, match=why):
        merge_individuals(newcomers, one, other)
    assert same_as(newcomers) == {"NEW-1": "NEW-2"}
    with pytest.raises(PeopleError, match="not merged"):
        unmerge_individual(newcomers, "FF")
    with pytest.raises(PeopleError, match="longer than 1000"):
        merge_individuals(newcomers, "NEW-2", "FF", why="x" * 1001)


def test_what_is_only_odd_can_be_forced_and_an_alias_will_do(newcomers: Database) -> None:
    """A sex that was written down wrongly must not stand in the way of what the expert sees."""
    add_alias(newcomers, "FF", "Fifi's twin", None, None, Terms())
    merge_individuals(newcomers, "fi", "FIFI'S TWIN", force=True)
    merge_individuals(newcomers, "GM", "NEW-1", force=True)
    assert same_as(newcomers) == {"FI": "FF", "GM": "NEW-1"}


CODES = [f"M{n}" for n in range(5)]
steps = st.lists(
    st.tuples(st.sampled_from(CODES), st.none() | st.sampled_from(CODES)), min_size=1, max_size=12
)  # (who, into), or (who, None): undo


@settings(max_examples=25, deadline=None, suppress_health_check=ON_ONE_DATABASE)
@given(steps)
def test_any_series_of_merges_and_undos_gives_what_a_simple_model_says(
    db: Database, steps: list[tuple[str, str | None]]
) -> None:
    """The column, the edges and the recursive query are three answers to one question; at every moment of the past."""
    with db.write() as conn:
        conn.execute(sa.update(s.individual).values(same_as_id=None))
        conn.execute(sa.delete(s.biography_log))
        conn.execute(sa.delete(s.individual_merge).where(s.individual_merge.c.kind == "undo"))
        conn.execute(sa.delete(s.individual_merge))
    upsert_individuals(db, [{"anim_id": code} for code in CODES])
    model: dict[str, str] = {}
    past: list[tuple[int, dict[str, str]]] = []

    def end(code: str) -> str:
        return end(model[code]) if code in model else code

    for who, into in steps:
        fits = who in model if into is None else who not in model and end(into) != who
        try:
            if into is None:
                unmerge_individual(db, who)
            else:
                merge_individuals(db, who, into)
        except PeopleError:
            assert not fits
            continue
        assert fits
        if into is None:
            del model[who]
        else:
            model[who] = into
        with db.read() as conn:
            past.append((last_merge(conn), {code: end(code) for code in model}))
        assert same_as(db) == past[-1][1]
    with db.read() as conn:
        codes = codes_of(conn)
        for watermark, wanted in past:
            same = as_merged_at(watermark)
            rows = conn.execute(sa.select(same.c.individual_id, same.c.root_id)).all()
            assert {codes[a]: codes[b] for a, b in rows} == wanted
            assert len(rows) == len(wanted)
            edges = standing_edges(conn, watermark)
            assert {codes[a]: codes[root_of(a, edges)] for a in edges} == wanted


def _merge_many(url: str, who: list[str], into: list[str]) -> None:
    db = Database(url)
    for one, other in zip(who, into, strict=True):
        try:
            merge_individuals(db, one, other)
        except PeopleError:
            continue
    db.dispose()


def test_two_who_merge_at_once_make_no_circle(db: Database) -> None:
    """Each alone sees no circle; together they would, and the individual would be nobody."""
    codes = [f"P{n}" for n in range(20)]
    upsert_individuals(db, [{"anim_id": code} for code in codes])
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=_merge_many, args=(db.url, codes[:10], codes[10:])),
        context.Process(target=_merge_many, args=(db.url, codes[10:], codes[:10])),
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    merged = same_as(db)
    assert len(merged) == 10
    assert not merged.keys() & set(merged.values())


def test_ids_are_translated_and_others_stay() -> None:
    """-1 stands for nobody in many arrays."""
    assert as_merged(np.array([3, -1, 5, 7]), {3: 7, 7: 9}).tolist() == [7, -1, 5, 9]
    assert as_merged(np.zeros(0, np.int64), {}).dtype == np.int64


def trained_now(db: Database) -> None:
    """A head was trained on everything there is."""
    with db.write() as conn:
        seq = conn.scalar(sa.select(sa.func.max(s.annotation.c.seq)))
        n = conn.scalar(sa.select(sa.func.count()).select_from(s.model)) or 0
        key = conn.execute(
            sa.insert(s.training_set).values(
                task="head", watermark_seq=seq, merge_watermark=last_merge(conn), split_seed=1, n_tracks=9,
                n_classes=2, member_uri="m", member_hash="0" * 64, created_at=datetime.now(UTC) - timedelta(days=1),
            )
        ).inserted_primary_key  # fmt: skip
        assert key is not None
        conn.execute(
            sa.insert(s.model).values(
                model_id=100 + n, task="head", version=100 + n, name="h", state="candidate", config="{}",
                training_set_id=key[0], created_at=datetime.now(UTC),
            )
        )  # fmt: skip


def test_a_merge_is_news_of_as_many_labels_as_it_renames(db: Database, tmp_path: Any) -> None:
    """A head that still tells apart what is one animal is as much out of date as one that lacks labels."""
    make_world(db, videos=20)
    with db.write() as conn:
        conn.execute(
            sa.insert(s.split_assignment),
            [
                {"video_id": v, "day_key": str(v), "split": "train", "assigned_at": datetime.now(UTC)}
                for v in range(1, 21)
            ],
        )
    config = Settings(home=tmp_path, head={"min_labels": 4, "min_new_labels": 5, "cool_down_s": 0})
    every = [track(v, o) for v in range(1, 21) for o in range(3)]
    record_events(db, [event("identify", t, ("FF", "FD", "GM")[n % 3]) for n, t in enumerate(every)])

    def due() -> work.Readiness:
        with db.read() as conn:
            return work.labels_due(conn, config, datetime.now(UTC))

    assert due().due
    trained_now(db)
    assert not due().due
    merge_individuals(db, "GM", "FF")
    assert due().due
    unmerge_individual(db, "GM")
    assert not due().due, "nobody is somebody else than the head learned"
    merge_individuals(db, "GM", "FF")
    trained_now(db)
    assert not due().due
    merge_individuals(db, "FI", "FD")
    assert not due().due, "nobody ever named FI"
