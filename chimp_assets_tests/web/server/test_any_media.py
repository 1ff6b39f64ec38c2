"""Videos of every make, and damaged ones, through the product's own ingest, on their pages: a picture or a sentence."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa

from chimp_assets.archive.catalogue.discover import discover
from chimp_assets.database import schema as t
from chimp_assets.database.work import due
from chimp_assets.home import Home, init_home
from chimp_assets.loop import bundle
from chimp_assets.web.app import Options, create_app
from chimp_assets.web.auth.accounts import set_password
from chimp_assets_tests.archive.ffmpeg import film
from chimp_assets_tests.paths import SHARED_DATA
from chimp_assets_tests.web.server.conftest import PASSWORD, Browser

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not (SHARED_DATA / "tricky").is_dir(), reason="the collected videos are not here"),
]
MADE = {
    "pal.dv": ("-target", "pal-dv"),
    "dv.mov": ("-c:v", "dvvideo", "-pix_fmt", "yuv411p", "-r", "30000/1001", "-s", "720x480"),
    "mjpeg.avi": ("-c:v", "mjpeg"), "mpeg2.mpg": ("-c:v", "mpeg2video"), "mpeg2.ts": ("-c:v", "mpeg2video"),
    "mpeg2.vob": ("-target", "pal-dvd"), "hevc.mp4": ("-c:v", "libx265"), "hevc.mkv": ("-c:v", "libx265"),
    "h264.mts": ("-c:v", "libx264"),
}  # fmt: skip


@pytest.fixture
def watched(tmp_path: Path) -> Home:
    """A home of one video of each kind that the tests' ffmpeg makes, and of all collected ones."""
    for folder in ("tricky", "videos"):
        shutil.copytree(SHARED_DATA / folder, tmp_path / "archive" / "site" / folder)
    for name, options in MADE.items():
        film(tmp_path / "archive" / "site" / "made" / name, *options, seconds=2)
    home = init_home(tmp_path / "home", archive_url=str(tmp_path / "archive"))
    home = Home.open(home.settings.home, decode={"fps": 2, "longest_side": 160})
    discover(home.database, home.archive, home.settings)
    with home.database.read() as conn:
        waiting = due.unfinished_bundles(conn, None)
    for key in waiting:
        bundle.decode(home, key)
        bundle.track(home, key)
    return home


def test_every_video_has_a_page_whatever_its_make(watched: Home) -> None:
    """Somebody's archive is what cameras of twenty years wrote."""
    set_password(watched.database, "expert", PASSWORD)
    app = create_app(watched, Options(make_media=False))
    expert = Browser(app).sign_in("expert")
    v, k = t.video.c, t.track.c
    with watched.database.read() as conn:
        films = conn.execute(sa.select(v.video_id, v.uri, v.state)).all()
        first = sa.select(k.video_id, sa.func.min(k.track_id).label("track_id")).where(k.state == "live")
        track_of = {row.video_id: row.track_id for row in conn.execute(first.group_by(k.video_id))}
    states = {Path(film.uri).name: film.state for film in films}
    assert {name: states[name] for name in MADE} == dict.fromkeys(MADE, "tracked")
    assert "failed" in states.values(), "some of the collected ones hold nothing that anybody could read"
    for film_ in films:
        page = expert.get(f"/video/{film_.video_id}")
        assert page.status_code == 200, film_
        assert ("could not be read" in page.text) == (film_.state == "failed"), film_
        for part in ("timeline", "boxes?from=0&to=10", "neighbours"):
            assert expert.get(f"/api/videos/{film_.video_id}/{part}").status_code == 200, (film_, part)
        wanted = 404 if film_.state == "failed" else 200
        assert expert.get(f"/media/frame/{film_.video_id}/0.jpg").status_code == wanted, film_
        if film_.video_id in track_of:
            assert expert.get(f"/media/track/{track_of[film_.video_id]}.jpg").status_code == 200, film_
            assert expert.get(f"/video/of/{track_of[film_.video_id]}").status_code == 303, film_
    app.state.db.dispose()
