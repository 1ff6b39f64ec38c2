"""Which videos belong to which camera, which cameras may be one, and moving videos on an operator's order.

Belongs here: the report of cameras, mapping and its undoing, filing every video where it belongs.
Does not belong here: rules about folders (`places`), spellings and the tables of names (`database.footage.cameras`),
deployments (`database.files.effort_files`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa

from chimp_assets.archive.catalogue.places import PLACE_LENGTH, place_named, place_of, tidy
from chimp_assets.database.connection.bulk import insert_one
from chimp_assets.database.connection.counters import take_numbers
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.footage.cameras import (
    CameraMapping,
    CameraNames,
    in_words,
    name_key,
    standing_mappings,
    why_alike,
)
from chimp_assets.database.labels import splits
from chimp_assets.database.people.users import user_id_of
from chimp_assets.database.schema import bundle, camera_mapping, deployment, video, video_time
from chimp_assets.database.texts import fault_of
from chimp_assets.errors import ChimpError

_PART = 500
_SHOWN = 5


class CameraError(ChimpError):
    """A camera or folder is unknown, or a mapping is impossible."""


@dataclass
class CameraLine:
    """One camera. name: SITE/CAMERA; spellings: how folders write it; doubts: why it may be several, in words."""

    name: str
    site: str | None
    camera: str | None
    n_videos: int = 0
    first_day: date | None = None
    last_day: date | None = None
    spellings: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class CameraProposal:
    """Two cameras that may be one: the one with fewer videos, the other, and why."""

    camera: str
    into: str
    why: str


@dataclass
class CameraReport:
    """All cameras. misplaced: videos that the rules of this version, or a mapping, file elsewhere (`chimp cameras
    apply`). unknown: videos of which no camera is known. silent: deployments of cameras that no video has."""

    cameras: list[CameraLine]
    proposals: list[CameraProposal]
    mappings: list[CameraMapping]
    misplaced: int
    unknown: int
    silent: list[str]

    def as_dict(self) -> dict[str, Any]:
        """For the machine-readable line."""
        return {
            **vars(self),
            "cameras": [vars(line) for line in self.cameras],
            "proposals": [vars(line) for line in self.proposals],
            "mappings": [vars(line) for line in self.mappings],
        }


@dataclass(frozen=True)
class RefilingReport:
    """What moving videos to other cameras did. splits_changed: videos that joined the split of their new group."""

    videos: int
    splits_changed: int
    mapping_id: int | None = None


def camera_report(conn: sa.Connection) -> CameraReport:
    """Every camera that a video or a deployment names, and what is doubtful about it. Memory: folders and cameras."""
    rows = conn.execute(
        sa.select(
            video.c.site, video.c.camera, bundle.c.folder, video.c.bundle_id, sa.func.count().label("n"),
            sa.func.min(video.c.recorded_on).label("first"), sa.func.max(video.c.recorded_on).label("last"),
        )
        .join_from(video, bundle, bundle.c.bundle_id == video.c.bundle_id)
        .where(video.c.state != "retired")
        .group_by(video.c.site, video.c.camera, bundle.c.folder, video.c.bundle_id)
        .order_by(video.c.site, video.c.camera, video.c.bundle_id)
    ).all()  # fmt: skip
    names = CameraNames(conn)
    lines: dict[tuple[str | None, str | None], CameraLine] = {}
    trunks: dict[tuple[str | None, str | None], dict[tuple[str, ...], str]] = {}
    misplaced = unknown = 0
    for row in rows:
        named = place_named(f"{row.folder}/x" if row.folder else "x")
        if names.placed(row.folder + "/x", named.site, named.camera) != (row.site, row.camera):
            misplaced += _misplaced(conn, names, row)
        if row.camera is None:
            unknown += row.n
            continue
        place = (row.site, row.camera)
        line = lines.setdefault(place, CameraLine(in_words(*place), *place))
        line.n_videos += row.n
        line.first_day = min(filter(None, (line.first_day, row.first)), default=None)
        line.last_day = max(filter(None, (line.last_day, row.last)), default=None)
        raw = _as_written(row.folder, named.camera)
        if raw and raw not in line.spellings:
            line.spellings.append(raw)
        if row.folder not in line.folders:
            line.folders.append(row.folder)
        if named.unsure and named.unsure not in line.doubts:
            line.doubts.append(named.unsure)
        trunk = tuple(name_key(part) for part in named.trunk)
        trunks.setdefault(place, {}).setdefault(trunk, "/".join(named.trunk))
    for place, line in lines.items():
        mapped = any((m.site, m.camera) == place for m in names.mappings)
        if len(trunks[place]) > 1 and not mapped:
            some = ", ".join(sorted(trunks[place].values())[:_SHOWN])
            line.doubts.append(f"folders in different places have its name: {some}")
    known = list(lines)
    return CameraReport(
        cameras=sorted(lines.values(), key=lambda line: line.name),
        proposals=_proposals(lines),
        mappings=standing_mappings(conn),
        misplaced=misplaced,
        unknown=unknown,
        silent=_silent(conn, known),
    )


def _as_written(folder: str, camera: str | None) -> str:
    """The part of a folder's path that names its camera, as it is written there."""
    key = name_key(camera)
    for part in reversed(folder.split("/")):
        if name_key(place_of(f"{part}/x")[1]) == key:
            return part
    return camera or ""


