"""When a video was recorded: kinds of names and clocks, each with the right value, and no claim that is too sure."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chimp_assets.archive.times.names import piece_of, time_of_name, written_time
from chimp_assets.archive.times.recording_time import weigh
from chimp_assets.archive.times.weighing.correction import Correction, corrected
from chimp_assets.archive.times.witnesses import RecordingTime, Rules, Witnesses

NOW = datetime(2026, 11, 29, 23, 0, tzinfo=UTC)
GOMBE = ZoneInfo("Africa/Dar_es_Salaam")


def judged(
    uri: str,
    created: str | None = None,
    modified: str | None = "2026-11-29T22:00:00+00:00",
    zone: str = "Africa/Dar_es_Salaam",
    seconds: float = 30.0,
    tag: str = "creation_time",
    **rules: str,
) -> RecordingTime:
    seen = Witnesses(
        uri,
        {} if created is None else {tag: created},
        None if modified is None else datetime.fromisoformat(modified),
        seconds,
    )
    return weigh(seen, Rules(ZoneInfo(zone), NOW + timedelta(days=1), **rules))  # type: ignore[arg-type]


def local(verdict: RecordingTime, zone: ZoneInfo = GOMBE) -> str:
    assert verdict.moment is not None
    return f"{verdict.moment.astimezone(zone):%Y-%m-%d %H:%M:%S}"


@pytest.mark.parametrize(
    ("name", "clock"),
    [
        ("2023-05-06 02-30-15 PM", "2023-05-06 14:30:15"),
        ("2023-05-06_12-15-00_AM", "2023-05-06 00:15:00"),
        ("2023-05-06 12-15-00 PM", "2023-05-06 12:15:00"),
        ("2023-05-06 at 2.30.15 PM", "2023-05-06 14:30:15"),
        ("Screen Recording 2023-05-06 at 2.30.15\u202fPM", "2023-05-06 14:30:15"),
        ("12-31-2023 11.59.59 p.m.", "2023-12-31 23:59:59"),
        ("20230506_023015PM", "2023-05-06 14:30:15"),
        ("25-12-2023 14.30.15", "2023-12-25 14:30:15"),
        ("6 May 2023 14h30m15s", "2023-05-06 14:30:15"),
        ("May 6, 2023 2.30.15 pm", "2023-05-06 14:30:15"),
        ("2023-May-06_143015", "2023-05-06 14:30:15"),
        ("6 août 2023 14h30m15", "2023-08-06 14:30:15"),
        ("6. März 2023 14.30.15", "2023-03-06 14:30:15"),
        ("6 Agosti 2023 143015", "2023-08-06 14:30:15"),
        ("2023年05月06日 14-30-15", "2023-05-06 14:30:15"),
        ("202305061430", "2023-05-06 14:30:00"),
        ("20230506T1430", "2023-05-06 14:30:00"),
        ("2023-05-06 24.00.00", "2023-05-07 00:00:00"),
        ("DJI_20230506143015_0001_D", "2023-05-06 14:30:15"),
        ("1920x1080_20230506_143015", "2023-05-06 14:30:15"),
        ("20230506_143015_0001", "2023-05-06 14:30:15"),
        ("20230506_143015-0100", "2023-05-06 14:30:15"),
        ("2023.05.06_14.30.15.123", "2023-05-06 14:30:15"),
    ],
)
def test_a_name_that_says_a_moment_is_read_in_every_common_way(name: str, clock: str) -> None:
    """AM and PM were passed over, months in words not known, and the file's date taken without a word."""
    found = judged(f"c/{name}.mp4")
    assert (local(found), found.source, found.certainty) == (clock, "file_name", "likely")


