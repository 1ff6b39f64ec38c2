"""COCO, MOT and YOLO as others' programs read them: the same tracks, boxes within half a pixel, the same names."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from chimp_assets.archive.storage.store import BlobStore
from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.exchange.exports import export
from chimp_assets.exchange.exports.boxes.sequences import sequence_name
from chimp_assets.exchange.exports.conditions import selection_of
from chimp_assets.exchange.exports.export import ExportError, ExportRequest, write_export
from chimp_assets.exchange.exports.footage import videos
from chimp_assets.settings import Settings

WIDTH, HEIGHT = 1280, 720
Boxes = dict[tuple[int, int], tuple[float, float, float, float]]


def written(db: Database, settings: Settings, name: str, out: Path, *where: str, **more: Any) -> int:
    with db.read() as conn:
        request = ExportRequest(db, settings, selection=selection_of(conn, where), **more)
    return write_export(export(name), request, out, name=name)


def true_boxes(db: Database, *where: str) -> tuple[Boxes, dict[int, str | None]]:
    """Boxes in pixels by track and frame number, and names by track."""
    d = s.detection.c
    with db.read() as conn:
        tracks = {row.track_id: row.anim_id for row in conn.execute(selection_of(conn, where).tracks())}
        rows = conn.execute(sa.select(d.track_id, d.frame_no, d.x, d.y, d.w, d.h)).all()
    boxes = {
        (row.track_id, row.frame_no): (row.x * WIDTH, row.y * HEIGHT, row.w * WIDTH, row.h * HEIGHT)
        for row in rows
        if row.track_id in tracks
    }
    return boxes, tracks


def furthest(found: Boxes, wanted: Boxes) -> float:
    assert found.keys() == wanted.keys()
    return max(abs(a - b) for key in wanted for a, b in zip(found[key], wanted[key], strict=True))


def test_coco_is_read_by_pycocotools_and_kwcoco(study: Database, settings: Settings, tmp_path: Path) -> None:
    import kwcoco
    from pycocotools.coco import COCO

    file = tmp_path / "boxes.json"
    n = written(study, settings, "coco", file)
    wanted, names = true_boxes(study)
    with redirect_stdout(io.StringIO()):
        theirs = COCO(str(file))
    frame_of = {one["id"]: one["frame_index"] for one in theirs.dataset["images"]}
    found: Boxes = {
        (one["track_id"], frame_of[one["image_id"]]): tuple(one["bbox"]) for one in theirs.loadAnns(theirs.getAnnIds())
    }
    assert furthest(found, wanted) < 0.5
    assert n == len(wanted) == json.loads((tmp_path / "boxes.json.about.json").read_text())["counts"]["annotations"]
    told = {one["id"]: one.get("individual") for one in theirs.dataset["tracks"]}
    assert told == names
    assert [one["name"] for one in theirs.dataset["categories"]] == ["chimpanzee"]

    dataset = kwcoco.CocoDataset(str(file))
    assert dataset.validate(missing=False, channels=False, verbose=0)["errors"] == []
    with study.read() as conn:
        uris = {row.video_id: row.uri for row in conn.execute(sa.select(s.video.c.video_id, s.video.c.uri))}
        times = {
            (row.video_id, row.frame_no): row.time_s
            for row in conn.execute(sa.select(s.frame.c.video_id, s.frame.c.frame_no, s.frame.c.time_s))
        }
    for video_id in dataset.videos():
        assert dataset.index.videos[video_id]["name"] == uris[video_id]
        images = dataset.images(video_id=video_id).objs
        assert [one["time_s"] for one in images] == [times[video_id, one["frame_index"]] for one in images]
        assert len(images) == sum(key[0] == video_id for key in times), "frames without a box are there too"
    some = tmp_path / "some.json"
    written(study, settings, "coco", some, "individual=FF", options={"only_with_boxes": "yes"})
    told = json.loads(some.read_text())
    drawn = {one["image_id"] for one in told["annotations"]}
    assert drawn == {one["id"] for one in told["images"]}
    assert {one["individual"] for one in told["tracks"]} == {"FF"}


def test_mot_is_scored_as_perfect_against_itself(study: Database, settings: Settings, tmp_path: Path) -> None:
    import trackeval

    out = tmp_path / "mot"
    n = written(study, settings, "mot", out)
    wanted, names = true_boxes(study)
    with (out / "tracks.csv").open() as stream:
        ours = {(row["sequence"], int(row["id"])): row for row in csv.DictReader(stream)}
    assert {int(row["track_id"]): row["individual"] or None for row in ours.values()} == names
    found: Boxes = {}
    for folder in (one for one in out.iterdir() if one.is_dir()):
        with (folder / "frames.csv").open() as stream:
            frames = [int(row["frame"]) for row in csv.DictReader(stream)]
        for line in (folder / "gt" / "gt.txt").read_text().splitlines():
            frame, number, *box = line.split(",")
            assert int(frame) in frames
            assert box[4:] == ["1", "1", "1"]
            key = (int(ours[folder.name, int(number)]["track_id"]), int(frame) - 1)
            found[key] = tuple(map(float, box[:4]))
    assert n == len(found)
    assert furthest(found, wanted) < 0.5
    sequences = (out / "seqmap.txt").read_text().split()
    assert sequences[0] == "name"
    lengths = {}
    for name in sequences[1:]:
        lines = dict(line.split("=") for line in (out / name / "seqinfo.ini").read_text().splitlines()[1:])
        lengths[name] = int(lines["seqLength"])
        assert (lines["imWidth"], lines["imHeight"], lines["frameRate"]) == (str(WIDTH), str(HEIGHT), "2")
        tracker = tmp_path / "trackers" / "ours" / "data"
        tracker.mkdir(parents=True, exist_ok=True)
        (tracker / f"{name}.txt").write_text((out / name / "gt" / "gt.txt").read_text())
    quiet = {"PRINT_CONFIG": False, "PRINT_RESULTS": False, "TIME_PROGRESS": False, "OUTPUT_SUMMARY": False,
             "OUTPUT_DETAILED": False, "PLOT_CURVES": False}  # fmt: skip
    dataset = trackeval.datasets.MotChallenge2DBox({
        "GT_FOLDER": str(out), "TRACKERS_FOLDER": str(tmp_path / "trackers"), "SEQ_INFO": lengths,
        "SKIP_SPLIT_FOL": True, "DO_PREPROC": False, "PRINT_CONFIG": False,
    })  # fmt: skip
    with redirect_stdout(io.StringIO()):
        results, _ = trackeval.Evaluator(quiet).evaluate([dataset], [trackeval.metrics.HOTA({"PRINT_CONFIG": False})])
    score = results["MotChallenge2DBox"]["ours"]["COMBINED_SEQ"]["pedestrian"]["HOTA"]
    assert float(np.mean(score["HOTA"])) == pytest.approx(1.0)
    assert int(score["HOTA_TP"][0]) == n


def test_yolo_has_a_label_for_each_frame_and_keeps_camera_days_together(
    study: Database, settings: Settings, tmp_path: Path
) -> None:
    with study.write() as conn:
        conn.execute(sa.update(s.split_assignment).where(s.split_assignment.c.video_id == 1).values(split="test"))
        conn.execute(sa.update(s.split_assignment).where(s.split_assignment.c.video_id == 3).values(split="validation"))
    n = written(study, settings, "yolo", tmp_path / "yolo")
    wanted, names = true_boxes(study)
    assert n == len(wanted)
    assert 'names:\n  0: "chimpanzee"\n' in (tmp_path / "yolo" / "data.yaml").read_text()
    with study.read() as conn:
        of = {sequence_name(video): video.video_id for video in videos(conn, selection_of(conn, []))}
    boxes: dict[tuple[int, int], list[tuple[float, ...]]] = defaultdict(list)
    for file in (tmp_path / "yolo" / "labels").rglob("*.txt"):
        video, _, frame = file.stem.rpartition("_")
        assert file.parent.name == {1: "test", 3: "val"}.get(of[video], "train")
        for line in file.read_text().splitlines():
            kind, x, y, w, h = line.split()
            assert kind == "0"
            cx, cy, wide, high = float(x) * WIDTH, float(y) * HEIGHT, float(w) * WIDTH, float(h) * HEIGHT
            boxes[of[video], int(frame)].append((cx - wide / 2, cy - high / 2, wide, high))
    right: dict[tuple[int, int], list[tuple[float, ...]]] = defaultdict(list)
    for (track_id, frame_no), box in wanted.items():
        right[track_id // s.TRACKS_PER_VIDEO, frame_no].append(box)
    assert boxes.keys() == right.keys()
    for key, those in right.items():
        assert np.abs(np.array(sorted(boxes[key])) - np.array(sorted(those))).max() < 0.5
    written(study, settings, "yolo", tmp_path / "each", options={"classes": "individual"})
    told = (tmp_path / "each" / "data.yaml").read_text()
    assert all(f'"{name}"' in told for name in names.values() if name)


def test_yolo_writes_pictures_that_tell_no_place(study: Database, settings: Settings, tmp_path: Path) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x010F] = "a camera of somebody"
    buffer = io.BytesIO()
    Image.new("RGB", (64, 36), (10, 120, 10)).save(buffer, "JPEG", exif=exif)
    jpeg = buffer.getvalue()
    store = BlobStore.open(str(tmp_path / "store"), create=True)
    with study.write() as conn:
        store.put("one.shard", jpeg)
        conn.execute(sa.update(s.frame).values(byte_offset=0, byte_length=len(jpeg), shard_id=s.shard_id_of(1, 0)))
        conn.execute(
            sa.update(s.frame_shard).where(s.frame_shard.c.video_id == 1).values(uri="one.shard", bytes=len(jpeg))
        )
    with pytest.raises(ExportError, match="needs the pictures"):
        written(study, settings, "yolo", tmp_path / "none", options={"pictures": "yes"})
    assert not (tmp_path / "none").exists()
    written(study, settings, "yolo", tmp_path / "yolo", "individual=FF", store=store, options={"pictures": "yes"})
    images = {file.stem: file for file in (tmp_path / "yolo" / "images").rglob("*.jpg")}
    assert images.keys() == {file.stem for file in (tmp_path / "yolo" / "labels").rglob("*.txt")}
    assert images
    assert b"somebody" in jpeg
    assert not any(b"somebody" in file.read_bytes() for file in images.values())


def test_videos_whose_size_nobody_knows_are_counted(study: Database, settings: Settings, tmp_path: Path) -> None:
    with study.write() as conn:
        conn.execute(sa.update(s.video).where(s.video.c.video_id <= 2).values(width=None, height=None))
    with study.read() as conn:
        without = sum(video.video_id <= 2 for video in videos(conn, selection_of(conn, [])))
    for name, out in (("coco", tmp_path / "a.json"), ("mot", tmp_path / "mot")):
        written(study, settings, name, out)
        about = out / "about.json" if out.is_dir() else tmp_path / "a.json.about.json"
        assert json.loads(about.read_text())["counts"]["left_out_without_size"] == without > 0
