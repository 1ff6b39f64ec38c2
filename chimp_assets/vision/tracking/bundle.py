"""From the stored pictures of a bundle to rows of `track` and `detection`.

Belongs here: which videos are tracked, calling detector, tracker and quality, one transaction a video.
Does not belong here: finding boxes (`detection`), linking (`tracker`), separating animals (`purity`), judging tracks
(`quality`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from chimp_assets.archive.stills.kinds import is_crop_name, is_picture_name
from chimp_assets.archive.storage.archive import ArchiveError
from chimp_assets.archive.storage.store import BlobStore, MissingBlobError
from chimp_assets.archive.video.pictures import PictureError, read_frames
from chimp_assets.database import schema
from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.schema import track_id_of
from chimp_assets.database.work import stamps
from chimp_assets.errors import ChimpError
from chimp_assets.settings import DetectSettings, Settings
from chimp_assets.vision.detection.detector import current_detector, detector_row
from chimp_assets.vision.detection.imported import VideoProposals, imported_detector
from chimp_assets.vision.detection.interface import Detector, FrameBoxes, Picture, thresholds_of
from chimp_assets.vision.detection.motion import MotionDetector
from chimp_assets.vision.detection.whole_picture import WholePictureDetector
from chimp_assets.vision.tracking.proposed import link_proposals
from chimp_assets.vision.tracking.purity import Look, Looks, PurityConfig, Spot, colours, purify, scenery
from chimp_assets.vision.tracking.quality import track_quality
from chimp_assets.vision.tracking.tracker import LinkedTrack, link

Progress = Callable[[str, int, int], None]


class TrackingError(ChimpError):
    """A video's tracks cannot be written."""


class AnsweredTracksError(TrackingError):
    """People were asked about tracks of the video, so they are not replaced."""


@dataclass
class BundleTracks:
    """Result of tracking a bundle. tracks includes junk; alone: single pictures in which motion finds nothing; failed:
    (uri, error and remedy)."""

    videos: int = 0
    tracks: int = 0
    junk: int = 0
    detections: int = 0
    alone: int = 0
    seconds: float = 0.0
    failed: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class JudgedTrack:
    """A linked track with its quality in [0, 1] and its state, `live` or `junk`."""

    linked: LinkedTrack
    quality: float
    state: str


def track_bundle(
    db: Database, store: BlobStore, bundle_key: str, settings: Settings, progress: Progress | None = None
) -> BundleTracks:
    """Detect and link in every decoded video of a bundle. May be killed at any moment and run again.

    Each video is one transaction: tracks of an earlier run are deleted, tracks and detections are written, the state
    becomes `tracked`. A video whose pictures cannot be read becomes `failed` with its error and does not stop the
    bundle. Raises ArchiveError for an unknown bundle, DetectorError if there is no detector, StoreError and
    FullDiskError if the store is unavailable or full.
    """
    began = time.monotonic()
    done = BundleTracks()
    with db.read() as conn:
        _require_bundle(conn, bundle_key)
        videos = _decoded_videos(conn, bundle_key)
    if not videos:
        return done
    detector, model_id = current_detector(db, store, settings)
    of_crops: int | None = None
    for number, (video_id, uri) in enumerate(videos):
        if progress:
            progress(f"track {bundle_key}", number, len(videos))
        try:
            stand_in, note = imported_detector(db, store, video_id), ""
            if stand_in is not None:
                proposals, proposed_by = stand_in[0].proposals, stand_in[1]
                tracks = track_proposals(db, store, video_id, proposals, settings.detect)
                _write(db, video_id, tracks, proposed_by)
            elif is_crop_name(uri, settings.pictures.crops) and is_picture_name(uri, settings.pictures.suffixes):
                if of_crops is None:
                    of_crops = detector_row(db, WholePictureDetector())
                tracks = whole_pictures(db, video_id, settings.detect)
                _write(db, video_id, tracks, of_crops)
            else:
                tracks = track_video(db, store, video_id, detector, settings.detect)
                note = note_of(db, video_id, detector)
                _write(db, video_id, tracks, model_id, note)
        except (PictureError, MissingBlobError) as error:
            _note(db, video_id, "failed", str(error))
            done.failed.append((uri, str(error)))
            continue
        except AnsweredTracksError as error:
            _note(db, video_id, "tracked", str(error))
            done.failed.append((uri, str(error)))
            continue
        done.videos += 1
        done.tracks += len(tracks)
        done.alone += note == ALONE
        done.junk += sum(track.state == "junk" for track in tracks)
        done.detections += sum(len(track.linked.frame_nos) for track in tracks)
    if progress:
        progress(f"track {bundle_key}", len(videos), len(videos))
    done.seconds = time.monotonic() - began
    return done