@pytest.mark.parametrize(
    ("name", "utc"),
    [
        ("20230506T143000Z", "2023-05-06 14:30:00"),
        ("2023-05-06T14-30-00+03:00", "2023-05-06 11:30:00"),
        ("20230506_143000+0300", "2023-05-06 11:30:00"),
        ("20230506_143000 UTC", "2023-05-06 14:30:00"),
        ("2023-05-06 14.30.00 UTC+2", "2023-05-06 12:30:00"),
        ("2023-05-06T14-30-00-05:00", "2023-05-06 19:30:00"),
        ("1683383400000", "2023-05-06 14:30:00"),
        ("1683383400", "2023-05-06 14:30:00"),
        ("PXL_20230506_143000123", "2023-05-06 14:30:00"),
    ],
)
def test_a_zone_in_a_name_counts_and_not_that_of_the_archive(name: str, utc: str) -> None:
    """A name in UTC that is taken for local time moves every sighting by the offset."""
    assert local(judged(f"c/{name}.mp4"), ZoneInfo("UTC")) == utc


@pytest.mark.parametrize(
    "name",
    [
        "IMG_0001", "IMG_1974", "1920x1080_0001", "09190048_Hyena", "2013-001", "MVI 1998", "clip_120101",
        "a20130506-1234-4abc-8def-0123456789ab", "CAM120130506", "00000", "VD_14-30-15", "3840x2160 60fps",
    ],
)  # fmt: skip
def test_digits_that_are_no_date_do_not_become_one(name: str) -> None:
    """A clip counter or a picture size read as a date is a wrong row that looks right."""
    found = judged(f"c/{name}.mp4", "2023-05-06T11:30:00Z", None)
    assert (local(found), found.source) == ("2023-05-06 14:30:00", "container")
    assert time_of_name(f"c/{name}.mp4") is None


@pytest.mark.parametrize(
    ("name", "asks"), [("06-05-2023 14.30.15", True), ("06052023_143015", True), ("230506_143000", True)]
)
def test_a_date_that_may_be_read_in_two_ways_is_asked_about_or_settled(name: str, asks: bool) -> None:
    """6 May or 5 June: guessing would be right in half of the archive."""
    found = judged(f"c/{name}.mp4")
    assert (found.certainty, found.asks) == ("unsure", "date_order")
    seconds = name[-2:]
    by_file = judged(f"c/{name}.mp4", None, f"2023-05-06T11:30:{int(seconds) + 20:02d}+00:00")
    assert local(by_file) == f"2023-05-06 14:30:{seconds}"
    assert by_file.asks is None
    by_container = judged(f"c/{name}.mp4", f"2023-05-06T11:30:{seconds}Z")
    assert (local(by_container), by_container.certainty) == (f"2023-05-06 14:30:{seconds}", "sure")
    order = "year_first" if name.startswith("23") else "day_first"
    stated = judged(f"c/{name}.mp4", date_order=order)
    assert (local(stated), stated.certainty, stated.asks) == (f"2023-05-06 14:30:{seconds}", "likely", None)
    if order == "day_first":
        assert local(judged(f"c/{name}.mp4", date_order="month_first")) == f"2023-06-05 14:30:{seconds}"


@pytest.mark.parametrize(
    "shown",
    ["2000-01-01T00:03:12Z", "1970-01-01T00:10:00Z", "1980-01-01T04:00:00Z", "1904-01-01T00:00:00Z",
     "2015-01-01T00:00:40Z", "2010-01-01T05:00:00Z", "2019-01-01T00:02:00Z", "2036-02-07T06:28:16Z"],
)  # fmt: skip
def test_a_clock_that_was_reset_loses_to_the_name(shown: str) -> None:
    """The container won although it showed the first minutes of a new battery."""
    found = judged("c/B_20230506_143000.mp4", shown)
    assert (local(found), found.source, found.certainty) == ("2023-05-06 14:30:00", "file_name", "likely")
    assert found.disagree == ("container",)
    assert "clock" in found.note
    by_file = judged("c/B_20230506_143000.mp4", shown, "2023-05-06T11:30:31+00:00")
    assert by_file.certainty == "sure"


