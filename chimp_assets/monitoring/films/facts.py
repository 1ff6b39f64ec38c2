"""Facts about a camera's files, said at once: another size of pictures, rate, codec, kind of file, turn, or clock.

Belongs here: comparing a camera's videos with those that it recorded just before, and opening alerts of kind `fact`.
Does not belong here: what its clock shows (`clock_facts`), signals that need statistics (`blocks`), words (`words`).

No statistics: the first video that differs is news. A value that was seen among the camera's last `LAST` videos is
none, so that a camera with two settings, or two cameras of one name, are told once and never again. An archive comes in
any order; videos are compared by when they were recorded, and a change that older videos reveal later is news then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from chimp_assets.archive.stills.kinds import STILL_KINDS
from chimp_assets.archive.times.standing import same
from chimp_assets.database import schema as t
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.footage.cameras import place_name
from chimp_assets.monitoring.alerts import OPEN, PAST, Alert, alerts_where, note_end, open_alert
from chimp_assets.monitoring.films.clock_facts import back_in_sequence, clock_offsets, is_at_factory_day, shifted
from chimp_assets.settings import Settings

FACT = "fact"
LAST = 60
"""Videos of a camera that one is compared with: a week of two settings, one by day and one by night."""
FEWEST = 3
"""Videos that make a habit: with fewer before it nothing is new, with fewer after it nothing has gone back."""
NAMED = 5
"""Videos to look at that an alert names, before and after."""
DAY = timedelta(days=1)
# Rates are measured: those of files with a variable rate differ from video to video.
_RATE_SLACK = 0.1


@dataclass(frozen=True)
class FilmedFile:
    """A decoded video as facts see it. values: of each signal, None where it is not known; offsets: of its clocks."""

    video_id: int
    uri: str
    recorded_at: datetime
    day: date
    certainty: str | None
    values: dict[str, Any]
    offsets: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class FileFact:
    """What is new in a camera's files: from which day, and until which day, itself outside, if it has gone back."""

    signal: str
    since: date
    until: date | None
    before: str
    after: str
    value: Any
    videos_before: list[int]
    videos: list[int]


def note_facts(db: Database, bundle_key: str, settings: Settings) -> list[int]:
    """Compare the decoded videos of a bundle with their cameras' other videos; opens an alert for each fact that is
    new and returns their keys. A fact that has gone back is given its end.

    Videos without a known camera or day are left out: they have no others to be compared with. Run again it opens
    nothing.
    """
    opened: list[int] = []
    for site, camera in _cameras_of(db, bundle_key):

        def write(conn: sa.Connection, site: str | None = site, camera: str = camera) -> list[int]:
            return _note_camera(conn, bundle_key, site, camera, settings)

        opened += db.transact(write)
    return opened


def _cameras_of(db: Database, bundle_key: str) -> list[tuple[str | None, str]]:
    v, b = t.video.c, t.bundle.c
    with db.read() as conn:
        rows = conn.execute(
            sa.select(v.site, v.camera)
            .join_from(t.video, t.bundle, b.bundle_id == v.bundle_id)
            .where(b.bundle_key == bundle_key, v.state.in_(("decoded", "tracked")), v.camera.is_not(None))
            .distinct()
        ).all()
    return sorted(((row.site, row.camera) for row in rows), key=lambda one: (one[0] or "", one[1]))


def _note_camera(conn: sa.Connection, bundle_key: str, site: str | None, camera: str, settings: Settings) -> list[int]:
    files, new = _files(conn, bundle_key, site, camera, settings)
    if not new:
        return []
    reset = [one for one in files if is_at_factory_day(one.day, one.certainty)]
    running = [one for one in files if not is_at_factory_day(one.day, one.certainty)]
    # Older videos of a bundle may make news of a later one that was no news alone.
    first = next((n for n, one in enumerate(running) if one.video_id in new), len(running))
    asked = {one.video_id for one in running[first:]}
    facts = [
        *_factory_facts(reset, running, new),
        *file_facts(running, asked),
        *clock_facts(running, asked, settings),
    ]
    place = place_name(site, camera)
    known = alerts_where(conn, t.drift_alert.c.kind == FACT, t.drift_alert.c.camera == place)
    for alert in known:
        _end(conn, alert, running)
    opened = []
    for fact in facts:
        if any(_is_about(alert, fact) for alert in known):
            continue
        detail = {
            "before": fact.before, "after": fact.after, "value": fact.value, "videos": fact.videos,
            "videos_before": fact.videos_before,
        }  # fmt: skip
        if fact.until is not None:
            detail[PAST] = True
        alert_id = open_alert(
            conn, kind=FACT, signal=fact.signal, camera=place, since=fact.since, noticed=files[-1].day,
            until=fact.until, detail=detail,
        )  # fmt: skip
        if alert_id is not None:
            opened.append(alert_id)
    return opened


