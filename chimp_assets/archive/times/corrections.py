"""Corrections of camera clocks: made for a camera and a period, previewed, revoked, listed.

Belongs here: checking a correction, its append-only rows, and having the times of the camera weighed again.
Does not belong here: what a correction does to one time (`weighing.correction`), rows of videos (`rows`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from chimp_assets.archive.times.rows import WeighingReport, preview, reweigh
from chimp_assets.archive.times.standing import (
    StandingCorrection,
    correction_of,
    same,
    standing_corrections,
    zone_named,
)
from chimp_assets.database import schema
from chimp_assets.database.connection.bulk import insert_one
from chimp_assets.database.connection.counters import take_numbers
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.people.users import user_id_of, write_audit_event
from chimp_assets.database.texts import fault_of
from chimp_assets.errors import ChimpError
from chimp_assets.settings import Settings

EVERYWHERE = "all"
"""As a camera: every one of the archive."""
_REASON_LENGTH = 1000
_UNITS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "min": 60, "s": 1}
_LONGEST_S = 200 * 366 * 86_400


class CorrectionError(ChimpError):
    """A correction is impossible, or names a camera that does not exist."""


@dataclass(frozen=True)
class CorrectionRequest:
    """A correction as people write it. camera: `camera`, `site/camera`, or EVERYWHERE. since, until: days or moments of
    the period, as the times were shown before, the last day included.

    offset: like +1d2h or -13h, what is added. zone: in which the clock ran. showed and true: what a clock that was
    reset showed, and the moment that it was then (with a zone, else in that of the cameras). order: day_first,
    month_first or year_first.
    """

    camera: str
    offset: str | None = None
    zone: str | None = None
    showed: str | None = None
    true: str | None = None
    order: str | None = None
    since: str | None = None
    until: str | None = None


@dataclass(frozen=True)
class CorrectionReport:
    """What making or revoking a correction did. correction_id: None for a preview.

    n_changed: videos whose time changed; examples: (uri, before, after) of some; moved: videos that changed
    their split with their day.
    """

    correction_id: int | None
    words: str
    n_changed: int
    examples: list[tuple[str, datetime | None, datetime | None]]
    moved: int = 0


@dataclass(frozen=True)
class CorrectionEntry:
    """A correction in the list. words: what it does; revoked_at: None where it stands."""

    correction_id: int
    camera: str
    words: str
    reason: str | None
    by: str | None
    made_at: datetime
    revoked_at: datetime | None
    revoked_by: str | None
    revoke_reason: str | None


EXAMPLES = 10


def correct(
    db: Database,
    settings: Settings,
    request: CorrectionRequest,
    why: str | None = None,
    by: str | None = None,
    dry_run: bool = False,
) -> CorrectionReport:
    """Correct a camera's clock; times, days, splits and everything that reads them follow.

    The newest correction that covers a video counts, not the sum of them. dry_run: only what would change. Raises
    CorrectionError, and PeopleError for an unknown user.
    """
    _check_reason(why)
    with db.read() as conn:
        row = _row_of(conn, settings, request)
    standing = correction_of(row, 0)
    found = preview(db, settings, standing)
    words = in_words(row)
    if dry_run:
        return CorrectionReport(None, words, len(found), found[:EXAMPLES])

    def write(conn: sa.Connection) -> int:
        take_numbers(conn, "discovery", 0)
        user_id = user_id_of(conn, by) if by else None
        correction_id = insert_one(
            conn, schema.time_correction, **row, reason=why, user_id=user_id, made_at=datetime.now(UTC)
        )
        _mark(conn, standing)
        detail = {"camera": request.camera, "says": words, "why": why or "", "videos": len(found)}
        write_audit_event(conn, "time.correct", f"time_correction:{correction_id}", detail, by)
        return correction_id

    correction_id = db.transact(write)
    done = _weigh(db, settings, standing)
    return CorrectionReport(correction_id, words, len(found), found[:EXAMPLES], done.moved)


def revoke(
    db: Database,
    settings: Settings,
    correction_id: int,
    why: str | None = None,
    by: str | None = None,
    dry_run: bool = False,
) -> CorrectionReport:
    """Revoke a correction: times are again what their witnesses and the other corrections give. Raises
    CorrectionError if there is none of this number, or it was revoked before."""
    _check_reason(why)
    correction = schema.time_correction.c
    with db.read() as conn:
        row = conn.execute(
            sa.select(schema.time_correction).where(correction.correction_id == correction_id)
        ).one_or_none()
        if row is None:
            raise CorrectionError(f"There is no correction {correction_id}.", "See chimp times list.")
        if row.revoked_at is not None:
            raise CorrectionError(
                f"Correction {correction_id} was revoked on {row.revoked_at:%Y-%m-%d}.", "See chimp times list."
            )
        standing = next(one for one in standing_corrections(conn) if one.correction.correction_id == correction_id)
    found = preview(db, settings, standing, revoked=correction_id)
    words = in_words(dict(row._mapping))
    if dry_run:
        return CorrectionReport(None, words, len(found), found[:EXAMPLES])

    def write(conn: sa.Connection) -> None:
        take_numbers(conn, "discovery", 0)
        values = {
            "revoked_at": datetime.now(UTC),
            "revoked_by": user_id_of(conn, by) if by else None,
            "revoke_reason": why,
        }
        changed = conn.execute(
            sa.update(schema.time_correction)
            .where(correction.correction_id == correction_id, correction.revoked_at.is_(None))
            .values(**values)
        )
        if changed.rowcount == 0:
            raise CorrectionError(f"Correction {correction_id} was just revoked.", "See chimp times list.")
        _mark(conn, standing)
        detail = {"says": words, "why": why or "", "videos": len(found)}
        write_audit_event(conn, "time.revoke", f"time_correction:{correction_id}", detail, by)

    db.transact(write)
    done = _weigh(db, settings, standing)
    return CorrectionReport(correction_id, words, len(found), found[:EXAMPLES], done.moved)


def list_corrections(conn: sa.Connection) -> list[CorrectionEntry]:
    """Every correction, the newest first, with those that were revoked."""
    correction, maker, revoker = (
        schema.time_correction,
        schema.app_user.alias("maker"),
        schema.app_user.alias("revoker"),
    )
    rows = conn.execute(
        sa.select(correction, maker.c.name.label("maker"), revoker.c.name.label("revoker"))
        .outerjoin(maker, maker.c.user_id == correction.c.user_id)
        .outerjoin(revoker, revoker.c.user_id == correction.c.revoked_by)
        .order_by(correction.c.correction_id.desc())
    )
    return [
        CorrectionEntry(
            row.correction_id,
            _camera_in_words(row.site, row.camera, row.everywhere),
            in_words(dict(row._mapping)),
            row.reason,
            row.maker,
            row.made_at,
            row.revoked_at,
            row.revoker,
            row.revoke_reason,
        )
        for row in rows
    ]


def in_words(row: dict[str, Any]) -> str:
    """A correction in words."""
    words = []
    if row.get("offset_s") is not None:
        words.append(f"{offset_in_words(row['offset_s'])}")
    if row.get("zone") is not None:
        words.append(f"the clock ran in {row['zone']}")
    if row.get("showed_at") is not None:
        words.append(f"the clock showed {row['showed_at']:%Y-%m-%d %H:%M:%S} at {row['true_at']:%Y-%m-%d %H:%M:%S} UTC")
    if row.get("date_order") is not None:
        words.append(f"dates are {row['date_order'].replace('_', ' ')}")
    if row.get("shown_from") is not None:
        words.append(f"from {row['shown_from']:%Y-%m-%d %H:%M}")
    if row.get("shown_to") is not None:
        words.append(f"before {row['shown_to']:%Y-%m-%d %H:%M}")
    return ", ".join(words)


def offset_in_words(seconds: int) -> str:
    """An offset as people write it: +1d2h, -13h, +5m30s."""
    rest, words = abs(seconds), []
    for unit in ("d", "h", "m", "s"):
        n, rest = divmod(rest, _UNITS[unit])
        if n:
            words.append(f"{n}{unit}")
    return ("-" if seconds < 0 else "+") + ("".join(words) or "0s")


def offset_of(text: str) -> int:
    """Seconds of +1d2h, -13h, +00:30, 3600s. Raises CorrectionError."""
    plain = text.strip().replace(" ", "").lower()
    sign = -1 if plain[:1] in ("-", "\u2212") else 1
    body = plain.lstrip("+-\u2212")
    found = None
    if clock := re.fullmatch(r"(\d{1,3}):(\d\d)(?::(\d\d))?", body):
        found = int(clock[1]) * 3600 + int(clock[2]) * 60 + int(clock[3] or 0)
    elif re.fullmatch(r"(?:\d+(?:w|d|h|min|m|s))+", body):
        found = sum(int(n) * _UNITS[unit] for n, unit in re.findall(r"(\d+)(w|d|h|min|m|s)", body))
    if found is None or found > _LONGEST_S:
        raise CorrectionError(f"The offset {text!r} is not a time span.", "Write it like +1d2h, -13h or +00:30.")
    return sign * found


def _row_of(conn: sa.Connection, settings: Settings, request: CorrectionRequest) -> dict[str, Any]:
    site, camera, everywhere = _camera_of(conn, request.camera)
    row: dict[str, Any] = {"site": site, "camera": camera, "everywhere": everywhere}
    if (request.showed is None) != (request.true is None):
        raise CorrectionError(
            "A clock that was reset needs both what it showed and the true time.",
            "Use --showed 2000-01-01T00:00 --true 2023-05-06T08:00.",
        )
    kinds = [
        request.offset is not None or request.zone is not None,
        request.showed is not None,
        request.order is not None,
    ]
    if sum(kinds) != 1:
        raise CorrectionError(
            "A correction does one thing: an offset and zone, a reset, or the order of day and month.",
            "Use --offset, --zone, --showed with --true, or --order.",
        )
    if request.offset is not None:
        row["offset_s"] = offset_of(request.offset)
    if request.zone is not None:
        if zone_named(request.zone) is None:
            raise CorrectionError(
                f"{request.zone!r} is not a time zone.", "Write an IANA name such as Africa/Dar_es_Salaam, or +03:00."
            )
        row["zone"] = request.zone.strip()
    if request.showed is not None and request.true is not None:
        showed, true = _moment(request.showed, "showed"), _moment(request.true, "true")
        zone = zone_named(settings.archive.timezone)
        row["showed_at"] = showed.replace(tzinfo=UTC)
        row["true_at"] = (true if true.tzinfo else true.replace(tzinfo=zone)).astimezone(UTC)
    if request.order is not None:
        if request.order not in schema.DATE_ORDERS:
            raise CorrectionError(
                f"{request.order!r} is not an order of day and month.", f"Use one of {', '.join(schema.DATE_ORDERS)}."
            )
        row["date_order"] = request.order
    if (request.since is not None or request.until is not None) and (
        request.showed is not None or request.order is not None
    ):
        raise CorrectionError(
            "Only an offset or a zone can have a period; a reset counts from what was shown, an order is for all.",
            "Leave out --from and --to.",
        )
    if request.since is not None:
        row["shown_from"] = _moment(request.since, "from").replace(tzinfo=UTC)
    if request.until is not None:
        until = _moment(request.until, "to").replace(tzinfo=UTC)
        row["shown_to"] = until + timedelta(days=1) if len(request.until.strip()) <= 10 else until
    if request.since is not None and request.until is not None and row["shown_to"] <= row["shown_from"]:
        raise CorrectionError("The period ends before it begins.", "Swap --from and --to.")
    return row


def _camera_of(conn: sa.Connection, text: str) -> tuple[str | None, str | None, bool]:
    if text.strip() == EVERYWHERE:
        return None, None, True
    video = schema.video.c
    known = [(row.site, row.camera) for row in conn.execute(sa.select(video.site, video.camera).distinct())]
    wanted = text.strip()
    fits = [(s, c) for s, c in known if c is not None and wanted in (c, f"{s}/{c}")]
    exact = [(s, c) for s, c in fits if wanted == f"{s}/{c}"] or fits
    if len(exact) == 1:
        return exact[0][0], exact[0][1], False
    names = ", ".join(sorted(f"{s}/{c}" for s, c in (exact or known) if c is not None)[:8])
    if exact:
        raise CorrectionError(f"There is more than one camera {wanted!r}: {names}.", "Name it as site/camera.")
    raise CorrectionError(
        f"There is no camera {wanted!r} with videos.",
        f"Name one of {names or 'none yet'}, or {EVERYWHERE} for every one.",
    )


def _moment(text: str, what: str) -> datetime:
    try:
        if len(text.strip()) <= 10:
            return datetime.combine(date.fromisoformat(text.strip()), datetime.min.time())
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise CorrectionError(
            f"--{what} {text!r} is not a date or time.", "Write a day, or a date and time like 2023-05-06T14:30:00."
        ) from None
    if not 1900 <= found.year <= 2200:
        raise CorrectionError(f"--{what} {text!r} is outside 1900 to 2200.", "Write the year with four digits.")
    return found if what == "true" else found.replace(tzinfo=None)


def _mark(conn: sa.Connection, standing: StandingCorrection) -> None:
    """Mark the times of these videos to be weighed: by this process, or by the next listing if it is killed."""
    kept, video = schema.video_time, schema.video.c
    statement = sa.update(kept).values(weighed=False)
    if not standing.everywhere:
        here = sa.select(video.video_id).where(same(video.site, standing.site), same(video.camera, standing.camera))
        statement = statement.where(kept.c.video_id.in_(here))
    conn.execute(statement)


def _weigh(db: Database, settings: Settings, standing: StandingCorrection) -> WeighingReport:
    return reweigh(db, settings, None if standing.everywhere else [(standing.site, standing.camera)])


def _camera_in_words(site: str | None, camera: str | None, everywhere: bool) -> str:
    return EVERYWHERE if everywhere else f"{site or ''}/{camera or ''}"


def _check_reason(why: str | None) -> None:
    fault = fault_of(why or "", _REASON_LENGTH)
    if fault:
        raise CorrectionError(f"The reason {fault}.", "Rewrite it.")
