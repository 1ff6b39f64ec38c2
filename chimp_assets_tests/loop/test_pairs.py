"""What people said of pairs: what follows, what cannot all be true, and what of it is asked again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from chimp_assets.acquisition.pool import FOLLOWS, IN_FLIGHT, PROVISIONAL, UNLABELLED, TrackPool
from chimp_assets.console.status import proposal_line
from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.individuals.merges import merge_individuals, unmerge_individual
from chimp_assets.database.labels.events import record_events
from chimp_assets.database.labels.splits import audit_reserve_mask
from chimp_assets.database.upkeep.invariants import items_that_should_not_wait
from chimp_assets.database.work.due import labels_due, queue_due
from chimp_assets.database.work.queue import claim
from chimp_assets.insight.status import status_of
from chimp_assets.loop.evidence import Doubt, contradictions_in_words, doubts, merge_proposals, read_evidence
from chimp_assets.loop.pairs import seen_together
from chimp_assets.loop.pool import read_snapshot
from chimp_assets.settings import Settings, load_settings
from chimp_assets_tests.database.world import EMBEDDER, HEAD, START, event, make_world, plan, plan_pairs, track
from chimp_assets_tests.support.sentences import untranslated

A, B, C, D, E = track(1), track(1, 1), track(1, 2), track(2), track(2, 1)


@pytest.fixture
def world(db: Database) -> Database:
    make_world(db)
    return db


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(tmp_path)


def say(db: Database, kind: str, one: int, other: int, who: str = "vera") -> str:
    told = event(kind, one, other_track_id=other, annotator=who)
    assert record_events(db, [told])[0].status == "stored"
    return told.annotation_id


def name(db: Database, track_id: int, anim_id: str, who: str = "anna") -> None:
    assert record_events(db, [event("identify", track_id, anim_id, annotator=who)])[0].status == "stored"


def doubted(db: Database) -> list[tuple[int, int | None]]:
    return [(d.track_id, d.other_track_id) for d in _doubts(db)]


def _doubts(db: Database) -> list[Doubt]:
    with db.read() as conn:
        evidence = read_evidence(conn)
    found = doubts(evidence, evidence.concluded())
    assert untranslated(doubt.reason for doubt in found) == set()
    return found


def test_nothing_said_is_nothing_concluded(world: Database) -> None:
    """The first day of every archive."""
    assert doubted(world) == []
    with world.read() as conn:
        assert merge_proposals(conn) == []
        assert contradictions_in_words(conn) == []


def test_a_contradiction_is_asked_of_its_pairs_then_of_its_names_then_left(world: Database) -> None:
    """Asked at random, the expert would name again what she named; asked for ever, she would stop reading."""
    name(world, A, "FF")
    name(world, C, "GM")
    say(world, "same", A, B)
    say(world, "same", C, B)
    found = _doubts(world)
    assert [(d.track_id, d.other_track_id) for d in found] == [(A, B), (B, C)]
    assert "one animal of Fifi (FF) and Gremlin (GM): one of 2 answers is wrong" in found[0].reason
    say(world, "same", B, A, who="rita")
    assert doubted(world) == [(B, C)]
    say(world, "same", C, B, who="anna")
    found = _doubts(world)
    assert [(d.track_id, d.other_track_id) for d in found] == [(A, None), (C, None)]
    assert found[0].reason.endswith("is this one Fifi (FF)?")
    name(world, A, "FF")
    name(world, C, "GM")
    assert doubted(world) == [], "people insist"
    with world.read() as conn:
        (sentence,) = contradictions_in_words(conn)
    assert sentence.endswith(f"(tracks {A}, {B}, {C})")
    assert untranslated([sentence]) == set()
    assert "Fifi (FF) and Gremlin (GM)" in sentence


@pytest.mark.parametrize("ending", ["different", "cannot_tell"])
def test_a_correction_of_one_pair_ends_the_contradiction(world: Database, ending: str) -> None:
    """The expert's answer must outweigh the volunteer's, or the same chain would come back."""
    name(world, A, "FF")
    name(world, C, "GM")
    say(world, "same", A, B)
    say(world, "same", B, C)
    say(world, ending, B, A, who="anna")
    say(world, "same", A, B, who="vito")
    assert doubted(world) == []


def test_different_animals_of_one_chain_or_name_are_asked_with_what_joins_them(world: Database) -> None:
    """The "different" may be the wrong one."""
    say(world, "same", A, B)
    say(world, "same", B, C)
    say(world, "different", C, A)
    assert sorted(doubted(world), key=str) == sorted([(A, B), (B, C), (A, C)], key=str)
    name(world, D, "FF")
    name(world, E, "FF")
    say(world, "different", E, D)
    assert doubted(world)[0] == (D, E), "the shortest chain first"


def test_a_working_name_is_proposed_to_be_merged_and_never_is_by_itself(world: Database) -> None:
    """An individual that vanished because of a volunteer's click would be a scandal."""
    told = event("new_individual", A, annotator="anna")
    record_events(world, [told, event("identify", B, "FF")])
    say(world, "same", A, B)
    with world.read() as conn:
        (merge,) = merge_proposals(conn)
        shown = status_of(conn)
        merges = conn.scalar(sa.select(sa.func.count()).select_from(s.individual_merge))
    assert merges == 0
    assert (merge.into_anim_id, merge.into_name, set(merge.track_ids)) == ("FF", "Fifi", {A, B})
    assert shown.proposals == [merge]
    assert proposal_line(merge).endswith(f"chimp individuals merge {merge.anim_id} FF")
    assert doubted(world) == []
    merge_individuals(world, merge.anim_id, "FF")
    with world.read() as conn:
        assert merge_proposals(conn) == []
    unmerge_individual(world, merge.anim_id)
    with world.read() as conn:
        assert merge_proposals(conn) == [merge]