def _files(
    conn: sa.Connection, bundle_key: str, site: str | None, camera: str, settings: Settings
) -> tuple[list[FilmedFile], set[int]]:
    """The camera's files around those of a bundle, by time of recording, and which of them the bundle holds."""
    v, b, w = t.video.c, t.bundle.c, t.video_time.c
    of_camera = (
        same(v.site, site), v.camera == camera, v.state.in_(("decoded", "tracked")), v.recorded_at.is_not(None),
        v.recorded_on.is_not(None),
    )  # fmt: skip
    bundle_id = conn.scalar(sa.select(b.bundle_id).where(b.bundle_key == bundle_key))
    span = conn.execute(
        sa.select(sa.func.min(v.recorded_at), sa.func.max(v.recorded_at)).where(*of_camera, v.bundle_id == bundle_id)
    ).one()
    if span[0] is None:
        return [], set()
    columns = (
        v.video_id, v.bundle_id, v.uri, v.recorded_at, v.recorded_on, v.recorded_at_certainty, v.width, v.height,
        v.sar_num, v.sar_den, v.rotation, v.avg_fps, v.codec, v.duration_s, v.error, w.witnesses,
    )  # fmt: skip
    chosen = sa.select(*columns).outerjoin_from(t.video, t.video_time, w.video_id == v.video_id).where(*of_camera)
    before = conn.execute(
        chosen.where(v.recorded_at < span[0]).order_by(v.recorded_at.desc(), v.video_id.desc()).limit(LAST)
    ).all()
    during = conn.execute(
        chosen.where(v.recorded_at >= span[0], v.recorded_at <= span[1]).order_by(v.recorded_at, v.video_id)
    ).all()
    after = conn.execute(chosen.where(v.recorded_at > span[1]).order_by(v.recorded_at, v.video_id).limit(LAST)).all()
    rows = [*reversed(before), *during, *after]
    return [_file_of(row, settings) for row in rows], {row.video_id for row in rows if row.bundle_id == bundle_id}


def _file_of(row: Any, settings: Settings) -> FilmedFile:
    values = {
        "rotation": row.rotation,
        "pixel_aspect": None if not row.sar_num or not row.sar_den else [row.sar_num, row.sar_den],
        "resolution": None if row.width is None else [row.width, row.height],
        # Of a damaged file fewer pictures a second were seen than were filmed.
        "frame_rate": None if row.avg_fps is None or row.error is not None else round(float(row.avg_fps), 2),
        "codec": row.codec,
        "container": PurePosixPath(row.uri).suffix.lower().lstrip(".") or None,
    }
    offsets = clock_offsets(row.uri, row.witnesses, row.duration_s, settings)
    return FilmedFile(
        row.video_id, row.uri, row.recorded_at, row.recorded_on, row.recorded_at_certainty, values, offsets
    )


def _alike(signal: str, one: Any, other: Any) -> bool:
    if signal == "frame_rate":
        return abs(one - other) <= _RATE_SLACK * max(one, other)
    return bool(one == other)


_TEXTS: dict[str, Callable[[Any], str]] = {
    "rotation": lambda value: f"{value} degrees",
    "pixel_aspect": lambda value: f"{value[0]}:{value[1]}",
    "resolution": lambda value: f"{value[0]} x {value[1]}",
    "frame_rate": lambda value: f"{value:.3g}",
    "codec": str,
    "container": str,
}


