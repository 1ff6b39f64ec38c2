"""Discovery: the listing compared with SQL, in every way a folder can change between two listings."""

import os
import re
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from chimp_assets.archive import discover as discover_module
from chimp_assets.archive.discover import SETTLE_S, ArchiveError, discover, open_archive
from chimp_assets.archive.ingest import decode_bundle
from chimp_assets.database import schema
from chimp_assets_tests.archive.clips import make_clip

YEAR_2020 = 1_577_836_800


def put(folder, name, content=b"no video", at=YEAR_2020):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (at, at))
    return path


def videos(place):
    with place.db.read() as conn:
        return conn.execute(
            sa.select(schema.video, schema.bundle.c.bundle_key).join(schema.bundle).order_by(schema.video.c.video_id)
        ).all()


def found(place, **arguments):
    return discover(place.db, place.archive, place.settings, **arguments)


def without_probing(monkeypatch):
    monkeypatch.setattr(discover_module._Probes, "created_at", lambda self, key: None)


def test_a_first_listing_registers_each_video_once_and_in_the_order_of_paths(place, archive_folder):
    """Ids that depend on the order of the disk would give other tracks in another home."""
    for name in ("b/2.mp4", "b.mp4", "a/x/1.mp4", "a/1.MOV", "b/notes.txt", "b/._2.mp4"):
        put(archive_folder, name)
    first = found(place)
    assert (first.listed, first.new, first.ignored) == (4, 4, 2)
    rows = videos(place)
    assert [r.uri for r in rows] == ["a/1.MOV", "a/x/1.mp4", "b.mp4", "b/2.mp4"]
    assert [r.video_id for r in rows] == [1, 2, 3, 4]
    assert [r.bundle_key for r in rows] == ["a-0001", "a_x-0001", "top-0001", "b-0001"]
    assert first.new_bundles == ["a-0001", "a_x-0001", "top-0001", "b-0001"]
    assert {r.state for r in rows} == {"registered"}
    assert [(r.site, r.camera) for r in rows] == [("a", "a"), ("a", "x"), (None, None), ("b", "b")]
    with place.db.read() as conn:
        assert conn.execute(sa.select(sa.func.count()).select_from(schema.split_assignment)).scalar() == 4
    again = found(place)
    assert (again.listed, again.unchanged, again.new, again.retired, again.new_bundles) == (4, 4, 0, 0, [])
    assert videos(place) == rows


def test_bundles_are_cut_at_their_size_and_filled_up_later(make_place, archive_folder, monkeypatch):
    """A bundle of a whole season would never end; a bundle for each new file would be thousands of runs."""
    without_probing(monkeypatch)
    place = make_place(archive={"bundle_videos": 3})
    for n in range(4):
        put(archive_folder, f"cam/{n}.mp4")
    assert found(place).new_bundles == ["cam-0001", "cam-0002"]
    for n in range(4, 8):
        put(archive_folder, f"cam/{n}.mp4")
    assert found(place).new_bundles == ["cam-0003"]
    assert [r.bundle_key for r in videos(place)] == ["cam-0001"] * 3 + ["cam-0002"] * 3 + ["cam-0003"] * 2


def test_folders_with_the_same_short_name_get_bundles_of_their_own(make_place, archive_folder, monkeypatch):
    """`Cam 1` and `cam-1` are two cameras; sharing a key would stop discovery with a broken constraint."""
    without_probing(monkeypatch)
    place = make_place(archive={"bundle_videos": 1})
    folders = ["Cam 1", "cam-1", "cam 1", "cam_1", "cam/1", "カメラ", "é", "x" * 120]
    for folder in folders:
        for n in range(2):
            put(archive_folder, f"{folder}/{n}.mp4")
    keys = found(place).new_bundles
    assert len(set(keys)) == 2 * len(folders)
    assert all(re.fullmatch(r"[a-z0-9_-]{1,100}", key) for key in keys)
    with place.db.read() as conn:
        per_folder = conn.execute(sa.select(schema.bundle.c.folder, sa.func.count()).group_by("folder")).all()
    assert {tuple(row) for row in per_folder} == {(folder, 2) for folder in folders}
    assert found(place).unchanged == 2 * len(folders)


