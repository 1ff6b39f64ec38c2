"""Detections and tracks of many bundles in one go, within a budget: what a job with a GPU does.

Belongs here: which bundles come next, their attempts, and when to stop. Does not belong here: tracking (`vision`), one
bundle on its way through a run (`bundle`), when such a job is due (`database.work.waiting_tracks`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chimp_assets.database.work import due
from chimp_assets.database.work.waiting_tracks import bundles_to_track, frames_to_track
from chimp_assets.home import Home
from chimp_assets.loop import bundle
from chimp_assets.loop.progress import Progress

if TYPE_CHECKING:
    from chimp_assets.vision.tracking.bundle import BundleTracks


@dataclass(frozen=True)
class WaitingTracksReport:
    """What one budgeted job did; `left` bundles wait for the next."""

    bundles: int
    frames: int
    tracks: int
    left: int


def track_waiting(
    home: Home,
    tell: Callable[[str, BundleTracks], None],
    progress: Progress | None = None,
    budget: int | None = None,
) -> WaitingTracksReport:
    """Tracks bundles that are decoded and not tracked, until the budget of frames is spent.

    tell: is told each bundle's key and what was done, as soon as its rows are written. budget: frames; None takes
    settings.detect.frames_per_run. A job stops after the bundle that passes it. A bundle that kills its job has used an
    attempt, so that it cannot stop the others for ever. Raises as `track_bundle`.
    """
    limit = home.settings.detect.frames_per_run if budget is None else budget
    with home.database.read() as conn:
        waiting = bundles_to_track(conn)
        frames_of = frames_to_track(conn, waiting)
    frames = tracks = done = 0
    for key in waiting:
        if frames >= limit:
            break
        due.begin_attempt(home.database, key)
        tracked = bundle.track(home, key, progress)
        tell(key, tracked)
        frames += frames_of.get(key, 0)
        tracks += tracked.tracks
        done += 1
    return WaitingTracksReport(done, frames, tracks, len(waiting) - done)
