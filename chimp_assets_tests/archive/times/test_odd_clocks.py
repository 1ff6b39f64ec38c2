"""Videos whose clocks or containers are odd: nothing is called lost that is not, and no loss goes unsaid."""

from __future__ import annotations

from fractions import Fraction

import pytest

from chimp_assets.archive.storage.store import BlobStore
from chimp_assets.archive.video.decode import DecodeReport, decode_frames
from chimp_assets.archive.video.joined import unread_rest
from chimp_assets.archive.video.reading import DecodedVideo, DecodeJob, decode_video
from chimp_assets.settings import DecodeSettings
from chimp_assets_tests.archive.clips import make_clip
from chimp_assets_tests.archive.ffmpeg import film, run


def decoded(path, **settings) -> DecodeReport:
    report = DecodeReport()
    for _ in decode_frames(path, DecodeSettings(**settings), report):
        pass
    return report


def whole(path, tmp_path) -> DecodedVideo:
    """As an ingest reads it."""
    archive, store = BlobStore.open(str(path.parent)), BlobStore.open(str(tmp_path / "store"), create=True)
    info = archive.head(path.name)
    done = decode_video(DecodeJob(1, path.name, info.etag, info.size, "b", archive, store, DecodeSettings(), {}))
    assert isinstance(done, DecodedVideo)
    return done


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
@pytest.mark.parametrize(("step", "n"), [(3600, 12), (10, 30), (3600, 2)])
def test_a_time_lapse_loses_nothing_at_its_end(tmp_path, suffix, step, n):
    """ "ends after 39600 s of the 43200 s": the last picture lasts as long as the others."""
    slow = make_clip(tmp_path / f"a{suffix}", n, fps=1, time_base=Fraction(1), pts=[i * step for i in range(n)])
    report = decoded(slow)
    assert (report.pictures, report.problems) == (n, [])
    assert report.length_s == pytest.approx(n * step, rel=0.01)
    assert report.facts.avg_fps == pytest.approx(1 / step, rel=0.01)


def test_a_time_lapse_that_announces_its_last_picture_is_whole(tmp_path):
    filmed = tmp_path / "a.mkv"
    run("-f", "lavfi", "-i", "testsrc2=s=160x96:r=1/3600:d=43200", "-c:v", "libx264", str(filmed))
    done = whole(filmed, tmp_path)
    assert done.problems == []
    assert done.columns["duration_s"] == pytest.approx(43200, rel=0.01)


def test_a_file_that_was_cut_off_still_says_so(tmp_path):
    """What makes up for the last picture must not make up for lost ones."""
    filmed = film(tmp_path / "a.mkv", "-c:v", "mpeg4", seconds=6)
    filmed.write_bytes(filmed.read_bytes()[: filmed.stat().st_size * 2 // 3])
    assert any("ends after" in problem for problem in decoded(filmed).problems)


_UNREAD = {"mp4": ["-c:v", "libx264"], "mov": ["-c:v", "mpeg4"], "flv": ["-c:v", "flv"], "wmv": ["-c:v", "wmv2"]}
_READ = {"avi": ["-c:v", "mpeg4"], "mkv": ["-c:v", "libx264"], "ts": ["-c:v", "libx264"], "mpg": ["-c:v", "mpeg2video"]}


@pytest.mark.parametrize("kind", [*_UNREAD, *_READ])
def test_files_joined_end_to_end_are_read_or_said_to_be_unread(tmp_path, kind):
    """The second half was never read, without a word."""
    options = {**_UNREAD, **_READ}[kind]
    first = film(tmp_path / f"a.{kind}", *options, seconds=2, size="160x96")
    second = film(tmp_path / f"b.{kind}", *options, seconds=3, size="160x96")
    joined = tmp_path / f"c.{kind}"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    assert unread_rest(first) is None
    done = whole(joined, tmp_path)
    if kind in _READ:
        assert unread_rest(joined) is None
        assert done.columns["duration_s"] == pytest.approx(5, abs=0.1)
        assert done.time_s[-1] > 4.5
    else:
        assert f"begins at byte {first.stat().st_size:,}" in done.problems[0]
        assert f"{second.stat().st_size:,} bytes" in done.problems[0]
        assert whole(first, tmp_path).problems == []


@pytest.mark.parametrize("options", [["-movflags", "faststart"], ["-movflags", "frag_keyframe+empty_moov"]])
def test_a_whole_file_of_any_layout_has_no_rest(tmp_path, options):
    assert unread_rest(film(tmp_path / "a.mp4", "-c:v", "libx264", *options, seconds=2)) is None


def test_what_lies_behind_a_video_may_be_of_another_kind(tmp_path):
    first = film(tmp_path / "a.mp4", "-c:v", "libx264", seconds=1)
    second = film(tmp_path / "b.mkv", "-c:v", "libx264", seconds=1)
    joined = tmp_path / "c.mp4"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    rest = unread_rest(joined)
    assert rest is not None
    assert (rest.at, rest.bytes) == (first.stat().st_size, second.stat().st_size)


@pytest.mark.parametrize("size", [0, 1, 7, 16, 40])
def test_looking_for_a_rest_never_fails(tmp_path, size):
    path = tmp_path / "a.mp4"
    path.write_bytes((b"\x00\x00\x00\x10ftypisom" + bytes(100))[:size])
    assert unread_rest(path) is None


@pytest.mark.parametrize(
    ("name", "options", "fps"),
    [
        ("a.dv", ["-c:v", "dvvideo", "-pix_fmt", "yuv420p", "-s", "720x576", "-r", "25"], 25),
        ("a.webm", ["-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8"], 25),
        ("a.flv", ["-c:v", "flv"], 25),
        ("a.asf", ["-c:v", "wmv2"], 25),
        ("a.ts", ["-c:v", "libx264", "-r", "30000/1001"], 30000 / 1001),
        ("a.mkv", ["-c:v", "libx264", "-r", "12"], 12),
    ],
)
def test_the_rate_is_that_of_the_pictures_and_not_of_the_clock(tmp_path, name, options, fps):
    """PAL .dv said 60000, and FLV, ASF and WebM count thousandths."""
    report = decoded(film(tmp_path / name, *options, seconds=2))
    assert report.facts.avg_fps == pytest.approx(fps, rel=0.005)


def test_a_variable_rate_is_counted(tmp_path):
    stamps = [0, 10, 20, 30, 500, 990, 1000]
    varied = make_clip(tmp_path / "a.mkv", 7, fps=100, time_base=Fraction(1, 1000), pts=stamps)
    assert decoded(varied).facts.avg_fps == pytest.approx(6, rel=0.02)