def _misplaced(conn: sa.Connection, names: CameraNames, row: Any) -> int:
    uris = conn.execute(
        sa.select(video.c.uri).where(
            video.c.bundle_id == row.bundle_id,
            video.c.state != "retired",
            video.c.site.is_(None) if row.site is None else video.c.site == row.site,
            video.c.camera.is_(None) if row.camera is None else video.c.camera == row.camera,
        )
    ).scalars()
    return sum(names.placed(uri, *place_of(uri)) != (row.site, row.camera) for uri in uris)


def _proposals(lines: dict[tuple[str | None, str | None], CameraLine]) -> list[CameraProposal]:
    """Pairs of cameras that may be one: of one site, or with sites that may be one."""
    found = []
    ordered = sorted(lines.values(), key=lambda line: (-line.n_videos, line.name))
    by_likeness: dict[str, list[CameraLine]] = {}
    for line in ordered:
        for other in by_likeness.get(_bucket(line), []):
            why = _why_one(line, other)
            if why is not None:
                found.append(CameraProposal(line.name, other.name, why))
                break
        by_likeness.setdefault(_bucket(line), []).append(line)
    return sorted(found, key=lambda one: one.camera)


def _bucket(line: CameraLine) -> str:
    """What likely ones have in common: the digits of the name, without leading zeros."""
    digits = "".join(c if c.isdigit() else "o" for c in name_key(line.camera).replace("o", "0"))
    return "-".join(part.lstrip("0") or "0" for part in "".join(digits).split("o") if part)[:40]


def _why_one(one: CameraLine, other: CameraLine) -> str | None:
    sites = "same" if name_key(one.site) == name_key(other.site) else why_alike(one.site or "", other.site or "")
    own_site = one.site == one.camera or other.site == other.camera
    same = name_key(one.camera) == name_key(other.camera)
    cameras = why_alike(one.camera or "", other.camera or "")
    if own_site:
        return (f"one lies in {other.site if one.site == one.camera else one.site} and the other at the top"
                if same else cameras)  # fmt: skip
    if sites is None or cameras is None:
        return None
    return cameras if sites == "same" or not same else f"their sites: {sites}"


def _silent(conn: sa.Connection, known: list[tuple[str | None, str | None]]) -> list[str]:
    there = {(name_key(site), name_key(camera)) for site, camera in known}
    cameras = {key for _, key in there}
    rows = conn.execute(
        sa.select(deployment.c.site, deployment.c.camera).distinct().order_by(deployment.c.site, deployment.c.camera)
    )
    return [
        in_words(row.site, row.camera)
        for row in rows
        if (name_key(row.site), name_key(row.camera)) not in there
        and not (row.site is None and name_key(row.camera) in cameras)
    ]


def map_camera(
    db: Database,
    what: str,
    into: str,
    *,
    timezone: str = "UTC",
    folder: bool | None = None,
    why: str | None = None,
    by: str | None = None,
) -> RefilingReport:
    """Map a folder of the archive, or a camera, to a camera (SITE/CAMERA, or CAMERA of the same site).

    Videos already listed move; new ones will be filed there. folder: whether `what` is one; None: a camera if there is
    one of this name, else a folder. Raises CameraError if it is neither, or PeopleError for an unknown user.
    """
    fault = fault_of(why or "", 1000)
    if fault:
        raise CameraError(f"The reason {fault}.", "Shorten it.")

    def work(conn: sa.Connection) -> int:
        take_numbers(conn, "discovery", 0)
        now = datetime.now(UTC)
        names = CameraNames(conn)
        place = None if folder else _camera_called(conn, what)
        values: dict[str, Any] = {"kind": "camera"}
        if place is not None:
            values |= {"from_site": place[0], "from_camera": place[1]}
        elif folder is not False and _holds_videos(conn, what.strip("/")):
            path = what.strip("/")
            place = place_of(f"{path}/x")
            values = {"kind": "folder", "folder": path}
        else:
            raise CameraError(
                f"There is no camera {what!r}, and no folder of that name holds videos.", "See chimp cameras list."
            )
        site, camera = names.spelt(*_target(into, place[0]))
        if values["kind"] == "camera" and (site, camera) == place:
            raise CameraError(f"{what} is {into} already.", "See chimp cameras list.")
        names.write(now)
        return insert_one(
            conn, camera_mapping, **values, site=site, camera=camera, reason=why, at=now,
            user_id=user_id_of(conn, by) if by else None,
        )  # fmt: skip

    mapping_id = db.transact(work)
    done = apply_mappings(db, timezone)
    return RefilingReport(done.videos, done.splits_changed, mapping_id)


