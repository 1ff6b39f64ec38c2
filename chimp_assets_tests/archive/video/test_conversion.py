"""A decoded frame to the picture a person would see: fields, high dynamic range, colour."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import simplejpeg

from chimp_assets.archive.video.conversion import Converter, Deinterlacer, tone_mapped
from chimp_assets.archive.video.decode import DecodeReport, decode_frames
from chimp_assets.settings import DecodeSettings
from chimp_assets_tests.archive import ffmpeg
from chimp_assets_tests.archive.probing import facts_of

PQ, HLG = 16, 18


def pq_code(nits: float) -> int:
    """SMPTE ST 2084, the other way round than the code under test."""
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    y = (nits / 10_000) ** m1
    return round(65535 * ((c1 + c2 * y) / (1 + c3 * y)) ** m2)


def grey(code: int) -> np.ndarray:
    return np.full((2, 2, 3), code, np.uint16)


def shown(nits: float) -> int:
    return int(tone_mapped(grey(pq_code(nits)), PQ)[0, 0, 0])


def test_light_below_the_highlights_keeps_its_brightness() -> None:
    """Shadows are where chimpanzees are: they must not get darker because the sky is bright."""
    for nits in (1.0, 10.0, 50.0, 120.0):
        light = nits / 203
        expected = 255 * (12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055)
        assert shown(nits) == pytest.approx(expected, abs=2)


def test_highlights_are_bent_and_never_burn_out_before_the_brightest() -> None:
    """A clipped white fur has no face."""
    ladder = [shown(nits) for nits in (100, 203, 300, 400, 600, 1000)]
    assert ladder == sorted(set(ladder))
    assert 230 <= shown(203) <= 250
    assert shown(10_000) >= 254


def test_hlg_white_is_as_bright_as_pq_white() -> None:
    """Diffuse white is 75 % of the HLG signal (ITU-R BT.2408); two cameras must show one animal alike."""
    assert int(tone_mapped(grey(round(0.75 * 65535)), HLG)[0, 0, 0]) == pytest.approx(shown(203), abs=3)


def test_grey_stays_grey_and_bt2020_colours_become_less_saturated_codes() -> None:
    """Taken for BT.709, leaves are dull and skins are orange."""
    assert np.ptp(tone_mapped(grey(pq_code(80)), PQ)[0, 0]) <= 1
    green = np.zeros((1, 1, 3), np.uint16)
    green[..., 1] = pq_code(80)
    mapped = tone_mapped(green, PQ)[0, 0]
    assert mapped[1] > 100
    assert mapped[0] == mapped[2] == 0


def test_a_file_of_high_dynamic_range_is_mapped_and_says_so(tmp_path: Path) -> None:
    """A picture that looks washed out for one camera teaches the camera, not the animal."""
    path = ffmpeg.film(
        tmp_path / "hdr.mp4", "-vf", "scale=out_color_matrix=bt2020,format=yuv420p10le", "-c:v", "libx265",
        "-x265-params", "log-level=none:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc", "-colorspace",
        "bt2020nc", "-color_trc", "smpte2084", "-color_primaries", "bt2020", seconds=0.4,
    )  # fmt: skip
    assert facts_of(path).color_transfer == "smpte2084"
    report = DecodeReport()
    kept = list(decode_frames(path, DecodeSettings(fps=25), report))
    assert len(kept) == 10
    assert "high dynamic range" in report.notes[0]
    # The same codes taken for an ordinary picture: PQ puts mid tones high, so that it is darker when mapped.
    _, plain = ffmpeg.pictures(path, 320, 180)
    assert simplejpeg.decode_jpeg(kept[0].jpeg)[:60].mean() != pytest.approx(plain[0][:60].mean(), abs=5)


def woven(tmp_path: Path) -> list:
    path = ffmpeg.film(
        tmp_path / "i.mpg", "-vf", "interlace", "-c:v", "mpeg2video", "-q:v", "3", "-flags", "+ildct+ilme",
        size="352x288", rate=50, seconds=1,
    )  # fmt: skip
    with av.open(str(path)) as container:
        return list(container.decode(container.streams.video[0]))


def planes(frame) -> np.ndarray:
    return frame.to_ndarray(format="rgb24")


def test_deinterlacing_does_not_depend_on_which_frames_were_asked_for_before(tmp_path: Path) -> None:
    """Parts of a video, and any single original picture, must show what one pass shows."""
    frames = woven(tmp_path)
    in_a_row, single = Deinterlacer(), {}
    for n in range(1, len(frames) - 1):
        single[n] = planes(Deinterlacer().between(frames[n - 1], frames[n], frames[n + 1]))
    for n in range(1, len(frames) - 1):
        assert np.array_equal(planes(in_a_row.between(frames[n - 1], frames[n], frames[n + 1])), single[n])
    now_and_then = Deinterlacer()
    for n in (3, 5, 6, 12, 4):
        assert np.array_equal(planes(now_and_then.between(frames[n - 1], frames[n], frames[n + 1])), single[n])
    assert not np.array_equal(single[5], planes(frames[5]))


def test_a_frame_whose_neighbours_have_another_size_is_deinterlaced_alone(tmp_path: Path) -> None:
    """The filter would end the process or scale in silence."""
    frames = woven(tmp_path)
    other = av.VideoFrame(64, 64, "yuv420p")
    alone = Deinterlacer().between(other, frames[5], frames[6])
    assert (alone.width, alone.height) == (352, 144)


def test_pictures_are_not_darker_than_they_were_filmed() -> None:
    """swscale's short cut for colour takes 1 to 3 of 255 off every picture."""
    rng = np.random.default_rng(1)
    y = rng.integers(60, 190, (96, 128), np.uint8)
    frame = av.VideoFrame(128, 96, "yuv420p")
    frame.planes[0].update(np.pad(y, ((0, 0), (0, frame.planes[0].line_size - 128))).tobytes())
    for plane in frame.planes[1:]:
        plane.update(np.full((plane.height, plane.line_size), 128, np.uint8).tobytes())
    for side in (None, 64):
        picture = Converter(Fraction(1), side, 10**8, "film", print)(frame)
        expected = (255 / 219) * (y.astype(float) - 16).mean()
        assert picture.mean() == pytest.approx(expected, abs=0.3)
