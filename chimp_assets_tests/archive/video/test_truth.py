"""The picture stored for (video_id, frame_no) is the picture at its pts: every one is compared with what the ffmpeg
command line decodes at the same pts, for files of all kinds.
"""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import simplejpeg

from chimp_assets.archive.video.decode import DecodeReport, KeptFrame, decode_frames
from chimp_assets.archive.video.originals import original_at
from chimp_assets.archive.video.probe import UnreadableVideoError
from chimp_assets.settings import DecodeSettings
from chimp_assets_tests.archive import ffmpeg
from chimp_assets_tests.archive.probing import facts_of
from chimp_assets_tests.paths import SHARED_DATA

EVERY = DecodeSettings(fps=120, longest_side=320, jpeg_quality=95)
X264 = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "16")
# Mean difference of a JPEG at quality 95 from its source, in steps of 255, at this size.
TOLERANCE = 7.0
PROBES = 1_000


def made(folder: Path) -> dict[str, tuple[Path, str]]:
    """Files of all kinds: name to (path, filters that show it as we store it)."""
    film, run = ffmpeg.film, ffmpeg.run
    woven = "bwdif=mode=send_frame:deint=interlaced,"
    files = {
        "constant": (film(folder / "constant.mp4", *X264), ""),
        "b_frames": (film(folder / "b.mp4", *X264, "-bf", "3", "-g", "30"), ""),
        "open_gop": (film(folder / "og.mkv", *X264, "-x264-params", "open-gop=1:bframes=3:keyint=20"), ""),
        "variable": (
            film(folder / "v.mp4", "-vf", "select='gt(random(3),0.5)'", "-fps_mode", "vfr", *X264, "-bf", "2"), "",
        ),
        "variable_mkv": (film(folder / "v.mkv", "-vf", "select='gt(random(5),0.6)'", "-fps_mode", "vfr", *X264), ""),
        "hevc": (film(folder / "h.mp4", "-c:v", "libx265", "-x265-params", "log-level=none:keyint=20"), ""),
        "vp9": (film(folder / "p.webm", "-c:v", "libvpx-vp9", "-cpu-used", "8", "-b:v", "1M", seconds=2), ""),
        "mpeg4_avi": (film(folder / "m.avi", "-c:v", "mpeg4", "-q:v", "3", "-bf", "2"), ""),
        "mjpeg_full_range": (film(folder / "j.mov", "-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", "yuvj420p"), ""),
        "ten_bits_422": (film(folder / "t.mp4", *X264, "-pix_fmt", "yuv422p10le"), ""),
        "twelve_bits_444": (
            film(folder / "tw.mkv", "-c:v", "libx265", "-x265-params", "log-level=none", "-pix_fmt", "yuv444p12le"), "",
        ),
        "odd_size_444": (film(folder / "o.mp4", *X264, "-pix_fmt", "yuv444p", size="321x181"), ""),
        "wide_pixels": (film(folder / "w.mp4", "-vf", "setsar=16/11", *X264, size="176x144"), ""),
        "full_range": (
            film(folder / "f.mp4", "-vf", "scale=out_range=full", "-color_range", "pc", *X264), "",
        ),
        "bt709": (
            film(folder / "7.mp4", "-vf", "scale=out_color_matrix=bt709", "-colorspace", "bt709", *X264), "",
        ),
        "interlaced": (
            film(folder / "i.mpg", "-vf", "interlace", "-c:v", "mpeg2video", "-q:v", "3", "-flags", "+ildct+ilme",
                 size="352x288", rate=50), woven,
        ),
        "interlaced_h264": (
            film(folder / "i.mp4", "-vf", "interlace", *X264, "-flags", "+ildct+ilme", "-x264-params", "tff=1",
                 size="352x288", rate=50), woven,
        ),
        "gif": (film(folder / "g.gif", size="320x240", rate=10), ""),
    }  # fmt: skip
    plain = str(files["b_frames"][0])
    for name, ending, options in (
        ("edit_list", "e.mp4", ["-ss", "1.3", "-i", plain, "-c", "copy"]),
        ("transport_stream", "s.ts", ["-i", plain, "-c", "copy"]),
        ("late_start", "late.mkv", ["-itsoffset", "3.7", "-i", plain, "-c", "copy"]),
        ("raw_stream", "r.264", ["-i", plain, "-c", "copy", "-bsf:v", "h264_mp4toannexb"]),
        ("rotated", "q.mp4", ["-display_rotation", "90", "-i", plain, "-c", "copy"]),
        ("with_cover", "c.mp4", ["-i", plain, "-f", "lavfi", "-i", "color=red:s=32x32:d=0.04", "-map", "0", "-map", "1",
                                 "-c:v:0", "copy", "-c:v:1", "png", "-disposition:v:1", "attached_pic"]),
    ):  # fmt: skip
        run(*options, str(folder / ending))
        files[name] = (folder / ending, "")
    return files


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    return made(tmp_path_factory.mktemp("films"))


