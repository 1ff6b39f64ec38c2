"""A long video in parts gives the rows and bytes of one pass, or is decoded in one pass."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from chimp_assets.archive.storage.store import BlobStore
from chimp_assets.archive.video import decoders, segments
from chimp_assets.archive.video.decode import DecodeReport, VideoPart, decode_frames
from chimp_assets.archive.video.decoders import decoded
from chimp_assets.archive.video.probe import UnevenPartError
from chimp_assets.archive.video.reading import DecodedVideo, DecodeJob
from chimp_assets.archive.video.segments import decode_part, plan_parts
from chimp_assets.settings import DecodeSettings
from chimp_assets_tests.archive import ffmpeg

X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "30")
FILMS = {
    "open_gop.mkv": (*X264, "-x264-params", "open-gop=1:bframes=3:keyint=40:b-adapt=0"),
    "variable.mp4": ("-vf", "select='gt(random(3),0.5)'", "-fps_mode", "vfr", *X264, "-bf", "2", "-g", "30"),
    "interlaced.mpg": ("-vf", "interlace", "-c:v", "mpeg2video", "-q:v", "12", "-flags", "+ildct+ilme"),
    "stream.ts": (*X264, "-bf", "2", "-g", "50"),
    "odd_rate.avi": ("-c:v", "mpeg4", "-q:v", "12", "-g", "37", "-r", "24000/1001"),
}
# Needs the pictures before its key picture: a cut shows.
UNEVEN = {"refresh.mp4": (*X264, "-x264-params", "intra-refresh=1:keyint=40:scenecut=0")}
SETTINGS = DecodeSettings(fps=7, longest_side=160, split_s=30, workers=2, shard_bytes=400_000)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("long")
    for name, options in (FILMS | UNEVEN).items():
        ffmpeg.film(folder / name, *options, size="160x96", seconds=75)
    return folder


def job_of(path: Path, store: Path, settings: DecodeSettings) -> DecodeJob:
    archive = BlobStore.open(str(path.parent))
    info = archive.head(path.name)
    assert info is not None
    return DecodeJob(
        1, path.name, info.etag, info.size, "b", archive, BlobStore.open(str(store), create=True), settings, {}
    )


def whole_of(path: Path, store: Path, settings: DecodeSettings) -> DecodedVideo:
    ((_, outcome),) = decoded([job_of(path, store, settings)], lambda length: {})
    assert isinstance(outcome, DecodedVideo), outcome
    return outcome


def require_same(one: DecodedVideo, other: DecodedVideo) -> None:
    for name in ("frame_no", "pts", "time_s", "part", "byte_offset", "byte_length"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), strict=True)
    assert one.shards == other.shards  # with the hash of their bytes
    assert one.problems == other.problems
    clock = {"decode_s": None}
    assert one.columns | clock == other.columns | clock
    assert one.signal is not None
    assert other.signal is not None
    assert one.signal.as_columns() == other.signal.as_columns()


@pytest.mark.parametrize("policy", ["fps", "keyframe"])
@pytest.mark.parametrize("name", FILMS)
def test_parts_give_the_rows_and_bytes_of_one_pass(films: Path, tmp_path: Path, name: str, policy: str) -> None:
    """A frame lost or doubled at a cut would shift every box behind it."""
    settings = SETTINGS.model_copy(update={"policy": policy})
    parts = plan_parts(films / name, settings, lambda: None)
    assert len(parts) >= 3
    reports = [
        decode_part(films / name, settings, part, tmp_path / "jpegs", lambda: None).report for part in parts
    ]  # none is uneven: the equality below is not that of a second single pass
    assert all(one.ends[1] == two.ends[0] != "" for one, two in pairwise(reports))
    one_pass = whole_of(films / name, tmp_path / "one", settings.model_copy(update={"split_s": 1e6}))
    in_parts = whole_of(films / name, tmp_path / "parts", settings)
    assert len(one_pass.shards) > 1 or policy == "keyframe"
    require_same(one_pass, in_parts)
    assert len(one_pass.pts) >= 30


def test_a_codec_that_needs_more_than_its_key_picture_is_decoded_in_one_pass(films: Path, tmp_path: Path) -> None:
    """With intra refresh the picture after a cut is half grey: nothing in the packets says so."""
    path = films / "refresh.mp4"
    parts = plan_parts(path, SETTINGS, lambda: None)
    assert len(parts) > 1, "the container calls its recovery points key pictures"
    with pytest.raises(UnevenPartError):
        decode_all(path, parts, tmp_path)
    one_pass = whole_of(path, tmp_path / "one", SETTINGS.model_copy(update={"split_s": 1e6}))
    require_same(one_pass, whole_of(path, tmp_path / "parts", SETTINGS))


def decode_all(path: Path, parts: list[VideoPart], folder: Path) -> None:
    last = None
    for part in parts:
        now = decode_part(path, SETTINGS, part, folder / "jpegs", lambda: None)
        segments.require_seamless(last, now)
        last = now


def test_damage_in_the_middle_is_told_as_in_one_pass(films: Path, tmp_path: Path) -> None:
    """Parts around damage would each count it in their own way, or not at all."""
    content = bytearray((films / "open_gop.mkv").read_bytes())
    at = len(content) // 2
    content[at : at + 3000] = bytes(3000)
    damaged = tmp_path / "damaged.mkv"
    damaged.write_bytes(content)
    one_pass = whole_of(damaged, tmp_path / "one", SETTINGS.model_copy(update={"split_s": 1e6}))
    in_parts = whole_of(damaged, tmp_path / "parts", SETTINGS)
    assert one_pass.problems
    assert any("between" in sentence or " at " in sentence for sentence in one_pass.problems)
    require_same(one_pass, in_parts)


def test_a_part_that_promises_another_number_of_pictures_is_refused(films: Path, tmp_path: Path) -> None:
    """The count is what tells that a decoder swallowed pictures at a cut."""
    parts = plan_parts(films / "stream.ts", SETTINGS, lambda: None)
    with pytest.raises(UnevenPartError, match="pictures instead of"):
        decode_part(
            films / "stream.ts", SETTINGS, replace(parts[1], n_pictures=parts[1].n_pictures + 1), tmp_path / "j", print
        )


def test_a_part_with_another_picture_at_the_cut_is_refused(films: Path, tmp_path: Path) -> None:
    """Equal counts do not make equal pictures."""
    parts = plan_parts(films / "stream.ts", SETTINGS, lambda: None)
    first, second = (
        decode_part(films / "stream.ts", SETTINGS, part, tmp_path / "jpegs", lambda: None) for part in parts[:2]
    )
    segments.require_seamless(first, second)
    second.report.ends = ("0" * 32, second.report.ends[1])
    with pytest.raises(UnevenPartError, match="both sides"):
        segments.require_seamless(first, second)


def test_a_short_video_and_one_without_key_pictures_are_not_cut(films: Path, tmp_path: Path) -> None:
    """Cutting costs a second reading of the packets: not where it buys nothing."""
    assert plan_parts(films / "stream.ts", SETTINGS.model_copy(update={"split_s": 100}), lambda: None) == []
    one_key = ffmpeg.film(tmp_path / "one_key.mp4", *X264, "-g", "9999", size="64x64", seconds=40)
    assert plan_parts(one_key, SETTINGS, lambda: None) == []


def test_a_process_that_dies_in_a_part_costs_a_second_pass_only(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Out of memory with two parts at once is no reason to give the video up."""
    monkeypatch.setattr(decoders, "decode_part_message", dies)
    one_pass = whole_of(films / "stream.ts", tmp_path / "one", SETTINGS.model_copy(update={"split_s": 1e6}))
    require_same(one_pass, whole_of(films / "stream.ts", tmp_path / "parts", SETTINGS))


