"""COCO with videos and tracks: boxes in pixels of the displayed picture (https://cocodataset.org/#format-data; videos
and tracks as in kwcoco).

Belongs here: this format. Does not belong here: reading rows (`footage`).

One pass over the database: the parts of the file grow beside each other in temporary files, and are joined at the end.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, BinaryIO

from chimp_assets.exchange.exports.export import YES_NO, Export, ExportOption, ExportRequest
from chimp_assets.exchange.exports.footage import HandedVideo, boxes, frames, has_size, videos
from chimp_assets.exchange.exports.sidecar import product_version

CATEGORY = 1
_PARTS = ("videos", "images", "tracks", "annotations")
_BUFFER = 1 << 20


class _Parts:
    """The growing lists of one file, each in a temporary file: nothing of them is held in memory."""

    def __init__(self, files: dict[str, IO[bytes]]) -> None:
        self._files = files
        self.n = dict.fromkeys(_PARTS, 0)

    def add(self, part: str, lines: list[str]) -> None:
        """Entries, each a JSON object."""
        if lines:
            text = (",\n" if self.n[part] else "") + ",\n".join(lines)
            self._files[part].write(text.encode("utf-8", "backslashreplace"))
            self.n[part] += len(lines)

    def pour(self, part: str, stream: BinaryIO) -> None:
        """Writes a list as JSON."""
        self._files[part].seek(0)
        stream.write(f'"{part}": [\n'.encode())
        shutil.copyfileobj(self._files[part], stream, _BUFFER)
        stream.write(b"\n]")


def category_of(request: ExportRequest) -> str:
    """What boxes are of: the vernacular or scientific name of the species, else "animal"."""
    project = request.settings.project
    return project.vernacular or project.species or "animal"


def _write(request: ExportRequest, stream: BinaryIO) -> int:
    beside = Path(stream.name).parent  # where there is room for the file there is for its parts
    with ExitStack() as stack:
        parts = _Parts(
            {name: stack.enter_context(tempfile.TemporaryFile(buffering=_BUFFER, dir=beside)) for name in _PARTS}
        )
        with request.read() as conn:
            image_id = 0
            for video in videos(conn, request.selection):
                if not has_size(video, request):
                    continue
                drawn = boxes(conn, video)
                shown = {box.frame_no for box in drawn} if request.yes("only_with_boxes") else None
                of_frame: dict[int, int] = {}
                images = []
                for frame in frames(conn, video):
                    if shown is not None and frame.frame_no not in shown:
                        continue
                    image_id += 1
                    of_frame[frame.frame_no] = image_id
                    images.append(
                        f'{{"id":{image_id},"video_id":{video.video_id},"frame_index":{frame.frame_no},'
                        f'"time_s":{round(frame.time_s, 6)},"pts":{frame.pts},"width":{video.width},'
                        f'"height":{video.height},'
                        f'"file_name":{json.dumps(frame.uri or f"{video.uri}/{frame.frame_no:06d}.jpg")}}}'
                    )
                parts.add("videos", [json.dumps(_video(video), ensure_ascii=False)])
                parts.add("images", images)
                parts.add("tracks", [json.dumps(_track(one), ensure_ascii=False) for one in video.tracks])
                first, width, height = parts.n["annotations"], video.width, video.height
                lines = []
                for n, (frame_no, track_id, x, y, w, h, score) in enumerate(drawn, start=first + 1):
                    left, top, wide, high = x * width, y * height, w * width, h * height
                    lines.append(
                        f'{{"id":{n},"image_id":{of_frame[frame_no]},"category_id":1,"track_id":{track_id},'
                        f'"bbox":[{left:.2f},{top:.2f},{wide:.2f},{high:.2f}],"area":{wide * high:.2f},"iscrowd":0,'
                        f'"score":{score:.4f}}}'
                    )
                parts.add("annotations", lines)
        stream.write(b'{"info": ' + json.dumps(_info(request), ensure_ascii=False).encode() + b",\n")
        stream.write(b'"licenses": ' + json.dumps(_licences(request), ensure_ascii=False).encode() + b",\n")
        category = {"id": CATEGORY, "name": category_of(request), "supercategory": "animal"}
        stream.write(b'"categories": ' + json.dumps([category], ensure_ascii=False).encode() + b",\n")
        for part in _PARTS:
            parts.pour(part, stream)
            stream.write(b",\n" if part != _PARTS[-1] else b"}\n")
        request.count(**parts.n)
        request.tell(frames="frame_index counts kept frames of a video from 0; time_s is the truth, pts in its file")
        return parts.n["annotations"]


def _video(video: HandedVideo) -> dict[str, Any]:
    found = {
        "id": video.video_id, "name": video.uri, "file_name": video.uri, "width": video.width, "height": video.height,
        "fps": round(1 / video.frame_s, 6) if video.frame_s else None, "length": video.n_frames,
        "site": video.site, "camera": video.camera, "content_hash": video.content_hash,
        "recorded_at": None if video.recorded_at is None else video.recorded_at.isoformat().replace("+00:00", "Z"),
    }  # fmt: skip
    return {key: value for key, value in found.items() if value is not None}


def _track(track: Any) -> dict[str, Any]:
    found = {
        "id": track.track_id, "name": f"track {track.track_id}", "video_id": track.video_id, "category_id": CATEGORY,
        "individual": track.anim_id, "status": track.status, "source": track.source,
        "probability": None if track.probability is None else round(track.probability, 6),
        "first_s": round(track.first_s, 6), "last_s": round(track.last_s, 6),
    }  # fmt: skip
    return {key: value for key, value in found.items() if value is not None}


def _info(request: ExportRequest) -> dict[str, Any]:
    project = request.settings.project
    now = datetime.now(UTC)
    found = {
        "description": project.title, "url": project.homepage, "version": f"Chimp Assets {product_version()}",
        "year": now.year, "contributor": "; ".join(project.contributors) or None,
        "date_created": now.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "selection": request.selection.words, "citation": project.citation,
    }  # fmt: skip
    return {key: value for key, value in found.items() if value is not None}


def _licences(request: ExportRequest) -> list[dict[str, Any]]:
    said = request.settings.project.data_licence
    return [{"id": 1, "name": said, "url": said if "://" in said else ""}] if said else []


EXPORT = Export(
    "Boxes of tracks in kept frames as COCO, with videos, and a table of tracks that says who each is.",
    ".json",
    _write,
    options=(
        ExportOption("only_with_boxes", "leave out frames without a wanted box", "no", YES_NO),
    ),
)  # fmt: skip
