"""Whether a camera looks where it looked: backgrounds compared by their edges.

Belongs here: likeness of backgrounds, a camera's history of them, and noticing that it was moved. Does not belong here:
making backgrounds (`archive.video.signals`), other signals and their detectors (`blocks`, `changes`).

For the detectors: `camera_history(conn, camera).blocks` are the blocks of the signal `background`, one a day: `value`
is the mean likeness of the day's videos to the videos before it (1: the same view, about 0.2: another one), `spread`
its standard deviation, `n` how many there were. They are folded anew in the order of days, whatever came when.

Edges, not light: places of large gradients stay where they are when the sun, the season or infrared changes, and move
when the camera does. A pan by 5 % of the width is three columns of a background, more than an edge is wide. A video is
compared with the few most like it of the last `REFERENCE`, so that a view by day and one by infrared are both known.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
import sqlalchemy as sa

from chimp_assets.archive.video.signals import COLUMNS, LINES
from chimp_assets.arrays import F32Array
from chimp_assets.database import schema as t
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.footage.cameras import place_of_video
from chimp_assets.monitoring.alerts import PAST, alerts_where, note_end, open_alert

SIGNAL = "background"
REFERENCE = 24
"""Videos that one is compared with, at most: the last ones of the same view."""
NEAREST = 3
CLIPS = 5
"""Videos in a row that show another view before it is said that the camera was moved."""
FEWEST = 5
"""Videos of a view before which nothing is said of the next."""
# Half as like as usual is another view. Measured (`python -m benchmarks D1`): the same view at least 0.8 of the usual,
# a pan by 5 % of the width at most 0.35 of it.
_OTHER = 0.5
# A camera that is carried has no view to be moved from.
_STEADY = 0.35
_PAGE = 500


@dataclass(frozen=True)
class BackgroundBlock:
    """A day of a camera: n videos that could be compared, mean and standard deviation of their likeness."""

    day: date
    n: int
    value: float
    spread: float


@dataclass(frozen=True)
class CameraMove:
    """Another view from `since` on, noticed with the videos of `noticed`; until: the day from which the old view was
    back. like, usual: likeness of its first videos to the old view, and of the videos before. before, after: video_id.
    """

    since: date
    noticed: date
    until: date | None
    like: float
    usual: float
    before: list[int]
    after: list[int]


@dataclass
class BackgroundHistory:
    """What a camera's backgrounds tell, in the order of days."""

    blocks: list[BackgroundBlock] = field(default_factory=list)
    moves: list[CameraMove] = field(default_factory=list)


def edges(background: np.ndarray) -> F32Array:
    """Where a background has edges, as unit vectors. background: u8 [n, 36, 64]; returns f32 [n, 2108].

    The square root of the gradient's length (central differences), without its mean: a few strong edges do not decide.
    """
    grey = background.astype(np.float32)
    across = grey[:, 1:-1, 2:] - grey[:, 1:-1, :-2]
    down = grey[:, 2:, 1:-1] - grey[:, :-2, 1:-1]
    strength = np.sqrt(np.hypot(across, down)).reshape(len(grey), -1)
    strength -= strength.mean(1, keepdims=True)
    length = np.sqrt((strength**2).sum(1, keepdims=True))
    unit: F32Array = (strength / np.maximum(length, 1e-6)).astype(np.float32)
    return unit


def likeness(one: np.ndarray, others: np.ndarray) -> float:
    """How like the edges f32 [d] are to the nearest of others f32 [n, d]: mean correlation, -1 to 1."""
    found = others @ one
    nearest = np.partition(found, len(found) - NEAREST)[-NEAREST:] if len(found) > NEAREST else found
    return float(nearest.mean())


@dataclass
class _View:
    """What a camera looks at: edges of its last videos, and how like each was to those before it."""

    seen: list[np.ndarray] = field(default_factory=list)
    like: list[float] = field(default_factory=list)
    videos: list[int] = field(default_factory=list)

    def take(self, edge: np.ndarray, video_id: int, like: float | None) -> None:
        self.seen = [*self.seen, edge][-REFERENCE:]
        self.videos = [*self.videos, video_id][-REFERENCE:]
        if like is not None:
            self.like = [*self.like, like][-REFERENCE:]

    def compare(self, edge: np.ndarray) -> float | None:
        return likeness(edge, np.stack(self.seen)) if self.seen else None

    @property
    def usual(self) -> float:
        return float(np.median(self.like)) if self.like else 0.0

    @property
    def is_known(self) -> bool:
        return len(self.like) >= FEWEST - 1 and self.usual >= _STEADY


