"""The store against the rows that name its files: what nobody names, what is half-written, and what is missing.

Bytes come before rows, so a step that was killed leaves files without a row, never a row without its file. A file
without a row may also belong to a step that is at work now: only its age shows that, and younger files stay.
Belongs here: looking through the whole store, deleting what no row names. Does not belong here: one step's own clearing
up (`archive.ingest`, `vision.embedding`), judging (`doctor`).
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from chimp_assets.archive.storage.store import PARTIAL_PREFIX, BlobInfo, BlobStore
from chimp_assets.database import schema as t
from chimp_assets.database.connection.engine import Database
from chimp_assets.vision.learning.unfinished import files_in_use

FOLDERS = (
    "cards", "doctor", "embeddings", "evaluations", "item-media", "layouts", "models", "proposals", "shards",
    "training", "training_sets",
)  # fmt: skip
"""Everything this product puts into a store, sorted. What lies beside is somebody else's and is never looked at."""

NAMES = (
    t.frame_shard.c.uri,
    t.embedding_file.c.uri,
    t.item_media.c.uri,
    t.model.c.checkpoint_uri,
    t.proposal_file.c.uri,
    t.training_set.c.member_uri,
)
"""Every column that names a file of the store."""

SAFE_AGE_S = 3600.0
"""Between the first bytes of a file and its row lie minutes, save for shards of videos that take hours to decode."""

DECODING_S = 48 * 3600.0
"""Shards of a video that is still registered may be of a decoding under way, whose rows come at its very end."""

_SOME = 500
_SHOWN = 20
_LAYOUT = re.compile(r"layouts/[^/]+\.json")
_OF_MODEL = re.compile(r"evaluations/head-(\d{1,18})/[^/]+|cards/(\d{1,18})\.(?:md|json)")
_SHARD = re.compile(r"shards/[^/]+/(\d+)-")


@dataclass
class StoreAudit:
    """What a look through the store found. files: looked at; the others count files and bytes.

    unnamed: whole files that no row names; partial: half-written ones; both of the safe age at least, and deleted if
    that was asked for. missing: keys that rows name and that are not there, at most 20 of n_missing.
    """

    files: int = 0
    unnamed: int = 0
    unnamed_bytes: int = 0
    partial: int = 0
    partial_bytes: int = 0
    n_missing: int = 0
    missing: list[str] = field(default_factory=list)


def audit_store(
    db: Database, store: BlobStore, older_than_s: float = SAFE_AGE_S, *, delete: bool = False
) -> StoreAudit:
    """Compare the store with the rows that name its files; delete what no row names, on request.

    older_than_s: younger files are left alone, and so are shards of videos that may be being decoded; 0 takes all,
    which is right only while nothing else works on this home. Memory: a page of names.
    Raises StoreError, DatabaseError.
    """
    found = StoreAudit()
    newest = datetime.now(UTC) - timedelta(seconds=older_than_s)
    unnamed: list[BlobInfo] = []
    missing: list[str] = []

    def settle() -> None:
        _take_unnamed(db, store, unnamed, found, older_than_s, delete)
        _take_missing(db, store, missing, found)
        unnamed.clear()
        missing.clear()

    with db.read() as conn:
        names = conn.execute(_names(conn.dialect.name).execution_options(yield_per=_SOME))
        for info, name in _side_by_side(_listed(store, found), (row.uri for row in names)):
            if info is None and name is not None:
                missing.append(name)
            elif name is None and info is not None and info.modified <= newest:
                unnamed.append(info)
            if max(len(unnamed), len(missing)) >= _SOME:
                settle()
    settle()
    for folder in FOLDERS:
        _take_partial(store, folder, older_than_s, found, delete)
    return found


def _listed(store: BlobStore, found: StoreAudit) -> Iterator[BlobInfo]:
    for folder in FOLDERS:
        for info in store.list(folder):
            found.files += 1
            yield info


def _names(dialect: str) -> sa.Select[tuple[str]]:
    """Every key of the store that a row names, once, in the order of a listing."""
    named = sa.union(*(sa.select(column.label("uri")).where(column.is_not(None)) for column in NAMES)).subquery()
    collation = {"postgresql": "C", "mssql": "Latin1_General_100_BIN2"}.get(dialect)
    return sa.select(named.c.uri).order_by(sa.collate(named.c.uri, collation) if collation else named.c.uri)


