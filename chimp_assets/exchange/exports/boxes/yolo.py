"""YOLO: a text file of boxes for each frame, and data.yaml (https://docs.ultralytics.com/datasets/detect).

Belongs here: this format. Does not belong here: reading rows (`footage`), training detectors (`vision`).

Videos of one camera and day lie in one split, as everywhere in the product: look-alike frames in training and test
flatter a model.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.exchange.exports.boxes.coco import category_of
from chimp_assets.exchange.exports.boxes.sequences import sequence_name
from chimp_assets.exchange.exports.export import YES_NO, Export, ExportOption, ExportRequest
from chimp_assets.exchange.exports.footage import HandedVideo, boxes, pictures, videos
from chimp_assets.exchange.exports.tables import CsvTable

_SPLITS = {"train": "train", "validation": "val", "test": "test"}
_COLUMNS = ("label", "video", "frame_no", "time_s", "split")


def _write(request: ExportRequest, folder: Path) -> int:
    by_individual = request.options["classes"] == "individual"
    with_pictures = request.yes("pictures")
    if with_pictures:
        request.pictures()  # before any work
    classes: dict[str, int] = {} if by_individual else {category_of(request): 0}
    n = n_pictures = 0
    for part in _SPLITS.values():
        for kind in ("images", "labels") if with_pictures else ("labels",):
            (folder / kind / part).mkdir(parents=True)
    with request.read() as conn, CsvTable(folder / "frames.csv", _COLUMNS) as listed:
        for video in videos(conn, request.selection):
            split = _split_of(conn, video)
            name = sequence_name(video)
            class_of: dict[int, int] = {}
            for track in video.tracks:
                if not by_individual:
                    class_of[track.track_id] = 0
                elif track.anim_id is not None:
                    class_of[track.track_id] = classes.setdefault(track.anim_id, len(classes))
                else:
                    request.count(left_out_tracks_without_name=1)
            lines: dict[int, list[str]] = defaultdict(list)
            for frame_no, track_id, x, y, w, h, _ in boxes(conn, video):
                if track_id in class_of:
                    lines[frame_no].append(f"{class_of[track_id]} {x + w / 2:.6f} {y + h / 2:.6f} {w:.6f} {h:.6f}\n")
                    n += 1
            times = _times(conn, video)
            for frame_no, those in lines.items():
                label = f"{split}/{name}_{frame_no:06d}"
                (folder / "labels" / f"{label}.txt").write_text("".join(those), encoding="ascii")
                listed.write(label=label, video=video.uri, frame_no=frame_no, time_s=times[frame_no], split=split)
            if with_pictures:
                for frame_no, jpeg in pictures(conn, request, video, list(lines)):
                    (folder / "images" / split / f"{name}_{frame_no:06d}.jpg").write_bytes(jpeg)
                    n_pictures += 1
    (folder / "data.yaml").write_text(_yaml(classes), encoding="utf-8")
    request.count(boxes=n, frames=listed.n, pictures=n_pictures, classes=len(classes))
    return n


def _split_of(conn: sa.Connection, video: HandedVideo) -> str:
    a = t.split_assignment.c
    return _SPLITS.get(conn.scalar(sa.select(a.split).where(a.video_id == video.video_id)) or "", "train")


def _times(conn: sa.Connection, video: HandedVideo) -> dict[int, float]:
    f = t.frame.c
    rows = conn.execute(sa.select(f.frame_no, f.time_s).where(f.video_id == video.video_id)).all()
    return {frame_no: round(time_s, 6) for frame_no, time_s in rows}


def _yaml(classes: dict[str, int]) -> str:
    """A text in quotes is the same in JSON and in YAML 1.2."""
    names = "".join(f"\n  {n}: {json.dumps(name)}" for name, n in classes.items()) or " {}"
    return f"path: .\ntrain: images/train\nval: images/val\ntest: images/test\nnames:{names}\n"


EXPORT = Export(
    "Boxes in kept frames for YOLO: labels and data.yaml, split by camera and day; pictures too if asked for.",
    "",
    _write,
    folder=True,
    options=(
        ExportOption("pictures", "also write the frames that have boxes, as JPEG", "no", YES_NO),
        ExportOption("classes", "one class for the species, or one for each", "species", ("species", "individual")),
    ),
)
