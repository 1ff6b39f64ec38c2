"""What is new in a camera's files is said with its first bundle, once, and never of a camera that alternates."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from chimp_assets.archive.catalogue.discover import discover
from chimp_assets.database import schema as t
from chimp_assets.database.connection.engine import Database
from chimp_assets.home import Home
from chimp_assets.loop import bundle
from chimp_assets.monitoring.alerts import alerts
from chimp_assets.monitoring.films.facts import note_facts
from chimp_assets.settings import Settings
from chimp_assets_tests.archive.clips import make_clip
from chimp_assets_tests.support.rows import THEN, add_bundle

DAWN = datetime(2024, 5, 1, 6, 0, tzinfo=UTC)
USUAL = {
    "width": 1920, "height": 1080, "sar_num": 1, "sar_den": 1, "rotation": 0, "avg_fps": 25.0, "codec": "h264",
    "duration_s": 60.0,
}  # fmt: skip
SETTINGS = Settings()


def film(db: Database, number: int, days: list[int], hours: int = 0, ending: str = "MP4", **values: object) -> str:
    """A bundle of camera C1 with a decoded video on each of these days; returns its key."""
    add_bundle(db, number, f"c1-{number:04d}")
    rows = []
    for n, day in enumerate(days):
        at = DAWN + timedelta(days=day, hours=hours, minutes=n)
        rows.append(
            {
                "bundle_id": number, "uri": f"C1/{number:03d}/clip{n:02d}x.{ending}", "version": 1, "bytes": 1,
                "etag": "e", "state": "decoded", "camera": "C1", "discovered_at": THEN, "updated_at": THEN,
                "recorded_at": at, "recorded_on": at.date(), "recorded_at_certainty": "likely",
                "recorded_at_source": "container", **USUAL, **values,
            }
        )  # fmt: skip
    with db.write() as conn:
        conn.execute(sa.insert(t.video), rows)
    return f"c1-{number:04d}"


def said(db: Database) -> list[tuple[str, date, date | None, str, str]]:
    with db.read() as conn:
        return [(a.signal, a.since, a.until, a.detail["before"], a.detail["after"]) for a in alerts(conn)]


@pytest.mark.parametrize(
    ("values", "signal", "before", "after"),
    [
        ({"width": 1280, "height": 720}, "resolution", "1920 x 1080", "1280 x 720"),
        ({"avg_fps": 15.0}, "frame_rate", "25", "15"),
        ({"codec": "hevc"}, "codec", "h264", "hevc"),
        ({"ending": "AVI"}, "container", "mp4", "avi"),
        ({"rotation": 90, "width": 1080, "height": 1920}, "rotation", "0 degrees", "90 degrees"),
        ({"sar_num": 4, "sar_den": 3, "width": 2560}, "pixel_aspect", "1:1", "4:3"),
    ],
)
def test_a_new_value_is_said_with_the_first_bundle_and_once(
    db: Database, values: dict[str, object], signal: str, before: str, after: str
) -> None:
    assert note_facts(db, film(db, 1, [0, 1, 2, 3]), SETTINGS) == []
    new = film(db, 2, [4], **values)
    assert len(note_facts(db, new, SETTINGS)) == 1
    assert said(db) == [(signal, date(2024, 5, 5), None, before, after)]
    assert note_facts(db, new, SETTINGS) == []
    assert note_facts(db, film(db, 3, [5, 6], **values), SETTINGS) == []


def test_a_damaged_file_is_no_camera_that_films_fewer_pictures(db: Database) -> None:
    """The demo's camera "filmed 12.9 pictures a second": pictures had been lost."""
    note_facts(db, film(db, 1, [0, 1, 2, 3]), SETTINGS)
    assert note_facts(db, film(db, 2, [4], avg_fps=19.3, error="10 damaged packets."), SETTINGS) == []


def test_a_value_that_goes_back_ends_its_alert(db: Database) -> None:
    note_facts(db, film(db, 1, [0, 1, 2]), SETTINGS)
    note_facts(db, film(db, 2, [3, 4], codec="hevc"), SETTINGS)
    assert [until for _, _, until, _, _ in said(db)] == [None]
    assert note_facts(db, film(db, 3, [5, 6, 7]), SETTINGS) == []
    assert [until for _, _, until, _, _ in said(db)] == [date(2024, 5, 6)]


def test_a_camera_with_two_settings_is_said_once(db: Database) -> None:
    """By night it films fewer pictures a second, of another size: not news every evening."""
    opened = []
    for night in range(12):
        opened += note_facts(db, film(db, 2 * night + 1, [night] * 4), SETTINGS)
        key = film(db, 2 * night + 2, [night] * 4, hours=14, avg_fps=12.5, width=640, height=480)
        opened += note_facts(db, key, SETTINGS)
    assert sorted(signal for signal, *_ in said(db)) == ["frame_rate", "resolution"]
    assert len(opened) == 2


