"""Telling people of alerts: who was told what already, what is told next, what failed.

Belongs here: claiming alerts for a message, its words and JSON, when a failed one is tried again. Does not belong here:
the ways (`channels`), sentences of alerts (`words`), when to look (`automation.sensors.alerts`).

The order is claim, send, note. A claim is a row for each alert and way that is committed before anything is sent; all
rows of one message have its key. Whoever is killed before the claim has told nobody, and the next look does it all. One
who is killed after it leaves rows without an end: when they are older than CLAIM_S the same message is sent again,
with the same alerts and the same key, which receivers get as `Idempotency-Key` or `Message-ID`. So nothing that was
claimed is lost, and a receiver who drops what it has seen gets it once; nobody can promise more across two machines.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.counters import take_numbers
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.texts import visible_line
from chimp_assets.errors import ChimpError
from chimp_assets.home import Home
from chimp_assets.monitoring.alerts import OPEN, Alert, alert
from chimp_assets.monitoring.messages.channels import Message, channels_of, fault_in_words
from chimp_assets.monitoring.words import sentence
from chimp_assets.settings import Settings

CLAIM_S = 120.0
"""Older claims without an end are those of killed senders: a living one gives up after `channels.DEADLINE_S`."""
MOST_ATTEMPTS = 12
FIRST_PAUSE_S, LONGEST_PAUSE_S = 60.0, 12 * 3600.0
"""Pauses after failed attempts double: twelve attempts take about 34 hours."""
LISTED = 25
"""Alerts that a message names; of others it says how many they are."""
LOOK_S = 30.0
"""Seconds in which one look begins new messages: a tick of the daemon may take 60."""
_TURN = "alert_message"

_WORDS = {
    "en": {
        "one": "Chimp Assets noticed a change",
        "many": "Chimp Assets noticed {n} changes",
        "more": "And {n} more.",
        "page": "What was noticed, and what to do: {url}",
        "command": "What was noticed, and what to do: chimp drift list",
        "test": "This is a test: nothing was noticed.",
    },
    "fr": {
        "one": "Chimp Assets a remarqué un changement",
        "many": "Chimp Assets a remarqué {n} changements",
        "more": "Et {n} autres.",
        "page": "Ce qui a été remarqué, et que faire : {url}",
        "command": "Ce qui a été remarqué, et que faire : chimp drift list",
        "test": "Ceci est un essai : rien n’a été remarqué.",
    },
}


@dataclass(frozen=True)
class AlertMessage:
    """How one alert was told by one way: a row of `alert_message`."""

    alert_id: int
    channel: str
    message_key: str
    attempts: int
    attempted_at: datetime
    sent_at: datetime | None
    error: str | None

    @property
    def state(self) -> str:
        """`sent`; `sending`: now, or its sender was killed; `waiting` for its next attempt; `given_up`."""
        if self.sent_at is not None:
            return "sent"
        if self.attempts >= MOST_ATTEMPTS and self.error is not None:
            return "given_up"
        return "sending" if self.error is None else "waiting"

    @property
    def next_at(self) -> datetime | None:
        """When it is tried again; None: not at all."""
        if self.state in ("sent", "given_up"):
            return None
        pause_s = CLAIM_S if self.error is None else pause_after(self.attempts)
        return self.attempted_at + timedelta(seconds=pause_s)


@dataclass
class MessageReport:
    """What one look did. told: alerts by way; failed, unusable: a sentence for each way, unusable where its settings or
    secrets do not suffice."""

    told: dict[str, int] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    unusable: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For the machine-readable line."""
        return asdict(self)

    @property
    def is_faulty(self) -> bool:
        """Whether a way did not work."""
        return bool(self.failed or self.unusable)

    def in_words(self) -> str:
        """A sentence for each way; one if there was nothing to tell."""
        told = [f"{way}: told {n} alert{'' if n == 1 else 's'}." for way, n in self.told.items()]
        rest = [f"{way}: {why}" for way, why in {**self.failed, **self.unusable}.items()]
        return " ".join([*told, *rest]) or "Everybody was told of every alert."


@dataclass(frozen=True)
class _Claim:
    key: str
    alert_ids: list[int]


