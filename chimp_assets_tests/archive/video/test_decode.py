"""Decoding: which pictures are kept, that they are shown as filmed, and what damage costs."""

import gc
from datetime import UTC, datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

import av
import numpy as np
import pytest
import simplejpeg
from av.video.frame import PictureType

from chimp_assets.archive.times.recording_time import weigh
from chimp_assets.archive.times.witnesses import Rules, Witnesses
from chimp_assets.archive.video import decode as decode_module
from chimp_assets.archive.video.decode import DecodeReport, decode_frames
from chimp_assets.archive.video.probe import (
    QUARTER_LEFT,
    QUARTER_RIGHT,
    UPRIGHT,
    UPSIDE_DOWN,
    Orientation,
    UnreadableVideoError,
    time_tags,
)
from chimp_assets.settings import DecodeSettings
from chimp_assets_tests.archive.clips import (
    BOTTOM_LEFT,
    BOTTOM_RIGHT,
    TOP_LEFT,
    TOP_RIGHT,
    corners,
    make_clip,
    number_of,
    picture,
)
from chimp_assets_tests.archive.probing import facts_of

UP = [TOP_LEFT, TOP_RIGHT, BOTTOM_LEFT, BOTTOM_RIGHT]


def recorded_at(tags):
    """What the tags of a container alone say, of a camera three hours east of Greenwich."""
    rules = Rules(ZoneInfo("Africa/Dar_es_Salaam"), datetime(2026, 11, 30, tzinfo=UTC))
    return weigh(Witnesses("v.mp4", tags), rules).moment


def decoded(path, **settings):
    """(kept frames, decoded pictures, problems)."""
    report = DecodeReport()
    kept = list(decode_frames(path, DecodeSettings(**settings), report))
    return kept, [simplejpeg.decode_jpeg(k.jpeg) for k in kept], report.problems


def test_the_first_picture_at_or_after_each_grid_point_is_kept(tmp_path):
    """Every n-th picture instead of time would drift on files whose rate is not what they say."""
    kept, shown, problems = decoded(make_clip(tmp_path / "v.mp4", 25, fps=25), fps=10)
    # Points 0, .1, .2 ... fall on pictures 0, 2.5, 5, 7.5 ...
    assert [number_of(s) for s in shown] == [0, 3, 5, 8, 10, 13, 15, 18, 20, 23]
    assert [k.frame_no for k in kept] == list(range(10))
    assert [k.time_s for k in kept] == pytest.approx([0, 0.12, 0.2, 0.32, 0.4, 0.52, 0.6, 0.72, 0.8, 0.92])
    assert problems == []


def test_b_frames_come_in_the_order_of_display(tmp_path):
    """Pictures in the order of decoding would make every animal jump back and forth."""
    path = make_clip(tmp_path / "v.mp4", 25, b_frames=3)
    with av.open(str(path)) as container:
        kinds = [frame.pict_type for frame in container.decode(video=0)]
    assert PictureType.B in kinds
    kept, shown, _ = decoded(path, fps=25)
    assert [number_of(s) for s in shown] == list(range(25))
    assert [k.time_s for k in kept] == pytest.approx([n / 25 for n in range(25)])


def test_a_variable_rate_is_sampled_by_time(tmp_path):
    """Phones film at a variable rate; counting pictures would sample bright scenes more than dark ones."""
    ticks = [0, 10, 20, 30, 500, 990, 1000, 1010, 2500, 2510]
    path = make_clip(tmp_path / "v.mkv", 10, pts=ticks, time_base=Fraction(1, 1000))
    kept, shown, _ = decoded(path, fps=2)
    # Points 0, .5, 1, 1.5, 2, 2.5: what falls between pictures is not made up.
    assert [number_of(s) for s in shown] == [0, 4, 6, 8]
    assert [k.time_s for k in kept] == pytest.approx([0, 0.5, 1.0, 2.5])


