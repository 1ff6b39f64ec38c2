"""What Celery's workers answer when they are asked, and what follows from who is silent.

Belongs here: asking all workers every few seconds, the slots that they have, and the verdict on a run that nobody works
on. Does not belong here: what becomes of such a run (`celery`).

A worker answers from its main process, which works on no run: also a run that keeps its own process in C code for an
hour leaves it free to answer. In doubt a run counts as worked on: marked as failed while it works, it would be done
twice at once. That would be harmless (bytes before rows, each once) but wasted.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from celery import Celery

from chimp_assets.automation.launchers.broker import ROLL_CALL

EVERY_S = 5.0
ANSWER_S = 3.0
"""A worker that has not answered by then counts as silent in this roll call."""
MISSING_S = 30.0
"""A run that no worker has named for so long, in at least three roll calls, is gone."""
BACK_S = 60.0
"""So long instead, if the broker was away: workers need a while to find it again."""
ALL_SILENT_S = 180.0
"""When nobody at all answers, the fault may be the broker's, and nobody is there to do the run again."""
FRESH_S = 20.0
_MEMORY_S = 600.0
_ASKED_S = 120.0


@dataclass(frozen=True)
class WorkerAnswer:
    """What one worker says: its name, its queues, how many runs it takes at once, and which it has now."""

    name: str
    queues: frozenset[str]
    slots: int
    runs: frozenset[str]


@dataclass(frozen=True)
class RollCall:
    """All answers to one question. at: time.monotonic(); workers: None if the broker could not be reached."""

    at: float
    workers: tuple[WorkerAnswer, ...] | None

    def names(self, run_id: str) -> bool:
        """Whether a worker has this run."""
        return any(run_id in worker.runs for worker in self.workers or ())


def why_gone(calls: Sequence[RollCall], run_id: str, since: float, now: float) -> str | None:
    """Why a run that is marked as started must be gone, in words; None: it is worked on, or nothing is known.

    calls: oldest first. Only those count that came after `since`, when the run was first known as started, and after
    the last one in which it was named or the broker away.
    """
    if not calls or now - calls[-1].at > FRESH_S:
        return None
    missing: list[RollCall] = []
    patience = MISSING_S
    for call in reversed(calls):
        if call.workers is None:
            patience = BACK_S
            break
        if call.names(run_id) or call.at < since:
            break
        missing.append(call)
    answered = [call for call in missing if call.workers]
    if answered:
        seconds = now - answered[-1].at
        if len(answered) >= 3 and seconds >= patience:
            there = ", ".join(worker.name for worker in answered[0].workers or ())
            return f"no worker has named it for {seconds:.0f} s; there are {there}"
    elif missing and now - missing[-1].at >= ALL_SILENT_S:
        return f"no worker has answered for {now - missing[-1].at:.0f} s"
    return None


def slots_of(call: RollCall | None, now: float) -> dict[str, int]:
    """How many runs the living workers take at once, by queue; a worker of several queues counts for its first.

    Empty if nothing is known: then nothing is sent.
    """
    if call is None or now - call.at > FRESH_S:
        return {}
    slots: dict[str, int] = {}
    for worker in call.workers or ():
        queue = min(worker.queues, default="")
        slots[queue] = slots.get(queue, 0) + worker.slots
    return slots


class RollCalls:
    """Asks all workers every few seconds, in a thread that begins with the first question and ends when nobody asks."""

    def __init__(self, app: Celery, ask: Callable[[Celery], RollCall] | None = None) -> None:
        self._app = app
        self._ask = ask or ask_all
        self._calls: deque[RollCall] = deque(maxlen=int(_MEMORY_S / EVERY_S))
        self._lock = threading.Lock()
        self._first = threading.Event()
        self._thread: threading.Thread | None = None
        self._wanted_at = 0.0

    def all(self) -> list[RollCall]:
        """The roll calls of the last minutes, oldest first. Waits for the first one."""
        with self._lock:
            self._wanted_at = time.monotonic()
            if self._thread is None or not self._thread.is_alive():
                self._first.clear()
                self._thread = threading.Thread(target=self._run, name="roll-calls", daemon=True)
                self._thread.start()
        self._first.wait(ANSWER_S * 4)
        return list(self._calls)

    def newest(self) -> RollCall | None:
        """The last one."""
        calls = self.all()
        return calls[-1] if calls else None

    def _run(self) -> None:
        while time.monotonic() - self._wanted_at < _ASKED_S:
            began = time.monotonic()
            self._calls.append(self._ask(self._app))
            self._first.set()
            time.sleep(max(EVERY_S - (time.monotonic() - began), 0.5))


def ask_all(app: Celery) -> RollCall:
    """One roll call. Takes ANSWER_S after the last answer; never raises."""
    try:
        # A connection of its own: one of the pool may be of before the broker's restart.
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0.2, timeout=ANSWER_S)
            replies = app.control.broadcast(ROLL_CALL, reply=True, timeout=ANSWER_S, connection=connection)
    except Exception:  # whatever a transport raises: the broker is away
        return RollCall(time.monotonic(), None)
    return RollCall(time.monotonic(), tuple(_answers(replies or [])))


def _answers(replies: Iterable[dict[str, Any]]) -> Iterable[WorkerAnswer]:
    for reply in replies:
        for name, said in reply.items():
            if isinstance(said, dict) and "slots" in said:
                yield WorkerAnswer(name, frozenset(said["queues"]), int(said["slots"]), frozenset(said["runs"]))
