"""Reports in the store: `reports/2026-03-01.en.html`, `.fr.html` and `.json`, one of each for a day.

Belongs here: making today's report, keeping it, finding the one before, letting the oldest go. Does not belong here:
numbers, words and the page.

The JSON is written last and deleted first: a report without it is not there, whatever killed the process between. Made
again on the same day it replaces that day's, and is compared with the same one before.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from chimp_assets.archive.storage.blobs import MissingBlobError
from chimp_assets.insight.report.changes import Changes, changes_since
from chimp_assets.insight.report.numbers import FORMAT, ReportNumbers, numbers_of
from chimp_assets.insight.report.page import as_html
from chimp_assets.insight.report.words import ReportError, known_language, languages

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.home import Home

FOLDER = "reports"
_NAME = re.compile(rf"{FOLDER}/(\d{{4}}-\d{{2}}-\d{{2}})\.json")


@dataclass(frozen=True)
class MadeReport:
    """A report that was made. changes: since the one before, None for the first."""

    numbers: ReportNumbers
    changes: Changes | None

    def html(self, lang: str) -> str:
        """Its page. Raises ReportError for a language that there is not."""
        return as_html(self.numbers, self.changes, lang)


def make_report(home: Home, since: date | None = None, at: datetime | None = None) -> MadeReport:
    """The report of this moment, kept nowhere. since: compare with the newest kept report of this day or before; None:
    with the newest of an earlier day. at: the moment, UTC; None: now.

    Raises ReportError where a report since then was asked for and none is kept.
    """
    at = at or datetime.now(UTC)
    with home.database.replica.read() as conn:
        numbers = numbers_of(conn, at)
    earlier = [day for day in kept_days(home.store) if day < at.date() and (since is None or day <= since)]
    for day in earlier:
        before = kept_numbers(home.store, day)
        if before is not None:
            return MadeReport(numbers, changes_since(numbers, before))
    if since is not None:
        there = kept_days(home.store)
        raise ReportError(
            f"No report of {since} or before is kept to compare with.",
            f"The oldest is of {there[-1]}." if there else "Leave --since out: this is the first report.",
        )
    return MadeReport(numbers, None)


def keep_report(home: Home, since: date | None = None, at: datetime | None = None) -> MadeReport:
    """Makes the report of today and keeps it in every language; more than `monitoring.reports_kept` lose the oldest."""
    made = make_report(home, since, at)
    day = made.numbers.day
    for lang in languages():
        home.store.put(key_of(day, f"{lang}.html"), made.html(lang).encode())
    kept = json.dumps(made.numbers.kept(), indent=1, ensure_ascii=False) + "\n"
    home.store.put(key_of(day, "json"), kept.encode())
    for old in kept_days(home.store)[home.settings.monitoring.reports_kept :]:
        forget_report(home.store, old)
    return made


def forget_report(store: BlobStore, day: date) -> None:
    """Deletes the report of a day; nothing happens if there is none."""
    for ending in ("json", *(f"{lang}.html" for lang in languages())):
        store.delete(key_of(day, ending))


def kept_days(store: BlobStore) -> list[date]:
    """Days of which a report is kept, newest first. Other people's files in the folder are passed over."""
    found = []
    for info in store.list(FOLDER):
        match = _NAME.fullmatch(info.key)
        if match is None:
            continue
        try:
            found.append(date.fromisoformat(match[1]))
        except ValueError:
            continue
    return sorted(found, reverse=True)


def kept_numbers(store: BlobStore, day: date) -> Mapping[str, Any] | None:
    """The numbers that are kept of a report; None where there is none, or of another format."""
    try:
        found = json.loads(store.get(key_of(day, "json")))
    except (MissingBlobError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("format") == FORMAT else None


def kept_page(store: BlobStore, day: date, lang: str) -> bytes | None:
    """The page of a kept report; None where there is none. Raises ReportError for a language that there is not."""
    known_language(lang)
    if store.head(key_of(day, "json")) is None:
        return None
    try:
        return store.get(key_of(day, f"{lang}.html"))
    except MissingBlobError:
        return None


def key_of(day: date, ending: str) -> str:
    """Where a file of a report lies in the store. ending: json, en.html."""
    return f"{FOLDER}/{day.isoformat()}.{ending}"
