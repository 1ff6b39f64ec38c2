"""The archive as a list of videos: what counts as one, and the name of everything that does not.

Belongs here: passing over the home, the store, folders of the system, links and what cannot be read; counting it and
naming it; keeping that in SQL. Does not belong here: what changed since the last listing (`discover`), reading folders
(`folders`), rules about names (`places`, `file_names`).
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import sqlalchemy as sa

from chimp_assets.archive.catalogue.file_names import is_listed_name
from chimp_assets.archive.catalogue.places import system_part
from chimp_assets.archive.stills.kinds import is_picture_name
from chimp_assets.archive.storage.blobs import BlobInfo, Walk
from chimp_assets.database.connection.bulk import insert_one, insert_rows
from chimp_assets.database.connection.counters import take_numbers
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.schema import LISTED, PASSED_OVER_REASONS, passed_over, passed_over_count
from chimp_assets.database.texts import cut_to, units_of
from chimp_assets.settings import TOML_NAME, Settings

URI_LENGTH = 800
NAMED = 100
"""Paths of each reason that are kept with their names; the numbers are exact however many there are."""
ENDINGS = 100
"""Endings of file names that are counted apart; the others together, as `*`."""
_SNIFFED = 4096

# What a home holds at its top, and what a store does.
_HOME_ENTRIES = {TOML_NAME, "store", "dagster", "logs", "backups"}
_HOME_SIGNS = {"store", "dagster", "chimp.db"}
_STORE_FOLDERS = {
    "shards", "embeddings", "training_sets", "models", "heads", "embedders", "detectors", "items", "media", "doctor",
    "plots", "evaluation", "evaluations", "item-media", "layouts", "training",
}  # fmt: skip

# What cameras and programs put beside a film or picture.
_COMPANIONS = {".thm", ".xmp", ".lrv", ".lrf", ".aae", ".dop", ".pp3", ".cpi", ".mpl", ".bdm", ".srt"}

REASON_WORDS = {
    "not_video": "no videos or pictures by their names",
    "system": "kept by an operating system or hidden",
    "own": "the home or the store of Chimp Assets",
    "link": "symbolic links that are not followed",
    "unreadable": "cannot be read",
    "name": "names that cannot be stored",
    "not_file": "pipes, sockets or devices",
}


@dataclass(frozen=True)
class PassedOverFile:
    """One thing that is not listed. path: inside the archive, printable; reason: of schema.PASSED_OVER_REASONS."""

    path: str
    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.path or 'The archive folder'}: {self.detail}"


@dataclass
class Tally:
    """What one listing passed over. counts: by reason and ending (empty but for `not_video`); named: of each reason the
    first NAMED, by their paths as they are."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    named: dict[tuple[str, str], str] = field(default_factory=dict)
    _of: Counter[str] = field(default_factory=Counter)

    def add(self, path: str, reason: str, detail: str, ending: str = "") -> None:
        """Count one, and name it if there is room."""
        self.counts[reason, self._ending(reason, ending)] += 1
        if self._of[reason] < NAMED and (reason, path) not in self.named:
            self._of[reason] += 1
            self.named[reason, path] = detail

    def _ending(self, reason: str, ending: str) -> str:
        if not ending or (reason, ending) in self.counts:
            return ending
        return ending if len(self.counts) < ENDINGS else "*"

    def of(self, *reasons: str) -> int:
        """How many there are of these reasons."""
        return sum(n for (reason, _), n in self.counts.items() if reason in reasons)