def dies(message: object, beat: object) -> None:
    os.abort()


def test_nothing_of_the_parts_stays_on_disk(films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Temporary folders that stay fill the disk of a machine that ingests for weeks; those of the killed go too."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left = tmp_path / f"chimp-decode-{decoders._place()}-999999999-abc"
    left.mkdir()
    (left / "000001.jpegs").write_bytes(b"x")
    mine = tmp_path / f"chimp-decode-{decoders._place()}-{os.getpid()}-other"
    mine.mkdir()
    whole_of(films / "stream.ts", tmp_path / "store", SETTINGS)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([mine.name, "store"])


def test_the_folder_of_a_worker_elsewhere_stays_until_nothing_in_it_has_changed_for_days(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a TMPDIR that machines or containers share, the number of a living process there may be nobody's here."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    lives, dead, older = (
        tmp_path / name
        for name in (
            "chimp-decode-node2-0123456789ab-999999999-abc",
            "chimp-decode-node3-0123456789ab-999999999-abc",
            "chimp-decode-999999999-abc",  # as an older version names it
        )
    )
    long_ago = time.time() - decoders.ABANDONED_S - 60
    for folder in (lives, dead, older):
        (folder / "7").mkdir(parents=True)
        os.utime(folder / "7", (long_ago, long_ago))
        os.utime(folder, (long_ago, long_ago))
    (lives / "7" / "000001.jpegs").write_bytes(b"x")
    with decoders._scratch_folder() as mine:
        assert {path.name for path in tmp_path.iterdir()} == {mine.name, lives.name}
    assert lives.is_dir()


def test_the_pictures_of_a_part_are_numbered_from_its_own_beginning(films: Path) -> None:
    """The one who puts parts together counts on."""
    part = plan_parts(films / "stream.ts", SETTINGS, lambda: None)[1]
    report = DecodeReport()
    frames = list(decode_frames(films / "stream.ts", SETTINGS, report, part=part))
    assert [frame.frame_no for frame in frames] == list(range(len(frames)))
    assert part.start is not None
    assert part.end is not None
    assert part.start < frames[0].pts <= frames[-1].pts <= part.end
    assert report.pictures == part.n_pictures
