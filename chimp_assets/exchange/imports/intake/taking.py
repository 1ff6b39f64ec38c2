"""The whole way of a file of annotations into the database.

Belongs here: the order of things, transactions, what makes it safe to run twice. Does not belong here: the parts (the
modules beside this one), printing.

Nothing is stored before the last row of the file was read. Then media go in page by page, each page with its tracks,
names and times in one transaction: whoever is killed runs the same command again. What is there is known by
`imported_track` (tracks), by computed ids (names) and by content (proposals).
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from chimp_assets.archive.times.rows import state_times
from chimp_assets.database import schema
from chimp_assets.database.connection.bulk import insert_one
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.connection.parameters import rows_in_parts
from chimp_assets.database.labels.events import record_in
from chimp_assets.database.labels.provenance import note_import
from chimp_assets.database.people.lookup import user_called
from chimp_assets.database.people.users import DEFAULT_EXPERT, user_id_of
from chimp_assets.database.texts import cut_to
from chimp_assets.errors import ChimpError
from chimp_assets.exchange.imports import import_format
from chimp_assets.exchange.imports.annotations import ImportFileError, ReadOptions
from chimp_assets.exchange.imports.intake.footage import read_footage
from chimp_assets.exchange.imports.intake.matching import list_rows, match_media
from chimp_assets.exchange.imports.intake.names import (
    NameBook,
    look_up,
    make_individuals,
    planned_individuals,
    standing_names,
)
from chimp_assets.exchange.imports.intake.page import Page, PageTerms, Times, pages
from chimp_assets.exchange.imports.intake.proposals import keep_proposals
from chimp_assets.exchange.imports.intake.report import NAMED, Count, TakenIn
from chimp_assets.exchange.imports.intake.rows import NewRows, detector_row
from chimp_assets.exchange.imports.intake.spool import MatchedMedium, Spool
from chimp_assets.home import Home, folder_of

Progress = Callable[[str, int, int], None]

_PAGE = 100
"""Media of one transaction: some hundreds of rows, so that nobody waits long for the lock."""
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Wishes:
    """What a person wants of an import. media: the folder of its media; annotator: who said so; new_individuals: names
    of nobody become individuals; dry_run: store nothing; skip_bad: take the good rows of a file with bad ones."""

    media: Path | None = None
    annotator: str | None = None
    new_individuals: bool = False
    dry_run: bool = False
    skip_bad: bool = False


def take_in(
    home: Home, name: str, file: Path, options: ReadOptions, wishes: Wishes, progress: Progress | None = None
) -> TakenIn:
    """Read a file of a format, match it with the archive and store what it says. Twice the same changes nothing.

    Raises ImportFileError for an unknown format, a file that cannot be read, or one with bad rows (unless they are to
    be skipped), PeopleError for an unknown annotator; then nothing was stored.
    """
    began = time.monotonic()
    wanted = import_format(name)
    if not file.exists():
        raise ImportFileError(f"There is no file {file}.", "Say where it is.")
    db = home.database
    annotator = wishes.annotator or options.annotator or DEFAULT_EXPERT
    with db.read() as conn:
        user_id = user_id_of(conn, annotator)
    tell = progress or (lambda what, done, of: None)
    report = TakenIn(name, file.name, wishes.dry_run)
    with Spool() as spool, ExitStack() as stack:
        tell(f"reading {file.name}", 0, 1)
        reading = wanted.read(file, options)
        spool.fill(reading)
        report.frame_base, report.said_by, report.notes = reading.frame_base, reading.said_by, reading.notes
        report.bad_rows.n, report.bad_rows.named = spool.n_faults, spool.faults[:NAMED]
        if spool.n_faults and not wishes.skip_bad:
            raise _bad_rows(file, spool)
        list_rows(db, spool)
        archive = None if home.archive_url is None else folder_of(home.archive_url)
        match_media(spool, wishes.media, archive, report.media)
        file_hash = hash_of(file)
        book = _names(db, spool, report, wishes, annotator)
        source = _ImportSource(name, file.name, file_hash, options, user_id)
        import_id, before = source.find(db) if wishes.dry_run else source.register(db, report)
        report.before = before
        times = _times(home, stack)
        if wanted.is_detections:
            keep_proposals(home, spool, import_id, options.fps, times, report, tell)
        else:
            zone = ZoneInfo(home.settings.archive.timezone)
            users = _annotators(db, spool, report) if wishes.annotator is None else {}
            terms = PageTerms(file_hash, file.name, annotator, users, book, options.fps, before, times, zone)
            _take_pages(home, spool, terms, import_id, source, report, tell)
        report.seconds = round(time.monotonic() - began, 2)
        if not wishes.dry_run:
            source.conclude(db, import_id, report)
    return report


def hash_of(file: Path) -> str:
    """blake2b-256 of a file's bytes, hexadecimal; of a folder, of the names and sizes of its files."""
    digest = hashlib.blake2b(digest_size=32)
    try:
        if file.is_dir():
            for path in sorted(path for path in file.rglob("*") if path.is_file() and not path.is_symlink()):
                digest.update(
                    f"{path.relative_to(file).as_posix()}\x00{path.stat().st_size}\x00".encode(errors="replace")
                )
        else:
            with file.open("rb") as stream:
                while block := stream.read(_BLOCK):
                    digest.update(block)
    except OSError as error:
        raise ImportFileError(f"{file} cannot be read: {error.strerror}.", "Check the file and its rights.") from None
    return digest.hexdigest()