@pytest.mark.parametrize("shown", ["2015-01-01T00:03:12Z", "2019-01-01T00:10:00Z", "2000-01-01T10:00:00Z"])
def test_a_reset_clock_that_convinces_its_own_names_is_never_sure(shown: str) -> None:
    """Name, container and file come from one clock: three witnesses, one mistake."""
    moment = datetime.fromisoformat(shown)
    name = f"c/{moment.astimezone(GOMBE):%Y%m%d_%H%M%S}.mp4"
    assert judged(name, shown, (moment + timedelta(seconds=30)).isoformat()).certainty == "unsure"
    assert judged("c/IMG_0001.mp4", shown).certainty == "unsure"
    assert judged("c/IMG_0001.mp4", shown, None).certainty == "unsure"


def test_local_time_written_as_utc_is_known_by_name_file_or_setting() -> None:
    """Many cameras do: a clip at midnight went to the next day."""
    found = judged("c/I_20230506_235959.mp4", "2023-05-06T23:59:59Z", zone="Europe/Berlin")
    assert (local(found, ZoneInfo("Europe/Berlin")), found.certainty) == ("2023-05-06 23:59:59", "sure")
    by_file = judged("c/IMG_1.mp4", "2023-05-06T14:30:00Z", "2023-05-06T11:30:31+00:00")
    assert (local(by_file), by_file.certainty) == ("2023-05-06 14:30:00", "likely")
    assert local(judged("c/IMG_1.mp4", "2023-05-06T14:30:00Z")) == "2023-05-06 17:30:00"
    assert local(judged("c/IMG_1.mp4", "2023-05-06T14:30:00Z", container_time="local")) == "2023-05-06 14:30:00"
    proper = judged("c/I_20230506_143000.mp4", "2023-05-06T11:30:00Z")
    assert (local(proper), proper.source, proper.certainty) == ("2023-05-06 14:30:00", "container", "sure")
    # Google's phones name files in UTC: digits that agree are no sign of local time there.
    assert local(judged("c/PXL_20230506_113000123.mp4", "2023-05-06T11:30:00Z")) == "2023-05-06 14:30:00"


def test_a_camera_that_says_its_zone_is_believed_with_it() -> None:
    """QuickTime's own key; and AVI's clock, which has no zone and is local."""
    tag = "com.apple.quicktime.creationdate"
    assert local(judged("c/IMG_1.mov", "2023-05-06T14:30:00+0300", tag=tag)) == "2023-05-06 14:30:00"
    avi = judged("c/IMG_1.avi", "2023-05-06 14:30:00", "2023-05-06T11:30:31+00:00")
    assert (local(avi), avi.certainty) == ("2023-05-06 14:30:00", "sure")


@pytest.mark.parametrize(
    ("uri", "created", "clock", "certainty"),
    [
        ("Gombe 1974-03-12 reel 4.mov", "2019-04-03T10:11:12Z", "1974-03-12 00:00:00", "day"),
        ("Gombe 12 March 1974.mov", "2019-04-03T10:11:12Z", "1974-03-12 00:00:00", "day"),
        ("1974-03-12/reel 4.mov", "2019-04-03T10:11:12Z", "1974-03-12 00:00:00", "day"),
        ("1974-03-12/reel 20190403_131112.mov", "2019-04-03T10:11:12Z", "1974-03-12 00:00:00", "unsure"),
        ("Gombe 1974 reel 4.mov", "2019-04-03T10:11:12Z", "1974-01-01 00:00:00", "unsure"),
        ("19890506_143000 Hi8.mov", "2019-04-03T10:11:12Z", "1989-05-06 14:30:00", "likely"),
        ("19890506_143000 Hi8.mov", None, "1989-05-06 14:30:00", "likely"),
    ],
)
def test_old_material_has_the_date_of_its_name_and_not_of_its_digitisation(
    uri: str, created: str | None, clock: str, certainty: str
) -> None:
    """A film of 1974 became a sighting in 2019, by an animal that was long dead."""
    found = judged(uri, created)
    assert (local(found), found.certainty) == (clock, certainty)
    assert "digitised" in found.note
    assert found.disagree


