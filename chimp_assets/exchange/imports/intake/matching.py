"""Which video of the archive a medium of a file is: by content, by path, by the end of its path.

Belongs here: finding rows, and saying why there is none or more than one. Does not belong here: what is done with them
(`taking`), following a row to the one that has its pictures (`footage`).

A path from a file is text to be compared. It opens nothing but files below the folder that a person named (--media).
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema
from chimp_assets.database.connection.engine import Database
from chimp_assets.exchange.imports.annotations import ImportFileError, Medium
from chimp_assets.exchange.imports.intake.report import Count, MediaCounts
from chimp_assets.exchange.imports.intake.spool import Spool

_CANDIDATES = 20
_LAST = "\U0010ffff"
_WHOLE = 10_000
"""Depth of a match by content or by a whole path: no tail is as deep."""
_BLOCK = 1 << 20


def parts_of(path: str) -> list[str]:
    """The names in a path of any system, composed (NFC): without a drive, a root, and what stands before `..`."""
    names: list[str] = []
    for name in unicodedata.normalize("NFC", path).replace("\\", "/").split("/"):
        if name == "..":
            names.clear()
        elif name not in ("", ".") and not (not names and len(name) == 2 and name[1] == ":"):
            names.append(name)
    return names


def list_rows(db: Database, spool: Spool) -> None:
    """The archive's files, each with its newest version, on disk beside the media."""
    v = schema.video.c
    statement = (
        sa.select(
            v.uri, v.video_id, v.bundle_id, v.state, v.bytes, v.content_hash, v.duplicate_of_video_id,
        )
        .where(sa.or_(v.state != "retired", v.burst_video_id.is_not(None), v.duplicate_of_video_id.is_not(None)))
        .order_by(v.uri, v.version)
    )  # fmt: skip
    spool.db.execute("BEGIN")
    with db.read() as conn:
        for page in conn.execution_options(yield_per=5_000).execute(statement).partitions():
            spool.db.executemany(
                "INSERT OR REPLACE INTO row VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (*row, _backwards(names), _backwards(_folded(names)), row.video_id, row.bundle_id)
                    for row, names in ((row, parts_of(row.uri)) for row in page)
                ],
            )
    spool.db.execute("COMMIT")
    spool.db.execute("CREATE INDEX row_video_id ON row (video_id)")
    spool.db.execute(
        "UPDATE row SET (own_id, own_bundle) = (SELECT o.video_id, o.bundle_id FROM row o"
        " WHERE o.video_id = row.copy_of) WHERE copy_of IN (SELECT video_id FROM row)"
    )
    for column in ("exact", "folded", "content_hash", "bytes", "own_bundle"):
        spool.db.execute(f"CREATE INDEX row_{column} ON row ({column})")


def match_media(spool: Spool, media: Path | None, archive: Path | None, counts: MediaCounts) -> None:
    """Match every medium of the spool with a row; counts says how many, and names those without one.

    media: the folder of the media, which may be opened; archive: the archive, where it is a folder of this machine.
    Raises ImportFileError if media is no folder.
    """
    below = None if media is None else _MediaFolder(media, archive)
    found: list[tuple[int, str, str, int]] = []
    missed: list[tuple[int, str, str]] = []
    for number, medium in spool.media():
        counts.listed += 1
        match = _match(spool, medium, below)
        if isinstance(match, tuple):
            found.append((number, *match))
        else:
            missed.append((number, *match.as_row()))
        if len(found) + len(missed) >= 5_000:
            _keep(spool, found, missed)
    _keep(spool, found, missed)
    _settle_rivals(spool)
    for how, count in (("hash", counts.by_hash), ("path", counts.by_path), ("tail", counts.by_tail)):
        count.n = spool.db.execute("SELECT count(*) FROM match WHERE how = ?", (how,)).fetchone()[0]
        rows = spool.db.execute(
            "SELECT m.path, x.uri FROM match x JOIN medium m ON m.no = x.no WHERE x.how = ? ORDER BY x.no LIMIT 20",
            (how,),
        )
        count.named = [path if path == uri else f"{path} is {uri}" for path, uri in rows]
    for several, count in ((False, counts.unmatched), (True, counts.several)):
        _name_missed(spool, several, count)


class _NoMatch:
    """No row, or several."""

    def __init__(self, why: str, candidates: list[str]) -> None:
        self.why, self.candidates = why, candidates

    def as_row(self) -> tuple[str, str]:
        return self.why, json.dumps(self.candidates)