@dataclass(frozen=True)
class _ImportSource:
    """The row of `import_file`: one for a file and the options that it was read with."""

    format: str
    name: str
    file_hash: str
    options: ReadOptions
    user_id: int

    @property
    def stated(self) -> dict[str, Any]:
        """What a person said of the file."""
        return {"frame_base": self.options.frame_base, "fps": self.options.fps, "video": self.options.video}

    @property
    def content_hash(self) -> str:
        """Of the file and what was said of it."""
        key = json.dumps([self.format, self.file_hash, self.stated], sort_keys=True)
        return hashlib.blake2b(key.encode(), digest_size=32).hexdigest()

    def find(self, db: Database) -> tuple[int, bool]:
        """(import_id, whether the file was taken in before); 0 where it was not."""
        with db.read() as conn:
            found = self._found(conn)
        return found or 0, found is not None

    def register(self, db: Database, report: TakenIn) -> tuple[int, bool]:
        """The same; the row is made where there is none."""
        found = {**self.stated, "frame_base": report.frame_base, "said_by": report.said_by, "file_hash": self.file_hash}

        def work(conn: sa.Connection) -> tuple[int, bool]:
            there = self._found(conn)
            if there is not None:
                return there, True
            made = insert_one(
                conn, schema.import_file, format=self.format[:30], name=cut_to(self.name, 300),
                content_hash=self.content_hash, options=cut_to(json.dumps(found), 4000), report="{}",
                user_id=self.user_id, imported_at=datetime.now(UTC),
            )  # fmt: skip
            return made, False

        return db.transact(work)

    def _found(self, conn: sa.Connection) -> int | None:
        f = schema.import_file.c
        return conn.scalar(sa.select(f.import_id).where(f.content_hash == self.content_hash))

    def detector(self, conn: sa.Connection, import_id: int) -> int:
        """model_id of the detector row of its boxes, made at the first of them."""
        f = schema.import_file
        model_id = conn.scalar(sa.select(f.c.model_id).where(f.c.import_id == import_id))
        if model_id is None:
            config = {"format": self.format, "file": cut_to(self.name, 300), "file_hash": self.file_hash}
            model_id = detector_row(conn, config)
            conn.execute(sa.update(f).where(f.c.import_id == import_id).values(model_id=model_id))
        return int(model_id)

    def conclude(self, db: Database, import_id: int, report: TakenIn) -> None:
        """Keeps the counts of the run that stored something."""
        rows, names = report.rows, report.names
        if report.before and not (rows.new_tracks or names.stored or report.times_set or rows.proposals):
            return
        f = schema.import_file
        text = cut_to(json.dumps(report.counts()), 4000)
        with db.write() as conn:
            conn.execute(sa.update(f).where(f.c.import_id == import_id).values(report=text))


