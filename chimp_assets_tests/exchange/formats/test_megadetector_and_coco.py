"""MegaDetector's JSON and COCO: which file, which frame, which box, who."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import kwcoco
import pytest

from chimp_assets.exchange.imports.annotations import ImportFileError
from chimp_assets_tests.exchange.formats.samples import KWCOCO, MEGADETECTOR, read, read_text


def test_megadetectors_boxes_are_fractions_with_frames_from_0(tmp_path: Path) -> None:
    media, boxes, reading = read_text("megadetector", tmp_path, MEGADETECTOR)
    assert [(one.path, one.fps) for one in media] == [
        ("site1/cam2/IMG_0001.JPG", None), ("site1/cam2/clip.mp4", 29.97), ("site1/cam2/empty.JPG", None),
    ]  # fmt: skip
    assert [(b.medium[-8:], b.frame, b.x, b.y, b.w, b.h, b.score, b.category) for b in boxes] == [
        ("0001.JPG", None, 0.0, 0.2762, 0.1539, 0.2825, 0.926, "animal"),
        ("0001.JPG", None, 0.0451, 0.1849, 0.3642, 0.4636, 0.061, "person"),
        ("clip.mp4", 0, 0.1, 0.2, 0.3, 0.4, 0.871, "animal"),
        ("clip.mp4", 60, 0.11, 0.21, 0.31, 0.41, 0.774, "animal"),
    ]
    assert {(b.unit, b.track, b.time_s) for b in boxes} == {("fraction", None, None)}
    assert (reading.frame_base, reading.said_by) == (0, "format")
    assert any("could not read" in note and "images[3]" in note for note in reading.notes)


def test_a_person_says_that_frames_begin_with_1(tmp_path: Path) -> None:
    text = json.dumps(MEGADETECTOR).replace('"frame_number": 0', '"frame_number": 1')
    _, boxes, reading = read_text("megadetector", tmp_path, text, frame_base=1)
    assert [b.frame for b in boxes][2:] == [0, 59]
    assert (reading.frame_base, reading.said_by) == (1, "person")


def test_a_video_that_was_cut_into_pictures_is_a_video(tmp_path: Path) -> None:
    """MegaDetector of before format 1.4 keeps VIDEO.mp4/frame000010.jpg."""
    boxes = [{"category": "1", "conf": 0.5, "bbox": [0.1, 0.1, 0.2, 0.2]}]
    images = [{"file": f"a/clip.MP4/frame{n:06d}.jpg", "detections": boxes} for n in (0, 10)]
    media, found, _ = read_text(
        "megadetector", tmp_path, {"images": images, "detection_categories": {"1": "animal"}, "info": {}}
    )
    assert [one.path for one in media] == ["a/clip.MP4"]
    assert [(b.medium, b.frame) for b in found] == [("a/clip.MP4", 0), ("a/clip.MP4", 10)]


def test_detections_that_name_no_frame_or_no_category_are_counted(tmp_path: Path) -> None:
    changed = copy.deepcopy(MEGADETECTOR)
    del changed["images"][1]["detections"][0]["frame_number"]
    changed["images"][0]["detections"][0]["category"] = "9"
    _, boxes, reading = read_text("megadetector", tmp_path, changed)
    assert len(boxes) == 2
    assert any(note.startswith("Not taken in: 1 detections in videos that name no frame") for note in reading.notes)
    assert any("1 detections of categories that the file does not name" in note for note in reading.notes)


@pytest.mark.parametrize(
    ("at", "value", "sentence"),
    [
        (("images", 0, "detections", 0, "bbox"), [10, 20, 300, 400], "no fraction of the picture"),
        (("images", 0, "detections", 0, "bbox"), [0.1, 0.2, 0.3], "not a list of four numbers"),
        (("images", 0, "detections", 0, "bbox"), [0.1, 0.2, -0.3, 0.1], "ends before it begins"),
        (("images", 0, "detections", 0, "conf"), "high", "conf is high, not a number"),
        (("images", 1, "detections", 0, "frame_number"), 1.5, "not a whole number"),
        (("images", 1, "detections", 0, "frame_number"), -1, "frames begin with 0"),
        (("images", 2, "file"), "site1/cam2/IMG_0001.JPG", "is there twice"),
        (("images", 2, "file"), None, "file is missing"),
        (("images",), {"a": {}}, "images is not a list"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(
    at: tuple[str | int, ...], value: object, sentence: str, tmp_path: Path
) -> None:
    changed = copy.deepcopy(MEGADETECTOR)
    inner = changed
    for key in at[:-1]:
        inner = inner[key]  # type: ignore[index]
    inner[at[-1]] = value  # type: ignore[index]
    with pytest.raises(ImportFileError, match=sentence) as raised:
        read_text("megadetector", tmp_path, changed)
    assert "file.json, images[" in raised.value.sentence
    assert raised.value.remedy


def test_coco_gives_videos_pictures_tracks_and_names(tmp_path: Path) -> None:
    media, boxes, reading = read_text("coco", tmp_path, KWCOCO)
    assert [(one.path, one.width) for one in media] == [("cam1/20130506_070800.mp4", 320), ("IMG_1.JPG", 4000)]
    assert [(b.frame, b.x, b.w, b.track, b.individual, b.score, b.category) for b in boxes] == [
        (0, 10, 30.5, "7", "Frodo", 0.5, "chimpanzee"),
        (5, 11, 30, "7", "Frodo", None, "chimpanzee"),
        (5, 50, 7, "8", None, None, "chimpanzee"),
        (None, 1, 3, None, "Kuni", None, "chimpanzee"),
    ]
    assert {b.unit for b in boxes} == {"pixel"}
    assert (reading.frame_base, reading.said_by) == (0, "file")


def test_what_kwcoco_writes_is_read(tmp_path: Path) -> None:
    """The library itself writes the file."""
    dataset = kwcoco.CocoDataset()
    category = dataset.add_category("chimpanzee")
    video = dataset.add_video(name="clip.mp4", width=320, height=180)
    track = dataset.add_track(name="Frodo")
    for frame in (0, 3):
        image = dataset.add_image(file_name=f"f{frame}.png", video_id=video, frame_index=frame, width=320, height=180)
        dataset.add_annotation(image_id=image, category_id=category, bbox=[1, 2, 3, 4 + frame], track_id=track)
    dataset.fpath = str(tmp_path / "kw.json")
    dataset.dump()
    media, boxes, _ = read("coco", tmp_path / "kw.json")
    assert [one.path for one in media] == ["clip.mp4"]
    assert [(b.frame, b.h, b.track, b.individual) for b in boxes] == [(0, 4, "1", "Frodo"), (3, 7, "1", "Frodo")]


def test_sections_may_stand_in_any_order(tmp_path: Path) -> None:
    """Sorted keys put annotations first and videos last."""
    expected = read_text("coco", tmp_path, KWCOCO)[:2]
    assert read_text("coco", tmp_path, json.dumps(KWCOCO, sort_keys=True))[:2] == expected


@pytest.mark.parametrize(
    ("frames", "length", "base", "said_by"),
    [
        ([0, 1, 2], None, 0, "file"),
        ([1, 2, 3], None, 1, "file"),  # CenterTrack's and ByteTrack's conversion of MOT lists every frame
        ([1, 5, 9], None, 0, "format"),
        ([5, 10], 10, 1, "file"),  # a frame 10 of 10 can only be the last
        ([5, 9], 10, 0, "format"),
    ],
)
def test_coco_says_or_shows_which_frame_is_the_first(
    frames: list[int], length: int | None, base: int, said_by: str, tmp_path: Path
) -> None:
    coco = {
        "videos": [{"id": 1, "name": "a.mp4", **({"length": length} if length else {})}],
        "images": [{"id": n, "video_id": 1, "frame_id": n, "file_name": f"{n}.jpg"} for n in frames],
        "annotations": [{"id": n, "image_id": n, "category_id": 1, "bbox": [1, 2, 3, 4]} for n in frames],
    }
    _, boxes, reading = read_text("coco", tmp_path, coco)
    assert (reading.frame_base, reading.said_by) == (base, said_by)
    assert [b.frame for b in boxes] == [n - base for n in frames]
    _, boxes, reading = read_text("coco", tmp_path, coco, frame_base=0)
    assert (reading.said_by, [b.frame for b in boxes]) == ("person", frames)


def test_an_animal_is_away_on_an_image_without_it(tmp_path: Path) -> None:
    coco = {
        "videos": [{"id": 1, "name": "a.mp4"}],
        "images": [{"id": n, "video_id": 1, "frame_index": n, "file_name": f"{n}.jpg"} for n in range(0, 50, 10)],
        "annotations": [{"id": n, "image_id": n, "track_id": 4, "bbox": [1, 2, 3, 4]} for n in (0, 10, 40)],
    }
    _, boxes, _ = read_text("coco", tmp_path, coco)
    assert [(b.frame, b.outside) for b in boxes] == [(0, False), (10, False), (20, True), (40, False)]


def test_an_image_that_tells_its_time_is_read_by_it(tmp_path: Path) -> None:
    """Our own export counts kept frames, not pictures of the file; and a model's names are no answers."""
    coco = copy.deepcopy(KWCOCO)
    for number, image in enumerate(coco["images"][:2]):
        image |= {"frame_index": number, "time_s": number / 5}
    coco["videos"][0] |= {"content_hash": "ab" * 32, "site": "Pool", "recorded_at": "2013-05-06T07:08:00Z"}
    coco["tracks"] = [
        {"id": 7, "name": "track 7", "individual": "FF", "source": "person"},
        {"id": 8, "name": "track 8", "individual": "GM", "source": "model", "probability": 0.9},
    ]
    media, boxes, reading = read_text("coco", tmp_path, coco)
    assert (media[0].content_hash, media[0].site) == ("ab" * 32, "Pool")
    assert [(b.time_s, b.frame, b.track, b.individual) for b in boxes[:3]] == [
        (0.0, None, "7", "FF"), (0.2, None, "7", "FF"), (0.2, None, "8", None),
    ]  # fmt: skip
    assert any("a model named" in note for note in reading.notes)


