"""The best crop of any track, cut from the shards on request.

Belongs here: how many are cut at once; that each is cut once for all who ask; the reason if there is none. Does not
belong here: cutting (`vision.pictures.item_media`), caching (`picture_cache`), addresses (`api.media`).

Pictures of waiting tracks are made in advance and lie in the store (`media_worker`); these are served as they are. Each
other one costs two dozen frames of a video, about 50 ms, and pages ask for whole galleries at once.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import sqlalchemy as sa

from chimp_assets.archive.storage.store import MissingBlobError
from chimp_assets.archive.video.pictures import PictureError
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.schema import item_media
from chimp_assets.errors import ChimpError
from chimp_assets.home import Home
from chimp_assets.web.labelling.picture_cache import PictureCache
from chimp_assets.web.metrics import Metrics

_log = logging.getLogger(__name__)

AT_ONCE = 2
"""Threads that cut. Each holds two decoded frames, and requests of the labelling page need a free core."""
MOST_WAITING = 500
AGAIN_AFTER_S = 30.0
"""A failed cut is not tried again earlier: a page of sixty lost pictures would read the store for ever."""
MOST_FAILED = 10_000


@dataclass(frozen=True)
class Face:
    """A JPEG and its etag, or the reason why there is none: missing, a key of the texts under `media`."""

    content: bytes = b""
    etag: str = ""
    missing: str | None = None


BUSY = Face(missing="busy")


class Faces:
    """Cuts faces in its own threads; waiting requests hold no thread."""

    def __init__(self, home: Home, db: Database, cache: PictureCache, metrics: Metrics) -> None:
        self._home, self._db, self._cache, self._metrics = home, db, cache, metrics
        self._lock = threading.RLock()  # reentrant: a finished future calls _finished inside _submit
        self._running: dict[int, Future[Face]] = {}
        self._failed: dict[int, tuple[float, Face]] = {}
        self._threads: ThreadPoolExecutor | None = None

    async def get(self, track_id: int) -> Face:
        """The picture of a track, cut if necessary. Requests for a picture that is being cut share the result."""
        with self._lock:
            work = self._running.get(track_id)
            if work is None:
                if len(self._running) >= MOST_WAITING:
                    return BUSY
                work = self._submit(track_id)
        # Shielded: if one request ends early, the others still get the picture.
        return await asyncio.shield(asyncio.wrap_future(work))

    def end(self) -> None:
        """Stop; cuts that have not begun are dropped."""
        with self._lock:
            threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False, cancel_futures=True)

    def _submit(self, track_id: int) -> Future[Face]:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(AT_ONCE, "faces")
        work = self._threads.submit(self._face, track_id)
        self._running[track_id] = work
        work.add_done_callback(lambda _: self._finished(track_id))
        return work

    def _finished(self, track_id: int) -> None:
        with self._lock:
            self._running.pop(track_id, None)

    def _face(self, track_id: int) -> Face:
        m = item_media.c
        with self._db.read() as conn:
            made = conn.execute(
                sa.select(m.uri, m.content_hash).where(m.track_id == track_id, m.kind == "crop", m.place == 0)
            ).first()
        if made is not None:
            try:
                return Face(self._home.store.get(made.uri), made.content_hash)
            except ChimpError as error:
                _log.warning("the stored picture of track %s cannot be read and is cut again: %s", track_id, error)
        at, failed = self._failed.get(track_id, (0.0, None))
        if failed is not None and time.monotonic() - at < AGAIN_AFTER_S:
            return failed
        found = self._cut(track_id)
        with self._lock:
            self._failed.pop(track_id, None)
            if found.missing is not None:
                self._failed[track_id] = (time.monotonic(), found)
                while len(self._failed) > MOST_FAILED:
                    self._failed.pop(next(iter(self._failed)))
        return found

    def _cut(self, track_id: int) -> Face:
        from chimp_assets.vision.pictures.stills import cut_face, source_of

        try:
            source = source_of(self._db, track_id)
            if source is None:
                return Face(missing="no_track")
            content = self._cache.get(source.key)
            if content is None:
                content = cut_face(self._db, self._home.store, source)
                self._cache.put(source.key, content)
                self._metrics.count("chimp_pictures_cut_total", 1)
            return Face(content, source.key)
        except MissingBlobError as error:
            _log.warning("no picture of track %s: %s", track_id, error)
            return Face(missing="gone")
        except PictureError as error:
            _log.warning("no picture of track %s: %s", track_id, error)
            return Face(missing="unreadable")
        except ChimpError as error:
            _log.warning("no picture of track %s: %s", track_id, error)
            return Face(missing="away")
        except Exception:
            _log.exception("no picture of track %s", track_id)
            return Face(missing="unreadable")
