"""Damaged files of every kind: none crashes, hangs or costs a neighbour; what is whole in them is kept and true."""

from __future__ import annotations

import os
import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chimp_assets.archive.catalogue.discover import discover
from chimp_assets.archive.ingest import decode_bundle
from chimp_assets.archive.video.decode import DecodeReport, decode_frames
from chimp_assets.archive.video.pictures import read_jpegs
from chimp_assets.archive.video.probe import UnreadableVideoError
from chimp_assets.database import schema
from chimp_assets.settings import DecodeSettings
from chimp_assets_tests.archive import ffmpeg
from chimp_assets_tests.archive.clips import make_clip, number_of
from chimp_assets_tests.archive.probing import facts_of

SETTINGS = DecodeSettings(fps=25)
KINDS = {
    "mp4": ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "10"),
    "mkv": ("-c:v", "libx264", "-preset", "ultrafast", "-g", "10"),
    "avi": ("-c:v", "mpeg4", "-g", "10"),
    "ts": ("-c:v", "libx264", "-preset", "ultrafast", "-g", "10"),
    "mpg": ("-c:v", "mpeg2video", "-g", "10"),
    "webm": ("-c:v", "libvpx", "-cpu-used", "8", "-deadline", "realtime", "-g", "10"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    return {
        ending: ffmpeg.film(folder / f"film.{ending}", *options, size="128x96", seconds=2).read_bytes()
        for ending, options in KINDS.items()
    }


def flipped(content: bytearray, rng: random.Random) -> bytearray:
    for _ in range(rng.randint(1, 40)):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return content


def cut(content: bytearray, rng: random.Random) -> bytearray:
    return content[: rng.randrange(1, len(content))]


def beheaded(content: bytearray, rng: random.Random) -> bytearray:
    return content[rng.randrange(1, len(content)) :]


def shuffled(content: bytearray, rng: random.Random) -> bytearray:
    size = rng.choice([188, 512, 4096])
    pieces = [content[at : at + size] for at in range(0, len(content), size)]
    first = pieces[: rng.randrange(2)]
    rest = pieces[len(first) :]
    rng.shuffle(rest)
    return bytearray(b"".join(first + rest))


def zeroed(content: bytearray, rng: random.Random) -> bytearray:
    at = rng.randrange(len(content))
    length = rng.randrange(1, 5000)
    content[at : at + length] = bytes(len(content[at : at + length]))
    return content


def doubled(content: bytearray, rng: random.Random) -> bytearray:
    at = rng.randrange(len(content))
    return content[:at] + content[max(0, at - rng.randrange(5000)) :]


DAMAGES = (flipped, cut, beheaded, shuffled, zeroed, doubled)


@given(
    kind=st.sampled_from(sorted(KINDS)),
    ending=st.sampled_from([*sorted(KINDS), "mov", "264", "gif"]),
    damages=st.lists(st.sampled_from(DAMAGES), min_size=1, max_size=2),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_damage_raises_anything_but_a_sentence(
    whole: dict[str, bytes], tmp_path: Path, kind: str, ending: str, damages: list, seed: int
) -> None:
    """An exception of another kind would be called a bug of ours; a clock that stands loses what follows."""
    rng = random.Random(seed)
    content = bytearray(whole[kind])
    for damage in damages:
        content = damage(content, rng) or bytearray(b"x")
    path = tmp_path / f"film.{ending}"
    path.write_bytes(content)
    report = DecodeReport()
    refusal = None
    try:
        facts = facts_of(path, SETTINGS)
        kept = list(decode_frames(path, SETTINGS, report))
    except UnreadableVideoError as error:
        refusal = error
    if refusal is not None:
        assert refusal.sentence.endswith(".")
        assert refusal.remedy
        return
    assert kept
    assert [k.frame_no for k in kept] == list(range(len(kept)))
    times = [k.time_s for k in kept]
    assert all(one < two for one, two in pairwise(times))
    assert facts.width > 0
    for sentence in report.problems:
        assert sentence.endswith(".")


@pytest.mark.parametrize("kind", ["mkv", "ts", "mpg", "avi"])
def test_pictures_before_and_after_a_hole_are_kept_and_true(whole: dict[str, bytes], tmp_path: Path, kind: str) -> None:
    """Damage in the middle of a tape must not cost its second half."""
    path, holed = tmp_path / f"whole.{kind}", tmp_path / f"holed.{kind}"
    path.write_bytes(whole[kind])
    content = bytearray(whole[kind])
    middle = len(content) // 2
    content[middle : middle + 1500] = random.Random(1).randbytes(1500)
    holed.write_bytes(content)
    true = [simplejpeg.decode_jpeg(k.jpeg) for k in decode_frames(path, SETTINGS, DecodeReport())]
    report = DecodeReport()
    kept = [simplejpeg.decode_jpeg(k.jpeg).astype(int) for k in decode_frames(holed, SETTINGS, report)]
    # An AVI has no times: behind a hole its pictures are right and one step early.
    same = [n for picture in kept for n, one in enumerate(true) if np.abs(picture - one).mean() < 1.0]
    assert len(same) >= 0.75 * len(true)
    assert same[0] == 0
    assert same[-1] >= len(true) - 2
    assert report.problems or "pictures are missing" in str(report.steps.gaps())


@pytest.fixture
def bad_neighbours(archive_folder: Path) -> Path:
    """Good films among files of every other kind, with names of every kind."""
    folder = archive_folder / "cam"
    for n, name in enumerate(
        ["good.mp4", "Schimpansen am Fluß.mp4", "チンパンジー #1 %41 'a\" b.mp4", " .mp4", "-rf.mp4"]
    ):
        make_clip(folder / name, 10 + n)
    content = (folder / "good.mp4").read_bytes()
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mov").write_text("no film at all\n" * 50)
    (folder / "picture.mkv").write_bytes(simplejpeg.encode_jpeg(np.zeros((64, 64, 3), np.uint8)))
    (folder / "head.mp4").write_bytes(content[:40])
    (folder / "wrong_ending.avi").write_bytes(content[:-1] + b"\x00")
    (folder / "noise.ts").write_bytes(random.Random(2).randbytes(100_000))
    (folder / "playlist.mp4").write_text("#EXTM3U\n#EXTINF:9,\n/etc/passwd\n#EXT-X-ENDLIST\n")
    ffmpeg.run("-f", "lavfi", "-i", "sine=d=1", str(folder / "sound.mp4"))
    ffmpeg.run(
        "-i", str(folder / "good.mp4"), "-c", "copy", "-encryption_scheme", "cenc-aes-ctr",
        "-encryption_key", "76a6c65c5ea762046bd749a2e632ccbb", "-encryption_kid", "a7e61c373e219033c21091fa607bf3b8",
        str(folder / "secret.mp4"),
    )  # fmt: skip
    huge = bytearray(content)
    box = huge.find(b"avc1", huge.find(b"stsd")) + 4 + 24  # width and height of the sample entry
    huge[box : box + 4] = b"\xff\xff\xff\xff"
    (folder / "huge.mp4").write_bytes(huge)
    for path in folder.iterdir():
        os.utime(path, (1_577_836_800, 1_577_836_800))
    return archive_folder


def test_bad_files_cost_their_neighbours_nothing_and_say_why(make_place, bad_neighbours: Path) -> None:
    """One odd tape would hold up a season."""
    place = make_place(decode={"workers": 2, "fps": 25.0})
    discover(place.db, place.archive, place.settings)
    outcome = decode_bundle(place.db, place.archive, place.store, "cam-0001", place.settings)
    with place.db.read() as conn:
        rows = {row.uri.removeprefix("cam/"): row for row in conn.execute(sa.select(schema.video)).all()}
        good = [name for name in rows if name.startswith(("good", "Schim", "チ", " ", "-rf"))]
        for name in good:
            assert rows[name].state == "decoded", rows[name].error
            shown = [
                number_of(simplejpeg.decode_jpeg(j)) for *_, j in read_jpegs(conn, place.store, rows[name].video_id)
            ]
            assert shown == list(range(rows[name].n_frames))
            assert rows[name].n_frames >= 10
    assert len(good) == 5
    reasons = {
        "empty.mp4": "it is empty",
        "text.mov": "no video at all",
        "picture.mkv": "no video at all",
        "head.mp4": "it has no streams",
        "noise.ts": "",
        "playlist.mp4": "no video at all",
        "sound.mp4": "it has audio",
        "secret.mp4": "encrypted",
    }
    for name, reason in reasons.items():
        row = rows[name]
        assert row.state == "failed", name
        assert reason in row.error
        assert row.error.endswith("."), row.error
    # The ending lies, or the size in the container's header, which the stream's own overrules.
    assert [rows[name].state for name in ("wrong_ending.avi", "huge.mp4")] == ["decoded", "decoded"]
    assert len(rows) == 15
    assert outcome.videos + len(outcome.failed) == 15


def test_a_lying_header_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    """Sixteen bytes of header can ask for ten gigabytes."""
    path = ffmpeg.film(tmp_path / "large.mkv", "-c:v", "libx264", "-preset", "ultrafast", size="640x360", seconds=0.4)
    with pytest.raises(UnreadableVideoError, match="more than the limit"):
        list(decode_frames(path, SETTINGS.model_copy(update={"max_pixels": 100_000}), DecodeReport()))
    long = ffmpeg.film(tmp_path / "long.mp4", "-c:v", "libx264", "-r", "1/1000", size="64x64", rate=1, seconds=5000)
    with pytest.raises(UnreadableVideoError, match="longer than the limit"):
        list(decode_frames(long, SETTINGS.model_copy(update={"max_duration_s": 1000.0}), DecodeReport()))
