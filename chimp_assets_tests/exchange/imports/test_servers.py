"""An import into every database: what only SQLite forgives is found here."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.people.users import ensure_default_users
from chimp_assets.exchange.imports.annotations import ReadOptions
from chimp_assets.exchange.imports.intake.taking import Wishes, take_in
from chimp_assets.home import Home
from chimp_assets_tests.exchange.imports.pictures import add_pictures, everything


def test_tracks_names_and_days_come_in_and_the_second_time_nothing(db: Database, home: Home, tmp_path: Path) -> None:
    there = Home(home.settings)
    there.__dict__["database"] = db  # as if its settings named it
    ensure_default_users(db)
    add_pictures(db, ["a/one.mp4", "a/two.jpg"], state="decoded", frames=10)
    lines = [f"one.mp4,{n % 2},F{n % 2},0.{n // 2 * 2},0.{1 + n % 2 * 5},0.1,0.2,0.2,2024-05-06" for n in range(8)]
    file = tmp_path / "a.csv"
    file.write_text("\n".join(["file,track,individual,time,x,y,w,h,date", *lines]))
    report = take_in(there, "csv", file, ReadOptions(), Wishes(new_individuals=True))
    assert (report.rows.new_tracks, report.names.stored, report.times_set) == (2, 2, 1)
    stored = everything(db)
    again = take_in(there, "csv", file, ReadOptions(), Wishes(new_individuals=True))
    assert (again.rows.known_tracks, again.names.known) == (2, 2)
    assert everything(db) == stored
    with db.read() as conn:
        assert conn.scalar(sa.select(t.video.c.recorded_at_certainty).where(t.video.c.video_id == 1)) == "day"