def test_a_replaced_file_becomes_a_new_version_of_the_same_bundle(place, archive_folder, monkeypatch):
    """Labels of the old film must not be shown on the new one."""
    without_probing(monkeypatch)
    put(archive_folder, "cam/1.mp4")
    found(place)
    put(archive_folder, "cam/1.mp4", b"another", at=YEAR_2020 + 5)
    changed = found(place)
    assert (changed.replaced, changed.new, changed.new_bundles) == (1, 0, [])
    assert [(r.version, r.state, r.bundle_key) for r in videos(place)] == [
        (1, "retired", "cam-0001"),
        (2, "registered", "cam-0001"),
    ]
    assert found(place).unchanged == 1


def test_the_same_bytes_with_a_new_date_stay_the_same_video(place, archive_folder):
    """A copy to a new disk changes every date: it must not cost every label."""
    path = make_clip(archive_folder / "cam" / "1.mp4", 5)
    os.utime(path, (YEAR_2020, YEAR_2020))
    found(place)
    decode_bundle(place.db, place.archive, place.store, "cam-0001", place.settings)
    os.utime(path, (YEAR_2020 + 999, YEAR_2020 + 999))
    assert (found(place).unchanged, len(videos(place)), videos(place)[0].state) == (1, 1, "decoded")
    # And it costs one reading, not one at each listing.
    monkey = discover_module._same_bytes
    discover_module._same_bytes = None  # would raise if it were called
    try:
        assert found(place).unchanged == 1
    finally:
        discover_module._same_bytes = monkey


def test_a_vanished_file_retires_and_goes_on_where_it_was_when_it_returns(place, archive_folder):
    """A disk that was not plugged in for a day must cost nothing."""
    path = make_clip(archive_folder / "cam" / "1.mp4", 5)
    os.utime(path, (YEAR_2020, YEAR_2020))
    put(archive_folder, "cam/2.mp4")
    found(place)
    decode_bundle(place.db, place.archive, place.store, "cam-0001", place.settings)
    assert [r.state for r in videos(place)] == ["decoded", "failed"]
    path.rename(archive_folder / "away")
    assert found(place).retired == 1
    assert [r.state for r in videos(place)] == ["retired", "failed"]
    (archive_folder / "away").rename(path)
    back = found(place)
    assert (back.returned, back.new, back.unchanged) == (1, 0, 1)
    assert [r.state for r in videos(place)] == ["decoded", "failed"]


def test_an_empty_archive_is_an_error_and_retires_nothing(place, archive_folder, monkeypatch):
    """An unmounted disk is an empty folder: taking it at its word would retire the whole archive."""
    without_probing(monkeypatch)
    with pytest.raises(ArchiveError, match="holds no video"):
        found(place)
    path = put(archive_folder, "cam/1.mp4")
    found(place)
    path.unlink()
    put(archive_folder, "readme.txt")
    with pytest.raises(ArchiveError, match="1 other files"):
        found(place)
    assert [r.state for r in videos(place)] == ["registered"]


def test_an_archive_that_is_not_there_says_so(make_place, tmp_path, archive_folder):
    """The three first mistakes of a new user: no address, a wrong one, a file instead of a folder."""
    settings = make_place().settings
    for url, says in ((None, "No archive is named"), ("/no/such/folder", "does not exist"), ("ftp://x/y", "address")):
        with pytest.raises(ArchiveError, match=says) as told:
            open_archive(settings.model_copy(update={"archive_url": url}))
        assert told.value.remedy
    file = put(tmp_path, "a.mp4")
    with pytest.raises(ArchiveError):
        open_archive(settings.model_copy(update={"archive_url": str(file)}))


