"""The ways by which an alert is told: a webhook and a mail, each handed over once, in bounded time, or not at all.

Belongs here: what a receiver is sent, how long it may take, what its answer means, and which settings a way needs.
Does not belong here: what is told (`words`), and what was told already (`telling`).

The address of the webhook may hold a key, so it comes from the environment, as the password of the mail server does;
neither is ever in a sentence of an error: those are made here, of the kind of the fault alone, and nothing that a
receiver said goes into them but the number of its answer.
"""

from __future__ import annotations

import http.client
import json
import os
import queue
import smtplib
import socket
import ssl
import threading
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any, Protocol, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from chimp_assets.errors import ChimpError
from chimp_assets.settings import MonitoringSettings
from chimp_assets.settings.monitoring import THIS_MACHINE

WEBHOOK_ADDRESS = "CHIMP_ALERT_WEBHOOK"
MAIL_PASSWORD = "CHIMP_ALERT_MAIL_PASSWORD"  # noqa: S105  the name of the variable that holds it
STEP_S = 5.0
"""Seconds for each step of a line: finding it, signing in, one answer."""
DEADLINE_S = 12.0
"""Seconds for the whole: a receiver that answers a byte at a time must not hold up the daemon."""

T = TypeVar("T")


class MessageError(ChimpError):
    """A message was not handed over, or nobody knows whether it was."""


@dataclass(frozen=True)
class Message:
    """What is told. key: 32 hexadecimal digits, the same each time it is sent; text: for people; payload: as JSON."""

    key: str
    subject: str
    text: str
    payload: Mapping[str, Any]


class Channel(Protocol):
    """A way to tell people. name: one of `schema.ALERT_CHANNELS`."""

    name: str

    def problem(self) -> str | None:
        """Why nothing can be sent this way as it is set up, and what to do; None: it can be tried."""

    def send(self, message: Message) -> str | None:
        """Hands a message over; what went wrong with a part of it, if anything. Raises MessageError."""


def channels_of(settings: MonitoringSettings, environment: Mapping[str, str] | None = None) -> list[Channel]:
    """The ways that the settings name; environment: where their secrets are, by default this process's."""
    secrets = os.environ if environment is None else environment
    wanted: list[Channel] = []
    if settings.webhook:
        wanted.append(Webhook(secrets.get(WEBHOOK_ADDRESS, "").strip()))
    if settings.mail_to:
        wanted.append(Mail(settings, secrets.get(MAIL_PASSWORD, "")))
    return wanted