def _side_by_side(
    listed: Iterator[BlobInfo], names: Iterable[str]
) -> Iterator[tuple[BlobInfo, None] | tuple[None, str]]:
    """What only one of two sorted streams holds. Whoever takes it looks again, so order need only be nearly right."""
    waiting = iter(names)
    name = next(waiting, None)
    for info in listed:
        while name is not None and name < info.key:
            yield None, name
            name = next(waiting, None)
        if name == info.key:
            name = next(waiting, None)
        else:
            yield info, None
    while name is not None:
        yield None, name
        name = next(waiting, None)


def _take_unnamed(
    db: Database, store: BlobStore, infos: list[BlobInfo], found: StoreAudit, older_than_s: float, delete: bool
) -> None:
    if not infos:
        return
    # Asked again: a row may have been written since the listing began.
    with db.read() as conn:
        spared = _named_of(conn, [info.key for info in infos]) | files_in_use(conn, infos) | _of_use(conn, infos)
        if older_than_s > 0:
            spared |= _being_decoded(conn, infos)
    for info in infos:
        if info.key in spared:
            continue
        if delete:
            now = store.head(info.key)
            if now is None or now.etag != info.etag:  # written again since: a step is at work on it
                continue
            store.delete(info.key)
        found.unnamed += 1
        found.unnamed_bytes += info.size


def _named_of(conn: sa.Connection, keys: list[str]) -> set[str]:
    named: set[str] = set()
    for column in NAMES:
        named.update(key for key in conn.scalars(sa.select(column).where(column.in_(keys))) if key is not None)
    return named


def _of_use(conn: sa.Connection, infos: list[BlobInfo]) -> set[str]:
    """Files that need no row: places of the network's drawing, and figures and cards of models that exist."""
    model_of = {info.key: int(match[1] or match[2]) for info in infos if (match := _OF_MODEL.fullmatch(info.key))}
    models = sa.select(t.model.c.model_id).where(t.model.c.model_id.in_(sorted(set(model_of.values()))))
    known = set(conn.scalars(models)) if model_of else set()
    return {key for key, model in model_of.items() if model in known} | {
        info.key for info in infos if _LAYOUT.fullmatch(info.key)
    }


def _being_decoded(conn: sa.Connection, infos: list[BlobInfo]) -> set[str]:
    """Keys of shards, not very old, whose video is registered."""
    oldest = datetime.now(UTC) - timedelta(seconds=DECODING_S)
    video_of = {
        info.key: int(match.group(1)) for info in infos if info.modified > oldest and (match := _SHARD.match(info.key))
    }
    registered = set(
        conn.scalars(
            sa.select(t.video.c.video_id).where(
                t.video.c.video_id.in_(sorted(set(video_of.values()))), t.video.c.state == "registered"
            )
        )
    )
    return {key for key, video_id in video_of.items() if video_id in registered}


def _take_missing(db: Database, store: BlobStore, names: list[str], found: StoreAudit) -> None:
    if not names:
        return
    with db.read() as conn:
        named = _named_of(conn, names)
    for name in names:
        if name in named and store.head(name) is None:
            found.n_missing += 1
            if len(found.missing) < _SHOWN:
                found.missing.append(name)


def _take_partial(store: BlobStore, folder: str, older_than_s: float, found: StoreAudit, delete: bool) -> None:
    """Half-written files of a folder. An object store drops them by itself."""
    top = store.local_path(folder)
    if top is None:
        return
    oldest = time.time() - older_than_s
    for path in _partials(top):
        try:
            facts = path.stat()
        except FileNotFoundError:
            continue
        if facts.st_mtime < oldest:
            found.partial += 1
            found.partial_bytes += facts.st_size
    if delete:
        store.sweep_partial(folder, older_than_s)


def _partials(top: Path) -> Iterator[Path]:
    return top.rglob(f"{PARTIAL_PREFIX}*") if top.is_dir() else iter(())
