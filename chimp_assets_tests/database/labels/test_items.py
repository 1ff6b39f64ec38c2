"""What events do to the queue items that asked: answered, skipped, withdrawn, asked again."""

from __future__ import annotations

import time

import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.bulk import insert_one
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.individuals.merges import merge_individuals
from chimp_assets.database.labels.answers import effective_answers, effective_pair_answers
from chimp_assets.database.labels.events import record_events
from chimp_assets.database.work.queue import claim
from chimp_assets_tests.database.labels.reading import A, B, C, D, record_one, stored
from chimp_assets_tests.database.world import (
    event,
    item_states,
    make_world,
    plan,
    plan_pairs,
    states_of_items,
    track,
)  # fmt: skip


def test_answers_settle_the_items_that_asked_and_take_lane_and_chance_from_them(db: Database) -> None:
    """The audit lane is unbiased only if the queue, not the page, says which answers belong to it."""
    make_world(db, tracks=5)
    plan(db, [track(1, ordinal) for ordinal in range(5)], lane="audit")
    items = {item.track_id: item for item in claim(db, "anna", 3, 15)}
    record_events(
        db,
        [
            event("identify", track(1, 0), "FF", item_id=items[track(1, 0)].item_id, lane="typical"),
            event("skip", track(1, 1), item_id=items[track(1, 1)].item_id),
            event("unknown", track(1, 3), annotator="vera"),
            event("box", track(1, 4), video_id=1, frame_no=0, x=0.0, y=0.0, w=1.0, h=1.0),
        ],
    )
    assert list(item_states(db).values()) == ["answered", "skipped", "leased", "answered", "pending"]
    first, _, unasked, _ = stored(db)
    assert (first.lane, first.propensity, first.item_id) == ("audit", 0.5, items[track(1, 0)].item_id)
    assert (unasked.lane, unasked.propensity, unasked.item_id) == ("free", None, None)


def test_a_late_answer_to_a_withdrawn_item_counts(db: Database) -> None:
    """An answer made offline during a new plan is still an answer."""
    make_world(db)
    plan(db, [track(1)])
    (item,) = claim(db, "anna", 1, lease_minutes=0.0001)
    time.sleep(0.02)
    plan(db, [track(1, 1)])
    assert item_states(db)[track(1)] == "withdrawn"
    assert record_one(db, event("identify", track(1), "FF", item_id=item.item_id)).status == "stored"
    assert item_states(db)[track(1)] == "answered"
    assert stored(db)[0].lane == "typical"


def test_an_item_of_another_track_is_refused(db: Database) -> None:
    """An off-by-one in a page would put every answer on its neighbour."""
    make_world(db)
    plan(db, [track(1), track(1, 1)])
    item = claim(db, "anna", 1, 15)[0]
    assert item.track_id == track(1)
    assert record_one(db, event("identify", track(1, 1), "FF", item_id=item.item_id)).field == "item_id"


def test_a_retraction_asks_again_unless_another_answer_stands(db: Database) -> None:
    """Undo must bring the question back; and never ask what somebody else has answered."""
    make_world(db)
    plan(db, [track(1), track(1, 1), track(1, 2)])
    items = {item.track_id: item.item_id for item in claim(db, "anna", 3, 15)}
    asked = event("identify", track(1), "FF", item_id=items[track(1)])
    unasked = event("identify", track(1, 1), "FF")
    skipped = event("skip", track(1, 2), item_id=items[track(1, 2)])
    record_events(db, [asked, unasked, skipped, event("unknown", track(1, 1), annotator="vera")])
    assert list(item_states(db).values()) == ["answered", "answered", "skipped"]
    record_events(db, [event("retract", supersedes=e.annotation_id) for e in (asked, unasked, skipped)])
    assert list(item_states(db).values()) == ["pending", "answered", "pending"]
    again = event("identify", track(1), "GM", item_id=items[track(1)])
    record_events(db, [again, event("retract", supersedes=again.annotation_id), event("unknown", track(1))])
    assert item_states(db)[track(1)] == "answered"
    assert {item.track_id for item in claim(db, "vera", 5, 15)} == {track(1, 2)}


def test_answers_about_a_pair_settle_its_items_and_say_nothing_of_a_track(db: Database) -> None:
    """A volunteer's "cannot tell" about two tracks would else take both from the expert's queue, unnamed for ever."""
    make_world(db)
    plan(db, [A], lane="typical")
    items = plan_pairs(db, [(A, B), (A, C), (A, D), (B, C)])
    ids = [items[frozenset(pair)] for pair in ((A, B), (A, C), (A, D), (B, C))]
    results = record_events(
        db,
        [
            event("same", B, other_track_id=A, item_id=ids[0], annotator="vera"),
            event("cannot_tell", A, other_track_id=C, item_id=ids[1], annotator="vera"),
            event("skip", A, other_track_id=D, annotator="vera"),
            event("different", C, other_track_id=B, annotator="vito"),
        ],
    )
    assert {result.status for result in results} == {"stored"}
    assert states_of_items(db, ids) == ["answered", "answered", "skipped", "answered"]
    assert [row.lane for row in stored(db)] == ["pairs", "pairs", "free", "free"]
    with db.read() as conn:
        assert conn.execute(effective_answers()).all() == []
        assert conn.execute(sa.text("SELECT * FROM v_effective_answer")).all() == []
        found = conn.execute(effective_pair_answers().order_by(sa.text("track_id, other_track_id"))).all()
    assert [(row.track_id, row.other_track_id, row.kind, row.role) for row in found] == [
        (A, B, "same", "volunteer"), (A, C, "cannot_tell", "volunteer"), (B, C, "different", "volunteer"),
    ]  # fmt: skip


