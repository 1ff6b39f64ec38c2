"""The brake on guessing passwords: how many failures one account and one address may have.

Belongs here: counting failures, in memory and bounded. Does not belong here: checking passwords (`accounts`).

In memory, because a guess must cost less than its refusal: a row for each of 10,000 guesses would be a gift to whoever
guesses. A restart forgets; the hash of a password takes 50 ms all the same. Refusals become few audit events that
count.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

FREE_FAILURES = 5
"""Failures without a pause, for people who mistype."""
LONGEST_PAUSE_S = 900.0
PER_ADDRESS = 10
"""Times as many failures for an address: a station's people share one."""
FORGOTTEN_S = 3600.0
MOST_KEYS = 20_000
"""Accounts and addresses that are remembered; the one that failed longest ago is forgotten first."""


@dataclass
class _Failures:
    n: int = 0
    last: float = 0.0
    refused: int = 0


class Throttle:
    """Failures by account and by address. Threads may share one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, _Failures] = OrderedDict()
        self._lock = threading.Lock()

    def pause_s(self, account: str, address: str) -> float:
        """Seconds that this account at this address has to wait before its next attempt is looked at; 0: none."""
        with self._lock:
            return max(self._left(f"account {account}", FREE_FAILURES), self._left(f"address {address}", _OF_ADDRESS))

    def fail(self, account: str, address: str) -> None:
        """A wrong password, or a name that nobody has."""
        with self._lock:
            for key in (f"account {account}", f"address {address}"):
                found = self._failures.setdefault(key, _Failures())
                if self._clock() - found.last > FORGOTTEN_S:
                    found.n = 0
                found.n += 1
                found.last = self._clock()
                self._failures.move_to_end(key)
            while len(self._failures) > MOST_KEYS:
                self._failures.popitem(last=False)

    def refuse(self, account: str, address: str) -> int:
        """An attempt that was not looked at; returns how many there were at this account since it last succeeded.

        Numbers that double are worth an audit event (`is_worth_telling`), so that 10,000 attempts write 14 rows.
        """
        with self._lock:
            found = self._failures.setdefault(f"account {account}", _Failures())
            found.refused += 1
            return found.refused

    def succeed(self, account: str) -> None:
        """The right password: the account starts anew. The address does not: its owner may guess others."""
        with self._lock:
            self._failures.pop(f"account {account}", None)

    def _left(self, key: str, free: int) -> float:
        found = self._failures.get(key)
        if found is None or found.n < free or self._clock() - found.last > FORGOTTEN_S:
            return 0.0
        pause = min(LONGEST_PAUSE_S, 2.0 ** min(found.n - free, 20))
        return max(0.0, found.last + pause - self._clock())


_OF_ADDRESS = FREE_FAILURES * PER_ADDRESS


def is_worth_telling(n: int) -> bool:
    """1, 2, 4, 8, ...: the n-th of many alike."""
    return n & (n - 1) == 0
