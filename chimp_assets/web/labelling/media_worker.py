"""Makes missing pictures of claimed tracks, beside the requests, by one worker with a bounded list.

Belongs here: the list of waiting tracks, and how long a claim waits. Does not belong here: making pictures
(`vision.pictures.item_media`).

The asset `item_media` makes pictures in advance; this worker makes those of tracks planned since. A claim waits a
moment for its first tracks and then reports which pictures are missing; the page asks for these until they are there
(`api.pictures`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence

from chimp_assets.database.connection.engine import Database
from chimp_assets.database.work.due import lacking_pictures
from chimp_assets.errors import ChimpError
from chimp_assets.home import Home
from chimp_assets.web.metrics import Metrics

_log = logging.getLogger(__name__)

MOST_WAITING = 1_000
AGAIN_AFTER_S = 600.0
"""A failure is not tried again at every claim."""
WAITED_FOR = 4
"""Tracks that a claim waits for: those that come on the screen next."""
IDLE_S = 30.0
CLEAR_UP_EVERY = 500
"""Tracks between two clean-ups of pictures of tracks that are no longer in the queue."""


class MediaWorker:
    """One worker thread, alive while there are pictures to make."""

    def __init__(self, home: Home, db: Database, metrics: Metrics, enabled: bool = True) -> None:
        self._home, self._db, self._metrics, self._enabled = home, db, metrics, enabled
        self._changed = threading.Condition()
        self._waiting: OrderedDict[int, None] = OrderedDict()
        self._now: int | None = None
        self._failed: dict[int, tuple[float, str]] = {}
        self._made = 0
        self._worker: threading.Thread | None = None
        self._ended = False

    def make_soon(self, track_ids: Sequence[int], wait_s: float, at_once: bool = False) -> None:
        """Queue the missing pictures of tracks; waits for the first few, at most wait_s.

        at_once: they are on a screen now and go to the front of the queue.
        """
        if not self._enabled or not track_ids:
            return
        with self._db.read() as conn:
            lacking = lacking_pictures(conn, list(track_ids))
        if not lacking:
            return
        with self._changed:
            now = time.monotonic()
            wanted = [i for i in lacking if i not in self._failed or now - self._failed[i][0] >= AGAIN_AFTER_S]
            for track_id in wanted:
                if len(self._waiting) < MOST_WAITING and track_id != self._now:
                    self._waiting.setdefault(track_id, None)
            for track_id in reversed(wanted if at_once else []):
                if track_id in self._waiting:
                    self._waiting.move_to_end(track_id, last=False)
            self._start()
            self._changed.notify_all()
            first = set(wanted[:WAITED_FOR])
            self._changed.wait_for(lambda: not first & {*self._waiting, self._now}, timeout=wait_s)

    def why_not(self, track_id: int) -> str | None:
        """Why a track without pictures does not get any (a key of the texts); None if they are being made."""
        with self._changed:
            if track_id in self._failed:
                return self._failed[track_id][1]
            if track_id in self._waiting or track_id == self._now:
                return None
            return None if self._enabled and not self._ended else "unmade"

    def end(self) -> None:
        """Stop after the present track."""
        with self._changed:
            self._ended = True
            self._waiting.clear()
            self._changed.notify_all()
        if self._worker is not None:
            self._worker.join(timeout=10)

    def _start(self) -> None:
        if self._waiting and (self._worker is None or not self._worker.is_alive()) and not self._ended:
            self._worker = threading.Thread(target=self._work, name="pictures", daemon=True)
            self._worker.start()

    def _work(self) -> None:
        while True:
            with self._changed:
                if not self._changed.wait_for(lambda: bool(self._waiting) or self._ended, timeout=IDLE_S):
                    self._worker = None
                    return
                if self._ended:
                    return
                self._now, _ = self._waiting.popitem(last=False)
            why_not = self._make(self._now)
            with self._changed:
                self._failed.pop(self._now, None)
                if why_not is not None:
                    self._failed[self._now] = (time.monotonic(), why_not)
                    while len(self._failed) > MOST_WAITING:
                        self._failed.pop(next(iter(self._failed)))
                self._now = None
                self._changed.notify_all()

    def _make(self, track_id: int) -> str | None:
        """Make the pictures of a track. Returns None, or why it failed: a key of the texts."""
        from chimp_assets.vision.pictures.item_media import drop_old_pictures, make_item_media

        try:
            done = make_item_media(self._db, self._home.store, [track_id])
            for sentence in done.failed.values():
                _log.warning("no pictures of track %s: %s", track_id, sentence)
            self._made += done.tracks
            if done.tracks and self._made % CLEAR_UP_EVERY == 0:
                drop_old_pictures(self._db, self._home.store, self._home.settings.web.stored_pictures_bytes)
        except ChimpError as error:
            _log.warning("no pictures of track %s: %s", track_id, error)
            return "away"
        except Exception:
            _log.exception("no pictures of track %s", track_id)
            return "unreadable"
        self._metrics.count("chimp_pictures_made_total", done.tracks)
        if done.failed:
            return "gone" if track_id in done.lost else "unreadable"
        return None if done.tracks else "no_track"
