"""MOT Challenge: a folder for each video with gt/gt.txt and seqinfo.ini (Dendorfer et al. 2020, arXiv:2003.09003).

Belongs here: this format. Does not belong here: reading rows (`footage`).

Frames count kept frames from 1; `frames.csv` says the time of each, since a rate alone is wrong for variable rates.
The format has no names: `tracks.csv` says which track of ours each number is, and who it is.
"""

from __future__ import annotations

from pathlib import Path

from chimp_assets.database.texts import visible_line
from chimp_assets.exchange.exports.boxes.coco import category_of
from chimp_assets.exchange.exports.boxes.sequences import sequence_name
from chimp_assets.exchange.exports.export import Export, ExportRequest
from chimp_assets.exchange.exports.footage import HandedVideo, boxes, frames, has_size, videos
from chimp_assets.exchange.exports.tables import CsvTable

_TRACKS = ("sequence", "id", "track_id", "individual", "status", "source", "probability", "video")


def _write(request: ExportRequest, folder: Path) -> int:
    n = n_sequences = 0
    with (
        request.read() as conn,
        CsvTable(folder / "tracks.csv", _TRACKS) as who,
        (folder / "seqmap.txt").open("w", encoding="utf-8") as names,
    ):
        names.write("name\n")
        for video in videos(conn, request.selection):
            if not has_size(video, request):
                continue
            name = sequence_name(video)
            names.write(f"{name}\n")
            there = folder / name
            (there / "gt").mkdir(parents=True)
            number = {track.track_id: n for n, track in enumerate(video.tracks, start=1)}
            for track in video.tracks:
                who.write(
                    sequence=name, id=number[track.track_id], track_id=track.track_id, individual=track.anim_id,
                    status=track.status, source=track.source, video=video.uri,
                    probability=None if track.probability is None else round(track.probability, 6),
                )  # fmt: skip
            width, height = video.width, video.height
            lines = [
                f"{frame_no + 1},{number[track_id]},{x * width:.2f},{y * height:.2f},{w * width:.2f},"
                f"{h * height:.2f},1,1,1\n"
                for frame_no, track_id, x, y, w, h, _ in boxes(conn, video)
            ]
            (there / "gt" / "gt.txt").write_text("".join(lines), encoding="ascii")
            (there / "gt" / "labels.txt").write_text(category_of(request) + "\n", encoding="utf-8")
            shown = frames(conn, video)
            times = [f"{frame.frame_no + 1},{round(frame.time_s, 6)},{frame.pts}\n" for frame in shown]
            (there / "frames.csv").write_text("frame,time_s,pts\n" + "".join(times), encoding="ascii")
            length = shown[-1].frame_no + 1 if shown else 0
            (there / "seqinfo.ini").write_text(_info(video, length), encoding="utf-8")
            n += len(lines)
            n_sequences += 1
    request.count(sequences=n_sequences, boxes=n, tracks=who.n)
    request.tell(frames="frames count kept frames of a video from 1; frames.csv says the time of each")
    return n


def _info(video: HandedVideo, length: int) -> str:
    rate = round(1 / video.frame_s, 6) if video.frame_s else 1
    whole = int(rate) if rate == int(rate) else rate
    return (
        f"[Sequence]\nname={visible_line(video.uri)}\nimDir=img1\nframeRate={whole}\n"
        f"seqLength={length}\nimWidth={video.width}\nimHeight={video.height}\nimExt=.jpg\n"
    )


EXPORT = Export(
    "Tracks as MOT Challenge, a sequence for each video: for TrackEval, py-motmetrics and trainers of trackers.",
    "",
    _write,
    folder=True,
)
