"""Which videos the archive holds: compares its listing with SQL and writes the difference.

Belongs here: new, replaced, vanished and returned files; bundles; where and when a video was recorded.
Does not belong here: reading pictures (`ingest`), asking for runs (automation), rules about names (`file_names`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import sqlalchemy as sa

from chimp_assets.archive.file_names import (
    bundle_folder_of,
    distinct_slug_of,
    is_video_name,
    place_of,
    slug_of,
    time_of_name,
)
from chimp_assets.archive.reading import recorded_at
from chimp_assets.archive.store import BlobInfo, BlobStore, StoreError
from chimp_assets.archive.workers import Worker, WorkerDied, WorkerFailed
from chimp_assets.database import bulk, schema, splits
from chimp_assets.database.counters import take_numbers
from chimp_assets.database.engine import Database
from chimp_assets.errors import ChimpError
from chimp_assets.settings import Settings

# A file written to this recently may still be growing. Discovery waits this long once, then leaves such files alone.
SETTLE_S = 2.0
_PAGE = 500
_PROBLEMS = 100
_URI_LENGTH = 800
_FOLDER_LENGTH = 1000


class ArchiveError(ChimpError):
    """The archive is not named, missing, unreadable or empty."""


@dataclass
class Discovery:
    """What a listing found. All numbers count video files.

    listed = new + replaced + unchanged + returned + waiting. retired: known videos whose file vanished. ignored: files
    that are no videos by their name. waiting: files still being written. returned: retired ones that are back.
    problems: folders and names that could not be read, at most 100. resume_after: where to go on if deadline_hit.
    """

    listed: int = 0
    new: int = 0
    replaced: int = 0
    unchanged: int = 0
    returned: int = 0
    retired: int = 0
    ignored: int = 0
    waiting: int = 0
    new_bundles: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    deadline_hit: bool = False
    resume_after: str | None = None


def utc_now() -> datetime:
    """The present moment in UTC."""
    return datetime.now(UTC)


def open_archive(settings: Settings) -> BlobStore:
    """The archive of the settings. Raises ArchiveError if it is not named, missing or unreadable."""
    if not settings.archive_url:
        raise ArchiveError(
            "No archive is named.", "Set CHIMP_ARCHIVE_URL or archive_url in chimp.toml to the folder of your videos."
        )
    try:
        return BlobStore.open(settings.archive_url)
    except StoreError as error:
        raise ArchiveError(f"The archive cannot be opened: {error.sentence}", error.remedy) from error


def discover(
    db: Database,
    archive: BlobStore,
    settings: Settings,
    *,
    deadline_s: float | None = None,
    after: str | None = None,
    now: Callable[[], datetime] = utc_now,
    sleep: Callable[[float], None] = time.sleep,
) -> Discovery:
    """List the archive and write what changed: bundles, videos (state `registered`), retirements, splits.

    Files come in the order of their paths, so an archive gets the same ids in every home. A changed file becomes a new
    version; the same bytes with a new date stay the same video. deadline_s: stop after about so many seconds;
    resume_after of the result is then `after` of the next call. Videos retire only where the listing was complete.
    Raises ArchiveError if the archive cannot be read or holds no video, in which case nothing is retired.
    """
    zone = _zone_of(settings)
    found = Discovery()
    unreadable: list[str] = []
    seen = _Seen(db)
    ends_at = None if deadline_s is None else time.monotonic() + deadline_s
    last = after

    def on_unreadable(path: str, reason: str) -> None:
        unreadable.append(path)
        if len(found.problems) < _PROBLEMS:
            found.problems.append(f"{path or 'The archive folder'}: {reason}")

    with ExitStack() as stack:
        probes = _Probes(archive, stack)
        patience = _Patience(archive, now, sleep)
        page: list[BlobInfo] = []
        try:
            for info in archive.list("", after, on_unreadable):
                last = info.key
                if not is_video_name(info.key, settings.archive.suffixes):
                    found.ignored += 1
                elif len(info.key) > _URI_LENGTH:
                    on_unreadable(info.key, f"its path is longer than {_URI_LENGTH} letters")
                else:
                    page.append(info)
                    found.listed += 1
                if len(page) >= _PAGE:
                    _take_page(db, archive, settings, zone, page, found, seen, probes, patience, now())
                    page = []
                if ends_at is not None and time.monotonic() > ends_at:
                    found.deadline_hit = True
                    found.resume_after = last
                    break
        except StoreError as error:
            raise ArchiveError(f"The archive cannot be listed: {error.sentence}", error.remedy) from error
        if page:
            _take_page(db, archive, settings, zone, page, found, seen, probes, patience, now())
    complete = not found.deadline_hit
    if complete and after is None and found.listed == 0:
        raise ArchiveError(
            f"{unquote(archive.url)} holds no video ({found.ignored} other files"
            + (f"; {len(unreadable)} places cannot be read)." if unreadable else ")."),
            "Check that it is the right folder and that its disk is mounted; archive.suffixes says what a video is.",
        )
    found.retired = _retire_vanished(db, seen, after, last if found.deadline_hit else None, unreadable, now())
    with db.write() as conn:
        splits.assign_splits(conn, settings.seed, settings.archive.timezone)
    return found


def _zone_of(settings: Settings) -> ZoneInfo:
    try:
        return ZoneInfo(settings.archive.timezone)
    except (ZoneInfoNotFoundError, ValueError):
        raise ArchiveError(
            f"archive.timezone is {settings.archive.timezone}, which is no time zone.",
            "Write an IANA name such as Africa/Dar_es_Salaam.",
        ) from None


class _Seen:
    """Which known videos were in the listing: a byte for each id, so that ten million cost 10 MB."""

    def __init__(self, db: Database) -> None:
        with db.read() as conn:
            top = conn.execute(sa.select(sa.func.max(schema.video.c.video_id))).scalar()
        self._marks = bytearray((top or 0) + 1)

    def add(self, video_id: int) -> None:
        if video_id < len(self._marks):
            self._marks[video_id] = 1

    def is_vanished(self, video_id: int) -> bool:
        """Known before the listing began, and not in it."""
        return video_id < len(self._marks) and not self._marks[video_id]


class _Patience:
    """Waits once, for a moment, until fresh files are settled; after that, fresh files wait for the next listing."""

    def __init__(self, archive: BlobStore, now: Callable[[], datetime], sleep: Callable[[float], None]) -> None:
        self._archive = archive
        self._now = now
        self._sleep = sleep
        self._left_s = SETTLE_S

    def settled(self, info: BlobInfo) -> bool:
        """Whether the file is whole, as far as its date tells. A date in the future (a wrong clock) tells nothing."""
        age_s = (self._now() - info.modified).total_seconds()
        if not 0 <= age_s < SETTLE_S:
            return True
        pause_s = SETTLE_S - age_s
        if pause_s > self._left_s:
            return False
        self._left_s -= pause_s
        self._sleep(pause_s)
        again = self._archive.head(info.key)
        return again is not None and again.etag == info.etag


class _Probes:
    """Asks files when they were recorded, in a child process: a file that kills its reader is only not asked."""

    def __init__(self, archive: BlobStore, stack: ExitStack) -> None:
        self._archive = archive
        self._stack = stack
        self._worker: Worker | None = None

    def created_at(self, key: str) -> datetime | None:
        if not self._archive.is_shareable:
            return recorded_at((self._archive, key))
        if self._worker is None:
            self._worker = self._stack.enter_context(Worker(stall_s=60.0))
        try:
            found: datetime | None = self._worker.call(recorded_at, (self._archive, key))
        except (WorkerDied, WorkerFailed):
            return None
        return found


@dataclass(frozen=True)
class _NewVideo:
    info: BlobInfo
    recorded_at: datetime
    source: str
    replaces: Any | None  # the row of the version before


def _take_page(
    db: Database,
    archive: BlobStore,
    settings: Settings,
    zone: ZoneInfo,
    page: Sequence[BlobInfo],
    found: Discovery,
    seen: _Seen,
    probes: _Probes,
    patience: _Patience,
    at: datetime,
) -> None:
    with db.read() as conn:
        known = _latest_versions(conn, [info.key for info in page])
    fresh: list[_NewVideo] = []
    touched: list[tuple[Any, str]] = []
    returned: list[Any] = []
    for info in page:
        row = known.get(info.key)
        if row is not None:
            seen.add(row.video_id)
        if row is not None and row.etag == info.etag:
            if row.state == "retired":
                returned.append(row)
            else:
                found.unchanged += 1
        elif not patience.settled(info):
            found.waiting += 1
        elif row is not None and _same_bytes(archive, info, row):
            touched.append((row, info.etag))
            if row.state == "retired":
                returned.append(row)
            else:
                found.unchanged += 1
        else:
            moment, source = _recorded_at(info, probes, zone, at)
            fresh.append(_NewVideo(info, moment, source, row))
    if not (fresh or touched or returned):
        return

    def write(conn: sa.Connection) -> list[str]:
        take_numbers(conn, "discovery", 0)  # two discoveries at once take turns
        video = schema.video.c
        for row, etag in touched:
            conn.execute(sa.update(schema.video).where(video.video_id == row.video_id).values(etag=etag))
        for row in returned:
            _bring_back(conn, row.video_id, at)
        # Whoever had the turn before may have written the same.
        now_known = _latest_versions(conn, [v.info.key for v in fresh])
        added = [v for v in fresh if _version(now_known.get(v.info.key)) == _version(v.replaces)]
        return _insert(conn, settings, added, at)

    found.new_bundles += db.transact(write)
    found.returned += len(returned)
    found.new += sum(v.replaces is None for v in fresh)
    found.replaced += sum(v.replaces is not None for v in fresh)


def _version(row: Any | None) -> int:
    return 0 if row is None else int(row.version)


def _latest_versions(conn: sa.Connection, uris: list[str]) -> dict[str, Any]:
    video = schema.video.c
    if not uris:
        return {}
    rows = conn.execute(
        sa.select(
            video.video_id,
            video.bundle_id,
            video.uri,
            video.version,
            video.etag,
            video.bytes,
            video.content_hash,
            video.state,
        )
        .where(video.uri.in_(uris))
        .order_by(video.version)
    )
    return {row.uri: row for row in rows}


def _same_bytes(archive: BlobStore, info: BlobInfo, row: Any) -> bool:
    """Whether only the date of a file changed (copied, restored), which must not cost its tracks and labels."""
    return (
        row.content_hash is not None
        and row.bytes == info.size
        and bool(archive.content_hash(info.key) == row.content_hash)
    )


def _recorded_at(info: BlobInfo, probes: _Probes, zone: ZoneInfo, at: datetime) -> tuple[datetime, str]:
    """When a video was recorded (UTC) and who says so: the container, else the name, else the file's date."""
    latest = at + timedelta(days=1)
    for source, said in (("container", probes.created_at(info.key)), ("file_name", time_of_name(info.key))):
        if said is not None:
            moment = (said if said.tzinfo else said.replace(tzinfo=zone)).astimezone(UTC)
            if moment <= latest:  # a clock in the future was never set
                return moment, source
    return info.modified, "file_time"