def test_what_was_taken_back_or_is_no_longer_live_is_no_evidence(world: Database) -> None:
    """A chain through a track that is gone can be shown to nobody."""
    name(world, A, "FF")
    name(world, C, "GM")
    undone = say(world, "same", A, B)
    say(world, "same", B, C)
    with world.read() as conn:
        before = read_evidence(conn)
    assert len(doubted(world)) == 2
    record_events(world, [event("retract", supersedes=undone, annotator="vera")])
    assert doubted(world) == []
    with world.read() as conn:
        as_it_was = read_evidence(conn, 4)
    assert as_it_was.pair.tolist() == before.pair.tolist()
    with world.write() as conn:
        conn.execute(sa.update(s.track).where(s.track.c.track_id == B).values(state="split"))
    with world.read() as conn:
        assert len(read_evidence(conn).track) == 0


def test_the_planner_reads_what_follows_and_what_somebody_looks_at(world: Database, settings: Settings) -> None:
    """Else the expert names, one by one, what three answers of volunteers have settled."""
    tracks = np.array([track(video, ordinal) for video in (1, 2) for ordinal in range(3)])
    # The seed of a home decides which tracks are of the reserve: here C alone.
    seed = next(i for i in range(999) if tracks[audit_reserve_mask(tracks, i, 0.2)].tolist() == [C])
    settings = settings.model_copy(update={"seed": seed})
    name(world, A, "FF")
    record_events(world, [event("unknown", D)])
    for other in (B, C, D):
        say(world, "same", A, other)
    plan_pairs(world, [(E, track(2, 2))])
    (held,) = claim(world, "vera", 1, 15, lanes=["pairs"])
    with world.read() as conn:
        known = read_snapshot(conn, settings)
    state = dict(zip(known.track.tolist(), known.state.tolist(), strict=True))
    assert state[A] > 0
    assert state[B] == state[D] == FOLLOWS
    assert state[C] == UNLABELLED, "the audit asks whatever others have said"
    assert state[E] == state[track(2, 2)] == IN_FLIGHT
    assert known.not_now == {(E, track(2, 2))}
    record_events(world, [event("skip", E, other_track_id=track(2, 2), item_id=held.item_id, annotator="vera")])
    with world.read() as conn:
        known = read_snapshot(conn, settings)
    assert known.not_now == {(E, track(2, 2))}, "a skipped pair rests"
    assert known.state[known.track == E].tolist() == [UNLABELLED], "but its tracks do not"
    assert PROVISIONAL not in known.state


