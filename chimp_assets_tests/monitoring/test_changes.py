"""Blocks of camera-days and the changes found in them, on an archive of rows with one camera that goes dark."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from benchmarks.support.nightly import EMBEDDER, HEAD, add_day, archive_of_blocks
from chimp_assets.database import schema as t
from chimp_assets.home import init_home
from chimp_assets.monitoring.block_signals import read_sums
from chimp_assets.monitoring.blocks import write_blocks
from chimp_assets.monitoring.changes import find_changes
from chimp_assets.statistics.fourier import FourierFeatures
from chimp_assets.vision.embedding.bundle import read_embeddings
from chimp_assets_tests.support.homes import copied

FIRST = date(2024, 1, 1)
QUIET, DARK = 42, 14
LATER = datetime(2026, 1, 1, tzinfo=UTC)
SINCE, TODAY = FIRST + timedelta(QUIET), FIRST + timedelta(QUIET + DARK - 1)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Two cameras for six weeks; in the last two the second one is dark. Its blocks are written and folded."""
    made = init_home(tmp_path_factory.mktemp("watched") / "home")
    archive_of_blocks(made, 2, FIRST, QUIET, QUIET * 20)
    for number in range(QUIET, QUIET + DARK):
        add_day(made, 2, FIRST + timedelta(number), 1, dark=("cam2",))
    write_blocks(made)
    find_changes(made, TODAY)
    made.database.dispose()
    return made.settings.home


@pytest.fixture
def watched(archive, tmp_path):
    """A copy of it."""
    return copied(archive, tmp_path / "home")


def _rows(home):
    d = t.drift_block.c
    columns = [d.camera, d.day, d.signal, d.model_id, d.light, d.n, d.value, d.sums, d.p_value, d.evidence]
    with home.database.read() as conn:
        return {tuple(row[:5]): tuple(row[5:]) for row in conn.execute(sa.select(*columns))}


def test_a_camera_that_goes_dark_is_one_change_of_that_camera(watched):
    """Days and nights change by one cause: a person is told once, of the right camera and day."""
    changes = find_changes(watched, TODAY)
    assert [(one.camera, one.kind) for one in changes] == [("cam2", "data")]
    (change,) = changes
    assert change.signal in ("brightness", "embedding")
    assert abs((change.since - SINCE).days) <= 1
    assert change.noticed <= SINCE + timedelta(10)
    assert change.until is None
    assert change.detail["videos"]
    assert {one["signal"] for one in change.detail["also"]} <= {"brightness", "embedding"}
    assert change.detail["also"]  # by night as well
    assert find_changes(watched, SINCE - timedelta(1)) == []  # and nothing before it happened


def test_blocks_are_the_same_however_often_and_in_what_order_they_are_written(watched):
    """A run that is killed and begun again, or a camera-day that comes late, must not make other rows."""
    once = _rows(watched)
    assert any(row[4] is not None for row in once.values())
    assert write_blocks(watched) == 0
    d = t.drift_block.c
    with watched.database.write() as conn:  # as if a run had been killed, and as if a day had come late
        conn.execute(sa.delete(t.drift_block).where(d.day > SINCE))
        conn.execute(sa.delete(t.drift_block).where(d.day == FIRST + timedelta(9), d.signal == "brightness"))
    assert 0 < write_blocks(watched) < len(once)
    find_changes(watched, TODAY)
    assert _rows(watched) == once


def test_only_what_changed_is_computed_anew(watched):
    """A night costs what the day brought, not what the archive holds."""
    before = _rows(watched)
    v = t.video.c
    with watched.database.write() as conn:
        one = conn.scalars(sa.select(v.video_id).where(v.camera == "cam1", v.recorded_on == FIRST).limit(1)).one()
        conn.execute(sa.update(t.video).where(v.video_id == one).values(state="retired", updated_at=LATER))
    assert write_blocks(watched) == sum(key[:2] == ("cam1", FIRST) for key in before)
    after = _rows(watched)
    changed = {key[:2] for key in before if before[key][:4] != after.get(key, ())[:4]}
    assert changed == {("cam1", FIRST)}
    assert after["cam1", FIRST, "brightness", 0, "day"][0] == before["cam1", FIRST, "brightness", 0, "day"][0] - 1


def test_light_is_matched(watched):
    """Nights are darker than days: one stream of both would say so every evening."""
    d = t.drift_block.c
    with watched.database.read() as conn:
        mean = dict(
            conn.execute(
                sa.select(d.light, sa.func.avg(d.value)).where(d.signal == "brightness", d.n > 0).group_by(d.light)
            ).all()
        )
    assert mean["day"] > mean["night"] + 20
    assert "mixed" not in mean


def test_a_new_embedder_is_a_new_reference_and_no_drift(watched):
    """Vectors of two embedders are not of one space."""
    with watched.database.write() as conn:
        conn.execute(sa.update(t.model).where(t.model.c.model_id == EMBEDDER).values(state="retired"))
        conn.execute(
            sa.insert(t.model).values(
                model_id=9, task="embedder", version=2, name="new", state="champion", config='{"dimensions": 128}',
                created_at=LATER,
            )
        )  # fmt: skip
    write_blocks(watched)
    with watched.database.read() as conn:
        models = set(conn.scalars(sa.select(t.drift_block.c.model_id).distinct()))
    assert models == {0, HEAD}
    assert {one.camera for one in find_changes(watched, TODAY)} == {"cam2"}  # by its brightness


def test_a_day_without_animals_is_looked_at_once(home):
    """Nights without a track would have their files read again every night."""
    archive_of_blocks(home, 1, FIRST, 2, 40)
    with home.database.write() as conn:
        conn.execute(sa.update(t.track).values(state="junk"))
    assert write_blocks(home) > 0
    assert write_blocks(home) == 0
    values = {key[2]: row for key, row in _rows(home).items() if key[1] == FIRST and key[4] != "night"}
    assert values["unknown_rate"][:2] == (0, None)
    assert values["detections"][1] == 0.0


def test_a_stored_sum_is_the_sum_of_the_tracks_features(home):
    """Bytes that are read as another type or order would still look like vectors."""
    archive_of_blocks(home, 1, FIRST, 1, 40)
    write_blocks(home)
    rows = [row for key, row in sorted(_rows(home).items()) if key[2] == "embedding"]
    stored = read_sums([row[2] for row in rows], np.array([row[0] for row in rows]))
    ((_, _, vectors),) = read_embeddings(home.database, home.store, EMBEDDER)
    features = FourierFeatures.of(EMBEDDER, 128).of_vectors(vectors)
    assert np.allclose(stored.sum(0), features.sum(0), atol=1e-3)