def _require_bundle(conn: sa.Connection, bundle_key: str) -> None:
    """Raises ArchiveError for an unknown bundle, as decoding does."""
    if conn.scalar(sa.select(schema.bundle.c.bundle_id).where(schema.bundle.c.bundle_key == bundle_key)) is None:
        raise ArchiveError(f"There is no bundle {bundle_key}.", "List the archive first (chimp ingest).")


def track_video(
    db: Database, store: BlobStore, video_id: int, detector: Detector, settings: DetectSettings
) -> list[JudgedTrack]:
    """Tracks of one video, ordered by first frame, then by x, without writing them. Memory: boxes, and one window.

    Raises PictureError or StoreError if its pictures cannot be read.
    """
    with db.read() as conn:
        frame_rate = frame_rate_of(conn, video_id)
        n_pictures = n_pictures_of(conn, video_id)
    frame_nos: list[int] = []
    pictures = _noted(read_frames(db, store, video_id), frame_nos)
    if isinstance(detector, MotionDetector):
        detector.of_pictures = n_pictures > 0
    means = thresholds_of(detector, settings)
    found = _likely_boxes(detector.detect(pictures), means.least)
    lone = 0 < n_pictures < settings.min_track_detections
    linked = link(found, frame_rate, means.gap_s, means.spawns, means.sure, lone)
    looks, numbers = _looks(db, store, video_id), np.array(frame_nos, np.int64)
    return pure_tracks(linked, frame_rate, settings, numbers, looks, means.full, n_pictures)


def n_pictures_of(conn: sa.Connection, video_id: int) -> int:
    """How many pictures a still or a burst has; 0 for a video."""
    fact, video = schema.picture_fact.c, schema.video.c
    found = conn.scalar(
        sa.select(video.n_frames)
        .join_from(schema.video, schema.picture_fact, fact.video_id == video.video_id)
        .where(video.video_id == video_id)
    )
    return int(found or 0)


def whole_pictures(db: Database, video_id: int, settings: DetectSettings) -> list[JudgedTrack]:
    """The frames of a clip of pictures that are cut to one animal each: a track of its own for each picture, since two
    files may be cut from one photo."""
    frame = schema.frame.c
    with db.read() as conn:
        numbers = conn.scalars(sa.select(frame.frame_no).where(frame.video_id == video_id).order_by(frame.frame_no))
        whole = np.array([[0, 0, 1, 1]], np.float32)
        linked = [LinkedTrack(np.array([n], np.int32), whole, np.ones(1, np.float32)) for n in numbers]
    return [judge(track, 1.0, settings, n_pictures=1) for track in linked]


def note_of(db: Database, video_id: int, detector: Detector) -> str:
    """What is to be said of a video's tracks as a whole; empty for nothing."""
    if not isinstance(detector, MotionDetector):
        return ""
    with db.read() as conn:
        if n_pictures_of(conn, video_id) == 1:
            return ALONE
    return MOVING_CAMERA if camera_moves(detector) else ""