def _insert(conn: sa.Connection, settings: Settings, videos: Sequence[_NewVideo], at: datetime) -> list[str]:
    """Rows of new videos and of the bundles they need; versions they replace retire. Returns new bundle keys."""
    if not videos:
        return []
    for old in (v.replaces for v in videos if v.replaces is not None):
        conn.execute(
            sa.update(schema.video)
            .where(schema.video.c.video_id == old.video_id)
            .values(state="retired", updated_at=at)
        )
    bundles = _Bundles(conn, settings.archive.bundle_videos, at)
    places = [place_of(v.info.key) for v in videos]
    columns: dict[str, list[Any]] = {
        # A new version stays in the bundle of the old one: only that bundle runs again.
        "bundle_id": [v.replaces.bundle_id if v.replaces is not None else bundles.place(v.info.key) for v in videos],
        "uri": [v.info.key for v in videos],
        "version": [_version(v.replaces) + 1 for v in videos],
        "bytes": [v.info.size for v in videos],
        "etag": [v.info.etag[:200] for v in videos],
        "recorded_at": [v.recorded_at for v in videos],
        "recorded_at_source": [v.source for v in videos],
        "site": [site for site, _ in places],
        "camera": [camera for _, camera in places],
        "n_frames": [0] * len(videos),
        "state": ["registered"] * len(videos),
        "discovered_at": [at] * len(videos),
        "updated_at": [at] * len(videos),
    }
    bulk.insert_rows(conn, schema.video, columns)
    return bundles.new_keys