def test_times_rounded_to_ticks_still_hit_their_grid_point(tmp_path):
    """Matroska rounds 1/3 s to 0.333: a picture that is 'too early' by the rounding would be kept one later."""
    path = make_clip(tmp_path / "v.mkv", 25, fps=24, time_base=Fraction(1, 24))
    _, shown, _ = decoded(path, fps=3)
    assert [number_of(s) for s in shown] == [0, 8, 16, 24]


def test_the_keyframe_policy_keeps_exactly_the_keyframes(tmp_path):
    """Skipping in the decoder must not lose keyframes, nor let others through."""
    path = make_clip(tmp_path / "v.mp4", 25, gop=8, b_frames=2)
    kept, shown, problems = decoded(path, policy="keyframe")
    assert [number_of(s) for s in shown] == [0, 8, 16, 24]
    assert [k.time_s for k in kept] == pytest.approx([0, 0.32, 0.64, 0.96])
    assert problems == []


@pytest.mark.parametrize("counterclockwise", [0, 90, 180, 270])
def test_a_rotated_file_is_stored_upright(tmp_path, counterclockwise):
    """A camera screwed on sideways: detectors and people would see lying chimpanzees."""
    path = make_clip(tmp_path / "v.mp4", 3, counterclockwise=counterclockwise)
    shown = decoded(path, fps=25)[1][0]
    as_filmed = np.rot90(picture(0), counterclockwise // 90)
    assert shown.shape == as_filmed.shape
    assert corners(shown) == corners(as_filmed)
    facts = facts_of(path)
    assert facts.rotation == -counterclockwise % 360
    assert (facts.height, facts.width) == as_filmed.shape[:2]


def test_orientations_do_what_their_names_say():
    """The eight ways to turn a picture are easily mixed up."""
    filmed = np.arange(6).reshape(2, 3, 1)
    assert (UPRIGHT.applied(filmed) == filmed).all()
    assert (QUARTER_RIGHT.applied(filmed) == np.rot90(filmed, -1)).all()
    assert (QUARTER_LEFT.applied(filmed) == np.rot90(filmed)).all()
    assert (UPSIDE_DOWN.applied(filmed) == np.rot90(filmed, 2)).all()
    assert (Orientation(mirror_x=True).applied(filmed) == filmed[:, ::-1]).all()
    assert [o.clockwise for o in (UPRIGHT, QUARTER_RIGHT, UPSIDE_DOWN, QUARTER_LEFT)] == [0, 90, 180, 270]


@pytest.mark.parametrize(("sar", "width"), [(Fraction(16, 11), 233), (Fraction(1, 2), 80)])
def test_pixels_that_are_not_square_are_made_square(tmp_path, sar, width):
    """Old DV cameras: animals would be a third too narrow, and boxes would not fit what is shown."""
    path = make_clip(tmp_path / "v.mp4", 3, sar=sar)
    facts = facts_of(path)
    assert (facts.width, facts.height) == (width, 96)
    assert Fraction(facts.sar_num, facts.sar_den) == sar
    shown = decoded(path)[1][0]
    assert shown.shape == (96, width, 3)
    assert corners(shown) == UP


def test_pixel_aspect_and_rotation_work_together(tmp_path):
    """Stretching after turning would stretch the wrong side."""
    path = make_clip(tmp_path / "v.mp4", 3, sar=Fraction(2), counterclockwise=90)
    shown = decoded(path, longest_side=160)[1][0]
    assert (facts_of(path).width, facts_of(path).height) == (96, 320)
    assert shown.shape == (160, 48, 3)
    assert corners(shown) == [TOP_RIGHT, BOTTOM_RIGHT, TOP_LEFT, BOTTOM_LEFT]


def test_pictures_are_scaled_down_and_never_up(tmp_path):
    """Upscaled pictures cost space and tell nothing."""
    path = make_clip(tmp_path / "v.mp4", 3)
    assert decoded(path, longest_side=64)[1][0].shape == (38, 64, 3)
    assert decoded(path, longest_side=640)[1][0].shape == (96, 160, 3)


def test_colours_survive_the_way(tmp_path):
    """Limited range taken for full range, or the wrong matrix, shifts every colour that an embedder learns from."""
    shown = decoded(make_clip(tmp_path / "v.mp4", 3, crf="1"))[1][0].astype(int)
    for (y, x), colour in {(12, 12): TOP_LEFT, (12, 150): TOP_RIGHT, (85, 12): BOTTOM_LEFT}.items():
        assert np.abs(shown[y, x] - colour).max() <= 8


def test_a_truncated_file_keeps_the_pictures_before_the_damage(tmp_path):
    """A camera whose battery died: most of the film is there and must not be thrown away."""
    path = make_clip(tmp_path / "v.mp4", 100, b_frames=2)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 6 // 10])
    kept, shown, problems = decoded(path, fps=25)
    assert 20 < len(kept) < 90
    assert [number_of(s) for s in shown] == [n % 26 for n in range(len(kept))]
    assert any("ends after" in p for p in problems)


def test_damage_in_the_middle_costs_only_the_pictures_there(tmp_path):
    """A bad sector: pictures after it must still come, with their own times, and the loss must be told."""
    path = make_clip(tmp_path / "v.mp4", 100, gop=10)
    content = bytearray(path.read_bytes())
    begin = len(content) // 2
    content[begin : begin + 1500] = bytes([0xAA]) * 1500
    path.write_bytes(content)
    kept, shown, problems = decoded(path, fps=25)
    assert problems
    assert 60 < len(kept) <= 100
    assert kept[-1].time_s == pytest.approx(99 / 25)
    # What is kept is what was filmed at that time: nothing invented, nothing shifted.
    wrong = [k for k, s in zip(kept, shown, strict=True) if number_of(s) != round(k.time_s * 25) % 26]
    assert len(wrong) <= 10


def test_pictures_that_change_their_size_on_the_way_are_fitted_and_told(tmp_path):
    """A detector that compares neighbouring pictures needs them of one size; a camera that changed its mode is rare."""
    small = make_clip(tmp_path / "small.h264", 10)
    large = make_clip(tmp_path / "large.h264", 10, size=(320, 192))
    both = tmp_path / "both.264"
    both.write_bytes(small.read_bytes() + large.read_bytes())
    kept, shown, problems = decoded(both, fps=25)
    assert {s.shape for s in shown} == {(96, 160, 3)}
    assert [number_of(s) for s in shown] == [*range(10), *range(10)]
    assert [k.time_s for k in kept] == pytest.approx([n / 25 for n in range(20)])
    assert problems == [
        "Its pictures change from 160 x 96 to 320 x 192 or turn on the way; later ones were fitted to the first."
    ]


def test_pictures_are_let_go_without_the_garbage_collector(tmp_path):
    """Looking at the side data of each frame made reference cycles: 800 MB of pictures waited to be collected."""
    path = make_clip(tmp_path / "v.mp4", 60)
    gc.collect()
    gc.disable()
    gc.freeze()  # what is there already is not looked through again at each picture
    try:
        most = 0
        for _ in decode_frames(path, DecodeSettings(fps=25), DecodeReport()):
            most = max(most, sum(isinstance(thing, av.VideoFrame) for thing in gc.get_objects()))
    finally:
        gc.unfreeze()
        gc.enable()
    assert 0 < most < 20


def read_clock(*stamps):
    """The clock after these stamps, in ticks of 10 ms at 25 pictures a second, and the times it read."""

    class Stream:
        time_base, guessed_rate, average_rate = Fraction(1, 100), Fraction(25), None

    class Frame:
        def __init__(self, pts):
            self.pts, self.dts = pts, None

    clock = decode_module.FrameClock(Stream(), None, 3600.0)
    return clock, [clock.read(Frame(stamp))[1] for stamp in stamps]


def test_a_clock_that_jumps_back_goes_on():
    """Joined recordings start again at 0: their pictures would never pass the grid again and be lost."""
    clock, times = read_clock(500, 504, 508, 0, 4, 8, None, 7)
    assert times == pytest.approx([0, 0.04, 0.08, 0.12, 0.16, 0.2, 0.24, 0.25])
    assert (clock.jumps, clock.first_jump_s) == (1, pytest.approx(0.08))


def test_a_clock_that_leaps_further_than_any_video_lasts_goes_on():
    """One wild stamp would refuse the whole file as too long."""
    clock, times = read_clock(0, 4, 9_000_000, 9_000_004, 12)
    assert times == pytest.approx([0, 0.04, 0.08, 0.12, 0.16])
    assert clock.jumps == 2


def test_pictures_missing_from_an_even_clock_are_counted_and_a_variable_rate_is_not_called_uneven():
    """Some containers lose packets without a word: only the clock tells."""
    stamps = [4 * n for n in range(60) if n not in (20, 21, 22, 40)]
    assert read_clock(*stamps)[0].steps.gaps() == ("4 pictures are missing from an even clock, the first after 0.8 s.")
    assert read_clock(*(4 * n for n in range(60)))[0].steps.gaps() is None
    assert read_clock(*(4 * n for n in range(90) if n % 3 != 1 or n % 7 == 0))[0].steps.gaps() is None


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "it is empty"),
        (b"I am a text file, not a video.\n" * 200, "no video at all"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n/etc/passwd\n#EXT-X-ENDLIST\n", "no video at all"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "no video at all"),
    ],
)
def test_a_file_that_is_no_video_says_why(tmp_path, content, says):
    """Playlists are refused too: a decoder that follows them reads files that were never in the archive."""
    path = tmp_path / "odd.mp4"
    path.write_bytes(content)
    for read in (lambda: facts_of(path), lambda: decoded(path), lambda: time_tags(path)):
        with pytest.raises(UnreadableVideoError, match=says) as told:
            read()
        assert "odd.mp4" in told.value.sentence
        assert told.value.remedy