def pause_after(attempts: int) -> float:
    """Seconds between a failed attempt and the next."""
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** max(0, attempts - 1)) if attempts else 0.0


def tell(home: Home, now: datetime | None = None) -> MessageReport:
    """Tells by each way what is open and was not told, and what is due again. A way that fails is left alone until its
    pause is over, so a look takes at most LOOK_S and one deadline a way more."""
    report, began = MessageReport(), monotonic()
    for channel in channels_of(home.settings.monitoring):
        if problem := channel.problem():
            report.unusable[channel.name] = problem
            continue
        while monotonic() - began < LOOK_S:
            moment = now or datetime.now(UTC)
            claim = claim_next(home.database, home.settings, channel.name, moment)
            if claim is None:
                break
            try:
                note = channel.send(_message(home.database, home.settings, claim))
            except Exception as error:  # whatever it is, it is noted and tried again later, and other ways go on
                report.failed[channel.name] = why = _why(error)
                _note(home.database, channel.name, claim, error=why[:500])
                break
            _note(home.database, channel.name, claim, sent_at=now or datetime.now(UTC), error=note)
            report.told[channel.name] = report.told.get(channel.name, 0) + len(claim.alert_ids)
    return report


def send_test(home: Home) -> MessageReport:
    """Sends a test by each way; told: 0 for each that took it. Writes nothing."""
    report = MessageReport()
    words = _WORDS[home.settings.monitoring.message_language]
    key = hashlib.sha256(f"test {datetime.now(UTC).isoformat()}".encode()).hexdigest()[:32]
    payload = {"id": key, "test": True, "text": words["test"], "count": 0, "alerts": [], "more": 0, "url": None}
    for channel in channels_of(home.settings.monitoring):
        try:
            if problem := channel.problem():
                report.unusable[channel.name] = problem
                continue
            channel.send(Message(key, words["test"], words["test"], payload))
            report.told[channel.name] = 0
        except Exception as error:
            report.failed[channel.name] = _why(error)
    return report


def claim_next(db: Database, settings: Settings, channel: str, now: datetime) -> _Claim | None:
    """Commits the claim of the next message of a way; None if none is due.

    First what is due again, the longest waiting first. Alerts that were not told form one new message, unless an older
    one still waits (they would only fail after it) or one was sent within `message_gap_min` (they are collected).
    """
    with db.read() as conn:  # most looks find nothing, and need no turn
        if _due(conn, settings, channel, now) is None:
            return None

    def work(conn: sa.Connection) -> _Claim | None:
        take_numbers(conn, _TURN, 0)  # two hosts must not claim the same
        claim = _due(conn, settings, channel, now)
        if claim is None:
            return None
        m = t.alert_message.c
        again = (
            sa.update(t.alert_message)
            .where(m.channel == channel, m.message_key == claim.key, m.sent_at.is_(None))
            .values(attempts=m.attempts + 1, attempted_at=now, error=None)
        )
        if conn.execute(again).rowcount == 0:
            row = {"channel": channel, "message_key": claim.key, "attempts": 1, "attempted_at": now}
            conn.execute(sa.insert(t.alert_message), [{"alert_id": one, **row} for one in claim.alert_ids])
        return claim

    return db.transact(work)


def _due(conn: sa.Connection, settings: Settings, channel: str, now: datetime) -> _Claim | None:
    unfinished = [row for row in _messages(conn, t.alert_message.c.sent_at.is_(None)) if row.channel == channel]
    waiting = [row for row in unfinished if row.next_at is not None]
    if waiting:
        first = min(waiting, key=lambda row: (row.attempted_at, row.alert_id))
        if first.next_at is not None and first.next_at > now:
            return None
        return _Claim(first.message_key, [row.alert_id for row in waiting if row.message_key == first.message_key])
    a, m = t.drift_alert.c, t.alert_message.c
    told = sa.exists().where(m.alert_id == a.alert_id, m.channel == channel)
    new = conn.execute(sa.select(a.alert_id, a.alert_key).where(a.state == OPEN, ~told).order_by(a.alert_id)).all()
    if not new:
        return None
    last = conn.scalar(sa.select(sa.func.max(m.sent_at)).where(m.channel == channel))
    if last is not None and now - last < timedelta(minutes=settings.monitoring.message_gap_min):
        return None
    key = hashlib.sha256("\n".join([channel, *(row.alert_key for row in new)]).encode()).hexdigest()[:32]
    return _Claim(key, [row.alert_id for row in new])


