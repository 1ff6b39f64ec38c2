"""Discovery: the listing compared with SQL, in every way a folder can change between two listings."""

import os
import re
import tracemalloc
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from chimp_assets.archive.catalogue import comparison
from chimp_assets.archive.catalogue.container_times import ContainerTimes
from chimp_assets.archive.catalogue.discover import discover
from chimp_assets.archive.catalogue.duplicates import settle_twin
from chimp_assets.archive.catalogue.settling import SETTLE_S
from chimp_assets.archive.ingest import decode_bundle
from chimp_assets.archive.storage.archive import ArchiveError, open_archive
from chimp_assets.archive.storage.store import BlobInfo, StoreError
from chimp_assets.database import schema
from chimp_assets_tests.archive.clips import make_clip

YEAR_2020 = 1_577_836_800
THEN = datetime(2020, 1, 1, tzinfo=UTC)


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
    monkeypatch.setattr(ContainerTimes, "created_at", lambda self, key: None)


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
    monkey = comparison._same_bytes
    comparison._same_bytes = None  # would raise if it were called
    try:
        assert found(place).unchanged == 1
    finally:
        comparison._same_bytes = monkey


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
    monkeypatch.setattr(comparison, "_PAGE", 2)
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
        if part.resume_after is None:
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
    put(archive_folder, "cam/20130506_003000.mp4")
    found(place)
    night = next(r for r in videos(place) if r.uri == "cam/20130506_003000.mp4")
    assert (night.recorded_at.isoformat(), str(night.recorded_on)) == ("2013-05-05T21:30:00+00:00", "2013-05-06")
    nowhere = make_place("other", archive={"timezone": "Africa/Gombe"})
    with pytest.raises(ArchiveError, match="not a time zone"):
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


def settle_copy(place, video_id, twin_id):
    """What an ingest does when the bytes of a registered video turn out to be its twin's."""
    content_hash = next(r.content_hash for r in videos(place) if r.video_id == twin_id)
    return place.db.transact(lambda conn: settle_twin(conn, video_id, twin_id, content_hash, datetime.now(UTC)))


def test_a_copy_takes_the_place_of_its_original_when_that_vanishes(place, archive_folder):
    """A card copied twice: when somebody tidies the first copy away, the tracks must live on in the second."""
    path = make_clip(archive_folder / "cam" / "1.mp4", 5)
    os.utime(path, (YEAR_2020, YEAR_2020))
    found(place)
    decode_bundle(place.db, place.archive, place.store, "cam-0001", place.settings)
    copy = put(archive_folder, "other/copy.mp4", path.read_bytes())
    assert found(place).new == 1
    assert settle_copy(place, 2, 1) == "duplicate"
    later = found(place)
    assert (later.listed, later.unchanged, later.duplicates, later.changed) == (2, 1, 1, 0)
    path.unlink()
    gone = found(place)  # one listing: nobody may find both retired
    assert (gone.retired, gone.returned, gone.duplicates) == (1, 1, 0)
    assert [(r.uri, r.state) for r in videos(place)] == [("cam/1.mp4", "retired"), ("other/copy.mp4", "registered")]
    assert settle_copy(place, 2, 1) == "moved"
    assert [(r.uri, r.state) for r in videos(place)] == [("other/copy.mp4", "decoded"), ("cam/1.mp4", "retired")]
    assert found(place).unchanged == 1
    # And the first one again: now that is the copy.
    put(archive_folder, "cam/1.mp4", copy.read_bytes())
    back = found(place)
    assert (back.unchanged, back.duplicates, back.changed) == (1, 1, 0)


def test_a_quiet_listing_stops_after_its_share_and_goes_on_at_the_next_call(place, archive_folder, monkeypatch):
    """A sensor lists every minute for years: most of its calls must cost next to nothing."""
    without_probing(monkeypatch)
    monkeypatch.setattr(comparison, "_PAGE", 2)
    for n in range(9):
        put(archive_folder, f"cam/{n}.mp4")
    # New files: on it goes, whatever the share.
    assert found(place, quiet_files=2).new == 9
    first = found(place, quiet_files=4)
    assert (first.listed, first.unchanged, first.resume_after) == (4, 4, "cam/3.mp4")
    put(archive_folder, "cam/5a.mp4")
    (archive_folder / "cam" / "4.mp4").unlink()
    (archive_folder / "cam" / "1.mp4").unlink()
    second = found(place, quiet_files=4, after=first.resume_after)
    assert (second.new, second.retired, second.resume_after) == (1, 1, None)
    assert [r.uri for r in videos(place) if r.state == "retired"] == ["cam/4.mp4"]
    third = found(place, quiet_files=4)
    assert third.retired == 1


def test_a_listing_that_runs_out_of_time_while_retiring_goes_on_there(place, archive_folder, monkeypatch):
    """A folder of a million videos that was moved away takes longer to retire than a sensor's tick may last."""
    without_probing(monkeypatch)
    monkeypatch.setattr(comparison, "_PAGE", 2)
    for n in range(10):
        put(archive_folder, f"cam/{n}.mp4")
    found(place)
    for n in range(1, 9):
        (archive_folder / "cam" / f"{n}.mp4").unlink()
    after, retired = "cam/0.mp4", []
    while after is not None:
        part = found(place, deadline_s=0, after=after)
        after = part.resume_after
        retired.append(part.retired)
    assert sum(retired) == 8
    assert len(retired) >= 4
    assert max(retired) == 2
    assert [r.uri for r in videos(place) if r.state != "retired"] == ["cam/0.mp4", "cam/9.mp4"]