class _Bundles:
    """Finds the bundle of each new video: its folder's last one, or the next when that is full."""

    def __init__(self, conn: sa.Connection, size: int, at: datetime) -> None:
        self._conn = conn
        self._size = size
        self._at = at
        self._open: dict[str, tuple[int, str, int]] = {}  # folder: bundle_id, key, videos in it
        self.new_keys: list[str] = []

    def place(self, uri: str) -> int:
        folder = bundle_folder_of(uri)[:_FOLDER_LENGTH]
        if folder not in self._open:
            self._open[folder] = self._last_of(folder) or self._next_of(folder, None)
        bundle_id, key, n = self._open[folder]
        if n >= self._size:
            bundle_id, key, n = self._next_of(folder, key)
        self._open[folder] = (bundle_id, key, n + 1)
        return bundle_id

    def _last_of(self, folder: str) -> tuple[int, str, int] | None:
        bundle = schema.bundle.c
        rows = self._conn.execute(
            sa.select(bundle.bundle_id, bundle.bundle_key, bundle.folder)
            .where(bundle.folder == folder)
            .order_by(bundle.bundle_id.desc())
        )
        # Some databases compare without regard to case.
        row = next((r for r in rows if r.folder == folder), None)
        if row is None:
            return None
        n = self._conn.execute(
            sa.select(sa.func.count()).select_from(schema.video).where(schema.video.c.bundle_id == row.bundle_id)
        ).scalar_one()
        return row.bundle_id, row.bundle_key, n

    def _next_of(self, folder: str, full: str | None) -> tuple[int, str, int]:
        if full is not None:
            name, number = full.rsplit("-", 1)
            key = f"{name}-{int(number) + 1:04d}"
        else:
            key = f"{slug_of(folder)}-0001"
        taken = sa.select(schema.bundle.c.bundle_id).where(schema.bundle.c.bundle_key == key)
        if self._conn.execute(taken).first() is not None:  # another folder has the same short name
            key = f"{distinct_slug_of(folder)}-{key.rsplit('-', 1)[1]}"
        bundle_id = bulk.insert_one(
            self._conn, schema.bundle, bundle_key=key, folder=folder, attempts=0, created_at=self._at
        )
        self.new_keys.append(key)
        return bundle_id, key, 0