def unmap_camera(
    db: Database, what: str, *, timezone: str = "UTC", why: str | None = None, by: str | None = None
) -> RefilingReport:
    """Undo the newest mapping of a folder or camera, or the one with a number; videos move back. Raises CameraError."""

    def work(conn: sa.Connection) -> int:
        take_numbers(conn, "discovery", 0)
        standing = standing_mappings(conn)
        wanted = what.strip("/")
        found = [m for m in standing if str(m.mapping_id) == what]
        found = found or [m for m in standing if m.subject == wanted or name_key(m.subject) == name_key(wanted)]
        found = found or [m for m in standing if m.from_camera and name_key(m.from_camera) == name_key(wanted)]
        if not found:
            raise CameraError(f"{what!r} has no mapping.", "See chimp cameras list.")
        conn.execute(
            sa.update(camera_mapping)
            .where(camera_mapping.c.mapping_id == found[-1].mapping_id)
            .values(undone_at=datetime.now(UTC), undone_reason=why, undone_by_id=user_id_of(conn, by) if by else None)
        )
        return found[-1].mapping_id

    mapping_id = db.transact(work)
    done = apply_mappings(db, timezone)
    return RefilingReport(done.videos, done.splits_changed, mapping_id)


def apply_mappings(db: Database, timezone: str = "UTC") -> RefilingReport:
    """File every video under the camera that its path, the rules of this version and the mappings name.

    Reads all paths; writes only what differs. Splits follow their groups (`splits.follow_groups`). Times are weighed
    again at the next listing (`times.rows.keep_up`): corrections of the camera's clock apply to other videos now.
    """

    def work(conn: sa.Connection) -> RefilingReport:
        take_numbers(conn, "discovery", 0)
        names = CameraNames(conn)
        wanted: dict[tuple[str | None, str | None], list[int]] = {}
        for row in _all_videos(conn):
            place = names.placed(row.uri, *place_of(row.uri))
            if place != (row.site, row.camera):
                wanted.setdefault(place, []).append(row.video_id)
        now = datetime.now(UTC)
        names.write(now)
        moved: list[int] = []
        for (site, camera), ids in wanted.items():
            for start in range(0, len(ids), _PART):
                some = ids[start : start + _PART]
                conn.execute(
                    sa.update(video).where(video.c.video_id.in_(some)).values(site=site, camera=camera, updated_at=now)
                )
                conn.execute(sa.update(video_time).where(video_time.c.video_id.in_(some)).values(weighed=False))
            moved += ids
        return RefilingReport(len(moved), splits.follow_groups(conn, moved, timezone, now) if moved else 0)

    return db.transact(work)


def _all_videos(conn: sa.Connection) -> Iterator[Any]:
    last = 0
    while True:
        rows = conn.execute(
            sa.select(video.c.video_id, video.c.uri, video.c.site, video.c.camera)
            .where(video.c.video_id > last)
            .order_by(video.c.video_id)
            .limit(5_000)
        ).all()  # fmt: skip
        if not rows:
            return
        yield from rows
        last = rows[-1].video_id


def _camera_called(conn: sa.Connection, text: str) -> tuple[str | None, str | None] | None:
    """The place of videos or deployments that a text names. Raises CameraError if it may be several."""
    places = {(r.site, r.camera) for r in conn.execute(sa.select(video.c.site, video.c.camera).distinct()) if r.camera}
    places |= {(r.site, r.camera) for r in conn.execute(sa.select(deployment.c.site, deployment.c.camera).distinct())}
    exact = [place for place in places if in_words(*place) == text.strip()]
    if len(exact) == 1:
        return exact[0]
    site, slash, camera = text.partition("/")
    key = (name_key(site), name_key(camera)) if slash else (None, name_key(text))
    found = sorted(
        (p for p in places if name_key(p[1]) == key[1] and key[0] in (None, name_key(p[0]))),
        key=lambda place: in_words(*place),
    )
    if len(found) > 1:
        names = ", ".join(in_words(*place) for place in found[:_SHOWN])
        raise CameraError(f"{text!r} may be several cameras: {names}.", "Write it as SITE/CAMERA.")
    return found[0] if found else None


def _holds_videos(conn: sa.Connection, folder: str) -> bool:
    if not folder:
        return False
    uri = video.c.uri
    return (
        conn.execute(sa.select(video.c.video_id).where(uri > f"{folder}/", uri < f"{folder}0").limit(1)).first()
        is not None
    )


def _target(text: str, site_before: str | None) -> tuple[str | None, str]:
    site, slash, camera = (tidy(part) for part in text.strip().partition("/"))
    if not slash:
        site, camera = site_before or "", site
    for name, value in (("site", site), ("camera", camera)):
        fault = fault_of(value, PLACE_LENGTH) or ("has a slash" if "/" in value else None)
        if fault:
            raise CameraError(f"The {name} {value!r} {fault}.", "Write SITE/CAMERA.")
    if not camera:
        raise CameraError(f"{text!r} names no camera.", "Write SITE/CAMERA, or CAMERA.")
    return site or None, camera