def test_a_study_that_is_named_by_a_year_is_not_old_material() -> None:
    """A folder `Kibale 1987` holds what is filmed there today."""
    found = judged("Kibale 1987/20230506_143000.mp4", "2023-05-06T11:30:00Z")
    assert (local(found), found.certainty) == ("2023-05-06 14:30:00", "unsure")


def test_a_folder_is_the_weakest_witness() -> None:
    """A folder named by the day on which the card was collected took the place of the file's exact time."""
    found = judged("Cam09/2024-01-15/IMG_0001.avi", None, "2023-12-20T06:31:00+00:00")
    assert (local(found), found.source, found.certainty) == ("2023-12-20 09:31:00", "file_time", "likely")
    same = judged("Cam09/2023-12-20/IMG_0001.avi", None, "2023-12-20T06:31:00+00:00")
    assert (local(same), same.certainty) == ("2023-12-20 09:31:00", "likely")
    copied = judged("Cam09/2023-12-20/IMG_0001.avi")
    assert (local(copied), copied.certainty) == ("2023-12-20 00:00:00", "unsure")
    lone = judged("Cam09/IMG_0001.avi")
    assert (lone.source, lone.certainty) == ("file_time", "unsure")
    inside = judged("Cam09/2024-01-15/IMG_0001.mp4", "2023-12-20T06:31:00Z")
    assert (local(inside), inside.certainty) == ("2023-12-20 09:31:00", "likely")


@pytest.mark.parametrize(
    ("name", "created"),
    [
        ("20230506_143000", "2023-05-06T13:30:00Z"),  # two hours: another zone
        ("20230506_143000", "2012-01-02T03:04:05Z"),
        ("20230506_143000", "2023-05-09T11:30:00Z"),
        ("20230506_023015", "2023-05-06T11:30:15Z"),  # twelve hours: PM was left out
        ("20230506_143000_20240101_120000", None),  # two dates
        ("WhatsApp Video 2023-05-06 at 14.30.15", None),  # when it was sent
        ("20230506_143000_EAT", None),  # a zone, or what the animal does
    ],
)
def test_witnesses_that_contradict_each_other_without_a_reason_are_not_sure(name: str, created: str | None) -> None:
    """One of them is wrong, and nobody knows which."""
    zone = "Europe/Berlin" if name.endswith("EAT") else "Africa/Dar_es_Salaam"
    assert judged(f"c/{name}.mp4", created, zone=zone).certainty == "unsure"


def test_hours_that_a_clock_shows_twice_or_never_are_not_sure() -> None:
    """On the night of the change 02:30 is there twice, unless another witness tells which."""
    for name in ("20231029_023000", "20230326_023000"):
        assert judged(f"c/{name}.mp4", zone="Europe/Berlin").certainty == "unsure"
    second = judged("c/20231029_023000.mp4", None, "2023-10-29T01:30:31+00:00", zone="Europe/Berlin")
    assert (second.moment, second.certainty) == (datetime(2023, 10, 29, 1, 30, tzinfo=UTC), "sure")


def test_a_file_that_is_older_than_its_name_is_doubted() -> None:
    """A file cannot be there before it was recorded."""
    found = judged("c/20230506_143000.mp4", "2023-05-06T11:30:00Z", "2022-05-06T11:30:00+00:00")
    assert (found.certainty, found.disagree) == ("unsure", ("file_time",))


def test_what_lies_in_the_future_is_not_believed() -> None:
    """A clock that is ahead shows days that nobody has seen yet."""
    found = judged("c/20310506_143000.mp4", "2031-05-06T11:30:00Z", "2023-05-06T11:31:00+00:00")
    assert (found.source, found.certainty) == ("file_time", "unsure")
    assert set(found.disagree) == {"container", "file_name"}


