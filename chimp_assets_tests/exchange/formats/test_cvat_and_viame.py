"""CVAT's XML and VIAME's CSV: which frame of which file, times instead of frames where a file has both."""

from __future__ import annotations

from pathlib import Path

import pytest

from chimp_assets.exchange.imports.annotations import ImportFileError
from chimp_assets_tests.exchange.formats.samples import CVAT_IMAGES, CVAT_VIDEO, DIVE, VIAME_PICTURES, read_text


def test_cvats_frames_are_those_of_the_file_also_with_a_step(tmp_path: Path) -> None:
    media, boxes, reading = read_text("cvat", tmp_path, CVAT_VIDEO)
    assert [(one.path, one.width, one.height) for one in media] == [("zamba chimp.mp4", 320, 180)]
    assert [(b.frame, b.x, b.y, b.w, b.h, b.outside) for b in boxes] == [
        (100, 10, 20, 30.5, 40, False), (105, 12, 20, 30.5, 40, False), (110, 12, 20, 30.5, 40, True),
    ]  # fmt: skip
    assert {(b.track, b.individual, b.category) for b in boxes} == {("0", "Frodo & Co", "chimp")}
    assert (reading.frame_base, reading.said_by) == (0, "format")
    assert reading.notes == [
        "Not taken in: 1 shapes other than boxes (polygons, points, masks and more) (first: line 32)"
    ]


def test_cvats_images_are_pictures_and_a_tag_is_the_whole_picture(tmp_path: Path) -> None:
    media, boxes, _ = read_text("cvat", tmp_path, CVAT_IMAGES)
    assert [(one.path, one.width) for one in media] == [("day1/IMG_0001.JPG", 4000), ("day1/IMG_0002.JPG", 4000)]
    assert [(b.frame, b.x, b.w, b.individual, b.category) for b in boxes] == [
        (None, 1, 3, "Kuni", "chimp"), (None, None, None, None, "infant"),
    ]  # fmt: skip


def test_frames_of_a_video_that_were_exported_as_images_lie_in_the_video(tmp_path: Path) -> None:
    text = CVAT_IMAGES.replace("<mode>", "<source>clip.mp4</source><mode>")
    text = text.replace('id="1" name="day1/IMG_0002.JPG"', 'id="105" name="frame_000105"')
    text = text.replace('id="0" name="day1/IMG_0001.JPG"', 'id="100" name="frame_000100"')
    media, boxes, _ = read_text("cvat", tmp_path, text)
    assert [one.path for one in media] == ["clip.mp4"]
    assert [b.frame for b in boxes] == [100, 100]


def test_a_project_keeps_its_tasks_apart(tmp_path: Path) -> None:
    head = "".join(
        f"<task><id>{n}</id><name>t{n}</name><original_size><width>{n}0</width><height>9</height></original_size>"
        f"<source>v{n}.mp4</source></task>"
        for n in (1, 2)
    )
    box = '<box frame="3" keyframe="1" outside="0" occluded="0" xtl="1" ytl="1" xbr="2" ybr="2"></box>'
    text = f"""<annotations><version>1.1</version><meta><project><id>5</id><tasks>{head}</tasks></project>
        </meta><track id="0" label="chimp" task_id="2" subset="">{box}</track>
        <track id="1" label="chimp" task_id="1" subset="">{box}</track></annotations>"""
    media, boxes, _ = read_text("cvat", tmp_path, text)
    assert [(one.path, one.width) for one in media] == [("v2.mp4", 20), ("v1.mp4", 10)]
    assert [(b.medium, b.track) for b in boxes] == [("task 2", "0"), ("task 1", "1")]
    with pytest.raises(ImportFileError, match="line 2: it belongs to task 9"):
        read_text("cvat", tmp_path, text.replace('task_id="2"', 'task_id="9"'))


def test_between_keyframes_boxes_lie_on_a_line_until_the_animal_is_outside(tmp_path: Path) -> None:
    def box(frame: int, x: int, outside: int = 0) -> str:
        return (
            f'<box frame="{frame}" keyframe="1" outside="{outside}" occluded="0" xtl="{x}" ytl="0" xbr="{x + 10}" '
            f'ybr="{10 + x}"></box>'
        )

    shapes = box(0, 0) + box(4, 8) + box(6, 8, outside=1) + box(9, 20)
    text = (
        "<annotations><meta><task><name>a.mp4</name></task></meta>"
        f'<track id="-3" label="c">{shapes}</track></annotations>'
    )
    _, boxes, _ = read_text("cvat", tmp_path, text)
    assert [(b.frame, b.x, b.h, b.outside) for b in boxes] == [
        (0, 0, 10, False), (1, 2, 12, False), (2, 4, 14, False), (3, 6, 16, False), (4, 8, 18, False),
        (5, 8, 18, False), (6, 8, 18, True), (9, 20, 30, False),
    ]  # fmt: skip
    assert {b.track for b in boxes} == {"-3"}


