"""The estimate of the time that is left, from rows."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.work.pace import DecodingPace, pace_of
from chimp_assets_tests.database.world import START, add_video


def paced(db: Database, workers: int = 2) -> DecodingPace:
    with db.read() as conn:
        return pace_of(conn, workers)


def add(db: Database, video_id: int, **values: object) -> None:
    with db.write() as conn:
        if video_id == 1:
            conn.execute(sa.insert(s.bundle).values(bundle_id=1, bundle_key="a-0001", folder="a", created_at=START))
        add_video(conn, video_id, 0, 0, **values)


def test_an_empty_home_has_no_pace(db: Database) -> None:
    assert paced(db) == DecodingPace(0.0, 0.0, None, None)


def test_nothing_is_promised_before_the_first_video_is_decoded(db: Database) -> None:
    add(db, 1, state="registered", duration_s=None)
    assert paced(db) == DecodingPace(0.0, None, None, None)


def test_hours_speed_and_the_time_left_follow_from_what_was_decoded(db: Database) -> None:
    """Two hours decoded in 400 seconds of work: 18 times real time, twice that with two processes."""
    add(db, 1, state="tracked", duration_s=3600, decode_s=100, bytes=1_000)
    add(db, 2, state="decoded", duration_s=3600, decode_s=300, bytes=3_000)
    add(db, 3, state="registered", duration_s=None, bytes=8_000)
    add(db, 4, state="failed", duration_s=None, bytes=9_000)
    add(db, 5, state="retired", duration_s=3600, decode_s=1, bytes=9_000)
    pace = paced(db)
    assert pace.hours_done == pytest.approx(2)
    assert pace.hours_left == pytest.approx(4)
    assert pace.speed == pytest.approx(36)
    assert pace.seconds_left == pytest.approx(400)
    assert paced(db, workers=1).speed == pytest.approx(18)


def test_videos_decoded_before_times_were_taken_count_as_hours_and_not_as_speed(db: Database) -> None:
    """A home of an older version would look infinitely fast."""
    add(db, 1, state="tracked", duration_s=3600, decode_s=None, bytes=1_000)
    assert paced(db) == DecodingPace(1.0, 0.0, None, None)
    add(db, 2, state="tracked", duration_s=3600, decode_s=3600, bytes=1_000)
    assert paced(db, 1).speed == pytest.approx(1)
