"""Homes of before signals get them from their stored frames, a budget at a time."""

import pytest
import sqlalchemy as sa

from chimp_assets.archive.catalogue.discover import discover
from chimp_assets.database import schema as t
from chimp_assets.home import Home
from chimp_assets.loop import bundle
from chimp_assets.monitoring.films.backfill import fill_signals
from chimp_assets_tests.archive.clips import make_clip

SIGNALS = t.video_signal.c


@pytest.fixture
def decoded(home, tmp_path, monkeypatch):
    """A home with three decoded clips."""
    for n in (1, 2, 3):
        make_clip(tmp_path / "archive" / "site" / "cam" / f"{n}.mp4", 30 + 10 * n)
    monkeypatch.setenv("CHIMP_ARCHIVE_URL", str(tmp_path / "archive"))
    monkeypatch.setenv("CHIMP_DECODE__WORKERS", "0")
    opened = Home.open(home.settings.home)
    discover(opened.database, opened.archive, opened.settings)
    bundle.decode(opened, "site_cam-0001")
    return opened


def rows(home):
    with home.database.read() as conn:
        return conn.execute(sa.select(t.video_signal).order_by(SIGNALS.video_id)).all()


def test_signals_of_stored_frames_are_those_of_the_decoder_but_for_the_jpeg(decoded):
    before = rows(decoded)
    assert [row.pictures for row in before] == [2, 2, 3]
    with decoded.database.write() as conn:
        conn.execute(sa.delete(t.video_signal))
    assert fill_signals(decoded, 2) == 2  # the newest first
    assert [row.video_id for row in rows(decoded)] == [row.video_id for row in before[1:]]
    assert [fill_signals(decoded), fill_signals(decoded)] == [1, 0]
    for was, now in zip(before, rows(decoded), strict=True):
        assert now.pictures == was.pictures
        assert now.brightness == pytest.approx(was.brightness, rel=0.02)
        assert now.contrast == pytest.approx(was.contrast, rel=0.02)
        assert len(now.background) == 2304


def test_a_video_that_is_decoded_again_gets_new_signals(decoded):
    key = before = rows(decoded)[0]
    with decoded.database.write() as conn:
        conn.execute(sa.update(t.video_signal).where(SIGNALS.video_id == key.video_id).values(brightness=0.0))
        conn.execute(
            sa.update(t.video).where(t.video.c.video_id == key.video_id).values(state="registered", content_hash=None)
        )
    bundle.decode(decoded, "site_cam-0001")
    assert rows(decoded)[0] == before


def test_a_video_whose_pictures_are_gone_costs_only_itself(decoded):
    with decoded.database.write() as conn:
        conn.execute(sa.delete(t.video_signal))
        uris = conn.execute(sa.select(t.frame_shard.c.uri).order_by(t.frame_shard.c.video_id)).scalars().all()
    decoded.store.delete(uris[1])
    assert fill_signals(decoded) == 2
    assert len(rows(decoded)) == 2
