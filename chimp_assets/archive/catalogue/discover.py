"""Which videos the archive holds: lists it and has the listing compared with SQL, range by range.

Belongs here: how far one call goes, and what it reports.
Does not belong here: comparing a range (`comparison`), reading pictures (`ingest`), asking for runs (automation), rules
about names (`file_names`).

Listing and SQL are both in the order of code points (a store that cannot keep to it refuses to list), so that what lies
between two listed names is compared with the rows between the same two names, and a call costs what it lists, however
large the archive is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime

from chimp_assets.archive.catalogue.comparison import Comparison, Discovery
from chimp_assets.archive.catalogue.container_times import ContainerTimes
from chimp_assets.archive.catalogue.listing import Listing, PassedOverFile, printable, remember
from chimp_assets.archive.catalogue.settling import Patience
from chimp_assets.archive.storage.archive import ArchiveError
from chimp_assets.archive.storage.store import BlobStore, StoreError
from chimp_assets.archive.times.rows import keep_up
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.labels import splits
from chimp_assets.settings import Settings

_PROBLEMS = 100


def utc_now() -> datetime:
    """The present moment in UTC."""
    return datetime.now(UTC)


def discover(
    db: Database,
    archive: BlobStore,
    settings: Settings,
    *,
    deadline_s: float | None = None,
    quiet_files: int | None = None,
    after: str | None = None,
    now: Callable[[], datetime] = utc_now,
    sleep: Callable[[float], None] = time.sleep,
) -> Discovery:
    """List the archive and write what changed: bundles, videos (state `registered`), retirements, splits.

    Files come in the order of their paths, so an archive gets the same ids in every home. A changed file becomes a new
    version; the same bytes with a new date stay the same video. The call stops after about deadline_s seconds, or when
    the last quiet_files files (videos and others) were as before; resume_after of the result is then `after` of the
    next call. Videos retire only inside what was listed, never below a folder that could not be read.
    Memory: one page of files. Raises ArchiveError if the archive cannot be read or holds no video; what was compared
    before stays written, and nothing retires that was not listed.
    """
    found = Discovery()
    ends_at = None if deadline_s is None else time.monotonic() + deadline_s
    listing = Listing(archive, settings, after)
    with ExitStack() as stack:
        comparison = Comparison(
            db,
            archive,
            settings,
            found,
            listing,
            after,
            probes=ContainerTimes(archive, stack),
            patience=Patience(archive, now, sleep),
            now=now,
            ends_at=ends_at,
        )
        try:
            for info, is_video in listing.files():
                comparison.add(info, is_video)
                quiet = quiet_files is not None and comparison.quiet >= quiet_files
                if quiet or comparison.is_late():
                    found.resume_after = info.key
                    break
        except StoreError as error:
            raise ArchiveError(f"The archive cannot be listed: {error.sentence}", error.remedy) from error
        comparison.compare(upto=found.resume_after)
        listed_to = found.resume_after
        if comparison.left_at is not None:
            found.resume_after = comparison.left_at or None
    _report_passed_over(found, listing)
    if found.resume_after == listed_to:  # else some names are listed once more, and counted then
        remember(db, archive, listing.tally, found.listed, after, listed_to, now())
    found.times = keep_up(db, settings, ends_at)
    with db.read() as conn:
        missing = splits.are_missing(conn)
    if missing:
        with db.write() as conn:
            splits.assign_splits(conn, settings.seed, settings.archive.timezone)
    return found


def _report_passed_over(found: Discovery, listing: Listing) -> None:
    tally = listing.tally
    found.ignored = tally.of("not_video", "system")
    for (reason, ending), n in sorted(tally.counts.items()):
        found.passed_over[reason] = found.passed_over.get(reason, 0) + n
        if reason == "not_video":
            found.endings[ending] = n
    found.named = [
        PassedOverFile(printable(path), reason, printable(detail))
        for (reason, path), detail in sorted(tally.named.items(), key=lambda one: (one[0][0], one[0][1]))
    ]
    problems = [str(one) for one in found.named if one.reason in ("unreadable", "name", "link")]
    found.problems = problems[:_PROBLEMS]