def _why(error: Exception) -> str:
    return error.sentence if isinstance(error, ChimpError) else fault_in_words(error)


def _note(db: Database, channel: str, claim: _Claim, **values: Any) -> None:
    m = t.alert_message.c
    noting = sa.update(t.alert_message).where(m.channel == channel, m.message_key == claim.key, m.sent_at.is_(None))
    db.transact(lambda conn: conn.execute(noting.values(**values)))


def messages_of(conn: sa.Connection, alert_id: int) -> list[AlertMessage]:
    """How an alert was told, or is to be: a row for each way that has begun."""
    return _messages(conn, t.alert_message.c.alert_id == alert_id)


def given_up(conn: sa.Connection) -> list[AlertMessage]:
    """What nobody was told after MOST_ATTEMPTS attempts: the operator's to mend, then `try_again`."""
    return [row for row in _messages(conn, t.alert_message.c.sent_at.is_(None)) if row.state == "given_up"]


def unsent(conn: sa.Connection) -> list[AlertMessage]:
    """What was begun and is not known to have arrived, given up or not."""
    return _messages(conn, t.alert_message.c.sent_at.is_(None))


def try_again(db: Database) -> int:
    """Makes what failed due at once, given up or not; returns how many rows that were."""
    m = t.alert_message.c
    failed = sa.update(t.alert_message).where(m.sent_at.is_(None), m.error.is_not(None))

    def work(conn: sa.Connection) -> int:
        take_numbers(conn, _TURN, 0)
        return conn.execute(failed.values(attempts=0)).rowcount

    return db.transact(work)


def _messages(conn: sa.Connection, *only: sa.ColumnElement[bool]) -> list[AlertMessage]:
    m = t.alert_message.c
    rows = conn.execute(sa.select(t.alert_message).where(*only).order_by(m.alert_id, m.channel))
    return [AlertMessage(**row._mapping) for row in rows]


def _message(db: Database, settings: Settings, claim: _Claim) -> Message:
    with db.read() as conn:
        named = [alert(conn, one) for one in claim.alert_ids[:LISTED]]
    return message_of(named, len(claim.alert_ids), claim.key, settings)


def message_of(named: Sequence[Alert], n: int, key: str, settings: Settings) -> Message:
    """The message of n alerts, of which it names some."""
    lang = settings.monitoring.message_language
    words, page = _WORDS[lang], settings.web.public_url
    lines = [visible_line(sentence(one, lang)) for one in named]
    if n > len(named):
        lines.append(words["more"].format(n=n - len(named)))
    address = None if page is None else f"{page}/drift" + (f"/{named[0].alert_id}" if n == 1 else "")
    lines += ["", words["page"].format(url=address) if address else words["command"]]
    subject = f"{words['one']}: {lines[0]}" if n == 1 else words["many"].format(n=n)
    payload = {
        "id": key,
        "test": False,
        "text": "\n".join([subject, *lines[1:]] if n == 1 else [subject, *lines]),
        "count": n,
        "alerts": [_as_json(one, line, page) for one, line in zip(named, lines, strict=False)],
        "more": n - len(named),
        "url": address,
    }
    return Message(key, subject, "\n".join(lines), payload)


def _as_json(one: Alert, said: str, page: str | None) -> dict[str, Any]:
    """What does not change while a message is tried again: neither the state nor the end of the alert."""
    return {
        "alert_id": one.alert_id,
        "key": one.alert_key,
        "kind": one.kind,
        "signal": one.signal,
        "camera": one.camera or None,
        "since": one.since.isoformat(),
        "noticed": one.noticed.isoformat(),
        "size": one.size,
        "sentence": said,
        "url": None if page is None else f"{page}/drift/{one.alert_id}",
    }
