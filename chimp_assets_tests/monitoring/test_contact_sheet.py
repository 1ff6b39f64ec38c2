"""An alert shows what it is about: pictures of before and of after."""

from datetime import date, datetime, timedelta

import pytest
import simplejpeg
import sqlalchemy as sa

from chimp_assets.archive.catalogue.discover import discover
from chimp_assets.database import schema as t
from chimp_assets.home import Home
from chimp_assets.loop import bundle
from chimp_assets.monitoring.alerts import alert, open_alert
from chimp_assets.monitoring.contact_sheet import MOMENTS, contact_sheet, jpegs
from chimp_assets.vision.pictures.contact_sheet import picture_sheet
from chimp_assets_tests.archive.clips import make_clip

DAY = date(2024, 5, 3)


@pytest.fixture
def filmed(home, tmp_path, monkeypatch):
    """Six clips of a camera, one a day, three of them before DAY."""
    for n in range(6):
        made = datetime(2024, 4, 30, 9) + timedelta(days=n)
        make_clip(tmp_path / "archive" / "site" / "cam" / f"VID_{made:%Y%m%d_%H%M%S}.mp4", 15 + n)
    monkeypatch.setenv("CHIMP_ARCHIVE_URL", str(tmp_path / "archive"))
    monkeypatch.setenv("CHIMP_DECODE__WORKERS", "0")
    opened = Home.open(home.settings.home)
    discover(opened.database, opened.archive, opened.settings)
    bundle.decode(opened, "site_cam-0001")
    return opened


def noticed(home, **values):
    with home.database.write() as conn:
        what = {"kind": "data", "signal": "brightness", "camera": "site/cam", "since": DAY, "noticed": DAY} | values
        return alert(conn, open_alert(conn, **what))


def days(home, moments):
    v = t.video.c
    with home.database.read() as conn:
        return [conn.scalar(sa.select(v.recorded_on).where(v.video_id == video_id)).day for video_id, _ in moments]


def test_moments_lie_on_both_sides_of_the_change_in_order(filmed):
    found = contact_sheet(filmed, noticed(filmed))
    assert len(found.before) == len(found.after) == MOMENTS
    assert sorted(set(days(filmed, found.before))) == [1, 2, 30]
    assert days(filmed, found.after) == sorted(days(filmed, found.after))
    assert set(days(filmed, found.after)) == {3, 4, 5}
    shown = jpegs(filmed, found.before)
    assert list(shown) == found.before
    assert simplejpeg.decode_jpeg(shown[found.before[0]]).shape[2] == 3
    sheet = picture_sheet(filmed.database, filmed.store, found.after)
    assert sheet is not None
    assert simplejpeg.decode_jpeg(sheet).shape == (300, 800, 3)


def test_videos_that_the_alert_names_are_shown(filmed):
    with filmed.database.read() as conn:
        keys = conn.execute(sa.select(t.video.c.video_id).order_by(t.video.c.recorded_at)).scalars().all()
    found = contact_sheet(filmed, noticed(filmed, until=DAY + timedelta(days=1), detail={"videos": [keys[-1]]}))
    assert {video_id for video_id, _ in found.after} == {keys[3], keys[-1]}


def test_a_picture_that_is_gone_is_left_out(filmed):
    found = contact_sheet(filmed, noticed(filmed))
    with filmed.database.read() as conn:
        uri = conn.scalar(sa.select(t.frame_shard.c.uri).where(t.frame_shard.c.video_id == found.after[0][0]))
    filmed.store.delete(uri)
    assert len(jpegs(filmed, found.after)) == len([m for m in found.after if m[0] != found.after[0][0]])


def test_a_camera_without_videos_has_an_empty_sheet(filmed):
    found = contact_sheet(filmed, noticed(filmed, camera="elsewhere"))
    assert (found.before, found.after) == ([], [])
    assert picture_sheet(filmed.database, filmed.store, []) is None
