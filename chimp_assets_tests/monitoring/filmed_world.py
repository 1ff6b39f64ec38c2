"""A home whose videos have a camera and a day each, for tests of what changed there. No test belongs here."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.home import Home
from chimp_assets.monitoring.alerts import open_one
from chimp_assets_tests.loop.test_planning import DIMENSIONS, EMBEDDER, World, unit
from chimp_assets_tests.support.rows import THEN

DAY = THEN.date()


def filmed_world(home: Home, monkeypatch: pytest.MonkeyPatch) -> World:
    """A world where six answers close an alert, with two animals that are easy to tell apart by the first number.

    Videos 1 to 12 are of 12 days, the odd ones of camera C1, the others of C2.
    """
    home.database.dispose()
    monkeypatch.setenv("CHIMP_MONITORING__LABELS_TO_CLOSE", "6")
    monkeypatch.setenv("CHIMP_MONITORING__LEAST_GROUP", "2")
    made = World(Home.open(home.settings.home))
    for vector in made.embeddings.values():
        vector[0] *= 6
    made.embeddings = {track: unit(vector) for track, vector in made.embeddings.items()}
    made.write_embeddings()
    v = t.video.c
    with made.db.write() as conn:
        embedder = t.model.c.model_id == EMBEDDER
        conn.execute(sa.update(t.model).where(embedder).values(config=f'{{"dimensions": {DIMENSIONS}}}'))
        for video_id in range(1, 13):
            day = DAY + timedelta(days=video_id)
            camera = "C1" if video_id % 2 else "C2"
            conn.execute(sa.update(t.video).where(v.video_id == video_id).values(recorded_on=day, camera=camera))
    return made


def opened(world: World, camera: str = "C1", first: int = 3, until: int | None = None, **values: object) -> int:
    what = {"kind": "data", "signal": "brightness", "size": -4.0, "noticed": DAY + timedelta(days=12)} | values
    end = None if until is None else DAY + timedelta(days=until)
    alert_id = open_one(world.db, camera=camera, since=DAY + timedelta(days=first), until=end, **what)
    assert alert_id is not None
    return alert_id


def video_of(track_id: int) -> int:
    return track_id // t.TRACKS_PER_VIDEO