def follow(background: np.ndarray, day: list[date], video_id: list[int]) -> BackgroundHistory:
    """The history of one camera. background: u8 [n, 36, 64] in the order of recording, with their days and keys."""
    history = BackgroundHistory()
    view, former, waiting = _View(), list[_View](), list[int]()
    by_day: dict[date, list[float]] = {}
    unit = edges(background) if len(background) else np.empty((0, 1), np.float32)
    for at, edge in enumerate(unit):
        like = view.compare(edge)
        if like is not None:
            by_day.setdefault(day[at], []).append(like)
        if like is None or not view.is_known or like >= _OTHER * view.usual:
            waiting.clear()
            view.take(edge, video_id[at], like)
            continue
        waiting.append(at)
        if len(waiting) < CLIPS:
            continue
        back = next((old for old in reversed(former) if _shows(old, unit[waiting])), None)
        if back is None and not _is_one_view(unit[waiting], view.usual):
            waiting.pop(0)  # fog, or somebody before the lens: no view at all
            continue
        since = day[waiting[0]]
        if back is not None and history.moves and back is former[-1]:
            last = history.moves[-1]
            history.moves[-1] = CameraMove(
                last.since, last.noticed, max(since, last.since + timedelta(days=1)), last.like, last.usual,
                last.before, last.after,
            )  # fmt: skip
        else:
            likes = [likeness(unit[n], np.stack(view.seen)) for n in waiting]
            history.moves.append(
                CameraMove(
                    since, day[at], None, float(np.mean(likes)), view.usual, view.videos[-CLIPS:],
                    [video_id[n] for n in waiting],
                )
            )  # fmt: skip
        former, view = [*former[-3:], view], back or _View()
        if back is not None:
            former = [one for one in former if one is not back]
        for n in waiting:
            view.take(unit[n], video_id[n], view.compare(unit[n]))
        waiting.clear()
    history.blocks = [
        BackgroundBlock(one, len(values), float(np.mean(values)), float(np.std(values)))
        for one, values in sorted(by_day.items())
    ]
    return history


def _shows(view: _View, unit: np.ndarray) -> bool:
    return float(np.mean([view.compare(edge) or 0.0 for edge in unit])) >= _OTHER * view.usual


def _is_one_view(unit: np.ndarray, usual: float) -> bool:
    """Whether videos agree with each other, though not with those before."""
    between = unit @ unit.T
    n = len(unit)
    return float((between.sum() - np.trace(between)) / (n * (n - 1))) >= _OTHER * usual


def camera_history(conn: sa.Connection, camera: str) -> BackgroundHistory:
    """The history of a camera from its videos whose day is known. Memory: 2.3 kB and 8.4 kB of edges a video."""
    v, s = t.video.c, t.video_signal.c
    rows = conn.execute(
        sa.select(v.video_id, v.recorded_on, s.background)
        .join_from(t.video, t.video_signal, s.video_id == v.video_id)
        .where(place_of_video() == camera, v.recorded_on.is_not(None), v.state.in_(("decoded", "tracked")))
        .order_by(v.recorded_on, v.recorded_at, v.video_id)
        .execution_options(yield_per=_PAGE)
    )
    background, day, video_id = list[np.ndarray](), list[date](), list[int]()
    for row in rows:
        if len(row.background) == LINES * COLUMNS:
            background.append(np.frombuffer(row.background, np.uint8).reshape(LINES, COLUMNS))
            day.append(row.recorded_on)
            video_id.append(row.video_id)
    stacked = np.stack(background) if background else np.empty((0, LINES, COLUMNS), np.uint8)
    return follow(stacked, day, video_id)


def cameras_with_backgrounds(conn: sa.Connection) -> list[str]:
    """Cameras that have a history, by name (`place_name`)."""
    v, s = t.video.c, t.video_signal.c
    return list(
        conn.scalars(
            sa.select(place_of_video().label("camera"))
            .join_from(t.video, t.video_signal, s.video_id == v.video_id)
            .where(v.camera.is_not(None), v.recorded_on.is_not(None))
            .distinct()
            .order_by("camera")
        )
    )


def note_moves(db: Database) -> list[int]:
    """Open an alert for each move of each camera that is not known yet, and end those whose old view is back; keys of
    the new ones. For the nightly run; run again it opens nothing."""
    with db.read() as conn:
        cameras = cameras_with_backgrounds(conn)
    opened = []
    for camera in cameras:
        with db.read() as conn:
            moves = camera_history(conn, camera).moves
        if moves:
            opened += db.transact(lambda conn, camera=camera, moves=moves: _note(conn, camera, moves))  # type: ignore[misc]
    return opened


def _note(conn: sa.Connection, camera: str, moves: list[CameraMove]) -> list[int]:
    opened = []
    a = t.drift_alert.c
    known = {one.since: one for one in alerts_where(conn, a.signal == SIGNAL, a.camera == camera)}
    for move in moves:
        alert_id = open_alert(
            conn, kind="data", signal=SIGNAL, camera=camera, since=move.since, noticed=move.noticed, until=move.until,
            detail={
                "before": round(move.usual, 2), "after": round(move.like, 2), "videos": move.after,
                "videos_before": move.before, **({PAST: True} if move.until is not None else {}),
            },
        )  # fmt: skip
        if alert_id is not None:
            opened.append(alert_id)
        elif move.until is not None and move.since in known:
            note_end(conn, known[move.since].alert_id, move.until)
    return opened