def _names(db: Database, spool: Spool, report: TakenIn, wishes: Wishes, annotator: str) -> NameBook:
    names = spool.names()
    book = look_up(db, names, report.names, wishes.new_individuals)
    if wishes.new_individuals:
        planned = planned_individuals(names, book)
        if planned and not wishes.dry_run:
            make_individuals(db, planned, book, report.names, annotator, report.file)
        else:
            book.codes |= planned
            for code in dict.fromkeys(planned.values()):
                report.names.made.add(code)
    return book


def _annotators(db: Database, spool: Spool, report: TakenIn) -> dict[str, str]:
    """Users whom a file names as annotators, by the name as written; the others are counted."""
    found: dict[str, str] = {}
    with db.read() as conn:
        for text, n in spool.annotators():
            user = user_called(conn, text)
            if user is None or user.disabled or user.role == "viewer":
                report.names.by_others.add(f"{text} ({n} rows)")
            else:
                found[text] = str(user.name)
    return found


def _take_pages(
    home: Home, spool: Spool, terms: PageTerms, import_id: int, source: _ImportSource, report: TakenIn, tell: Progress
) -> None:
    done, of = 0, report.media.matched
    for page in pages(spool.matched(), _PAGE):
        tell(f"taking in {report.file}", done, of)
        if report.dry_run:
            with home.database.read() as conn:
                _fill(conn, spool, page, terms, NewRows(import_id, 0), report)
        else:
            _store(home, spool, page, terms, import_id, source, report)
        done += len(page)
    tell(f"taking in {report.file}", of, of)


def _fill(
    conn: sa.Connection, spool: Spool, page: list[MatchedMedium], terms: PageTerms, rows: NewRows, report: TakenIn
) -> Page:
    """What a page becomes, without writing it; report counts it, and what of it is known."""
    footage = read_footage(conn, [one.row_id for one in page])
    rows.prepare(conn, footage.values())
    known = _known(conn, rows.import_id, [one.number for one in page]) if terms.before else {}
    filled = Page(terms, report, rows, known, {number for number, _ in known})
    for one in page:
        filled.take(one, footage.get(one.row_id), spool.boxes(one.medium))
    _drop_what_stands(conn, filled)
    return filled


def _known(conn: sa.Connection, import_id: int, numbers: list[int]) -> dict[tuple[int, str], int]:
    s = schema.imported_track.c
    rows = conn.execute(
        sa.select(s.medium_no, s.source_id, s.track_id).where(
            s.import_id == import_id, s.medium_no.between(min(numbers), max(numbers))
        )
    )
    return {(row.medium_no, row.source_id): row.track_id for row in rows}


def _store(
    home: Home,
    spool: Spool,
    page: list[MatchedMedium],
    terms: PageTerms,
    import_id: int,
    source: _ImportSource,
    report: TakenIn,
) -> None:
    def work(conn: sa.Connection) -> TakenIn:
        # Counted apart: a transaction that meets another is tried again.
        counted = TakenIn(report.format, report.file)
        rows = NewRows(import_id, 0)
        filled = _fill(conn, spool, page, terms, rows, counted)
        if rows.tracks:
            rows.tracks["model_id"] = [source.detector(conn, import_id)] * len(rows.tracks["track_id"])
        rows.write(conn)
        state_times(conn, home.settings, filled.stated)
        _record(conn, filled, source.name)
        return counted

    _join(report, home.database.transact(work))