def file_facts(files: Sequence[FilmedFile], asked: set[int]) -> list[FileFact]:
    """What is new at each of the asked files (by video_id) against those before it. files: of one camera, by time."""
    found = []
    for at, here in enumerate(files):
        if here.video_id not in asked:
            continue
        window = files[max(0, at - LAST) : at]
        told: set[str] = set()
        for signal, text in _TEXTS.items():
            value = here.values[signal]
            before = [one for one in window if one.values[signal] is not None]
            if value is None or len(before) < FEWEST:
                continue
            if any(_alike(signal, one.values[signal], value) for one in before):
                continue
            kinds = len({str(one.values[signal]) for one in before})
            if here.values["codec"] in STILL_KINDS and 2 * kinds > len(before):
                continue  # pictures that people cut have any size: there is no habit to differ from
            told.add(signal)
            if signal == "resolution" and told & {"rotation", "pixel_aspect"}:
                continue  # the size as displayed follows from these
            usual = Counter(text(one.values[signal]) for one in before[-10:]).most_common(1)[0][0]
            shown = [one for one in files[at:] if _has(one, signal, value)]
            found.append(
                FileFact(
                    signal, here.day, _gone_back(files, at, signal, value), usual, text(value), value,
                    [one.video_id for one in before[-NAMED:]], [one.video_id for one in shown[:NAMED]],
                )
            )  # fmt: skip
    return found


def _has(one: FilmedFile, signal: str, value: Any) -> bool:
    return one.values.get(signal) is not None and _alike(signal, one.values[signal], value)


def _gone_back(files: Sequence[FilmedFile], at: int, signal: str, value: Any) -> date | None:
    """The day after the last file with a value, from the place `at` on, if enough others follow."""
    last = max((n for n in range(at, len(files)) if _has(files[n], signal, value)), default=None)
    if last is None or len(files) - 1 - last < FEWEST:
        return None
    return files[last].day + DAY


def _end(conn: sa.Connection, alert: Alert, files: Sequence[FilmedFile]) -> None:
    """Write when an open fact went back, where these files show it."""
    if alert.state != OPEN or alert.until is not None or alert.signal not in _TEXTS:
        return
    value = alert.detail.get("value")
    at = next((n for n, one in enumerate(files) if one.day >= alert.since), None)
    until = None if at is None or value is None else _gone_back(files, at, alert.signal, value)
    if until is not None:
        note_end(conn, alert.alert_id, until)


def _is_about(alert: Alert, fact: FileFact) -> bool:
    """Whether an alert tells this fact: it may begin earlier than was known, as older videos come later."""
    value = alert.detail.get("value")
    if alert.signal != fact.signal or value is None:
        return False
    if not _alike(fact.signal, value, fact.value):
        return False
    return alert.since - timedelta(days=28) <= fact.since < (alert.until or date.max)


def _factory_facts(reset: Sequence[FilmedFile], running: Sequence[FilmedFile], new: set[int]) -> list[FileFact]:
    """A clock that is back at the day on which such clocks begin, in the videos of this bundle and not before."""
    shown = [one for one in reset if one.video_id in new]
    if not shown or len(shown) < len(reset) or len(running) < FEWEST:
        return []
    first, last = min(one.day for one in shown), max(one.day for one in shown)
    usual = max(running, key=lambda one: one.recorded_at)
    return [
        FileFact(
            "clock_factory", first, last + DAY, usual.day.isoformat(), first.isoformat(), first.isoformat(),
            [usual.video_id], [one.video_id for one in shown[:NAMED]],
        )
    ]  # fmt: skip


def clock_facts(files: Sequence[FilmedFile], asked: set[int], settings: Settings) -> list[FileFact]:
    """Clocks of one camera that differ otherwise than they did, and recordings that go back in time."""
    found = []
    for at, here in enumerate(files):
        if here.video_id not in asked:
            continue
        before = files[max(0, at - LAST) : at]
        change = shifted([one.offsets for one in before], here.offsets)
        if change is None or _zone_changed(before[-1].recorded_at, here.recorded_at, settings):
            continue
        found.append(_clock_fact(change.signal, here, before, change.before, change.after, change.value))
    for place, jump in back_in_sequence([(one.uri, one.recorded_at) for one in files]):
        here = files[place]
        if here.video_id in asked and here.certainty in ("sure", "likely"):
            earlier = [one for one in files if one.uri < here.uri][-NAMED:]
            found.append(_clock_fact(jump.signal, here, earlier, jump.before, jump.after, jump.value))
    return found


def _clock_fact(
    signal: str, here: FilmedFile, before: Sequence[FilmedFile], was: str, now: str, value: Any
) -> FileFact:
    return FileFact(
        signal, here.day, None, was, now, value, [one.video_id for one in before[-NAMED:]], [here.video_id]
    )  # fmt: skip


def _zone_changed(one: datetime, other: datetime, settings: Settings) -> bool:
    """Whether clocks there were put forward or back by law between two moments: then an hour is no news."""
    zone = ZoneInfo(settings.archive.timezone)
    return one.astimezone(zone).utcoffset() != other.astimezone(zone).utcoffset()