class Listing:
    """The videos of an archive in the order of their paths. tally: what was passed over up to the last one given out.

    hidden: paths that cannot be read, so that what lies there is not known to be gone.
    """

    def __init__(self, archive: Any, settings: Settings, after: str | None) -> None:
        self._archive = archive
        self._settings = settings
        self._after = after
        self._own = _own_prefixes(archive, settings)
        self._has_no_folders = _folder_of(str(archive.url)) is None
        self._top_is_home = _is_home_at_top(archive, settings)
        self._waiting: list[tuple[str, str, str]] = []
        self._reported: set[tuple[str, str]] = set()
        self._walk = Walk(self._pass_over, _never(settings), _is_own, settings.archive.follow_links)
        self.tally = Tally()
        self.hidden: list[str] = []

    def files(self) -> Iterator[tuple[BlobInfo, bool]]:
        """Each file that is not passed over as a part of something, and whether its name is a video's."""
        for info in self._infos():
            self._settle(info.key)
            yield info, self._is_video(info)
        self._settle(None)

    def _infos(self) -> Iterator[BlobInfo]:
        yield from self._archive.list("", self._after, self._walk)

    def _pass_over(self, path: str, reason: str, detail: str, hides: bool) -> None:
        if hides:
            self.hidden.append(path)
        # A folder reports all its bad names before its first file is given out, also those before `after`.
        if (self._after is None or path > self._after or path == "") and (reason, path) not in self._reported:
            self._reported.add((reason, path))
            self._waiting.append((path, reason, detail))

    def _settle(self, upto: str | None) -> None:
        """Count what was reported up to this name: what lies behind it belongs to the next listing."""
        if not self._waiting:
            return
        rest = []
        for one in self._waiting:
            if upto is None or one[0] <= upto:
                self.tally.add(*one)
            else:
                rest.append(one)
        self._waiting = rest

    def _is_video(self, info: BlobInfo) -> bool:
        key = info.key
        own = self._own_part(key)
        if own is not None:
            if ("own", own) not in self.tally.named:  # one for the whole, however many files lie below it
                self.tally.add(own, "own", "the home or the store of Chimp Assets")
            return False
        part = system_part(key)
        if part is not None:
            self.tally.add(part, "system", "kept by an operating system, or hidden")
            return False
        if not is_listed_name(key, self._settings):
            ending = PurePosixPath(key).suffix.lower()[:20]
            why = "its ending is not one of a video or picture (archive.suffixes, pictures.suffixes)"
            if ending in _COMPANIONS or is_picture_name(key, self._settings.pictures.suffixes):
                why = "it accompanies a video or picture: a thumbnail, or notes about it"
            # A suffix with odd letters is the end of a sentence and no ending.
            self.tally.add(key, "not_video", why, ending if re.fullmatch(r"\.\w{1,12}", ending) else "")
            return False
        if units_of(key) > URI_LENGTH:
            self.hidden.append(key)
            self.tally.add(key, "name", f"its path is longer than {URI_LENGTH} letters")
            return False
        return True

    def _own_part(self, key: str) -> str | None:
        for prefix in self._own:
            if key.startswith(prefix + "/"):
                return prefix
        top, slash, _ = key.partition("/")
        if self._top_is_home and (top in _HOME_ENTRIES or top in _STORE_FOLDERS or top.startswith("chimp.db")):
            return top
        folder, _, name = key.rpartition("/")
        if self._has_no_folders and slash and name == TOML_NAME:
            # What follows the settings of a home belongs to it: there is no folder to look into.
            self._own.append(folder)
            return folder
        return None


def _is_own(folder: str, names: frozenset[str]) -> bool:
    """Whether a folder with these entries is a home, or a store on its own (a backup of either, say)."""
    if TOML_NAME in names and names & _HOME_SIGNS:
        return True
    return "shards" in names and names <= _STORE_FOLDERS


def _never(settings: Settings) -> frozenset[tuple[int, int]]:
    found = set()
    for folder in (settings.home, _folder_of(settings.store_url)):
        try:
            facts = folder.stat() if folder is not None else None
        except OSError:
            continue
        if facts is not None:
            found.add((facts.st_dev, facts.st_ino))
    return frozenset(found)


def _folder_of(url: str) -> Path | None:
    parts = urlsplit(url)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return Path(url).expanduser().absolute() if len(parts.scheme) < 2 else None


def _own_prefixes(archive: Any, settings: Settings) -> list[str]:
    """Names inside the archive below which the store lies, where both are containers."""
    whole, store = str(archive.url).rstrip("/"), settings.store_url.rstrip("/")
    return [store[len(whole) + 1 :]] if store.startswith(whole + "/") and "://" in whole else []


