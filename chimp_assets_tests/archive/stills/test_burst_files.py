"""Pictures in an archive: clips of them, and files of bursts that come and go."""

import os
import shutil
from datetime import UTC, datetime

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image

from chimp_assets.archive.catalogue.discover import discover
from chimp_assets.archive.ingest import decode_bundle
from chimp_assets.archive.video.originals import read_original
from chimp_assets.archive.video.pictures import read_frames
from chimp_assets.database import schema as s
from chimp_assets.errors import ChimpError
from chimp_assets_tests.archive.clips import make_clip
from chimp_assets_tests.archive.stills.photos import photo

FOUR = tuple(f"2023:05:06 07:08:{second:02d}" for second in (9, 10, 12, 13))


@pytest.fixture
def burst(archive_folder):
    """Four pictures of one burst, and one of an hour later."""
    paths = [photo(archive_folder / "cam1" / f"IMG_{n}.JPG", taken) for n, taken in enumerate(FOUR)]
    photo(archive_folder / "cam1" / "IMG_9.JPG", "2023:05:06 08:00:00")
    return paths


def listed(place):
    return discover(place.db, place.archive, place.settings)


def ingested(place):
    found = listed(place)
    with place.db.read() as conn:
        keys = conn.scalars(sa.select(s.bundle.c.bundle_key)).all()
    return found, [decode_bundle(place.db, place.archive, place.store, key, place.settings) for key in keys]


def rows(place):
    with place.db.read() as conn:
        return {row.video_id: row for row in conn.execute(sa.select(s.video).order_by(s.video.c.video_id))}


def clip_of(place, video_id):
    f = s.frame.c
    with place.db.read() as conn:
        found = conn.execute(sa.select(f.time_s, f.source_video_id).where(f.video_id == video_id).order_by(f.frame_no))
        return [tuple(row) for row in found]


def answered(place, video_id):
    """A track of a video, as a witness that it keeps what it has."""
    with place.db.write() as conn:
        model = conn.execute(
            sa.insert(s.model).values(
                task="detector", version=1, name="x", state="champion", config="{}", created_at=datetime.now(UTC)
            )
        ).inserted_primary_key[0]
        conn.execute(
            sa.insert(s.track).values(
                track_id=s.track_id_of(video_id, 0), video_id=video_id, first_frame_no=0, last_frame_no=3,
                n_detections=4, first_s=0.0, last_s=4.0, quality=1.0, model_id=model, state="live",
            )
        )  # fmt: skip
        conn.execute(sa.update(s.video).where(s.video.c.video_id == video_id).values(state="tracked"))


def gone_note(place, video_id):
    return rows(place)[video_id].note


def test_a_burst_is_one_clip_and_each_frame_knows_its_file(place, burst):
    found, (done,) = ingested(place)
    assert (found.listed, found.new) == (5, 5)
    assert (done.videos, done.frames, done.failed, done.partial) == (2, 5, [], [])
    seen = rows(place)
    head = seen[1]
    assert (head.state, head.n_frames, head.frame_s, head.codec) == ("decoded", 4, pytest.approx(4 / 3), "jpeg")
    assert head.duration_s == pytest.approx(4 + 4 / 3)
    assert (head.recorded_at, head.recorded_at_source) == (datetime(2023, 5, 6, 7, 8, 9, tzinfo=UTC), "exif")
    assert [(seen[n].state, seen[n].burst_video_id, seen[n].n_frames) for n in (2, 3, 4)] == [("retired", 1, 0)] * 3
    assert clip_of(place, 1) == [(0.0, 1), (1.0, 2), (3.0, 3), (4.0, 4)]
    assert (seen[5].state, seen[5].n_frames, seen[5].duration_s, seen[5].frame_s) == ("decoded", 1, 0.0, 0.0)
    assert clip_of(place, 5) == [(0.0, None)]
    assert len(list(read_frames(place.db, place.store, 1))) == 4


def test_listing_again_changes_nothing(place, burst):
    ingested(place)
    before = rows(place)
    again, (done,) = ingested(place)
    assert (again.unchanged, again.changed, done.videos) == (5, 0, 0)
    assert rows(place) == before


