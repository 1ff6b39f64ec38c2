"""Compares a range of listed names with the rows of `video` between the same two names, and writes the difference.

Belongs here: new, replaced, vanished and returned files, a page at a time.
Does not belong here: which ranges are listed and for how long (`discover`), rows of new videos (`register`), what
becomes of two files with the same bytes (`duplicates`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import sqlalchemy as sa

from chimp_assets.archive.catalogue.burst_files import files_are_gone
from chimp_assets.archive.catalogue.container_times import ContainerTimes
from chimp_assets.archive.catalogue.duplicates import bring_back
from chimp_assets.archive.catalogue.listing import Listing, PassedOverFile
from chimp_assets.archive.catalogue.register import NewVideo, register, version_of
from chimp_assets.archive.catalogue.settling import Patience
from chimp_assets.archive.stills.headers import PictureFacts
from chimp_assets.archive.stills.kinds import is_crop_name, is_picture_name
from chimp_assets.archive.storage.archive import ArchiveError
from chimp_assets.archive.storage.store import BlobInfo, BlobStore
from chimp_assets.archive.times.neighbours import rules_of
from chimp_assets.archive.times.recording_time import weigh
from chimp_assets.archive.times.rows import WeighingReport
from chimp_assets.archive.times.witnesses import RecordingTime, Witnesses
from chimp_assets.database import schema
from chimp_assets.database.connection.counters import take_numbers
from chimp_assets.database.connection.engine import Database
from chimp_assets.settings import Settings

_PAGE = 500


@dataclass
class Discovery:
    """What a listing found. All numbers count video files.

    listed = new + replaced + unchanged + duplicates + returned + waiting. duplicates: another listed file holds the
    same bytes. returned: retired ones that are back. waiting: files still being written. retired: known videos whose
    file vanished. ignored: files that are no videos by their name, hidden ones among them. passed_over: what is not
    listed, by reason (schema.PASSED_OVER_REASONS); endings: files that are no videos, by ending; named: the first
    hundred of each reason. problems: those that could not be read, as sentences, at most 100.
    resume_after: where the next call goes on; None if the end of the archive was reached.
    """

    listed: int = 0
    new: int = 0
    replaced: int = 0
    unchanged: int = 0
    duplicates: int = 0
    returned: int = 0
    retired: int = 0
    ignored: int = 0
    waiting: int = 0
    new_bundles: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    times: WeighingReport = field(default_factory=WeighingReport)
    passed_over: dict[str, int] = field(default_factory=dict)
    endings: dict[str, int] = field(default_factory=dict)
    named: list[PassedOverFile] = field(default_factory=list)
    resume_after: str | None = None

    @property
    def changed(self) -> int:
        """Videos that are not what they were before."""
        return self.new + self.replaced + self.returned + self.retired


class Comparison:
    """Compares what is listed with the rows in the same range of names, a page at a time.

    quiet: files listed since the last difference. left_at: the name after which time ran out for retiring what is gone,
    "" for the beginning; everything before is done.
    """

    def __init__(
        self,
        db: Database,
        archive: BlobStore,
        settings: Settings,
        found: Discovery,
        listing: Listing,
        after: str | None,
        *,
        probes: ContainerTimes,
        patience: Patience,
        now: Callable[[], datetime],
        ends_at: float | None,
    ) -> None:
        self.quiet = 0
        self.left_at: str | None = None
        self._ends_at = ends_at
        self._db = db
        self._archive = archive
        self._settings = settings
        self._zone = _zone_of(settings)
        self._found = found
        self._listing = listing
        self._began_after = after
        self._probes = probes
        self._patience = patience
        self._now = now
        self._after = after  # everything up to this name has been compared
        self._holds_a_video = False
        self._page: list[BlobInfo] = []
        self._files = 0  # of the page, with those that are no videos

    def is_late(self) -> bool:
        """Whether the time of this call is over."""
        return self._ends_at is not None and time.monotonic() > self._ends_at

    def add(self, info: BlobInfo, is_video: bool) -> None:
        """Take one listed file; compares when a page is full."""
        self._files += 1
        if is_video:
            self._page.append(info)
            self._found.listed += 1
            self._holds_a_video = True
        if self._files >= _PAGE:
            self.compare(upto=info.key)

    def compare(self, upto: str | None) -> None:
        """Write the differences between the page and the rows up to a name (None: to the end)."""
        if not self._holds_a_video:
            _require_a_video(self._archive, self._settings)
            self._holds_a_video = True
        before = self._found.changed
        known, gone = self._known(upto)
        if gone:
            # First of all: a copy whose original has gone is no longer a copy.
            self._let_go(gone)
            self._bring_back_copies([video_id for video_id, _ in gone], upto)
            known, _ = self._known(upto)
        self._take(known)
        self.quiet = 0 if self._found.changed > before else self.quiet + self._files
        self._page, self._files, self._after = [], 0, upto

    def _known(self, upto: str | None) -> tuple[dict[str, Any], list[tuple[int, str]]]:
        """The latest versions of the files of the page, and (video_id, uri) of the range whose file was not listed."""
        listed = {info.key for info in self._page}
        known: dict[str, Any] = {}
        gone: list[tuple[int, str]] = []
        with self._db.read() as conn:
            for row in conn.execute(_versions().where(*_between(self._after, upto)).execution_options(yield_per=_PAGE)):
                if row.uri in listed:
                    known[row.uri] = row
                elif row.state not in _AWAY and not self._is_hidden(row.uri):
                    gone.append((row.video_id, row.uri))
        return known, gone

    def _is_hidden(self, uri: str) -> bool:
        return any(place in ("", uri) or uri.startswith(place + "/") for place in self._listing.hidden)

    def _take(self, known: dict[str, Any]) -> None:
        found, at = self._found, self._now()
        fresh: list[NewVideo] = []
        touched: list[tuple[int, str]] = []
        back: list[Any] = []
        for info in self._page:
            row = known.get(info.key)
            if row is None or row.etag != info.etag:
                if not self._patience.settled(info):
                    found.waiting += 1
                    continue
                if row is None or not _same_bytes(self._archive, info, row):
                    fresh.append(self._new_video(info, row, at))
                    continue
                touched.append((row.video_id, info.etag))
            if row.state not in _AWAY:
                found.unchanged += 1
            elif row.duplicate_of_video_id is not None and row.original_state not in _AWAY:
                found.duplicates += 1
            else:
                back.append(row)
        if fresh or touched or back:
            self._write(fresh, touched, back, at)

    def _write(self, fresh: list[NewVideo], touched: list[tuple[int, str]], back: list[Any], at: datetime) -> None:
        def write(conn: sa.Connection) -> tuple[list[str], list[NewVideo]]:
            take_numbers(conn, "discovery", 0)  # two discoveries at once take turns
            video = schema.video.c
            for video_id, etag in touched:
                conn.execute(sa.update(schema.video).where(video.video_id == video_id).values(etag=etag))
            # Whoever had the turn before may have written the same.
            now_known = _latest_versions(conn, [v.info.key for v in fresh] + [row.uri for row in back])
            for row in back:
                if _is_still(row, now_known.get(row.uri)):
                    bring_back(conn, row.video_id, at)
            added = [v for v in fresh if version_of(now_known.get(v.info.key)) == version_of(v.replaces)]
            return register(conn, self._settings.archive.bundle_videos, added, at), added

        new_bundles, added = self._db.transact(write)
        self._found.new_bundles += new_bundles
        self._found.returned += len(back)
        self._found.unchanged += len(fresh) - len(added)
        self._found.new += sum(v.replaces is None for v in added)
        self._found.replaced += sum(v.replaces is not None for v in added)

    def _new_video(self, info: BlobInfo, replaces: Any | None, at: datetime) -> NewVideo:
        picture: PictureFacts | None = None
        if is_picture_name(info.key, self._settings.pictures.suffixes):
            picture = self._probes.picture(info.key)
        seen, verdict = _recorded_at(info, picture, self._probes, self._settings, at)
        columns = None if picture is None else picture.columns
        is_crop = columns is not None and is_crop_name(info.key, self._settings.pictures.crops)
        if is_crop and verdict.source in (None, "file_time"):
            # A crop's file is as old as the cutting of it.
            unknown = replace(seen, modified=None).as_text()
            return NewVideo(info, None, None, None, replaces, unknown, columns, is_crop)
        moment = verdict.moment or info.modified
        day = moment.astimezone(self._zone).date()
        return NewVideo(info, moment, day, verdict.source or "file_time", replaces, seen.as_text(), columns, is_crop)

    def _bring_back_copies(self, gone: Sequence[int], upto: str | None) -> None:
        """Copies of videos that have just retired take their places, if their own files are still there.

        Those in the page are left to it.
        """
        original, copy, fact = schema.video.c, schema.video.alias("copy").c, schema.picture_fact.c
        listed = {info.key for info in self._page}
        for start in range(0, len(gone), _PAGE):
            with self._db.read() as conn:
                rows = conn.execute(
                    sa.select(copy.video_id, copy.uri, copy.etag)
                    .join_from(schema.video, copy.video_id.table, copy.duplicate_of_video_id == original.video_id)
                    .outerjoin(schema.picture_fact, fact.video_id == original.video_id)
                    .where(
                        original.video_id.in_(gone[start : start + _PAGE]),
                        sa.or_(
                            sa.and_(original.state == "retired", original.burst_video_id.is_(None)),
                            fact.gone_at.is_not(None),
                        ),
                        copy.state == "retired",
                        copy.uri != original.uri,
                    )
                ).all()
            for row in rows:
                if row.uri in listed or (upto is not None and row.uri > upto):
                    continue  # its turn comes, and finds the original retired
                there = self._archive.head(row.uri)
                if there is None or there.etag[:200] != row.etag:
                    continue
                self._db.transact(partial(self._bring_back_copy, video_id=row.video_id))
                self._found.returned += 1
                if self._began_after is None or row.uri > self._began_after:
                    self._found.duplicates -= 1

    def _bring_back_copy(self, conn: sa.Connection, video_id: int) -> None:
        take_numbers(conn, "discovery", 0)
        video = schema.video.c
        still = sa.select(video.video_id).where(
            video.video_id == video_id, video.state == "retired", video.duplicate_of_video_id.is_not(None)
        )
        if conn.execute(still).first() is not None:
            bring_back(conn, video_id, self._now())

    def _let_go(self, gone: Sequence[tuple[int, str]]) -> None:
        """Retire videos, given by id and uri, or mark what is gone of a burst. If time runs out, the next call begins
        before those that are left."""
        video = schema.video.c
        for start in range(0, len(gone), _PAGE):
            if start and self.is_late():
                if self.left_at is None:
                    self.left_at = self._after or ""
                return
            some = dict(gone[start : start + _PAGE])

            def write(conn: sa.Connection, some: dict[int, str] = some) -> int:
                take_numbers(conn, "discovery", 0)
                rows = conn.execute(sa.select(video.video_id, video.uri).where(video.video_id.in_(some))).all()
                # A video that moved meanwhile has left its place to another row.
                return files_are_gone(
                    conn, [row.video_id for row in rows if row.uri == some[row.video_id]], self._now()
                )

            self._found.retired += self._db.transact(write)


def _require_a_video(archive: BlobStore, settings: Settings) -> None:
    """Raises ArchiveError if there is no video anywhere: an unmounted disk is an empty folder, not a lost archive."""
    listing = Listing(archive, settings, None)
    if any(is_video for _, is_video in listing.files()):
        return
    others = listing.tally.of("not_video", "system", "not_file")
    own, hidden = listing.tally.of("own"), listing.tally.of("unreadable", "name", "link")
    remarks = [f"{others} other files"]
    remarks += [f"{hidden} places cannot be read"] * (hidden > 0)
    remarks += ["the home or the store is no archive"] * (own > 0)
    raise ArchiveError(
        f"{unquote(archive.url)} holds no video ({'; '.join(remarks)}).",
        "Check that it is the right folder and that its disk is mounted; archive.suffixes and pictures.suffixes say"
        " what a video or picture is.",
    )


_GONE = "gone"
_AWAY = ("retired", _GONE)
"""States of rows whose file is not there, or stands for nothing; gone: of a burst that stays."""


@cache
def _versions() -> sa.Select[Any]:
    """What is known of each version of each file, in the order of the listing; the latest version comes last.

    Of a picture of a burst, state is that of the burst: its own row is retired.
    """
    video = schema.video
    original, burst = video.alias("original"), video.alias("burst")
    fact = schema.picture_fact
    original_burst, original_fact = video.alias("original_burst"), fact.alias("original_fact")
    return (
        sa.select(
            video.c.video_id,
            video.c.bundle_id,
            video.c.uri,
            video.c.version,
            video.c.etag,
            video.c.bytes,
            video.c.content_hash,
            _state_of(video, burst, fact).label("state"),
            video.c.duplicate_of_video_id,
            _state_of(original, original_burst, original_fact).label("original_state"),
        )
        .outerjoin_from(video, original, original.c.video_id == video.c.duplicate_of_video_id)
        .outerjoin(original_burst, original_burst.c.video_id == original.c.burst_video_id)
        .outerjoin(original_fact, original_fact.c.video_id == original.c.video_id)
        .outerjoin(burst, burst.c.video_id == video.c.burst_video_id)
        .outerjoin(fact, fact.c.video_id == video.c.video_id)
        .order_by(video.c.uri, video.c.version)
    )


def _state_of(row: Any, burst: Any, fact: Any) -> sa.ColumnElement[str]:
    state = sa.func.coalesce(burst.c.state, row.c.state)
    return sa.case((sa.and_(fact.c.gone_at.is_not(None), state != "retired"), _GONE), else_=state)


def _between(after: str | None, upto: str | None) -> list[sa.ColumnElement[bool]]:
    """Names in (after, upto]; None is no limit."""
    uri = schema.video.c.uri
    return [*([] if after is None else [uri > after]), *([] if upto is None else [uri <= upto])]


def _latest_versions(conn: sa.Connection, uris: Iterable[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    wanted = sorted(uris)
    for start in range(0, len(wanted), _PAGE):
        rows = conn.execute(_versions().where(schema.video.c.uri.in_(wanted[start : start + _PAGE])))
        found.update({row.uri: row for row in rows})
    return found


def _is_still(before: Any, now: Any | None) -> bool:
    return now is not None and (now.video_id, now.state, now.original_state) == (
        before.video_id,
        before.state,
        before.original_state,
    )


def _same_bytes(archive: BlobStore, info: BlobInfo, row: Any) -> bool:
    """Whether only the date of a file changed (copied, restored), which must not cost its tracks and labels."""
    return (
        row.content_hash is not None
        and row.bytes == info.size
        and bool(archive.content_hash(info.key) == row.content_hash)
    )


def _recorded_at(
    info: BlobInfo, picture: PictureFacts | None, probes: ContainerTimes, settings: Settings, at: datetime
) -> tuple[Witnesses, RecordingTime]:
    """A file's witnesses and what follows from them alone; neighbours are consulted afterwards."""
    if picture is not None:
        tags, seconds = picture.tags, None
    else:
        tags, seconds = probes.created_at(info.key) or ({}, None)
    seen = Witnesses(info.key, tags, info.modified, seconds)
    return seen, weigh(seen, rules_of(settings, at + timedelta(days=1)))


def _zone_of(settings: Settings) -> ZoneInfo:
    try:
        return ZoneInfo(settings.archive.timezone)
    except (ZoneInfoNotFoundError, ValueError):
        raise ArchiveError(
            f"archive.timezone is {settings.archive.timezone}, which is not a time zone.",
            "Write an IANA name such as Africa/Dar_es_Salaam.",
        ) from None
