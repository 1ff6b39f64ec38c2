"""Times in rows: witnesses kept, neighbours asked, corrections said and taken back, and what follows of them."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from chimp_assets.archive.catalogue.container_times import ContainerTimes
from chimp_assets.archive.catalogue.discover import discover
from chimp_assets.archive.ingest import decode_bundle
from chimp_assets.archive.times.corrections import (
    CorrectionError,
    CorrectionRequest,
    correct,
    list_corrections,
    offset_of,
    revoke,
)
from chimp_assets.archive.times.rows import keep_up
from chimp_assets.database import schema as s
from chimp_assets.database.footage.times import camera_times, times_of
from chimp_assets.database.labels.splits import follow_groups
from chimp_assets.database.people.users import PeopleError, add_user
from chimp_assets_tests.archive.clips import make_clip

YEAR_2024 = 1_704_067_200
GOMBE = {"timezone": "Africa/Dar_es_Salaam"}


def put(folder: Path, name: str, at: int = YEAR_2024) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"no video")
    os.utime(path, (at, at))
    return path


def rows(place: Any) -> dict[str, Any]:
    with place.db.read() as conn:
        found = conn.execute(
            sa.select(
                s.video, s.video_time.c.witness, s.video_time.c.disagree, s.video_time.c.note.label("why"),
                s.video_time.c.asks,
                s.video_time.c.correction_id, s.video_time.c.witnesses, s.split_assignment.c.split,
                s.split_assignment.c.day_key,
            )
            .outerjoin(s.video_time, s.video_time.c.video_id == s.video.c.video_id)
            .outerjoin(s.split_assignment, s.split_assignment.c.video_id == s.video.c.video_id)
            .order_by(s.video.c.video_id)
        )  # fmt: skip
        return {row.uri: row for row in found}


def found(place: Any) -> Any:
    return discover(place.db, place.archive, place.settings)


def times(place: Any) -> dict[str, str]:
    return {uri: f"{row.recorded_at:%Y-%m-%d %H:%M:%S}" for uri, row in rows(place).items()}


def unprobed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ContainerTimes, "created_at", lambda self, key: None)


def with_setting(place: Any, **archive: Any) -> None:
    changed = place.settings.archive.model_copy(update=archive)
    place.settings = place.settings.model_copy(update={"archive": changed})


def test_real_files_are_weighed_by_what_their_containers_and_names_say(make_place: Any, archive_folder: Path) -> None:
    """The rows of the fault page, through the files themselves."""
    place = make_place(archive={"timezone": "Europe/Berlin"}, decode={"workers": 0})
    make_clip(archive_folder / "c" / "B_20230506_143000.mp4", 2, created="2000-01-01T00:03:12Z")
    make_clip(archive_folder / "c" / "I_20230506_235959.mp4", 2, created="2023-05-06T23:59:59Z")
    make_clip(archive_folder / "c" / "2023-05-06 02-30-15 PM.mp4", 2)
    make_clip(archive_folder / "c" / "Gombe 1974-03-12 reel 4.mov", 2, created="2019-04-03T10:11:12Z")
    put(archive_folder, "Cam09/2024-01-15/IMG_0001.avi", int(datetime(2023, 12, 20, 6, 31, tzinfo=UTC).timestamp()))
    listed = found(place)
    seen = rows(place)
    told = {uri: (str(r.recorded_at), r.recorded_at_source, r.recorded_at_certainty) for uri, r in seen.items()}
    assert told == {
        "Cam09/2024-01-15/IMG_0001.avi": ("2023-12-20 06:31:00+00:00", "file_time", "likely"),
        "c/2023-05-06 02-30-15 PM.mp4": ("2023-05-06 12:30:15+00:00", "file_name", "likely"),
        "c/B_20230506_143000.mp4": ("2023-05-06 12:30:00+00:00", "file_name", "likely"),
        "c/Gombe 1974-03-12 reel 4.mov": ("1974-03-11 23:00:00+00:00", "file_name", "day"),
        "c/I_20230506_235959.mp4": ("2023-05-06 21:59:59+00:00", "file_name", "sure"),
    }
    assert seen["c/I_20230506_235959.mp4"].recorded_on == date(2023, 5, 6)
    assert seen["c/B_20230506_143000.mp4"].disagree == "container"
    assert "reset" in seen["c/B_20230506_143000.mp4"].why
    assert listed.times.weighed == 5
    assert found(place).times.weighed == 0


def test_a_chapter_begins_where_the_one_before_it_ends(place: Any, archive_folder: Path) -> None:
    """Three chapters with one creation_time happened at the same moment."""
    for n in (1, 2, 3):
        make_clip(archive_folder / "cam" / f"GH0{n}0123.MP4", 25 * n, created="2023-05-06T11:30:00Z")
    found(place)
    at = times(place)
    assert list(at.values()) == ["2023-05-06 11:30:00", "2023-05-06 11:30:01", "2023-05-06 11:30:03"]
    decode_bundle(place.db, place.archive, place.store, "cam-0001", place.settings)
    assert times(place) == at
    assert "begins where piece 1 ends" in rows(place)["cam/GH020123.MP4"].why
    # A piece whose forerunner is not there claims the beginning of the whole.
    make_clip(archive_folder / "cam" / "GH020999.MP4", 25, created="2023-05-06T11:30:00Z")
    found(place)
    assert rows(place)["cam/GH020999.MP4"].recorded_at_certainty == "unsure"
    done = correct(place.db, place.settings, CorrectionRequest("cam", offset="+1h"))
    assert done.n_changed == 4
    assert times(place)["cam/GH030123.MP4"] == "2023-05-06 12:30:03"


def test_the_order_of_day_and_month_is_learned_from_other_names_of_the_camera(
    place: Any, archive_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """06-05-2023 alone is not clear; beside 25-04-2023 it is."""
    unprobed(monkeypatch)
    put(archive_folder, "cam1/06-05-2023 10.00.00.mp4")
    put(archive_folder, "cam2/06-05-2023 10.00.00.mp4")
    found(place)
    assert {r.asks for r in rows(place).values()} == {"date_order"}
    with place.db.read() as conn:
        assert times_of(conn).n_asks == 2
    put(archive_folder, "cam1/25-04-2023 10.00.00.mp4")
    put(archive_folder, "cam2/04-25-2023 10.00.00.mp4")
    found(place)
    at = rows(place)
    assert at["cam1/06-05-2023 10.00.00.mp4"].recorded_on == date(2023, 5, 6)
    assert at["cam2/06-05-2023 10.00.00.mp4"].recorded_on == date(2023, 6, 5)
    assert {r.recorded_at_certainty for r in at.values()} == {"likely"}
    correct(place.db, place.settings, CorrectionRequest("cam1", order="month_first"), why="the ranger is from Ohio")
    assert rows(place)["cam1/06-05-2023 10.00.00.mp4"].recorded_on == date(2023, 6, 5)


def test_a_zone_that_is_set_later_is_noticed_at_the_next_listing(
    place: Any, archive_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """archive.timezone changed and nothing happened, without a word."""
    unprobed(monkeypatch)
    put(archive_folder, "cam/20230506_003000.mp4")
    found(place)
    assert str(rows(place)["cam/20230506_003000.mp4"].recorded_on) == "2023-05-06"
    with_setting(place, timezone="Africa/Dar_es_Salaam")
    again = found(place)
    assert (again.times.changed, "archive.timezone is Africa/Dar_es_Salaam" in again.times.why) == (1, True)
    row = rows(place)["cam/20230506_003000.mp4"]
    assert (str(row.recorded_at), str(row.recorded_on)) == ("2023-05-05 21:30:00+00:00", "2023-05-06")
    assert found(place).times.weighed == 0


def test_rows_of_an_older_version_are_weighed_by_what_they_say(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home that is upgraded has no witnesses: its one witness and the name are compared all the same."""
    then = datetime(2024, 1, 1, tzinfo=UTC)
    with place.db.write() as conn:
        conn.execute(sa.insert(s.time_rules).values(rules="{}", applied_at=then))
        conn.execute(sa.insert(s.bundle).values(bundle_id=1, bundle_key="c-0001", folder="c", created_at=then))
        for key, (uri, source, moment) in enumerate(
            [
                ("c/B_20230506_143000.mp4", "container", datetime(2000, 1, 1, 0, 3, 12, tzinfo=UTC)),
                ("c/IMG_1.mp4", "container", datetime(2023, 5, 6, 11, 30, tzinfo=UTC)),
                ("c/IMG_2.mp4", "file_time", datetime(2023, 5, 6, 11, 30, tzinfo=UTC)),
                ("c/IMG_3.mp4", "user", datetime(2021, 5, 6, 11, 30, tzinfo=UTC)),
            ],
            start=1,
        ):
            conn.execute(
                sa.insert(s.video).values(
                    video_id=key, bundle_id=1, uri=uri, version=1, bytes=1, etag="e", recorded_at=moment,
                    recorded_at_source=source, recorded_on=moment.date(), site="c", camera="c", state="registered",
                    discovered_at=then, updated_at=then,
                )
            )  # fmt: skip
    done = keep_up(place.db, place.settings)
    assert (done.weighed, done.changed) == (3, 1)
    assert list(times(place).values()) == [
        "2023-05-06 14:30:00", "2023-05-06 11:30:00", "2023-05-06 11:30:00", "2021-05-06 11:30:00",
    ]  # fmt: skip
    assert [r.recorded_at_certainty for r in rows(place).values()] == ["likely", "likely", "unsure", "sure"]
    assert keep_up(place.db, place.settings).weighed == 0