@pytest.mark.parametrize("place_of_burst", [0, 2])
def test_a_deleted_picture_leaves_the_burst_and_is_counted(place, burst, place_of_burst):
    ingested(place)
    answered(place, 1)
    kept = burst[place_of_burst].read_bytes()
    stat = burst[place_of_burst].stat()
    burst[place_of_burst].unlink()
    assert (listed(place).retired, listed(place).retired) == (1, 0)
    assert rows(place)[1].state == "tracked"
    assert gone_note(place, 1) == "The file of 1 of its 4 pictures is gone."
    burst[place_of_burst].write_bytes(kept)
    os.utime(burst[place_of_burst], ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert (listed(place).returned, listed(place).returned) == (1, 0)
    assert (rows(place)[1].state, gone_note(place, 1)) == ("tracked", None)


def test_a_burst_retires_with_its_last_file_and_comes_back_with_the_first(place, burst):
    ingested(place)
    answered(place, 1)
    away = burst[0].parents[2] / "away"
    away.mkdir()
    for path in burst:
        shutil.move(path, away / path.name)
    assert listed(place).retired == 4
    assert rows(place)[1].state == "retired"
    assert listed(place).changed == 0
    shutil.move(away / burst[2].name, burst[2])
    assert listed(place).returned == 1
    assert (rows(place)[1].state, gone_note(place, 1)) == ("tracked", "The files of 3 of its 4 pictures are gone.")


@pytest.mark.parametrize("place_of_burst", [0, 2])
def test_a_replaced_picture_is_a_new_clip_and_the_burst_stays(place, burst, place_of_burst):
    ingested(place)
    answered(place, 1)
    photo(burst[place_of_burst], FOUR[place_of_burst], seed=99)
    found, (done,) = ingested(place)
    assert (found.replaced, found.unchanged, done.videos) == (1, 4, 1)
    seen = rows(place)
    assert (seen[1].state, gone_note(place, 1)) == ("tracked", "The file of 1 of its 4 pictures is gone.")
    assert (seen[6].version, seen[6].state, seen[6].n_frames, seen[6].burst_video_id) == (2, "decoded", 1, None)
    assert listed(place).unchanged == 5


@pytest.mark.parametrize("new", ["cam0", "cam2"])
def test_a_moved_burst_keeps_its_tracks(place, burst, new):
    ingested(place)
    answered(place, 1)
    burst[0].parent.rename(burst[0].parent.with_name(new))
    _, done = ingested(place)
    assert sum(one.videos for one in done) == 0
    assert sum(len(one.duplicates) for one in done) == 5
    seen = rows(place)
    assert [(seen[n].uri, seen[n].state) for n in (1, 2)] == [
        (f"{new}/IMG_0.JPG", "tracked"),
        (f"{new}/IMG_1.JPG", "retired"),
    ]
    assert seen[1].camera == new
    assert gone_note(place, 1) is None
    assert clip_of(place, 1) == [(0.0, 1), (1.0, 2), (3.0, 3), (4.0, 4)]
    again = listed(place)
    assert (again.unchanged, again.changed) == (5, 0)


@pytest.mark.parametrize("place_of_burst", [0, 2])
def test_a_renamed_picture_stays_in_its_burst(place, burst, place_of_burst):
    ingested(place)
    burst[place_of_burst].rename(burst[place_of_burst].with_name("renamed.jpg"))
    ingested(place)
    seen = rows(place)
    assert seen[place_of_burst + 1].uri == "cam1/renamed.jpg"
    assert (seen[1].state, gone_note(place, 1)) == ("decoded", None)
    assert listed(place).unchanged == 5


def test_copies_of_pictures_of_a_burst_are_duplicates(place, burst):
    shutil.copy(burst[1], burst[1].with_name("IMG_1 - Copy.JPG"))
    ingested(place)
    (burst[0].parents[1] / "cam1" / "copies").mkdir()
    shutil.copy(burst[2], burst[0].parent / "copies" / "again.jpg")
    _, done = ingested(place)
    assert sum(one.videos for one in done) == 0
    seen = {row.uri: row for row in rows(place).values()}
    of_burst = {uri: row.burst_video_id for uri, row in seen.items()}
    assert len([one for one in of_burst.values() if one == 1]) == 3
    assert seen["cam1/copies/again.jpg"].duplicate_of_video_id == seen["cam1/IMG_2.JPG"].video_id
    again = listed(place)
    assert (again.duplicates, again.unchanged, again.changed) == (2, 5, 0)
    burst[2].unlink()
    assert listed(place).retired == 1
    ingested(place)
    assert rows(place)[seen["cam1/IMG_2.JPG"].video_id].uri == "cam1/copies/again.jpg"
    assert gone_note(place, 1) is None


def test_a_late_picture_is_a_clip_of_its_own(place, burst):
    ingested(place)
    photo(burst[0].with_name("IMG_5.JPG"), "2023:05:06 07:08:11")
    _, (done,) = ingested(place)
    assert (done.videos, done.frames) == (1, 1)
    assert rows(place)[1].n_frames == 4


def test_other_exif_of_the_same_pictures_keeps_the_burst(place, archive_folder):
    paths = [photo(archive_folder / "cam1" / f"{n}.png", taken) for n, taken in enumerate(FOUR)]
    ingested(place)
    answered(place, 1)
    for n, path in enumerate(paths):
        photo(path, FOUR[n].replace("2023", "2024"))
    _, (done,) = ingested(place)
    assert done.same_pictures == ["cam1/0.png"]
    seen = rows(place)
    assert (seen[1].state, seen[1].uri, seen[1].version) == ("tracked", "cam1/0.png", 2)
    assert seen[1].recorded_at == datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
    assert [source for _, source in clip_of(place, 1)] == [1, 6, 7, 8]
    again = listed(place)
    assert (again.unchanged, again.changed) == (4, 0)
    assert gone_note(place, 1) is None


def test_a_damaged_picture_is_left_out_of_its_burst(place, burst):
    burst[0].write_bytes(b"\xff\xd8\xff" + burst[0].read_bytes()[20:90])
    burst[2].write_bytes(burst[2].read_bytes()[:6000])
    _, (done,) = ingested(place)
    seen = rows(place)
    assert seen[1].state == "failed"
    assert "IMG_0.JPG" in seen[1].error
    assert "cut off" in str(done.partial)
    assert len({row.burst_video_id for row in seen.values() if row.burst_video_id}) == 1
    assert listed(place).unchanged == 5


def test_a_setting_of_bursts_counts_for_what_is_decoded_after(make_place, burst, archive_folder):
    apart = make_place("apart", decode={"workers": 0}, pictures={"burst_s": 0})
    _, (done,) = ingested(apart)
    assert (done.videos, done.frames) == (5, 5)
    together = make_place("together", decode={"workers": 0}, pictures={"burst_s": 10_000})
    _, (done,) = ingested(together)
    assert (done.videos, done.frames) == (1, 5)


def test_children_decode_bursts_as_this_process_does(make_place, burst):
    alone, children = make_place("alone", decode={"workers": 0}), make_place("children", decode={"workers": 2})
    for home in (alone, children):
        ingested(home)
    skipped = {"decode_s", "discovered_at", "updated_at"}
    one, other = (
        [{k: v for k, v in row._mapping.items() if k not in skipped} for row in rows(home).values()]
        for home in (alone, children)
    )
    assert one == other
    assert clip_of(alone, 1) == clip_of(children, 1)


def test_the_original_of_a_frame_is_its_own_file(place, burst):
    ingested(place)
    for at_s, n in ((0.0, 0), (1.5, 1), (3.0, 2), (99.0, 3)):
        found = read_original(place.db, place.archive, 1, at_s, place.settings.decode)
        shown = np.asarray(Image.open(burst[n]).convert("RGB"))
        assert np.array_equal(found.picture, shown)
    burst[2].unlink()
    with pytest.raises(ChimpError, match=r"IMG_2\.JPG, is gone"):
        read_original(place.db, place.archive, 1, 3.0, place.settings.decode)


def test_a_run_that_dies_before_its_rows_leaves_all_for_the_next(place, burst, monkeypatch):
    """Half a burst must never be written: the rest would become a second clip of it."""
    listed(place)

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("chimp_assets.archive.ingest.name_sources", die)
        with pytest.raises(KeyboardInterrupt):
            decode_bundle(place.db, place.archive, place.store, "cam1-0001", place.settings)
    assert {row.state for row in rows(place).values()} == {"registered"}
    _, (done,) = ingested(place)
    assert (done.videos, done.frames) == (2, 5)


def test_a_film_that_is_called_a_picture_is_read_as_a_film(place, archive_folder):
    (archive_folder / "cam1").mkdir()
    make_clip(archive_folder / "cam1" / "a.mp4", 10).rename(archive_folder / "cam1" / "a.jpg")
    _, (done,) = ingested(place)
    assert done.frames > 1


def test_thumbnails_and_notes_are_counted_and_not_listed(place, burst):
    for name in ("IMG_0.THM", "IMG_0.xmp", "THMBNL/C0001T01.JPG", ".thumbnails/1.jpg"):
        path = burst[0].parent / name
        path.parent.mkdir(exist_ok=True)
        shutil.copy(burst[0], path)
    found = listed(place)
    assert found.listed == 5
    assert sum(found.passed_over.values()) == 4
    assert found.endings[".thm"] == 1
