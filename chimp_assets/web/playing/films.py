"""Pieces and strips of videos, made when somebody asks, by one process that gives way to all others.

Belongs here: who waits, how many, for how long; that each piece is made once for all who ask. Does not belong here:
making (`vision.playing`), caching (`labelling.picture_cache`), addresses (`api.video.playing`).

Whoever leaves while waiting is dropped. What is being made when somebody leaves is finished and cached: it takes a
second, and the next look finds it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from chimp_assets.archive.video.workers import Worker, WorkerDeathError, WorkerFailureError
from chimp_assets.errors import ChimpError
from chimp_assets.vision.playing.making import make_piece, make_strip
from chimp_assets.vision.playing.stored import Stored, stored, version_of
from chimp_assets.web.errors import WebError
from chimp_assets.web.labelling.picture_cache import PictureCache
from chimp_assets.web.metrics import Metrics

_log = logging.getLogger(__name__)

MOST_WAITING = 8
"""Beside the one that is being made."""
LIMIT_S = 20.0
"""For one piece, and for one request."""
RETRY_AFTER_S = 1
AGAIN_AFTER_S = 30.0
"""What failed is not tried again earlier."""
IDLE_S = 60.0
"""Without work the process ends: it holds 100 MB."""
LOOK_S = 0.2
"""Between two looks whether the client is still there."""
PLANS_KEPT = 16

_MAKERS = {"piece": make_piece, "strip": make_strip}


@dataclass(eq=False)
class _Order:
    """One piece that people wait for. waiting: a user for each request."""

    key: str
    kind: str
    message: dict[str, Any]
    done: Future[bytes] = field(default_factory=Future)
    waiting: list[int] = field(default_factory=list)


class Films:
    """Plans of videos, and the pieces of them. Requests hold no thread while they wait."""

    def __init__(self, cache: PictureCache, metrics: Metrics, worker: Callable[[], Worker] | None = None) -> None:
        self._cache, self._metrics = cache, metrics
        self._new_worker = worker or (lambda: Worker(LIMIT_S))
        self._changed = threading.Condition()
        self._orders: OrderedDict[str, _Order] = OrderedDict()
        self._now: _Order | None = None
        self._failed: dict[str, tuple[float, WebError]] = {}
        self._plans: OrderedDict[str, Stored] = OrderedDict()
        self._thread: threading.Thread | None = None
        self._ended = False

    def plan(self, conn: sa.Connection, video_id: int) -> Stored | None:
        """What is stored of a video, as it is now; None where nothing is."""
        version = version_of(conn, video_id)
        if version is None:
            return None
        with self._changed:
            found = self._plans.get(version)
        if found is None:
            found = stored(conn, video_id, version)
        with self._changed:
            self._plans[version] = found
            self._plans.move_to_end(version)
            while len(self._plans) > PLANS_KEPT:
                self._plans.popitem(last=False)
        return found

    def cached(self, plan: Stored, kind: str, number: int) -> bytes | None:
        """A piece or a strip that was made before."""
        return self._cache.get(_key(plan, kind, number))

    async def made(
        self,
        plan: Stored,
        kind: str,
        number: int,
        store: dict[str, Any],
        user_id: int,
        left: Callable[[], Awaitable[bool]],
    ) -> bytes:
        """A piece or a strip (kind: "piece" or "strip"), made now. left: whether the client has gone. Raises WebError:
        503 where too many wait or it takes too long, 404 where the stored pictures cannot be read."""
        message = plan.piece_message(number, store) if kind == "piece" else plan.strip_message(number, store)
        order = self._join(_key(plan, kind, number), kind, message, user_id)
        end = time.monotonic() + LIMIT_S
        try:
            work = asyncio.wrap_future(order.done)
            work.add_done_callback(lambda one: one.cancelled() or one.exception())  # even where nobody asks any more
            while not (await asyncio.wait({work}, timeout=LOOK_S))[0]:
                if time.monotonic() > end:
                    raise _busy("Making this piece took too long.")
                if await left():
                    raise _busy("Nobody waits for this piece any more.")
            return work.result()
        finally:
            self._leave(order, user_id)

    def waiting(self) -> int:
        """How many pieces wait or are being made."""
        with self._changed:
            return len(self._orders) + (self._now is not None)

    def end(self) -> None:
        """Stop, whatever is being made."""
        with self._changed:
            self._ended = True
            for order in self._orders.values():
                order.done.set_exception(_busy("The server is ending."))
            self._orders.clear()
            self._changed.notify_all()

    def _join(self, key: str, kind: str, message: dict[str, Any], user_id: int) -> _Order:
        with self._changed:
            at, failure = self._failed.get(key, (0.0, None))
            if failure is not None:
                if time.monotonic() - at < AGAIN_AFTER_S:
                    raise failure
                del self._failed[key]
            order = self._now if self._now is not None and self._now.key == key else self._orders.get(key)
            if order is None:
                everything = [*self._orders.values(), *([self._now] if self._now is not None else [])]
                if self._ended:
                    raise _busy("The server is ending.")
                if any(user_id in one.waiting for one in everything):
                    raise _busy("Another piece is being made for you.")
                if len(self._orders) >= MOST_WAITING:
                    raise _busy("Many pieces of videos are being made right now.")
                order = self._orders[key] = _Order(key, kind, message)
            order.waiting.append(user_id)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="films", daemon=True)
                self._thread.start()
            self._changed.notify_all()
            return order

    def _leave(self, order: _Order, user_id: int) -> None:
        with self._changed:
            order.waiting.remove(user_id)
            if not order.waiting and self._orders.get(order.key) is order:
                del self._orders[order.key]

    def _work(self) -> None:
        with self._new_worker() as worker:
            while True:
                with self._changed:
                    if not self._changed.wait_for(lambda: self._orders or self._ended, timeout=IDLE_S) or self._ended:
                        self._thread = None
                        return
                    _, order = self._orders.popitem(last=False)
                    self._now = order
                made = self._make(worker, order)
                with self._changed:
                    self._now = None
                    if isinstance(made, WebError) and made.status == 404:
                        self._failed[order.key] = (time.monotonic(), made)
                        while len(self._failed) > 1000:
                            self._failed.pop(next(iter(self._failed)))
                if isinstance(made, WebError):
                    order.done.set_exception(made)
                else:
                    order.done.set_result(made)

    def _make(self, worker: Worker, order: _Order) -> bytes | WebError:
        try:
            made = worker.call(_MAKERS[order.kind], order.message)
        except WorkerDeathError as error:
            _log.warning("the process that makes pieces of videos ended: %s", error.how)
            return _busy("The process that makes pieces of videos ended.")
        except ChimpError as error:
            _log.warning("a %s of a video cannot be made: %s", order.kind, error)
            return _unreadable()
        except WorkerFailureError as error:
            _log.error("a %s of a video cannot be made: %s\n%s", order.kind, *error.args)
            return _unreadable()
        except Exception:
            _log.exception("a %s of a video cannot be made", order.kind)
            return _unreadable()
        if made["unreadable"]:
            _log.warning("a %s of a video shows %d unreadable pictures grey", order.kind, made["unreadable"])
        content = bytes(made["content"])
        self._cache.put(order.key, content)
        self._metrics.count("chimp_films_made_total", kind=order.kind)
        return content


def _key(plan: Stored, kind: str, number: int) -> str:
    return hashlib.sha256(f"{plan.version} {kind} {number}".encode()).hexdigest()


def _busy(sentence: str) -> WebError:
    remedy = "The page tries again by itself."
    return WebError(503, "busy", sentence, remedy, {"Retry-After": str(RETRY_AFTER_S)})


def _unreadable() -> WebError:
    return WebError(
        404, "no_media", "The stored pictures of this piece cannot be read.",
        "Step through the pictures one by one; the server log gives the reason to the administrator.",
    )  # fmt: skip