def test_witnesses_survive_being_written_down() -> None:
    """Times are weighed again from what was kept, without reading a file."""
    seen = Witnesses("c/a.mp4", {"creation_time": "2023-05-06T11:30:00Z"}, NOW, 12.5)
    assert Witnesses.of_text("c/a.mp4", seen.as_text()) == seen
    hostile = Witnesses("c/a.mp4", {"creation_time": "\U0001f412" * 5000, "x" * 5000: "y"}, NOW, 1.0)
    assert len(hostile.as_text()) < 4000


@pytest.mark.parametrize(
    ("name", "number", "first"),
    [
        ("GH020123.MP4", 2, "GH010123.MP4"), ("c/GX030007.MP4", 3, "c/GX010007.MP4"),
        ("GP010123.MP4", 2, "GOPR0123.MP4"),
        ("GOPR0123.MP4", 1, "GOPR0123.MP4"), ("VID_20230506_143000_00_002.mp4", 2, "VID_20230506_143000_00_001.mp4"),
        ("Cam 3 part 2.mov", 2, "Cam 3 part 1.mov"), ("tape_pt02.avi", 2, "tape_pt01.avi"),
    ],
)  # fmt: skip
def test_pieces_of_a_recording_are_known_by_their_names(name: str, number: int, first: str) -> None:
    """Cameras cut long recordings at 4 GB."""
    piece = piece_of(name)
    assert piece is not None
    assert (piece.number, piece.names[0]) == (number, first)


@pytest.mark.parametrize("name", ["IMG_0002.mp4", "Egypt2.mp4", "20230506_143000.mp4", "GH000123.MP4", "start 2.mov"])
def test_other_numbers_are_no_pieces(name: str) -> None:
    """A counter is no chapter."""
    assert piece_of(name) is None


def test_a_correction_moves_what_the_clock_showed() -> None:
    """Offset, zone and reset, each from the digits that the camera wrote."""
    rules = Rules(GOMBE, NOW)
    seen = Witnesses("c/20230506_143000.mp4", {}, NOW, 30.0)
    found = weigh(seen, rules)
    slow = corrected(seen, rules, found, Correction(1, offset_s=-13 * 3600))
    assert (local(slow), slow.source, slow.certainty) == ("2023-05-06 01:30:00", "user", "sure")
    zone = corrected(seen, rules, found, Correction(2, zone=ZoneInfo("UTC")))
    assert local(zone) == "2023-05-06 17:30:00"
    reset = Witnesses("c/IMG_0001.mp4", {"creation_time": "2000-01-01T02:03:12Z"}, NOW, 30.0)
    said = Correction(3, showed=datetime(2000, 1, 1), true_at=datetime(2023, 5, 6, 5, tzinfo=UTC))
    true = corrected(reset, rules, weigh(reset, rules), said)
    assert (true.moment, true.certainty) == (datetime(2023, 5, 6, 7, 3, 12, tzinfo=UTC), "sure")
    assert corrected(seen, rules, found, said) == found  # that clock was right


def test_a_text_of_any_kind_is_read_without_an_error() -> None:
    """Names are whatever people and cameras write."""
    rng = random.Random(1)
    letters = "0123456789-_. :TZ+apmAPM年月日éÀ()"
    for _ in range(2_000):
        written_time("".join(rng.choice(letters) for _ in range(rng.randrange(40))))


# --- 200 archives with a known truth ---------------------------------------------------------------------------------

NAMES = {
    "compact": "%Y%m%d_%H%M%S", "dashes": "VID %Y-%m-%d %H-%M-%S", "half": "%Y-%m-%d %I-%M-%S %p",
    "at": "Clip %Y-%m-%d at %I.%M.%S %p", "dmy": "%d-%m-%Y_%H-%M-%S", "mdy": "%m-%d-%Y %H.%M.%S",
    "short": "%y%m%d_%H%M%S", "words": "%d %B %Y %Hh%Mm%Ss", "digits": "%Y%m%d%H%M%S", "day": "%Y-%m-%d_0027",
    "month_word": "%b %d %Y %H%M%S", "minute": "%Y-%m-%d %H.%M",
    "broken_half": "%Y-%m-%d %I-%M-%S",
}  # fmt: skip
ZONES = ("Africa/Dar_es_Salaam", "Europe/Berlin", "America/Costa_Rica", "Africa/Abidjan", "Asia/Kathmandu")


