"""Slows down guessing of passwords: limits on failures for an account at an address, an address, and an account.

Belongs here: counting failures, in memory and bounded. Does not belong here: checking passwords (`accounts`), how many
are checked at once (`hashing`), known devices (`devices`).

In memory, because refusing must cost less than guessing: a row for each of 10,000 guesses would help the attacker. A
restart forgets the counts, but hashing a password still takes 50 ms. Many refusals become few audit events with counts.

An attempt counts before its password is checked, and is taken back if the password was right: 48 attempts at once count
like 48 in turn. Failures count for the account at this address, so that nobody can lock others out from elsewhere; for
the address, whatever names it tries; and for the account from everywhere, a limit that only an attacker with many
addresses reaches. A known device has its own count instead of these three.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

FREE_FAILURES = 5
"""Failures without a pause, for people who mistype."""
LONGEST_PAUSE_S = 900.0
PER_ADDRESS = 10
"""Factor for an address: the people of a station share one."""
PER_ACCOUNT = 20
"""Factor for an account from everywhere: NIST SP 800-63B-4 allows 100 failures."""
LONGEST_ACCOUNT_PAUSE_S = 60.0
"""For an account from everywhere: others must not lock its owner out of a new device for long."""
FORGOTTEN_S = 3600.0
MOST_KEYS = 20_000
"""Accounts and addresses in memory; the one that failed longest ago is dropped first."""


@dataclass
class _Failures:
    n: int = 0
    last: float = 0.0
    refused: int = 0


_Key = tuple[str, bytes]


class Throttle:
    """Counts of failures by account and by address. Threads may share one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[_Key, _Failures] = OrderedDict()
        self._lock = threading.Lock()

    def pause_s(self, account: str, address: str, device: str | None = None) -> float:
        """Seconds until the next attempt of this account at this address is checked; 0: now.

        device: id of a known device of this account.
        """
        with self._lock:
            return self._pause(_keys(account, address, device))

    def admit(self, account: str, address: str, device: str | None = None) -> float:
        """Returns 0 and counts the attempt as a failure until `succeed` or `forget`; or the pause, without counting."""
        keys = _keys(account, address, device)
        with self._lock:
            pause = self._pause(keys)
            if pause <= 0:
                self._count(keys)
            return pause

    def fail(self, account: str, address: str, device: str | None = None) -> None:
        """Count a wrong password or an unknown name that `admit` did not count."""
        with self._lock:
            self._count(_keys(account, address, device))

    def forget(self, account: str, address: str, device: str | None = None) -> None:
        """Take back an admitted attempt that was not checked."""
        with self._lock:
            for key in _keys(account, address, device):
                self._take_back(key)

    def refuse(self, account: str, address: str, device: str | None = None) -> int:
        """Count a refused attempt; returns the number of refusals since the limit was reached.

        A limited address has one count, whatever names it tries. Powers of two are worth an audit event
        (`is_worth_telling`), so that 10,000 attempts write 14 rows.
        """
        keys = _keys(account, address, device)
        with self._lock:
            braked = next((key for key in keys if self._left(key) > 0), keys[0])
            found = self._of(braked)
            found.refused += 1
            return found.refused

    def succeed(self, account: str, address: str = "", device: str | None = None) -> None:
        """After a right password: the account at this address starts again from zero. The address does not, because its
        owner may guess other accounts; nor does the account from everywhere, because others may go on guessing."""
        with self._lock:
            pair, *others = sorted(_keys(account, address, device), key=lambda key: key[0] not in ("pair", "device"))
            self._failures.pop(pair, None)
            for key in others:
                self._take_back(key)

    def _pause(self, keys: list[_Key]) -> float:
        return max(self._left(key) for key in keys)

    def _left(self, key: _Key) -> float:
        found = self._failures.get(key)
        free, longest = _LIMITS[key[0]]
        if found is None or found.n < free or self._clock() - found.last > FORGOTTEN_S:
            return 0.0
        pause = min(longest, 2.0 ** min(found.n - free, 20))
        return max(0.0, found.last + pause - self._clock())

    def _count(self, keys: list[_Key]) -> None:
        for key in keys:
            found = self._of(key)
            if self._clock() - found.last > FORGOTTEN_S:
                found.n = found.refused = 0
            found.n += 1
            found.last = self._clock()

    def _take_back(self, key: _Key) -> None:
        found = self._failures.get(key)
        if found is not None:
            found.n = max(0, found.n - 1)

    def _of(self, key: _Key) -> _Failures:
        found = self._failures.setdefault(key, _Failures())
        self._failures.move_to_end(key)
        while len(self._failures) > MOST_KEYS:
            self._failures.popitem(last=False)
        return found


# For each kind of key: failures without a pause, and the longest pause.
_LIMITS = {
    "address": (FREE_FAILURES * PER_ADDRESS, LONGEST_PAUSE_S),
    "pair": (FREE_FAILURES, LONGEST_PAUSE_S),
    "account": (FREE_FAILURES * PER_ACCOUNT, LONGEST_ACCOUNT_PAUSE_S),
    "device": (FREE_FAILURES, LONGEST_PAUSE_S),
}


def network_of(address: str) -> str:
    """The unit that counts as one address: an IPv4 address, or an IPv6 /64, which one customer owns as a whole."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return f"{IPv6Address(int(found) >> 64 << 64)}/64"
    return str(found)


def is_worth_telling(n: int) -> bool:
    """Whether n is a power of two: 1, 2, 4, 8, ..."""
    return n & (n - 1) == 0


def _keys(account: str, address: str, device: str | None) -> list[_Key]:
    if device is not None:
        return [("device", _short(account, device))]
    network = network_of(address)
    return [("address", _short(network)), ("pair", _short(account, network)), ("account", _short(account))]


def _short(*texts: str) -> bytes:
    """A key of fixed length for texts of any length."""
    digest = hashlib.blake2b(digest_size=16)
    for text in texts:
        coded = text.encode(errors="backslashreplace")
        digest.update(len(coded).to_bytes(8))
        digest.update(coded)
    return digest.digest()
