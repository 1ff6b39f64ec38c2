"""The index as it is now: what lands is added beside, and a new embedder takes over once it has seen the archive.

Belongs here: which embedder answers, what has landed, and who waits for whom. Does not belong here: files (`catalogue`)
and the scan (`scan`).

Whoever asks looks at the rows of `embedding_file` first, some seconds apart at most: a bundle that has landed is added
before the next answer if that takes no longer than `WAIT_S`, and in the background if it takes longer; the answer says
how many bundles are still missing.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa
from safetensors.numpy import load

from chimp_assets.database import schema as t
from chimp_assets.vision.embedding.search_index.catalogue import Catalogue, bring_up_to_date
from chimp_assets.vision.embedding.search_index.scan import VectorIndex
from chimp_assets.vision.models.checkpoint import ModelFileError, model_of, read_checked

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.database.connection.engine import Database
    from chimp_assets.vision.embedding.search_index.segments import Segment

log = logging.getLogger(__name__)

COVERED = 0.99
"""Share of the tracks that the embedder before has seen, from which on a new champion answers."""
LOOK_S = 5.0
WAIT_S = 2.0
AGAIN_S = 30.0
"""After a failure: a store that is away is not asked at each question."""


@dataclass(frozen=True)
class LandedFile:
    """An embedding file as SQL names it."""

    bundle_id: int
    uri: str
    content_hash: str
    n_tracks: int


@dataclass(frozen=True)
class Answering:
    """What can be searched now. waiting: bundles whose vectors are not inside yet; trouble: unreadable (a
    file of a bundle is not what it was) or away (the store or the folder), None if they are only being added."""

    index: VectorIndex
    waiting: int
    trouble: str | None = None


def answering_embedder(conn: sa.Connection) -> int | None:
    """The embedder whose vectors are compared: the champion, or, until it has embedded 99 % of what another has, the
    one that has embedded most. None before anything is embedded."""
    f, m = t.embedding_file.c, t.model.c
    counted = conn.execute(
        sa.select(f.model_id, sa.func.sum(f.n_tracks).label("n"), sa.func.max(m.state).label("state"))
        .join_from(t.embedding_file, t.model, m.model_id == f.model_id)
        .group_by(f.model_id)
        .order_by(f.model_id)
    ).all()
    if not counted:
        return None
    most = max(counted, key=lambda row: (row.n, row.model_id))
    champion = next((row for row in counted if row.state == "champion"), None)
    return int((champion if champion is not None and champion.n >= COVERED * most.n else most).model_id)


def landed_files(conn: sa.Connection, embedder: int) -> dict[int, LandedFile]:
    """The embedding files of an embedder by bundle."""
    f = t.embedding_file.c
    rows = conn.execute(
        sa.select(f.bundle_id, f.uri, f.content_hash, f.n_tracks).where(f.model_id == embedder).order_by(f.bundle_id)
    )
    return {row.bundle_id: LandedFile(row.bundle_id, row.uri, row.content_hash, row.n_tracks) for row in rows}


class LivingIndex:
    """The index of a home, kept in a folder of this machine. Threads may ask at the same time."""

    def __init__(self, db: Database, store: Callable[[], BlobStore], folder: Path) -> None:
        self._db, self._store, self._folder = db, store, folder
        self._lock = threading.Lock()
        self._made: VectorIndex | None = None
        self._inside: dict[int, str] = {}
        self._looked = self._failed = -1e9
        self._trouble: str | None = None
        self._waiting = 0
        self._work: threading.Thread | None = None

    def current(self, wait_s: float = WAIT_S) -> Answering | None:
        """The index, after what has landed was added or `wait_s` have passed. None before anything is embedded."""
        with self._lock:
            if self._work is None and time.monotonic() - self._looked >= LOOK_S:
                self._look()
            work = self._work
        if work is not None:
            work.join(wait_s)
        with self._lock:
            if self._made is None:
                none_yet = self._work is None and self._trouble is None
                return None if none_yet else Answering(_nothing(), self._waiting, self._trouble)
            return Answering(self._made, self._waiting, self._trouble)

    def _look(self) -> None:
        """Begin to add what has landed, if anything has. Under the lock."""
        with self._db.read() as conn:
            embedder = answering_embedder(conn)
            if embedder is None:
                return
            landed = landed_files(conn, embedder)
            weights = model_of(conn, embedder).checkpoint_hash
        self._looked = time.monotonic()
        wanted = {bundle: file.uri for bundle, file in landed.items()}
        same = self._made is not None and self._made.embedder == embedder
        if same and self._inside == wanted:
            self._waiting = 0
            return
        self._waiting = sum(1 for bundle, uri in wanted.items() if not same or self._inside.get(bundle) != uri)
        if time.monotonic() - self._failed < AGAIN_S:
            return
        folder = self._folder / str(embedder) / (weights or "fitted")[:12]
        self._work = threading.Thread(
            target=self._add, args=(folder, embedder, landed), name="search-index", daemon=True
        )
        self._work.start()

    def _add(self, folder: Path, embedder: int, landed: dict[int, LandedFile]) -> None:
        wanted = {bundle: file.uri for bundle, file in landed.items()}
        unread: list[int] = []

        def read(bundle: int) -> tuple[np.ndarray, np.ndarray] | None:
            try:
                content = load(read_checked(self._store(), landed[bundle].uri, landed[bundle].content_hash))
            except ModelFileError as error:  # embedded anew this moment, or lost: the others are found all the same
                log.warning("Vectors of bundle %d are left out of the index: %s", bundle, error)
                unread.append(bundle)
                return None
            return content["track_id"], content["embedding"]

        def told(segments: list[Segment], known: Catalogue) -> None:
            with self._lock:
                if self._made is None or self._made.embedder == embedder:
                    self._take(VectorIndex(embedder, segments, known, wanted), known, wanted)

        try:
            segments, known = bring_up_to_date(folder, wanted, read, told)
            whole = VectorIndex(embedder, segments, known, wanted)
            with self._lock:
                self._take(whole, known, wanted)
                self._trouble, self._work = ("unreadable" if unread else None), None
                if unread:
                    self._failed = time.monotonic()
            self._forget_others(folder)
        except Exception:
            log.exception("The index of vectors could not be brought up to date")
            with self._lock:
                self._failed = time.monotonic()
                self._trouble, self._work = "away", None

    def _take(self, index: VectorIndex, known: Catalogue, wanted: dict[int, str]) -> None:
        held = known.holds()
        self._made = index
        self._inside = {bundle: uri for bundle, uri in wanted.items() if held.get(bundle) == uri}
        self._waiting = len(wanted) - len(self._inside)

    def _forget_others(self, kept: Path) -> None:
        """Remove the folders of embedders that no longer answer."""
        for folder in self._folder.glob("*/*"):
            if folder != kept and folder.is_dir():
                shutil.rmtree(folder, ignore_errors=True)


def _nothing() -> VectorIndex:
    return VectorIndex(0, [], Catalogue(), {})