def _is_home_at_top(archive: Any, settings: Settings) -> bool:
    """Whether the archive is itself a home or the store: then what these hold is passed over, and the rest is not."""
    folder = _folder_of(str(archive.url))
    if folder is None:
        return str(archive.url).rstrip("/") == settings.store_url.rstrip("/")
    try:
        facts = folder.stat()
        return (facts.st_dev, facts.st_ino) in _never(settings) or (folder / TOML_NAME).is_file()
    except OSError:
        return False


def printable(path: str) -> str:
    """A path whose every letter can be printed and stored: control, invisible and undecodable ones are escaped."""
    shown = []
    for c in path:
        if "\udc80" <= c <= "\udcff":  # a byte that is no text, as Python reads it
            shown.append(f"\\x{ord(c) - 0xDC00:02x}")
        elif c == "\\":
            shown.append("\\\\")
        elif unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
            shown.append(f"\\u{ord(c):04x}" if ord(c) <= 0xFFFF else f"\\U{ord(c):08x}")
        else:
            shown.append(c)
    return "".join(shown)


def _as_named(shown: str) -> str:
    """What `printable` was given."""

    def letter(found: re.Match[str]) -> str:
        text = found[0]
        if text == "\\\\":
            return "\\"
        number = int(text[2:], 16)
        return chr(number + 0xDC00) if text[1] == "x" else chr(number)

    return re.sub(r"\\\\|\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\U[0-9a-f]{8}", letter, shown)


def remember(db: Database, archive: Any, tally: Tally, listed: int, after: str | None, upto: str | None,
             at: datetime) -> None:  # fmt: skip
    """Keep what a listing of the names in (after, upto] passed over. upto None: to the end of the archive.

    Writes nothing where nothing is passed over, or all is as before. Numbers are those of the last whole listing, which
    may have taken many calls; a listing that another one has overtaken is not counted.
    """
    c = passed_over_count.c
    rows = sa.select(passed_over_count).where(c.reason.in_((LISTED, *PASSED_OVER_REASONS)))
    with db.read() as conn:
        stored = {(row.reason, row.ending): row for row in conn.execute(rows)}
    if not stored and not tally.counts:
        return
    so_far = _counted_before(stored, after)
    wanted = None
    if so_far is not None:
        so_far.update(tally.counts)
        so_far[LISTED, ""] += listed
        wanted = _rows_of(stored, so_far, upto)
    details = _Details(tally, after, upto)
    with db.read() as conn:
        gone, new = details.changes(conn)
    there = {key: (row.n, row.n_so_far, row.upto) for key, row in stored.items()}
    if (wanted is None or wanted == there) and not gone and not new:
        return
    described = [(path, reason, _described(archive, path, reason, detail)) for path, reason, detail in new]

    def write(conn: sa.Connection) -> None:
        take_numbers(conn, "discovery", 0)  # two listings at once take turns
        if wanted is not None and wanted != there:
            conn.execute(sa.delete(passed_over_count).where(c.reason.in_((LISTED, *PASSED_OVER_REASONS))))
            insert_rows(
                conn,
                passed_over_count,
                {
                    "reason": [reason for reason, _ in wanted],
                    "ending": [ending for _, ending in wanted],
                    "n": [n for n, _, _ in wanted.values()],
                    "n_so_far": [n for _, n, _ in wanted.values()],
                    "upto": [name for _, _, name in wanted.values()],
                },
            )
        if gone:
            conn.execute(sa.delete(passed_over).where(passed_over.c.passed_over_id.in_(gone)))
        for path, reason, detail in described:
            insert_one(conn, passed_over, reason=reason, path=path, detail=detail, first_seen_at=at)

    db.transact(write)