class _MediaFolder:
    """Files below --media: nothing outside of it is looked at, whatever a path or a link says."""

    def __init__(self, folder: Path, archive: Path | None) -> None:
        if not folder.is_dir():
            raise ImportFileError(f"{folder} is no folder.", "Say with --media where the media of the file lie.")
        self._root = folder.resolve()
        self._archive = None if archive is None else archive.resolve()

    def find(self, path: str) -> Path | None:
        """The file of a path, by as much of its end as there is below the folder."""
        names = parts_of(path)
        for start in range(len(names)):
            file = self._root.joinpath(*names[start:])
            try:
                real = file.resolve()
                if real.is_relative_to(self._root) and real.is_file():
                    return real
            except (OSError, ValueError, RuntimeError):  # too long a name, a circle of links
                continue
        return None

    def uri_of(self, file: Path) -> str | None:
        """How the archive calls a file of it; None for others."""
        if self._archive is None or not file.is_relative_to(self._archive):
            return None
        return file.relative_to(self._archive).as_posix()


def _match(spool: Spool, medium: Medium, below: _MediaFolder | None) -> tuple[str, str, int] | _NoMatch:
    if medium.content_hash is not None:
        uri = _by_hash(spool, medium.content_hash.lower())
        if uri is not None:
            return uri, "hash", _WHOLE
    names = parts_of(medium.path)
    uri = _row_of(spool, "/".join(names))
    if uri is None and below is not None and (file := below.find(medium.path)) is not None:
        inside = below.uri_of(file)
        uri = None if inside is None else _row_of(spool, inside)
        if uri is None and (uri := _by_bytes(spool, file)) is not None:
            return uri, "hash", _WHOLE
    if uri is None:
        tail = _by_tail(spool, names)
        if isinstance(tail, _NoMatch):
            return tail
        uri, how, depth = *tail[:1], "tail", tail[1]
    else:
        how, depth = "path", _WHOLE
    if medium.content_hash is not None and _hash_of(spool, uri) not in (None, medium.content_hash.lower()):
        return _NoMatch(f"{uri} has its name and other bytes", [])
    return uri, how, depth


def _row_of(spool: Spool, uri: str) -> str | None:
    row = spool.db.execute("SELECT uri FROM row WHERE uri = ?", (uri,)).fetchone()
    if row is None and not uri.isascii():  # composed otherwise: macOS keeps accents apart
        rows = spool.db.execute("SELECT uri FROM row WHERE exact = ?", (_backwards(parts_of(uri)),)).fetchmany(2)
        row = rows[0] if len(rows) == 1 else None
    return None if row is None else str(row[0])


def _hash_of(spool: Spool, uri: str) -> str | None:
    return spool.db.execute("SELECT content_hash FROM row WHERE uri = ?", (uri,)).fetchone()[0]


def _by_hash(spool: Spool, content_hash: str) -> str | None:
    """The file with these bytes; of copies the one that has the pictures."""
    row = spool.db.execute(
        "SELECT uri FROM row WHERE content_hash = ? ORDER BY copy_of IS NOT NULL, video_id LIMIT 1", (content_hash,)
    ).fetchone()
    return None if row is None else str(row[0])


def _by_bytes(spool: Spool, file: Path) -> str | None:
    try:
        size = file.stat().st_size
        if spool.db.execute("SELECT 1 FROM row WHERE bytes = ? LIMIT 1", (size,)).fetchone() is None:
            return None
        digest = hashlib.blake2b(digest_size=32)
        with file.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        raise ImportFileError(
            f"{file} cannot be read: {error.strerror}.", "Mend that, or import without --media."
        ) from None
    return _by_hash(spool, digest.hexdigest())


def _by_tail(spool: Spool, names: list[str]) -> tuple[str, int] | _NoMatch:
    """The one row that shares the longest end of a path. Case and accents count where they decide."""
    if not names:
        return _NoMatch("it has no name", [])
    exact, depth = _longest(spool, "exact", names)
    if len(exact) == 1 and depth == len(names):
        return exact[0], depth
    folded, folded_depth = _longest(spool, "folded", _folded(names))
    if not folded:
        return _by_stem(spool, names)
    if len(exact) == 1 and (depth >= folded_depth or exact[0] in folded):
        return exact[0], depth
    if exact and depth >= folded_depth:
        return _NoMatch("several have this name", exact)
    if len(folded) == 1:
        return folded[0], folded_depth
    return _NoMatch("several have this name", folded)


