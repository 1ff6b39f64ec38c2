"""Times of recording in the rows of `video`: weighed when videos are new, and again when rules or corrections change.

Belongs here: witnesses kept beside the rows, when what is weighed, and what follows from a changed day.
Does not belong here: the verdict on a row (`neighbours`, `recording_time`), making corrections (`corrections`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from chimp_assets.archive.times.names import piece_of
from chimp_assets.archive.times.neighbours import (
    PAGE,
    Neighbourhood,
    WeighedRow,
    is_set_by_person,
    shows_order,
    time_rows,
)
from chimp_assets.archive.times.standing import StandingCorrection, same, standing_corrections
from chimp_assets.database import schema
from chimp_assets.database.connection.counters import take_numbers
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.connection.parameters import in_parts
from chimp_assets.database.labels import splits
from chimp_assets.database.texts import cut_to, is_storable
from chimp_assets.settings import Settings

_VERSION = 1
"""Raised when verdicts of the same witnesses change: the next listing weighs everything again."""
_NOTE_LENGTH = 1000


@dataclass
class WeighingReport:
    """What a weighing did. weighed: rows looked at; changed: rows whose time changed; moved: videos that changed
    their split; why: rules that changed, in words."""

    weighed: int = 0
    changed: int = 0
    moved: int = 0
    why: str = ""


def keep_witnesses(conn: sa.Connection, seen: Sequence[tuple[str, int, str]]) -> None:
    """Write the witnesses of new videos: (uri, version, JSON). conn: in the transaction of their rows."""
    video, kept = schema.video.c, schema.video_time
    for start in range(0, len(seen), PAGE):
        some = {(uri, version): text for uri, version, text in seen[start : start + PAGE]}
        rows = conn.execute(
            sa.select(video.video_id, video.uri, video.version).where(video.uri.in_([uri for uri, _ in some]))
        ).all()
        new = [
            {"video_id": row.video_id, "witnesses": some[row.uri, row.version]}
            for row in rows
            if (row.uri, row.version) in some
        ]
        if new:
            conn.execute(sa.insert(kept), new)


def follow(conn: sa.Connection, new_id: int, twin_id: int) -> None:
    """A video takes the place of another file with its bytes: the witnesses of that file go with it."""
    kept = schema.video_time.c
    rows = {
        row.video_id: dict(row._mapping)
        for row in conn.execute(sa.select(schema.video_time).where(kept.video_id.in_((new_id, twin_id))))
    }
    if new_id not in rows:
        return
    conn.execute(sa.delete(schema.video_time).where(kept.video_id == twin_id))
    conn.execute(sa.insert(schema.video_time).values(**{**rows[new_id], "video_id": twin_id}))


def is_corrected(conn: sa.Connection, video_id: int) -> bool:
    """Whether a video's time follows from a correction of its camera's clock."""
    kept = schema.video_time.c
    return conn.scalar(sa.select(kept.correction_id).where(kept.video_id == video_id)) is not None


def keep_up(db: Database, settings: Settings, ends_at: float | None = None) -> WeighingReport:
    """Weigh videos that nobody has weighed, and all of them when the settings have changed since the last time.

    ends_at: of time.monotonic; what is left then, or when this is killed, is weighed by the next call.
    """
    done = WeighingReport()
    wanted = _rules_text(settings)
    rules, kept = schema.time_rules.c, schema.video_time.c
    newest = sa.select(sa.func.max(rules.time_rules_id)).scalar_subquery()
    with db.read() as conn:
        # One question, as it is asked at every listing.
        answers = conn.execute(
            sa.union_all(
                sa.select(rules.rules, sa.cast(sa.null(), sa.BigInteger).label("video_id")).where(
                    rules.time_rules_id == newest
                ),
                sa.select(sa.cast(sa.null(), sa.Unicode(500)), sa.func.min(kept.video_id)).where(
                    kept.weighed == sa.false()
                ),
            )
        ).all()
    before = next((row.rules for row in answers if row.rules is not None), None)
    waiting = next((row.video_id for row in answers if row.video_id is not None), None)
    if before != wanted and (before is not None or waiting is not None):
        with db.write() as conn:
            take_numbers(conn, "discovery", 0)
            if before is not None:
                done.why = _what_changed(before, wanted)
                _mark_all(conn)
            conn.execute(sa.insert(schema.time_rules).values(rules=wanted, applied_at=datetime.now(UTC)))
    elif waiting is None:
        return done
    _weigh_all(db, settings, done, [kept.weighed == sa.false()], ends_at)
    return done


def _mark_all(conn: sa.Connection) -> None:
    """Every video is to be weighed; older ones get a row for it."""
    video, kept = schema.video, schema.video_time
    conn.execute(sa.update(kept).values(weighed=False))
    without = (
        sa.select(video.c.video_id)
        .outerjoin_from(video, kept, kept.c.video_id == video.c.video_id)
        .where(kept.c.video_id.is_(None))
    )
    conn.execute(sa.insert(kept).from_select(["video_id"], without))


def reweigh(
    db: Database, settings: Settings, cameras: Iterable[tuple[str | None, str | None]] | None
) -> WeighingReport:
    """Weigh all videos of these cameras (site, camera) again; None: of the archive."""
    done = WeighingReport()
    if cameras is None:
        _weigh_all(db, settings, done, [])
        return done
    for site, camera in cameras:
        _weigh_all(db, settings, done, [same(schema.video.c.site, site), same(schema.video.c.camera, camera)])
    return done


def reweigh_bundle(db: Database, settings: Settings, bundle_key: str) -> WeighingReport:
    """Weigh the pieces of recordings in a bundle again: their durations are known after decoding."""
    done = WeighingReport()
    video, bundle = schema.video.c, schema.bundle.c
    with db.read() as conn:
        rows = conn.execute(
            sa.select(video.video_id, video.uri)
            .join_from(schema.video, schema.bundle, bundle.bundle_id == video.bundle_id)
            .where(bundle.bundle_key == bundle_key, video.recorded_at_certainty.is_not(None))
            .order_by(video.video_id)
        ).all()
    pieces = [row.video_id for row in rows if (piece := piece_of(row.uri)) is not None and piece.number > 1]
    for start in range(0, len(pieces), PAGE):
        _weigh_all(db, settings, done, [video.video_id.in_(pieces[start : start + PAGE])])
    return done


def preview(
    db: Database, settings: Settings, correction: StandingCorrection, revoked: int | None = None
) -> list[tuple[str, datetime | None, datetime | None]]:
    """What would change, as (uri, time before, time after), if a correction were made, or one (by id) revoked."""
    found: list[tuple[str, datetime | None, datetime | None]] = []
    video = schema.video.c
    where = [video.state != "retired"]
    if not correction.everywhere:
        where += [same(video.site, correction.site), same(video.camera, correction.camera)]
    with db.read() as conn:
        standing = [one for one in standing_corrections(conn) if one.correction.correction_id != revoked]
        if revoked is None:
            standing = [correction, *standing]
        neighbours = Neighbourhood(conn, settings, standing)
        for page in _pages(conn, where):
            for one in neighbours.weigh(page):
                # Other pieces of a recording come along, perhaps of another camera.
                if one.row.recorded_at != one.verdict.moment and correction.is_of(one.row.site, one.row.camera):
                    found.append((one.row.uri, one.row.recorded_at, one.verdict.moment))
    return found


def state_times(
    conn: sa.Connection, settings: Settings, moments: Mapping[int, tuple[datetime, Literal["sure", "day"]]]
) -> None:
    """Write times that people state of single videos: by video_id, the moment and how much of it they state. No witness
    and no correction of a clock moves them afterwards. conn: inside a write transaction.
    """
    if not moments:
        return
    take_numbers(conn, "discovery", 0)  # listings and weighings take turns
    zone, now = ZoneInfo(settings.archive.timezone), datetime.now(UTC)
    video, score = schema.video, schema.bundle_score
    rows = [
        {
            "key": video_id,
            "recorded_at": moment,
            "recorded_at_source": "user",
            "recorded_on": moment.astimezone(zone).date(),
            "recorded_at_certainty": certainty,
            "updated_at": now,
        }
        for video_id, (moment, certainty) in moments.items()
    ]
    _update(conn, video, rows)
    for some in in_parts(list(moments)):
        conn.execute(
            sa.update(schema.video_time).where(schema.video_time.c.video_id.in_(some)).values(correction_id=None)
        )
        bundles = sa.select(video.c.bundle_id).where(video.c.video_id.in_(some))
        conn.execute(sa.delete(score).where(score.c.bundle_id.in_(bundles)))
    splits.follow_groups(conn, list(moments), settings.archive.timezone, now)


def _rules_text(settings: Settings) -> str:
    archive = settings.archive
    return json.dumps(
        {
            "version": _VERSION,
            "timezone": archive.timezone,
            "container_time": archive.container_time,
            "date_order": archive.date_order,
        }
    )


def _what_changed(before: str, now: str) -> str:
    old, new = json.loads(before), json.loads(now)
    names = [name for name in new if name != "version" and name in old and new[name] != old[name]]
    words = [f"archive.{name} is {new[name]} and was {old[name]}" for name in names]
    return "; ".join(words) or "times are weighed by newer rules"


def _weigh_all(
    db: Database,
    settings: Settings,
    done: WeighingReport,
    where: list[sa.ColumnElement[bool]],
    ends_at: float | None = None,
) -> None:
    """Weigh the videos that fit, a page in a transaction. What becomes clear by them is weighed again as well."""
    asked: set[tuple[str | None, str | None]] = set()
    after = 0
    while True:

        def write(conn: sa.Connection, after: int = after) -> int | None:
            take_numbers(conn, "discovery", 0)  # listings and weighings take turns
            page = _page(conn, [*where, schema.video.c.video_id > after])
            if not page:
                return None
            neighbours = Neighbourhood(conn, settings, standing_corrections(conn))
            _write(conn, settings, neighbours.weigh(page), done)
            of_persons = [row.video_id for row in page if is_set_by_person(row)]
            if of_persons:
                video, kept = schema.video, schema.video_time
                # Of whose time a person said no more than the day, that stays all that is known.
                whole = sa.or_(video.c.recorded_at_certainty.is_(None), video.c.recorded_at_certainty != "day")
                conn.execute(
                    sa.update(video).where(video.c.video_id.in_(of_persons), whole).values(recorded_at_certainty="sure")
                )
                conn.execute(sa.update(kept).where(kept.c.video_id.in_(of_persons)).values(weighed=True))
            asked.update((row.site, row.camera) for row in page if shows_order(row.uri))
            return int(page[-1].video_id)

        last = db.transact(write)
        if last is None:
            break
        after = last
        if ends_at is not None and time.monotonic() > ends_at:
            break
    if asked:
        _weigh_unclear(db, settings, done, asked)


def _weigh_unclear(
    db: Database, settings: Settings, done: WeighingReport, cameras: set[tuple[str | None, str | None]]
) -> None:
    """New names may show how older names of their camera write day and month."""
    video, kept = schema.video.c, schema.video_time.c
    with db.read() as conn:
        rows = conn.execute(
            sa.select(video.video_id, video.site, video.camera)
            .join_from(schema.video, schema.video_time, kept.video_id == video.video_id)
            .where(kept.asks.is_not(None), video.recorded_at_certainty.is_not(None))
        ).all()
    unclear = [row.video_id for row in rows if (row.site, row.camera) in cameras]
    for start in range(0, len(unclear), PAGE):
        some = unclear[start : start + PAGE]

        def write(conn: sa.Connection, some: list[int] = some) -> None:
            take_numbers(conn, "discovery", 0)
            page = _page(conn, [video.video_id.in_(some)])
            _write(conn, settings, Neighbourhood(conn, settings, standing_corrections(conn)).weigh(page), done)

        db.transact(write)


def _page(conn: sa.Connection, where: list[sa.ColumnElement[bool]]) -> list[Any]:
    return list(conn.execute(time_rows().where(*where).order_by(schema.video.c.video_id).limit(PAGE)))


def _pages(conn: sa.Connection, where: list[sa.ColumnElement[bool]]) -> Iterator[list[Any]]:
    after = 0
    while page := _page(conn, [*where, schema.video.c.video_id > after]):
        yield page
        after = page[-1].video_id


def _write(conn: sa.Connection, settings: Settings, weighed: Sequence[WeighedRow], done: WeighingReport) -> None:
    """Write what changed, and what follows: days, splits, scores that knew the day."""
    zone = ZoneInfo(settings.archive.timezone)
    now = datetime.now(UTC)
    videos: list[dict[str, Any]] = []
    kept: list[dict[str, Any]] = []
    fresh: list[dict[str, Any]] = []
    days: set[int] = set()
    moved: list[int] = []
    for one in weighed:
        row, verdict = one.row, one.verdict
        day = None if verdict.moment is None else verdict.moment.astimezone(zone).date()
        before = (row.recorded_at, row.recorded_at_source, row.recorded_on, row.recorded_at_certainty)
        if (verdict.moment, verdict.source, day, verdict.certainty) != before:
            videos.append(
                {
                    "key": row.video_id,
                    "recorded_at": verdict.moment,
                    "recorded_at_source": verdict.source,
                    "recorded_on": day,
                    "recorded_at_certainty": verdict.certainty,
                    "updated_at": now,
                }
            )
        if row.recorded_at != verdict.moment:
            done.changed += 1
            moved.append(row.video_id)
            if row.recorded_on != day:
                days.add(row.bundle_id)
        facts = {
            "witness": verdict.witness,
            "disagree": ",".join(verdict.disagree)[:60],
            "note": _note(verdict.note),
            "asks": verdict.asks,
            "correction_id": verdict.correction_id,
            "weighed": True,
        }
        witnesses = one.seen.as_text() if row.witnesses is None else row.witnesses
        if row.kept_id is None:
            fresh.append({"video_id": row.video_id, "witnesses": witnesses, **facts})
        elif row.witnesses is None or any(getattr(row, name) != value for name, value in facts.items()):
            kept.append({"key": row.video_id, "witnesses": witnesses, **facts})
    done.weighed += len(weighed)
    _update(conn, schema.video, videos)
    _update(conn, schema.video_time, kept)
    if fresh:
        conn.execute(sa.insert(schema.video_time), fresh)
    if days:
        # Who was alive on that day takes part in a score: it is made again from the embeddings there are.
        score = schema.bundle_score
        conn.execute(sa.delete(score).where(score.c.bundle_id.in_(sorted(days))))
    if moved:
        done.moved += splits.follow_groups(conn, moved, settings.archive.timezone, now)


def _note(note: str) -> str:
    return cut_to(note if is_storable(note) else ascii(note), _NOTE_LENGTH)


def _update(conn: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    names = [name for name in rows[0] if name != "key"]
    statement = (
        sa.update(table)
        .where(table.c.video_id == sa.bindparam("key"))
        .values({name: sa.bindparam(f"new_{name}", type_=table.c[name].type) for name in names})
    )
    conn.execute(statement, [{"key": row["key"], **{f"new_{name}": row[name] for name in names}} for row in rows])
