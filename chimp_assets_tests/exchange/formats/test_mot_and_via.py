"""MOT's tables and zips, and VIA's projects."""

from __future__ import annotations

import copy
import zipfile
from pathlib import Path

import pytest

from chimp_assets.exchange.imports.annotations import ImportFileError
from chimp_assets_tests.exchange.formats.samples import (
    MOT_DETECTIONS,
    MOT_INFO,
    MOT_TRUTH,
    VIA2,
    VIA3,
    read,
    read_text,
)


def write_sequence(folder: Path, truth: str = MOT_TRUTH, info: str | None = MOT_INFO) -> Path:
    (folder / "gt").mkdir(parents=True)
    (folder / "gt" / "gt.txt").write_text(truth)
    if info:
        (folder / "seqinfo.ini").write_text(info)
    return folder / "gt" / "gt.txt"


def test_mots_frames_are_counted_from_1(tmp_path: Path) -> None:
    media, boxes, reading = read("mot", write_sequence(tmp_path / "MOT17-02"))
    assert [(one.path, one.width, one.height, one.fps, one.n_frames) for one in media] == [
        ("clip1", 1920, 1080, 30, 600)
    ]
    assert [(b.frame, b.track, b.x, b.y, b.w, b.h, b.category, b.score) for b in boxes] == [
        (0, "1", 912, 484, 97, 109, "1", None),
        (1, "1", 912.5, 484, 97, 109, "1", None),
        (1, "2147483648123", 5, 6, 7, 8, "2", None),
    ]
    assert (reading.frame_base, reading.said_by) == (1, "format")
    assert "Not taken in: 1 boxes that the file says to ignore (a 0 in column 7) (first: line 3)" in reading.notes


def test_a_frame_0_shows_that_a_program_counted_from_0(tmp_path: Path) -> None:
    """datumaro#560: it is not the second picture that a frame 1 means there."""
    _, boxes, reading = read("mot", write_sequence(tmp_path / "a", "0,1,1,2,3,4,1,1,1\n" + MOT_TRUTH))
    assert (reading.frame_base, reading.said_by) == (0, "file")
    assert [b.frame for b in boxes] == [0, 1, 2, 2]
    with pytest.raises(ImportFileError, match="line 1: the frame is 0, but frames begin with 1"):
        read("mot", tmp_path / "a" / "gt" / "gt.txt", frame_base=1)
    _, boxes, reading = read("mot", write_sequence(tmp_path / "b"), frame_base=0)
    assert ([b.frame for b in boxes], reading.said_by) == ([1, 2, 2], "person")


def test_detections_have_scores_and_no_tracks(tmp_path: Path) -> None:
    media, boxes, _ = read_text("mot", tmp_path, MOT_DETECTIONS, "det.txt")
    assert [one.path for one in media] == [tmp_path.name]
    assert [(b.frame, b.track, b.score) for b in boxes] == [(0, None, 0.9), (1, None, None)]