def track_proposals(
    db: Database, store: BlobStore, video_id: int, proposals: VideoProposals, settings: DetectSettings
) -> list[JudgedTrack]:
    """Tracks of one video from boxes of another program, in place of detecting; `track_video` says the rest.

    In fewer than twice as many pictures as a track needs, half of them are enough: of a burst of three, two.
    """
    linked = link_proposals(proposals, settings)
    n = len(proposals.frame_nos)
    few = settings.model_copy(update={"min_track_detections": min(settings.min_track_detections, max(1, n // 2))})
    if n == 1:
        return [JudgedTrack(t, track_quality(t.frame_nos, t.boxes, t.scores, 1.0), "live") for t in linked]
    with db.read() as conn:
        frame_rate = frame_rate_of(conn, video_id)
    return pure_tracks(linked, frame_rate, few, proposals.frame_nos, _looks(db, store, video_id))


def pure_tracks(
    linked: list[LinkedTrack],
    frame_rate: float,
    settings: DetectSettings,
    frame_nos: NDArray[np.int64],
    looks: Looks,
    full_score: float = 1.0,
    n_pictures: int = 0,
) -> list[JudgedTrack]:
    """Linked tracks cut and joined by appearance, and judged: a poor one, or one that looks like the empty scene, is
    junk.

    frame_nos: of all pictures of the video, ascending. full_score: `LinkThresholds.full` of the detector. n_pictures:
    of a still or a burst; 0 for a video.
    """
    tracks = [judge(track, frame_rate, settings, full_score, n_pictures) for track in purify(linked, frame_rate, looks)]
    if 0 < n_pictures < PurityConfig().empty:
        return tracks  # a place that looks empty in one or two pictures may hide an animal that was missed there
    live = [number for number, track in enumerate(tracks) if track.state == "live"]
    likeness = scenery([tracks[number].linked for number in live], frame_nos, looks)
    for number, alike in zip(live, likeness, strict=True):
        if alike > PurityConfig().scenery_above:
            tracks[number] = replace(tracks[number], state="junk")
    return tracks


def _noted(pictures: Iterator[Picture], frame_nos: list[int]) -> Iterator[Picture]:
    for picture in pictures:
        frame_nos.append(picture[0])
        yield picture


def _looks(db: Database, store: BlobStore, video_id: int) -> Looks:
    """Appearance of boxes of a video, in one pass over the required pictures."""

    def looks(spots: Sequence[Spot]) -> dict[Spot, Look]:
        by_frame: dict[int, list[Spot]] = {}
        for spot in spots:
            by_frame.setdefault(spot[0], []).append(spot)
        return {
            spot: colours(picture, spot[1])
            for frame_no, _, picture in (read_frames(db, store, video_id, by_frame) if by_frame else ())
            for spot in by_frame[frame_no]
        }

    return looks


def judge(
    track: LinkedTrack, frame_rate: float, settings: DetectSettings, full_score: float = 1.0, n_pictures: int = 0
) -> JudgedTrack:
    """Quality and state of a track: junk if it is too short or too poor to ask about.

    full_score: see `pure_tracks`. n_pictures: of a still or a burst, of which half are enough; 0 for a video.
    """
    clip_s = n_pictures / frame_rate if n_pictures else math.inf
    quality = track_quality(track.frame_nos, track.boxes, track.scores, frame_rate, full_score, clip_s)
    least = settings.min_track_detections
    if n_pictures:
        least = min(least, max(1, n_pictures // 2))
    good = len(track.frame_nos) >= least and quality >= settings.min_quality
    return JudgedTrack(track, quality, "live" if good else "junk")


def frame_rate_of(conn: sa.Connection, video_id: int) -> float:
    """Stored frames per second of a video, from its rows; 1.0 if there are too few."""
    frame = schema.frame.c
    n, first, last = conn.execute(
        sa.select(sa.func.count(), sa.func.min(frame.time_s), sa.func.max(frame.time_s)).where(
            frame.video_id == video_id
        )
    ).one()
    return (n - 1) / (last - first) if n > 1 and last > first else 1.0


def _likely_boxes(found: Iterator[FrameBoxes], least: float) -> Iterator[FrameBoxes]:
    for frame_no, boxes in found:
        yield frame_no, boxes[boxes[:, 4] >= least]


def _decoded_videos(conn: sa.Connection, bundle_key: str) -> list[tuple[int, str]]:
    video, bundle = schema.video.c, schema.bundle.c
    rows = conn.execute(
        sa.select(video.video_id, video.uri)
        .join_from(schema.video, schema.bundle, video.bundle_id == bundle.bundle_id)
        .where(bundle.bundle_key == bundle_key, video.state == "decoded")
        .order_by(video.video_id)
    )
    return [(int(video_id), uri) for video_id, uri in rows]


def camera_moves(detector: Detector) -> bool:
    """Whether the camera looked elsewhere in a quarter of the last pictures; False for detectors that do not measure
    it."""
    moved = getattr(detector, "moved", [])
    return len(moved) >= _ENOUGH_TO_SAY and sum(moved) >= _MOVES * len(moved)


_ENOUGH_TO_SAY = 8
_MOVES = 0.25
MOVING_CAMERA = "The camera moves: boxes by motion are unreliable."
ALONE = "A single picture shows no motion: only a picture detector (detect.detector) finds what is in it."


def _write(db: Database, video_id: int, tracks: list[JudgedTrack], model_id: int, remark: str = "") -> None:
    """One transaction: delete leftovers, insert tracks and detections, set the state `tracked`, mark the bundle
    changed."""
    track_columns = _track_columns(video_id, tracks, model_id)
    detection_columns = _detection_columns(video_id, tracks)

    def write(conn: sa.Connection) -> None:
        if _delete_leftovers(conn, video_id) or tracks:
            bundle_of = sa.select(schema.video.c.bundle_id).where(schema.video.c.video_id == video_id)
            stamps.mark_changed(conn, conn.execute(bundle_of).scalar_one())
        insert_rows(conn, schema.track, {**track_columns, **_seconds(conn, video_id, tracks)})
        insert_rows(conn, schema.detection, detection_columns)
        note = conn.scalar(sa.select(schema.video.c.note).where(schema.video.c.video_id == video_id)) or ""
        parts = [note.replace(MOVING_CAMERA, "").replace(ALONE, "").strip(), remark]
        conn.execute(
            sa.update(schema.video)
            .where(schema.video.c.video_id == video_id)
            .values(state="tracked", note=" ".join(filter(None, parts))[:1000] or None, updated_at=datetime.now(UTC))
        )

    db.transact(write)


def _delete_leftovers(conn: sa.Connection, video_id: int) -> int:
    """Delete tracks of an earlier run with their predictions; returns how many.

    Raises AnsweredTracksError if people were asked about them.
    """
    track = schema.track
    old = sa.select(track.c.track_id).where(track.c.video_id == video_id)
    for asked in (
        sa.select(sa.func.count()).where(schema.annotation.c.track_id.in_(old)),
        sa.select(sa.func.count()).where(schema.annotation.c.other_track_id.in_(old)),
        sa.select(sa.func.count()).where(schema.acquisition_queue.c.track_id.in_(old)),
        sa.select(sa.func.count()).where(schema.acquisition_queue.c.other_track_id.in_(old)),
    ):
        if conn.scalar(asked):
            raise AnsweredTracksError(
                f"Video {video_id} was not tracked again, because people were already asked about its tracks.",
                "chimp retrack tracks it anew and has their answers follow.",
            )
    for table in (
        schema.prediction, schema.denied_prediction, schema.track_score, schema.item_media, schema.track_heir,
        schema.answer_heir, schema.track_evidence,
    ):  # fmt: skip
        conn.execute(sa.delete(table).where(table.c.track_id.in_(old)))
    conn.execute(sa.delete(schema.detection).where(schema.detection.c.video_id == video_id))
    return conn.execute(sa.delete(track).where(track.c.video_id == video_id)).rowcount


def _track_columns(video_id: int, tracks: list[JudgedTrack], model_id: int) -> dict[str, list[object]]:
    return {
        "track_id": [track_id_of(video_id, ordinal) for ordinal in range(len(tracks))],
        "video_id": [video_id] * len(tracks),
        "first_frame_no": [int(track.linked.frame_nos[0]) for track in tracks],
        "last_frame_no": [int(track.linked.frame_nos[-1]) for track in tracks],
        "n_detections": [len(track.linked.frame_nos) for track in tracks],
        "quality": [track.quality for track in tracks],
        "model_id": [model_id] * len(tracks),
        "state": [track.state for track in tracks],
    }


def _seconds(conn: sa.Connection, video_id: int, tracks: list[JudgedTrack]) -> dict[str, list[float]]:
    """Start and end of each track in seconds. Raises PictureError if a frame is missing: the video was ingested
    again."""
    frame = schema.frame.c
    rows = conn.execute(sa.select(frame.frame_no, frame.time_s).where(frame.video_id == video_id))
    time_of = {frame_no: time_s for frame_no, time_s in rows}
    try:
        return {
            "first_s": [time_of[int(track.linked.frame_nos[0])] for track in tracks],
            "last_s": [time_of[int(track.linked.frame_nos[-1])] for track in tracks],
        }
    except KeyError as missing:
        raise PictureError(
            f"Video {video_id} has no frame {missing} any more.", "It was ingested again: run the step again."
        ) from None


def _detection_columns(video_id: int, tracks: list[JudgedTrack]) -> dict[str, NDArray[np.generic]]:
    """Columns ordered by frame; within a frame boxes are numbered in the order of their tracks."""
    linked = [track.linked for track in tracks]
    frame_nos = np.concatenate([np.zeros(0, np.int64), *(t.frame_nos for t in linked)]).astype(np.int64)
    ordinals = np.repeat(np.arange(len(linked)), [len(t.frame_nos) for t in linked]).astype(np.int64)
    boxes = np.concatenate([np.zeros((0, 4), np.float32), *(t.boxes for t in linked)])
    scores = np.concatenate([np.zeros(0, np.float32), *(t.scores for t in linked)])
    order = np.lexsort((ordinals, frame_nos))
    frame_nos, ordinals, boxes, scores = frame_nos[order], ordinals[order], boxes[order], scores[order]
    first_of_frame = np.searchsorted(frame_nos, frame_nos, side="left")
    return {
        "video_id": np.full(len(order), video_id, np.int64),
        "frame_no": frame_nos,
        "detection_no": np.arange(len(order)) - first_of_frame,
        "track_id": ordinals + track_id_of(video_id, 0),
        "x": boxes[:, 0],
        "y": boxes[:, 1],
        "w": boxes[:, 2],
        "h": boxes[:, 3],
        "score": scores,
    }


def _note(db: Database, video_id: int, state: str, error: str) -> None:
    with db.write() as conn:
        conn.execute(
            sa.update(schema.video)
            .where(schema.video.c.video_id == video_id)
            .values(state=state, error=error[:2000], updated_at=datetime.now(UTC))
        )