def clips() -> st.SearchStrategy[dict[str, object]]:
    return st.fixed_dictionaries(
        {
            "true": st.datetimes(datetime(2012, 1, 1), datetime(2025, 12, 31)).map(lambda d: d.replace(microsecond=0)),
            "seconds": st.integers(5, 300),
        }
    )


@pytest.mark.parametrize("days", [365, 366])
@pytest.mark.parametrize("zones", [0, 3, -5])
def test_a_file_that_was_written_a_year_later_to_the_hour_doubts_the_year(days: int, zones: int) -> None:
    """Whoever sets a clock sets the year last: nothing but the file's date shows it."""
    here = ZoneInfo("Africa/Dar_es_Salaam")
    tags = {"creation_time": "2018-09-04T09:13:39Z"}
    rules = Rules(here, NOW + timedelta(days=1))
    written = datetime(2018, 9, 4, 9, 13, 50, tzinfo=UTC)
    later = written + timedelta(days=days, hours=zones)
    verdict = weigh(Witnesses("Cam01/IMG_0012.mp4", tags, later, 10.0), rules)
    assert (verdict.certainty, verdict.disagree) == ("unsure", ("file_time",))
    copied = weigh(Witnesses("Cam01/IMG_0012.mp4", tags, written + timedelta(days=200), 10.0), rules)
    assert copied.certainty == "likely", "a copy of another day says nothing"


@pytest.mark.parametrize(("folder", "certainty"), [("2018-09-01", "likely"), ("2017-02-11", "unsure")])
def test_a_folder_of_more_than_a_year_before_doubts_the_container(folder: str, certainty: str) -> None:
    """A film that was converted later carries the day of that; a folder of the day when the card was placed is fine."""
    rules = Rules(ZoneInfo("Africa/Dar_es_Salaam"), NOW + timedelta(days=1))
    tags = {"creation_time": "2018-09-04T09:13:39Z"}
    assert weigh(Witnesses(f"Cam01/{folder}/IMG_0012.mp4", tags, None, 10.0), rules).certainty == certainty


@pytest.mark.parametrize("name", ["1420059992000.mp4", "20141231T210632Z.mp4"])
def test_a_name_of_a_reset_clock_is_doubted_in_every_zone(name: str) -> None:
    """New Year's Day in Tanzania is still the old year in UTC, in which such names are written."""
    rules = Rules(ZoneInfo("Africa/Dar_es_Salaam"), NOW + timedelta(days=1))
    tags = {"creation_time": "2000-01-01T00:03:12Z"}
    assert weigh(Witnesses(f"Cam01/{name}", tags, None, 10.0), rules).certainty == "unsure"