def test_older_videos_that_come_later_show_what_had_changed(db: Database) -> None:
    assert note_facts(db, film(db, 1, [100, 101, 102], codec="hevc"), SETTINGS) == []
    assert len(note_facts(db, film(db, 2, [0, 1, 2]), SETTINGS)) == 1
    assert said(db) == [("codec", date(2024, 8, 9), None, "h264", "hevc")]


def test_two_changes_in_a_month_are_two_alerts(db: Database) -> None:
    note_facts(db, film(db, 1, [0, 1, 2]), SETTINGS)
    note_facts(db, film(db, 2, [3, 4, 5], codec="hevc"), SETTINGS)
    note_facts(db, film(db, 3, [6, 7, 8], codec="mpeg4"), SETTINGS)
    assert [(after, until) for *_, until, _, after in said(db)] == [("mpeg4", None), ("hevc", date(2024, 5, 7))]


def test_a_clock_back_at_its_first_day_is_said(db: Database) -> None:
    note_facts(db, film(db, 1, [0, 1, 2]), SETTINGS)
    back = film(db, 2, [-2677, -2677], recorded_at_certainty="unsure")
    with db.write() as conn:
        conn.execute(
            sa.update(t.video)
            .where(t.video.c.bundle_id == 2)
            .values(recorded_on=date(2017, 1, 1), recorded_at=datetime(2017, 1, 1, 0, 5, tzinfo=UTC))
        )
    assert len(note_facts(db, back, SETTINGS)) == 1
    assert said(db) == [("clock_factory", date(2017, 1, 1), date(2017, 1, 2), "2024-05-03", "2017-01-01")]
    assert note_facts(db, back, SETTINGS) == []


def named_by_clock(db: Database, number: int, days: list[int], shift: timedelta) -> str:
    """A bundle whose names hold the camera's clock, and whose containers another one."""
    key = film(db, number, days)
    v = t.video.c
    with db.write() as conn:
        for row in conn.execute(sa.select(v.video_id, v.recorded_at).where(v.bundle_id == number)).all():
            tag = (row.recorded_at + shift).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
            conn.execute(
                sa.insert(t.video_time).values(
                    video_id=row.video_id, witnesses=f'{{"tags": {{"creation_time": "{tag}"}}}}', weighed=True
                )
            )
            uri = f"C1/{number:03d}/VID_{row.recorded_at:%Y%m%d_%H%M%S}.MP4"
            conn.execute(sa.update(t.video).where(v.video_id == row.video_id).values(uri=uri))
    return key


@pytest.mark.parametrize(("zone", "expected"), [("UTC", ["clock_hour"]), ("Europe/Paris", [])])
def test_an_hour_between_two_clocks_is_said_unless_the_law_made_it(
    db: Database, zone: str, expected: list[str]
) -> None:
    settings = Settings(archive={"timezone": zone})
    note_facts(db, named_by_clock(db, 1, list(range(6)), timedelta(0)), settings)
    autumn = 200  # in November: clocks were put back
    note_facts(db, named_by_clock(db, 2, [autumn, autumn + 1], timedelta(hours=1)), settings)
    assert [signal for signal, *_ in said(db)] == expected


def test_recordings_that_go_back_in_time_are_said(db: Database) -> None:
    key = film(db, 1, [0, 1, 2, 3])
    v = t.video.c
    with db.write() as conn:
        rows = conn.execute(sa.select(v.video_id).order_by(v.video_id)).scalars().all()
        for number, video_id in zip((101, 102, 104, 103), rows, strict=True):
            conn.execute(sa.update(t.video).where(v.video_id == video_id).values(uri=f"C1/IMG_{number:04d}.MP4"))
    assert len(note_facts(db, key, SETTINGS)) == 1
    assert said(db) == [("clock_jump", date(2024, 5, 3), None, "2024-05-04 06:03", "2024-05-03 06:02")]


def test_facts_that_cannot_be_compared_cost_no_bundle(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_clip(tmp_path / "archive" / "site" / "cam" / "1.mp4", 10)
    monkeypatch.setenv("CHIMP_ARCHIVE_URL", str(tmp_path / "archive"))
    monkeypatch.setenv("CHIMP_DECODE__WORKERS", "0")
    opened = Home.open(home.settings.home)
    discover(opened.database, opened.archive, opened.settings)

    def broken(*_: object) -> list[int]:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(bundle, "note_facts", broken)
    done = bundle.decode(opened, "site_cam-0001")
    assert (done.videos, done.facts, done.facts_failed) == (1, [], "RuntimeError: a fault of ours")
    with opened.database.read() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(t.video_signal)) == 1
