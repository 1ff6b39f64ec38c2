"""Label events: stored once, numbered in commit order, never refused without a sentence, never lost."""

from __future__ import annotations

import dataclasses
import multiprocessing
import threading
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.labels.events import EventResult, LabelEvent, last_seq, record_events
from chimp_assets.database.labels.label_event import provisional_anim_id
from chimp_assets.database.people.users import disable_user
from chimp_assets_tests.database.labels.reading import record_one, standing, stored
from chimp_assets_tests.database.world import (
    event,
    make_world,
    track,
)  # fmt: skip


def test_an_event_is_stored_as_it_was_said(db: Database) -> None:
    """What the expert said is the one thing that cannot be computed again."""
    make_world(db)
    at = datetime(2026, 5, 6, 14, 30, 0, 123456, tzinfo=UTC)
    told = event(
        "identify", track(1), "ff", note="Notch, left ear — sûre", seconds=2.5, client_time=at, shown='{"model": 7}'
    )
    assert record_one(db, told) == EventResult(told.annotation_id, "stored", 1)
    (row,) = stored(db)
    assert (row.kind, row.track_id, row.note, row.shown, row.seconds, row.client_time, row.lane) == (
        "identify",
        track(1),
        "Notch, left ear — sûre",
        '{"model": 7}',
        2.5,
        at,
        "free",
    )
    assert row.server_time.tzinfo is not None
    assert standing(db) == {track(1): "identify"}


def test_sending_an_event_again_stores_nothing(db: Database) -> None:
    """A lost acknowledgement makes the page send again; elsewhere one volunteer doubled 445 answers that way."""
    make_world(db)
    told = event("identify", track(1), "FF", client_time=datetime(2026, 1, 1, tzinfo=UTC))
    again = dataclasses.replace(told, client_time=None, note="sent again", annotation_id=told.annotation_id.upper())
    results = record_events(db, [told, again])
    assert [(result.status, result.seq) for result in results] == [("stored", 1), ("duplicate", 1)]
    assert record_one(db, told).status == "duplicate"
    disable_user(db, "anna")
    assert record_one(db, told) == EventResult(told.annotation_id, "duplicate", 1)
    assert len(stored(db)) == 1


def test_an_id_never_changes_its_meaning(db: Database) -> None:
    """A client that reuses an id would otherwise be told 'duplicate' and lose its answer."""
    make_world(db)
    told = event("identify", track(1), "FF")
    record_events(db, [told])
    for other in (
        dataclasses.replace(told, anim_id="GM"),
        dataclasses.replace(told, track_id=track(1, 1)),
        dataclasses.replace(told, annotator="rita"),
        dataclasses.replace(told, kind="unknown", anim_id=None),
    ):
        result = record_one(db, other)
        assert result.status == "rejected"
        assert result.reason is not None
        assert result.reason.startswith("id_reused")
    assert len(stored(db)) == 1


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no such track": ({"kind": "unknown", "track_id": 99}, "track_id"),
    "no track": ({"kind": "unknown"}, "track_id"),
    "no such individual": ({"kind": "identify", "track_id": track(1), "anim_id": "NOBODY"}, "anim_id"),
    "no individual": ({"kind": "identify", "track_id": track(1)}, "anim_id"),
    "no such user": ({"kind": "unknown", "track_id": track(1), "annotator": "nobody"}, "annotator"),
    "a disabled user": ({"kind": "unknown", "track_id": track(1), "annotator": "vito"}, "annotator"),
    "a viewer": ({"kind": "unknown", "track_id": track(1), "annotator": "lotte"}, "annotator"),
    "no such kind": ({"kind": "guess", "track_id": track(1)}, "kind"),
    "no such lane": ({"kind": "unknown", "track_id": track(1), "lane": "fast"}, "lane"),
    "no UUID": ({"kind": "unknown", "track_id": track(1), "annotation_id": "1"}, "annotation_id"),
    "a name where none belongs": ({"kind": "unknown", "track_id": track(1), "anim_id": "FF"}, "anim_id"),
    "nothing to take back": ({"kind": "retract", "supersedes": str(uuid.uuid4())}, "supersedes"),
    "a retraction of nothing": ({"kind": "retract"}, "supersedes"),
    "a track with itself": ({"kind": "same", "track_id": track(1), "other_track_id": track(1)}, "other_track_id"),
    "a pair of one": ({"kind": "different", "track_id": track(1)}, "other_track_id"),
    "a split before the track": ({"kind": "split", "track_id": track(1), "frame_no": 0}, "frame_no"),
    "a split after the track": ({"kind": "split", "track_id": track(1), "frame_no": 10}, "frame_no"),
    "a box outside": ({"kind": "box", "video_id": 1, "frame_no": 0, "x": 0.9, "y": 0, "w": 0.2, "h": 0.1}, "x"),
    "a box of nothing": ({"kind": "box", "video_id": 1, "frame_no": 0, "x": 0.9, "y": 0, "w": 0.0, "h": 0.1}, "x"),
    "a box of NaN": ({"kind": "box", "video_id": 1, "frame_no": 0, "x": float("nan"), "y": 0, "w": 1, "h": 1}, "x"),
    "a box without sides": ({"kind": "box", "video_id": 1, "frame_no": 0}, "x"),
    "a box on no frame": ({"kind": "box", "video_id": 1, "frame_no": 10, "x": 0, "y": 0, "w": 1, "h": 1}, "frame_no"),
    "a box in no video": ({"kind": "box", "video_id": 9, "frame_no": 1, "x": 0, "y": 0, "w": 1, "h": 1}, "video_id"),
    "a track of another video": ({"kind": "unknown", "track_id": track(1), "video_id": 2}, "video_id"),
    "a negative time": ({"kind": "unknown", "track_id": track(1), "seconds": -1.0}, "seconds"),
    "an endless time": ({"kind": "unknown", "track_id": track(1), "seconds": float("inf")}, "seconds"),
    "no chance": ({"kind": "unknown", "track_id": track(1), "propensity": 0.0}, "propensity"),
    "a zoneless time": ({"kind": "skip", "track_id": track(1), "client_time": datetime(2026, 1, 1)}, "client_time"),
    "a page that shows no JSON": ({"kind": "unknown", "track_id": track(1), "shown": "{"}, "shown"),
    "a novel": ({"kind": "unknown", "track_id": track(1), "note": "x" * 2001}, "note"),
    "no such item": ({"kind": "unknown", "track_id": track(1), "item_id": 7}, "item_id"),
}  # fmt: skip