class _SameAddress(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the operator named one address, and its key goes nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Webhook:
    """POST of JSON to one address."""

    name = "webhook"

    def __init__(self, address: str) -> None:
        self._address = address

    def __repr__(self) -> str:
        return "Webhook(...)"

    def problem(self) -> str | None:
        """As `Channel`."""
        if not self._address:
            return f"monitoring.webhook is on, and {WEBHOOK_ADDRESS} is not set."
        try:
            parts = urlsplit(self._address)
            host, _ = parts.hostname, parts.port
        except ValueError:
            return f"{WEBHOOK_ADDRESS} is no address."
        if not self._address.isascii() or not self._address.isprintable() or " " in self._address or not host:
            return f"{WEBHOOK_ADDRESS} is no address."
        if parts.username is not None:
            return f"{WEBHOOK_ADDRESS} has a user in front of its host, which is not supported."
        if parts.scheme != "https" and not (parts.scheme == "http" and host in THIS_MACHINE):
            return f"{WEBHOOK_ADDRESS} must begin with https:// (http:// only for this machine)."
        return None

    def send(self, message: Message) -> None:
        """As `Channel`: any answer from 200 to 299 is a yes, and nothing of it is read."""
        within(DEADLINE_S, lambda: self._post(message))

    def _post(self, message: Message) -> None:
        request = urllib.request.Request(  # noqa: S310  `problem` lets https and this machine through
            self._address,
            data=json.dumps(message.payload).encode(),
            headers={
                "Content-Type": "application/json",
                "Idempotency-Key": message.key,
                "User-Agent": "chimp-assets",
            },
            method="POST",
        )
        here = urlsplit(self._address).hostname in THIS_MACHINE
        proxies = urllib.request.ProxyHandler({} if here else None)
        opener = urllib.request.build_opener(proxies, _SameAddress())
        try:
            opener.open(request, timeout=STEP_S).close()
        except HTTPError as error:
            error.close()
            moved = ", and redirects are not followed" if 300 <= error.code < 400 else ""
            raise MessageError(f"The receiver answered {error.code}{moved}.") from None
        except Exception as error:
            raise MessageError(fault_in_words(error)) from None


class Mail:
    """One mail to all its receivers."""

    name = "mail"

    def __init__(self, settings: MonitoringSettings, password: str) -> None:
        self._settings, self._password = settings, password

    def __repr__(self) -> str:
        return "Mail(...)"

    def problem(self) -> str | None:
        """As `Channel`."""
        if self._settings.mail_user and not self._password:
            return f"monitoring.mail_user is set, and {MAIL_PASSWORD} is not."
        return None

    def send(self, message: Message) -> str | None:
        """As `Channel`: the mail server has taken it for at least one of the receivers."""
        mail = self.written(message)
        return within(DEADLINE_S, lambda: self._hand_over(mail))

    def written(self, message: Message) -> EmailMessage:
        """The mail. Its Message-ID is made of the key: whoever gets it twice can see that it is one."""
        sender = str(self._settings.mail_from)
        mail = EmailMessage()
        mail["From"] = sender
        mail["To"] = ", ".join(self._settings.mail_to)
        mail["Subject"] = message.subject
        mail["Date"] = format_datetime(datetime.now(UTC))
        mail["Message-ID"] = f"<{message.key}@{sender.rpartition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(message.text)
        return mail

    def _hand_over(self, mail: EmailMessage) -> str | None:
        try:
            server = self._connected()
            try:
                refused = server.send_message(mail)
            finally:
                with suppress(Exception):  # it has the mail, or the error is on its way already
                    server.quit()
        except Exception as error:
            raise MessageError(fault_in_words(error)) from None
        if not refused:
            return None
        return f"The mail server refuses {len(refused)} of {len(self._settings.mail_to)} receivers."

    def _connected(self) -> smtplib.SMTP:
        ours = self._settings
        host, port = str(ours.mail_host), ours.mail_port
        named = socket.gethostname() or "localhost"  # getfqdn, the default, may ask a dead server
        trusted = ssl.create_default_context()
        if ours.mail_security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, named, timeout=STEP_S, context=trusted)
        else:
            server = smtplib.SMTP(host, port, named, timeout=STEP_S)
        try:
            if ours.mail_security == "starttls":
                server.starttls(context=trusted)
            if ours.mail_user:
                server.login(ours.mail_user, self._password)
        except BaseException:
            server.close()
            raise
        return server


def within(seconds: float, work: Callable[[], T]) -> T:
    """What work returns or raises. Raises MessageError after so many seconds; its thread ends with its own time limits,
    or with the process."""
    done: queue.SimpleQueue[tuple[T | None, Exception | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            done.put((work(), None))
        except Exception as error:
            done.put((None, error))

    threading.Thread(target=run, daemon=True, name="alert message").start()
    try:
        value, fault = done.get(timeout=seconds)
    except queue.Empty:
        raise MessageError(f"The receiver took longer than {seconds:.0f} seconds.") from None
    if fault is not None:
        raise fault
    return value  # type: ignore[return-value]


_FAULTS: tuple[tuple[type[BaseException], str], ...] = (
    (smtplib.SMTPAuthenticationError, "The mail server refuses user or password."),
    (smtplib.SMTPRecipientsRefused, "The mail server refuses all receivers."),
    (smtplib.SMTPSenderRefused, "The mail server refuses the sender."),
    (smtplib.SMTPNotSupportedError, "The mail server cannot do what the settings want of it (STARTTLS, signing in)."),
    (smtplib.SMTPServerDisconnected, "The mail server closed the line."),
    (TimeoutError, f"The receiver was silent for {STEP_S:.0f} seconds."),
    (ConnectionRefusedError, "Nobody listens at the receiver's address."),
    (http.client.RemoteDisconnected, "The receiver closed the line without an answer."),
    (ConnectionResetError, "The receiver closed the line."),
    (socket.gaierror, "The name of the receiver's machine is not known."),
)


def fault_in_words(error: BaseException) -> str:
    """A sentence of the kind of a fault, without a word of an address or of the receiver."""
    while isinstance(error, URLError) and isinstance(error.reason, BaseException):
        error = error.reason
    for kind, words in _FAULTS:
        if isinstance(error, kind):
            return words
    if isinstance(error, smtplib.SMTPResponseException):
        return f"The mail server answered {int(error.smtp_code)}."
    if isinstance(error, ssl.SSLCertVerificationError):
        return "The receiver's certificate is not trusted, or is another name's."
    if isinstance(error, ssl.SSLError):
        return "No encrypted line to the receiver could be made."
    if isinstance(error, OSError) and error.errno is not None and error.strerror:
        return f"The receiver cannot be reached ({error.strerror})."
    return f"The message could not be handed over ({type(error).__name__})."