def test_frames_that_cvat_exported_from_a_video_are_its_frames_if_one_says_so(tmp_path: Path) -> None:
    coco = {
        "images": [{"id": 1, "width": 320, "height": 180, "file_name": "frame_000105.PNG", "license": 0}],
        "categories": [{"id": 1, "name": "chimp", "supercategory": ""}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [], "area": 12.0, "bbox": [1.0, 2.0, 3.0, 4.0],
             "iscrowd": 0, "attributes": {"occluded": False, "track_id": 0, "keyframe": True, "name": "Kuni"}},
        ],
    }  # fmt: skip
    media, boxes, reading = read_text("coco", tmp_path, coco)
    assert [one.path for one in media] == ["frame_000105.PNG"]
    assert any("--video" in note for note in reading.notes)
    media, boxes, _ = read_text("coco", tmp_path, coco, video="pool/clip.mp4")
    assert [(one.path, one.width) for one in media] == [("pool/clip.mp4", 320)]
    assert [(b.frame, b.track, b.individual) for b in boxes] == [(105, "0", "Kuni")]


@pytest.mark.parametrize("track", [0, -1, 7, 2**70, "A/1", "neuf"])
def test_no_track_id_is_lost(track: object, tmp_path: Path) -> None:
    coco = copy.deepcopy(KWCOCO)
    for one in coco["annotations"]:
        one["track_id"] = track
    _, boxes, _ = read_text("coco", tmp_path, coco)
    assert {b.track for b in boxes} == {str(track)}