NAMES = (
    "constant", "b_frames", "open_gop", "variable", "variable_mkv", "hevc", "vp9", "mpeg4_avi", "mjpeg_full_range",
    "ten_bits_422", "twelve_bits_444", "odd_size_444", "wide_pixels", "full_range", "bt709", "interlaced",
    "interlaced_h264", "gif", "edit_list", "transport_stream", "late_start", "raw_stream", "rotated", "with_cover",
)  # fmt: skip


def kept_of(path: Path, settings: DecodeSettings = EVERY) -> tuple[list[KeptFrame], DecodeReport]:
    report = DecodeReport()
    return list(decode_frames(path, settings, report)), report


def matrix_of(path: Path) -> str:
    """What players take where a file does not name its colour matrix: `conversion` says the same, in its own words."""
    with av.open(str(path)) as container:
        frame = next(container.decode(container.streams.best("video")))
        return (
            ("bt709" if frame.height >= 720 else "bt601") if frame.colorspace == 2 and not frame.format.is_rgb else ""
        )


def require_equal(path: Path, filters: str, numbered: bool = True, tolerance: float = TOLERANCE) -> int:
    """Compare stored pictures with the witness's, all or PROBES of them; returns how many were compared."""
    kept, _ = kept_of(path)
    height, width = simplejpeg.decode_jpeg(kept[0].jpeg).shape[:2]
    stamps, shown = ffmpeg.pictures(path, width, height, filters, matrix=matrix_of(path))
    assert len(kept) == len(shown)
    if numbered:
        assert [k.pts for k in kept] == stamps
    chosen = np.arange(len(kept))
    if len(chosen) > PROBES:
        chosen = np.sort(np.random.default_rng(1).choice(chosen, PROBES, replace=False))
    for n in chosen:
        own = shown[n].astype(np.float32)
        off = simplejpeg.decode_jpeg(kept[n].jpeg).astype(np.float32) - own
        assert np.abs(off).mean() < tolerance, f"{path.name}, picture {n}"
        assert abs(off.mean()) < 1.0, f"{path.name}, picture {n} is too dark or too bright"
        for m in (n - 1, n + 1):
            if 0 <= m < len(shown) and np.abs(step := shown[m] - own).mean() > 1.0:
                # How far the stored picture lies on the way to its neighbour: noise lies across that way.
                along = float((off * step).sum() / (step * step).sum())
                assert along < 0.4, f"{path.name}, picture {n} is {m}"
    return len(chosen)


@pytest.mark.parametrize("name", NAMES)
def test_every_stored_picture_is_the_one_at_its_pts(films: dict[str, tuple[Path, str]], name: str) -> None:
    """A box drawn on the wrong frame names the wrong animal; off by one is off."""
    path, filters = films[name]
    # A raw stream has no times of its own: each program counts as it likes.
    # The colours of a GIF are dithered: a JPEG has more to do.
    tolerance = 10.0 if name == "gif" else TOLERANCE
    assert require_equal(path, filters, numbered=name != "raw_stream", tolerance=tolerance) >= 20


def test_the_list_of_films_is_whole(films: dict[str, tuple[Path, str]]) -> None:
    """A film that is made but not compared would look covered."""
    assert set(NAMES) == set(films)


# What the witness cannot show as we do: HDR is mapped by us; these pictures are not files of video by their names.
NOT_COMPARED = {".heic", ".csv"}
HDR = ("bt2020_10bit", "hdr10", "hlg", "nclx_and_icc")
NO_TIMES = {".avc", ".264"}


def shared_files() -> list[Path]:
    return [
        path
        for folder in ("tricky", "videos")
        for path in sorted((SHARED_DATA / folder).iterdir())
        if path.suffix not in NOT_COMPARED
    ] if SHARED_DATA.is_dir() else []  # fmt: skip