def test_what_cannot_be_true_is_refused_with_the_field_and_leaves_no_gap(db: Database) -> None:
    """A gap in seq makes 'all up to n' a lie; a refusal without a reason is a lost answer."""
    make_world(db, videos=2)
    disable_user(db, "vito")
    good = [event("unknown", track(2, ordinal)) for ordinal in range(2)]
    bad = [event(**fields) for fields, _ in WRONG.values()]
    results = record_events(db, [good[0], *bad, good[1]])
    refused = dict(zip(WRONG, results[1:-1], strict=True))
    assert {name: (r.status, r.field) for name, r in refused.items()} == {
        name: ("rejected", field) for name, (_, field) in WRONG.items()
    }
    assert all(result.reason and " " in result.reason for result in refused.values())
    assert [row.seq for row in stored(db)] == [1, 2]
    with db.read() as conn:
        assert last_seq(conn) == 2


def test_nothing_of_a_batch_is_stored_when_all_was_asked_for(db: Database) -> None:
    """Half of a grid of confirmations is worse than none."""
    make_world(db)
    batch = [event("new_individual", track(1), "NEW-1"), event("unknown", 99), event("unknown", track(1, 1))]
    results = record_events(db, batch, all_or_nothing=True)
    assert [result.status for result in results] == ["rejected"] * 3
    assert results[1].field == "track_id"
    assert stored(db) == []
    with db.read() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(s.individual)) == 4
    assert [result.seq for result in record_events(db, batch[2:], all_or_nothing=True)] == [1]


def test_taking_back_has_its_rules(db: Database) -> None:
    """Undo is for one's own answers, for those who review, and once."""
    make_world(db)
    said, experts = event("identify", track(1), "GM", annotator="vera"), event("unknown", track(1, 1))
    record_events(db, [said, experts])

    def take_back(what: LabelEvent, who: str) -> EventResult:
        return record_one(db, event("retract", supersedes=what.annotation_id, annotator=who))

    assert take_back(said, "vito").field == "annotator"
    assert take_back(experts, "vera").field == "annotator"
    back = event("retract", supersedes=said.annotation_id, annotator="vera")
    assert record_one(db, back).status == "stored"
    assert record_one(db, back).status == "duplicate"
    assert take_back(said, "anna").reason == "this event was already taken back"
    assert take_back(back, "anna").field == "supersedes"
    assert take_back(experts, "rita").status == "stored"
    assert standing(db) == {}