def test_a_frame_number_gone_wrong_does_not_fill_the_disk(tmp_path: Path) -> None:
    text = CVAT_VIDEO.replace('frame="105" keyframe="0"', 'frame="2000000105" keyframe="1"')
    with pytest.raises(ImportFileError, match="lie too many frames"):
        read_text("cvat", tmp_path, text)


def test_a_turned_box_becomes_the_upright_one_around_it(tmp_path: Path) -> None:
    text = CVAT_IMAGES.replace('ybr="6.00"', 'ybr="6.00" rotation="90.00"')
    _, boxes, _ = read_text("cvat", tmp_path, text)
    assert (boxes[0].x, boxes[0].y, boxes[0].w, boxes[0].h) == pytest.approx((0.5, 2.5, 4, 3))


@pytest.mark.parametrize(
    "head",
    [
        '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;&x;">]>',
        '<!DOCTYPE a SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE a [<!ENTITY % p SYSTEM "http://localhost/x"> %p;]>',
    ],
)
def test_entities_are_refused_before_they_are_read(head: str, tmp_path: Path) -> None:
    text = CVAT_VIDEO.replace("<annotations>", f"{head}<annotations>", 1).replace("Frodo &amp; Co", "&y;")
    with pytest.raises(ImportFileError, match="declares a document type or entities"):
        read_text("cvat", tmp_path, text)


def test_dive_is_read_by_its_times(tmp_path: Path) -> None:
    """Its frames are counted at the rate of the annotation, here 5 a second, not at that of the video."""
    media, boxes, _ = read_text("viame", tmp_path, DIVE, "clip1.csv")
    assert [one.path for one in media] == ["clip1"]
    assert [(b.time_s, b.frame, b.x, b.y, b.w, b.h) for b in boxes] == [
        (0.0, None, 10, 20, 30, 40), (2.2, None, 12, 20, 30, 40), (2.2, None, 1, 2, 2, 2),
    ]  # fmt: skip
    assert [(b.track, b.individual, b.category, b.score) for b in boxes] == [
        ("0", "Old Kuni", "chimp", 0.9), ("0", "Old Kuni", "chimp", 0.9), ("5", None, "dog", 1.0),
    ]  # fmt: skip
    media, _, _ = read_text("viame", tmp_path, DIVE, "clip1.csv", video="pool/clip.mp4")
    assert [one.path for one in media] == ["pool/clip.mp4"]


def test_the_rate_of_dives_head_tells_times_where_rows_do_not(tmp_path: Path) -> None:
    text = DIVE.replace("00:00:02.200000", "clip9.mp4").replace("00:00:00.000000", "clip9.mp4")
    media, boxes, _ = read_text("viame", tmp_path, text)
    assert [one.path for one in media] == ["clip9.mp4"]
    assert [b.time_s for b in boxes] == [0.0, 2.2, 2.2]
    _, boxes, _ = read_text("viame", tmp_path, text.replace("fps: 5", "note: 1"))
    assert [(b.time_s, b.frame) for b in boxes] == [(None, 0), (None, 11), (None, 11)]
    _, boxes, reading = read_text("viame", tmp_path, text.replace(",0,10,", ",1,10,"), frame_base=1)
    assert [b.time_s for b in boxes] == [0.0, 2.0, 2.0]
    assert reading.said_by == "person"


def test_viames_pictures_are_pictures(tmp_path: Path) -> None:
    media, boxes, _ = read_text("viame", tmp_path, VIAME_PICTURES)
    assert [one.path for one in media] == ["IMG_0001.png", "IMG_0002.png"]
    assert [(b.medium, b.frame, b.time_s, b.track, b.x, b.w) for b in boxes] == [
        ("IMG_0001.png", None, None, "3", 10.5, 29.75), ("IMG_0002.png", None, None, "3", 11.5, 29.75),
    ]  # fmt: skip


@pytest.mark.parametrize("track", ["0", "-1", "99999999999999999999", "A 7"])
def test_viames_track_ids_stay_as_they_are(track: str, tmp_path: Path) -> None:
    _, boxes, _ = read_text("viame", tmp_path, VIAME_PICTURES.replace("\n3,", f"\n{track},"))
    assert {b.track for b in boxes} == {track}


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("3,IMG_0002.png,1,11.5,20,41.25,60,0.86,-1,chimp,0.86", "3,IMG_0002.png,1,11.5", "line 4: it has 4 cells"),
        ("11.5,20", "eleven,20", "line 4: TL_x is eleven"),
        ("11.5,20", "nan,20", "line 4: TL_x is nan"),
        ("41.25", "4.25", "line 4: the box ends before it begins"),
        (",1,11.5", ",1.5,11.5", "not a whole number"),
        ('IMG_0002.png,1', '"IMG_0002.png,1', "is no CSV file"),
    ],
)  # fmt: skip
def test_a_bad_row_is_named_by_its_line(old: str, new: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ImportFileError, match=sentence):
        read_text("viame", tmp_path, VIAME_PICTURES.replace(old, new))