def _bring_back(conn: sa.Connection, video_id: int, at: datetime) -> None:
    """A retired video whose file is there again goes on from the step that its rows prove."""
    state = "registered"
    for table, reached in ((schema.track, "tracked"), (schema.frame, "decoded")):
        if conn.execute(sa.select(table.c.video_id).where(table.c.video_id == video_id).limit(1)).first():
            state = reached
            break
    values: dict[str, Any] = {"state": state, "updated_at": at}
    if state == "registered":
        values["error"] = None
    conn.execute(sa.update(schema.video).where(schema.video.c.video_id == video_id).values(values))


def _retire_vanished(
    db: Database, seen: _Seen, after: str | None, last: str | None, unreadable: Sequence[str], at: datetime
) -> int:
    """Retire known videos of the listed range (after, last] that were not listed; not where folders were unreadable."""
    retired = 0
    for page in _active_videos(db):
        gone = [
            row.video_id
            for row in page
            if seen.is_vanished(row.video_id)
            and (after is None or row.uri > after)
            and (last is None or row.uri <= last)
            and not any(place in ("", row.uri) or row.uri.startswith(place + "/") for place in unreadable)
        ]
        if gone:
            video = schema.video.c
            with db.write() as conn:
                changed = conn.execute(
                    sa.update(schema.video)
                    .where(video.video_id.in_(gone), video.state != "retired")
                    .values(state="retired", updated_at=at)
                )
                retired += changed.rowcount
    return retired


def _active_videos(db: Database) -> Iterator[Sequence[Any]]:
    video = schema.video.c
    last = -1
    while True:
        with db.read() as conn:
            rows = conn.execute(
                sa.select(video.video_id, video.uri)
                .where(video.video_id > last, video.state != "retired")
                .order_by(video.video_id)
                .limit(_PAGE)
            ).all()
        if not rows:
            return
        yield rows
        last = rows[-1].video_id
