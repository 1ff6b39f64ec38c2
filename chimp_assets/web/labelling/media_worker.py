"""Pictures of claimed tracks that nobody has made yet: made beside the requests, by one worker with a bounded list.

Belongs here: what is waiting, and how long a claim waits for it. Does not belong here: making (`vision.item_media`).

The asset `item_media` makes pictures ahead; this is for what was planned since. A claim waits a moment for the tracks
that are asked first and then says which pictures are missing; the page asks for these alone until they are there
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
"""What could not be made is not tried again at every claim."""
WAITED_FOR = 4
"""Tracks a claim waits for: what is on the screen next."""
IDLE_S = 30.0
CLEAR_UP_EVERY = 500
"""Tracks: how often what was made for tracks that nobody is asked about any more is looked at."""


class MediaWorker:
    """One worker thread, alive while there is something to make."""

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
        """Ask for the pictures of tracks that lack them; waits for the first few, wait_s at the longest.

        at_once: they are on somebody's screen and go before what is made ahead.
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
        """Why a track that lacks pictures does not get them (a key of the texts); None: they are being made."""
        with self._changed:
            if track_id in self._failed:
                return self._failed[track_id][1]
            if track_id in self._waiting or track_id == self._now:
                return None
            return None if self._enabled and not self._ended else "unmade"

    def end(self) -> None:
        """Stop after the track in hand."""
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
        """Why there are none: a key of the texts; None where they are made."""
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