def _counted_before(stored: dict[tuple[str, str], Any], after: str | None) -> Counter[tuple[str, str]] | None:
    """What the listing under way has counted up to here; None if this is not its next part."""
    if after is None or not stored:
        return Counter()
    mark = stored.get((LISTED, ""))
    if mark is None or mark.upto != cut_to(after, URI_LENGTH):
        return None
    return Counter({key: row.n_so_far for key, row in stored.items()})


def _rows_of(
    stored: dict[tuple[str, str], Any], so_far: Counter[tuple[str, str]], upto: str | None
) -> dict[tuple[str, str], tuple[int, int, str | None]]:
    """What the table must hold: (n, n_so_far, upto) by reason and ending."""
    if upto is None:
        return {key: (n, 0, None) for key, n in so_far.items() if n} if so_far.total() > so_far[LISTED, ""] else {}
    mark = cut_to(upto, URI_LENGTH) if "\x00" not in upto else None
    found = {}
    for key in {*stored, *so_far, (LISTED, "")}:
        n = stored[key].n if key in stored else 0
        found[key] = (n, so_far[key], mark if key == (LISTED, "") else None)
    return found


class _Details:
    """Which named paths come and go."""

    def __init__(self, tally: Tally, after: str | None, upto: str | None) -> None:
        self._seen = {(reason, cut_to(printable(path), URI_LENGTH)): detail
                      for (reason, path), detail in tally.named.items()}  # fmt: skip
        self._after = after
        self._upto = upto

    def changes(self, conn: sa.Connection) -> tuple[list[int], list[tuple[str, str, str]]]:
        """(ids of those that are gone, (path, reason, detail) of those that are new and have room)."""
        p = passed_over.c
        rows = conn.execute(sa.select(p.passed_over_id, p.reason, p.path).where(p.reason.in_(PASSED_OVER_REASONS)))
        kept: Counter[str] = Counter()
        known = set()
        gone = []
        for row in rows.all():
            if (row.reason, row.path) not in self._seen and self._covers(_as_named(row.path)):
                gone.append(row.passed_over_id)
            else:
                known.add((row.reason, row.path))
                kept[row.reason] += 1
        new = []
        for (reason, path), detail in self._seen.items():
            if (reason, path) not in known and kept[reason] < NAMED:
                kept[reason] += 1
                new.append((path, reason, cut_to(printable(detail), 500)))
        return gone, new

    def _covers(self, path: str) -> bool:
        return (self._after is None or path > self._after) and (self._upto is None or path <= self._upto)


# How the containers that people have begin; `ftyp` of pictures and of sound is none.
_SIGNS = (
    (re.compile(rb"....ftyp(?!heic|heix|mif1|avif|M4A |crx )", re.DOTALL), "MP4 or MOV"),
    (re.compile(rb"....(?:moov|mdat|wide)", re.DOTALL), "MOV"),
    (re.compile(rb"RIFF....AVI ", re.DOTALL), "AVI"),
    (re.compile(rb"\x1a\x45\xdf\xa3"), "Matroska"),
    (re.compile(rb"\x00\x00\x01[\xba\xb3]"), "MPEG"),
    (re.compile(rb"(?:....)?\x47.{187}(?:....)?\x47.{187}(?:....)?\x47", re.DOTALL), "MPEG-TS"),
    (re.compile(rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11"), "ASF or WMV"),
    (re.compile(rb"FLV\x01"), "FLV"),
    (re.compile(rb"\x06\x0e\x2b\x34"), "MXF"),
)


def _described(archive: Any, path: str, reason: str, detail: str) -> str:
    """The detail, and for a file without a video's ending what its first bytes look like. Read once for each name."""
    if reason != "not_video" or PurePosixPath(path).suffix.lower() in (".jpg", ".jpeg", ".txt", ".csv", ".png"):
        return detail
    try:
        begin = archive.get_range(_as_named(path), 0, _SNIFFED)
    except Exception:  # what cannot be read is not described better
        return detail
    kind = next((name for sign, name in _SIGNS if sign.match(begin)), None)
    if kind is None:
        return detail
    return f"its content looks like {kind}: give it that ending, or add its own to archive.suffixes"