def test_videos_below_an_unreadable_folder_do_not_retire(place, archive_folder, monkeypatch):
    """A folder that cannot be read is not an empty folder."""
    without_probing(monkeypatch)
    put(archive_folder, "cam1/1.mp4")
    put(archive_folder, "cam2/1.mp4")
    put(archive_folder, "cam3/1.mp4").unlink()
    found(place)
    real = os.scandir

    def scandir(path):
        if str(path).endswith("cam2"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    (archive_folder / "cam1" / "1.mp4").unlink()
    put(archive_folder, "cam3/1.mp4")
    result = found(place)
    assert (result.retired, result.new) == (1, 1)
    assert result.problems == ["cam2: Permission denied"]
    assert [(r.uri, r.state) for r in videos(place)] == [
        ("cam1/1.mp4", "retired"),
        ("cam2/1.mp4", "registered"),
        ("cam3/1.mp4", "registered"),
    ]


def test_a_listing_that_meets_its_deadline_goes_on_where_it_stopped(place, archive_folder, monkeypatch):
    """A sensor has a minute; what was not listed yet is not vanished."""
    without_probing(monkeypatch)
    monkeypatch.setattr(discover_module, "_PAGE", 2)
    for n in range(5):
        put(archive_folder, f"cam/{n}.mp4")
    found(place)
    (archive_folder / "cam" / "1.mp4").unlink()
    (archive_folder / "cam" / "4.mp4").unlink()
    put(archive_folder, "cam/5.mp4")
    after, calls, retired, new = None, 0, 0, 0
    while True:
        part = found(place, deadline_s=0, after=after)
        calls, retired, new = calls + 1, retired + part.retired, new + part.new
        assert part.listed <= 1
        if not part.deadline_hit:
            break
        after = part.resume_after
    assert (calls, retired, new) == (5, 2, 1)
    assert [r.state == "retired" for r in videos(place)] == [False, True, False, False, True, False]


def test_a_file_still_being_written_waits_for_the_next_listing(place, archive_folder, monkeypatch):
    """A half-copied film would be decoded in half and then again as a replacement."""
    without_probing(monkeypatch)
    put(archive_folder, "cam/0.mp4")
    growing = put(archive_folder, "cam/1.mp4", b"1", at=YEAR_2020 + 100)
    fresh = put(archive_folder, "cam/2.mp4", b"2", at=YEAR_2020 + 100)
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        put(archive_folder, "cam/1.mp4", b"12", at=YEAR_2020 + 101)

    clock = lambda: datetime.fromtimestamp(YEAR_2020 + 100, UTC) + timedelta(seconds=sum(slept))  # noqa: E731
    first = found(place, now=clock, sleep=sleep)
    assert sum(slept) == pytest.approx(SETTLE_S)
    assert (first.listed, first.new, first.waiting) == (3, 2, 1)
    assert [r.uri for r in videos(place)] == ["cam/0.mp4", "cam/2.mp4"]
    assert growing.exists()
    assert fresh.exists()
    later = found(place, now=lambda: clock() + timedelta(seconds=60), sleep=sleep)
    assert (later.new, later.waiting, later.unchanged) == (1, 0, 2)


def test_when_a_video_was_recorded_and_who_says_so(make_place, archive_folder):
    """Camera clocks run in local time; the container, the name and the date of the file are trusted in this order."""
    place = make_place(archive={"timezone": "Africa/Dar_es_Salaam"})
    make_clip(archive_folder / "cam" / "20130506_143000_a.mp4", 2, created="2012-01-02T03:04:05Z")
    make_clip(archive_folder / "cam" / "20130506_143000_b.mp4", 2)
    put(archive_folder, "cam/c.mp4")
    make_clip(archive_folder / "cam" / "d.mp4", 2, created="2035-01-02T03:04:05Z")
    os.utime(archive_folder / "cam" / "d.mp4", (YEAR_2020, YEAR_2020))
    found(place)
    assert [(r.recorded_at.isoformat(), r.recorded_at_source) for r in videos(place)] == [
        ("2012-01-02T03:04:05+00:00", "container"),
        ("2013-05-06T11:30:00+00:00", "file_name"),
        ("2020-01-01T00:00:00+00:00", "file_time"),
        ("2020-01-01T00:00:00+00:00", "file_time"),
    ]
    nowhere = make_place("other", archive={"timezone": "Africa/Gombe"})
    with pytest.raises(ArchiveError, match="no time zone"):
        found(nowhere)


def test_videos_of_one_camera_and_day_share_a_split(place, archive_folder, monkeypatch):
    """Neighbouring clips show the same scene: apart, they would leak from training into the test."""
    without_probing(monkeypatch)
    for day in range(1, 21):
        for n in range(3):
            put(archive_folder, f"site/cam/2013-05-{day:02d}/{n}.mp4")
    found(place)
    with place.db.read() as conn:
        rows = conn.execute(sa.select(schema.split_assignment.c.day_key, schema.split_assignment.c.split)).all()
    assert len(rows) == 60
    assert len(set(rows)) == 20
    assert {split for _, split in rows} == {"train", "validation", "test"}
