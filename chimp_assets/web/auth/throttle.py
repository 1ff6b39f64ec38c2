"""Slows down guessing of passwords: limits on failures for an account at an address, an address, and an account.

Belongs here: counting failures, in SQL and bounded. Does not belong here: checking passwords (`accounts`), how many
are checked at once (`hashing`), known devices (`devices`).

In SQL, so that a guesser has as many attempts at three servers as at one. Refusing costs less than guessing: a refusal
reads three rows by their key and writes none, where an attempt that is let through costs a hash of 50 ms. The rows hold
keyed hashes, neither names nor addresses; old ones are deleted, and there are never many more than `MOST_KEYS`. Many
refusals become few audit events, with counts that each server keeps for itself.

An attempt counts before its password is checked, and is taken back if the password was right: 48 attempts at once count
like 48 in turn. Failures count for the account at this address, so that nobody can lock others out from elsewhere; for
the address, whatever names it tries; and for the account from everywhere, a limit that only an attacker with many
addresses reaches. A known device has its own count instead of these three.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address, ip_address
from typing import Any

import sqlalchemy as sa

from chimp_assets.database.connection.engine import BusyDatabaseError, Database
from chimp_assets.database.schema import sign_in_failure
from chimp_assets.errors import ChimpError

_log = logging.getLogger(__name__)

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
"""Accounts and addresses that stay when rows are cleared up; those that failed longest ago go first."""
CLEAR_UP_EVERY = 500
"""New rows of one server between two clear-ups."""
MOST_REFUSALS = 1_000
"""Keys whose refusals one server counts."""
_TURNS = 3

_Key = tuple[str, str]


class _BrakedError(Exception):
    """Rolls an attempt back: nothing of it counts."""

    def __init__(self, key: _Key, pause_s: float) -> None:
        super().__init__()
        self.key, self.pause_s = key, pause_s


@dataclass
class _Refusals:
    """Of one key at one server. n: how many; last, until: seconds of the last one, and of the end of the pause."""

    n: int = 0
    last: float = 0.0
    until: float = 0.0


class Throttle:
    """Counts of failures by account and by address. Threads and servers of one database share them.

    secret: keys the hashes, so that the addresses cannot be found again by hashing all there are. clock: seconds since
    1970; servers whose clocks differ by some seconds pause somewhat longer or shorter.
    """

    def __init__(self, db: Database, secret: bytes, clock: Callable[[], float] = time.time) -> None:
        self._db, self._secret, self._clock = db, secret, clock
        self._refused: OrderedDict[_Key, _Refusals] = OrderedDict()
        self._lock = threading.Lock()
        self._made = CLEAR_UP_EVERY  # what an earlier server left is cleared up after the first failure

    def pause_s(self, account: str, address: str, device: str | None = None) -> float:
        """Seconds until the next attempt of this account at this address is checked; 0: now.

        device: id of a known device of this account. Raises BusyDatabaseError.
        """
        return max(self._lefts(self._keys(account, address, device)).values())

    def admit(self, account: str, address: str, device: str | None = None) -> float:
        """Returns 0 and counts the attempt as a failure until `succeed` or `forget`; or the pause, without counting.

        Raises BusyDatabaseError, and then nothing was counted.
        """
        keys = self._keys(account, address, device)
        pause = max(self._lefts(keys).values())  # most refusals wait for no lock
        if pause > 0:
            return pause
        try:
            self._count(keys, self._refuse_in_a_pause)
        except _BrakedError as braked:
            self._note(braked.key, braked.pause_s)
            return braked.pause_s
        return 0.0

    def fail(self, account: str, address: str, device: str | None = None) -> None:
        """Count a wrong password or an unknown name that `admit` did not count."""
        self._count(self._keys(account, address, device), lambda key, n, last: None)

    def forget(self, account: str, address: str, device: str | None = None) -> None:
        """Take back an admitted attempt that was not checked. A database that is away keeps it for an hour."""
        keys = self._keys(account, address, device)
        try:
            self._db.transact(lambda conn: self._take_back(conn, keys))
        except ChimpError as error:
            _log.warning("an attempt to sign in that was not checked stays counted: %s", error)

    def refuse(self, account: str, address: str, device: str | None = None) -> int:
        """Count an attempt that `pause_s` or `admit` has refused; returns the number of refusals at this server.

        A limited address has one count, whatever names it tries. Powers of two are worth an audit event
        (`is_worth_telling`), so that 10,000 attempts write 14 rows.
        """
        keys = self._keys(account, address, device)
        now = self._clock()
        with self._lock:
            known = {key: self._refused[key] for key in keys if key in self._refused}
            braked = next((key for key, refusals in known.items() if refusals.until > now), keys[0])
            found = self._refusals(braked)
            found.n = 1 if now - found.last > FORGOTTEN_S else found.n + 1
            found.last = now
            return found.n

    def succeed(self, account: str, address: str = "", device: str | None = None) -> None:
        """After a right password: the account at this address starts again from zero. The address does not, because its
        owner may guess other accounts; nor does the account from everywhere, because others may go on guessing.

        Raises BusyDatabaseError.
        """
        keys = self._keys(account, address, device)
        own = next(key for key in keys if key[0] in ("pair", "device"))

        def work(conn: sa.Connection) -> None:
            self._take_back(conn, [key for key in keys if key != own])
            conn.execute(sa.delete(sign_in_failure).where(sign_in_failure.c.key_hash == own[1]))

        self._db.transact(work)
        with self._lock:
            self._refused.pop(own, None)

    def clear_up(self) -> int:
        """Delete the rows that count no more, and the oldest beyond `MOST_KEYS`; returns how many."""
        f = sign_in_failure.c

        def work(conn: sa.Connection) -> int:
            n = conn.execute(sa.delete(sign_in_failure).where(f.last_at < self._now(-FORGOTTEN_S))).rowcount
            first_kept = conn.scalar(sa.select(f.last_at).order_by(f.last_at.desc()).offset(MOST_KEYS - 1).limit(1))
            if first_kept is not None:
                n += conn.execute(sa.delete(sign_in_failure).where(f.last_at < first_kept)).rowcount
            return n

        return self._db.transact(work)

    def _lefts(self, keys: Sequence[_Key]) -> dict[_Key, float]:
        """Seconds of pause that are left for each key."""
        f = sign_in_failure.c
        asked = sa.select(f.key_hash, f.failures, f.last_at).where(f.key_hash.in_([key[1] for key in keys]))
        with self._db.read() as conn:
            found = {row.key_hash: row for row in conn.execute(asked)}
        lefts = {}
        for key in keys:
            row = found.get(key[1])
            lefts[key] = 0.0 if row is None else self._left(key[0], row.failures, row.last_at)
            if lefts[key] > 0:
                self._note(key, lefts[key])
        return lefts

    def _note(self, key: _Key, pause_s: float) -> None:
        """Remembers what is limited, for `refuse`."""
        with self._lock:
            self._refusals(key).until = self._clock() + pause_s

    def _refusals(self, key: _Key) -> _Refusals:
        found = self._refused.setdefault(key, _Refusals())
        self._refused.move_to_end(key)
        while len(self._refused) > MOST_REFUSALS:
            self._refused.popitem(last=False)
        return found

    def _left(self, kind: str, failures: int, last_at: datetime) -> float:
        free, longest = _LIMITS[kind]
        since = self._clock() - last_at.timestamp()
        if failures < free or since > FORGOTTEN_S:
            return 0.0
        pause = min(longest, 2.0 ** min(failures - free, 20))
        return min(longest, max(0.0, pause - since))  # a clock that was put back must not lock anybody out

    def _refuse_in_a_pause(self, key: _Key, failures: int, last_at: datetime) -> None:
        pause = self._left(key[0], failures, last_at)
        if pause > 0:
            raise _BrakedError(key, pause)

    def _count(self, keys: Sequence[_Key], look: Callable[[_Key, int, datetime], None]) -> None:
        """Counts a failure of every key, all or none. look(key, failures, last_at): may raise to count none.

        Always in the order of `keys`, address first: two attempts wait for each other's rows, never in a circle.
        """

        def work(conn: sa.Connection) -> int:
            return sum(self._count_one(conn, key, look) for key in keys)

        made = self._db.transact(work)
        with self._lock:
            self._made += made
            due = self._made >= CLEAR_UP_EVERY
            if due:
                self._made = 0
        if due:
            self.clear_up()

    def _count_one(self, conn: sa.Connection, key: _Key, look: Callable[[_Key, int, datetime], None]) -> bool:
        """Whether a row was made. The update holds the row until the end, so that counts are read one after the
        other.
        """
        f, now = sign_in_failure.c, self._now()
        this = f.key_hash == key[1]
        for _ in range(_TURNS):
            if conn.execute(sa.update(sign_in_failure).where(this).values(failures=f.failures + 1)).rowcount:
                row = conn.execute(sa.select(f.failures, f.last_at).where(this)).one()
                look(key, row.failures - 1, row.last_at)
                values: dict[str, Any] = {"last_at": now}
                if now - row.last_at > timedelta(seconds=FORGOTTEN_S):
                    values["failures"] = 1
                conn.execute(sa.update(sign_in_failure).where(this).values(**values))
                return False
            try:
                with conn.begin_nested():
                    conn.execute(sa.insert(sign_in_failure).values(key_hash=key[1], failures=1, last_at=now))
                return True
            except sa.exc.IntegrityError:
                continue  # somebody made it in the same moment
        raise BusyDatabaseError(
            f"A row of {self._db.safe_url} was made and deleted again and again by others.", "Try again in a moment."
        )

    def _take_back(self, conn: sa.Connection, keys: Sequence[_Key]) -> None:
        f = sign_in_failure.c
        for key in keys:
            this = (f.key_hash == key[1], f.failures > 0)
            conn.execute(sa.update(sign_in_failure).where(*this).values(failures=f.failures - 1))

    def _now(self, more_s: float = 0.0) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC) + timedelta(seconds=more_s)

    def _keys(self, account: str, address: str, device: str | None) -> list[_Key]:
        if device is not None:
            return [self._key("device", account, device)]
        network = network_of(address)
        return [self._key("address", network), self._key("pair", account, network), self._key("account", account)]

    def _key(self, kind: str, *texts: str) -> _Key:
        """A kind, and a hash of fixed length for texts of any length."""
        digest = hashlib.blake2b(digest_size=16, key=self._secret[:64])
        for text in (kind, *texts):
            coded = text.encode(errors="backslashreplace")
            digest.update(len(coded).to_bytes(8))
            digest.update(coded)
        return kind, digest.hexdigest()


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