def test_an_answer_and_its_retraction_in_one_batch_are_both_stored(db: Database) -> None:
    """An offline page sends the answer and its undo together."""
    make_world(db)
    said = event("identify", track(1), "FF")
    results = record_events(db, [said, event("retract", supersedes=said.annotation_id)])
    assert [result.status for result in results] == ["stored", "stored"]
    assert standing(db) == {}


def test_a_new_individual_is_made_once_and_can_be_named_at_once(db: Database) -> None:
    """The same newcomer in the next track must not become a second newcomer."""
    make_world(db)
    events = [
        event("new_individual", track(1), "new-3", name="Torn Ear"),
        event("identify", track(1, 1), "NEW-3"),
        event("new_individual", track(1, 2), "NEW-3"),
        event("new_individual", track(2)),
    ]
    assert [result.status for result in record_events(db, events)] == ["stored"] * 4
    assert [result.status for result in record_events(db, events)] == ["duplicate"] * 4
    with db.read() as conn:
        made = conn.execute(sa.select(s.individual).where(s.individual.c.provisional)).all()
    code = provisional_anim_id(events[3].annotation_id)
    assert sorted((row.anim_id, row.name) for row in made) == sorted([("NEW-3", "Torn Ear"), (code, None)])
    assert len({row.individual_id for row in stored(db)}) == 2


def test_an_alias_names_its_individual_whatever_its_case(db: Database) -> None:
    """Old note books use old codes."""
    make_world(db)
    with db.write() as conn:
        fifi = conn.scalar(sa.select(s.individual.c.individual_id).where(s.individual.c.anim_id == "FF"))
        conn.execute(sa.insert(s.individual_alias).values(individual_id=fifi, alias="Old Fifi"))
    told = event("identify", track(1), "old fifi")
    record_events(db, [told])
    assert stored(db)[0].individual_id == fifi
    assert record_one(db, dataclasses.replace(told, anim_id="FF")).status == "duplicate"


def test_more_events_than_a_statement_has_parameters(db: Database) -> None:
    """SQL Server takes 2,100 parameters, SQLite 32,766; an import has more rows."""
    make_world(db, videos=1, tracks=1)
    results = record_events(db, [event("unknown", track(1)) for _ in range(1_200)])
    assert [result.seq for result in results] == list(range(1, 1_201))


def _answer(db: Database, who: str, n: int, seen: list[tuple[int, int]] | None = None) -> None:
    for index in range(n):
        told = event("unknown", track(1 + index % 2, index % 3), annotator=who)
        results = record_events(db, [told, told])
        assert [result.status for result in results] == ["stored", "duplicate"]
        if seen is not None:
            with db.read() as conn:
                newest = last_seq(conn)
                count = conn.scalar(
                    sa.select(sa.func.count()).select_from(s.annotation).where(s.annotation.c.seq <= newest)
                )
                seen.append((newest, int(count or 0)))


def test_who_has_seen_a_number_has_seen_all_before_it(db: Database) -> None:
    """Else a training set with watermark n misses an answer that commits later with a smaller number, for ever."""
    make_world(db)
    seen: list[tuple[int, int]] = []
    threads = [
        threading.Thread(target=_answer, args=(Database(db.url), who, 8, seen)) for who in ("anna", "rita", "vera")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 24
    assert all(newest == count for newest, count in seen)
    assert [row.seq for row in stored(db)] == list(range(1, 25))


def test_processes_number_their_events_without_gap_or_double(db: Database) -> None:
    """The page and the command line write at once."""
    make_world(db)
    db.dispose()
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=_answer, args=(db, who, 6)) for who in ("anna", "rita", "vera")]
    for child in children:
        child.start()
    for child in children:
        child.join(120)
    assert [child.exitcode for child in children] == [0, 0, 0]
    assert [row.seq for row in stored(db)] == list(range(1, 19))


@pytest.mark.parametrize("field", ["kind", "lane"])
def test_the_database_itself_refuses_words_it_does_not_know(db: Database, field: str) -> None:
    """Rows that reach the table by another way meet the same rule."""
    make_world(db)
    record_events(db, [event("unknown", track(1))])
    with pytest.raises(sa.exc.IntegrityError), db.write() as conn:
        conn.execute(sa.update(s.annotation).values({field: "guess"}))
