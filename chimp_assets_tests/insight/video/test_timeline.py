"""A video's lanes, boxes and neighbours are those of the rows, and what measures the model is not given away."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.labels.events import record_events
from chimp_assets.insight.video.beside import neighbours
from chimp_assets.insight.video.candidates import candidates
from chimp_assets.insight.video.timeline import Appearance, Lane, boxes, sureness, timeline, video_of
from chimp_assets_tests.database.world import HEAD, START, add_video, event, make_world, predict, track


@pytest.fixture
def world(db: Database) -> Database:
    make_world(db)
    record_events(db, [event("identify", track(1, 0), "FF")])
    predict(db, track(1, 1), {"GM": 0.97, "FF": 0.03})
    predict(db, track(1, 2), {"FD": 0.6, "FF": 0.4})
    return db


def sure(db: Database, share: float = 0.0) -> dict[str | None, list[tuple[int, str]]]:
    with db.read() as conn:
        found = timeline(conn, 1, 20, share, 0.9)
    assert found is not None
    return {lane.anim_id: [(one.track_id, one.sure) for one in lane.appearances] for lane in found.lanes}


def test_a_lane_is_an_individual_and_says_how_sure_its_name_is(world: Database) -> None:
    assert sure(world) == {
        "FF": [(track(1, 0), "person")], "GM": [(track(1, 1), "model")], "FD": [(track(1, 2), "unsure")],
    }  # fmt: skip
    with world.read() as conn:
        found = timeline(conn, 1, 20, 0.0, 0.9)
        assert found is not None
        assert len(found.frames) == 10
        assert found.frames[3] == (3, pytest.approx(0.6))
        assert timeline(conn, 99, 20, 0.0, 0.9) is None
        assert video_of(conn, track(1, 1)) == 1
        assert video_of(conn, 5) is None


def test_tracks_that_measure_the_model_show_no_name_of_it(world: Database) -> None:
    """Whoever has read it would repeat it."""
    assert sure(world, share=1.0) == {
        "FF": [(track(1, 0), "person")], None: [(track(1, 1), "nobody"), (track(1, 2), "nobody")],
    }  # fmt: skip
    with world.read() as conn:
        assert [one.present for one in neighbours(conn, 1, 20, 1.0, 0.0).videos] == [["Fifi"]], "nor beside it"
    with world.write() as conn:
        conn.execute(sa.insert(s.split_assignment).values(video_id=1, day_key="d", split="test", assigned_at=START))
    assert None in sure(world)
    with world.read() as conn:
        assert [one.present for one in neighbours(conn, 1, 20, 0.0, 0.0).videos] == [["Fifi"]]


def test_boxes_are_those_of_some_seconds_of_live_tracks(world: Database) -> None:
    with world.read() as conn:
        d = s.detection.c
        every = conn.execute(sa.select(d.frame_no, d.track_id).where(d.video_id == 1)).all()
        assert {row[:2] for row in boxes(conn, 1, 0.0, 60.0)} == {tuple(row) for row in every}
        assert {row[0] for row in boxes(conn, 1, 0.35, 0.85)} == {2, 3, 4}
        for first, last in ((0.0, 61.0), (5.0, 4.0)):
            with pytest.raises(ValueError, match="too many"):
                boxes(conn, 1, first, last)
    with world.write() as conn:
        conn.execute(sa.update(s.track).where(s.track.c.track_id == track(1, 1)).values(state="junk"))
    with world.read() as conn:
        assert {row[1] for row in boxes(conn, 1, 0.0, 60.0)} == {track(1, 0), track(1, 2)}


def test_neighbours_are_of_one_camera_and_day_in_the_order_of_time(world: Database) -> None:
    with world.write() as conn:
        for video_id, hour in ((3, 9), (4, 8)):
            add_video(
                conn, video_id, 1, 4, camera="cam1", recorded_on=START.date(), recorded_at=START.replace(hour=hour)
            )
    record_events(world, [event("identify", track(4), "GM")])
    with world.read() as conn:
        found = neighbours(conn, 1, 20, 0.0, 0.9).videos
        assert [one.video_id for one in found] == [1, 4, 3]
        assert [one.present for one in found] == [["Fifi", "Gremlin"], ["Gremlin"], []]
        assert [one.video_id for one in neighbours(conn, 2, 20, 0.0, 0.9).videos] == [2]
        assert found[0].frame_no == 0, "a stored picture with an animal"
        seen = {one.name: (one.sure, one.spans) for one in found[0].presence}
        assert seen == {
            "Fifi": ("person", [(0.0, pytest.approx(1.8))]), "Gremlin": ("model", [(0.0, pytest.approx(1.8))]),
            None: ("nobody", [(0.0, pytest.approx(1.8))]),
        }  # fmt: skip
        (unnamed,) = found[2].presence
        assert (unnamed.name, unnamed.sure, unnamed.spans) == (None, "nobody", [(0.0, pytest.approx(0.6))])


def test_videos_far_from_this_one_are_counted(world: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with world.write() as conn:
        for n in range(3, 9):
            add_video(
                conn, n, 0, 1, camera="cam1", recorded_on=START.date(), recorded_at=START.replace(hour=9, minute=n)
            )
    monkeypatch.setattr("chimp_assets.insight.video.beside.MOST_NEIGHBOURS", 3)
    with world.read() as conn:
        for around, videos in ((1, [1, 3, 4]), (5, [4, 5, 6]), (8, [6, 7, 8])):
            found = neighbours(conn, around, 20, 0.0, 0.9)
            assert ([one.video_id for one in found.videos], found.left_out) == (videos, 4)


def test_tracks_at_the_same_time_lie_in_rows_of_their_lane() -> None:
    spans = ((0.0, 4.0), (1.0, 2.0), (1.5, 3.0), (2.5, 5.0), (4.0, 4.0), (4.01, 6.0))
    lane = Lane(None, None, [Appearance(n, a, b, 0, 9, "nobody", None) for n, (a, b) in enumerate(spans)])
    lane.stack(10.0)
    assert [one.row for one in lane.appearances] == [0, 1, 2, 1, 0, 2], "a bar is never narrower than can be pressed"


def test_volunteers_are_not_counted_as_people() -> None:
    said: list[tuple[str | None, float | None]] = [("volunteers", None), ("person", 1.0), ("model", 0.9), (None, None)]
    assert [sureness(source, probability, 0.9) for source, probability in said] == [
        "volunteers",
        "person",
        "model",
        "nobody",
    ]


def test_candidates_are_the_models_and_none_of_tracks_that_measure_it(world: Database) -> None:
    with world.read() as conn:
        found = candidates(conn, track(1, 2), 20, 0.0)
        assert found is not None
        assert [(one.anim_id, one.name, round(one.probability, 2)) for one in found.found] == [
            ("FD", "Freud", 0.6), ("FF", "Fifi", 0.4),
        ]  # fmt: skip
        assert found.model_id == HEAD
        measures = candidates(conn, track(1, 2), 20, 1.0)
        assert measures is not None
        assert (measures.measures, measures.model_id, measures.found) == (True, None, [])
        assert candidates(conn, 5, 20, 0.0) is None


def test_whom_people_denied_is_no_candidate(world: Database) -> None:
    record_events(world, [event("not_individual", track(1, 2), "FD", annotator=who) for who in ("vera", "vito")])
    with world.read() as conn:
        found = candidates(conn, track(1, 2), 20, 0.0)
    assert found is not None
    assert [one.anim_id for one in found.found] == ["FF"]