def test_limits_are_enforced_before_memory_is_taken(tmp_path):
    """A header that claims a terapixel must not end the machine."""
    path = make_clip(tmp_path / "v.mp4", 50)
    with pytest.raises(UnreadableVideoError, match="160 x 96"):
        decoded(path, max_pixels=160 * 96 - 1)
    assert decoded(path, max_pixels=160 * 96)[0]
    with pytest.raises(UnreadableVideoError, match="longer than the limit"):
        decoded(path, max_duration_s=1.5)


def test_the_time_of_recording_is_read_from_the_container(tmp_path):
    """Without it a sighting has no date."""
    path = make_clip(tmp_path / "v.mp4", 2, created="2013-05-06T14:30:00Z")
    tags, _ = time_tags(path)
    assert recorded_at(tags).isoformat() == "2013-05-06T14:30:00+00:00"
    with path.open("rb") as file:
        assert time_tags(file) == time_tags(path)
    assert recorded_at(time_tags(make_clip(tmp_path / "w.mp4", 2))[0]) is None


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2013-05-06T14:30:00.000000Z", "2013-05-06T14:30:00+00:00"),
        ("2013-05-06T14:30:00+0300", "2013-05-06T11:30:00+00:00"),
        ("Mon May 06 13:27:00 2013", "2013-05-06T10:27:00+00:00"),
        ("2013:05:06 13:27:01", "2013-05-06T10:27:01+00:00"),
        ("1904-01-01T00:00:00Z", None),
        ("1970-01-01T00:00:00Z", None),
        ("2013", None),
        ("nonsense", None),
        ("", None),
    ],
)
def test_container_times_of_all_kinds(text, moment):
    """A clock that was never set (1904, 1970) is no time of recording; digits without a zone are the camera's."""
    found = recorded_at({"creation_time": text})
    assert (found and found.isoformat()) == moment


def test_decoding_twice_gives_the_same_bytes(tmp_path):
    """Threads or unset memory in the conversion would give a new shard name at every run."""
    path = make_clip(tmp_path / "v.mp4", 10, size=(320, 180))
    assert decoded(path, longest_side=200)[0] == decoded(path, longest_side=200)[0]