def test_cvats_zip_of_sequences_is_read_where_it_lies(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "task_7.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("gt/gt.txt", MOT_TRUTH)
        archive.writestr("gt/labels.txt", "chimp\nhuman\n")
        archive.writestr("img1/frame_000000.PNG", b"\x89PNG")
    media, boxes, _ = read("mot", tmp_path / "task_7.zip")
    assert [one.path for one in media] == ["task_7"]
    assert [b.category for b in boxes] == ["chimp", "chimp", "human"]
    media, _, _ = read("mot", tmp_path / "task_7.zip", video="pool/clip.mp4")
    assert [one.path for one in media] == ["pool/clip.mp4"]
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        for name in ("train/A", "../../../B", "/etc/C"):
            archive.writestr(f"{name}/gt/gt.txt", MOT_TRUTH)
        archive.writestr("train/A/seqinfo.ini", MOT_INFO)
    media, boxes, _ = read("mot", tmp_path / "two.zip")
    assert sorted(one.path for one in media) == ["B", "C", "clip1"]
    assert len(boxes) == 9
    assert sorted(path.name for path in tmp_path.iterdir()) == ["task_7.zip", "two.zip"]


def test_an_animal_is_away_where_the_file_looked_and_did_not_see_it(tmp_path: Path) -> None:
    """Track 1 is not on frame 3, which track 2 is on: no box may be drawn there from 2 to 5."""
    frames = [(1, 1), (1, 2), (2, 1), (3, 2), (5, 1), (5, 2)]
    text = "".join(f"{frame},{track},1,2,3,4,1,1,1\n" for frame, track in frames)
    _, boxes, _ = read_text("mot", tmp_path, text)
    found = [(b.frame, b.track, b.outside) for b in boxes]
    assert (2, "1", True) in found
    assert [one for one in found if one[2]] == [(1, "2", True), (2, "1", True)]
    _, boxes, _ = read_text("mot", tmp_path, "".join(f"{frame},1,1,2,3,4,1,1,1\n" for frame in (1, 11, 21)))
    assert not any(b.outside for b in boxes), "a file that looks at every tenth frame has no gaps"
    _, boxes, _ = read_text("mot", tmp_path, "".join(sorted(text.splitlines(keepends=True), reverse=True)))
    assert not any(b.outside for b in boxes), "of a file that goes back in time nothing is known before its end"


def test_a_folder_of_sequences_tells_times_and_names_beside(tmp_path: Path) -> None:
    """As our own export writes it: frames count kept frames, frames.csv says when each was."""
    folder = tmp_path / "out" / "000001-clip"
    write_sequence(folder, "1,1,1,2,3,4,1,1,1\n2,2,1,2,3,4,1,1,1\n", MOT_INFO.replace("clip1", "pool/clip1.mp4"))
    (folder / "frames.csv").write_text("frame,time_s,pts\n1,0,0\n2,0.2,6\n")
    (tmp_path / "out" / "tracks.csv").write_text(
        "sequence,id,track_id,individual,status,source,probability,video\n"
        "000001-clip,1,5,FF,named,person,,pool/clip1.mp4\n000001-clip,2,6,GM,named,model,0.9,pool/clip1.mp4\n"
        "000002-clip,2,7,KU,named,person,,pool/clip2.mp4\n"
    )
    expected = [(0.0, None, "1", "FF"), (0.2, None, "2", None)]
    for path in (tmp_path / "out", folder, folder / "gt" / "gt.txt"):
        media, boxes, _ = read("mot", path)
        assert [one.path for one in media] == ["pool/clip1.mp4"]
        assert [(b.time_s, b.frame, b.track, b.individual) for b in boxes] == expected
    (folder / "frames.csv").write_text("frame,time_s,pts\n1,0,0\n")
    with pytest.raises(ImportFileError, match=r"frames\.csv does not hold frame 2"):
        read("mot", folder)


def test_a_zip_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("gt/gt.txt", b"1,1,2,3,4,5\n" * 6_000_000)
    with pytest.raises(ImportFileError, match="would unpack to 72000000 bytes, as no table does"):
        read("mot", tmp_path / "bomb.zip")
    with zipfile.ZipFile(tmp_path / "none.zip", "w") as archive:
        archive.writestr("readme.txt", "")
    with pytest.raises(ImportFileError, match=r"holds neither gt\.txt nor det\.txt"):
        read("mot", tmp_path / "none.zip")


@pytest.mark.parametrize(("written", "track"), [("0", "0"), ("-7", "-7"), ("3.0", "3"), ("-1.0", None), ("A9", "A9")])
def test_mots_ids_stay_as_they_are(written: str, track: str | None, tmp_path: Path) -> None:
    _, boxes, _ = read_text("mot", tmp_path, f"1,{written},1,2,3,4,0.5,-1,-1,-1\n5,{written},1,2,3,4,0.5,-1,-1,-1\n")
    assert [(b.frame, b.track) for b in boxes] == [(0, track), (4, track)]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1,1,2,3,4\n", "line 1: it has 5 cells"),
        ("1 1 2 3 4 5 1 1 1\n", "line 1: it has 1 cells"),
        ("1,1,2,3,-4,5,1,1,1\n", "ends before it begins"),
        ("1,1,2,3,inf,5,1,1,1\n", "line 1: width is inf"),
        ("1,1,2,3,1_0,5,1,1,1\n", "line 1: width is 1_0"),
        ("1,,2,3,4,5,1,1,1\n", "the id is missing"),
        ("99999999999,1,2,3,4,5,1,1,1\n", "not a whole number that can be"),
    ],
)
def test_a_bad_row_is_named_by_its_line(text: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ImportFileError, match=sentence):
        read_text("mot", tmp_path, text)