def test_whole_pictures_crowds_and_outlines(tmp_path: Path) -> None:
    coco = copy.deepcopy(KWCOCO)
    coco["categories"].append({"id": 0, "name": "empty"})
    coco["annotations"] = [
        {"id": "a", "image_id": 12, "category_id": 1, "name": "Kuni"},
        {"id": "b", "image_id": 12, "category_id": 0},
        {"id": "c", "image_id": 12, "category_id": 1, "bbox": [1, 2, 3, 4], "iscrowd": 1},
        {"id": "d", "image_id": 12, "category_id": 1, "segmentation": [[1, 2, 3, 4, 5, 6]]},
    ]
    _, boxes, reading = read_text("coco", tmp_path, coco)
    assert [(b.x, b.individual, b.place) for b in boxes] == [(None, "Kuni", "annotations[0]")]
    assert len(reading.notes) == 4


@pytest.mark.parametrize(
    ("section", "index", "key", "value", "sentence"),
    [
        ("annotations", 1, "image_id", 99, "annotations[1]: it lies on image 99, which the file does not hold"),
        ("images", 1, "video_id", 9, "some belong to video 9"),
        ("images", 1, "frame_index", None, "neither frame_index nor frame_id"),
        ("images", 1, "id", 10, "a second image has the id 10"),
        ("annotations", 0, "bbox", "big", "its bbox is big"),
        ("videos", 0, "name", None, "its name is missing"),
        ("annotations", 2, "name", "\ud800", "no database takes"),
    ],
)
def test_what_refers_to_nothing_is_refused(
    section: str, index: int, key: str, value: object, sentence: str, tmp_path: Path
) -> None:
    coco = copy.deepcopy(KWCOCO)
    coco[section][index][key] = value
    with pytest.raises(ImportFileError) as raised:
        read_text("coco", tmp_path, coco)
    assert sentence in raised.value.sentence