def _by_stem(spool: Spool, names: list[str]) -> tuple[str, int] | _NoMatch:
    """The one row that is called so but for its ending: MOT and DIVE name sequences, not files."""
    for column, name in (("exact", names[-1]), ("folded", _folded(names)[-1])):
        if "." in name:
            break
        # All of NAME.ending/ stands before NAME/, since a point sorts before a slash.
        rows = spool.db.execute(
            f"SELECT uri, {column} FROM row WHERE {column} >= ? AND {column} < ? ORDER BY uri LIMIT {_CANDIDATES + 1}",  # noqa: S608
            (f"{name}.", f"{name}/"),
        )
        found = [uri for uri, key in rows if key.split("/", 1)[0].count(".") == 1]
        if len(found) == 1:
            return found[0], 1
        if found:
            return _NoMatch("several have this name", found)
    return _NoMatch("no video or picture has this name", [])


def _longest(spool: Spool, column: str, names: list[str]) -> tuple[list[str], int]:
    """Rows that share the longest end with a path, and how many names that end has.

    Paths are kept backwards and sorted: whoever shares most with a path stands next to it.
    """
    key = _backwards(names)
    near = [
        *spool.db.execute(f"SELECT {column} FROM row WHERE {column} >= ? ORDER BY {column} LIMIT 1", (key,)),  # noqa: S608
        *spool.db.execute(f"SELECT {column} FROM row WHERE {column} < ? ORDER BY {column} DESC LIMIT 1", (key,)),  # noqa: S608
    ]
    depth = max((_shared(key, other) for (other,) in near), default=0)
    if depth == 0:
        return [], 0
    start = "".join(f"{name}/" for name in names[::-1][:depth])
    rows = spool.db.execute(
        f"SELECT uri FROM row WHERE {column} >= ? AND {column} < ? ORDER BY uri LIMIT {_CANDIDATES + 1}",  # noqa: S608
        (start, start + _LAST),
    )
    return [uri for (uri,) in rows], depth


def _shared(one: str, other: str) -> int:
    depth = 0
    for a, b in zip(one.split("/"), other.split("/"), strict=False):
        if a != b or not a:
            break
        depth += 1
    return depth


def _backwards(names: list[str]) -> str:
    return "".join(f"{name}/" for name in reversed(names))


def _folded(names: list[str]) -> list[str]:
    return [unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold()) for name in names]


def _keep(spool: Spool, found: list[Any], missed: list[Any]) -> None:
    spool.db.execute("BEGIN")
    spool.db.executemany("INSERT INTO match VALUES (?, ?, ?, ?)", found)
    spool.db.executemany("INSERT INTO miss VALUES (?, ?, ?)", missed)
    spool.db.execute("COMMIT")
    found.clear()
    missed.clear()


def _settle_rivals(spool: Spool) -> None:
    """Two media cannot be one file: the one that shares more of its path has it, and of equal ones none."""
    spool.db.execute("CREATE INDEX match_uri ON match (uri, depth)")
    spool.db.execute(
        "CREATE TABLE rival AS SELECT x.no, x.uri FROM match x WHERE x.how = 'tail' AND EXISTS"
        " (SELECT 1 FROM match y WHERE y.uri = x.uri AND y.no <> x.no AND y.depth >= x.depth)"
    )
    spool.db.execute(
        "INSERT INTO miss SELECT no, 'another entry of the file is this video or picture', json_array(uri) FROM rival"
    )
    spool.db.execute("DELETE FROM match WHERE no IN (SELECT no FROM rival)")


def _name_missed(spool: Spool, several: bool, count: Count) -> None:
    which = "<>" if several else "="
    count.n = spool.db.execute(f"SELECT count(*) FROM miss WHERE candidates {which} '[]'").fetchone()[0]  # noqa: S608
    rows = spool.db.execute(
        "SELECT m.path, x.why, x.candidates FROM miss x JOIN medium m ON m.no = x.no"  # noqa: S608
        f" WHERE x.candidates {which} '[]' ORDER BY x.no LIMIT 20"
    )
    for path, why, candidates in rows:
        listed = json.loads(candidates)
        more = " and more" if len(listed) > _CANDIDATES else ""
        of = f": {', '.join(listed[:_CANDIDATES])}{more}" if listed else ""
        count.named.append(f"{path}: {why}{of}")