def _drop_what_stands(conn: sa.Connection, page: Page) -> None:
    """Events that say what was said already are counted and left out: the file may have grown by other rows."""
    names = page.report.names
    a, u, i = schema.annotation.c, schema.app_user.c, schema.individual.c
    ids = {event.annotation_id for event in page.events}
    stored = {
        row.annotation_id
        for row in rows_in_parts(conn, lambda part: sa.select(a.annotation_id).where(a.annotation_id.in_(part)), ids)
    }
    standing = standing_names(conn, sorted({event.track_id or 0 for event in page.events}))
    users = {row.name: row.user_id for row in conn.execute(sa.select(u.name, u.user_id))}
    codes = sorted({event.anim_id for event in page.events if event.anim_id})
    roots = {
        row.anim_id: row.who
        for row in rows_in_parts(
            conn,
            lambda part: sa.select(i.anim_id, sa.func.coalesce(i.same_as_id, i.individual_id).label("who")).where(
                i.anim_id.in_(part)
            ),
            codes,
        )
    }
    left: list[Any] = []
    for event in page.events:
        there = standing.get(event.track_id or 0)
        who = roots.get(event.anim_id or "")
        if event.annotation_id in stored or (there is not None and there.says_so(who, users.get(event.annotator))):
            names.known += 1
        else:
            if there is not None and event.anim_id and there.individual_id not in (None, who):
                names.contradicting.add(f"track {event.track_id}: {event.anim_id} in the file")
            left.append(event)
    page.events = left
    if page.report.dry_run:
        names.stored += len(left)


def _record(conn: sa.Connection, page: Page, file: str) -> None:
    """Store the names of a page. An event that cannot be is counted, with the sentence of the rules."""
    if not page.events:
        return
    names = page.report.names
    contradicted = names.contradicting.n
    results = record_in(conn, page.events)
    for event, result in zip(page.events, results, strict=True):
        names.stored += result.status == "stored"
        names.known += result.status == "duplicate"
        if result.status == "rejected":
            names.refused.add(f"track {event.track_id}, {event.anim_id or event.kind}: {result.reason}")
    note_import(conn, cut_to(file, 300), [result.seq for result in results if result.seq is not None])
    if contradicted:
        ours = {event.track_id: event.annotation_id for event in page.events}
        s = schema.standing_answer.c
        stands = set(conn.scalars(sa.select(s.annotation_id).where(s.track_id.in_(list(ours)))))
        said = [int(text.split(":")[0].removeprefix("track ")) for text in names.contradicting.named]
        names.stands += sum(ours.get(track_id) in stands for track_id in said)


def _join(report: TakenIn, page: TakenIn) -> None:
    """Add the counts of a page to those of the file."""
    parts: list[tuple[Any, Any]] = [
        (report.media, page.media),
        (report.rows, page.rows),
        (report.names, page.names),
        (report, page),
    ]
    for ours, theirs in parts:
        for one in fields(ours):
            value = getattr(theirs, one.name)
            if isinstance(value, Count):
                getattr(ours, one.name).join(value)
            elif isinstance(value, int) and one.name not in ("listed", "frame_base", "dry_run", "before"):
                setattr(ours, one.name, getattr(ours, one.name) + value)


def _times(home: Home, stack: ExitStack) -> Times:
    """Times of the pictures of archived files, read when they are first asked for; the last file's are kept."""
    reader: list[Any] = []
    last: dict[str, NDArray[np.float64] | None] = {}

    def times(uri: str) -> NDArray[np.float64] | None:
        if not reader:
            from chimp_assets.archive.video.picture_times import PictureTimes  # FFmpeg's libraries

            try:
                reader.append(stack.enter_context(PictureTimes(home.archive)))
            except ChimpError:
                reader.append(None)
        if uri not in last:
            found = None if reader[0] is None else reader[0].of(uri)
            last.clear()
            last[uri] = found
        return last[uri]

    return times


def _bad_rows(file: Path, spool: Spool) -> ImportFileError:
    more = spool.n_faults - min(NAMED, len(spool.faults))
    listed = ";\n  ".join(spool.faults[:NAMED]) + (f";\n  and {more:,} more" if more > 0 else "")
    return ImportFileError(
        f"{file} has {spool.n_faults:,} rows that cannot be taken in: {listed}.",
        "Nothing was stored. Mend these, or leave them out with --skip-bad.",
    )