def test_a_file_without_its_last_line_end_is_told(tmp_path: Path) -> None:
    _, boxes, reading = read_text("mot", tmp_path, "1,1,2,3,4,5,0.5\n2,1,2,3,4,5,0.5")
    assert len(boxes) == 2
    assert any("has no end" in note for note in reading.notes)


def test_via_2_gives_boxes_around_regions(tmp_path: Path) -> None:
    media, boxes, reading = read_text("via", tmp_path, VIA2)
    assert [one.path for one in media] == ["IMG_1.JPG"]
    assert [(b.x, b.y, b.w, b.h, b.individual, b.category) for b in boxes] == [
        (10, 20, 30, 40, "Kuni", "chimp"), (1, 2, 4, 7, "Frodo", None),
    ]  # fmt: skip
    assert [note[:16] for note in reading.notes] == ["Not taken in: 1 "]


def test_an_export_of_via_1_and_2_is_the_same_without_its_project(tmp_path: Path) -> None:
    expected = read_text("via", tmp_path, VIA2)[:2]
    assert read_text("via", tmp_path, VIA2["_via_img_metadata"])[:2] == expected
    first = copy.deepcopy(VIA2["_via_img_metadata"])
    image = first["IMG_1.JPG1234"]
    image["regions"] = {str(n): region for n, region in enumerate(image["regions"])}
    _, boxes, _ = read_text("via", tmp_path, first)
    assert [b.individual for b in boxes] == ["Kuni", "Frodo"]


def test_via_3_gives_moments_and_segments_of_videos(tmp_path: Path) -> None:
    media, boxes, reading = read_text("via", tmp_path, VIA3)
    assert [one.path for one in media] == ["clip.mp4", "IMG_1.JPG"]
    assert [(b.medium, b.time_s, b.x, b.w, b.track, b.individual) for b in boxes] == [
        ("1", 1.5, None, None, "1_ysf4qqfC", "Frodo"),
        ("1", 4.25, None, None, "1_ysf4qqfC", "Frodo"),
        ("1", 2.5, 10, 30, "12", "Kuni"),
        ("2", None, 7, 6, None, "Kuni"),
    ]
    assert len(reading.notes) == 1


@pytest.mark.parametrize(
    ("at", "value", "sentence"),
    [
        (("metadata", "1_yQCRxO4z", "vid"), "9", "belongs to view 9"),
        (("metadata", "1_yQCRxO4z", "z"), [3, 1], "no moment and no segment"),
        (("metadata", "1_yQCRxO4z", "xy"), [2, 1, 2], "no shape that is known"),
        (("metadata", "1_yQCRxO4z", "xy"), [2, 1, 2, "x", 4], "xy is x, not a number"),
        (("view", "1", "fid_list"), ["7"], "lies on file 7"),
        (("file", "1", "fname"), "", "its fname is missing"),
        (("metadata", "1_yQCRxO4z"), 5, "it is not an object"),
    ],
)
def test_what_via_cannot_have_written_is_refused(
    at: tuple[str, ...], value: object, sentence: str, tmp_path: Path
) -> None:
    changed = copy.deepcopy(VIA3)
    inner = changed
    for key in at[:-1]:
        inner = inner[key]
    inner[at[-1]] = value
    with pytest.raises(ImportFileError, match=sentence):
        read_text("via", tmp_path, changed)
    with pytest.raises(ImportFileError, match="nothing that VIA writes"):
        read_text("via", tmp_path, {"images": []})