@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="the shared test files are not on this machine")
def test_shared_files_of_all_kinds_are_stored_as_the_witness_shows_them() -> None:
    """Files that other programs stumbled over."""
    compared = refused = 0
    for path in shared_files():
        if any(part in path.name for part in HDR):
            continue
        try:
            facts = facts_of(path)
        except UnreadableVideoError:
            _, shown = ffmpeg.pictures(path, 16, 16)
            assert len(shown) == 0, f"{path.name} is readable after all"
            refused += 1
            continue
        woven = "bwdif=mode=send_frame:deint=interlaced," if facts.interlaced else ""
        compared += require_equal(path, woven, numbered=path.suffix not in NO_TIMES)
    assert compared > 5_000
    assert refused >= 10


def test_interlaced_pictures_show_one_moment_and_say_so(films: dict[str, tuple[Path, str]]) -> None:
    """Woven fields draw combs around everything that moves: a detector sees fur where there is none."""
    path, _ = films["interlaced"]
    assert facts_of(path).interlaced
    kept, report = kept_of(path)
    _, woven = ffmpeg.pictures(path, 320, 262)
    assert report.notes == ["Its pictures are interlaced and were deinterlaced."]

    def combs(picture: np.ndarray) -> float:
        """How much more neighbouring lines differ than lines of one field."""
        lines = picture.astype(np.int16)
        return float(np.abs(lines[1:-1] - (lines[:-2] + lines[2:]) // 2).mean())

    # Full height, since scaling blurs combs: 288 lines.
    full, _ = kept_of(path, DecodeSettings(fps=120, longest_side=2000, jpeg_quality=95))
    shown = simplejpeg.decode_jpeg(full[10].jpeg)
    _, woven = ffmpeg.pictures(path, shown.shape[1], shown.shape[0])
    assert combs(shown) < 0.8 * combs(woven[10])
    assert len(kept) == len(woven)


def test_key_pictures_of_an_interlaced_film_are_deinterlaced_without_their_neighbours(
    films: dict[str, tuple[Path, str]],
) -> None:
    """Their neighbours are not decoded, and other key pictures are other moments."""
    path, _ = films["interlaced"]
    kept, report = kept_of(path, EVERY.model_copy(update={"policy": "keyframe"}))
    stamps, shown = ffmpeg.pictures(path, 320, 262, "field=type=top,")
    at = dict(zip(stamps, shown, strict=True))
    assert len(kept) >= 3
    assert report.notes
    for frame in kept:
        assert np.abs(simplejpeg.decode_jpeg(frame.jpeg).astype(np.int16) - at[frame.pts]).mean() < TOLERANCE


@pytest.mark.parametrize(
    "name", ["constant", "variable", "open_gop", "edit_list", "transport_stream", "interlaced", "raw_stream"]
)
def test_any_original_picture_is_found_by_its_time(films: dict[str, tuple[Path, str]], name: str) -> None:
    """Between two kept frames lies what a person may want to see; a search that lands beside it misleads."""
    path, filters = films[name]
    facts = facts_of(path)
    tick = facts.time_base_num / facts.time_base_den
    stamps, shown = ffmpeg.pictures(path, facts.width, facts.height, filters, matrix=matrix_of(path))
    kept, _ = kept_of(path)
    times = [k.time_s for k in kept]
    assert len(times) == len(shown)
    for n in np.random.default_rng(2).choice(len(shown), 12, replace=False):
        longest = times[n + 1] - times[n] if n + 1 < len(times) else 1.0
        found = original_at(path, times[n] + 0.4 * longest, EVERY)
        assert found.time_s == pytest.approx(times[n], abs=tick)
        if name != "raw_stream":
            assert found.pts == stamps[n]
        assert found.picture.shape == shown[n].shape
        assert np.abs(found.picture.astype(np.int16) - shown[n]).mean() < 3.0


def test_a_time_that_is_none_is_refused(films: dict[str, tuple[Path, str]]) -> None:
    """NaN compares with nothing: the search would run to the end of the film."""
    for time_s in (-1.0, float("nan")):
        with pytest.raises(UnreadableVideoError, match="is not a time"):
            original_at(films["constant"][0], time_s, EVERY)
