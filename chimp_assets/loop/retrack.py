"""An archive that was tracked already is tracked anew by the detector in use, within a budget; a person asks for it.

Belongs here: which videos come next, and when to stop. Does not belong here: what becomes of tracks and answers
(`vision.tracking.retracking`), vectors and names of the new tracks (`rescore`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from chimp_assets.archive.storage.store import MissingBlobError
from chimp_assets.archive.video.pictures import PictureError
from chimp_assets.database.tracks.found_anew import TrackedBefore, tracked_before
from chimp_assets.home import Home
from chimp_assets.loop.progress import Progress

if TYPE_CHECKING:
    from chimp_assets.vision.tracking.retracking import RetrackedVideo


@dataclass
class RetrackReport:
    """What one budgeted re-tracking did; left: videos that wait for the next.

    tracks: new ones; followed, kept, unfollowed: tracks with an answer, which counts for a new track now, stayed with
    its old one because the new detector finds nothing there, or counts for none; kept_videos: (file, why its tracks
    stayed); failed: (file, why it could not be read).
    """

    videos: int = 0
    frames: int = 0
    tracks: int = 0
    followed: int = 0
    kept: int = 0
    unfollowed: int = 0
    left: int = 0
    kept_videos: list[tuple[str, str]] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)

    def add(self, video: TrackedBefore, done: RetrackedVideo) -> None:
        """One more video."""
        self.videos += 1
        self.frames += video.frames
        self.tracks += done.tracks
        self.followed += done.followed
        self.kept += done.kept
        self.unfollowed += done.unfollowed
        if done.why_kept is not None:
            self.kept_videos.append((video.uri, done.why_kept))

    def as_dict(self) -> dict[str, Any]:
        """For the machine-readable line."""
        return asdict(self)


def videos_to_retrack(home: Home, bundle_key: str | None = None) -> list[TrackedBefore]:
    """Videos that another detector has tracked than the one in use. Raises DetectorError if that cannot be built."""
    from chimp_assets.vision.detection.detector import current_detector

    _, model_id = current_detector(home.database, home.store, home.settings)
    with home.database.read() as conn:
        return tracked_before(conn, model_id, bundle_key)


def retrack(
    home: Home, progress: Progress | None = None, budget: int | None = None, bundle_key: str | None = None
) -> RetrackReport:
    """Tracks videos anew that another detector has tracked, until the budget of frames is spent.

    Level-triggered: what is due is read from the rows, so that a run that was killed goes on where it was. budget:
    frames; None takes settings.detect.frames_per_run; a run stops after the video that passes it. A video whose
    pictures cannot be read keeps its tracks and is listed. Raises DetectorError, StoreError.
    """
    from chimp_assets.vision.detection.detector import current_detector
    from chimp_assets.vision.tracking.bundle import track_video
    from chimp_assets.vision.tracking.retracking import retrack_video

    limit = home.settings.detect.frames_per_run if budget is None else budget
    db, store = home.database, home.store
    detector, model_id = current_detector(db, store, home.settings)
    with db.read() as conn:
        waiting = tracked_before(conn, model_id, bundle_key)
    report = RetrackReport()
    for number, video in enumerate(waiting):
        if report.frames >= limit:
            break
        if progress:
            progress(f"retrack {video.bundle_key}", number, len(waiting))
        try:
            found = track_video(db, store, video.video_id, detector, home.settings.detect)
        except (PictureError, MissingBlobError) as error:
            report.failed.append((video.uri, str(error)))
            continue
        report.add(video, retrack_video(db, video.video_id, found, model_id))
    if progress:
        progress("retrack", report.videos, len(waiting))
    report.left = len(waiting) - report.videos - len(report.failed)
    return report