@settings(max_examples=200, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    name=st.sampled_from([*NAMES, "counter", "epoch", "utc_name", "digitised"]),
    container=st.sampled_from(["none", "utc", "local_as_utc", "naive", "reset", "unset", "slow_year", "converted"]),
    file=st.sampled_from(["original", "copy", "local_as_utc", "none"]),
    folder=st.sampled_from(["none", "day", "collection"]),
    clock_reset=st.sampled_from([False, False, False, True]),
    found=st.lists(clips(), min_size=1, max_size=6),
    copied_after=st.integers(2, 900),
)
def test_in_200_archives_a_time_is_right_or_not_sure(
    zone: str, name: str, container: str, file: str, folder: str, clock_reset: bool, found: list[dict[str, object]],
    copied_after: int,
) -> None:  # fmt: skip
    """Names, clocks and folders of every kind: a wrong time is never called sure, and a likely one is seldom wrong."""
    here = ZoneInfo(zone)
    assume(
        not (clock_reset and container == "slow_year")
    )  # a reset clock shows its maker's first day, not a year before
    assume(
        not (file == "copy" and folder == "collection" and copied_after <= 20)
    )  # nobody copies before the collection
    # A container whose year is wrong, or that was written by a conversion, and nothing beside it: nobody can tell.
    alone = name == "counter" and (
        (container == "converted" and clock_reset)
        or (container in ("slow_year", "converted") and folder == "none" and file in ("none", "copy"))
    )
    for clip in found:
        clock_true = clip["true"]
        assert isinstance(clock_true, datetime)
        true = clock_true.replace(tzinfo=here).astimezone(UTC)
        # A clock that was reset drives names and container alike.
        seconds = float(str(clip["seconds"]))
        shown = datetime(2015, 1, 1) + timedelta(seconds=400 + seconds) if clock_reset else clock_true
        uri = _path(name, shown, clock_true, folder, here)
        verdict = weigh(
            Witnesses(
                uri,
                _tags(container, shown, clock_true, here),
                _file_time(file, true, clock_true, seconds, copied_after),
                seconds,
            ),
            Rules(here, NOW + timedelta(days=1)),
        )
        assert verdict.moment is not None or verdict.certainty == "unsure"
        if verdict.moment is None:
            continue
        off = abs(verdict.moment - true)
        told = (uri, container, file, zone, true, verdict)
        if verdict.certainty == "sure":
            assert off <= timedelta(seconds=seconds + 122), told
        elif verdict.certainty == "likely" and not alone:
            # One witness may be local time written as UTC, or a card's date taken for UTC: hours, never days.
            assert off <= timedelta(hours=15), told
        elif verdict.certainty == "day":
            assert verdict.moment.astimezone(here).date() == clock_true.date(), told


def _path(name: str, shown: datetime, true: datetime, folder: str, here: ZoneInfo) -> str:
    where = {
        "none": "Cam01/",
        "day": f"Cam01/{true:%Y-%m-%d}/",
        "collection": f"Cam01/{true + timedelta(days=20):%Y-%m-%d}/",
    }[folder]
    if name == "counter":
        return f"{where}IMG_0012.mp4"
    if name == "epoch":
        return f"{where}{int(shown.replace(tzinfo=here).timestamp() * 1000)}.mp4"
    if name == "utc_name":
        return f"{where}{shown.replace(tzinfo=here).astimezone(UTC):%Y%m%dT%H%M%SZ}.mp4"
    if name == "digitised":
        return f"{where}tape {shown:%Y-%m-%d}.mp4"
    return f"{where}{shown.strftime(NAMES[name])}.mp4"


def _tags(container: str, shown: datetime, true: datetime, here: ZoneInfo) -> dict[str, str]:
    utc = shown.replace(tzinfo=here).astimezone(UTC)
    text = {
        "none": "",
        "utc": f"{utc:%Y-%m-%dT%H:%M:%SZ}",
        "local_as_utc": f"{shown:%Y-%m-%dT%H:%M:%SZ}",
        "naive": f"{shown:%Y-%m-%d %H:%M:%S}",
        "reset": "2000-01-01T00:03:12Z",
        "unset": "1970-01-01T00:00:00Z",
        "slow_year": f"{utc - timedelta(days=366):%Y-%m-%dT%H:%M:%SZ}",
        "converted": f"{utc + timedelta(days=500):%Y-%m-%dT%H:%M:%SZ}",
    }[container]
    return {"creation_time": text} if text else {}


def _file_time(file: str, true: datetime, clock: datetime, seconds: float, copied_after: int) -> datetime | None:
    end = timedelta(seconds=seconds + 1)
    return {
        "original": true + end,
        "copy": true + timedelta(days=copied_after),
        "local_as_utc": clock.replace(tzinfo=UTC) + end,
        "none": None,
    }[file]