class Listing:
    """An archive that only lists. keys: what it lists; an exception among them is raised at that point."""

    url = "az://fake/archive"
    is_shareable = False

    def __init__(self, keys):
        self.keys = keys
        self.listed = 0

    def list(self, prefix="", after=None, on_unreadable=None):
        for key in self.keys():
            if isinstance(key, Exception):
                raise key
            if after is None or key > after:
                self.listed += 1
                yield BlobInfo(key, 10, "e", datetime(2020, 1, 1, tzinfo=UTC))


def test_thousands_of_files_are_listed_in_parts_that_hold_one_page(place, monkeypatch):
    """Holding every known name would take hundreds of megabytes from a process that does nothing."""
    without_probing(monkeypatch)
    settings = place.settings.model_copy(
        update={"archive": place.settings.archive.model_copy(update={"bundle_videos": 1_000})}
    )
    archive = Listing(lambda: (f"cam/{n:06d}.mp4" for n in range(8_000)))
    assert discover(place.db, archive, settings).new == 8_000
    calls, after, unchanged = 0, None, 0
    while calls == 0 or after is not None:
        part = discover(place.db, archive, settings, quiet_files=1_000, after=after)
        calls, after, unchanged = calls + 1, part.resume_after, unchanged + part.unchanged
        assert part.listed <= 1_000
        assert part.changed == 0
    assert (calls, unchanged) == (9, 8_000)

    tracemalloc.start()
    try:
        assert discover(place.db, archive, settings).unchanged == 8_000
        # Twice as much is held as soon as each name is, which takes a hundred bytes in a set.
        assert tracemalloc.get_traced_memory()[1] < 1.25e6
    finally:
        tracemalloc.stop()


def test_a_page_that_fails_in_the_middle_is_not_the_end_of_the_archive(place, monkeypatch):
    """The network breaks at file 1,200 of 2,000: the other 800 are not gone, and the first 1,000 are known."""
    without_probing(monkeypatch)
    names = [f"cam/{n:04d}.mp4" for n in range(2_000)]
    discover(place.db, Listing(lambda: iter(names)), place.settings)
    broken = Listing(lambda: iter([*names[1:1200], StoreError("The listing broke off.", "Check the network.")]))
    with pytest.raises(ArchiveError, match="broke off"):
        discover(place.db, broken, place.settings)
    assert [r.uri for r in videos(place) if r.state == "retired"] == ["cam/0000.mp4"]


def test_a_disk_that_goes_away_between_two_parts_of_a_listing_retires_nothing(place, archive_folder, monkeypatch):
    """The second part would find an empty folder, and the end of the archive."""
    without_probing(monkeypatch)
    monkeypatch.setattr(comparison, "_PAGE", 1)
    for n in range(4):
        put(archive_folder, f"cam/{n}.mp4")
    found(place)
    first = found(place, quiet_files=2)
    for n in range(4):
        (archive_folder / "cam" / f"{n}.mp4").unlink()
    with pytest.raises(ArchiveError, match="holds no video"):
        found(place, after=first.resume_after)
    assert {r.state for r in videos(place)} == {"registered"}


def test_a_listing_reads_only_the_rows_of_what_it_lists(place, archive_folder, monkeypatch):
    """Reading every row of a large archive at each tick would take the whole tick."""
    without_probing(monkeypatch)
    with place.db.write() as conn:
        conn.execute(sa.insert(schema.bundle).values(bundle_id=1, bundle_key="b-0001", folder="b", created_at=THEN))
        conn.execute(
            sa.insert(schema.video),
            [
                {
                    "video_id": n, "bundle_id": 1, "uri": f"b/{n:05d}.mp4", "version": 1, "bytes": 1, "etag": "e",
                    "state": "registered", "discovered_at": THEN, "updated_at": THEN,
                }
                for n in range(1, 20_001)
            ],
        )  # fmt: skip
        conn.execute(
            sa.insert(schema.split_assignment).values(video_id=20_000, day_key="d", split="train", assigned_at=THEN)
        )
    archive = Listing(lambda: (f"b/{n:05d}.mp4" for n in range(1, 20_001)))
    read = []

    @sa.event.listens_for(place.db.engine, "after_cursor_execute")
    def count(conn, cursor, statement, parameters, context, many):
        if statement.startswith(("BEGIN", "PRAGMA")):
            return
        plan = conn.connection.driver_connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
        read.append((statement.split()[0], " ".join(step[-1] for step in plan)))

    part = discover(place.db, archive, place.settings, quiet_files=1_000, after="b/05000.mp4")
    assert (part.listed, part.unchanged, part.resume_after) == (1_000, 1_000, "b/06000.mp4")
    assert {verb for verb, _ in read} == {"SELECT"}
    assert len(read) <= 6
    # The newest row is a look at the end of an index, which SQLite calls a search.
    assert not [plan for _, plan in read if "SCAN" in plan]
