"""Split and merge: what they do to tracks, answers and questions, and that taking them back leaves no trace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.labels.answers import effective_answers, effective_pair_answers
from chimp_assets.database.labels.events import LabelEvent, record_events
from chimp_assets.database.labels.rewriting.cutting import forget_undone
from chimp_assets.database.upkeep.integrity import check_database
from chimp_assets.database.work.queue import claim
from chimp_assets_tests.database.world import event, make_world, plan, track

T, U, V = track(1), track(1, 1), track(1, 2)
EVERYTHING = (
    s.track, s.detection, s.standing_answer, s.answer_heir, s.acquisition_queue, s.reference_photo, s.prediction,
)  # fmt: skip


def say(db: Database, *events: LabelEvent) -> list[str]:
    results = record_events(db, events)
    assert [r.reason for r in results if r.status == "rejected"] == []
    return [event.annotation_id for event in events]


def refused(db: Database, event: LabelEvent) -> str:
    (result,) = record_events(db, [event])
    assert result.status == "rejected"
    return str(result.reason)


def live(db: Database, video_id: int = 1) -> dict[int, tuple[int, int, int]]:
    k = s.track.c
    with db.read() as conn:
        rows = conn.execute(sa.select(s.track).where(k.video_id == video_id, k.state == "live").order_by(k.track_id))
        return {row.track_id: (row.first_frame_no, row.last_frame_no, row.n_detections) for row in rows}


def made_by(db: Database, annotation_id: str) -> list[int]:
    h = s.track_heir.c
    with db.read() as conn:
        heirs = sa.select(h.heir_track_id).where(h.annotation_id == annotation_id).distinct().order_by(h.heir_track_id)
        return list(conn.scalars(heirs))


def names(db: Database, watermark: int | None = None) -> dict[int, str]:
    """What stands: the code where somebody is named, else the kind."""
    with db.read() as conn:
        answer = effective_answers(watermark).subquery().c
        rows = conn.execute(
            sa.select(answer.track_id, answer.kind, s.individual.c.anim_id).outerjoin(
                s.individual, s.individual.c.individual_id == answer.individual_id
            )
        )
        return {row.track_id: row.anim_id or row.kind for row in rows}


def contents(db: Database, tables: Sequence[sa.Table] = EVERYTHING) -> dict[str, list[Any]]:
    with db.read() as conn:
        return {t.name: sorted(map(tuple, conn.execute(sa.select(t)).all()), key=repr) for t in tables}


def without(tables: dict[str, list[Any]], name: str) -> dict[str, list[Any]]:
    return {key: rows for key, rows in tables.items() if key != name}


def waiting(db: Database) -> dict[int, str]:
    q = s.acquisition_queue.c
    with db.read() as conn:
        rows = conn.execute(sa.select(q.track_id, q.lane).where(q.state.in_(("pending", "leased"))))
        return {row.track_id: row.lane for row in rows}


def forgotten(db: Database) -> int:
    """What the next plan does first: the page may not delete a box."""
    with db.write() as conn:
        return forget_undone(conn)


def is_well(db: Database) -> None:
    assert [ill for ill in check_database(db) if "outside its shard" not in ill] == [], "the world has no real shards"


def test_a_split_makes_two_tracks_that_are_asked_next_and_the_old_name_counts_for_neither(db: Database) -> None:
    """A name for two animals is wrong for one of them; nobody knows for which."""
    make_world(db)
    plan(db, [T, V], lanes=["audit", "typical"], propensity=[0.25, 1.0])
    say(db, event("identify", T, "FF"))
    (item,) = [i for i in claim(db, "anna", 5, 10) if i.track_id == V]
    (cut,) = say(db, event("split", T, frame_no=4))
    first, second = made_by(db, cut)
    assert live(db) == {U: (0, 9, 10), V: (0, 9, 10), first: (0, 3, 4), second: (4, 9, 6)}
    assert first % s.TRACKS_PER_VIDEO >= s.TRACKS_PER_VIDEO // 2, "numbers that no tracker gives"
    assert names(db) == {}
    assert item.track_id == V
    with db.read() as conn:
        rows = conn.execute(sa.select(s.track).where(s.track.c.track_id.in_((first, second)))).all()
        assert {row.parent_track_id for row in rows} == {T}
        assert all(0 < row.quality < 1 for row in rows)
        seen = conn.execute(sa.select(sa.text("track_id, status FROM v_track_identity WHERE video_id = 1"))).all()
        assert {tuple(row) for row in seen} == {(i, "unlabelled") for i in (U, V, first, second)}
        boxes = conn.execute(sa.select(s.detection.c.track_id, sa.func.count()).group_by(s.detection.c.track_id)).all()
        assert {row[0]: row[1] for row in boxes if row[0] in (T, first, second)} == {T: 10, first: 4, second: 6}
    is_well(db)


def test_both_parts_take_the_place_of_the_question(db: Database) -> None:
    """The person who cut a track is the one who sees best who is who."""
    make_world(db)
    plan(db, [T, V], lanes=["audit", "typical"], propensity=[0.25, 1.0])
    held = {item.track_id: item for item in claim(db, "anna", 1, 10)}
    (cut,) = say(db, event("split", T, frame_no=4, item_id=held[T].item_id))
    asked = claim(db, "anna", 5, 10)
    assert [(i.track_id, i.lane, i.propensity) for i in asked[:2]] == [(i, "audit", 0.25) for i in made_by(db, cut)]
    assert asked[2].track_id == V
    say(db, event("identify", asked[0].track_id, "FF", item_id=asked[0].item_id))
    assert names(db) == {asked[0].track_id: "FF"}
    is_well(db)


def test_a_split_that_is_taken_back_leaves_no_trace(db: Database) -> None:
    """A slip of the finger must cost nothing: same tracks, same boxes, same answers, same questions."""
    make_world(db)
    plan(db, [T, U, V])
    say(db, event("identify", T, "FF", annotator="vera"), event("identify", U, "FI"))
    before = contents(db)
    (cut,) = say(db, event("split", T, frame_no=4))
    assert contents(db) != before
    say(db, event("retract", supersedes=cut))
    assert forgotten(db) == 2
    assert forgotten(db) == 0
    after = contents(db)
    assert without(after, "answer_heir") == without(before, "answer_heir")
    assert [row for row in after["answer_heir"] if row[3] is None] == []
    is_well(db)


def test_a_merge_carries_the_one_name_and_keeps_the_better_box(db: Database) -> None:
    """One animal, lost behind a trunk for a second: what is known of one half is known of the whole."""
    make_world(db)
    d = s.detection.c
    with db.write() as conn:
        conn.execute(sa.update(s.detection).where(d.track_id == U, d.frame_no < 5).values(score=0.95))
    plan(db, [T, U, V])
    say(db, event("identify", T, "FF"), event("unknown", U))
    before = contents(db)
    (join,) = say(db, event("merge", T, other_track_id=U))
    (whole,) = made_by(db, join)
    assert live(db) == {V: (0, 9, 10), whole: (0, 9, 10)}
    assert names(db) == {whole: "FF"}, "a name says more than that somebody could not name it"
    with db.read() as conn:
        x = conn.scalars(sa.select(d.x).where(d.track_id == whole).order_by(d.frame_no)).all()
    assert [round(one, 2) for one in x] == [0.1] * 5 + [0.0] * 5
    is_well(db)
    say(db, event("retract", supersedes=join))
    is_well(db)
    forgotten(db)
    assert without(contents(db), "answer_heir") == without(before, "answer_heir")
    is_well(db)


def test_pairs_follow_a_merge(db: Database) -> None:
    """Whoever said that V is another animal than T said it of what T became; that T and U are one needs no answer."""
    make_world(db)
    say(db, event("different", T, other_track_id=V), event("same", T, other_track_id=U))
    (join,) = say(db, event("merge", T, other_track_id=U))
    (whole,) = made_by(db, join)
    with db.read() as conn:
        rows = conn.execute(effective_pair_answers()).all()
    assert [(r.track_id, r.other_track_id, r.kind) for r in rows] == [(min(V, whole), max(V, whole), "different")]


def test_tracks_of_two_videos_cannot_be_merged(db: Database) -> None:
    make_world(db)
    assert "two videos" in refused(db, event("merge", T, other_track_id=track(2)))


def test_a_past_moment_is_read_again_exactly_whatever_was_cut_joined_and_taken_back(db: Database) -> None:
    """A training set is rebuilt from its watermark: a later cut must not reach into it."""
    make_world(db)
    say(db, event("identify", T, "FF"), event("identify", U, "FI", annotator="vera"))
    moments = [names(db)]
    (join,) = say(db, event("merge", T, other_track_id=U))
    (whole,) = made_by(db, join)
    moments.append(names(db))
    for one in (
        event("identify", whole, "GM"),
        event("identify", V, "FD"),
        event("split", V, frame_no=5),
        event("retract", supersedes=join),
    ):
        say(db, one)
        moments.append(names(db))
    assert [names(db, 2 + n) for n in range(len(moments))] == moments
    first, named = {T: "FF", U: "FI"}, {whole: "GM"}
    assert moments == [first, {whole: "FF"}, named, named | {V: "FD"}, named, first]


def test_names_of_both_parts_come_back_to_the_whole_only_if_they_agree(db: Database) -> None:
    """Answers to parts are never lost: one name for both is the name of the whole, all else stays on record."""
    make_world(db)
    (cut,) = say(db, event("split", T, frame_no=4))
    first, second = made_by(db, cut)
    say(db, event("identify", first, "FF"), event("identify", second, "FF"))
    say(db, event("retract", supersedes=cut))
    assert names(db) == {T: "FF"}
    (cut,) = say(db, event("split", U, frame_no=4))
    first, second = made_by(db, cut)
    say(db, event("identify", first, "FF"), event("identify", second, "FI"))
    say(db, event("retract", supersedes=cut))
    assert names(db) == {T: "FF"}
    # A late answer of somebody who was offline makes them agree.
    say(db, event("identify", second, "FF"))
    assert names(db) == {T: "FF", U: "FF"}
    is_well(db)


def test_a_late_answer_about_a_track_that_was_joined_counts_for_the_whole(db: Database) -> None:
    make_world(db)
    plan(db, [T, U])
    items = {i.track_id: i.item_id for i in claim(db, "vera", 5, 10)}
    (join,) = say(db, event("merge", T, other_track_id=U))
    (whole,) = made_by(db, join)
    assert waiting(db) == {whole: "typical"}
    say(db, event("identify", U, "GM", annotator="vera", item_id=items[U]))
    assert names(db) == {whole: "GM"}
    assert waiting(db) == {}
    is_well(db)


def test_a_late_answer_about_a_track_that_was_split_is_stored_and_counts_for_nobody(db: Database) -> None:
    make_world(db)
    say(db, event("split", T, frame_no=4), event("identify", T, "GM", annotator="vera"))
    assert names(db) == {}
    with db.read() as conn:
        rows = conn.execute(sa.select(sa.text("track_id, anim_id, now_track_id FROM v_gone_answer"))).all()
    assert [tuple(row) for row in rows] == [(T, "GM", None)]


def test_the_later_of_two_cuts_is_taken_back_first(db: Database) -> None:
    make_world(db)
    before = contents(db)
    (cut,) = say(db, event("split", T, frame_no=6))
    first, _ = made_by(db, cut)
    (again,) = say(db, event("split", first, frame_no=3))
    (join,) = say(db, event("merge", made_by(db, again)[1], other_track_id=U))
    assert f"take back the split number 2 by anna (event {again}) first" in refused(
        db, event("retract", supersedes=cut)
    )
    assert f"merge number 3 by anna (event {join}) first" in refused(db, event("retract", supersedes=again))
    for one in (join, again, cut):
        say(db, event("retract", supersedes=one))
    forgotten(db)
    after = contents(db)
    # A track that a later event names stays on record, as does where its answers went.
    after["track"] = [row for row in after["track"] if "undone" not in row]
    assert without(after, "answer_heir") == without(before, "answer_heir")
    is_well(db)


def test_the_second_of_two_people_cuts_what_is_there(db: Database) -> None:
    """Two phones were offline; both cut the same track. The same cut again changes nothing, another one cuts a part."""
    make_world(db)
    say(db, event("split", T, frame_no=6))
    (same, other) = say(
        db, event("split", T, frame_no=6, annotator="rita"), event("split", T, frame_no=3, annotator="rita")
    )
    assert made_by(db, same) == []
    assert sorted(live(db).values()) == [(0, 2, 3), (0, 9, 10), (0, 9, 10), (3, 5, 3), (6, 9, 4)]
    assert len(made_by(db, other)) == 2
    is_well(db)


def test_the_same_events_make_the_same_tracks_in_another_home(db: Database, another_db: Database) -> None:
    """Labels go from home to home as files: what was said of a part must find that part."""
    for one in (db, another_db):
        make_world(one)
    cut = event("split", T, frame_no=4)
    record_events(another_db, [event("split", T, frame_no=8), event("split", V, frame_no=2)])
    say(db, cut)
    second = made_by(db, cut.annotation_id)[1]
    named = event("identify", second, "FF")
    say(db, named)
    record_events(another_db, [event("merge", U, other_track_id=V)])
    fresh = [cut, named]
    for _ in range(2):
        record_events(another_db, fresh)
    say(db, cut, named)
    assert names(db) == {second: "FF"}
    is_well(db)
    is_well(another_db)
