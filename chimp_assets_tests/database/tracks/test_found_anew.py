"""A new detector on an archive that was tracked already: what people said follows the animals; none of it is lost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.labels.events import record_events
from chimp_assets.database.tracks.families import measured_mask, reserved_mask
from chimp_assets.database.tracks.found_anew import gone_answers, kept_videos, tracked_before
from chimp_assets.vision.tracking.bundle import JudgedTrack
from chimp_assets.vision.tracking.retracking import RetrackedVideo, retrack_video
from chimp_assets.vision.tracking.tracker import LinkedTrack
from chimp_assets_tests.database.tracks.test_cutting import is_well, live, made_by, names, refused, say, waiting
from chimp_assets_tests.database.world import DETECTOR, event, make_world, plan, track

T, U, V = track(1), track(1, 1), track(1, 2)
NEW = 9


def found(*tracks: tuple[Sequence[int], float], state: str = "live") -> list[JudgedTrack]:
    """Tracks of these frames at an x; those of the world lie at 0, 0.1 and 0.2 and are 0.25 wide."""
    return [
        JudgedTrack(
            LinkedTrack(
                np.array(frames, np.int32),
                np.tile(np.array([x, 0.5, 0.25, 0.25], np.float32), (len(frames), 1)),
                np.full(len(frames), 0.7, np.float32),
            ),
            0.5,
            state,
        )
        for frames, x in tracks
    ]


@pytest.fixture
def world(sqlite_db: Database) -> Database:
    """Tracks T, U, V of video 1 lie apart; another detector is in use."""
    db = sqlite_db
    make_world(db)
    d = s.detection.c
    with db.write() as conn:
        for ordinal in range(3):
            conn.execute(sa.update(s.detection).where(d.detection_no == ordinal).values(x=0.35 * ordinal))
        conn.execute(sa.update(s.model).where(s.model.c.model_id == DETECTOR).values(state="retired"))
        conn.execute(
            sa.insert(s.model).values(
                model_id=NEW, task="detector", version=2, name="network", state="champion", config="{}",
                created_at=datetime.now(UTC),
            )
        )  # fmt: skip
    return db


def anew(db: Database, tracks: list[JudgedTrack], video_id: int = 1) -> RetrackedVideo:
    return retrack_video(db, video_id, tracks, NEW)


def states(db: Database) -> dict[int, str]:
    with db.read() as conn:
        rows = conn.execute(sa.select(s.track.c.track_id, s.track.c.state).where(s.track.c.video_id == 1))
        return {row.track_id: row.state for row in rows}


def test_answers_and_questions_follow_the_animals(world: Database) -> None:
    """Without this a better detector costs every label that was ever given."""
    plan(world, [U, V], lanes=["audit", "typical"], propensity=[0.5, 1.0])
    say(world, event("identify", T, "FF"), event("same", T, other_track_id=V))
    with world.read() as conn:
        assert [one.video_id for one in tracked_before(conn, NEW)] == [1, 2]
    done = anew(world, found((range(10), 0.04), (range(2, 10), 0.33), (range(9), 0.72)))
    assert (done.followed, done.kept, done.unfollowed) == (1, 0, 0)
    one, two, three = live(world)
    assert [i % s.TRACKS_PER_VIDEO for i in (one, two, three)] == [3, 4, 5]
    assert names(world) == {one: "FF"}
    assert waiting(world) == {two: "audit", three: "typical"}
    assert {states(world)[i] for i in (T, U, V)} == {"replaced"}
    with world.read() as conn:
        assert [one.video_id for one in tracked_before(conn, NEW)] == [2], "done is done, whoever runs it again"
        assert conn.scalar(sa.select(s.bundle.c.changed_at)) is not None, "vectors and names of the new ones are due"
    assert anew(world, found((range(10), 0.0))).done is False
    is_well(world)


def test_an_answer_goes_to_both_halves_and_never_to_two_animals_at_once(world: Database) -> None:
    say(world, event("identify", T, "FF"), event("identify", U, "FI"))
    anew(world, found((range(5), 0.0), (range(5, 10), 0.0), (range(6), 0.35), (range(4, 10), 0.36)))
    first, second, third, fourth = live(world)
    assert names(world) == {first: "FF", second: "FF", third: "FI"}
    assert V not in live(world)
    assert fourth not in names(world), "two of them are there at once, so one is another animal"
    is_well(world)


def test_a_named_animal_that_is_not_found_stays(world: Database) -> None:
    """A sitting animal that an expert named is worth more than a detector that overlooks it."""
    say(world, event("identify", T, "FF"), event("different", U, other_track_id=T))
    done = anew(world, found((range(10), 0.72)))
    assert (done.followed, done.kept, done.unfollowed) == (0, 1, 0)
    assert sorted(live(world)) == [T, U, track(1, 3)]
    assert names(world) == {T: "FF"}
    is_well(world)


def test_what_cannot_follow_is_listed_and_asked_again(world: Database) -> None:
    """Something else lies where the track was: a person must say what."""
    plan(world, [V])
    say(world, event("identify", T, "FF"))
    # It lies on the old track in two of ten frames only, though both have a box in all of them.
    x = [0.0, 0.0] + [0.2] * 8
    boxes = np.array([[one, 0.5, 0.25, 0.25] for one in x], np.float32)
    track_ = LinkedTrack(np.arange(10, dtype=np.int32), boxes, np.full(10, 0.7, np.float32))
    done = anew(world, [JudgedTrack(track_, 0.5, "live")])
    assert (done.followed, done.kept, done.unfollowed) == (0, 0, 1)
    (heir,) = live(world)
    assert names(world) == {}
    assert heir in waiting(world)
    with world.read() as conn:
        (row,) = gone_answers(conn, only_lost=True, states=("replaced",))
    assert (row["track_id"], row["anim_id"], row["now_track_id"]) == (T, "FF", None)
    assert "look at the video" in row["what_to_do"]
    is_well(world)


def test_a_cut_and_two_names_in_one_new_track_cut_it(world: Database) -> None:
    """A person told two animals apart; a detector that follows both as one must not undo that."""
    (cut,) = say(world, event("split", T, frame_no=4))
    first = made_by(world, cut)[0]
    say(world, event("identify", first, "FF"))
    anew(world, found((range(10), 0.0), (range(10), 0.36)))
    assert sorted(live(world).values()) == [(0, 3, 4), (0, 9, 10), (4, 9, 6)]
    (named,) = names(world)
    assert live(world)[named] == (0, 3, 4)
    assert "tracked anew since" in refused(world, event("retract", supersedes=cut))
    is_well(world)


def test_a_video_in_which_a_track_jumps_between_two_animals_stays_as_it_is(world: Database) -> None:
    say(world, event("identify", T, "FF"), event("identify", U, "FI"))
    x = [0.0, 0.0, 0.35, 0.35] * 3
    boxes = np.array([[one, 0.5, 0.25, 0.25] for one in x[:10]], np.float32)
    swinging = LinkedTrack(np.arange(10, dtype=np.int32), boxes, np.full(10, 0.7, np.float32))
    before = live(world)
    done = anew(world, [JudgedTrack(swinging, 0.5, "live")])
    assert "jumps back and forth" in str(done.why_kept)
    assert live(world) == before
    with world.read() as conn:
        assert [(one.uri, one.why) for one in kept_videos(conn)] == [("a/cam1/1.mp4", done.why_kept)]
        assert [one.video_id for one in tracked_before(conn, NEW)] == [2]
    is_well(world)


def test_a_family_keeps_its_place_in_the_audit_reserve(world: Database) -> None:
    """Parts of a track that judged a model must not teach the next one, whatever their numbers are."""
    say(world, event("identify", T, "FF", lane="audit"))
    say(world, event("split", U, frame_no=4))
    anew(world, found((range(10), 0.0), (range(10), 0.35)))
    ids = np.array(sorted(live(world)), np.int64)
    with world.read() as conn:
        for seed in range(40):
            one, part, other = reserved_mask(conn, ids, seed, 0.3)
            whole_t, whole_u = reserved_mask(conn, np.array([T, U]), seed, 0.3, watermark_seq=1)
            assert (one, part, other) == (whole_t, whole_u, whole_u)
        assert measured_mask(conn, ids, 2).tolist() == [True, False, False]
    assert record_events(world, [event("split", ids[0].item(), frame_no=5)])[0].status == "stored"
