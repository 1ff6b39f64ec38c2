"""Turns at hashing passwords: a few at once, a short line behind them, and a refusal for everybody else.

Belongs here: who may hash now. Does not belong here: hashes and passwords (`accounts`), guessing (`throttle`).

One argon2 hash takes 64 MiB and a core for some 50 ms. Sixty people who sign in at once must neither fill the memory
nor take the threads that answer all other requests, so hashes have threads of their own, and who waits for one holds
no thread at all.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Protocol, TypeVar

from chimp_assets.web.errors import WebError

AT_ONCE = 2
MOST_WAITING = 16
"""Behind those that hash: the last of them waits for half a second on two quiet cores."""
RETRY_AFTER_S = 2
NICE = 10
"""A hash has four threads of its own, which would take both cores of a small server from those who answer."""

_T = TypeVar("_T")


class Runner(Protocol):
    """Runs work in a thread for hashing."""

    def __call__(self, work: Callable[[], _T]) -> asyncio.Future[_T]: ...


def _step_back() -> None:
    """Threads that hash let all others go first, where the system can tell threads apart (Linux)."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


class Hashing:
    """The queue of hashing of one server. Event loops and threads may share one."""

    def __init__(self, at_once: int = AT_ONCE, most_waiting: int = MOST_WAITING) -> None:
        self._most = at_once + most_waiting
        self._taken = 0
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="hashing", initializer=_step_back)

    @contextmanager
    def turn(self) -> Iterator[Runner]:
        """A place in the queue; gives a function that runs work in a hashing thread. Raises WebError (429) if full."""
        with self._lock:
            if self._taken >= self._most:
                raise WebError(
                    429,
                    "sign_ins",
                    "Many people are signing in right now.",
                    f"Try again in {RETRY_AFTER_S} seconds.",
                    {"Retry-After": str(RETRY_AFTER_S)},
                )
            self._taken += 1
        try:
            yield self._start
        finally:
            with self._lock:
                self._taken -= 1

    async def run(self, work: Callable[[], _T]) -> _T:
        """The result of work in a hashing thread. Raises WebError (429) if the queue is full."""
        with self.turn() as hashed:
            return await hashed(work)

    def _start(self, work: Callable[[], _T]) -> asyncio.Future[_T]:
        return asyncio.wrap_future(self._threads.submit(work))

    def end(self) -> None:
        """Stop; queued work is dropped."""
        self._threads.shutdown(wait=False, cancel_futures=True)