def test_a_correction_is_looked_at_said_and_taken_back_exactly(
    make_place: Any, archive_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`recorded_at_source = 'user'` was there and nothing wrote it."""
    unprobed(monkeypatch)
    place = make_place(archive=GOMBE)
    for name in ("20230506_233000", "20230507_100000", "20230601_100000"):
        put(archive_folder, f"gombe/cam1/{name}.mp4")
        put(archive_folder, f"gombe/cam2/{name}.mp4")
    found(place)
    add_user(place.db, "anna", "expert")
    before = rows(place)
    said = CorrectionRequest("cam1", offset="+1h", since="2023-05-06", until="2023-05-07")
    looked = correct(place.db, place.settings, said, dry_run=True)
    assert (looked.correction_id, looked.n_changed, rows(place) == before) == (None, 2, True)
    done = correct(place.db, place.settings, said, why="set an hour late", by="anna")
    assert (done.correction_id, done.n_changed) == (1, 2)
    after = rows(place)
    first = after["gombe/cam1/20230506_233000.mp4"]
    assert (str(first.recorded_at), first.recorded_at_source) == ("2023-05-06 21:30:00+00:00", "user")
    assert (first.recorded_on, first.day_key) == (date(2023, 5, 7), "2023-05-07|gombe|cam1")
    assert first.recorded_at_certainty == "sure"
    assert {uri for uri in after if after[uri].recorded_at_source == "user"} == {
        "gombe/cam1/20230506_233000.mp4", "gombe/cam1/20230507_100000.mp4",
    }  # fmt: skip
    # A video that comes later gets it at once.
    put(archive_folder, "gombe/cam1/20230506_120000.mp4")
    found(place)
    assert times(place)["gombe/cam1/20230506_120000.mp4"] == "2023-05-06 10:00:00"
    # The newest that covers a video counts, not the sum.
    correct(place.db, place.settings, CorrectionRequest("gombe/cam1", offset="-2h"), by="anna")
    assert times(place)["gombe/cam1/20230507_100000.mp4"] == "2023-05-07 05:00:00"
    revoke(place.db, place.settings, 2, "was right before", "anna")
    assert times(place)["gombe/cam1/20230507_100000.mp4"] == "2023-05-07 08:00:00"
    revoke(place.db, place.settings, 1, by="anna")
    undone = rows(place)
    for uri, row in before.items():
        now = undone[uri]
        assert (now.recorded_at, now.recorded_at_source, now.recorded_on, now.split, now.day_key) == (
            row.recorded_at, row.recorded_at_source, row.recorded_on, row.split, row.day_key,
        )  # fmt: skip
    with place.db.read() as conn:
        listed = list_corrections(conn)
        actions = list(conn.scalars(sa.select(s.audit_event.c.action).where(s.audit_event.c.action.like("time.%"))))
    assert [(one.correction_id, one.by, one.revoked_by) for one in listed] == [(2, "anna", "anna"), (1, "anna", "anna")]
    assert listed[1].reason == "set an hour late"
    assert actions == ["time.correct", "time.correct", "time.revoke", "time.revoke"]


def test_a_clock_that_was_reset_is_put_right_by_what_it_showed(make_place: Any, archive_folder: Path) -> None:
    """The most frequent repair of a camera trap: new batteries, and it begins in 2000."""
    place = make_place(archive=GOMBE, decode={"workers": 0})
    make_clip(archive_folder / "s" / "cam" / "IMG_0001.mp4", 2, created="2000-01-01T02:03:12Z")
    make_clip(archive_folder / "s" / "cam" / "IMG_0002.mp4", 2, created="2000-01-03T00:00:00Z")
    make_clip(archive_folder / "s" / "cam" / "IMG_0003.mp4", 2, created="2023-06-01T09:00:00Z")
    found(place)
    assert rows(place)["s/cam/IMG_0001.mp4"].recorded_at_certainty == "unsure"
    correct(place.db, place.settings, CorrectionRequest("cam", showed="2000-01-01T00:00", true="2023-05-06T08:00"))
    assert list(times(place).values()) == ["2023-05-06 07:03:12", "2023-05-08 05:00:00", "2023-06-01 09:00:00"]
    with place.db.read() as conn:
        (camera,) = camera_times(conn)
    assert camera.by_witness == {"user": 2, "container": 1}


def test_a_zone_in_which_a_clock_ran_moves_what_it_showed(make_place: Any, archive_folder: Path) -> None:
    """Cameras from a shop in Berlin, set up there and carried to Gombe."""
    place = make_place(archive=GOMBE, decode={"workers": 0})
    make_clip(archive_folder / "s" / "cam" / "20230506_143000.mp4", 2)
    make_clip(archive_folder / "s" / "cam" / "IMG_0001.mp4", 2, created="2023-05-06T14:30:00Z")
    found(place)
    correct(place.db, place.settings, CorrectionRequest("s/cam", zone="Europe/Berlin"))
    assert list(times(place).values()) == ["2023-05-06 12:30:00", "2023-05-06 12:30:00"]


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (CorrectionRequest("cam9", offset="+1h"), "no camera"),
        (CorrectionRequest("cam", offset="+1h"), "more than one camera"),
        (CorrectionRequest("a/cam"), "does one thing"),
        (CorrectionRequest("a/cam", offset="soon"), "not a time span"),
        (CorrectionRequest("a/cam", zone="Africa/Gombe"), "not a time zone"),
        (CorrectionRequest("a/cam", showed="2000-01-01"), "needs both"),
        (CorrectionRequest("a/cam", offset="+1h", since="yesterday"), "not a date or time"),
        (CorrectionRequest("a/cam", offset="+1h", since="2023-05-06", until="2023-05-05"), "ends before"),
        (CorrectionRequest("a/cam", offset="+1h", order="day_first"), "does one thing"),
        (CorrectionRequest("a/cam", order="sideways"), "not an order"),
        (CorrectionRequest("a/cam", offset="+999999999d"), "not a time span"),
    ],
)
def test_a_correction_that_cannot_be_is_refused_in_a_sentence(
    place: Any, archive_folder: Path, monkeypatch: pytest.MonkeyPatch, said: CorrectionRequest, says: str
) -> None:
    """Half a correction would be worse than none."""
    unprobed(monkeypatch)
    put(archive_folder, "a/cam/20230506_233000.mp4")
    put(archive_folder, "b/cam/20230506_233000.mp4")
    found(place)
    with pytest.raises(CorrectionError, match=says) as caught:
        correct(place.db, place.settings, said)
    assert caught.value.remedy
    with place.db.read() as conn:
        assert list_corrections(conn) == []
    with pytest.raises(PeopleError):
        correct(place.db, place.settings, CorrectionRequest("a/cam", offset="1h"), by="nobody")
    with pytest.raises(CorrectionError, match="no correction 7"):
        revoke(place.db, place.settings, 7)


@pytest.mark.parametrize(
    ("text", "seconds"), [("+1d2h", 93_600), ("-13h", -46_800), ("+00:30", 1_800), ("90m", 5_400), ("-1:02:03", -3_723)]
)
def test_offsets_are_written_as_people_do(text: str, seconds: int) -> None:
    """An offset that is read wrongly is a second wrong clock."""
    assert offset_of(text) == seconds


def _split_world(place: Any, archive_folder: Path) -> None:
    """Six days of one camera, two clips each; video 1 and 2 on day 1, ..."""
    for day in range(1, 7):
        for hour in (10, 23):
            put(archive_folder, f"s/cam/202305{day:02d}_{hour}3000.mp4")
    found(place)
    with place.db.write() as conn:
        for video_id in range(1, 13):
            split = {1: "train", 2: "test", 3: "validation"}.get((video_id + 1) // 2, "train")
            conn.execute(
                sa.update(s.split_assignment).where(s.split_assignment.c.video_id == video_id).values(split=split)
            )


def _move(place: Any, video_id: int, hours: int) -> None:
    v = s.video
    with place.db.write() as conn:
        at = conn.scalar(sa.select(v.c.recorded_at).where(v.c.video_id == video_id)) + timedelta(hours=hours)
        conn.execute(sa.update(v).where(v.c.video_id == video_id).values(recorded_at=at))
        follow_groups(conn, [video_id], "UTC", datetime.now(UTC))


def _fit_a_model(place: Any) -> None:
    with place.db.write() as conn:
        conn.execute(
            sa.insert(s.model).values(
                task="head", version=1, name="h", state="champion", config="{}",
                created_at=datetime.now(UTC) + timedelta(seconds=1),
            )
        )  # fmt: skip


def _groups(place: Any) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in rows(place).values():
        found.setdefault(row.day_key, set()).add(row.split)
    return found


@pytest.mark.parametrize("fitted", [False, True])
def test_a_corrected_day_never_lets_training_into_the_test(
    place: Any, archive_folder: Path, monkeypatch: pytest.MonkeyPatch, fitted: bool
) -> None:
    """Neighbouring clips stay together; what a model may have learned from does not judge."""
    unprobed(monkeypatch)
    _split_world(place, archive_folder)
    before = {uri: (r.split, r.day_key) for uri, r in rows(place).items()}
    if fitted:
        _fit_a_model(place)
    _move(place, 2, +2)  # of a training day into the test day
    groups = _groups(place)
    assert all(len(splits) == 1 for splits in groups.values())
    assert groups["2023-05-02|s|cam"] == ({"train"} if fitted else {"test"})
    assert not fitted or {r.split for r in rows(place).values() if r.video_id in (1, 2)} == {"train"}
    _move(place, 2, -2)
    after = {uri: (r.split, r.day_key) for uri, r in rows(place).items()}
    if not fitted:
        assert after == before
    assert all(len(splits) == 1 for splits in _groups(place).values())


def test_a_copy_that_takes_the_place_of_its_original_takes_its_witnesses(place: Any, archive_folder: Path) -> None:
    """The row that has the tracks must be weighed by the file that is there."""
    path = make_clip(archive_folder / "cam" / "20230506_100000.mp4", 5)
    os.utime(path, (YEAR_2024, YEAR_2024))
    found(place)
    decode_bundle(place.db, place.archive, place.store, "cam-0001", place.settings)
    moved = archive_folder / "other" / "20230507_100000.mp4"
    moved.parent.mkdir()
    path.rename(moved)
    found(place)
    decode_bundle(place.db, place.archive, place.store, "other-0001", place.settings)
    row = rows(place)["other/20230507_100000.mp4"]
    assert (row.video_id, row.state, row.recorded_at_certainty) == (1, "decoded", "likely")
    assert row.recorded_on == date(2023, 5, 7)
    correct(place.db, place.settings, CorrectionRequest("other", offset="+1h"))
    assert times(place)["other/20230507_100000.mp4"] == "2023-05-07 11:00:00"


def test_cameras_whose_witnesses_quarrel_are_named_and_counted(make_place: Any, archive_folder: Path) -> None:
    """Twenty videos of 2000 among thousands are found by nobody who is not told."""
    place = make_place(decode={"workers": 0})
    make_clip(archive_folder / "s" / "good" / "20230506_143000.mp4", 2, created="2023-05-06T14:30:00Z")
    make_clip(archive_folder / "s" / "bad" / "20230506_143000.mp4", 2, created="2000-01-01T00:03:12Z")
    found(place)
    with place.db.read() as conn:
        seen = times_of(conn)
    assert seen.by_witness == {"container": 1, "file_name": 1}
    assert seen.by_certainty == {"likely": 1, "sure": 1}
    assert [(one.name, one.n_quarrels, one.example) for one in seen.quarrels] == [
        ("s/bad", 1, "s/bad/20230506_143000.mp4")
    ]
    assert "reset" in (seen.quarrels[0].note or "")