def test_a_retraction_asks_a_pair_again_unless_it_is_answered(db: Database) -> None:
    """Undo on the volunteers' page, too, must bring back the question."""
    make_world(db)
    items = plan_pairs(db, [(A, B), (A, C), (C, D)])
    asked = event("same", A, other_track_id=B, item_id=items[frozenset({A, B})], annotator="vera")
    unasked = event("different", C, other_track_id=A, annotator="vera")
    doubted = event("same", C, other_track_id=D, annotator="vera")
    record_events(db, [asked, unasked, doubted, event("different", C, other_track_id=D, annotator="vito")])
    assert states_of_items(db, items.values()) == ["answered"] * 3
    taken_back = [event("retract", supersedes=e.annotation_id, annotator="vera") for e in (asked, unasked, doubted)]
    assert {result.status for result in record_events(db, taken_back)} == {"stored"}
    assert states_of_items(db, items.values()) == ["pending", "pending", "answered"]
    again = event("same", A, other_track_id=B, annotator="vera")
    record_events(db, [again, event("identify", A, "FF")])
    record_events(db, [event("retract", supersedes=again.annotation_id, annotator="vera")])
    assert states_of_items(db, items.values()) == ["answered", "withdrawn", "answered"], "A has a name now"


def test_a_name_withdraws_the_pairs_of_its_track_and_unknown_does_not(db: Database) -> None:
    """Minutes of volunteers for what the expert has said; but an animal that nobody knows is what pairs are for."""
    make_world(db)
    items = plan_pairs(db, [(A, B), (C, D)])
    disputed = plan_pairs(db, [(A, C)], lane="disputed")
    with db.write() as conn:
        conn.execute(sa.update(s.acquisition_queue).values(state="pending"))
    claim(db, "vera", 1, 15, lanes=["pairs"])
    record_events(db, [event("unknown", A), event("unknown", C)])
    assert states_of_items(db, items.values()) == ["leased", "pending"]
    record_events(db, [event("identify", B, "FF"), event("not_animal", D)])
    assert states_of_items(db, [*items.values(), *disputed.values()]) == ["withdrawn", "withdrawn", "pending"]
    late = event("same", A, other_track_id=B, item_id=items[frozenset({A, B})], annotator="vera")
    assert record_one(db, late).status == "stored"
    assert states_of_items(db, items.values()) == ["answered", "withdrawn"]


def _ask_whether(db: Database, track_id: int, anim_id: str) -> int:
    """An item of the lane is_it, in a round that asks about another track by name."""
    round_id = plan(db, [track(2, 2)])
    with db.write() as conn:
        who = conn.scalar(sa.select(s.individual.c.individual_id).where(s.individual.c.anim_id == anim_id))
        return insert_one(
            conn, s.acquisition_queue, round_id=round_id, track_id=track_id, individual_id=who, lane="is_it",
            position=9, propensity=0.25, reason="is it", state="pending",
        )  # fmt: skip


def test_whether_it_is_somebody_waits_for_two_people(db: Database) -> None:
    """One volunteer's word settles nothing, and taking back the second one asks again."""
    make_world(db)
    item = _ask_whether(db, track(1), "FF")

    def say(kind: str, who: str, code: str | None = "FF") -> str:
        return record_one(db, event(kind, track(1), code, annotator=who, item_id=item)).annotation_id

    say("skip", "vito", None)
    assert states_of_items(db, [item]) == ["pending"]
    say("is_individual", "vera")
    assert states_of_items(db, [item]) == ["pending"]
    second = say("is_individual", "vito")
    assert states_of_items(db, [item]) == ["answered"]
    record_events(db, [event("retract", supersedes=second, annotator="vito")])
    assert states_of_items(db, [item]) == ["pending"]
    # Unasked, and by one who names animals.
    record_events(db, [event("not_individual", track(1), "FF")])
    assert states_of_items(db, [item]) == ["answered"]
    with db.read() as conn:
        a = s.annotation.c
        said = conn.execute(sa.select(a.lane, a.propensity, a.item_id).where(a.kind != "retract").order_by(a.seq)).all()
    assert said == [("is_it", 0.25, item)] * 3 + [("free", None, None)]


def test_who_is_asked_whether_it_is_one_may_say_that_it_is_another(db: Database) -> None:
    """It is stored, and does not count as an answer to what was asked; a name ends the question."""
    make_world(db)
    merge_individuals(db, "FI", "FF", force=True)
    item = _ask_whether(db, track(1), "FF")
    record_one(db, event("is_individual", track(1), "GM", annotator="vera", item_id=item))
    record_one(db, event("is_individual", track(1), "FI", annotator="vera", item_id=item))
    with db.read() as conn:
        assert list(conn.scalars(sa.select(s.annotation.c.item_id).order_by(s.annotation.c.seq))) == [None, item]
    (refused,) = record_events(db, [event("is_individual", track(1, 1), "FF", annotator="vera", item_id=item)])
    assert refused.reason == f"queue item {item} does not ask about this track"
    record_one(db, event("identify", track(1), "GM", item_id=item))
    assert states_of_items(db, [item]) == ["withdrawn"]


def test_an_answer_must_be_about_both_tracks_of_its_pair(db: Database) -> None:
    """A name sent with a pair's item would settle a question that it does not answer."""
    make_world(db)
    item = plan_pairs(db, [(A, B)])[frozenset({A, B})]
    for wrong in (
        event("identify", A, "FF", item_id=item),
        event("cannot_tell", A, item_id=item),
        event("same", A, other_track_id=C, item_id=item),
    ):
        assert record_one(db, wrong).field == "item_id"
    assert record_one(db, event("skip", A, other_track_id=A)).field == "other_track_id"
    assert states_of_items(db, [item]) == ["pending"]