def test_tracks_of_one_moment_are_never_one_animal(world: Database) -> None:
    """Two that sit side by side look most alike of all: the same light, the same leaves."""
    later = track(1, 2)
    with world.write() as conn:
        conn.execute(sa.update(s.track).where(s.track.c.track_id == later).values(first_frame_no=10, last_frame_no=12))
    ids = np.array([A, B, C, D])
    nothing = np.zeros(4, bool)
    pool = TrackPool(
        np.ones((4, 2), np.float16), ids, np.full(4, UNLABELLED, np.int32), np.ones(4, np.float32), nothing, nothing,
        video=np.array([0, 0, 0, 1], np.int32),
    )  # fmt: skip
    assert seen_together(world, pool, np.array([0, 1, 0]), np.array([1, 2, 3])).tolist() == [True, False, False]


def test_pairs_that_need_no_answer_do_not_wait(world: Database) -> None:
    """The check of the queue must know a pair from a name, and still find what is wrong."""
    items = plan_pairs(world, [(A, B), (C, D), (A, E)])
    with world.write() as conn:
        conn.execute(
            sa.insert(s.acquisition_queue).values(
                round_id=1, track_id=B, lane="disputed", position=9, propensity=1.0, reason="r", state="pending"
            )
        )
    say(world, "different", B, A)
    name(world, C, "FF")
    record_events(world, [event("unknown", A), event("unknown", B)])

    def wrong() -> set[int]:
        with world.read() as conn:
            return set(items_that_should_not_wait(conn))

    assert wrong() == set()
    with world.write() as conn:
        conn.execute(sa.update(s.acquisition_queue).values(state="pending"))
    assert wrong() == {items[frozenset({A, B})], items[frozenset({C, D})]}
    with world.write() as conn:
        conn.execute(sa.update(s.track).where(s.track.c.track_id == E).values(state="junk"))
    assert wrong() == set(items.values())


def test_a_plan_is_due_when_either_kind_runs_low_and_pairs_train_no_head(world: Database, settings: Settings) -> None:
    """A hundred names that wait help no volunteer, and fifty "same" answers are no reason to fit the head again."""
    acquisition = settings.acquisition.model_copy(update={"low_water": 2})
    settings = settings.model_copy(update={"acquisition": acquisition})
    with world.write() as conn:
        conn.execute(
            sa.insert(s.embedding_file).values(
                model_id=EMBEDDER, bundle_id=1, uri="e", content_hash="0" * 64, n_tracks=6, created_at=START
            )
        )
        conn.execute(sa.update(s.model).where(s.model.c.model_id == HEAD).values(parent_id=EMBEDDER))
    pairs = [(A, B), (A, C), (A, D), (A, E), (B, C)]
    plan(
        world,
        [A, B, C, *(one for one, _ in pairs)],
        lanes=["typical"] * 3 + ["pairs"] * 5,
        other_track_ids=[None] * 3 + [other for _, other in pairs],
        head_model_id=HEAD,
    )

    def due() -> tuple[bool, str]:
        with world.read() as conn:
            found = queue_due(conn, settings)
        return found.due, found.reason

    assert due() == (False, "3 items are waiting")
    for one, other in pairs[:3]:
        say(world, "different", one, other)
    assert due() == (False, "3 items are waiting")
    say(world, "different", *pairs[3])
    assert due() == (True, "1 of 5 pairs are waiting")
    with world.read() as conn:
        assert labels_due(conn, settings, START).reason.startswith("0 new labels")
        assert status_of(conn).queue == {"pending": 3}
        assert status_of(conn).pairs == {"answered": 4, "pending": 1}
